"""What every Bregman optimizer keeps to. ``member`` is a class, ``make_reg`` builds a regularizer."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from prunus.errors import NoEffect, StructureError

ANYWHERE = ("foreach", "loop")
"""Implementations that take every dtype and device; tests/optim/test_implementations.py is about the others."""

SHAPES = ((4, 3), (3, 2, 2, 2), (5,), (2, 3, 2), (0, 4))


def fitting(reg) -> list[tuple[int, ...]]:
    """Return the shapes a regularizer accepts, by asking it."""

    def fits(shape: tuple[int, ...]) -> bool:
        try:
            reg.radius(shape)
        except StructureError:
            return False
        return True

    return [shape for shape in SHAPES if fits(shape)]


def starts(reg, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Return a start for each fitting shape, half of it zero."""
    dice = torch.Generator().manual_seed(0)
    full = [torch.randn(shape, generator=dice, dtype=torch.float64) for shape in fitting(reg)]
    return [(w * (torch.rand(w.shape, generator=dice) < 0.5)).to(dtype) for w in full]


def pull(theta: Tensor, step: int) -> Tensor:
    """Return the gradient of a noisy quadratic, a pure function of place and step."""
    return theta - anchor(theta.shape, theta.dtype, step)


@cache
def anchor(shape: torch.Size, dtype: torch.dtype, step: int) -> Tensor:
    place = torch.arange(shape.numel(), dtype=torch.float64).view(shape)
    return (torch.sin(place) - 0.5 * torch.cos(3 * place + step)).to(dtype)


def train(optimizer, params: list[Tensor], steps: range, gradient: Callable[[Tensor, int], Tensor] = pull) -> None:
    for step in steps:
        for p in params:
            p.grad = gradient(p.detach(), step)
        optimizer.step()


def through_a_file(state: Any) -> Any:
    """Return what a strict load gives back after a save."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def parameters(reg, dtype: torch.dtype = torch.float64) -> list[Parameter]:
    return [Parameter(w.clone()) for w in starts(reg, dtype)]


def law_follows_its_twin(
    member, twin: Callable[..., Iterator[Tensor]], make_reg, settings: dict, dtype=torch.float64
) -> None:
    """100 steps agree with the float64 loops to 1e-12, or in float32 to its rounding."""
    tolerance = 1e-12 if dtype == torch.float64 else 2e-4
    rule = tuple((key, value) for key, value in settings.items() if key != "implementation")
    params = [Parameter(start.to(dtype)) for start in starts(make_reg())]
    paths: list[list[Tensor]] = [[] for _ in params]
    # One group each, so that a random regularizer tosses its coins for one parameter as its twin does.
    optimizer = member([{"params": [p], "reg": make_reg()} for p in params], **settings)
    for step in range(100):
        train(optimizer, params, range(step, step + 1))
        for p, path in zip(params, paths, strict=True):
            path.append(p.detach().clone())
    for index, path in enumerate(paths):
        expected = trajectory(twin, make_reg, rule, index)
        torch.testing.assert_close(torch.stack(path).double(), expected, rtol=tolerance, atol=tolerance)


@cache
def trajectory(twin: Callable[..., Iterator[Tensor]], make_reg, rule: tuple, index: int) -> Tensor:
    """Return a twin's first 100 places from one of the starts; the same for every dtype and implementation."""
    run = twin(starts(make_reg())[index], pull, make_reg(), **dict(rule))
    return torch.stack(list(islice(run, 100)))


def wandering(step: int) -> float:
    """Return a λ that stands, jumps, rises, falls to nothing and comes back."""
    return (0.2, 0.2, 0.5, 0.55, 0.3, 0.0, 0.1)[step % 7]


def law_follows_its_twin_while_lambda_moves(member, twin: Callable[..., Iterator[Tensor]], make_reg, settings) -> None:
    """14 steps agree with the float64 loops to 1e-12 though λ is another at most of them."""
    rule = {key: value for key, value in settings.items() if key != "implementation"}
    for start in starts(make_reg()):
        p, reg = Parameter(start.clone()), make_reg()
        optimizer = member([{"params": [p], "reg": reg}], **settings)
        expected = twin(start, pull, make_reg(), lambdas=wandering, **rule)
        for step in range(14):
            reg.lamda = wandering(step)
            train(optimizer, [p], range(step, step + 1))
            torch.testing.assert_close(p.detach(), next(expected), rtol=1e-12, atol=1e-12)


def law_survivors_stay(member, make_reg, settings: dict) -> None:
    """Under "keep_survivors" a λ that moves leaves every survivor where it is, and kills none while it rises."""
    params = parameters(make_reg())
    for p in params:
        p.data.abs_()  # within reach of every regularizer
    optimizer = member(params, reg=make_reg(), **{**settings, "lambda_change": "keep_survivors"})
    train(optimizer, params, range(1), lambda theta, step: torch.zeros_like(theta))
    before = [p.detach().clone() for p in params]
    for lamda in (0.7, 0.3, 2.0, 0.25):
        optimizer.param_groups[0]["reg"].lamda = lamda
        train(optimizer, params, range(1), lambda theta, step: torch.zeros_like(theta))
        for p, start in zip(params, before, strict=True):
            torch.testing.assert_close(p.detach(), start, rtol=1e-12, atol=1e-12)


def law_skips_what_is_not_finite(member, make_reg, settings: dict) -> None:
    """Under "skip" a parameter with a bad gradient keeps weight, state and step count; its neighbours step as ever."""
    bad, good, alone = (Parameter(starts(make_reg(), torch.float32)[0].clone()) for _ in range(3))
    optimizer = member([bad, good], reg=make_reg(), nonfinite="skip", **settings)
    reference = member([alone], reg=make_reg(), **settings)
    train(optimizer, [bad, good], range(2))
    train(reference, [alone], range(2))
    weight, state = bad.detach().clone(), copy.deepcopy(optimizer.state[bad])
    for step, poison in enumerate((float("nan"), float("inf"), -float("inf")), 2):
        for p in (bad, good, alone):
            p.grad = pull(p.detach(), step)
        bad.grad[-1, -1] = poison
        with pytest.warns(NoEffect, match="parameter 0 of group 0 held NaN or infinity"):
            optimizer.step()
        reference.step()
    assert torch.equal(bad, weight) and torch.equal(good, alone) and optimizer.state[good]["step"] == 5
    torch.testing.assert_close(optimizer.state[bad], state, rtol=0, atol=0)


def law_overflows_change_nothing(member, make_reg, settings: dict) -> None:
    """A GradScaler unscales before the dual moves; a step it skips leaves weights, duals and step counts alone."""
    scaled, plain = (Parameter(starts(make_reg(), torch.float32)[0].clone()) for _ in range(2))
    optimizer, reference = (member([p], reg=make_reg(), **settings) for p in (scaled, plain))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for factor in (1.0, 1.0, float("inf"), 1.0):
        before = copy.deepcopy(optimizer.state_dict()), scaled.detach().clone()
        for p in (scaled, plain):
            p.grad = None
        scaler.scale(factor * (scaled - 0.5).square().sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        if factor == 1.0:
            (plain - 0.5).square().sum().backward()
            reference.step()
        else:
            assert torch.equal(scaled, before[1])
            torch.testing.assert_close(optimizer.state_dict()["state"], before[0]["state"], rtol=0, atol=0)
        assert torch.equal(scaled, plain)  # the scales are powers of two


def law_implementations_agree(member, make_reg, settings: dict) -> None:
    """foreach and loop give the same bits on a CPU."""
    results = []
    for implementation in ("foreach", "loop"):
        params = parameters(make_reg(), torch.float32)
        train(member(params, reg=make_reg(), implementation=implementation, **settings), params, range(20))
        results.append(params)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def law_resumes_bit_equal(member, make_reg, settings: dict, dtype=torch.float32) -> None:
    """Stop, save, load with weights_only, go on: as if never stopped. λ comes back, regularizers stay themselves."""
    params = parameters(make_reg(), dtype)
    optimizer = member(params, reg=make_reg(), **settings)
    train(optimizer, params, range(5))
    optimizer.param_groups[0]["reg"].lamda *= 1.5
    optimizer.param_groups[0]["lr"] *= 0.5
    saved, weights = through_a_file(optimizer.state_dict()), [p.detach().clone() for p in params]
    train(optimizer, params, range(5, 10))
    again = [Parameter(w) for w in weights]
    resumed = member(again, reg=make_reg(), **settings)
    live = resumed.param_groups[0]["reg"]
    resumed.load_state_dict(saved)
    assert resumed.param_groups[0]["reg"] is live, "the live regularizer was replaced"
    train(resumed, again, range(5, 10))
    assert all(torch.equal(a, b) for a, b in zip(params, again, strict=True))
    assert_same_state(optimizer, resumed)


def assert_same_state(one, other) -> None:
    left, right = one.state_dict(), other.state_dict()
    assert str(left["param_groups"]) == str(right["param_groups"])
    for key, state in left["state"].items():
        torch.testing.assert_close(state, right["state"][key], rtol=0, atol=0)


def law_load_shares_nothing(member, make_reg, settings: dict) -> None:
    """An optimizer that loaded another's state does not move that other's tensors."""
    params, other = parameters(make_reg()), parameters(make_reg())
    one, two = member(params, reg=make_reg(), **settings), member(other, reg=make_reg(), **settings)
    train(one, params, range(2))
    before = copy.deepcopy(one.state_dict())
    two.load_state_dict(one.state_dict())
    train(two, other, range(3))
    torch.testing.assert_close(one.state_dict()["state"], before["state"], rtol=0, atol=0)


def law_copies_go_their_own_way(member, make_reg, settings: dict) -> None:
    """deepcopy and pickle of (parameters, optimizer) continue as the original does, and do not touch it."""
    params = parameters(make_reg())
    optimizer = member(params, reg=make_reg(), **settings)
    train(optimizer, params, range(3))
    copies = [copy.deepcopy((params, optimizer)), pickle.loads(pickle.dumps((params, optimizer)))]
    train(optimizer, params, range(3, 6))
    for others, twin in copies:
        train(twin, others, range(3, 6))
        assert all(torch.equal(a, b) for a, b in zip(params, others, strict=True))


def law_state_is_wide(member, make_reg, settings: dict, dtype: torch.dtype) -> None:
    """Half precision runs as float32 does and rounds the weight last, also after a load; all state is float32."""
    half, full = parameters(make_reg(), dtype), [Parameter(w.float()) for w in starts(make_reg(), dtype)]
    narrow, wide = member(half, reg=make_reg(), **settings), member(full, reg=make_reg(), **settings)
    for step in range(12):
        for p, q in zip(half, full, strict=True):
            if not member.has_dual:
                q.data.copy_(p.data)
            p.grad = pull(p.detach(), step)
            q.grad = p.grad.float()
        narrow.step()
        wide.step()
        if step == 6:
            narrow.load_state_dict(through_a_file(narrow.state_dict()))
        assert all(torch.equal(p, q.to(dtype)) for p, q in zip(half, full, strict=True)), step
    floats = [v for state in narrow.state.values() for v in state.values() if isinstance(v, Tensor)]
    assert {v.dtype for v in floats} <= {torch.float32}


def law_without_gradient_nothing_happens(member, make_reg, settings: dict) -> None:
    """No gradient: no state, no prox, no step count. Frozen parameters keep their bits."""
    idle, busy, frozen = (Parameter(starts(make_reg())[0].clone()) for _ in range(3))
    frozen.requires_grad_(False)
    before = idle.detach().clone()
    optimizer = member([idle, busy, frozen], reg=make_reg(), **settings)
    train(optimizer, [busy], range(3))
    assert torch.equal(idle, before) and torch.equal(frozen, before) and not torch.equal(busy, before)
    assert idle not in optimizer.state and frozen not in optimizer.state
    busy.grad, kept = None, busy.detach().clone()
    optimizer.step()
    assert torch.equal(busy, kept) and optimizer.state[busy]["step"] == 3


def law_closure_sees_gradients(member, make_reg, settings: dict) -> None:
    """The closure runs once a step with gradients enabled, and its loss comes back."""
    params, others = parameters(make_reg()), parameters(make_reg())
    with_closure, plain = member(params, reg=make_reg(), **settings), member(others, reg=make_reg(), **settings)

    def closure() -> Tensor:
        with_closure.zero_grad()
        loss = sum(((p - 1) ** 2).sum() for p in params)
        loss.backward()
        return loss

    losses = [with_closure.step(closure) for _ in range(3)]
    train(plain, others, range(3), lambda theta, step: 2 * (theta - 1))
    assert [loss.requires_grad for loss in losses] == [True] * 3 and losses[0] > losses[-1]
    for p, q in zip(params, others, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)
    assert plain.step() is None


def law_writes_in_place(member, make_reg, settings: dict, dtype=torch.float32) -> None:
    """Storage, strides and memory format stay; views of a parameter see its new values."""
    for start in starts(make_reg(), dtype):
        formats = [start.clone(), torch.stack([start, start], dim=-1)[..., 0]]
        if start.dim() == 4:
            formats.append(start.to(memory_format=torch.channels_last))
        results = []
        for value in formats:
            p = Parameter(value)
            view, place, strides = p.detach(), p.data_ptr(), p.stride()
            train(member([p], reg=make_reg(), **settings), [p], range(4))
            assert p.data_ptr() == place and p.stride() == strides and torch.equal(view, p)
            results.append(p.detach())
        for other in results[1:]:  # group norms add up in the order of the memory
            torch.testing.assert_close(other, results[0], rtol=1e-6, atol=1e-7)


def law_accumulates(member, make_reg, settings: dict) -> None:
    """Two backward passes before a step count as one with the sum of their losses."""
    params, others = parameters(make_reg()), parameters(make_reg())
    in_parts, whole = member(params, reg=make_reg(), **settings), member(others, reg=make_reg(), **settings)
    for _ in range(4):
        in_parts.zero_grad()
        for share in (0.25, 0.75):
            sum((share * (p - 1) ** 2).sum() for p in params).backward()
        in_parts.step()
        train(whole, others, range(1), lambda theta, step: 2 * (theta - 1))
    for p, q in zip(params, others, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)


def law_groups_are_optimizers(member, make_reg, make_other, settings: dict) -> None:
    """Two groups, the second added after two steps, behave as two optimizers."""
    first, second = parameters(make_reg()), parameters(make_other())
    alone, later = copy.deepcopy(first), copy.deepcopy(second)
    together = member([{"params": first}], reg=make_reg(), **settings)
    train(together, first, range(2))
    together.add_param_group({"params": second, "reg": make_other(), "lr": 0.05})
    train(together, first + second, range(2, 5))
    train(member(alone, reg=make_reg(), **settings), alone, range(5))
    train(member(later, reg=make_other(), **{**settings, "lr": 0.05}), later, range(2, 5))
    assert all(torch.equal(a, b) for a, b in zip(first + second, alone + later, strict=True))


def law_equals_its_base(member, settings: dict, base) -> None:
    """Without a regularizer a member is a plain torch optimizer, to 1e-12 over 100 steps."""
    p, q = (Parameter(torch.linspace(-1, 1, 30, dtype=torch.float64).view(6, 5)) for _ in range(2))
    ours, theirs = member([p], **settings), base([q])
    for step in range(100):
        train(ours, [p], range(step, step + 1))
        train(theirs, [q], range(step, step + 1))
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)


def law_rest_is_rest(member, make_reg, settings: dict) -> None:
    """A zero gradient leaves the start where it is: prox(δ v0, δ) is θ0 (ask only where the regularizer is convex)."""
    params = parameters(make_reg())
    before = [p.detach().abs().clone() for p in params]
    for p, start in zip(params, before, strict=True):
        p.data.copy_(start)
    train(member(params, reg=make_reg(), **settings), params, range(3), lambda theta, step: torch.zeros_like(theta))
    for p, start in zip(params, before, strict=True):
        torch.testing.assert_close(p.detach(), start, rtol=1e-12, atol=1e-12)


def law_hooks_run(member, make_reg, settings: dict) -> None:
    """A post-step hook runs once a step, after the weights have moved."""
    params, seen = parameters(make_reg()), []
    optimizer = member(params, reg=make_reg(), **settings)
    handle = optimizer.register_step_post_hook(lambda opt, args, kwargs: seen.append(params[0].detach().clone()))
    train(optimizer, params, range(2))
    assert len(seen) == 2 and torch.equal(seen[-1], params[0])
    handle.remove()
    train(optimizer, params, range(1))
    assert len(seen) == 2


def law_schedulers_of_torch_work(member, make_reg, settings: dict) -> None:
    """torch's learning rate schedulers set group["lr"], and the next step uses it."""
    params, others = parameters(make_reg()), parameters(make_reg())
    optimizer, by_hand = member(params, reg=make_reg(), **settings), member(others, reg=make_reg(), **settings)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    for step in range(3):
        train(optimizer, params, range(step, step + 1))
        train(by_hand, others, range(step, step + 1))
        schedule.step()
        by_hand.param_groups[0]["lr"] *= 0.5
    assert all(torch.equal(a, b) for a, b in zip(params, others, strict=True))
