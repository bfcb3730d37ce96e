"""The laws of regularizers; what a law asks of a member is read from what the member declares, never from its name."""

from __future__ import annotations

import copy
import io
import math
import pickle

import pytest
import torch

from prunus.errors import CheckpointError, SettingError
from prunus.regularizers import get_regularizer
from tests.twins import regularizers as twin

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def inside(reg, x):
    """Move a point into the domain that the member declares."""
    return x.abs() if reg.domain == "nonnegative" else x


def objective(reg, z, x, delta):
    return float(reg(z) + (z - x).square().sum() / (2 * delta))


def law_value_is_that_of_the_twin(reg, x):
    value = reg(x)
    assert value.shape == () and float(reg(torch.zeros_like(x))) == 0.0
    assert float(value) == pytest.approx(twin.value(reg.settings(), x), rel=1e-12)


def law_gradient_of_the_value_is_sub_grad(reg, x):
    """Also at zero groups, where 0 is the subgradient that both choose."""
    leaf = x.clone().requires_grad_()
    reg(leaf).backward()
    assert leaf.grad.isfinite().all()
    torch.testing.assert_close(leaf.grad, reg.sub_grad(x), **CLOSE)


def law_sub_grad_supports_the_value(reg, x, y):
    assert reg.sub_grad(torch.zeros_like(x)).eq(0).all()
    slack = reg(y) - reg(x) - (reg.sub_grad(x) * (y - x)).sum()
    assert float(slack) >= -1e-9 * (1 + float(reg(y)))


def law_sub_grad_is_proportional_to_lamda(reg, x):
    """What lambda_change="keep_survivors" counts on when it moves a dual by one evaluation."""
    double = copy.deepcopy(reg)
    double.lamda = 2 * reg.lamda
    torch.testing.assert_close(double.sub_grad(x), 2 * reg.sub_grad(x), **CLOSE)


def law_prox_is_the_numerical_minimiser(reg, x, delta):
    torch.testing.assert_close(reg.prox(x, delta), twin.prox(reg.settings(), x, delta), rtol=0, atol=2e-7)


def law_prox_beats_every_neighbour(reg, x, delta, dice):
    best = reg.prox(x, delta)
    assert torch.equal(inside(reg, best), best)
    bar = objective(reg, best, x, delta) + 1e-12
    for size in (1e-3, 1e-1, 1.0):
        for _ in range(8):
            step = size * torch.randn(x.shape, generator=dice, dtype=x.dtype)
            sparse = step * (torch.rand(x.shape, generator=dice) < 0.3)
            for other in (best + step, best + sparse, best * (1 + step)):
                assert objective(reg, inside(reg, other), x, delta) >= bar - 2e-12
    assert objective(reg, torch.zeros_like(x), x, delta) >= bar - 2e-12


def law_prox_and_dual_projection_add_up(reg, x, delta):
    """Moreau: x = prox of delta J + projection onto delta times the dual ball."""
    torch.testing.assert_close(reg.prox(x, delta) + twin.dual_projection(reg.settings(), x, delta), x, **CLOSE)


def law_prox_is_firmly_non_expansive(reg, x, y, delta):
    gap = reg.prox(x, delta) - reg.prox(y, delta)
    assert float((gap * (x - y)).sum()) >= float(gap.square().sum()) * (1 - 1e-9) - 1e-12


def law_no_strength_or_no_step_is_the_identity(reg, x):
    point = inside(reg, x)
    assert torch.equal(reg.prox(point, 0.0), point)
    off = copy.deepcopy(reg)
    off.lamda = 0.0
    assert torch.equal(off.prox(point, 2.0), point) and float(off(point)) == 0.0 and off.sub_grad(point).eq(0).all()


def law_dual_start_leaves_the_weight_where_it_is(reg, x, delta):
    """prox(delta v0, delta) = theta0 with v0 = theta0/delta + sub_grad(theta0): gradient 0 changes nothing."""
    start = inside(reg, x)
    dual = start / delta + reg.sub_grad(start)
    back = reg.prox(delta * dual, delta)
    torch.testing.assert_close(back, start, **CLOSE)
    assert torch.equal(back == 0, start == 0)


def law_radius_is_where_groups_die(reg, x):
    radius = reg.radius(x.shape)
    if reg.ignores(x.shape):
        assert radius == 0.0 and torch.equal(reg.prox(x), x) and float(reg(x)) == 0.0 and reg.sub_grad(x).eq(0).all()
        return
    groups = reg.structure.split(inside(reg, torch.where(x == 0, 1.0, x)))
    unit = groups / groups.norm(dim=1, keepdim=True)
    for factor, dead in ((1 - 1e-9, True), (1 + 1e-9, False)):
        shortened = reg.structure.split(reg.prox(reg.structure.join(unit * radius * factor, x.shape)))
        assert shortened.eq(0).all(dim=1).eq(dead).all()


def law_lambda_max_is_the_smallest_that_leaves_nothing(reg, x, delta):
    point = copy.deepcopy(reg)
    largest = reg.lambda_max(x, delta)
    assert reg.lambda_max(torch.zeros_like(x), delta) == 0.0 and largest >= 0.0
    if math.isinf(largest):
        assert x.ne(0).any()
        point.lamda = 1e12
        assert point.prox(x, delta).ne(0).any()
        return
    point.lamda = largest
    assert point.prox(x, delta).eq(0).all()
    point.lamda = largest * (1 - 1e-6)
    assert largest == 0.0 or point.prox(x, delta).ne(0).any()


def layouts(x):
    """Return the same tensor in several memory layouts, as views of larger storage too."""
    backwards = tuple(reversed(range(x.ndim)))
    found = [x.clone(), x.permute(backwards).contiguous().permute(backwards)]
    if x.ndim:
        found.append(x.repeat_interleave(2, dim=-1)[..., ::2])
    if x.ndim == 4:
        found.append(x.to(memory_format=torch.channels_last))
    return found


def law_in_place_twin_is_equal_and_keeps_the_storage(reg, x, delta):
    for weight in layouts(x):
        fresh, twin_reg = copy.deepcopy(reg), copy.deepcopy(reg)
        expected = fresh.prox(weight, delta)
        parameter = torch.nn.Parameter(weight)
        place, stride, version = parameter.data_ptr(), parameter.stride(), weight.clone()
        assert expected.data_ptr() != place or not weight.numel()
        assert torch.equal(weight, version)
        assert twin_reg.prox_(parameter, delta) is parameter
        assert parameter.data_ptr() == place and parameter.stride() == stride and parameter.requires_grad
        assert torch.equal(parameter, expected) and torch.equal(parameter.signbit(), expected.signbit())


def law_dtype_is_kept(reg, x, delta):
    """Half precision is rounded once at the end; values are summed in fp32; dead entries are +0.0."""
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        weight = x.to(dtype)
        fresh, precise = copy.deepcopy(reg), copy.deepcopy(reg)
        out, expected = fresh.prox(weight, delta), precise.prox(weight.double(), delta)
        assert out.dtype == fresh.sub_grad(weight).dtype == dtype and out.shape == weight.shape
        assert fresh(weight).dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert not out[(out == 0) & (weight != 0)].signbit().any()
        eps = torch.finfo(dtype).eps
        torch.testing.assert_close(out.double(), expected, rtol=4 * eps, atol=4 * eps)


def law_nan_is_never_hidden(reg, x, delta):
    sick = x.clone()
    sick.view(-1)[0] = math.nan
    assert reg.prox(sick, delta).view(-1)[0].isnan()


def law_empty_tensors_are_fine(reg, x):
    assert float(reg(x)) == 0.0 and reg.lambda_max(x) == 0.0
    assert reg.prox(x).shape == reg.sub_grad(x).shape == reg.prox_(x).shape == x.shape


def law_settings_rebuild_it(reg):
    assert all(isinstance(v, (int, float, str, dict)) for v in reg.settings().values())
    for other in (get_regularizer(**reg.settings()), copy.deepcopy(reg), pickle.loads(pickle.dumps(reg))):
        assert other == reg and type(other) is type(reg) and repr(other) == repr(reg)
        other.lamda = reg.lamda + 1
        assert other != reg and other.settings() != reg.settings()


def law_strength_is_checked_on_every_assignment(reg):
    reg, strength = copy.deepcopy(reg), reg.lamda
    for wrong in (-1e-9, math.nan, math.inf, True, "1", None, torch.ones(())):
        with pytest.raises(SettingError, match="lamda"):
            reg.lamda = wrong
        with pytest.raises(SettingError, match="lamda"):
            get_regularizer(**{**reg.settings(), "lamda": wrong})
    assert reg.lamda == strength
    reg.lamda = 2
    assert reg.lamda == 2.0 and isinstance(reg.lamda, float)


def law_wrong_delta_is_refused(reg, x):
    for wrong in (-1.0, math.nan, True, "1"):
        for call in (reg.prox, reg.prox_, reg.lambda_max):
            with pytest.raises(SettingError, match="delta"):
                call(x, wrong)


def law_random_only_where_declared(reg, x, delta):
    """A random member draws from its own generator, alike for alike seeds; nobody touches torch's."""
    before = torch.get_rng_state()
    twin_reg = copy.deepcopy(reg)
    first, second = reg.prox(x, delta), reg.prox(x, delta)
    assert torch.equal(first, second) != reg.random
    assert torch.equal(first, twin_reg.prox(x, delta)) and torch.equal(before, torch.get_rng_state())


def law_state_resumes_where_it_stopped(reg, x, delta):
    resumed = copy.deepcopy(reg)
    reg.prox(x, delta)
    file = io.BytesIO()
    torch.save(reg.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert all(torch.equal(reg.prox(x, delta), resumed.prox(x, delta)) for _ in range(3))
    with pytest.raises(CheckpointError):
        resumed.load_state_dict({"momentum": torch.zeros(1)})
