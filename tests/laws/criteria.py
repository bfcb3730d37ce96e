"""Laws that every criterion keeps on any weight and structure that fit; needs are read from what a member declares."""

from __future__ import annotations

import pickle

import pytest
import torch

from prunus.errors import ScoreError

HALVES = (torch.float16, torch.bfloat16)


def score(criterion, weight, structure, seed=0):
    """Score with what the member declares that it needs, and with nothing else."""
    needs = {}
    if criterion.needs_gradient:
        needs["gradient"] = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)).to(weight.dtype)
    if criterion.random:
        needs["generator"] = torch.Generator().manual_seed(seed)
    return criterion.score(weight, structure, **needs)


def law_one_finite_score_a_group(criterion, weight, structure):
    scores = score(criterion, weight, structure)
    assert scores.shape == (structure.groups(weight.shape),) and scores.isfinite().all()
    assert scores.device == weight.device


def law_half_precision_is_scored_in_float32(criterion, weight, structure):
    for dtype in HALVES:
        narrow = weight.to(dtype)
        scores = score(criterion, narrow, structure)
        assert scores.dtype == torch.float32
        if not criterion.needs_gradient:
            assert torch.equal(scores, score(criterion, narrow.float(), structure))


def law_64_bit_stays_64_bit(criterion, weight, structure):
    assert score(criterion, weight.double(), structure).dtype == torch.float64
    assert score(criterion, weight.float(), structure).dtype == torch.float32


def law_memory_layout_changes_nothing(criterion, weight, structure):
    backwards = tuple(reversed(range(weight.dim())))
    strided = weight.permute(backwards).contiguous().permute(backwards)
    expected = score(criterion, weight, structure)
    assert torch.equal(score(criterion, strided, structure), expected)
    if weight.dim() == 4:
        assert torch.equal(score(criterion, weight.to(memory_format=torch.channels_last), structure), expected)


def law_looks_but_does_not_touch(criterion, weight, structure):
    parameter = torch.nn.Parameter(weight.clone())
    state = torch.get_rng_state()
    assert not score(criterion, parameter, structure).requires_grad
    assert torch.equal(parameter.detach(), weight) and torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()


def law_same_inputs_same_scores(criterion, weight, structure):
    again = pickle.loads(pickle.dumps(criterion))
    assert again == criterion and hash(again) == hash(criterion)
    assert torch.equal(score(criterion, weight, structure), score(again, weight, structure))


def law_random_means_that_the_seed_decides(criterion, weight, structure):
    one, other = score(criterion, weight, structure, 1), score(criterion, weight, structure, 2)
    if criterion.random:
        assert len(one) == 0 or not torch.equal(one, other)
    elif not criterion.needs_gradient:
        assert torch.equal(one, other)


def law_zero_groups_never_outscore_the_others(criterion, weight, structure):
    if not criterion.needs_weight or structure.groups(weight.shape) < 2:
        return
    groups = structure.split(weight).clone()
    groups[1] = 0.0
    scores = score(criterion, structure.join(groups, weight.shape), structure)
    assert (scores[1] <= scores).all()


def law_groups_are_scored_alike_wherever_they_lie(criterion, weight, structure):
    if criterion.random or criterion.needs_gradient:
        return
    groups = structure.split(weight)
    flipped, scores = structure.join(groups.flip(0), weight.shape), score(criterion, weight, structure)
    backwards = score(criterion, flipped, structure).flip(0)
    assert torch.equal(backwards.sort().values, scores.sort().values)
    lengths = groups.double().square().sum(dim=1)
    if criterion.local or len(lengths.unique()) == len(groups):  # a score that ranks groups ranks one of equals first
        assert torch.equal(backwards, scores)


def law_weights_count_only_where_declared(criterion, weight, structure):
    if not criterion.needs_weight:
        assert torch.equal(score(criterion, weight, structure), score(criterion, torch.zeros_like(weight), structure))


def law_local_scores_do_not_look_at_other_outputs(criterion, weight, structure):
    """A criterion that declares itself local may be asked for one output after the other."""
    rows = len(weight)
    inside = rows > 0 and structure.misfit((1, *weight.shape[1:])) is None
    if (
        not criterion.local
        or not inside
        or structure.groups((1, *weight.shape[1:])) * rows != structure.groups(weight.shape)
    ):
        return
    gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)).to(weight.dtype)
    needs = {"gradient": gradient} if criterion.needs_gradient else {}
    parts = [
        criterion.score(weight[i : i + 1], structure, **{name: value[i : i + 1] for name, value in needs.items()})
        for i in range(rows)
    ]
    torch.testing.assert_close(torch.cat(parts), criterion.score(weight, structure, **needs), rtol=1e-6, atol=0)


def law_equals_its_slow_twin(criterion, weight, structure, twin):
    """The twin takes groups of 64-bit numbers, the gradients' groups, and the settings; it returns one number each."""
    gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)).to(weight.dtype)
    needs = {"gradient": gradient} if criterion.needs_gradient else {}
    expected = twin(structure.split(weight).tolist(), structure.split(gradient).tolist(), **vars(criterion))
    found = criterion.score(weight, structure, **needs).double()
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-12)


def law_a_missing_need_is_refused_with_the_way_out(criterion, weight, structure):
    if criterion.needs_gradient:
        with pytest.raises(ScoreError, match=r"gradient=.*after backward\(\)"):
            criterion.score(weight, structure, generator=torch.Generator())
    if criterion.random:
        with pytest.raises(ScoreError, match="generator="):
            criterion.score(weight, structure, gradient=weight)


def law_whole_numbers_are_refused(criterion, weight, structure):
    with pytest.raises(ScoreError, match=r"torch\.int8"):
        score(criterion, weight.to(torch.int8), structure)


LAWS = [
    law_64_bit_stays_64_bit,
    law_a_missing_need_is_refused_with_the_way_out,
    law_groups_are_scored_alike_wherever_they_lie,
    law_half_precision_is_scored_in_float32,
    law_local_scores_do_not_look_at_other_outputs,
    law_looks_but_does_not_touch,
    law_memory_layout_changes_nothing,
    law_one_finite_score_a_group,
    law_random_means_that_the_seed_decides,
    law_same_inputs_same_scores,
    law_weights_count_only_where_declared,
    law_whole_numbers_are_refused,
    law_zero_groups_never_outscore_the_others,
]
