"""The example's cycles on real digits: exact in each, better than nothing, and the same bits when killed."""

import pytest

from examples import iterative_pruning as example
from prunus import checkpoints
from prunus.keep import pruned_count
from prunus.tasks import vision
from tests.laws.iterative import same

SIZES = {"fc1": 784 * 300, "fc2": 300 * 100, "fc3": 100 * 10}


class Killed(BaseException):
    pass


def kill_after(last):
    def after_epoch(epoch):
        if epoch == last:
            raise Killed

    return after_epoch


@pytest.mark.parametrize("rewind", [None, "lr", "weights"])
def test_the_example_is_exact_and_resumes(rewind, tmp_path):
    data = vision.load().take(512, 256)
    whole, halves = tmp_path / "whole.ckpt", tmp_path / "halves.ckpt"
    pruner = example.run(rewind, whole, data, cycles=2)
    for row, level in zip(pruner.history, pruner.sparsity_schedule, strict=True):
        assert row["pruning_stats"] == {name: pruned_count(level, size) for name, size in SIZES.items()}
        assert row["sparsity_stats"] == {name: pruned_count(level, size) / size for name, size in SIZES.items()}
    for last in (0, 8, 12):
        with pytest.raises(Killed):
            example.run(rewind, halves, data, cycles=2, after_epoch=kill_after(last))
    example.run(rewind, halves, data, cycles=2)
    assert same(checkpoints.read(whole), checkpoints.read(halves))
