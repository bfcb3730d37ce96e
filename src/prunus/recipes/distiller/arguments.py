"""The ``args`` of a policy, as Distiller's files write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prunus.errors import SettingError, require_count, require_fraction
from prunus.recipes.distiller.contract import Remark


@dataclass(frozen=True)
class PrunerArgs:
    """The arguments of a pruner's policy; the defaults change nothing. They hold for this policy's parameters only.

    Args:
        levels: sparsities by parameter name that replace those of the pruner, in this policy.
        keep_mask: when the policy has fired for the last time, enforce its masks for good.
        mini_batch_pruning_frequency: decide the masks anew every so many mini-batches, counted over the run; 0 never.
        mask_on_forward_only: mask for the forward pass only: after the update, pruned weights are dense again.
        mask_gradients: mask the gradients too; needs mask_on_forward_only.
        use_double_copies: compute gradients at the masked weights, but update the dense ones.
        discard_masks_at_minibatch_end: forget the masks after each mini-batch.
        skip_first_minibatch: in the first epoch of the policy, leave the first mini-batch dense.
        fold_batchnorm: rank filters by their weights times the scale of the batch norm that follows.
        replace_masks: take over parameters that an earlier policy prunes in the same epochs (not in Distiller, where
            the last policy wins without a word).

    Raises:
        SettingError: a negative frequency, a level outside [0, 1], mask_gradients alone.

    >>> PrunerArgs(mask_gradients=True)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: mask_gradients needs mask_on_forward_only: true
    """

    levels: Mapping[str, float] | None = None
    keep_mask: bool = False
    mini_batch_pruning_frequency: int = 0
    mask_on_forward_only: bool = False
    mask_gradients: bool = False
    use_double_copies: bool = False
    discard_masks_at_minibatch_end: bool = False
    skip_first_minibatch: bool = False
    fold_batchnorm: bool = False
    replace_masks: bool = False

    def __post_init__(self) -> None:
        require_count("mini_batch_pruning_frequency", self.mini_batch_pruning_frequency, 0)
        for name, level in (self.levels or {}).items():
            require_fraction(f"levels of {name}", level)
        if self.mask_gradients and not self.mask_on_forward_only:
            raise SettingError("mask_gradients needs mask_on_forward_only: true")

    @property
    def needs_minibatches(self) -> bool:
        """Whether something has to be done before the forward pass of a mini-batch."""
        inside = self.mask_on_forward_only or self.use_double_copies or self.discard_masks_at_minibatch_end
        return inside or self.skip_first_minibatch or self.mini_batch_pruning_frequency > 0

    def remarks(self) -> Iterator[Remark]:
        """Yield what has no effect."""
        if self.use_double_copies and not self.mask_on_forward_only:
            text = "use_double_copies has no lasting effect without mask_on_forward_only: each step masks the weights"
            yield Remark(text, "use_double_copies", "warning")
        if self.keep_mask and not self.mask_on_forward_only:
            yield Remark("keep_mask changes nothing: masks last for ever as it is", "keep_mask", "notice")
        if self.discard_masks_at_minibatch_end and self.mini_batch_pruning_frequency != 1:
            text = "masks are discarded after each mini-batch, so most mini-batches run dense"
            yield Remark(f"{text}; mini_batch_pruning_frequency: 1 decides anew", severity="notice")


@dataclass(frozen=True)
class RegularizerArgs:
    """The arguments of a regularizer's policy.

    Args:
        keep_mask: when the policy has fired for the last time, enforce for good what its threshold removed.

    >>> RegularizerArgs().keep_mask
    False
    """

    keep_mask: bool = False
