"""The laws of structures. Each takes a structure and, where needed, a weight that fits it."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields

import pytest
import torch

from prunus.errors import StructureError


def law_round_trip_is_bit_exact(structure, weight):
    groups = structure.split(weight)
    assert groups.shape == (structure.groups(weight.shape), structure.members(weight.shape))
    back = structure.join(groups, weight.shape)
    assert back.shape == weight.shape and back.dtype == weight.dtype and torch.equal(back, weight)


def law_every_entry_is_in_exactly_one_group(structure, shape):
    numbers = torch.arange(torch.Size(shape).numel()).reshape(shape)
    assert sorted(structure.split(numbers).flatten().tolist()) == numbers.flatten().tolist()


def law_groups_are_those_of_the_twin(structure, shape, places):
    numbers = torch.arange(torch.Size(shape).numel()).reshape(shape)
    settings = {field.name: getattr(structure, field.name) for field in fields(structure)}
    assert structure.split(numbers).tolist() == places(shape, **settings)


def law_memory_layout_is_irrelevant(structure, weight):
    """Groups are counted in logical order: transposed, strided and channels_last storage give the same groups."""
    expected = structure.split(weight.contiguous())
    backwards = tuple(reversed(range(weight.ndim)))
    layouts = [weight.permute(backwards).contiguous().permute(backwards), weight.repeat_interleave(2, dim=-1)[..., ::2]]
    if weight.ndim == 4:
        layouts.append(weight.contiguous(memory_format=torch.channels_last))
    for layout in layouts:
        assert torch.equal(layout, weight) and torch.equal(structure.split(layout), expected)
        law_round_trip_is_bit_exact(structure, layout)


def law_split_and_join_are_differentiable(structure, weight):
    leaf = weight.detach().clone().requires_grad_()
    groups = structure.split(leaf)
    price = torch.arange(1.0, len(groups) + 1, dtype=weight.dtype).unsqueeze(1)
    structure.join(groups * price, weight.shape).square().sum().backward()
    expected = 2 * weight * structure.expand(price.flatten(), weight.shape).square()
    torch.testing.assert_close(leaf.grad, expected)


def law_the_grid_shows_where_groups_lie(structure, shape):
    grid = structure.grid(shape)
    if grid is not None:
        outer, groups, inner = grid
        numbers = torch.arange(groups).reshape(1, groups, 1).expand(outer, groups, inner)
        assert torch.equal(structure.expand(torch.arange(structure.groups(shape)), shape), numbers.reshape(shape))


def law_expand_repeats_one_value_a_group(structure, shape):
    numbers = torch.arange(structure.groups(shape))
    full = structure.expand(numbers, shape)
    assert full.shape == tuple(shape) and full.is_contiguous()
    assert torch.equal(structure.split(full), numbers.unsqueeze(1).expand(-1, structure.members(shape)))
    flags = numbers % 2 == 0
    mask = structure.expand(flags, shape)
    assert mask.dtype == torch.bool
    full.add_(1)  # ordinary tensors: may be written to, and nobody else notices
    mask.logical_not_()
    assert torch.equal(numbers, torch.arange(len(numbers))) and torch.equal(flags, numbers % 2 == 0)


def law_a_group_is_marked_where_any_of_its_places_is(structure, shape):
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.3
    expected = structure.split(mask).any(dim=1)
    for flags in (mask, mask.to(torch.int8)):
        assert torch.equal(structure.any_in_groups(flags), expected)


def law_misfit_is_what_require_and_split_say(structure, shape):
    weight, reason = torch.zeros(shape), structure.misfit(shape)
    if reason is None:
        structure.require(shape)
        assert structure.groups(shape) * structure.members(shape) == weight.numel()
        return
    calls = [structure.require, structure.groups, structure.members, lambda s: structure.split(weight)]
    calls += [lambda s: structure.join(weight, s), lambda s: structure.expand(weight, s)]
    for call in [*calls, structure.grid, lambda s: structure.any_in_groups(weight.bool())]:
        with pytest.raises(StructureError) as caught:
            call(shape)
        assert (
            reason in str(caught.value)
            and str(tuple(shape)) in str(caught.value)
            and str(structure) in str(caught.value)
        )


def law_join_and_expand_refuse_wrong_counts(structure, shape):
    groups, members = structure.groups(shape), structure.members(shape)
    for wrong in (torch.zeros(groups + 1, members), torch.zeros(groups * members), torch.zeros(groups, members + 1)):
        with pytest.raises(StructureError):
            structure.join(wrong, shape)
    for wrong in (torch.zeros(groups + 1), torch.zeros(groups, 1)):
        with pytest.raises(StructureError):
            structure.expand(wrong, shape)


def law_a_budget_divides_every_output(structure, shape):
    """Sets of groups that share a count lie inside one output, one after the other, and hold single weights."""
    if structure.budget is None:
        assert structure.level is None
        return
    assert structure.budget >= 2 and 0 < structure.level < 1
    assert (structure.level * structure.budget) == pytest.approx(round(structure.level * structure.budget))
    numbers = torch.arange(torch.Size(shape).numel()).reshape(shape)
    assert numbers[0].numel() % structure.budget == 0
    sets = structure.split(numbers).reshape(-1, structure.budget)
    assert torch.equal(torch.cat([structure.split(row[None]) for row in numbers]).reshape(sets.shape), sets)


def law_is_a_frozen_value(structure, build):
    assert structure == build(structure.settings()) == copy.deepcopy(structure) == pickle.loads(pickle.dumps(structure))
    assert hash(structure) == hash(build(structure.settings()))
    with pytest.raises(FrozenInstanceError):
        structure.rows = 3
