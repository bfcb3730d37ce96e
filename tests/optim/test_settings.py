"""Every setting of every group acts alone, and every fault is said once, all of them together."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch.nn import Parameter

from prunus.errors import CheckpointError, GradientError, NoEffect, SettingError, StructureError
from prunus.optim import OPTIMIZERS, AdaBreg, LinBreg, ProxSGD
from prunus.regularizers import RegL1, RegL1L2, RegL1L2Conv
from tests.laws.optim import ANYWHERE, pull, through_a_file, train

every_optimizer = pytest.mark.parametrize("member", OPTIMIZERS.values(), ids=OPTIMIZERS)
every_implementation = pytest.mark.parametrize("implementation", ANYWHERE)
OTHER = {
    "betas": (0.5, 0.9),
    "delta": 2.0,
    "eps": 0.5,
    "implementation": "loop",
    "lambda_change": "keep_survivors",
    "lr": 0.02,
    "momentum": 0.5,
    "nonfinite": "skip",
    "weight_decay": 0.7,
}
INERT = ("implementation", "lambda_change", "nonfinite")


def weight(*shape: int) -> Parameter:
    return Parameter(torch.linspace(-1, 1, 12, dtype=torch.float64).view(shape or (12,)).clone())


@every_optimizer
def test_every_setting_of_a_group_acts_there_and_nowhere_else(member) -> None:
    for name in member([weight()]).defaults.keys() - {"reg", "lambda_scale"}:
        here, there, alone, default = (weight() for _ in range(4))
        groups = [{"params": [here], name: OTHER[name], "name": "own"}, {"params": [there]}]
        together = member(groups, lr=0.1, reg=RegL1(0.1))
        own = member([alone], **{"lr": 0.1, "reg": RegL1(0.1), name: OTHER[name]})
        plain = member([default], lr=0.1, reg=RegL1(0.1))
        train(together, [here, there], range(4))
        train(own, [alone], range(4))
        train(plain, [default], range(4))
        assert torch.equal(here, alone) and torch.equal(there, default), name
        assert torch.equal(here, there) == (name in INERT), name
        assert together.param_groups[0]["name"] == "own"


def test_every_other_setting_is_tried() -> None:
    known = {name for member in OPTIMIZERS.values() for name in member([weight()]).defaults}
    assert known - {"reg", "lambda_scale"} == set(OTHER)


def test_a_constructor_says_everything_at_once() -> None:
    shared = RegL1(0.1)
    groups = [
        {"params": [("a", weight())], "momentum": 1.5, "lamda_scale": 2},
        {"params": [("b", weight(3, 4))], "reg": shared},
        {"params": [("c", weight())], "reg": shared, "weight_decay": -1},
        {"params": [("d", weight(3, 4)), ("e", Parameter(torch.zeros(2, 2, 2, dtype=torch.cfloat)))],
         "reg": RegL1L2Conv()},
    ]  # fmt: skip
    with pytest.raises(SettingError) as caught:
        LinBreg(groups, lr=float("inf"), delta=0.0, lambda_change="keep_survivers", nonfinite="ignore")
    said = str(caught.value).splitlines()
    assert said[0] == "LinBreg:" and len(said) == 11
    for expected in (
        "- lr is inf, expected a finite number",
        "- delta is 0.0, expected a number greater than 0.0",
        "- lambda_change is 'keep_survivers', which is unknown. Did you mean 'keep_survivors'?",
        "- nonfinite is 'ignore', which is unknown. Known: propagate, raise, skip.",
        "- group 0: momentum is 1.5, expected a number of at least 0 and below 1",
        "- group 0: lamda_scale is no setting of this optimizer. Did you mean 'lambda_scale'?",
        "- group 2: weight_decay is -1, expected a number of at least 0.0",
        "- group 2: reg is also the reg of another group, so one λ would steer both; pass a copy.deepcopy",
        "- parameter 0 of group 3 ('d'): Kernel() cannot split a tensor of shape (3, 4): it has 2 dimensions, at least "
        "3 are needed; Row takes a matrix",
        "- parameter 1 of group 3 ('e') is complex; split it with torch.view_as_real",
    ):
        assert expected in said


def test_shapes_alone_are_a_structure_error() -> None:
    with pytest.raises(StructureError, match=r"(?s)parameter 0 of group 0.*\(2, 3, 2\).*parameter 1 of group 0"):
        ProxSGD([weight(2, 3, 2), weight(3, 2, 2), weight(3, 4)], reg=RegL1L2(0.1))


@pytest.mark.parametrize("lamda", [-0.1, float("nan"), float("inf"), "0.1", True])
def test_a_strength_is_checked_whenever_it_is_set(lamda) -> None:
    with pytest.raises(SettingError, match="lamda is"):
        RegL1(lamda)
    optimizer = LinBreg([weight()], reg=RegL1(0.1))
    with pytest.raises(SettingError, match="lamda is"):
        optimizer.param_groups[0]["reg"].lamda = lamda


def test_what_a_rule_lacks_is_no_setting() -> None:
    for member, name in ((ProxSGD, "lambda_change"), (ProxSGD, "delta"), (LinBreg, "betas"), (AdaBreg, "momentum")):
        with pytest.raises(SettingError, match=f"group 0: {name} is no setting of this optimizer"):
            member([{"params": [weight()], name: OTHER[name]}])


@every_implementation
@every_optimizer
def test_raise_names_the_parameters_before_anything_moves(member, implementation) -> None:
    a, b, c = weight(), weight(), weight()
    groups = [{"params": [("fine", a)], "nonfinite": "propagate"}, {"params": [("torn", b), ("whole", c)]}]
    optimizer = member(groups, lr=0.1, reg=RegL1(0.1), nonfinite="raise", implementation=implementation)
    train(optimizer, [a, b, c], range(1))
    before = copy.deepcopy(([a, b, c], optimizer.state_dict()["state"]))
    b.grad = torch.full_like(b, torch.inf)
    with pytest.raises(
        GradientError, match=r"gradient of parameter 0 of group 1 \('torn'\) holds NaN or infinity; not"
    ):
        optimizer.step()
    torch.testing.assert_close(([a, b, c], optimizer.state_dict()["state"]), before, rtol=0, atol=0)


def test_skipped_parameters_are_reported_where_step_was_called() -> None:
    p = weight()
    optimizer = LinBreg([p], lr=0.1, nonfinite="skip")
    p.grad = torch.full_like(p, torch.nan)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            optimizer.step()
    assert [(w.category, w.filename) for w in caught] == [(NoEffect, __file__)] and p not in optimizer.state


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_and_empty_gradients_are_finite(dtype) -> None:
    p, q = Parameter(torch.zeros(70_000, dtype=dtype)), Parameter(torch.zeros(0, dtype=dtype))
    optimizer = AdaBreg([p, q], lr=0.1, nonfinite="raise")
    p.grad, q.grad = torch.full_like(p, 60_000.0), torch.zeros_like(q)
    optimizer.step()
    assert p.ne(0).all()


@every_optimizer
def test_states_of_older_versions_keep_this_runs_newer_settings(member) -> None:
    p, q = weight(), weight()
    optimizer = member([p], lr=0.1, reg=RegL1(0.1))
    train(optimizer, [p], range(2))
    saved = through_a_file(optimizer.state_dict())
    for name in ("weight_decay", "lambda_change", "nonfinite"):
        saved["param_groups"][0].pop(name, None)
    other = member([q], lr=0.1, reg=RegL1(0.1), weight_decay=0.3, nonfinite="raise")
    other.load_state_dict(saved)
    assert (other.param_groups[0]["weight_decay"], other.param_groups[0]["nonfinite"]) == (0.3, "raise")
    q.data.copy_(p.data)
    optimizer.param_groups[0]["weight_decay"] = 0.3
    train(optimizer, [p], range(2, 4))
    train(other, [q], range(2, 4))
    assert torch.equal(p, q)


@pytest.mark.parametrize("member", [AdaBreg, LinBreg])
def test_a_lambda_that_was_not_followed_is_not_made_good_later(member) -> None:
    p = weight()
    optimizer = member([p], lr=0.1, reg=RegL1(0.1))
    (group,) = optimizer.param_groups
    for change, lamda in (("keep_survivors", 0.1), ("none", 0.3), ("keep_survivors", 0.3)):
        group["lambda_change"], group["reg"].lamda, before = change, lamda, p.detach().clone()
        train(optimizer, [p], range(1), lambda theta, step: torch.zeros_like(theta))
    torch.testing.assert_close(p.detach(), before, rtol=1e-12, atol=1e-12)


@every_optimizer
def test_a_load_takes_over_every_setting_but_the_implementation(member) -> None:
    names = member([weight()]).defaults.keys() - {"reg", "lambda_scale"}
    saved = member([weight()], reg=RegL1(0.1), **{name: OTHER[name] for name in names})
    saved.param_groups[0]["lambda_scale"] = 3.0
    loaded = member([weight()], reg=RegL1(0.1))
    loaded.load_state_dict(through_a_file(saved.state_dict()))
    for name in names | {"lambda_scale"}:
        from_here = loaded.defaults if name == "implementation" else saved.param_groups[0]
        assert loaded.param_groups[0][name] == from_here[name], name


@every_optimizer
def test_a_loaded_state_has_the_precision_of_this_model_and_may_hold_nothing(member) -> None:
    optimizers, dtypes = [], (torch.float64, torch.float32)
    for dtype in dtypes:
        p, idle = Parameter(weight().data.to(dtype)), weight()
        optimizers.append(member([p, idle], lr=0.1, reg=RegL1(0.1)))
        train(optimizers[-1], [p], range(2))
        assert optimizers[-1].state[idle] == {}  # the look alone leaves an entry
    states = [through_a_file(optimizer.state_dict()) for optimizer in optimizers]
    for optimizer, dtype, other in zip(optimizers, dtypes, reversed(states), strict=True):
        optimizer.load_state_dict(other)
        kept = next(iter(optimizer.state.values())).values()
        assert {value.dtype for value in kept if isinstance(value, torch.Tensor)} <= {dtype}
        optimizer.step()


@every_optimizer
def test_a_state_that_lacks_what_a_step_reads_is_refused(member) -> None:
    p = weight()
    optimizer = member([p], lr=0.1, reg=RegL1(0.1))
    train(optimizer, [p], range(2))
    assert {*member.keeps, *(["sub_grad"] if member.has_dual else [])} == set(optimizer.state[p])
    for name in optimizer.state[p]:
        state = through_a_file(optimizer.state_dict())
        del state["state"][0][name]
        if not state["state"][0]:
            continue  # as of a parameter that has not trained
        with pytest.raises(CheckpointError, match=f"the saved state of parameter 0 has no .*{name}"):
            optimizer.load_state_dict(state)
    assert optimizer.state[p]["step"] == 2


@every_implementation
@pytest.mark.parametrize("member", [AdaBreg, LinBreg])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_half_precision_move_by_less_than_their_spacing(member, implementation, dtype) -> None:
    """A dual that moves by a thousandth of the weight's spacing a step arrives; all state stays float32."""
    p, q = Parameter(torch.ones(4, 4, dtype=dtype)), Parameter(torch.ones(4, 4))
    tiny = {"lr": 1e-5, "implementation": implementation}
    narrow, full = member([p], reg=RegL1L2(0.1), **tiny), member([q], reg=RegL1L2(0.1), **tiny)
    for _ in range(200):
        p.grad, q.grad = torch.ones_like(p), torch.ones_like(q)
        narrow.step()
        full.step()
    assert torch.equal(p, q.to(dtype)) and torch.equal(narrow.state[p]["sub_grad"], full.state[q]["sub_grad"])
    tensors = [value for value in narrow.state[p].values() if isinstance(value, torch.Tensor)]
    assert len(tensors) >= 1 and {value.dtype for value in tensors} == {torch.float32}


@every_implementation
@every_optimizer
def test_channels_last_with_every_new_setting(member, implementation) -> None:
    keep = {"lambda_change": "keep_survivors"} if member.has_dual else {}
    rule = {"lr": 0.1, "weight_decay": 0.3, "nonfinite": "skip", "implementation": implementation, **keep}
    start = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    rows, last = Parameter(start.clone()), Parameter(start.to(memory_format=torch.channels_last))
    one, other = member([rows], reg=RegL1L2Conv(0.1), **rule), member([last], reg=RegL1L2Conv(0.1), **rule)
    for step in range(6):
        one.param_groups[0]["reg"].lamda = other.param_groups[0]["reg"].lamda = 0.1 + 0.02 * step
        train(one, [rows], range(step, step + 1))
        train(other, [last], range(step, step + 1), lambda theta, k: pull(theta.contiguous(), k))
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last.detach(), rows.detach(), rtol=1e-5, atol=1e-6)


def test_a_graph_capture_is_refused(monkeypatch) -> None:
    p = weight()
    optimizer = LinBreg([p], lr=0.1)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    p.grad = torch.ones_like(p)
    with pytest.raises(RuntimeError, match=r"LinBreg.step\(\) is being captured into a CUDA graph"):
        optimizer.step()
    assert p not in optimizer.state


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_optimizer
def test_a_captured_forward_and_backward_sees_every_step(member) -> None:
    p = Parameter(torch.linspace(-1, 1, 8, device="cuda"))
    optimizer = member([p], lr=0.1, reg=RegL1(0.05))
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        (p - 2).square().sum().backward()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    p.grad.zero_()
    with torch.cuda.graph(graph):
        p.grad.zero_()
        loss = (p - 2).square().sum()
        loss.backward()
    losses = []
    for _ in range(5):
        graph.replay()
        losses.append(float(loss))
        optimizer.step()
    assert losses == sorted(losses, reverse=True) and len(set(losses)) == 5
