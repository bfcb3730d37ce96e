"""What every way of keeping exactly k in each row must obey; each law takes the function under test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from tests.twins import keep as twin

Keeper = Callable[..., Tensor]
INF = float("inf")
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def cases() -> Iterator[tuple[Tensor, int, Tensor | None]]:
    """Yield (scores, keep, among): ties, signed zeros, infinities, odd layouts and dtypes, rows of many lengths."""
    draw = torch.Generator().manual_seed(0)
    for members in (1, 2, 3, 4, 5, 8, 16):
        for dtype in FLOATS:
            scores = torch.randint(-2, 3, (30, members), generator=draw).to(dtype)
            scores[0] = -0.0
            scores[0, -1] = 0.0
            scores[scores == 2] = INF
            scores[scores == -2] = -INF
            for keep in {0, 1, members // 2, members}:
                yield scores, keep, None
                yield scores, keep, torch.rand(scores.shape, generator=draw) < 0.6
    yield torch.rand(4, 6, generator=draw).T, 2, None
    yield torch.rand(5, 16, generator=draw)[:, ::4], 2, torch.rand(16, 5, generator=draw).T[:, ::4] < 0.5
    yield torch.empty(0, 4), 2, None
    yield torch.empty(3, 0), 0, None


def law_count(keeper: Keeper) -> None:
    """Each row keeps ``keep``, or all of its candidates where they are fewer, and nothing else."""
    for scores, keep, among in cases():
        mask = keeper(scores, keep, among=among)
        alive = torch.ones_like(mask) if among is None else among
        assert mask.dtype == torch.bool and mask.shape == scores.shape
        assert torch.equal(mask.sum(dim=1), alive.sum(dim=1).clamp_max(keep))
        assert not (mask & ~alive).any()


def law_equals_the_twin(keeper: Keeper) -> None:
    """Row by row, the mask is that of the slow reference: higher first, then the lower index."""
    for scores, keep, among in cases():
        mask = keeper(scores, keep, among=among)
        for i, row in enumerate(scores):
            flags = None if among is None else [among[i]]
            room = len(row) if among is None else int(among[i].sum())
            assert torch.equal(mask[i], twin.exactly([row], min(keep, room), among=flags)[0])


def law_the_dead_are_not_looked_at(keeper: Keeper) -> None:
    """NaN and infinities in places that are no candidates change nothing."""
    for scores, keep, among in cases():
        if among is not None:
            for value in (torch.nan, INF, -INF):
                hidden = scores.masked_fill(~among, value)
                assert torch.equal(keeper(hidden, keep, among=among), keeper(scores, keep, among=among))


def law_looks_but_does_not_touch(keeper: Keeper) -> None:
    """Scores and flags are as they were, and so is the thread count."""
    threads = torch.get_num_threads()
    for scores, keep, among in cases():
        before, flags = scores.clone(), None if among is None else among.clone()
        keeper(scores, keep, among=among)
        assert torch.equal(scores, before) and (among is None or torch.equal(among, flags))
        assert torch.equal(scores.signbit(), before.signbit()) and torch.get_num_threads() == threads


LAWS = [law_count, law_equals_the_twin, law_looks_but_does_not_touch, law_the_dead_are_not_looked_at]
