"""What a sceptical reader of the Bregman engine proved wrong once: each stays right."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from prunus import _native
from prunus.errors import CheckpointError, SettingError
from prunus.masks import MaskStore
from prunus.optim import AdaBreg, LinBreg, ProxSGD
from prunus.regularizers import RegL1, RegSoftBernoulli
from prunus.select import targets
from prunus.steering import LambdaScheduler

IMPLEMENTATIONS = ["auto", "foreach", "loop"]
MEMBERS = [AdaBreg, LinBreg, ProxSGD]


def step(optimizer, *grads):
    for parameter, grad in zip(optimizer.param_groups[0]["params"], grads, strict=True):
        parameter.grad = None if grad is None else torch.full_like(parameter, grad)
    optimizer.step()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_momentum_that_comes_and_goes_does_not_depend_on_who_is_stepped_together(implementation):
    first, second = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimizer = LinBreg([first, second], lr=0.5, momentum=0.5, reg=RegL1(0.0), implementation=implementation)
    step(optimizer, 1.0, None)
    for momentum in (0.0, 0.5):
        optimizer.param_groups[0]["momentum"] = momentum
        step(optimizer, 1.0, 1.0)
    # the second parameter: m = 0.5, then 0.25 + 0.25, so its weight falls by 0.5 twice
    assert second.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("member", MEMBERS)
def test_a_weight_that_was_cut_in_its_own_memory_is_stepped_no_further_than_it_reaches(member, implementation):
    weight = nn.Parameter(torch.ones(4, 3))
    optimizer = member([weight], lr=0.1, implementation=implementation)
    step(optimizer, 0.0)
    whole, before = weight.data, weight.detach().clone()
    weight.grad, weight.data = None, whole[:2]
    for name, kept in optimizer.state[weight].items():
        optimizer.state[weight][name] = kept[:2] if isinstance(kept, torch.Tensor) else kept
    step(optimizer, 1.0)
    assert torch.equal(whole[2:], before[2:]) and not torch.equal(whole[:2], before[:2])
    assert optimizer.survivors(weight) == 6


def test_masks_are_not_applied_beyond_a_weight_that_was_cut_in_its_own_memory():
    model = nn.Linear(3, 4, bias=False)
    masks = MaskStore(targets(model))
    masks.update({"weight": torch.zeros(4, 3, dtype=torch.bool)})
    masks.apply_()
    whole = model.weight.data
    model.weight.data = whole[:2]
    masks.load_state_dict({})
    masks.update({"weight": torch.zeros(2, 3, dtype=torch.bool)})
    whole.fill_(1.0)
    masks.apply_()
    assert whole.sum(dim=1).tolist() == [0.0, 0.0, 3.0, 3.0]


@pytest.mark.parametrize("other", [torch.float64, torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("own", [torch.float32, torch.bfloat16], ids=str)
def test_gradients_of_unlike_precision_are_read_as_what_they_are(own, other):
    first, second = (nn.Parameter(torch.ones(8, dtype=own)) for _ in range(2))
    second.grad_dtype = None  # of any precision
    first.grad, second.grad = torch.full((8,), 0.5, dtype=own), torch.full((8,), 0.5, dtype=other)
    ProxSGD([first, second], lr=0.5).step()
    assert first.tolist() == second.tolist() == [0.75] * 8


def test_a_gradient_that_is_negated_by_a_flag_moves_the_weight_the_other_way():
    weight = nn.Parameter(torch.zeros(4))
    weight.grad = torch._neg_view(torch.ones(4))
    ProxSGD([weight], lr=1.0).step()
    assert weight.tolist() == [1.0] * 4


def test_a_gradient_without_memory_is_zero():
    weight = nn.Parameter(torch.ones(4))
    weight.grad = torch._efficientzerotensor(4)
    ProxSGD([weight], lr=1.0).step()
    assert weight.tolist() == [1.0] * 4


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("member", MEMBERS)
def test_a_model_may_change_its_precision_while_it_trains(member, implementation):
    weight = nn.Parameter(torch.full((3,), 0.75))
    optimizer = member([weight], lr=0.125, implementation=implementation)
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float64, torch.float32):
        weight.grad, weight.data = None, weight.data.to(dtype)
        step(optimizer, 1.0)
        wide = torch.promote_types(dtype, torch.float32)
        kept = [one for one in optimizer.state[weight].values() if isinstance(one, torch.Tensor)]
        assert all(one.dtype == wide for one in kept)
    torch.testing.assert_close(weight.detach(), torch.full((3,), 0.125))


def test_one_mask_may_tighten_two_weights():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    masks, mask = MaskStore(targets(model)), torch.eye(4, dtype=torch.bool)
    expected = [torch.diag(layer.weight.detach().diag()) for layer in model]
    masks.tighten({"0.weight": mask, "1.weight": mask})
    masks.apply_()
    assert all(torch.equal(layer.weight, wanted) for layer, wanted in zip(model, expected, strict=True))


def damaged(optimizer, damage):
    step(optimizer, 1.0)
    state = deepcopy(optimizer.state_dict())
    damage(state)
    return state


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: state["param_groups"][0]["reg"].update(lamda=float("nan")), "of group 0 .* is damaged: lamda"),
        (lambda state: state["param_groups"][0]["reg"].pop("lamda"), "of group 0 .* is damaged: 'lamda'"),
        (lambda state: state["param_groups"][0]["reg"]["state"].clear(), "expects the state"),
        (
            lambda state: state["param_groups"][0]["reg"]["state"].update(generator=torch.zeros(3, dtype=torch.uint8)),
            "of group 0 .* is damaged",
        ),
        (lambda state: state["state"][0].pop("sub_grad"), "parameter 0 has no dual"),
    ],
)
def test_a_damaged_state_leaves_an_optimizer_as_it_was(damage, message):
    def fresh(lr):
        return LinBreg([nn.Parameter(torch.ones(2))], lr=lr, reg=RegSoftBernoulli(0.1))

    optimizer, state = fresh(0.1), damaged(fresh(0.2), damage)
    before = optimizer.state_dict()
    with pytest.raises(CheckpointError, match=message):
        optimizer.load_state_dict(state)
    after = optimizer.state_dict()
    assert torch.equal(
        before["param_groups"][0]["reg"].pop("state")["generator"],
        after["param_groups"][0]["reg"].pop("state")["generator"],
    )
    assert after == before


def test_the_state_of_an_optimizer_with_a_dual_is_none_of_one_without():
    state = damaged(LinBreg([nn.Parameter(torch.ones(2))], reg=RegL1(0.1)), lambda state: None)
    with pytest.raises(CheckpointError, match="another optimizer wrote it"):
        ProxSGD([nn.Parameter(torch.ones(2))], reg=RegL1(0.1)).load_state_dict(state)


def test_weights_that_are_negated_by_a_flag_are_no_work_for_the_kernels():
    assert not _native.can_clear(torch._neg_view(torch.ones(4)))


def test_a_parameter_that_a_group_names_twice_is_refused():
    weight = nn.Parameter(torch.ones(2))
    with (
        pytest.warns(UserWarning, match="duplicate"),
        pytest.raises(SettingError, match="is in the group twice"),
    ):
        LinBreg([weight, weight])


@pytest.mark.parametrize("value", [float("nan"), -1.0, 1e9, "1"])
def test_a_damaged_lambda_is_refused_and_nothing_taken_over(value):
    scheduler = LambdaScheduler(0.1, 0.9)
    state = {**LambdaScheduler(0.2, 0.8).get_state(), "lambda_value": value}
    before = scheduler.get_state()
    with pytest.raises(SettingError, match="initial_lambda"):
        scheduler.load_state(state)
    assert scheduler.get_state() == before
