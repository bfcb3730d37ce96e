"""Laws of the steering family, over every member and both Bregman optimizers."""

from __future__ import annotations

import copy
import io
import warnings

import pytest
import torch

from prunus.errors import NoEffect, SettingError
from prunus.measure import count, sparsity
from prunus.steering.budget import room_at
from tests.twins.steering import budget_of_groups

EPOCH = 10
"""Steps an epoch."""


def train(make_optimizer, steering, weights, gradients, start=0, total=None, optimizer=None):
    """Step through ``gradients`` and let the steering act; yield the weights after each step."""
    optimizer = optimizer or make_optimizer(weights)
    total = total or len(gradients)
    steering.begin(optimizer)
    for step in range(start, len(gradients)):
        if step % EPOCH == 0:
            steering.epoch_begin(step // EPOCH)
        for weight, gradient in zip(weights, gradients[step], strict=True):
            weight.grad = gradient.clone()
        optimizer.step()
        steering.after_step(optimizer, step, step / (total - 1))
        yield step, optimizer


def law_state_is_plain_and_safe(make_steering, make_optimizer, weights, gradients):
    steering = make_steering()
    for _ in train(make_optimizer, steering, weights, gradients):
        pass
    file = io.BytesIO()
    torch.save(steering.state_dict(), file)
    file.seek(0)
    fresh = make_steering()
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert fresh.state_dict() == steering.state_dict()


def law_resume_equals_uninterrupted(make_steering, make_optimizer, weights, gradients, stop):
    whole = [weight.detach().clone().requires_grad_() for weight in weights]
    for _ in train(make_optimizer, make_steering(), whole, gradients):
        pass
    cut = [weight.detach().clone().requires_grad_() for weight in weights]
    steering = make_steering()
    optimizer = make_optimizer(cut)
    for _ in train(make_optimizer, steering, cut, gradients[:stop], total=len(gradients), optimizer=optimizer):
        pass
    saved = copy.deepcopy((optimizer.state_dict(), steering.state_dict()))
    again = make_optimizer(cut)
    again.load_state_dict(saved[0])
    resumed = make_steering()
    resumed.load_state_dict(saved[1])
    for _ in train(make_optimizer, resumed, cut, gradients, start=stop, optimizer=again):
        pass
    assert all(torch.equal(one, other) for one, other in zip(whole, cut, strict=True))


def law_a_run_repeats_itself(make_steering, make_optimizer, weights, gradients):
    runs = []
    for _ in range(2):
        fresh = [weight.detach().clone().requires_grad_() for weight in weights]
        steering = make_steering()
        strengths = [strength_of(optimizer) for _, optimizer in train(make_optimizer, steering, fresh, gradients)]
        runs.append((fresh, strengths, steering.state_dict()))
    (one, first, state), (other, second, again) = runs
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert first == second and state == again


def law_lambda_stays_in_its_bounds(make_steering, make_optimizer, weights, gradients):
    """Members without bounds of their own keep λ a finite number that is not negative."""
    steering = make_steering()
    settings = vars(steering)
    low, high = settings.get("min_lambda", 0.0), settings.get("max_lambda", 1e30)
    for _, optimizer in train(make_optimizer, steering, weights, gradients):
        for group in optimizer.param_groups:
            assert low <= group["reg"].lamda / group["lambda_scale"] <= high


def law_rests_at_its_target(make_at, make_optimizer, weights, gradients):
    """A steering whose target is exactly what there is moves neither λ nor a weight."""
    optimizer = make_optimizer(weights)
    for weight, gradient in zip(weights, gradients[0], strict=True):
        weight.grad = gradient.clone()
    optimizer.step()
    steering = make_at(sparsity(weights), strength_of(optimizer))
    steering.begin(optimizer)
    for _ in range(5):
        before = [weight.detach().clone() for weight in weights], strength_of(optimizer)
        steering.after_step(optimizer, 0, 1.0)
        assert all(torch.equal(was, now) for was, now in zip(before[0], weights, strict=True))
        assert strength_of(optimizer) == before[1]


def law_higher_targets_leave_no_more_alive(make_at, make_optimizer, weights, gradients, targets):
    """From the same start and under the same gradients, a higher target gives no smaller λ and no smaller sparsity."""
    found = []
    for target in targets:
        fresh = [weight.detach().clone().requires_grad_() for weight in weights]
        *_, (_, optimizer) = train(make_optimizer, make_at(target), fresh, gradients[:3])
        found.append((strength_of(optimizer), sparsity(fresh)))
    assert [strength for strength, _ in found] == sorted(strength for strength, _ in found)
    assert [each for _, each in found] == sorted(each for _, each in found)


def law_one_clear_error(make_steering, settings, name):
    """Raise SettingError that begins with the setting, says what arrived and what was expected."""
    with pytest.raises(SettingError) as error:
        make_steering(**settings)
    text = str(error.value)
    assert text.startswith(name) and repr(settings[name]) in text and len(text) < 200, text


def strength_of(optimizer):
    return max(group["reg"].lamda for group in optimizer.param_groups)


def law_budget_is_never_exceeded_and_met_at_the_end(budget, make_optimizer, weights, gradients, members):
    """``members`` counts living members and all members of the weights."""
    for step, _ in train(make_optimizer, budget, weights, gradients):
        alive, total = members(weights)
        progress = step / (len(gradients) - 1)
        allowed = total - int(budget.sparsity_at(progress) * total * (1 + 1e-12))
        assert alive <= allowed, (step, alive, allowed)
        if progress >= max(budget.ramp, budget.room_until if budget.room else 0.0):
            assert alive == total - int(budget.target * total * (1 + 1e-12)), step


def law_budget_follows_its_twin(budget, make_optimizer, weights, gradients, structure):
    """The smallest go and the nearest come back, group by group, each with its dual; now and then λ kills too many."""
    optimizer, changed = make_optimizer(weights), set()
    for step, slopes in enumerate(gradients):
        for weight, slope in zip(weights, slopes, strict=True):
            weight.grad = slope.to(weight.dtype)
        reg = optimizer.param_groups[0]["reg"]
        reg.lamda = 3.0 if step % 7 == 6 else 0.02
        optimizer.step()
        duals, progress = [optimizer.state[weight]["sub_grad"] for weight in weights], step / (len(gradients) - 1)
        theta, v = as_lists(structure, weights), as_lists(structure, duals)
        radii = [reg.radius(weight.shape) for weight in weights for _ in structure.split(weight)]
        before, total = sum(map(any, theta)), len(theta)
        allowed = total - int(budget.sparsity_at(progress) * total * (1 + 1e-12))
        free = room_at(progress, budget.room, budget.room_until) if (step + 1) % budget.period == 0 else 0.0
        closed = progress >= max(budget.ramp, budget.room_until)
        rule = (allowed, int(allowed * (1 - free)), closed, budget.back, optimizer.param_groups[0]["delta"])
        budget_of_groups(theta, v, radii, total, *rule, one_sided=reg.domain == "nonnegative")
        budget.after_step(optimizer, step, progress)
        for ours, expected in ((weights, theta), (duals, v)):
            found, wanted = map(flat, (as_lists(structure, ours), expected))
            close = 1e-12 if weights[0].dtype == torch.float64 else 1e-5
            torch.testing.assert_close(found, wanted, rtol=close, atol=close)
            assert torch.equal(found == 0, wanted == 0), step
        after = sum(map(any, theta))
        changed.add((after > before) - (after < before))
    assert changed == {-1, 0, 1}


def flat(groups):
    return torch.tensor([x for group in groups for x in group], dtype=torch.float64)


def as_lists(structure, tensors):
    """Write tensors out as one list of floats a group."""
    return [group for tensor in tensors for group in structure.split(tensor.detach()).double().tolist()]


def law_exactly_as_many_live_as_asked(quantile, make_optimizer, weights, gradients, members):
    """And at any smaller λ more would."""
    for step, optimizer in train(make_optimizer, quantile, weights, gradients):
        alive, total = members(weights)
        assert alive == total - int(quantile.sparsity_at(step / (len(gradients) - 1)) * total * (1 + 1e-12)), step
        (group,) = optimizer.param_groups
        looser, delta = copy.deepcopy(group["reg"]), group["delta"]
        looser.lamda *= 1 - 1e-5
        duals = [optimizer.state[weight]["sub_grad"] for weight in weights if weight.numel()]
        assert looser.lamda == 0.0 or members([looser.prox(delta * dual, delta) for dual in duals])[0] > alive, step


def law_feedback_pushes_towards_the_target(steering, make_optimizer, weights, gradients):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "λ has stopped", NoEffect)
        for _, optimizer in train(make_optimizer, steering, weights, gradients):
            before = steering.lambda_value
            reading = sparsity(weights)
            steering.after_step(optimizer, 0, 0.0)
            moved = steering.lambda_value - before
            assert moved * (steering.target - reading) >= 0
            assert steering.min_lambda <= steering.lambda_value <= steering.max_lambda


def elements(weights):
    found = count(weights)
    return found.kept, found.total


def groups_of(structure):
    def members(weights):
        flags = [structure.split(weight.detach().ne(0)).any(dim=1) for weight in weights]
        return sum(int(flag.sum()) for flag in flags), sum(flag.numel() for flag in flags)

    return members
