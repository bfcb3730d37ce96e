from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunus.checkpoints import rng
from prunus.errors import CheckpointError, SettingError
from prunus.integrations.loop import ResumableLoader


def loader(rows: int = 10, **settings: Any) -> ResumableLoader:
    return ResumableLoader(torch.arange(rows), -torch.arange(rows), **{"batch_size": 3, **settings})


def flat(lists: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(lists))


def epoch_of(one: ResumableLoader) -> list[list[int]]:
    return [x.tolist() for x, _ in one]


def test_rows_stay_together_and_each_comes_once_in_a_new_order() -> None:
    one = loader()
    for x, y in one:
        assert torch.equal(x, -y)
    first, second = epoch_of(loader()), epoch_of(one)
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(10))
    assert first != second != epoch_of(loader(shuffle=False))
    assert [len(batch) for batch in first] == [3, 3, 3, 1]


def test_the_order_is_a_function_of_seed_and_epoch_alone() -> None:
    before = rng.capture()["torch"]
    epochs = [epoch_of(one) for one in [loader()] for _ in range(3)]
    torch.rand(7)
    again = loader()
    again.set_epoch(2)
    assert epoch_of(again) == epochs[2]
    assert epoch_of(loader(seed=1)) not in epochs
    torch.set_rng_state(before)
    epoch_of(loader())
    assert torch.equal(rng.capture()["torch"], before)


@given(
    rows=st.integers(1, 25), size=st.integers(1, 6), drop=st.booleans(), shuffle=st.booleans(), stop=st.integers(0, 80)
)
def test_a_loaded_position_continues_as_if_never_stopped(
    rows: int, size: int, drop: bool, shuffle: bool, stop: int
) -> None:
    settings: dict[str, Any] = {"rows": rows, "batch_size": size, "drop_last": drop, "shuffle": shuffle}
    if drop and rows < size:
        with pytest.raises(SettingError, match="no batch"):
            loader(**settings)
        return
    whole = loader(**settings)
    epochs = [epoch_of(whole) for _ in range(3)]
    stopped, again = loader(**settings), loader(**settings)
    epoch, batch = divmod(stop % (2 * len(whole)), len(whole))
    for _ in range(epoch):
        epoch_of(stopped)
    seen = [x.tolist() for x, _ in islice(stopped, batch)]
    again.load_state_dict(stopped.state_dict())
    assert seen + epoch_of(again) == epochs[epoch]
    assert epoch_of(again) == epochs[epoch + 1]
    assert len(again) == len(whole) == len(epochs[0])


def test_after_the_last_batch_a_loaded_epoch_is_empty_and_a_live_one_is_over() -> None:
    one, again = loader(), loader()
    second = [epoch_of(two) for two in [loader()] for _ in range(2)][1]
    list(islice(one, len(one)))
    again.load_state_dict(one.state_dict())
    assert epoch_of(again) == []
    assert epoch_of(again) == epoch_of(one) == second


def test_a_pass_broken_off_or_an_iterator_unused_starts_the_epoch_again() -> None:
    one, expected = loader(), epoch_of(loader())
    next(iter(one))
    iter(one)
    assert epoch_of(one) == expected


def test_set_epoch_keeps_only_a_loaded_position_of_that_epoch() -> None:
    one, again = loader(), loader()
    next(iter(one))
    again.load_state_dict(one.state_dict())
    again.sampler.set_epoch(0)
    assert len(epoch_of(again)) == len(one) - 1
    again.load_state_dict(one.state_dict())
    again.set_epoch(4)
    assert (again.epoch, len(epoch_of(again))) == (4, len(one))
    with pytest.raises(SettingError, match="epoch is -1"):
        one.set_epoch(-1)


@pytest.mark.parametrize(("rows", "drop"), [(10, False), (10, True), (12, False), (2, False)])
def test_shares_of_the_ranks_are_equally_long_and_cover_the_data(rows: int, drop: bool) -> None:
    ranks = [loader(rows, batch_size=1, drop_last=drop, rank=rank, world_size=4) for rank in range(4)]
    shares = [flat(epoch_of(one)) for one in ranks]
    assert len({len(share) for share in shares}) == 1
    assert len(set(flat(shares))) == (rows - rows % 4 if drop else rows)
    ranks[1].load_state_dict(ranks[0].state_dict())


def test_wrong_settings_are_named() -> None:
    wrongs: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("got nothing", (), {}),
        ("got list", ([1, 2],), {}),
        ("at least one dimension", (torch.tensor(1),), {}),
        ("2, 3 rows", (torch.ones(2), torch.ones(3)), {}),
        ("no batch: 0 rows", (torch.ones(0),), {}),
        ("no batch: 5 rows over 3 processes", (torch.ones(5),), {"world_size": 3, "drop_last": True}),
        ("batch_size is 0", (torch.ones(2),), {"batch_size": 0}),
        ("seed is 0.5", (torch.ones(2),), {"seed": 0.5}),
        ("rank is 2, expected less than world_size 2", (torch.ones(4),), {"rank": 2, "world_size": 2}),
    ]
    for message, tensors, settings in wrongs:
        with pytest.raises(SettingError, match=message):
            ResumableLoader(*tensors, **{"batch_size": 2, **settings})


def test_the_position_of_another_loader_is_refused_without_a_change() -> None:
    one, state = loader(), loader(rows=11, seed=4).state_dict()
    before = one.state_dict()
    with pytest.raises(CheckpointError, match=r"(?s)rows was 11, is 10.*seed was 4, is 0"):
        one.load_state_dict(state)
    with pytest.raises(CheckpointError, match="position is epoch 0, batch 5, expected at most batch 4"):
        one.load_state_dict(before | {"batch": 5})
    with pytest.raises(CheckpointError, match="position is epoch -1, batch 0"):
        one.load_state_dict(before | {"epoch": -1})
    with pytest.raises(CheckpointError, match="not saved"):
        one.load_state_dict({})
    assert one.state_dict() == before
