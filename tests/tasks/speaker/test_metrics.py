"""Error rates: equal to exact counting, on ties too; the bootstrap resamples speakers."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunus.errors import ScoreError, SettingError
from prunus.tasks.speaker import Trials, all_pairs, bootstrap, eer, min_dcf, rates, resamples
from tests.twins import speaker as twin

trials = st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(1, 3)), min_size=2, max_size=30).filter(
    lambda found: len({target for _, target, _ in found}) == 2
)


@given(trials)
def test_rates_equal_exact_counting_with_ties_and_weights(found) -> None:
    scores, targets, weights = map(list, zip(*found, strict=True))
    tensors = torch.tensor(scores, dtype=torch.float32), torch.tensor(targets)
    counts = torch.tensor(weights)
    points = rates(*tensors, counts)
    expected = twin.points(scores, targets, weights)
    assert points.miss.tolist() == pytest.approx([float(miss) for miss, _ in expected], abs=1e-12)
    assert points.alarm.tolist() == pytest.approx([float(alarm) for _, alarm in expected], abs=1e-12)
    assert eer(*tensors, counts) == pytest.approx(float(twin.eer(scores, targets, weights)), abs=1e-12)
    for p, cm, ca in ((0.01, 1.0, 1.0), (0.05, 1.0, 1.0), (0.5, 10.0, 2.0)):
        cost = min_dcf(*tensors, p, cm, ca, weights=counts)
        assert cost == pytest.approx(twin.min_dcf(scores, targets, weights, p, cm, ca), abs=1e-12)


@given(trials)
def test_a_weight_is_so_many_copies(found) -> None:
    scores, targets, weights = (torch.tensor(column) for column in zip(*found, strict=True))
    copied = scores.repeat_interleave(weights), targets.repeat_interleave(weights)
    assert eer(scores, targets, weights) == pytest.approx(eer(*copied), abs=1e-12)


def test_no_information_is_a_coin_and_order_does_not_matter() -> None:
    targets = torch.tensor([True, False, False, True, False])
    assert eer(torch.zeros(5), targets) == 0.5
    assert min_dcf(torch.zeros(5), targets) == 1.0
    scores = torch.tensor([0.1, 0.5, 0.4, 0.4, 0.2])
    turned = torch.tensor([4, 0, 3, 2, 1])
    assert eer(scores, targets) == eer(scores[turned], targets[turned])


def test_separated_scores_have_no_error_and_inverted_ones_all() -> None:
    scores, targets = torch.tensor([3.0, 2.0, 1.0]), torch.tensor([True, True, False])
    assert (eer(scores, targets), eer(-scores, targets)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("scores", "targets", "said"),
    [
        ([0.1, float("nan")], [True, False], "1 of 2 scores are NaN"),
        ([0.1, 0.2], [True, True], "both kinds"),
        ([0.1, 0.2], [False, False], "both kinds"),
    ],
)
def test_scores_that_give_no_rates_are_refused(scores, targets, said: str) -> None:
    with pytest.raises(ScoreError, match=said):
        eer(torch.tensor(scores), torch.tensor(targets))


@pytest.mark.parametrize("settings", [{"p_target": 0.0}, {"p_target": 1.0}, {"c_miss": 0.0}, {"c_alarm": -1.0}])
def test_costs_out_of_range_are_refused(settings) -> None:
    with pytest.raises(SettingError):
        min_dcf(torch.tensor([0.1, 0.2]), torch.tensor([True, False]), **settings)


@pytest.mark.parametrize("block", [1, 3, 100])
def test_all_pairs_equal_the_double_loop_whatever_the_block(block: int) -> None:
    embeddings, speakers = torch.randn(7, 5), torch.tensor([0, 1, 0, 2, 2, 1, 0])
    found = all_pairs(embeddings, speakers, block=block)
    expected = twin.pairs(embeddings.tolist(), speakers.tolist())
    assert found.scores.tolist() == pytest.approx([score for score, _ in expected], abs=1e-6)
    assert found.targets.tolist() == [same for _, same in expected]


def test_too_few_utterances_are_refused() -> None:
    with pytest.raises(SettingError, match="1 embeddings of 1 utterances"):
        all_pairs(torch.zeros(1, 2), torch.zeros(1))


def test_resamples_count_speakers_and_never_a_single_one() -> None:
    first, second = torch.triu_indices(6, 6, 0)
    for weights in resamples(first, second, draws=50, seed=1):
        counts = weights[first == second]
        assert counts.sum() == 6 and (counts > 0).sum() > 1
        assert weights.equal(torch.where(first == second, counts[first], counts[first] * counts[second]))


def clusters(speakers: int, each: int, spread: float) -> Trials:
    labels = torch.arange(speakers).repeat_interleave(each)
    return all_pairs(torch.randn(speakers, 16)[labels] + spread * torch.randn(len(labels), 16), labels)


def test_an_interval_holds_the_value_and_narrows_with_more_speakers() -> None:
    wide, narrow = (clusters(count, 6, 1.5).intervals(draws=60)["eer"] for count in (6, 40))
    assert wide.low < wide.value < wide.high and narrow.low < narrow.value < narrow.high
    assert narrow.high - narrow.low < 0.6 * (wide.high - wide.low)


def test_the_same_seed_gives_the_same_interval() -> None:
    found = clusters(6, 4, 1.5)
    again = [bootstrap(partial(eer, found.scores, found.targets), found.first, found.second, draws=20) for _ in "12"]
    assert again[0] == again[1] == found.intervals(draws=20)["eer"]
    assert again[0] != found.intervals(draws=20, seed=1)["eer"]
