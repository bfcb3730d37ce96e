"""Every way of computing a step gives the same step: one native call, a compiled kernel, lists, or a loop."""

from __future__ import annotations

import copy
import warnings
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import Parameter

from prunus import _native
from prunus._native import library, stepping
from prunus.errors import CheckpointError, SettingError
from prunus.optim import AdaBreg, LinBreg, ProxSGD, _compiled
from prunus.optim._fused import KINDS
from prunus.optim._layout import memory_grid
from prunus.regularizers import (
    REGULARIZERS,
    GroupLasso,
    RegL1,
    RegL1L2,
    RegL1L2Conv,
    RegL1Pos,
    RegNone,
)
from prunus.structures import Block, Channel, Column, Element, Filter, Kernel, Layer, Row
from tests.laws.optim import law_follows_its_twin, law_resumes_bit_equal, through_a_file
from tests.twins.optim import TWINS

needs_native = pytest.mark.skipif(not _native.available(), reason=f"no native kernels: {_native.why_not()}")
MEMBERS = {
    "adabreg": (AdaBreg, {"lr": 0.05, "delta": 2.0, "betas": (0.5, 0.9), "weight_decay": 0.3}),
    "adabreg-still": (AdaBreg, {"lr": 0.05, "betas": (0.0, 0.0), "lambda_change": "keep_survivors"}),
    "linbreg": (LinBreg, {"lr": 0.1, "delta": 0.5}),
    "linbreg-momentum": (LinBreg, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3}),
    "proxsgd": (ProxSGD, {"lr": 0.1, "weight_decay": 0.3}),
}
GROUPED = [GroupLasso(0.05, structure) for structure in (Row(), Column(), Filter(), Channel(), Layer(), Block(2, 2))]
REGS = [RegNone(), RegL1(0.1), RegL1Pos(0.1), RegL1(0.0), RegL1Pos(0.0), RegL1L2(0.05), *GROUPED]
every_member = pytest.mark.parametrize(("member", "rule"), MEMBERS.values(), ids=MEMBERS)


def bowl(params: list[Parameter], step: int) -> None:
    dice = torch.Generator().manual_seed(step)
    for p in params:
        p.grad = (p.detach() - torch.randn(p.shape, generator=dice)).to(p.dtype)


def run(
    member, rule, reg, starts, implementation: str, steps: int = 6
) -> tuple[list[Parameter], torch.optim.Optimizer]:
    """Train copies of the starts, the last of which joins two steps later; λ moves on the way."""
    params = [Parameter(start.clone(memory_format=torch.preserve_format)) for start in starts]
    optimizer = member(params, reg=copy.deepcopy(reg), implementation=implementation, **rule)
    for step in range(steps):
        bowl(params[:-1] if step < 2 else params, step)
        optimizer.param_groups[0]["reg"].lamda *= 1.1 if step == 3 else 1.0
        optimizer.step()
    return params, optimizer


def assert_alike(one, other, tolerance: float = 2e-6) -> None:
    (params, optimizer), (others, base) = one, other
    for p, q in zip(params, others, strict=True):
        torch.testing.assert_close(p, q, rtol=tolerance, atol=tolerance)
        assert p.stride() == q.stride() and optimizer.state[p].keys() == base.state[q].keys()
        assert optimizer.survivors(p) == int(p.count_nonzero())
    states = optimizer.state_dict()["state"], base.state_dict()["state"]
    torch.testing.assert_close(*states, rtol=tolerance, atol=tolerance)


def matrices(dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    dice = torch.Generator().manual_seed(0)
    shapes = [(4, 6), (2, 2), (40, 36), (10, 102), (6, 4)]
    full = [torch.randn(shape, generator=dice).to(dtype) for shape in shapes]
    return [*full, full[2].t().clone(memory_format=torch.preserve_format), full[0].clone()]


@needs_native
@pytest.mark.parametrize("reg", REGS, ids=repr)
@every_member
def test_fused_equals_lists_of_matrices(member, rule, reg) -> None:
    starts = matrices()
    assert_alike(run(member, rule, reg, starts, "fused"), run(member, rule, reg, starts, "foreach"))


def kernels() -> list[torch.Tensor]:
    dice = torch.Generator().manual_seed(0)
    shapes = [(4, 3, 3, 3), (70, 2, 3), (5, 30, 5, 5), (2, 3, 9, 9), (16, 8, 1, 1), (12, 12, 3, 3)]
    full = [torch.randn(shape, generator=dice) for shape in shapes]
    return [*full, *(w.to(memory_format=torch.channels_last) for w in full if w.dim() == 4), full[0].transpose(0, 1)]


@needs_native
@pytest.mark.parametrize("structure", [Kernel(), Filter(), Channel(), Layer(), Element()], ids=repr)
@every_member
def test_fused_equals_lists_of_kernels(member, rule, structure) -> None:
    reg, starts = GroupLasso(0.05, structure), kernels()
    assert_alike(run(member, rule, reg, starts, "fused"), run(member, rule, reg, starts, "foreach"))


@needs_native
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("structure", "shape"),
    [
        (Layer(), (300_007,)),
        (Column(), (600, 501)),
        (Row(), (3, 150_000)),
        (Column(), (90, 4001)),
        (Row(), (40, 999)),
        (Channel(), (300, 130, 3, 3)),
        (Channel(), (60, 1001, 1, 5)),
    ],
    ids=str,
)
def test_fused_shares_large_tensors_among_threads(structure, shape, threads) -> None:
    """What is cut into chunks adds up to the same bits, however many threads take them."""
    start = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    reg = GroupLasso(0.01, structure)
    base = run(AdaBreg, {"lr": 0.05}, reg, [start, start], "foreach", steps=3)
    alone = run(AdaBreg, {"lr": 0.05}, reg, [start, start], "fused", steps=3)
    torch.set_num_threads(threads)
    try:
        shared = run(AdaBreg, {"lr": 0.05}, reg, [start, start], "fused", steps=3)
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(p, q) for p, q in zip(alone[0], shared[0], strict=True))
    assert_alike(shared, base, 1e-5)


@needs_native
@pytest.mark.parametrize("member", [AdaBreg, LinBreg, ProxSGD])
def test_fused_writes_past_the_caches_what_outgrows_them(member, monkeypatch) -> None:
    monkeypatch.setattr(stepping, "last_cache", lambda: 0)
    starts = [torch.randn(200, 103), torch.randn(10_007, 3)[1:], torch.randn(3, 3)]
    for reg in (RegL1(0.1), GroupLasso(0.01, Layer()), GroupLasso(0.01, Column())):
        assert_alike(run(member, {}, reg, starts, "fused", 3), run(member, {}, reg, starts, "foreach", 3), 1e-5)


@needs_native
def test_the_last_cache_is_that_of_one_core(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(library, "CACHES", tmp_path)
    assert library.last_cache.__wrapped__() == 1 << 25
    for place, size in enumerate(("32K", "1024K", "32768K")):
        (tmp_path / f"index{place}").mkdir()
        (tmp_path / f"index{place}" / "size").write_text(f"{size}\n")
    assert library.last_cache.__wrapped__() == 1 << 25
    (tmp_path / "index2" / "size").write_text("96M\n")
    assert library.last_cache.__wrapped__() == 96 << 20


@needs_native
@pytest.mark.parametrize("reg", [RegNone(), RegL1(0.1), RegL1L2(0.05), GroupLasso(0.05, Column())], ids=repr)
@every_member
def test_fused_bfloat16_rounds_last(member, rule, reg) -> None:
    starts = matrices(torch.bfloat16)
    if not member.has_dual and reg.structure != Element():
        with pytest.raises(SettingError, match="bfloat16, which cannot hold ProxSGD's step"):
            run(member, rule, reg, starts, "fused")
        return
    assert_alike(run(member, rule, reg, starts, "fused"), run(member, rule, reg, starts, "foreach"), 2**-7)


@needs_native
@pytest.mark.parametrize("reg", [RegNone(), RegL1(0.1), RegL1Pos(0.1), GroupLasso(0.1, Layer())], ids=repr)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 0.0, -0.0])
def test_fused_treats_the_ends_of_the_number_line_as_lists_do(reg, value) -> None:
    results = []
    for implementation in ("fused", "foreach"):
        p = Parameter(torch.tensor([1.0, -1.0, 0.0, -0.0, 0.3]))
        optimizer = LinBreg([p], lr=1.0, reg=copy.deepcopy(reg), implementation=implementation)
        p.grad = torch.tensor([value, 0.0, value, 0.0, 0.0])
        optimizer.step()
        results.append(p.detach())
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-6, equal_nan=True)
    zeros = [result == 0 for result in results]
    assert isinstance(reg, RegNone) or not torch.signbit(results[0][zeros[0]]).any()


@needs_native
@pytest.mark.parametrize("name", REGULARIZERS)
@pytest.mark.parametrize("member", ["adabreg", "linbreg", "proxsgd"])
def test_fused_follows_the_twin_and_keeps_the_laws(member, name) -> None:
    kind, (of, _) = REGULARIZERS[name], MEMBERS[member]
    rule = {"lr": 0.05, "implementation": "fused"}
    if kind not in KINDS:
        with pytest.raises(SettingError, match=f"{kind.__name__} has no native form"):
            of([Parameter(torch.ones(2))], reg=kind(0.2), **rule)
        return
    law_follows_its_twin(of, TWINS[member], partial(kind, 0.2), rule, torch.float32)
    law_resumes_bit_equal(of, partial(kind, 0.2), rule)


def test_every_regularizer_but_the_random_one_has_a_native_form() -> None:
    assert set(REGULARIZERS.values()) & set(KINDS) >= {GroupLasso, RegL1, RegL1L2, RegL1L2Conv, RegL1Pos, RegNone}


REFUSED = [
    (torch.zeros(3, dtype=torch.float64), RegL1(), "it is torch.float64, and the native step takes float32 and bfloat"),
    (torch.zeros(3, 4)[:, ::2], RegL1(), "its memory has gaps"),
    (
        torch.zeros(4, 4, 4, 4).to(memory_format=torch.channels_last),
        GroupLasso(1.0, Block(2, 2)),
        "the groups of Block",
    ),
    (torch.zeros(3, device="meta"), RegL1(), "it lies on meta"),
]


@needs_native
@pytest.mark.parametrize(("start", "reg", "message"), REFUSED)
def test_fused_says_why_it_cannot_and_auto_goes_another_way(start, reg, message) -> None:
    with pytest.raises(
        SettingError, match=f'parameter 0 of group 0 cannot be stepped by implementation="fused": {message}'
    ):
        AdaBreg([Parameter(start)], reg=reg, implementation="fused")
    p = Parameter(start)
    p.grad = torch.zeros_like(start)
    AdaBreg([p], reg=copy.deepcopy(reg)).step()


def test_without_kernels_fused_says_so_and_auto_does_without(monkeypatch) -> None:
    monkeypatch.setattr(_native, "available", lambda: False)
    monkeypatch.setattr(_native, "why_not", lambda: "no C compiler is found")
    with pytest.raises(SettingError, match="no C compiler is found"):
        LinBreg([Parameter(torch.ones(3))], implementation="fused")
    auto = run(LinBreg, {}, RegL1(0.1), matrices(), "auto")
    base = run(LinBreg, {}, RegL1(0.1), matrices(), "foreach")
    assert all(torch.equal(p, q) for p, q in zip(auto[0], base[0], strict=True))


@needs_native
def test_a_parameter_that_became_unfit_is_refused_before_anything_moves() -> None:
    p, q = (Parameter(torch.ones(3)) for _ in range(2))
    optimizer = LinBreg([{"params": [p]}, {"params": [q]}], lr=1.0, implementation="fused")
    q.data = q.data.double()
    p.grad, q.grad = torch.ones(3), torch.ones(3, dtype=torch.float64)
    with pytest.raises(SettingError, match="parameter 0 of group 1 .*float64"):
        optimizer.step()
    assert p.tolist() == [1.0] * 3 and not optimizer.state[p]


class Reversed(LinBreg):
    """A formula of its own, which the native step of its base would not follow."""

    def _update_(self, params, grads, states, group) -> None:
        super()._update_(params, [-g for g in grads], states, group)


def test_a_subclass_with_a_formula_of_its_own_is_not_fused() -> None:
    p = Parameter(torch.ones(3))
    optimizer = Reversed([p], lr=1.0)
    p.grad = torch.ones(3)
    optimizer.step()
    assert p.tolist() == [2.0] * 3
    with pytest.raises(SettingError, match="Reversed has no native form"):
        Reversed([Parameter(torch.ones(3))], implementation="fused")


@needs_native
def test_the_table_follows_every_move() -> None:
    """New storage, new states, other gradients' layouts, other regularizers: the step is that of lists."""
    results = []
    for implementation in ("auto", "foreach"):
        p = Parameter(torch.linspace(-1, 1, 24).view(4, 6))
        optimizer = AdaBreg([p], lr=0.05, reg=RegL1(0.1), implementation=implementation)
        for change in (0, 1, 2, 3, 4, 5):
            if change == 1:
                p.data = p.data.clone()
            if change == 2:
                optimizer.load_state_dict(through_a_file(optimizer.state_dict()))
            if change == 3:
                optimizer.param_groups[0]["reg"] = RegL1L2(0.05)
            if change == 4:
                p.data = p.data.t().contiguous().t()
            if change == 5:
                optimizer.state[p]["exp_avg"] = optimizer.state[p]["exp_avg"].clone()
            bowl([p], change)
            p.grad = p.grad.t().contiguous().t() if change % 2 else p.grad
            optimizer.step()
        results.append((p.detach(), optimizer.state[p]))
    torch.testing.assert_close(*results, rtol=2e-6, atol=2e-6, check_stride=False)


@needs_native
def test_a_state_of_the_wrong_kind_is_refused() -> None:
    p = Parameter(torch.ones(3))
    optimizer = LinBreg([p], implementation="fused")
    optimizer.state[p] = {"step": 0, "sub_grad": torch.ones(4)}
    p.grad = torch.ones(3)
    with pytest.raises(
        CheckpointError, match=r"the state sub_grad is torch.float32 \[4\] on cpu, expected torch.float32 \[3\]"
    ):
        optimizer.step()


def test_survivors_are_known_until_somebody_touches_the_weight() -> None:
    p, idle = Parameter(torch.tensor([1.0, 0.01, -1.0])), Parameter(torch.tensor([0.0, 2.0]))
    optimizer = LinBreg([p, idle], lr=0.1, reg=RegL1(0.5))
    assert (optimizer.survivors(p), optimizer.survivors(idle)) == (3, 1)
    p.grad = torch.tensor([0.0, 10.0, 0.0])
    optimizer.step()
    assert optimizer.survivors(p) == int(p.count_nonzero())
    with torch.no_grad():
        p.zero_()
    assert optimizer.survivors(p) == 0
    assert copy.deepcopy(optimizer).param_groups[0]["params"][0].count_nonzero() == 0


@needs_native
def test_autograd_hears_of_a_fused_step() -> None:
    layer = nn.Linear(3, 2)
    optimizer = LinBreg(layer.parameters(), implementation="fused")
    layer(torch.ones(1, 3)).sum().backward()
    loss = (layer.weight**2).sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_states_go_from_one_implementation_to_another() -> None:
    ways = ["auto", "foreach", "loop", "auto"]
    p = Parameter(torch.linspace(-1, 1, 24).view(4, 6))
    q = Parameter(p.detach().clone())
    base, state = AdaBreg([q], lr=0.05, reg=RegL1(0.1), implementation="foreach"), None
    for step, way in enumerate(ways):
        optimizer = AdaBreg([p], lr=0.05, reg=RegL1(0.1), implementation=way)
        if state:
            optimizer.load_state_dict(state)
        for params in ([p], [q]):
            bowl(params, step)
        optimizer.step()
        base.step()
        state = through_a_file(optimizer.state_dict())
    torch.testing.assert_close(p, q, rtol=2e-6, atol=2e-6)
    torch.testing.assert_close(state["state"], base.state_dict()["state"], rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("reg", [RegNone(), RegL1(0.1), RegL1Pos(0.1), RegL1L2(0.05)], ids=repr)
@every_member
def test_compiled_equals_lists(member, rule, reg, monkeypatch) -> None:
    """The kernel's maths, its batches and what it leaves to lists; the compiler itself takes too long."""
    monkeypatch.setattr(_compiled, "BACKEND", "eager")
    monkeypatch.setattr(_compiled.torch, "compile", lambda kernel, **_: kernel)
    _compiled._compiled.cache_clear()
    starts = [*matrices(), torch.randn(3, 4)[:, ::2], torch.randn(1, 1)]
    assert_alike(run(member, rule, reg, starts, "compiled"), run(member, rule, reg, starts, "foreach"))
    _compiled._compiled.cache_clear()


def test_compiled_compiles_once_for_all_shapes(monkeypatch) -> None:
    compiles = []

    def counting(graph, inputs):
        compiles.append(graph)
        return graph.forward

    monkeypatch.setattr(_compiled, "BACKEND", counting)
    _compiled._compiled.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for starts in (matrices(), [torch.randn(100, 3), torch.randn(7)]):
            run(ProxSGD, {}, RegL1(0.1), starts, "compiled", steps=3)
    assert len(compiles) == 1
    _compiled._compiled.cache_clear()


def test_compiled_compiles_once_more_for_another_number_of_threads(monkeypatch) -> None:
    calls = []

    def counting(graph, inputs):
        calls.append(graph)
        return graph.forward

    monkeypatch.setattr(_compiled, "BACKEND", counting)
    _compiled._compiled.cache_clear()
    before = torch.get_num_threads()
    try:
        for threads in (2, 1, 2, 1):
            torch.set_num_threads(threads)
            for shapes in ([(4, 4)] * 9, [(4, 4), (5,), (5,), (2, 3)], [(5,), (64, 64)] * 6, [(2048, 64)] * 8):
                weights = [torch.ones(shape, requires_grad=True) for shape in shapes]
                for weight in weights:
                    weight.grad = torch.ones_like(weight)
                AdaBreg(weights, lr=0.1, reg=RegL1(0.01), implementation="compiled").step()
    finally:
        torch.set_num_threads(before)
        _compiled._compiled.cache_clear()
    assert len(calls) == 2


def test_grids_of_memory_are_those_of_the_structure() -> None:
    """Walking the memory by the grid finds the same groups as splitting the weight."""
    for weight in (*matrices(), *kernels()):
        for structure in (Row(), Column(), Filter(), Channel(), Kernel(), Layer(), Block(2, 2), Element()):
            if structure.misfit(weight.shape) is None and (grid := memory_grid(structure, weight)):
                flat = torch.arange(weight.numel()).as_strided(weight.shape, weight.stride())
                outer, between, groups, inner = grid
                place = torch.arange(weight.numel()).view(grid)
                mine = place.transpose(1, 2).reshape(outer * groups, between * inner)
                theirs = structure.split(flat)
                assert {frozenset(row) for row in mine.tolist()} == {frozenset(row) for row in theirs.tolist()}


def test_conv_regularizers_share_the_grid_of_their_structure() -> None:
    weight = torch.randn(8, 4, 3, 3)
    assert memory_grid(RegL1L2Conv().structure, weight) == memory_grid(Kernel(), weight) == (32, 1, 1, 9)
