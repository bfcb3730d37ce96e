"""Distiller's callbacks, written down plainly: one mask a parameter, its policy's flags, loops over policies.

Read off the protocol in the reference, with what is required in place of its defects: exactly ⌊s·n⌋ weights go, and of
equal ones the last; flags belong to a policy's parameters; what comes at the end comes after the last firing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


def agp_level(epoch: int, initial: float, final: float, start: int, end: int, frequency: int) -> float:
    """The level of gradual pruning; its span ends with the last epoch that fires."""
    span = (end - start - 1) // frequency * frequency
    return final + (initial - final) * (1.0 - (epoch - start) / span) ** 3


def smallest_go(weight: Tensor, level: float) -> Tensor | None:
    """Drop the ⌊level·n⌋ smallest by sorting; None when that is none."""
    flat = [abs(float(value)) for value in weight.flatten()]
    count = math.floor(level * len(flat) + 1e-9)
    order = sorted(range(len(flat)), key=lambda at: (flat[at], -at))
    mask = torch.ones(len(flat), dtype=torch.bool)
    mask[order[:count]] = False
    return mask.view(weight.shape) if count else None


@dataclass
class PlainPolicy:
    """A policy: the epochs in which it fires, the level in each, and its flags."""

    weights: tuple[str, ...]
    firings: tuple[int, ...]
    level: Callable[[int], float]
    keep_mask: bool = False
    mini_batch_pruning_frequency: int = 0
    mask_on_forward_only: bool = False
    mask_gradients: bool = False
    use_double_copies: bool = False
    discard_masks_at_minibatch_end: bool = False
    skip_first_minibatch: bool = False

    opened: bool = False
    closed: bool = False
    waiting: bool = False


@dataclass
class PlainMask:
    """The mask of a parameter, who decided it, and whether it is off after the update."""

    mask: Tensor
    policy: PlainPolicy
    forward_only: bool


@dataclass
class PlainDistiller:
    """Parameters by name, policies in the order of the file."""

    parameters: Mapping[str, Tensor]
    policies: list[PlainPolicy]
    masks: dict[str, PlainMask] = field(default_factory=dict)
    copies: dict[str, Tensor] = field(default_factory=dict)

    def active(self, epoch: int) -> list[PlainPolicy]:
        return [policy for policy in self.policies if epoch in policy.firings]

    def decide(self, policy: PlainPolicy, epoch: int) -> None:
        for name in policy.weights:
            mask = smallest_go(self.parameters[name], policy.level(epoch))
            if mask is not None:
                self.masks[name] = PlainMask(mask, policy, policy.mask_on_forward_only)

    def on_epoch_begin(self, epoch: int) -> None:
        for policy in self.active(epoch):
            policy.waiting = policy.skip_first_minibatch and not policy.opened
            policy.opened = True
            if not policy.waiting:
                self.decide(policy, epoch)

    def on_minibatch_begin(self, epoch: int, batch: int, batches: int) -> None:
        for policy in self.active(epoch):
            frequency = policy.mini_batch_pruning_frequency
            due = frequency > 0 and batch > 0 and (epoch * batches + batch) % frequency == 0
            if due or (batch == 1 and policy.waiting):
                policy.waiting = False
                self.decide(policy, epoch)
        for name, one in self.masks.items():
            if one.policy in self.active(epoch) and one.policy.use_double_copies:
                self.copies[name] = self.parameters[name].clone()
            if one.policy in self.active(epoch) or not one.forward_only:
                self.parameters[name].mul_(one.mask)

    def after_backward(self) -> None:
        for name, one in self.masks.items():
            if one.policy.mask_gradients and one.policy.opened and not one.policy.closed:
                self.parameters[name].grad.mul_(one.mask)

    def before_parameter_optimization(self) -> None:
        for name, dense in self.copies.items():
            self.parameters[name].copy_(dense)
        self.copies = {}

    def on_minibatch_end(self, epoch: int) -> None:
        for name, one in self.masks.items():
            if not one.forward_only:
                self.parameters[name].mul_(one.mask)
        for policy in self.active(epoch):
            if policy.discard_masks_at_minibatch_end:
                self.masks = {name: one for name, one in self.masks.items() if one.policy is not policy}

    def on_epoch_end(self, epoch: int) -> None:
        for policy in self.active(epoch):
            if epoch == max(policy.firings):
                policy.closed = True
                for name, one in self.masks.items():
                    if policy.keep_mask and one.policy is policy:
                        one.forward_only = False
                        self.parameters[name].mul_(one.mask)
