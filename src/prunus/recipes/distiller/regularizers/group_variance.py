"""GroupVarianceRegularizer: channels pay for being of one length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from prunus.errors import RunError, require_known
from prunus.recipes.distiller.charging import Charging
from prunus.recipes.distiller.contract import Remark
from prunus.recipes.distiller.keyed import require_values
from prunus.recipes.distiller.lengths import CHANNELS, inverse_variance, lengths
from prunus.recipes.distiller.regimes import Regime, regimes_of, require_criterion, require_regime
from prunus.select import Target


@dataclass(frozen=True)
class GroupVarianceRegularizer(Charging):
    r"""Add one over the variance of the lengths of channels to the loss, so that some shrink and others grow.

    .. math:: \sum_p \frac{\lambda_p}{\mathrm{Var}_g\, \ell_{p,g}}, \qquad
              \ell_{p,g} = \sqrt{\lVert w_{p,g} \rVert^2 + 10^{-8}}

    Args:
        reg_regims: [λ, Channels] by parameter name; λ is at least 0.
        threshold_criteria: as for GroupLassoRegularizer.

    Raises:
        SettingError: another group than Channels, an unknown criterion, a strength that is negative or no number, no
            parameter. RunError: all channels of a parameter are of one length, where the charge is infinite.

    The variance is unbiased, so it takes 2 channels. Source: Distiller.

    >>> GroupVarianceRegularizer({"conv.weight": (0.1, "3D")})
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: reg_regims of conv.weight is '3D', which is unknown. Known: Channels.
    """

    reg_regims: Mapping[str, tuple[float, str]]
    threshold_criteria: str | None = None

    def __post_init__(self) -> None:
        require_values("reg_regims", self.reg_regims, require_regime)
        require_values("reg_regims", self.reg_regims, lambda name, value: require_known(name, value[1], [CHANNELS]))
        require_criterion(self.threshold_criteria)

    @property
    def regimes(self) -> Mapping[str, Regime]:
        """The strengths."""
        return regimes_of(self.reg_regims)

    def charge(self, target: Target, groups: tuple[str, ...]) -> Tensor:
        """Return one over the variance."""
        found = lengths(target.parameter, CHANNELS)
        if bool(found.detach().amin() == found.detach().amax()):
            raise RunError(f"all channels of {target.name} are of one length: one over their variance is infinite")
        return inverse_variance(found)

    def _fit(self, name: str, target: Target, regime: Regime) -> Iterator[Remark]:
        yield from super()._fit(name, target, regime)
        if target.parameter.dim() > 1 and target.parameter.shape[1] < 2:
            yield Remark(f"the variance takes 2 channels, {target.name} has 1", name)
