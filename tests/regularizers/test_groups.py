"""RegL1L2, RegL1L2Conv and GroupLasso: hand numbers, refused shapes, and what they share."""

from __future__ import annotations

import math

import pytest
import torch

from prunus.errors import SettingError, StructureError
from prunus.regularizers import GroupLasso, RegL1, RegL1L2, RegL1L2Conv, get_regularizer
from prunus.regularizers.grouped import LARGE_GROUP, group_norms
from prunus.structures import Block, Filter, Kernel, Row

GROUPED = [RegL1L2(0.3), RegL1L2Conv(0.3)]


def image(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_rows_by_hand():
    reg, x = RegL1L2(0.5), torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.3, 0.4]], dtype=torch.float64)
    charge = 0.5 * math.sqrt(2)
    assert float(reg(x)) == pytest.approx(charge * 5.5)
    assert reg.prox(x)[0].tolist() == pytest.approx([3 * (1 - charge / 5), 4 * (1 - charge / 5)])
    assert reg.prox(x)[1:].eq(0).all()
    assert reg.sub_grad(x)[0].tolist() == pytest.approx([0.6 * charge, 0.8 * charge])
    assert reg.radius(x.shape) == pytest.approx(charge) and reg.lambda_max(x) == pytest.approx(5 / math.sqrt(2))


def test_the_norm_of_a_large_group_is_right_to_the_last_digit_wherever_it_lies():
    rows = image(2, 2 * LARGE_GROUP)
    for groups in (rows, rows.t().contiguous().t()):
        norms = group_norms(groups)
        assert norms.dtype == torch.float32
        torch.testing.assert_close(norms, rows.double().norm(dim=1).float(), rtol=1.2e-7, atol=0)


def test_group_lasso_generalises_both():
    matrix, conv = image(6, 5), image(4, 3, 3, 3)
    assert torch.equal(GroupLasso(0.3, Row()).prox(matrix), RegL1L2(0.3).prox(matrix))
    assert torch.equal(GroupLasso(0.3, Kernel()).prox(conv), RegL1L2Conv(0.3).prox(conv))


@pytest.mark.parametrize("shape", [(8, 4, 1), (8, 4, 1, 1), (8, 4, 1, 1, 1)])
def test_single_member_groups_are_l1_bit_for_bit(shape):
    x = image(*shape)
    assert torch.equal(RegL1L2Conv(0.3).prox(x), RegL1(0.3).prox(x))
    assert torch.equal(RegL1L2Conv(0.3).prox_(x.clone()), RegL1(0.3).prox(x))


@pytest.mark.parametrize("reg", GROUPED, ids=str)
@pytest.mark.parametrize("shape", [(5,), ()])
def test_biases_are_left_alone(reg, shape):
    x = torch.full(shape, 0.01)
    assert float(reg(x)) == 0.0 and torch.equal(reg.prox(x), x) and reg.sub_grad(x).eq(0).all()
    assert reg.ignores(shape) and reg.radius(shape) == 0.0 and reg.lambda_max(x) == math.inf


@pytest.mark.parametrize(
    ("reg", "shape", "advice"),
    [
        (RegL1L2(), (4, 3, 3, 3), "Filter"),
        (RegL1L2Conv(), (4, 3), "Row"),
        (GroupLasso(), (4,), "2"),
    ],
    ids=str,
)
def test_other_shapes_are_refused_instead_of_cut_along_a_strange_axis(reg, shape, advice):
    x = torch.zeros(shape)
    for call in (reg, reg.prox, reg.prox_, reg.sub_grad, reg.lambda_max):
        with pytest.raises(StructureError, match=advice):
            call(x)


def test_channels_last_kernels_are_the_same_kernels():
    x = image(4, 3, 3, 3)
    last = x.to(memory_format=torch.channels_last)
    reg = RegL1L2Conv(0.5)
    assert torch.equal(reg.prox(last), reg.prox(x)) and torch.equal(reg.sub_grad(last), reg.sub_grad(x))
    torch.testing.assert_close(reg(last), reg(x))


def test_strength_enters_once():
    """A group dies when its length reaches lamda·√n, not lamda²·√n."""
    row = torch.tensor([[0.4, 0.3]], dtype=torch.float64)
    dies_at = 0.5 / math.sqrt(2)
    assert RegL1L2(dies_at * 1.001).prox(row).eq(0).all() and RegL1L2(dies_at * 0.999).prox(row).ne(0).all()


def test_sparse_group_prox_is_group_after_soft_threshold():
    """prox of L1 + group lasso is the composition of both; random neighbours are never better."""
    x, l1, group = image(5, 6).double(), RegL1(0.2), RegL1L2(0.15)
    best = group.prox(l1.prox(x))

    def objective(z):
        return float(l1(z) + group(z) + (z - x).square().sum() / 2)

    for seed in range(200):
        step = 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
        assert objective(best + step) > objective(best) and objective(best * (1 + step)) > objective(best)


def test_prox_has_a_finite_gradient_at_zero_groups():
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    RegL1L2(0.5).prox(x).sum().backward()
    assert x.grad.isfinite().all() and x.grad[1].eq(0).all()


def test_huge_and_tiny_groups_give_no_nan():
    x = torch.tensor([[1e30, 1e30], [1e-30, 1e-30]])
    assert RegL1L2(0.5).prox(x)[0].tolist() == pytest.approx([1e30, 1e30]) and RegL1L2(0.5).prox(x)[1].eq(0).all()


def test_norm_of_a_very_large_group_is_accurate():
    x = image(1_000_000)
    assert float(GroupLasso(1.0, "layer")(x)) == pytest.approx(1e3 * float(x.double().norm()), rel=1e-6)


def test_structure_may_be_a_name_or_a_mapping():
    assert GroupLasso(0.1).structure == Filter()
    reg = get_regularizer("group_lasso", lamda=0.1, structure={"name": "block", "rows": 2, "cols": 8})
    assert reg == GroupLasso(0.1, Block(2, 8)) and get_regularizer(**reg.settings()) == reg
    with pytest.raises(SettingError, match="Did you mean 'filter'"):
        GroupLasso(0.1, "fliter")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_columns_that_lie_across_the_memory_are_the_rows_of_the_transpose(dtype) -> None:
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    x[:, 1] = 0.0
    across, along = x.clone().requires_grad_(), x.t().contiguous().requires_grad_()
    columns, rows = GroupLasso(0.3, "column"), GroupLasso(0.3, "row")
    for reg, weight in ((columns, across), (rows, along)):
        reg(weight).backward()
        assert torch.equal(reg.prox(weight.detach(), 0.5), reg.prox_(weight.detach().clone(), 0.5))
    torch.testing.assert_close(columns.prox(x, 0.5), rows.prox(x.t().contiguous(), 0.5).t())
    torch.testing.assert_close(columns.sub_grad(x), rows.sub_grad(x.t().contiguous()).t())
    torch.testing.assert_close(across.grad, along.grad.t())
    assert across.grad[:, 1].eq(0).all() and across.grad.isfinite().all()
