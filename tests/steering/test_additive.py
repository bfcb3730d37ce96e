"""Additive λ: the published arithmetic and its counter."""

import pytest

from prunus.errors import NoEffect, RunError, SettingError
from prunus.steering import AdditiveLambda


def test_the_published_log_line():
    controller = AdditiveLambda()
    for _ in range(99):
        assert controller.step(0.12543) == 1.0
    assert controller.step(0.12543) == pytest.approx(1.00067457, abs=5e-9)


def test_above_the_target_it_falls_and_at_the_target_it_rests():
    controller = AdditiveLambda(1.0, 0.8, lambda_update_rate=0.5, update_frequency=1)
    assert controller.step(0.8) == 1.0
    assert controller.step(1.0) == pytest.approx(0.9)
    assert controller.step(0.0) == pytest.approx(1.3)


def test_lambda_stays_in_its_bounds_and_says_so_once():
    controller = AdditiveLambda(1.0, 0.8, lambda_update_rate=1.0, update_frequency=1, min_lambda=0.9, max_lambda=1.1)
    with pytest.warns(NoEffect, match="stopped at max_lambda=1.1 while the sparsity is 0.1") as said:
        assert [controller.step(0.1) for _ in range(50)][-1] == 1.1
    with pytest.warns(NoEffect, match="stopped at min_lambda=0.9"):
        assert [controller.step(1.0) for _ in range(50)][-1] == 0.9
    assert len(said) == 1


def test_the_counter_is_part_of_the_state():
    whole, cut = AdditiveLambda(update_frequency=3), AdditiveLambda(update_frequency=3)
    expected = [whole.step(0.5) for _ in range(10)]
    found = [cut.step(0.5) for _ in range(4)]
    resumed = AdditiveLambda(update_frequency=3)
    resumed.load_state(cut.get_state())
    assert found + [resumed.step(0.5) for _ in range(6)] == expected


def test_targets_for_each_epoch_need_to_know_the_epoch():
    controller = AdditiveLambda(1.0, [0.5, 0.9], lambda_update_rate=1.0, update_frequency=1)
    with pytest.raises(RunError, match="call epoch_begin"):
        controller.step(0.5)
    moved = []
    for epoch in range(3):
        controller.epoch_begin(epoch)
        moved.append(controller.step(0.5))
    assert moved == pytest.approx([1.0, 1.4, 1.8])


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"target_sparsity": 80}, "for 80 % write 0.8"),
        ({"target_sparsity": []}, "target_sparsity is empty"),
        ({"target_sparsity": [0.5, 1.5]}, r"target_sparsity\[1\] is 1.5"),
        ({"lambda_update_rate": -1}, "lambda_update_rate is -1"),
        ({"update_frequency": 0}, "update_frequency is 0"),
        ({"min_lambda": 200.0}, "max_lambda is 100.0"),
        ({"initial_lambda": 1e-5}, "initial_lambda is 1e-05"),
    ],
)
def test_wrong_settings_are_refused(settings, text):
    with pytest.raises(SettingError, match=text):
        AdditiveLambda(**settings)
