"""Planted wrong optimizers: each is caught by the law that it breaks."""

from __future__ import annotations

import warnings
from functools import partial

import pytest
import torch

from prunus.errors import NoEffect
from prunus.optim import AdaBreg, LinBreg
from prunus.regularizers import RegL1
from tests.laws import optim as laws
from tests.twins.optim import TWINS

make_reg = partial(RegL1, lamda=0.2)


class ProxFirst(LinBreg):
    def _update_(self, params, grads, states, group):
        for p, g, state in zip(params, grads, states, strict=True):
            p.copy_(group["reg"].prox(group["delta"] * state["sub_grad"], group["delta"]))
            state["sub_grad"].add_(g, alpha=-group["lr"])


class SeededMomentum(LinBreg):
    def _update_(self, params, grads, states, group):
        for g, state in zip(grads, states, strict=True):
            state.setdefault("momentum_buffer", group["lr"] * g)
        super()._update_(params, grads, states, group)


class LrOutsideMomentum(LinBreg):
    def _update_(self, params, grads, states, group):
        lr, group["lr"] = group["lr"], 1.0
        super()._update_(params, grads, states, group)
        group["lr"] = lr


class ForgetsDelta(LinBreg):
    def _update_(self, params, grads, states, group):
        super()._update_(params, grads, states, {**group, "delta": 1.0})


class StartsAtZero(LinBreg):
    def _fresh(self, parameter, group):
        return {
            "sub_grad": torch.zeros_like(parameter.detach(), dtype=torch.promote_types(parameter.dtype, torch.float32))
        }


class EpsInsideTheRoot(AdaBreg):
    def _update_(self, params, grads, states, group):
        (b1, b2), delta = group["betas"], group["delta"]
        for p, g, s in zip(params, grads, states, strict=True):
            s["exp_avg"].lerp_(g, 1 - b1)
            s["exp_avg_sq"].mul_(b2).addcmul_(g, g, value=1 - b2)
            root = (s["exp_avg_sq"] / (1 - b2 ** s["step"]) + group["eps"]).sqrt()
            s["sub_grad"].sub_(group["lr"] / (1 - b1 ** s["step"]) * s["exp_avg"] / root)
            p.copy_(group["reg"].prox(delta * s["sub_grad"], delta))


class NarrowDual(LinBreg):
    def _fresh(self, parameter, group):
        return {key: value.to(parameter.dtype) for key, value in super()._fresh(parameter, group).items()}


class NarrowAfterLoad(LinBreg):
    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for p, state in self.state.items():
            state["sub_grad"] = state["sub_grad"].to(p.dtype)


class RePointsData(LinBreg):
    def _advance(self, params, group):
        super()._advance(params, group)
        for p in params:
            p.data = p.data.clone()


class ForgetsLayout(LinBreg):
    def _advance(self, params, group):
        super()._advance(params, group)
        for p in params:
            p.data = p.data.contiguous()


class LoopRoundsDifferently(LinBreg):
    def _update_(self, params, grads, states, group):
        if group["implementation"] == "loop":
            grads = [g * (1 + 1e-6) for g in grads]
        super()._update_(params, grads, states, group)


class StepsWithoutGradient(LinBreg):
    def _ready(self, index):
        for p in self.param_groups[index]["params"]:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        return super()._ready(index)


class DropsTheClosuresGradients(LinBreg):
    def step(self, closure=None):
        loss = closure() if closure else None
        for p in self.param_groups[0]["params"]:
            p.grad = None
        super().step()
        return loss


class RestoresNoLambda(LinBreg):
    def load_state_dict(self, state_dict):
        strength = [group["reg"].lamda for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, lamda in zip(self.param_groups, strength, strict=True):
            group["reg"].lamda = lamda


class ReplacesRegularizer(LinBreg):
    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["reg"] = RegL1(group["reg"].lamda)


class SharesState(LinBreg):
    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for (_, mine), theirs in zip(self.state.items(), state_dict["state"].values(), strict=True):
            mine.update(theirs)


class OneRegForAll(LinBreg):
    def _update_(self, params, grads, states, group):
        super()._update_(params, grads, states, {**group, "reg": self.param_groups[0]["reg"]})


class DecaysOutsideTheGradient(LinBreg):
    def _update_(self, params, grads, states, group):
        decay = group["weight_decay"]
        super()._update_(params, [g - decay * p for g, p in zip(grads, params, strict=True)], states, group)
        for p in params:
            p.mul_(1 - group["lr"] * decay)


class LetsSurvivorsShift(LinBreg):
    def _advance(self, params, group):
        super()._advance(params, {**group, "lambda_change": "none"})


class ForgetsTheLambdaOfTheLastStep(LinBreg):
    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for state in self.state.values():
            state.pop("lamda", None)


class SkipsTheWeightOnly(LinBreg):
    def _ready(self, index):
        bad = [p for p in self.param_groups[index]["params"] if not p.grad.isfinite().all()]
        self.stay = [(p, p.detach().clone()) for p in bad]
        for p in bad:
            p.grad.nan_to_num_(0.0, 0.0, 0.0)
        return self.param_groups[index]["params"]

    def step(self, closure=None):
        super().step(closure)
        for p, before in self.stay:
            p.data.copy_(before)
            warnings.warn("the gradient of parameter 0 of group 0 held NaN or infinity", NoEffect, stacklevel=1)


class StepsOnScaledGradients(LinBreg):
    _step_supports_amp_scaling = True


HALF = {"lr": 0.1}
BY_LISTS = {**HALF, "implementation": "foreach"}
DECAY = {"lr": 0.1, "weight_decay": 0.5}
KEEP = {"lr": 0.1, "lambda_change": "keep_survivors"}
MOMENTUM = {"lr": 0.1, "momentum": 0.9, "delta": 0.5}
CASES = [
    (ProxFirst, partial(laws.law_follows_its_twin, twin=TWINS["linbreg"]), HALF),
    (SeededMomentum, partial(laws.law_follows_its_twin, twin=TWINS["linbreg"]), MOMENTUM),
    (LrOutsideMomentum, partial(laws.law_follows_its_twin, twin=TWINS["linbreg"]), MOMENTUM),
    (ForgetsDelta, partial(laws.law_follows_its_twin, twin=TWINS["linbreg"]), MOMENTUM),
    (StartsAtZero, partial(laws.law_follows_its_twin, twin=TWINS["linbreg"]), HALF),
    (StartsAtZero, laws.law_rest_is_rest, HALF),
    (EpsInsideTheRoot, partial(laws.law_follows_its_twin, twin=TWINS["adabreg"]), HALF),
    (NarrowDual, partial(laws.law_state_is_wide, dtype=torch.bfloat16), BY_LISTS),
    (NarrowAfterLoad, partial(laws.law_state_is_wide, dtype=torch.bfloat16), BY_LISTS),
    (RePointsData, laws.law_writes_in_place, BY_LISTS),
    (ForgetsLayout, laws.law_writes_in_place, BY_LISTS),
    (LoopRoundsDifferently, laws.law_implementations_agree, HALF),
    (StepsWithoutGradient, laws.law_without_gradient_nothing_happens, HALF),
    (DropsTheClosuresGradients, laws.law_closure_sees_gradients, HALF),
    (RestoresNoLambda, laws.law_resumes_bit_equal, HALF),
    (ReplacesRegularizer, laws.law_resumes_bit_equal, HALF),
    (SharesState, laws.law_load_shares_nothing, HALF),
    (DecaysOutsideTheGradient, partial(laws.law_follows_its_twin, twin=TWINS["linbreg"]), DECAY),
    (LetsSurvivorsShift, laws.law_survivors_stay, HALF),
    (LetsSurvivorsShift, partial(laws.law_follows_its_twin_while_lambda_moves, twin=TWINS["linbreg"]), KEEP),
    (ForgetsTheLambdaOfTheLastStep, laws.law_resumes_bit_equal, KEEP),
    (SkipsTheWeightOnly, laws.law_skips_what_is_not_finite, HALF),
    (StepsOnScaledGradients, laws.law_overflows_change_nothing, HALF),
    (OneRegForAll, partial(laws.law_groups_are_optimizers, make_other=partial(RegL1, lamda=0.4)), HALF),
]


@pytest.mark.parametrize(("member", "law", "settings"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_the_law_catches_it(member, law, settings) -> None:
    with pytest.raises(AssertionError):
        law(member, make_reg=make_reg, settings=settings)


@pytest.mark.parametrize("law", [case[1] for case in CASES if case[0] is not EpsInsideTheRoot])
def test_the_real_one_passes(law) -> None:
    law(LinBreg, make_reg=make_reg, settings=MOMENTUM)


def test_a_base_with_another_step_size_is_caught() -> None:
    with pytest.raises(AssertionError):
        laws.law_equals_its_base(ForgetsDelta, {"lr": 0.1, "delta": 0.5}, partial(torch.optim.SGD, lr=0.05))
