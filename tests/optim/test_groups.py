"""Parameter groups, settings and states: what is refused, what is copied, what is saved."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import Parameter
from torch.utils._python_dispatch import TorchDispatchMode

from prunus.errors import CheckpointError, SettingError, StructureError
from prunus.optim import OPTIMIZERS, AdaBreg, LinBreg, ProxSGD
from prunus.optim._buckets import buckets
from prunus.regularizers import GroupLasso, RegL1, RegL1L2, RegNone, RegSoftBernoulli
from prunus.structures import Kernel
from tests.laws.optim import ANYWHERE, through_a_file, train

every_optimizer = pytest.mark.parametrize("member", OPTIMIZERS.values(), ids=OPTIMIZERS)
WRONG = [
    ("lr", None, "lr is None"),
    ("lr", -0.1, "lr is -0.1, expected a number of at least 0"),
    ("lr", float("nan"), "lr is nan"),
    ("delta", 0, "delta is 0, expected a number greater than 0"),
    ("momentum", 1.0, "momentum is 1.0, expected a number of at least 0 and below 1"),
    ("momentum", "0.9", "momentum is '0.9'"),
    ("betas", (0.9, 1.0), r"betas\[1\] is 1.0"),
    ("betas", 0.9, r"betas is 0.9, expected a pair such as \(0.9, 0.999\)"),
    ("eps", -1e-8, "eps is -1e-08"),
    ("reg", 0.1, r"reg is 0.1, expected a regularizer such as RegL1\(0.1\)"),
    ("implementation", "forech", "implementation is 'forech', which is unknown. Did you mean 'foreach'"),
]


def weight(*shape: int) -> Parameter:
    return Parameter(torch.ones(shape or (3,)))


@pytest.mark.parametrize(("name", "value", "message"), WRONG, ids=str)
@every_optimizer
def test_wrong_settings_are_refused_for_all_and_for_one_group(member, name, value, message) -> None:
    if name in member([weight()]).defaults:
        with pytest.raises(SettingError, match=message):
            member([weight()], **{name: value})
        with pytest.raises(SettingError, match=f"group 1: {message}"):
            member([{"params": [weight()]}, {"params": [weight()], name: value}])


@every_optimizer
def test_unknown_and_misspelt_group_settings_are_refused(member) -> None:
    with pytest.raises(SettingError, match=r"group 0: lambda_scal is no setting.*Did you mean 'lambda_scale'"):
        member([{"params": [weight()], "lambda_scal": 0.0}])
    with pytest.raises(SettingError, match="group 0: lambda_scale is -1"):
        member([{"params": [weight()], "lambda_scale": -1}])
    with pytest.raises(SettingError, match="group 0: amsgrad is no setting"):
        member([{"params": [weight()], "amsgrad": True}])


def test_a_default_regularizer_is_copied_and_an_explicit_one_is_taken() -> None:
    reg, own = RegL1(0.5), RegL1(0.1)
    groups = [
        {"params": [weight()]},
        {"params": [weight()], "reg": None},
        {"params": [weight()], "reg": own, "name": "own"},
    ]
    optimizer = LinBreg(groups, reg=reg)
    first, second, third = (group["reg"] for group in optimizer.param_groups)
    assert first == second == reg and len({id(first), id(second), id(reg)}) == 3 and third is own
    first.lamda = 9.0
    assert (reg.lamda, second.lamda) == (0.5, 0.5) and "reg" not in groups[0]
    with pytest.raises(SettingError, match="group 3: reg is also the reg of another group"):
        optimizer.add_param_group({"params": [weight()], "reg": own})
    assert len(optimizer.param_groups) == 3


def test_what_cannot_be_trained_is_refused_at_construction() -> None:
    with pytest.raises(SettingError, match=r"parameter 1 of group 0 \('b'\) is complex"):
        LinBreg([("a", weight()), ("b", Parameter(torch.zeros(2, dtype=torch.complex64)))])
    optimizer = LinBreg([weight(2, 2)], reg=RegL1L2(0.1))
    with pytest.raises(StructureError, match=r"\(2, 2, 3, 3\)"):
        optimizer.add_param_group({"params": [weight(2, 2, 3, 3)]})
    assert len(optimizer.param_groups) == 1
    with pytest.raises(ValueError, match=r"parameter \d of group 1.* is parameter \d of group 0.* too; leave one out"):
        optimizer.add_param_group({"params": optimizer.param_groups[0]["params"]})


@every_optimizer
def test_a_sparse_gradient_is_named_before_anything_moves(member) -> None:
    dense, table = weight(), nn.Embedding(4, 2, sparse=True)
    optimizer = member([{"params": [dense]}, {"params": table.parameters()}], lr=0.1)
    (table(torch.tensor([1])).sum() + dense.sum()).backward()
    with pytest.raises(SettingError, match="parameter 0 of group 1 has a sparse gradient"):
        optimizer.step()
    assert dense.tolist() == [1.0, 1.0, 1.0] and not optimizer.state


def test_regularized_lists_what_is_steered_with_or_without_state() -> None:
    a, b, c, d = weight(), weight(), weight(), weight()
    groups = [
        {"params": [a, b], "reg": RegL1(0.1)},
        {"params": [c], "lambda_scale": 0.0, "reg": RegL1(0.1)},
        {"params": [d], "reg": RegNone()},
    ]
    optimizer = LinBreg(groups)
    train(optimizer, [a], range(1))
    entries = list(optimizer.regularized())
    assert [entry.parameter is p for entry, p in zip(entries, (a, b), strict=True)] == [True, True]
    assert entries[0].state is optimizer.state[a] and entries[1].state == {} and b not in optimizer.state
    assert all(entry.group is optimizer.param_groups[0] for entry in entries)


def test_evaluate_reg_sums_each_group() -> None:
    groups = [{"params": [weight(), weight(2)], "reg": RegL1(0.5)}, {"params": [weight(2, 4)], "reg": RegL1L2(1.0)}]
    optimizer = AdaBreg(
        [*groups, {"params": [Parameter(torch.full((4096,), 1.0, dtype=torch.bfloat16))], "reg": RegL1(1.0)}]
    )
    values = optimizer.evaluate_reg()
    assert values == pytest.approx([2.5, 8.0, 4096.0]) and {type(value) for value in values} == {float}


def test_the_state_dict_is_plain() -> None:
    p = weight(2, 2, 2, 2)
    optimizer = LinBreg([{"params": [p], "name": "convs"}], reg=GroupLasso(0.5, Kernel()))
    train(optimizer, [p], range(1))
    (group,) = through_a_file(optimizer.state_dict())["param_groups"]
    assert group["reg"] == {"name": "group_lasso", "lamda": 0.5, "structure": {"name": "kernel"}}
    assert (group["name"], group["lambda_scale"], group["delta"]) == ("convs", 1.0, 1.0)
    assert isinstance(optimizer.param_groups[0]["reg"], GroupLasso)


def test_a_random_regularizer_resumes_its_coins() -> None:
    p, q = weight(1000), weight(1000)
    optimizer, other = (ProxSGD([x], reg=RegSoftBernoulli(0.1, 0.5)) for x in (p, q))
    train(optimizer, [p], range(3))
    other.load_state_dict(through_a_file(optimizer.state_dict()))
    q.data.copy_(p.data)
    train(optimizer, [p], range(3, 5))
    train(other, [q], range(3, 5))
    assert torch.equal(p, q)


REFUSED = [
    (LinBreg, {"reg": RegL1L2(0.1)}, "group 0 has the regularizer l1_l2, the saved state is of l1"),
    (AdaBreg, {"reg": RegL1(0.1)}, "no betas, eps: another optimizer wrote it"),
]


@pytest.mark.parametrize(("member", "settings", "message"), REFUSED)
def test_a_foreign_state_is_refused_whole(member, settings, message) -> None:
    p, q = weight(2, 2), weight(2, 2)
    optimizer = LinBreg([p], lr=0.5, reg=RegL1(0.7))
    train(optimizer, [p], range(1))
    other = member([q], **settings)
    before = str(other.state_dict())
    with pytest.raises(CheckpointError, match=message):
        other.load_state_dict(optimizer.state_dict())
    assert str(other.state_dict()) == before


def test_states_of_other_models_are_refused() -> None:
    p = weight(2, 2)
    optimizer = LinBreg([p], reg=RegL1(0.7))
    train(optimizer, [p], range(1))
    saved = optimizer.state_dict()
    with pytest.raises(
        CheckpointError, match=r"sub_grad was saved for a parameter of shape \(2, 2\), here its shape is \(3,\)"
    ):
        LinBreg([weight()], reg=RegL1(0.7)).load_state_dict(saved)
    with pytest.raises(CheckpointError, match="group 0 has 2 parameters, the saved one 1"):
        LinBreg([weight(2, 2), weight()], reg=RegL1(0.7)).load_state_dict(saved)
    with pytest.raises(CheckpointError, match="has 1 parameter groups, the saved state has 2"):
        LinBreg([p]).load_state_dict({**saved, "param_groups": saved["param_groups"] * 2})
    with pytest.raises(CheckpointError, match=r"no .*reg.*: another optimizer wrote it"):
        LinBreg([p]).load_state_dict(torch.optim.SGD([p], lr=0.1).state_dict())


def test_what_a_scheduler_put_into_a_group_later_stays() -> None:
    """Lightning's search for a learning rate puts a state back that it saved before it made its scheduler."""
    p = weight(2, 2)
    optimizer = AdaBreg([p], lr=0.5, reg=RegL1(0.7))
    saved = optimizer.state_dict()
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=9)
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 0.5 and optimizer.param_groups[0]["initial_lr"] == pytest.approx(0.04)
    train(optimizer, [p], range(1))
    plan.step()


def test_the_implementation_is_that_of_this_machine() -> None:
    optimizer = LinBreg([weight()], implementation="loop", lr=0.1)
    optimizer.load_state_dict(LinBreg([weight()], lr=0.2).state_dict())
    assert (optimizer.param_groups[0]["implementation"], optimizer.param_groups[0]["lr"]) == ("loop", 0.2)


def test_load_hooks_of_the_user_see_the_finished_optimizer() -> None:
    optimizer, seen = LinBreg([weight()], reg=RegL1(0.3)), []
    saved = copy.deepcopy(optimizer.state_dict())
    saved["param_groups"][0]["reg"]["lamda"] = 0.1
    optimizer.register_load_state_dict_pre_hook(
        lambda opt, state: seen.append(state["param_groups"][0]["reg"]["lamda"])
    )
    optimizer.register_load_state_dict_post_hook(lambda opt: seen.append(opt.param_groups[0]["reg"].lamda))
    optimizer.load_state_dict(saved)
    assert seen == [0.1, 0.1]


def test_buckets_keep_small_tensors_together_and_kinds_apart() -> None:
    params = [torch.zeros(8), torch.zeros(8, dtype=torch.bfloat16), torch.zeros(2**19), torch.zeros(8), torch.zeros(0)]
    found = [[p.numel() for p in bucket] for bucket in buckets(params)]
    assert found == [[8], [2**19], [8, 0], [8]]


def test_mixed_precision_in_one_group() -> None:
    params = [Parameter(torch.ones(4, dtype=dtype)) for dtype in (torch.float64, torch.bfloat16, torch.float32)]
    train(AdaBreg(params, lr=0.5, reg=RegL1(0.25)), params, range(1), lambda theta, step: torch.ones_like(theta))
    for p in params:
        torch.testing.assert_close(p.detach().float(), torch.full((4,), 0.5))


def test_a_grad_scaler_steps_it_and_skips_overflows() -> None:
    p = weight()
    optimizer, scaler = LinBreg([p], lr=0.1), torch.amp.GradScaler("cpu", init_scale=4.0)
    for factor, expected in ((1.0, 0.9), (float("inf"), 0.9)):
        optimizer.zero_grad()
        scaler.scale((p * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        torch.testing.assert_close(p.detach(), torch.full((3,), expected))


class Operations(TorchDispatchMode):
    """Record the names of all operations that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names += [func.__name__] * (not func.__name__.startswith("_record_function"))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("implementation", ANYWHERE)
@every_optimizer
def test_nothing_is_allocated_in_steady_state(member, implementation) -> None:
    params = [weight(4, 4), weight()]
    optimizer = member(params, lr=0.1, reg=RegL1(0.1), implementation=implementation)
    train(optimizer, params, range(2))
    with Operations() as operations:
        optimizer.step()
    fresh = [name for name in operations.names if not name.split(".")[0].endswith("_") and not name.endswith("out")]
    assert fresh == [] and len(operations.names) > 3
