"""Laws that every scope keeps: exact counts, one rule for ties, masks that only tighten, budgets that add up."""

from __future__ import annotations

import itertools
import pickle

import pytest
import torch

from prunus.errors import ScoreError, SettingError
from tests.twins import scopes as twin

LEVELS = [0.0, 1e-9, 0.1, 0.29, 0.5, 0.57, 0.9, 1.0]


def sizes_of(scores):
    """Count the members of each tensor."""
    return [score.numel() for score in scores]


def shapes_of(scores):
    """Say which shapes the weights had: those of the scores, which differ in their balance."""
    return [tuple(score.shape) for score in scores]


def allot(scope, scores, sparsity):
    """Ask for the pools as :meth:`Scope.select` does."""
    return scope.allot(sizes_of(scores), sparsity, shapes=shapes_of(scores))


def select(scope, scores, sparsity, among=None):
    """Select with the shapes of the scores."""
    return scope.select(scores, sparsity, among=among, shapes=shapes_of(scores))


def kept(masks):
    """Count what is kept in all."""
    return sum(int(mask.sum()) for mask in masks)


def same(masks, others):
    """Say whether two lists of masks are equal."""
    return len(masks) == len(others) and all(torch.equal(a, b) for a, b in zip(masks, others, strict=True))


def counts_of(scope, scores, sparsity):
    """Return what is kept of each tensor that is a pool of its own, and 0 for those that compete."""
    counts = dict.fromkeys(range(len(scores)), 0)
    counts.update({pool.indices[0]: pool.keep for pool in allot(scope, scores, sparsity) if len(pool.indices) == 1})
    return list(counts.values())


def law_every_tensor_is_in_exactly_one_pool(scope, scores):
    for sparsity in LEVELS:
        pools = allot(scope, scores, sparsity)
        assert sorted(i for pool in pools for i in pool.indices) == list(range(len(scores)))


def law_budgets_add_up(scope, scores):
    members = sum(sizes_of(scores))
    for sparsity in LEVELS:
        pools = allot(scope, scores, sparsity)
        room = [sum(sizes_of(scores)[i] for i in pool.indices) for pool in pools]
        assert all(0 <= pool.keep <= size for pool, size in zip(pools, room, strict=True))
        pruned = members - sum(pool.keep for pool in pools)
        asked = sparsity * members
        # float error in sparsity x members is no excuse to prune one fewer
        assert asked - max(1, len(pools)) + 1e-9 * members < pruned <= asked + 1e-9 * members or members == 0


def law_keeps_exactly_what_was_allotted(scope, scores):
    for sparsity in LEVELS:
        masks = select(scope, scores, sparsity)
        assert [mask.shape for mask in masks] == [score.shape for score in scores]
        assert all(mask.dtype == torch.bool for mask in masks)
        for pool in allot(scope, scores, sparsity):
            assert kept([masks[i] for i in pool.indices]) == pool.keep


def law_zero_keeps_all_and_one_keeps_none(scope, scores):
    assert kept(select(scope, scores, 0)) == sum(sizes_of(scores)) and kept(select(scope, scores, 1)) == 0


def law_equals_its_slow_twin(scope, scores):
    alive = [torch.rand(score.shape, generator=torch.Generator().manual_seed(5)) < 0.6 for score in scores]
    for sparsity, among in itertools.product(LEVELS, (None, alive)):
        pools = allot(scope, scores, sparsity)
        assert same(select(scope, scores, sparsity, among), twin.select(scores, pools, among))


def law_asking_twice_gives_the_same(scope, scores):
    again = pickle.loads(pickle.dumps(scope))
    assert again == scope and hash(again) == hash(scope)
    for sparsity in LEVELS:
        assert same(select(again, scores, sparsity), select(scope, scores, sparsity))


def law_ties_go_to_the_earlier_place(scope, scores):
    equal = [torch.full_like(score, 0.5) for score in scores]
    for sparsity in LEVELS:
        masks = select(scope, equal, sparsity)
        for pool in allot(scope, scores, sparsity):
            line = [bool(place) for i in pool.indices for place in masks[i].reshape(-1)]
            assert line == sorted(line, reverse=True)


def law_order_of_tensors_matters_only_in_ties(scope, scores):
    order = torch.randperm(sum(sizes_of(scores)), generator=torch.Generator().manual_seed(1)).double()
    distinct = [part.reshape(score.shape) for part, score in zip(order.split(sizes_of(scores)), scores, strict=True)]
    for sparsity in LEVELS:
        counts, mirrored = counts_of(scope, distinct, sparsity), counts_of(scope, distinct[::-1], sparsity)[::-1]
        assert all(abs(one - other) <= 1 for one, other in zip(counts, mirrored, strict=True))
        if counts == mirrored:  # else two tensors of one shape tie for the odd one
            assert same(select(scope, distinct[::-1], sparsity)[::-1], select(scope, distinct, sparsity))


def law_masks_only_tighten(scope, scores):
    alive = [torch.ones_like(score, dtype=torch.bool) for score in scores]
    moving = list(scores)
    for sparsity in [0.3, 0.1, 0.6, 0.0, 0.9, 0.5, 1.0, 0.0]:
        # what is dead now outscores everything: only ``among`` keeps it dead
        moving = [score.masked_fill(~mask, torch.inf) for score, mask in zip(moving, alive, strict=True)]
        tighter = select(scope, moving, sparsity, alive)
        assert all((mask <= before).all() for mask, before in zip(tighter, alive, strict=True))
        alive = tighter


def law_the_more_is_asked_the_less_is_kept(scope, scores):
    before = select(scope, scores, 0.0)
    for sparsity in LEVELS[1:]:
        after = select(scope, scores, sparsity)
        assert all((mask <= last).all() for mask, last in zip(after, before, strict=True))
        before = after


def law_no_tensor_gains_when_more_is_asked(scope, scores):
    members = sum(sizes_of(scores))
    before = counts_of(scope, scores, 0.0)
    for pruned in range(1, members + 1):
        after = counts_of(scope, scores, pruned / members)
        assert all(now <= then for now, then in zip(after, before, strict=True))
        before = after


def law_the_living_all_stay_when_more_is_dead_than_asked(scope, scores):
    alive = [torch.zeros_like(score, dtype=torch.bool) for score in scores]
    for mask in alive:
        mask.reshape(-1)[:1] = True
    hidden = [score.masked_fill(~mask, torch.nan) for score, mask in zip(scores, alive, strict=True)]
    assert same(select(scope, hidden, 0.0, alive), alive)


def law_wrong_questions_are_refused(scope, scores):
    for wrong in (-0.1, 1.1, 50, float("nan"), True, "0.5"):
        with pytest.raises(SettingError, match="sparsity is"):
            select(scope, scores, wrong)
    with pytest.raises(SettingError, match=r"sizes\[1\] is -1"):
        scope.allot([3, -1], 0.5, shapes=[(3,), (1,)])
    with pytest.raises(SettingError, match="among has 0 masks"):
        select(scope, [*scores, torch.ones(1)], 0.5, [])
    with pytest.raises(ScoreError, match="NaN"):
        select(scope, [*scores, torch.tensor([1.0, torch.nan])], 0.5)
    if scope.needs_shapes:
        for shapes in (None, [(3,)]):
            with pytest.raises(SettingError, match="needs shapes="):
                scope.allot([3, 4], 0.5, shapes=shapes)


LAWS = [
    law_asking_twice_gives_the_same,
    law_budgets_add_up,
    law_equals_its_slow_twin,
    law_every_tensor_is_in_exactly_one_pool,
    law_keeps_exactly_what_was_allotted,
    law_masks_only_tighten,
    law_no_tensor_gains_when_more_is_asked,
    law_order_of_tensors_matters_only_in_ties,
    law_the_living_all_stay_when_more_is_dead_than_asked,
    law_the_more_is_asked_the_less_is_kept,
    law_ties_go_to_the_earlier_place,
    law_wrong_questions_are_refused,
    law_zero_keeps_all_and_one_keeps_none,
]
