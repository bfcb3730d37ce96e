"""The options of λ feedback, each by hand: anti-windup, damping, warm-up, epochs, resumed states, warnings."""

import math
import warnings

import pytest
import torch

from prunus.actions import Prune, Steer
from prunus.errors import NoEffect, RunError, SettingError
from prunus.optim import AdaBreg
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.schedules import OneShot
from prunus.steering import AdditiveLambda, LambdaScheduler
from prunus.steering._loop import PATIENCE
from prunus.steering.feedback import BOOST, LOOKAHEAD
from prunus.window import Window
from tests import models


def scheduler(**settings):
    return LambdaScheduler(**{"initial_lambda": 0.01, "target_sparsity": 0.9, "acceleration_factor": 0.25, **settings})


def run(steering, *, epochs=1, steps=5, policies=(), window=None, sparse=False):
    """Train a small net under a steering; return λ after each step."""
    torch.manual_seed(0)
    model = models.mlp()
    weights = [p for p in model.parameters() if p.dim() > 1]
    if sparse:
        torch.nn.init.zeros_(weights[0])
    optimizer = AdaBreg([{"params": weights, "reg": RegL1(0.01)}], lr=1e-3)
    mine = [*policies, Policy(Steer(steering), window)]
    compression = CompressionScheduler(model, mine, optimizer=optimizer, steps_per_epoch=steps)
    found = []
    for _ in compression.epochs(epochs):
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(4, 8)).square().mean().backward()
            optimizer.step()
            found.append(optimizer.param_groups[0]["reg"].lamda)
    return found


class TestAntiWindup:
    def test_it_holds_while_the_reading_is_on_its_way_across_the_target(self):
        steered = scheduler(anti_windup=True)
        first = steered.step(0.99)
        assert first == pytest.approx(0.01 / (1 + 0.25 * 0.09))  # nothing known yet: the published rule
        assert steered.step(0.95) == first  # 4 points down in one step: 30 on it would be far below
        assert steered.step(0.9) == first and steered.step(0.9) == first

    def test_it_answers_where_the_reading_will_be_when_it_runs_away(self):
        steered = scheduler(anti_windup=True)
        first, then = steered.step(0.8901), steered.step(0.89)
        assert then == pytest.approx(first * (1 + 0.25 * (0.01 + LOOKAHEAD * 0.0001)))

    def test_its_answer_is_bounded(self):
        steered = scheduler(anti_windup=True)
        first, then = steered.step(0.8), steered.step(0.2)
        assert then == pytest.approx(first * (1 + BOOST * 0.7))
        steep = scheduler(anti_windup=True, acceleration_factor=4.0)
        first, then = steep.step(0.8), steep.step(0.2)
        assert then == pytest.approx(first * (1 + 4.0 * 0.7))
        fixed = scheduler(anti_windup=True, acceleration_factor=0.0)
        assert [fixed.step(s) for s in (0.99, 0.5, 0.1)] == [0.01] * 3

    @pytest.mark.parametrize(("frequency", "ahead"), [(30, 2), (120, 1)])
    def test_rare_updates_look_as_far_ahead_in_readings(self, frequency, ahead):
        steered = scheduler(anti_windup=True, update_frequency=frequency)
        for reading in (0.8901, 0.89):
            before = steered.lambda_value
            then = [steered.step(reading) for _ in range(frequency)][-1]
        assert then == pytest.approx(before * (1 + 0.25 * (0.01 + ahead * 0.0001)))

    @pytest.mark.parametrize("lag", [1, 5])
    def test_it_never_swings_where_the_plain_rule_is_calm(self, lag):
        """A loop whose sparsity follows log λ some steps later, with noise: both settle on the target."""
        steered, draws = scheduler(anti_windup=True), torch.Generator().manual_seed(0)
        waiting, off = [0.01] * lag, []
        for noise in torch.randn(600, generator=draws).mul_(1e-3).tolist():
            reading = min(0.99, 0.9 + 0.25 * math.log(waiting.pop(0) / 0.004) + noise)
            waiting.append(steered.step(reading))
            off.append(abs(reading - 0.9))
        assert sum(off[-200:]) / 200 < 2e-3


def test_inside_its_zone_the_factor_is_damped():
    steered = scheduler(damping_zone=0.05, damping=5.0)
    assert steered.step(0.88) == pytest.approx(0.01 * (1 + 0.05 * 0.02))
    assert scheduler(damping_zone=0.05).step(0.84) == pytest.approx(0.01 * (1 + 0.25 * 0.06))


def test_update_frequency_and_warm_up_leave_lambda_alone_in_between():
    steered = scheduler(update_frequency=3, warmup_steps=3)
    moved = [steered.step(0.5) for _ in range(9)]
    assert moved[:5] == [0.01] * 5 and moved[5] == moved[7] == pytest.approx(0.011)
    assert moved[8] == pytest.approx(0.0121)


def test_neutral_options_change_nothing():
    readings = (0.99, 0.0, 0.5, 0.9, 0.95)
    for neutral in ({"anti_windup": False, "damping": 3.0, "warmup_steps": 0}, {"damping_zone": 1.0, "damping": 1.0}):
        plain, explicit = scheduler(), scheduler(**neutral)
        assert [plain.step(s) for s in readings] == [explicit.step(s) for s in readings]


def test_the_defaults_are_the_documented_ones():
    published = "initial_lambda=0.001, target_sparsity=0.9, acceleration_factor=0.25, min_lambda=1e-06"
    options = "anti_windup=False, damping_zone=0.0, damping=10.0, update_frequency=1, warmup_steps=0, warmup_epochs=0"
    assert repr(LambdaScheduler()) == f"LambdaScheduler({published}, max_lambda=1000.0, {options})"


class TestEpochs:
    def test_a_compression_scheduler_tells_epochs(self):
        steered = scheduler(target_sparsity=[0.0, 0.9], warmup_epochs=2, min_lambda=0.0)
        found = run(steered, epochs=4, steps=3)
        assert found[:6] == [0.01] * 6 and found[6] > 0.01 and steered.target == 0.9 and steered.epoch == 3

    def test_who_counts_epochs_must_be_told(self):
        with pytest.raises(RunError, match="warmup_epochs needs to know the epoch: call epoch_begin"):
            scheduler(warmup_epochs=1).step(0.5)
        with pytest.raises(RunError, match="a target_sparsity for each epoch"):
            scheduler(target_sparsity=[0.5]).step(0.5)

    def test_a_list_of_targets_is_copied_and_stays_a_list(self):
        targets = (0.5, 0.9)
        steered = scheduler(target_sparsity=targets)
        assert steered.target == 0.5  # that of the first epoch, before any has begun
        assert steered.target_sparsity == [0.5, 0.9] and steered.get_state()["target_sparsity"] == [0.5, 0.9]
        state = steered.get_state()
        state["target_sparsity"].append(0.1)
        assert steered.target_sparsity == [0.5, 0.9]


class TestResumedStates:
    def test_the_state_wins_and_each_setting_that_loses_is_named(self):
        old, new = scheduler(), scheduler(target_sparsity=0.95, max_lambda=5.0)
        old.step(0.5)
        with pytest.warns(NoEffect) as said:
            new.load_state(old.get_state())
        assert [warning.filename for warning in said] == [__file__]
        text = str(said[0].message)
        assert "target_sparsity=0.9 of the resumed state, not 0.95" in text and "max_lambda=1000.0" in text
        assert new.get_state() == old.get_state()

    def test_assigning_after_the_load_steers_elsewhere(self):
        old, new = scheduler(), scheduler()
        new.load_state(old.get_state())
        new.target_sparsity = 0.4
        assert new.step(0.5) < 0.01

    def test_a_state_of_the_original_loads(self):
        names = ("lambda_value", "target_sparsity", "_last_sparsity", "acceleration_factor", "min_lambda", "max_lambda")
        state = {name: scheduler().get_state()[name] for name in names}
        steered = scheduler()
        steered.load_state({**state, "lambda_value": 0.3, "_last_sparsity": 0.95})
        assert steered.lambda_value == 0.3
        assert steered.step(0.0) == pytest.approx(0.3 / (1 + 0.25 * 0.05))

    def test_a_state_of_another_kind_is_refused(self):
        with pytest.raises(SettingError, match="the state of LambdaScheduler has missing or unknown keys"):
            scheduler().load_state(AdditiveLambda().get_state())


class TestWarnings:
    def test_a_bound_touched_in_passing_is_no_fault(self):
        steered = scheduler(min_lambda=0.0099)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(50):
                for reading in (0.99,) * 5 + (0.5,):
                    steered.step(reading)

    @pytest.mark.parametrize(("bound", "reading"), [("min_lambda", 0.99), ("max_lambda", 0.5)])
    def test_a_bound_counts_from_the_tenth_update_and_only_while_the_target_is_missed(self, bound, reading):
        steered = scheduler(**{bound: 0.01})
        nearly = [reading] * (PATIENCE - 1)
        for missed in [*nearly, *[0.9] * PATIENCE, *nearly]:
            assert steered.step(missed) == 0.01
        with pytest.warns(NoEffect, match=f"stopped at {bound}") as said:
            steered.step(reading)
        assert [warning.filename for warning in said] == [__file__]

    def test_a_point_is_the_miss_that_is_told(self):
        optimizer = AdaBreg([torch.ones(2, requires_grad=True)], reg=RegL1(0.1))
        steered = scheduler()
        for reading in (0.8901, 0.9099):
            steered.step(reading)
            steered.finish(optimizer)
        steered.step(0.8899)
        with pytest.warns(NoEffect):
            steered.finish(optimizer)

    def test_a_run_that_ends_short_of_its_target_says_what_to_try(self):
        with pytest.warns(NoEffect, match="steering ended at the sparsity .*raise acceleration_factor.*longer window"):
            run(scheduler())
        with pytest.warns(NoEffect, match="lower initial_lambda or raise the learning rate"):
            run(scheduler(target_sparsity=0.0), sparse=True)

    def test_so_does_a_window_that_ends_before_the_run(self):
        with pytest.warns(NoEffect, match="steering ended at the sparsity"):
            run(scheduler(), steps=8, window=Window(0, 4, unit="step"))

    def test_a_run_that_meets_its_target_says_nothing(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run(scheduler(target_sparsity=0.0, min_lambda=0.0, initial_lambda=0.0))

    def test_a_target_below_what_masks_hold_is_out_of_reach(self):
        with pytest.warns(NoEffect, match="out of reach: masks hold .* so it is 0.7969 at least") as said:
            run(scheduler(target_sparsity=0.5), steps=20, policies=[Prune(OneShot(0.8))])
        assert len(said) == 1

    def test_a_target_above_what_has_gradients_is_out_of_reach(self):
        used, unused = torch.ones(10, requires_grad=True), torch.ones(30, requires_grad=True)
        optimizer = AdaBreg([used, unused], lr=0.1, reg=RegL1(0.1))
        steered = scheduler()
        with pytest.warns(NoEffect, match="30 of 40 steered weights never had a gradient.* so it can be 0.25 at most"):
            for step in range(20):
                used.grad = torch.ones(10)
                optimizer.step()
                steered.after_step(optimizer, step, 0.0)
