from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path
from unittest import mock

import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prunus import _pieces, _threshold, keep
from prunus.errors import ScoreError, SettingError
from tests.laws import keep as laws
from tests.ranks import exit_codes, stay_on_this_machine
from tests.twins import keep as twin

# (elements in a piece, candidates selected without a histogram): as shipped, histograms only, pieces of 3 and 5
PATHS = [(1 << 18, 1 << 15), (1 << 18, 0), (3, 2), (5, 0)]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]

pytestmark = pytest.mark.usefixtures("kernels")


@contextmanager
def path(chunk: int, small: int) -> Iterator[None]:
    with mock.patch.object(_pieces, "CHUNK", chunk), mock.patch.object(_threshold, "SMALL", small):
        yield


@pytest.mark.parametrize("law", laws.LAWS.values(), ids=laws.LAWS.keys())
@pytest.mark.parametrize(("chunk", "small"), PATHS)
def test_exactly_obeys_the_law(law, chunk, small):
    with path(chunk, small):
        law(keep.exactly)


def test_pruned_count_is_the_largest_count():
    laws.law_largest_count(keep.pruned_count)


@st.composite
def scored(draw: st.DrawFn) -> Tensor:
    """One tensor of any dtype, shape and layout, with many ties."""
    shape = draw(st.lists(st.integers(0, 4), min_size=0, max_size=4))
    value = st.sampled_from([0.0, -0.0, 1.0, -1.0, float("inf"), float("-inf")]) | st.floats(allow_nan=False)
    size = int(torch.tensor(shape).prod()) if shape else 1
    values = draw(st.lists(value, min_size=size, max_size=size))
    tensor = torch.tensor(values, dtype=torch.float64).to(draw(st.sampled_from(DTYPES))).reshape(shape)
    if draw(st.booleans()) and len(shape) == 4:
        return tensor.to(memory_format=torch.channels_last)
    return tensor.permute(draw(st.permutations(range(len(shape)))))


@settings(max_examples=150, deadline=None)
@given(scores=st.lists(scored(), max_size=4), route=st.sampled_from(PATHS), data=st.data())
def test_equals_the_twin(scores, route, data):
    among = None
    if data.draw(st.booleans()):
        seed = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
        among = [torch.rand(score.shape, generator=seed) < 0.5 for score in scores]
    total = sum(int(mask.sum()) for mask in among) if among else sum(score.numel() for score in scores)
    count, absolute = data.draw(st.integers(0, total)), data.draw(st.booleans())
    with path(*route):
        found = keep.exactly(scores, count, among=among, absolute=absolute)
    ranked = [score.abs() for score in scores] if absolute else scores
    for mask, expected in zip(found, twin.exactly(ranked, count, among=among), strict=True):
        assert torch.equal(mask, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_and_small_routes_agree_on_many_scores(dtype):
    """With more candidates than SMALL the shipped constants take the histogram, a huge SMALL the direct selection."""
    torch.manual_seed(0)
    scores = [torch.randn(300, 301).to(dtype), torch.randn(7, 11, 13).to(dtype), torch.ones(50_000, dtype=dtype)]
    among = [torch.rand(score.shape) < 0.7 for score in scores]
    for count, absolute in product((0, 1, 20_000, 90_000), (False, True)):
        shipped = keep.exactly(scores, count, among=among, absolute=absolute)
        with path(1 << 10, 1 << 30):
            direct = keep.exactly([s.abs() for s in scores] if absolute else scores, count, among=among)
        assert all(torch.equal(a, b) for a, b in zip(shipped, direct, strict=True))
        assert sum(int(mask.sum()) for mask in shipped) == count


def test_differences_below_float32_resolution_decide():
    scores = (1 + torch.arange(40_000, dtype=torch.float64).flip(0) * 2**-50).reshape(200, 200)
    assert torch.equal(keep.exactly([scores], 15_000)[0].view(-1), torch.arange(40_000) < 15_000)


def test_ties_across_tensors_and_pieces_go_to_the_first():
    with path(7, 0):
        first, second = keep.exactly([torch.ones(20, 3), torch.ones(5, 5)], 70)
    assert first.all() and torch.equal(second.view(-1), torch.arange(25) < 10)


def test_masks_have_the_layout_of_the_scores():
    scores = torch.rand(2, 8, 4, 4).to(memory_format=torch.channels_last)
    mask = keep.exactly([scores], 100)[0]
    assert mask.is_contiguous(memory_format=torch.channels_last) and not mask.requires_grad


@pytest.mark.parametrize("scores", [[torch.ones(3)], [torch.tensor([float("nan")])], [torch.arange(3)]])
def test_the_number_of_threads_is_left_as_it_was(scores):
    torch.set_num_threads(2)
    try:
        with suppress(ScoreError):
            keep.exactly(scores, 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_no_scores_need_no_masks():
    assert keep.exactly([], 0) == []


@pytest.mark.parametrize("count", [-1, 4, 2.0, True])
def test_keep_out_of_range_is_refused(count):
    with pytest.raises(SettingError, match="keep is"):
        keep.exactly([torch.rand(5)], count, among=[torch.tensor([True, True, True, False, False])])


def test_too_large_keep_names_the_candidates():
    with pytest.raises(SettingError, match="keep is 6, but there are only 5 candidates"):
        keep.exactly([torch.rand(5)], 6)


@pytest.mark.parametrize("score", [torch.arange(3), torch.ones(3, dtype=torch.bool), torch.eye(2).to_sparse()])
def test_scores_that_are_not_dense_floats_are_refused(score):
    with pytest.raises(ScoreError, match=r"scores\[1\] is .*expected dense floating-point"):
        keep.exactly([torch.rand(2), score], 1)


@pytest.mark.parametrize(
    ("among", "message"),
    [
        ([], "among has 0 masks, expected one for each of the 1"),
        ([torch.ones(2, 3)], r"among\[0\] is torch.float32 .*expected torch.bool"),
        ([torch.ones(3, 2, dtype=torch.bool)], r"of shape \(3, 2\) .*of shape \(2, 3\)"),
        ([torch.ones(2, 3, dtype=torch.bool, device="meta")], "on meta, expected .* on cpu"),
    ],
)
def test_candidates_that_do_not_fit_are_refused(among, message):
    with pytest.raises(SettingError, match=message):
        keep.exactly([torch.rand(2, 3)], 1, among=among)


def test_nan_message_in_full():
    scores = [torch.ones(3), torch.tensor([[1.0, float("nan")], [float("nan"), 0.0]])]
    with pytest.raises(ScoreError) as caught:
        keep.exactly(scores, 2)
    assert str(caught.value) == (
        "scores[1] (shape (2, 2)) is NaN at flat index 1 (2 in this tensor); "
        "look for a loss or gradient that has diverged"
    )


def test_only_candidates_can_be_nan():
    score = torch.tensor([float("nan"), 1.0, float("nan"), 2.0])
    with pytest.raises(ScoreError, match=r"NaN at flat index 2 \(1 in this tensor\)"):
        keep.exactly([score], 1, among=[torch.tensor([False, True, True, True])])
    among = torch.tensor([False, True, False, True])
    assert keep.exactly([score], 1, among=[among])[0].tolist() == [False, False, False, True]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (17,), (1, 17), (17, 1), (2, 3, 5), (3, 1, 2, 7)])
@pytest.mark.parametrize("chunk", [1, 4, 6, 100])
def test_pieces_are_bounded_views_in_row_major_order(shape, chunk):
    rows_last = torch.arange(float(torch.Size(shape).numel())).reshape(shape[::-1])
    tensor = rows_last.permute(tuple(reversed(range(len(shape)))))
    with path(chunk, 0):
        parts = [part for (part,) in _pieces.pieces(tensor)]
        sizes = [batch.numel() for batch in _pieces.batches([(tensor,), (tensor,)], torch.float32)]
    assert torch.equal(torch.cat([part.reshape(-1) for part in parts]), tensor.reshape(-1))
    assert max(part.numel() for part in parts) <= chunk and max(sizes, default=0) <= chunk
    assert all(part.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr() for part in parts)


def _select_on_rank(rank: int, rendezvous: str) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    stay_on_this_machine()
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    torch.manual_seed(0)
    plain = [torch.randint(0, 4, (5, 3)).float(), torch.rand(4, 4)]
    spread = [distribute_tensor(plain[0], mesh, [Shard(0)]), distribute_tensor(plain[1], mesh, [Replicate()])]
    masks = keep.exactly([*spread, plain[0]], 17)
    expected = twin.exactly([*plain, plain[0]], 17)
    assert masks[0].placements == (Shard(0),) and masks[0].to_local().shape == spread[0].to_local().shape
    assert torch.equal(masks[0].full_tensor(), expected[0]) and torch.equal(masks[1].to_local(), expected[1])
    assert torch.equal(masks[2], expected[2])
    dist.destroy_process_group()


def test_distributed_tensors_get_masks_spread_alike(tmp_path: Path):
    assert exit_codes(_select_on_rank, [(rank, f"file://{tmp_path}/rendezvous") for rank in range(2)]) == [0, 0]
