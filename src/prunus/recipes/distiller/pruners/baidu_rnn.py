"""BaiduRNNPruner: single weights below a threshold that rises, slowly at first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from prunus.errors import require_count, require_number
from prunus.recipes.distiller.contract import Chosen, Pruner, Remark, Rule
from prunus.recipes.distiller.names import as_names
from prunus.recipes.distiller.thresholds import Thresholding
from prunus.window import Span


@dataclass(frozen=True)
class BaiduRNNPruner(Pruner):
    r"""Keep the weights whose absolute value is above a threshold that rises with the epoch e.

    .. math:: S = \frac{2\, q\, f}{2 (r - start) + 3 (end - r)},\quad R = S \cdot mult,\quad r = start + offset

    .. math:: \epsilon = S (e - start + 1) / f \ (e < r),\quad
              \epsilon = \big(S (r - start + 1) + R (e - r + 1)\big) / f \ (e \ge r)

    with f the policy's frequency.

    Args:
        q: the absolute weight that 90 % of a trained dense model's weights are below, at least 0.
        ramp_epoch_offset: epochs after which the threshold rises faster, at least 0.
        ramp_slope_mult: how much faster, at least 0.
        weights: parameter names; one name alone is fine.

    Raises:
        SettingError: a negative number, or no parameter.

    Source: Narang et al. 2017 (arXiv:1704.05119), section 3.

    >>> BaiduRNNPruner(0.17, 2, 2.0, "rnn.weight_ih_l0").threshold(4, Span(4, 20))
    0.0073913
    """

    q: float
    ramp_epoch_offset: int
    ramp_slope_mult: float
    weights: str | tuple[str, ...]

    def __post_init__(self) -> None:
        require_number("q", self.q, 0.0)
        require_count("ramp_epoch_offset", self.ramp_epoch_offset, 0)
        require_number("ramp_slope_mult", self.ramp_slope_mult, 0.0)
        as_names("weights", self.weights)

    @property
    def names(self) -> tuple[str, ...]:
        """The weights."""
        return as_names("weights", self.weights)

    def fit_window(self, span: Span) -> Iterator[Remark]:
        """Refuse epochs without a frequency, and a ramp that would begin after the end."""
        if span.at:
            yield Remark("BaiduRNNPruner needs starting_epoch, ending_epoch and frequency, a list of epochs has none")
        elif span.end is not None and self.ramp_epoch_offset > span.end - span.start:
            length = span.end - span.start
            yield Remark(
                f"ramp_epoch_offset is {self.ramp_epoch_offset}, expected at most {length}, the policy's length"
            )

    def threshold(self, epoch: int, span: Span) -> float:
        """Return the threshold of an epoch of a policy with this window."""
        assert span.end is not None  # Distiller's windows have an end
        ramp = span.start + self.ramp_epoch_offset
        slope = 2 * self.q * span.frequency / (2 * (ramp - span.start) + 3 * (span.end - ramp))
        if epoch < ramp:
            return slope * (epoch - span.start + 1) / span.frequency
        steep = slope * self.ramp_slope_mult
        return (slope * (ramp - span.start + 1) + steep * (epoch - ramp + 1)) / span.frequency

    def rule(self, chosen: Chosen, span: Span, model: nn.Module) -> Rule:
        """Return the thresholds."""
        return Thresholding(chosen.all, lambda target, scene, figures: self.threshold(scene.epoch, span))
