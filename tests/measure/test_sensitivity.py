"""Sensitivity scans: the same figures as a copy of the whole model for every cell, and the model left as it was."""

from __future__ import annotations

import copy
import itertools
import math
import os
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from prunus.actions import Prune
from prunus.criteria import CRITERIA, Gradient, Random
from prunus.errors import RunError, SelectionError, SettingError, StructureError
from prunus.measure import Reading, Sensitivity, sensitivity
from prunus.scheduler import CompressionScheduler
from prunus.schedules import OneShot
from prunus.select import Select
from prunus.structures import NM, STRUCTURES, Block, Filter, Layer, Row
from tests.models import Tied, mlp
from tests.twins import sensitivity as twin

INPUTS = torch.linspace(-1, 1, 24).view(3, 8)


def total(model: nn.Module) -> float:
    """A metric at the top of a module, so that worker processes find it."""
    with torch.no_grad():
        return float(model(INPUTS).square().sum())


def drawing(model: nn.Module) -> dict[str, float]:
    return {"out": total(model), "drawn": float(torch.rand(())), "threads": float(torch.get_num_threads())}


def where(model: nn.Module) -> dict[str, float]:
    return {**drawing(model), "process": float(os.getpid())}


def ends(model: nn.Module) -> float:
    if (model[0].weight == 0).any():
        os._exit(3)
    return 0.0


def net() -> nn.Sequential:
    torch.manual_seed(5)
    return mlp()


def mixed() -> nn.Sequential:
    torch.manual_seed(6)
    return nn.Sequential(nn.Conv2d(4, 8, 3), nn.ConvTranspose2d(8, 4, 2), nn.Conv2d(4, 4, 1, groups=2))


def bits(model: nn.Module) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in model.state_dict().items()}


def weights_of(model: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


class Counting:
    """Counts its calls and remembers what it saw."""

    def __init__(self) -> None:
        self.calls = 0
        self.seen: list[list[torch.Tensor]] = []

    def __call__(self, model: nn.Module) -> float:
        self.calls += 1
        self.seen.append(weights_of(model))
        return float(self.calls)


@pytest.mark.usefixtures("kernels")
def test_the_figures_are_those_of_a_copy_for_every_cell() -> None:
    model, levels = net(), (0.1, 0.29, 0.5, 1.0)
    scan = sensitivity(model, total, levels=levels)
    names = [name for name, p in model.named_parameters() if p.dim() > 1]
    slow = twin.scan(model, total, names, levels, lambda w: [[i] for i in range(w.numel())])
    assert [(row.target, row.level) for row in scan.rows] == list(slow)
    assert [(row.pruned, row.metrics["metric"]) for row in scan.rows] == list(slow.values())
    assert scan.dense == {"metric": total(model)}


def test_groups_too() -> None:
    model, levels = net(), (0.3, 0.8)
    scan = sensitivity(model, total, levels=levels, structure=Row())
    rows = lambda w: [list(range(r * w.shape[1], (r + 1) * w.shape[1])) for r in range(w.shape[0])]  # noqa: E731
    slow = twin.scan(model, total, scan.targets, levels, rows)
    assert [(row.pruned, row.metrics["metric"]) for row in scan.rows] == list(slow.values())
    assert [(row.members, row.weights) for row in scan.rows][:1] == [(16, 128)]


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_cell_is_what_prune_makes_of_the_tensor_alone(structure: str, criterion: str) -> None:
    """Every structure and criterion there is, on convolutions, transposed and grouped ones included."""
    model = mixed()
    model(torch.ones(1, 4, 5, 5)).square().sum().backward()
    chosen, scored = STRUCTURES[structure](), CRITERIA[criterion]()
    counter = Counting()
    fitting = [n for n, p in model.named_parameters() if p.dim() == 4]
    if structure in ("n_m", "block"):
        fitting = ["0.weight"]
    if structure in ("row", "column"):
        model, fitting = net(), ["0.weight", "2.weight"]
        model(INPUTS).square().sum().backward()
    levels = None if chosen.level else (0.3, 0.75)
    scan = sensitivity(
        model, counter, select=Select(tuple(fitting)), levels=levels, structure=chosen, criterion=scored, seed=3
    )
    for row, seen in zip(scan.rows, counter.seen[1:], strict=True):
        other = copy.deepcopy(model)
        for mine, theirs in zip(other.parameters(), model.parameters(), strict=True):
            mine.grad = theirs.grad.clone()
        prune = Prune(OneShot(row.level), scored, chosen, select=Select((row.target,)), seed=3)
        scheduler = CompressionScheduler(other, [prune], epochs=1)
        scheduler.epoch_begin()
        assert all(map(torch.equal, seen, weights_of(other))), row
        assert row.pruned / row.members == pytest.approx(scheduler.metrics()["achieved_sparsity"])


def test_n_times_l_evaluations_and_one_dense_and_no_mask_of_another_cell() -> None:
    model, counter = net(), Counting()
    before = weights_of(model)
    scan = sensitivity(model, counter, levels=(0.9, 0.5, 0.2))
    assert counter.calls == 1 + 2 * 3 and [row.level for row in scan.of("0.weight")] == [0.2, 0.5, 0.9]
    for seen in counter.seen:
        changed = [not torch.equal(a, b) for a, b in zip(before, seen, strict=True)]
        assert sum(changed) <= 1
        assert all((b == a).logical_or(b == 0).all() for a, b in zip(before, seen, strict=True))


def test_the_model_is_left_as_it_was() -> None:
    model = net().train()
    with torch.no_grad():
        model[0].weight[0, :4] = torch.tensor([-0.0, math.inf, 1e-45, -1e30])
    model[2].eval()
    before, modes = bits(model), [module.training for module in model.modules()]

    def metric(model: nn.Module) -> float:
        model.eval()
        return 0.0

    sensitivity(model, metric, levels=(0.5,))
    assert bits(model) == before and [module.training for module in model.modules()] == modes


@pytest.mark.parametrize("fails_at", [1, 2, 4])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_also_when_the_metric_raises(error: type[BaseException], fails_at: int) -> None:
    model, calls = net().train(), itertools.count(1)
    before = bits(model)

    def metric(model: nn.Module) -> float:
        model.eval()
        if next(calls) == fails_at:
            raise error("no")
        return 0.0

    with pytest.raises(error, match="no"):
        sensitivity(model, metric, levels=(0.5, 0.9))
    assert bits(model) == before and model.training


class Allocations(TorchDispatchMode):
    """Follows the bytes of what operations make, as long as it lives; small tensors are left out."""

    def __init__(self, smallest: int, known: list[torch.Tensor]) -> None:
        super().__init__()
        self.smallest, self.alive, self.most = smallest, 0, 0
        self.seen = {tensor.data_ptr() for tensor in known}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            storage = tensor.untyped_storage() if isinstance(tensor, torch.Tensor) else None
            if storage is not None and storage.nbytes() >= self.smallest and storage.data_ptr() not in self.seen:
                self.seen.add(storage.data_ptr())
                self._change(storage.nbytes())
                weakref.finalize(storage, self._forget, storage.nbytes(), storage.data_ptr())
        return out

    def _change(self, size: int) -> None:
        self.alive += size
        self.most = max(self.most, self.alive)

    def _forget(self, size: int, place: int) -> None:
        self.alive -= size
        self.seen.discard(place)


@pytest.mark.usefixtures("kernels")
def test_no_more_than_a_copy_and_a_mask_of_one_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranking counts in tables of 512 kB, whatever the size of the tensor, or in pieces; they are left out here."""
    monkeypatch.setattr("prunus._pieces.CHUNK", 1 << 16)
    model = nn.Sequential(*(nn.Linear(1024, 1024, bias=False) for _ in range(2)))
    size, mask = 4 << 20, 1 << 20
    while_judged: list[int] = []
    with Allocations(mask, list(model.parameters())) as found:
        sensitivity(model, lambda model: while_judged.append(found.alive) or 0.0, levels=(0.5, 0.9))
    assert while_judged[0] == 0 and max(while_judged) <= size + mask
    assert size <= found.most <= size + 2 * mask


def test_the_seed_alone_says_what_a_metric_draws() -> None:
    model, drawn = net(), []
    for seed, before in ((1, 5), (1, 6), (2, 6)):
        torch.manual_seed(before)
        drawn.append(sensitivity(model, drawing, levels=(0.5,), seed=seed).curve("0.weight", "drawn"))
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_metric_that_changes_the_model_is_refused() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    with pytest.raises(RunError, match="1.num_batches_tracked.*evaluate with model.eval()"):
        sensitivity(model, lambda model: model(torch.ones(2, 4)).sum(), levels=(0.5,))

    def trains(model: nn.Module) -> float:
        with torch.no_grad():
            model[0].weight.add_(1)
        return 0.0

    with pytest.raises(RunError, match=r"the metric changed 0\.weight"):
        sensitivity(net(), trains, levels=(0.5,))


def test_a_metric_that_adds_to_the_gradients_that_are_ranked_is_refused() -> None:
    model = net()
    with pytest.raises(RunError, match="needs gradients, which 0.weight, 2.weight lacks: call loss.backward"):
        sensitivity(model, total, criterion=Gradient(), levels=(0.5,))
    model(INPUTS).sum().backward()

    def backward(model: nn.Module) -> float:
        model(INPUTS).sum().backward()
        return 0.0

    with pytest.raises(RunError, match="the gradient of 0.weight"):
        sensitivity(model, backward, criterion=Gradient(), levels=(0.5,))


def test_every_evaluation_draws_the_same_and_the_callers_generator_stays() -> None:
    model = net()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    scan = sensitivity(model, drawing, levels=(0.5, 0.9), seed=4)
    assert torch.equal(torch.rand(2), expected)
    assert {row.metrics["drawn"] for row in scan.rows} == {scan.dense["drawn"]}


def test_workers_give_the_same_figures_in_the_same_order() -> None:
    model = net()
    model(INPUTS).sum().backward()
    settings = {"levels": (0.5, 0.9), "criterion": Gradient(), "seed": 2}
    one = sensitivity(model, drawing, **settings)
    seen: list[tuple[int, int, str]] = []
    two = sensitivity(model, where, workers=2, watch=lambda *now: seen.append((*now[:2], now[2].target)), **settings)
    assert os.getpid() not in {row.metrics.pop("process") for row in two.rows}
    assert one.rows == two.rows
    assert seen == [(1, 4, "0.weight"), (2, 4, "0.weight"), (3, 4, "2.weight"), (4, 4, "2.weight")]


def test_a_worker_that_dies_is_reported() -> None:
    with pytest.raises(RunError, match="a worker process ended before its work was done"):
        sensitivity(net(), ends, levels=(0.5,), workers=1)


def test_what_cannot_travel_is_named_before_a_process_starts() -> None:
    with pytest.raises(SettingError, match="can be pickled, .* no lambda: .*lambda"):
        sensitivity(net(), lambda model: 0.0, levels=(0.5,), workers=2)


def test_a_scan_that_was_killed_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    model, file, levels = net(), tmp_path / "far" / "down" / "scan.csv", (0.3, 0.6, 0.9)
    whole = sensitivity(model, drawing, levels=levels, csv=file)
    text = file.read_bytes()
    for length in [0, 5, *range(len(text) // 3, len(text), len(text) // 7), len(text)]:  # a kill at any byte
        file.write_bytes(text[:length])
        counter = Counting()

        def metric(model: nn.Module, counter: Counting = counter) -> dict[str, float]:
            counter(model)
            return drawing(model)

        assert sensitivity(model, metric, levels=levels, csv=file, resume=True) == whole
        assert file.read_bytes() == text
        complete = max(0, text[:length].count(b"\n") - 2)  # a head and the dense model come first
        assert counter.calls == 1 + 6 - complete


def test_a_file_takes_more_levels_and_targets(tmp_path: Path) -> None:
    model, file = net(), tmp_path / "scan.csv"
    sensitivity(model, total, levels=(0.5,), select=Select(("0.weight",)), csv=file)
    seen: list[tuple[int, int]] = []
    watch = lambda done, total, reading: seen.append((done, total))  # noqa: E731
    scan = sensitivity(model, total, levels=(0.5, 0.9), csv=file, resume=True, watch=watch)
    assert scan == sensitivity(model, total, levels=(0.5, 0.9)) and seen == [(2, 4), (3, 4), (4, 4)]
    assert file.read_text().count("\n") == 2 + 4


def test_a_file_of_another_scan_is_refused_with_every_difference(tmp_path: Path) -> None:
    file = tmp_path / "scan.csv"
    sensitivity(net(), total, levels=(0.5,), csv=file)
    before = file.read_bytes()
    with pytest.raises(SettingError, match="exists: pass resume=True"):
        sensitivity(net(), total, levels=(0.5,), csv=file)
    with pytest.raises(SettingError) as caught:
        sensitivity(net(), total, levels=(0.5,), csv=file, resume=True, structure=Row(), criterion=Random(), seed=1)
    for word in ("structure is Element(), now it is Row()", "criterion is Magnitude", "seed is 0, now it is 1"):
        assert str(caught.value).count(word) == 1  # though every row says it
    other = net()
    with torch.no_grad():
        other[2].bias[0] += 1e-3  # not a target, and yet another model
    with pytest.raises(SettingError, match="its model is .*\n.*metric of the dense model is"):
        sensitivity(other, total, levels=(0.5,), csv=file, resume=True)
    with pytest.raises(SettingError, match="its metric of the dense model is .*, now it is 2.0"):
        sensitivity(net(), lambda model: 2.0, levels=(0.5,), csv=file, resume=True)
    with pytest.raises(SettingError, match="its columns are"):
        sensitivity(net(), drawing, levels=(0.5,), csv=file, resume=True)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b'"never closed\n', b"a,b\n", b"\n", b"x\0y\n"])
def test_a_file_that_is_something_else_is_refused_and_kept(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "thesis.csv"
    file.write_bytes(content)
    with pytest.raises(SettingError, match="thesis.csv"):
        sensitivity(net(), total, levels=(0.5,), csv=file, resume=True)
    assert file.read_bytes() == content


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "scan.csv"
    sensitivity(net(), total, levels=(0.5,), csv=file)
    file.write_text(file.read_text() + "0.weight,much\n")
    with pytest.raises(SettingError, match="line 5 cannot be read"):
        sensitivity(net(), total, levels=(0.5,), csv=file, resume=True)


def test_figures_come_back_from_the_file_to_the_last_bit(tmp_path: Path) -> None:
    odd = iter([0.1 + 0.2, math.nan, 1e-310, math.inf, -0.0])
    file, values = tmp_path / "scan.csv", {}

    def metric(model: nn.Module) -> float:
        key = float(model[0].weight.detach().abs().sum()), float(model[2].weight.detach().abs().sum())
        return values.setdefault(key, next(odd, 0.0))

    one = sensitivity(net(), metric, levels=(0.5, 0.9), csv=file)
    two = sensitivity(net(), metric, levels=(0.5, 0.9), csv=file, resume=True)
    assert repr(one) == repr(two) and "nan" in repr(one)


def test_a_shared_weight_is_one_target() -> None:
    scan = sensitivity(Tied(), lambda model: 0.0, levels=(0.5,))
    assert scan.targets == ("embed.weight", "body.weight") and scan.weights == 12 * 6 + 36


def test_n_m_has_one_level() -> None:
    scan = sensitivity(net(), total, structure=NM(2, 4))
    assert {row.level for row in scan.rows} == {0.5} and scan.rows[0].pruned == 64
    with pytest.raises(SettingError, match=r"NM\(n=2, m=4\) is sparsity 0.5 and no other"):
        sensitivity(net(), total, structure=NM(2, 4), levels=(0.5, 0.75))


def test_a_layer_is_gone_at_one_and_whole_below() -> None:
    assert [row.pruned for row in sensitivity(net(), total, structure=Layer(), levels=(0.9, 1.0)).rows] == [0, 1, 0, 1]


WRONG_LEVELS = [
    (),
    (0.0, 0.5),
    (0.5, 0.5),
    (1.5,),
    (90,),
    ("0.5",),
    (math.nan,),
    0.5,
    "0.5",
    (True,),
    (torch.tensor(0.5),),
]


@pytest.mark.parametrize("levels", WRONG_LEVELS, ids=repr)
def test_levels_are_different_fractions(levels: object) -> None:
    with pytest.raises(SettingError, match="levels is"):
        sensitivity(net(), total, levels=levels)  # type: ignore[arg-type]


@pytest.mark.parametrize("found", ["0.5", None, {}, {"a": "b"}, {1: 0.5}, torch.ones(2), [0.5], True], ids=repr)
def test_a_metric_returns_numbers(found: object) -> None:
    with pytest.raises(RunError, match="expected a number, or numbers by name"):
        sensitivity(net(), lambda model: found, levels=(0.5,))  # type: ignore[arg-type, return-value]


def test_a_metric_returns_the_same_names_every_time_and_none_of_a_column(tmp_path: Path) -> None:
    names = iter(["a", "a", "b"])
    with pytest.raises(RunError, match="the metric returned b for 2.weight, but a for the dense model"):
        sensitivity(net(), lambda model: {next(names): 1.0}, levels=(0.5,))
    with pytest.raises(SettingError, match="'level' has the name of a column"):
        sensitivity(net(), lambda model: {"level": 1.0}, levels=(0.5,), csv=tmp_path / "scan.csv")
    order = itertools.cycle([{"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}])
    scan = sensitivity(net(), lambda model: next(order), levels=(0.5,), csv=tmp_path / "scan.csv")
    assert scan.named() == "a" and (tmp_path / "scan.csv").read_text().count(",1.0,2.0\n") == 3


def test_wrong_settings_are_refused_before_any_evaluation(tmp_path: Path) -> None:
    counter = Counting()
    wrong: list[tuple[type[Exception], str, dict[str, object]]] = [
        (SettingError, "seed is", {"seed": -1}),
        (SettingError, "workers is", {"workers": 0.5}),
        (SettingError, "no csv file", {"resume": True}),
        (SelectionError, "Did you mean '0.weight'", {"select": Select(("0.weigth",))}),
        (StructureError, "0.weight.*\n.*2.weight", {"structure": Block(3, 3)}),
    ]
    for error, match, settings in wrong:
        with pytest.raises(error, match=match):
            sensitivity(net(), counter, **settings)  # type: ignore[arg-type]
    assert counter.calls == 0


def test_names_of_targets_and_metrics_are_offered() -> None:
    scan = Sensitivity({"loss": 1.0}, (Reading("fc.weight", 0.5, 1, 2, 2, {"loss": 2.0}),))
    with pytest.raises(SettingError, match=r"Did you mean 'fc\.weight'"):
        scan.of("fc.weigth")
    with pytest.raises(SettingError, match="Did you mean 'loss'"):
        scan.curve("fc.weight", "los")


def test_half_precision_and_channels_last_are_put_back() -> None:
    model = nn.Sequential(nn.Conv2d(4, 8, 3)).to(torch.bfloat16).to(memory_format=torch.channels_last)
    before, strides = model[0].weight.detach().clone(), model[0].weight.stride()
    scan = sensitivity(model, lambda model: float((model[0].weight == 0).sum()), levels=(0.5,), structure=Filter())
    assert scan.rows[0].metrics["metric"] == 144 and torch.equal(model[0].weight, before)
    assert model[0].weight.stride() == strides
