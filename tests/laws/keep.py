"""What every way of keeping exactly k of many tensors must obey; each law takes the function under test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import torch
from torch import Tensor

from prunus.errors import ScoreError
from tests.twins import keep as twin

Keeper = Callable[..., list[Tensor]]
INF = float("inf")


def _case(*rows: list[float], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return [torch.tensor(row, dtype=dtype) for row in rows]


def cases() -> Iterator[list[Tensor]]:
    """Yield score lists that break careless rankings: ties, signs, infinities, layouts, dtypes, nothing at all."""
    torch.manual_seed(0)
    yield []
    yield [torch.empty(0), torch.empty(3, 0, 2)]
    yield _case([1.0, 1.0], [1.0, 1.0, 1.0])
    yield _case([0.0, -0.0, 0.0], [-0.0, 0.0])
    yield _case([-3.0, 2.0, -1.0], [5.0, -4.0, 0.5])
    yield _case([INF, -INF, 0.0], [INF, -INF])
    yield [torch.tensor(2.0), torch.tensor([1.0, 3.0]), torch.empty(0)]
    yield _case([1.0, 1.0 + 2**-52, 1.0 + 2**-51], [1.0 - 2**-53, 1.0], dtype=torch.float64)
    yield [torch.tensor([1.0, 2.0]).half(), torch.tensor([1.0 + 2**-7, 1.0]).bfloat16(), torch.tensor([1 + 2**-23])]
    yield [torch.tensor([1.0], dtype=torch.float16), torch.tensor([1.0 + 2**-40], dtype=torch.float64)]
    yield [torch.ones(2), torch.tensor([1.0 + 2**-40, 1.0], dtype=torch.float64)]
    yield [torch.randint(0, 3, (2, 3, 2, 2)).float().to(memory_format=torch.channels_last), torch.ones(2)]
    yield [torch.randint(0, 3, (4, 5)).float().T, torch.randint(0, 3, (3, 8)).float()[:, ::3]]
    yield [torch.tensor([[1.0], [2.0]]).expand(2, 4)]
    yield [torch.rand(6, 2, 3, 3), torch.randn(1, 9), torch.randn(5).requires_grad_()]


def _asked() -> Iterator[tuple[list[Tensor], int, list[Tensor]]]:
    """Yield every case with every share of its members kept, once among all and once among some."""
    for scores in cases():
        for some in (False, True):
            among = [torch.rand(score.shape) < (0.6 if some else 2.0) for score in scores]
            total = sum(int(mask.sum()) for mask in among)
            for keep in sorted({0, 1, total // 3, total // 2, total - 1, total} & set(range(total + 1))):
                yield scores, keep, among


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().double().reshape(-1) for tensor in tensors] or [torch.empty(0)])


def law_count(exactly: Keeper) -> None:
    """Exactly ``keep`` places are True, in bool masks of the scores' shapes, all of them candidates."""
    for scores, keep, among in _asked():
        masks = exactly(scores, keep, among=among)
        assert [(mask.shape, mask.dtype) for mask in masks] == [(score.shape, torch.bool) for score in scores]
        assert sum(int(mask.sum()) for mask in masks) == keep
        assert not any(bool((mask & ~allowed).any()) for mask, allowed in zip(masks, among, strict=True))


def law_highest(exactly: Keeper) -> None:
    """No candidate that is dropped has a higher score than one that is kept, over all tensors together."""
    for scores, keep, among in _asked():
        values, kept, allowed = _flat(scores), _flat(exactly(scores, keep, among=among)).bool(), _flat(among).bool()
        if kept.any() and (allowed & ~kept).any():
            assert values[kept].min() >= values[allowed & ~kept].max()


def law_tie_order(exactly: Keeper) -> None:
    """Of equal scores the earlier tensor is kept first, then the lower row-major index."""
    for scores, keep, among in _asked():
        values, kept, allowed = _flat(scores), _flat(exactly(scores, keep, among=among)).bool(), _flat(among).bool()
        for value in values.unique():
            equals = kept[(values == value) & allowed]
            assert bool((equals[:-1] >= equals[1:]).all()), f"equals of {value} are kept out of order: {equals}"


def law_twin(exactly: Keeper) -> None:
    """The masks are those of sorting everything."""
    for scores, keep, among in _asked():
        for mask, expected in zip(
            exactly(scores, keep, among=among), twin.exactly(scores, keep, among=among), strict=True
        ):
            assert torch.equal(mask, expected)


def law_inputs_untouched(exactly: Keeper) -> None:
    """Scores and candidate masks are the same afterwards."""
    for scores, keep, among in _asked():
        before = _flat(scores), _flat(among)
        exactly(scores, keep, among=among)
        assert torch.equal(before[0], _flat(scores)) and torch.equal(before[1], _flat(among))


def _refusal(exactly: Keeper, scores: list[Tensor], keep: int) -> str:
    try:
        exactly(scores, keep)
    except ScoreError as error:
        return str(error)
    return "no ScoreError"


def law_nan_is_refused(exactly: Keeper) -> None:
    """A NaN candidate is an error that says where, for any ``keep``; a NaN elsewhere is not looked at."""
    scores = [torch.rand(4), torch.rand(2, 3).T]
    scores[1][1, 1] = float("nan")
    for keep in (0, 5, 10):
        message = _refusal(exactly, scores, keep)
        assert "scores[1]" in message and "flat index 3 " in message
    masks = exactly(scores, 9, among=[score == score for score in scores])
    assert sum(int(mask.sum()) for mask in masks) == 9 and not masks[1][1, 1]


def law_largest_count(pruned_count: Callable[[float, int], int]) -> None:
    """The count is the largest that does not exceed sparsity times members, percentages being what they say."""
    for members in (0, 1, 3, 7, 100, 1000, 12345, 10**9 + 7):
        for percent in range(101):
            assert pruned_count(percent / 100, members) == percent * members // 100
        for sparsity in (1e-9, 0.123456789, 1 / 3, 2 / 3, 0.999999):
            count, product = pruned_count(sparsity, members), Fraction(sparsity) * members
            assert 0 <= count <= min(members, product * (1 + Fraction(1, 10**11))) and count + 1 > product


LAWS = {
    law.__name__: law
    for law in (law_count, law_highest, law_tie_order, law_twin, law_inputs_untouched, law_nan_is_refused)
}
