"""The scheduler in any loop: moments in order, masks after every step, nothing silent, resume bit for bit."""

import copy
import io
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from prunus._program import Program
from prunus.actions import Moment, Prune, Regularize, Rewire, SetLR, Site, Steer
from prunus.errors import (
    CheckpointError,
    NoEffect,
    RunError,
    ScoreError,
    SelectionError,
    SettingError,
    StructureError,
)
from prunus.masks import MaskStore
from prunus.measure import sparsity
from prunus.optim import AdaBreg
from prunus.policy import Policy
from prunus.regularizers import RegL1, RegNone
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cubic, Levels, Linear, OneShot
from prunus.select import Select, targets
from prunus.steering import LambdaScheduler, SparsityBudget
from prunus.structures import Filter
from prunus.window import Window
from tests import models

STEPS = 5


def data(steps=STEPS, seed=7):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(6, 8, generator=generator) for _ in range(steps)]


def one_step(model, optimizer, batch, scheduler=None):
    optimizer.zero_grad()
    loss = model(batch).square().mean()
    (scheduler.loss(loss) if scheduler else loss).backward()
    optimizer.step()


def run(model, optimizer, scheduler, epochs, penalized=False):
    for _ in scheduler.epochs(epochs):
        for batch in data()[scheduler.step_in_epoch :]:
            one_step(model, optimizer, batch, scheduler if penalized else None)


def setup(policies, make=torch.optim.Adam, **settings):
    torch.manual_seed(0)
    model = models.mlp()
    optimizer = make(model.parameters(), lr=0.01)
    return model, optimizer, CompressionScheduler(model, policies, optimizer=optimizer, **settings)


def adabreg(parameters, lr):
    return AdaBreg(parameters, lr=lr, reg=RegL1(0.01))


class TestLoops:
    def test_the_scheduled_sparsity_is_exact_at_every_epoch(self):
        model, optimizer, scheduler = setup([Policy(Prune(Cubic(0.8)), Window(0, 6))], steps_per_epoch=STEPS)
        run(model, optimizer, scheduler, 8)
        for epoch, row in enumerate(scheduler.history):
            level = 0.8 - 0.8 * (1 - min(1.0, epoch / 5)) ** 3
            assert row["sparsity"] == int(level * 192 + 1e-9) / 192
            assert row["epoch"] == epoch and row["step"] == (epoch + 1) * STEPS

    def test_the_shortest_loop_needs_no_epoch_begin(self):
        model, optimizer, scheduler = setup([Prune(Linear(0.5))], epochs=3)
        for _ in range(3):
            for batch in data():
                one_step(model, optimizer, batch)
            scheduler.epoch_end({"accuracy": 0.5})
        assert scheduler.sparsity() == 0.5 and scheduler.epoch == 3 and scheduler.history[1]["accuracy"] == 0.5

    def test_a_loop_that_passes_its_loss_may_do_without_epoch_begin_too(self):
        model, optimizer, scheduler = setup([Prune(Linear(0.5)), Regularize(RegL1(0.01))], epochs=3)
        for _ in range(3):
            for batch in data():
                one_step(model, optimizer, batch, scheduler)
            scheduler.epoch_end()
        assert scheduler.sparsity() == 0.5 and all(row["penalty"] > 0 for row in scheduler.history)

    def test_both_loops_train_alike(self):
        short, long = setup([Prune(Linear(0.5))], epochs=2), setup([Prune(Linear(0.5))])
        run(*long, 2)
        model, optimizer, scheduler = short
        for epoch in range(2):
            scheduler.epoch_begin(epoch)
            for batch in data():
                one_step(model, optimizer, batch)
                scheduler.gradients_ready()  # harmless: the hook has done it
            scheduler.epoch_end()
        assert torch.equal(short[0][0].weight, long[0][0].weight)

    def test_a_loop_without_an_optimizer_calls_the_moments_itself(self):
        model = models.mlp()
        scheduler = CompressionScheduler(model, [Policy(Prune(OneShot(0.5)), Window(1, 2, unit="step"))], epochs=1)
        scheduler.steps_per_epoch = 3
        sparsities = []
        for _ in scheduler.epochs(1):
            for _ in range(3):
                scheduler.gradients_ready()
                scheduler.step_end()
                sparsities.append(scheduler.sparsity())
        assert sparsities == [0.0, 0.5, 0.5]

    def test_a_step_is_an_optimizer_step_not_a_micro_batch(self):
        model, optimizer, scheduler = setup([Policy(Prune(Linear(0.6)), Window(0, 3, unit="step"))], steps_per_epoch=3)
        for _ in scheduler.epochs(1):
            for index, batch in enumerate(data(6)):
                model(batch).square().mean().backward()
                if index % 2:
                    optimizer.step()
                    optimizer.zero_grad()
        assert scheduler.step == 3 and scheduler.sparsity() == int(0.6 * 192) / 192

    def test_masks_hold_after_every_step_though_momentum_pulls(self):
        model, optimizer, scheduler = setup([Policy(Prune(OneShot(0.5)), Window(1, 2))], steps_per_epoch=STEPS)
        for epoch in scheduler.epochs(3):
            for batch in data():
                one_step(model, optimizer, batch)
                assert epoch == 0 or scheduler.sparsity() == 0.5

    def test_neutral_policies_leave_training_bit_identical(self):
        neutral = [Prune(OneShot(0.0)), Regularize(RegL1(0.0)), Regularize(RegNone()), SetLR(OneShot(1.0))]
        model, optimizer, scheduler = setup(neutral, steps_per_epoch=STEPS)
        run(model, optimizer, scheduler, 2, penalized=True)
        plain, plain_optimizer, _ = setup([])
        for batch in data() * 2:
            one_step(plain, plain_optimizer, batch)
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))

    def test_a_penalty_equals_its_gradient_by_hand(self):
        model, optimizer, scheduler = setup([Regularize(RegL1(0.1))], torch.optim.SGD, steps_per_epoch=1)
        twin = copy.deepcopy(model)
        for _ in scheduler.epochs(1):
            one_step(model, optimizer, data()[0], scheduler)
        (twin(data()[0]).square().mean() + 0.1 * sum(twin[i].weight.abs().sum() for i in (0, 2))).backward()
        for one, other in zip(model.parameters(), twin.parameters(), strict=True):
            assert torch.allclose(one, other - 0.01 * other.grad, atol=1e-7)
        assert scheduler.history[0]["penalty"] > 0

    def test_detached_hooks_leave_the_optimizer_alone(self):
        model, optimizer, scheduler = setup([Prune(OneShot(0.5))], epochs=1)
        scheduler.epoch_begin()
        scheduler.detach()
        one_step(model, optimizer, data()[0])
        assert scheduler.step == 0 and scheduler.sparsity() < 0.5

    def test_with_no_policy_the_sparsity_is_that_of_the_whole_model(self):
        model, _, scheduler = setup([])
        with torch.no_grad():
            model[0].weight.zero_()
        assert scheduler.count().zeros == 128 and scheduler.count().total == 192


class TestWrongUse:
    def test_a_policy_that_does_not_fit_raises_with_nothing_changed(self):
        model = models.mlp()
        before = copy.deepcopy(model.state_dict())
        optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
        with pytest.raises(SelectionError, match=r"2\.weight"):
            CompressionScheduler(model, [Prune(OneShot(0.5))], optimizer=optimizer)
        assert not optimizer._optimizer_step_post_hooks
        assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
        with pytest.raises(StructureError, match=r"embed.weight|\[12, 6\]"):
            from prunus.structures import Kernel

            CompressionScheduler(models.Tied(), [Prune(OneShot(0.5), structure=Kernel())])

    def test_filters_of_a_grouped_transposed_convolution_are_refused(self):
        model = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, groups=2))
        with pytest.raises(StructureError, match="0.weight .* several output channels"):
            CompressionScheduler(model, [Prune(OneShot(0.5), structure=Filter())])

    def test_an_unknown_length_is_named_where_it_is_needed(self):
        model, optimizer, _ = setup([Prune(Cubic(0.9))])
        with pytest.raises(RunError, match="pass epochs"):
            one_step(model, optimizer, data()[0])
        with pytest.raises(SettingError, match="steps_per_epoch"):
            setup([], steps_per_epoch=0)

    def test_calls_in_the_wrong_order_are_named(self):
        _, _, scheduler = setup([], epochs=2)
        scheduler.epoch_begin()
        with pytest.raises(RunError, match="epoch 0 has not ended"):
            scheduler.epoch_begin()
        scheduler.epoch_end()
        with pytest.raises(RunError, match="epoch 0 was begun, expected 1"):
            scheduler.epoch_begin(0)
        with pytest.raises(RunError, match="count a step twice"):
            scheduler.step_end()
        with pytest.raises(RunError, match="said to have 2 epochs, now 3"):
            next(scheduler.epochs(3))

    def test_an_epoch_that_is_ended_twice_is_named(self):
        _, _, scheduler = setup([])
        with pytest.raises(RunError, match="epoch_end was called 2 times in epoch 0, expected once"):
            for _ in scheduler.epochs(4):
                scheduler.epoch_end()
                scheduler.epoch_end()

    def test_a_window_that_never_fires_is_a_loud_warning(self):
        model, optimizer, scheduler = setup([Policy(Prune(OneShot(0.5)), Window(5, 6))], steps_per_epoch=STEPS)
        with pytest.warns(NoEffect, match="'epochs 5 to 6' never fires: the run has 2 epochs") as caught:
            run(model, optimizer, scheduler, 2)
        assert len(caught) == 1

    def test_a_goal_beyond_the_run_is_a_loud_warning(self):
        model, optimizer, scheduler = setup([Policy(Prune(Cubic(0.5)), Window(0, 9))], steps_per_epoch=STEPS)
        with pytest.warns(NoEffect, match="does not reach its end: the run has only 3 epochs"):
            run(model, optimizer, scheduler, 3)

    def test_a_penalty_that_no_loss_ever_saw_is_a_loud_warning(self):
        model, optimizer, scheduler = setup([Regularize(RegL1(0.1))], steps_per_epoch=STEPS)
        with pytest.warns(NoEffect, match="never called scheduler.loss"):
            run(model, optimizer, scheduler, 1)

    def test_two_hands_on_the_learning_rate_are_refused_unless_they_take_turns(self):
        overlap = [
            Policy(SetLR(OneShot(0.5)), Window(0, 8, unit="step")),
            Policy(SetLR(OneShot(1.0)), Window(7, 9, unit="step")),
        ]
        with pytest.raises(SettingError, match="two policies move the learning rate: SetLR in steps 0 to 8; SetLR"):
            setup(overlap, epochs=2, steps_per_epoch=STEPS)[2].epoch_begin()
        turns = [
            Policy(SetLR(OneShot(0.5)), Window(0, 5, unit="step")),
            Policy(SetLR(OneShot(0.1)), Window(5, 10, unit="step")),
        ]
        model, optimizer, scheduler = setup(turns, steps_per_epoch=STEPS)
        run(model, optimizer, scheduler, 2)
        assert [row["lr"] for row in scheduler.history] == pytest.approx([0.005, 0.001])

    def test_steering_needs_an_optimizer_that_can_be_steered(self):
        with pytest.raises(SettingError, match="got Adam"):
            setup([Steer(LambdaScheduler())])


POLICIES = {
    "gradual": (torch.optim.Adam, lambda: [Prune(Cubic(0.8)), SetLR(Linear(initial=1.0, final=0.1))]),
    "steps": (torch.optim.Adam, lambda: [Policy(Prune(Levels((0.1, 0.5, 0.7))), Window(2, 14, 3, unit="step"))]),
    "feedback": (adabreg, lambda: [Steer(LambdaScheduler(0.01, target_sparsity=0.8))]),
    "budget": (adabreg, lambda: [Steer(SparsityBudget(0.8, period=4))]),
    "penalty": (torch.optim.Adam, lambda: [Regularize(RegL1(0.01)), Policy(Prune(OneShot(0.5)), Window(2, 3))]),
}


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("stop", [0, 3, 5, 8, 14])
class TestResume:
    def test_a_run_cut_anywhere_ends_bit_for_bit_as_if_never_cut(self, kind, stop):
        make, policies = POLICIES[kind]
        whole = setup(policies(), make, steps_per_epoch=STEPS)
        run(*whole, 3, penalized=True)
        model, optimizer, scheduler = setup(policies(), make, steps_per_epoch=STEPS)
        saved = self.save_at(stop, model, optimizer, scheduler)
        fresh, fresh_optimizer, fresh_scheduler = setup(policies(), make, steps_per_epoch=STEPS)
        fresh.load_state_dict(saved["model"])
        fresh_optimizer.load_state_dict(saved["optimizer"])
        fresh_scheduler.load_state_dict(saved["scheduler"])
        run(fresh, fresh_optimizer, fresh_scheduler, 3, penalized=True)
        for one, other in zip(whole[0].parameters(), fresh.parameters(), strict=True):
            assert torch.equal(one, other)
        assert all(torch.equal(whole[2].masks[name], fresh_scheduler.masks[name]) for name in whole[2].masks)
        assert fresh_scheduler.history == whole[2].history
        assert fresh_optimizer.param_groups[0]["lr"] == whole[1].param_groups[0]["lr"]

    @staticmethod
    def save_at(stop, model, optimizer, scheduler):
        """Train up to ``stop`` steps and write everything to a file that loads safely."""
        for _ in scheduler.epochs(3):
            for batch in data():
                if scheduler.step == stop:
                    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
                    file = io.BytesIO()
                    torch.save({name: part.state_dict() for name, part in parts.items()}, file)
                    file.seek(0)
                    return torch.load(file, weights_only=True)
                one_step(model, optimizer, batch, scheduler)
        raise AssertionError("the run ended before the stop")


class TestForeignState:
    def test_other_policies_are_refused_with_both_lists(self):
        _, _, scheduler = setup([Prune(OneShot(0.5))])
        state = setup([Prune(OneShot(0.5)), SetLR(OneShot(1.0))])[2].state_dict()
        with pytest.raises(CheckpointError, match=r"\['Prune', 'SetLR'\], this one .* \['Prune'\]"):
            scheduler.load_state_dict(state)

    @pytest.mark.parametrize("damage", ["place", "masks", "history"])
    def test_a_damaged_state_changes_nothing(self, damage):
        model, optimizer, scheduler = setup([Prune(Linear(0.5))], steps_per_epoch=STEPS)
        run(model, optimizer, scheduler, 2)
        state = scheduler.state_dict()
        before = copy.deepcopy(state)
        del state[damage]
        with pytest.raises(CheckpointError, match="damaged"):
            scheduler.load_state_dict(state)
        assert torch.equal(scheduler.state_dict()["masks"]["0.weight"]["pruned"], before["masks"]["0.weight"]["pruned"])
        assert scheduler.state_dict()["place"] == before["place"]

    def test_masks_of_another_model_are_refused_by_name_and_nothing_changes(self):
        model = nn.Sequential(nn.Linear(8, 3), nn.Linear(3, 2))
        other = CompressionScheduler(model, [Prune(OneShot(0.5))], epochs=1)
        other.epoch_begin()
        _, _, scheduler = setup([Prune(OneShot(0.5))], epochs=1)
        with pytest.raises(CheckpointError, match=r"0.weight has shape \[16, 8\], saved mask \[3, 8\]"):
            scheduler.load_state_dict(other.state_dict())
        assert len(scheduler.masks) == 0 and scheduler.epoch == 0


def test_nothing_is_said_when_all_is_well():
    model, optimizer, scheduler = setup([Policy(Prune(Cubic(0.5)), Window(0, 2))], steps_per_epoch=STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(model, optimizer, scheduler, 3)


@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_after_an_error_the_next_try_goes_on_where_it_broke_off(unit):
    """The policy that was refused is not passed over, and the one before it does not act twice."""
    model, optimizer, scheduler = setup(
        [
            Policy(Prune(OneShot(0.5), select=Select(include=(name,))), Window(1, 2, unit=unit))
            for name in ("0.weight", "2.weight")
        ],
        steps_per_epoch=1,
        epochs=3,
    )
    one_step(model, optimizer, data(1)[0])
    scheduler.epoch_end()
    weight, place = model[2].weight, scheduler.state_dict()["place"]
    kept, model[0].bias.grad = weight.detach().clone(), None
    weight.data[0, 0] = float("nan")
    for _ in range(2):
        with pytest.raises(ScoreError, match=r"Prune did nothing, for 2\.weight holds NaN"):
            scheduler.epoch_begin() if unit == "epoch" else optimizer.step()
        assert [policy.fired for policy in scheduler.policies] == [1, 0] and list(scheduler.masks) == ["0.weight"]
    assert scheduler.state_dict()["place"][:3] == place[:3]
    weight.data.copy_(kept)
    one_step(model, optimizer, data(1)[0])
    assert [policy.fired for policy in scheduler.policies] == [1, 1] and sparsity(weight) == 0.5


def program_of(model):
    """Prune each of two layers at epoch 2."""
    policies = [Policy(Prune(OneShot(0.5), select=Select((name,))), Window(2, 3)) for name in ("0.weight", "2.weight")]
    program = Program.bind(policies, Site(model, None, MaskStore(targets(model))))
    program.resolve({"epoch": 4, "step": None})
    return program


def test_a_place_that_is_fired_again_acts_again():
    program = program_of(models.mlp())
    assert [program.fire(Moment.BEFORE, "epoch", 2) for _ in range(2)] == [True, True]
    assert [policy.fired for policy in program] == [2, 2]


def test_a_state_that_is_loaded_after_an_error_lets_every_policy_act():
    model = models.mlp()
    program, kept = program_of(model), model[2].weight.detach().clone()
    state = program.state_dict()
    model[2].weight.data[0, 0] = float("nan")
    with pytest.raises(ScoreError):
        program.fire(Moment.BEFORE, "epoch", 2)
    model[2].weight.data.copy_(kept)
    program.load_state_dict(state)
    program.fire(Moment.BEFORE, "epoch", 2)
    assert [policy.fired for policy in program] == [1, 1]


@pytest.mark.parametrize(("epochs", "said"), [(1, "never acted in this run"), (3, "was left at sparsity 0.25 of 0.5")])
def test_a_run_that_stops_early_says_what_was_missed(epochs, said):
    _, _, scheduler = setup([Policy(Prune(Linear(0.5)), Window(1, 4))])
    for _ in range(epochs):
        scheduler.epoch_begin()
        scheduler.epoch_end()
    with pytest.warns(NoEffect, match=said):
        scheduler.finish()


@pytest.mark.parametrize(
    ("policies", "said"),
    [
        (Prune(OneShot(0.5)), r"policies is Prune\(.*expected a list"),
        ("prune", "policies is 'prune', expected a list"),
        (
            [Prune(OneShot(0.5)), "prune"],
            r"policies\[1\] is 'prune', expected a Policy, or a member of prunus\.actions",
        ),
    ],
)
def test_what_is_no_list_of_policies_is_refused(policies, said):
    with pytest.raises(SettingError, match=said):
        CompressionScheduler(nn.Linear(2, 2), policies)


@pytest.mark.parametrize("begun", [False, True])
def test_parameters_that_were_replaced_are_named(begun):
    model, optimizer, scheduler = setup([Prune(Cubic(0.5), select=Select(include=("0.*",)))], epochs=3)
    if begun:
        one_step(model, optimizer, data(1)[0])
        scheduler.epoch_end()
    model.load_state_dict({name: value.clone() for name, value in model.state_dict().items()}, assign=True)
    with pytest.raises(RunError, match=r"^0\.weight: the model has other parameters than when the scheduler was built"):
        scheduler.epoch_begin()


def test_a_model_that_moved_or_was_taken_over_by_torch_is_followed():
    model, _, scheduler = setup([Prune(Cubic(0.5))], epochs=3)
    scheduler.epoch_begin()
    model.double()
    torch_prune.identity(model[0], "weight")
    scheduler.epoch_end()
    scheduler.epoch_begin()
    assert scheduler.sparsity() == pytest.approx(0.4375, abs=0.01)


def test_a_state_from_between_gradients_and_update_does_not_act_twice():
    def made():
        model = nn.Linear(20, 20)
        actions = [Prune(OneShot(0.5)), Policy(Rewire(fraction=OneShot(0.5)), Window(0, 1, unit="step"))]
        return model, CompressionScheduler(model, actions, epochs=1, steps_per_epoch=1)

    (first, scheduler), (second, resumed) = made(), made()
    first(torch.rand(4, 20)).square().sum().backward()
    scheduler.gradients_ready()
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    second.weight.grad = first.weight.grad
    for one in (scheduler, resumed):
        one.step_end()
    assert torch.equal(first.weight, second.weight) and torch.equal(scheduler.masks["weight"], resumed.masks["weight"])
