"""What recipes cost: loading 300 targets, carrying 300 idle policies through training, and 10,000 damaged files.

Claims: a recipe of 300 targets loads, validated, in 0.2 s, and a scheduler with its policies is built in as much; 300
policies that are idle add 50 µs to an optimizer step; each of 10,000 mutants of a recipe loads or is refused with
RecipeError within a second. Times are processor time.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch
from hypothesis import HealthCheck, given, settings
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from prunus import recipes
from prunus.actions import Prune
from prunus.errors import NoEffect
from prunus.policy import Policy
from prunus.scheduler import CompressionScheduler
from prunus.schedules import OneShot
from prunus.select import Select
from prunus.window import Window
from tests.recipes.mutations import mutants, outcome

TARGETS = 300


def policies_of_their_own() -> str:
    """A recipe with one policy a target, every setting written out."""
    policy = """
  - prune:
      schedule: {{cubic: {{final: 0.9, initial: 0.05}}}}
      criterion: {{magnitude: {{p: 2}}}}
      scope: per_layer
      select: {{include: [layer{0}.weight]}}
    window: {{start: 0, end: 38, frequency: 2}}"""
    return "version: 1\npolicies:" + "".join(policy.format(i) for i in range(TARGETS)) + "\n"


def shared_parts() -> str:
    """The same with parts that have names."""
    head = "version: 1\nschedules: {ramp: {cubic: {final: 0.9, initial: 0.05}}}\ncriteria: {l2: {magnitude: {p: 2}}}\n"
    head += "windows: {early: {start: 0, end: 38, frequency: 2}}\npolicies:\n"
    policy = "  - prune: {{schedule: $ramp, criterion: $l2, scope: per_layer, select: {{include: [layer{}.weight]}}}}\n"
    return head + "".join(policy.format(i) + "    window: $early\n" for i in range(TARGETS))


def one_policy() -> str:
    """One policy that names every target."""
    names = ", ".join(f"layer{i}.weight" for i in range(TARGETS))
    return (
        f"version: 1\npolicies:\n  - prune: {{schedule: {{cubic: {{final: 0.9}}}}, select: {{include: [{names}]}}}}\n"
    )


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def loading(repeats: int) -> None:
    """Print how long loading takes."""
    print(f"**Loading**, validated, from a file of {TARGETS} targets, and building the scheduler; median (range) of")
    print(f"{repeats}:\n\n| recipe | bytes | loaded | built | written back |\n|---|---|---|---|---|")
    for make in (policies_of_their_own, shared_parts, one_policy):
        text = make()
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            loaded = spread([seconds(lambda: recipes.load(file.name)) for _ in range(repeats)])
        recipe = recipes.load(text)
        built = spread([building(recipe) for _ in range(repeats)])
        what = make.__name__.replace("_", " ")
        print(f"| {what} | {len(text):,} | {loaded} | {built} | {seconds(recipe.to_yaml):.3f} s |")


def building(recipe: recipes.Recipe) -> float:
    """Return how long a scheduler with these policies takes, in a model of as many layers."""
    model = nn.Sequential(OrderedDict((f"layer{i}", nn.Linear(4, 4)) for i in range(TARGETS)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    return seconds(lambda: CompressionScheduler(model, recipe, optimizer=optimizer, epochs=40))


def spread(times: list[float]) -> str:
    """Return median and range in words."""
    return f"{statistics.median(times):.3f} s ({min(times):.3f}–{max(times):.3f})"


def step_time(policies: int, steps: int) -> float:
    """Return the microseconds of one optimizer step with so many policies that do nothing yet."""
    model = nn.Sequential(*[nn.Linear(4, 4) for _ in range(TARGETS)])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    late = Window(10**8, 10**8 + 1, unit="step")
    idle = [Policy(Prune(OneShot(0.5), select=Select(include=(f"{i}.weight",))), late) for i in range(policies)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffect)
        scheduler = CompressionScheduler(model, idle, optimizer=optimizer, steps_per_epoch=10**9, epochs=1)
        optimizer.step()
    taken = seconds(lambda: [optimizer.step() for _ in range(steps)])
    scheduler.detach()
    return taken / steps * 1e6


def idling(repeats: int, steps: int) -> None:
    """Print what policies cost that are idle."""
    pairs = [(step_time(0, steps), step_time(TARGETS, steps)) for _ in range(repeats)]
    added = sorted(with_them - without for without, with_them in pairs)
    without = statistics.median(pair[0] for pair in pairs)
    print(f"\n**Idling**: {TARGETS} idle policies add {statistics.median(added):.1f} µs to an optimizer step")
    print(f"({added[0]:.1f} to {added[-1]:.1f}; {repeats} pairs of {steps:,} steps, {without:.0f} µs each without).")


def damage(many: int) -> None:
    """Print what becomes of damaged recipes; an error other than RecipeError, or a second over, ends the script."""
    found: Counter[str] = Counter()
    times = []
    with tempfile.TemporaryDirectory() as folder:

        @settings(max_examples=many, deadline=None, derandomize=True, database=None, suppress_health_check=HealthCheck)
        @given(mutants())
        def test(content: bytes) -> None:
            signal.setitimer(signal.ITIMER_PROF, 1.0)
            times.append(seconds(lambda: found.update([outcome(content, Path(folder) / "recipe.yaml")])))
            signal.setitimer(signal.ITIMER_PROF, 0.0)

        signal.signal(signal.SIGPROF, _too_slow)
        test()
    print(
        f"\n**Damage**: of {len(times):,} mutants {found['loads']:,} load and {found['refused']:,} are refused; ",
        end="",
    )
    print(f"the slowest took {max(times):.2f} s, half of them less than {statistics.median(times) * 1e3:.1f} ms.")


def _too_slow(*_: object) -> None:
    raise TimeoutError("a mutant took more than a second")


def main() -> None:
    """Print the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    loading(arguments.repeats)
    idling(arguments.repeats, steps=500)
    damage(arguments.mutants)


if __name__ == "__main__":
    main()
