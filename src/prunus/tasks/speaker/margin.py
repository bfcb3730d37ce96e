"""Additive angular margin: training to tell speakers apart by the angle between embedding and class."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prunus.errors import require_count, require_number


def aam_logits(cosines: Tensor, labels: Tensor, margin: float = 0.2, scale: float = 30.0) -> Tensor:
    r"""Return the logits of an additive angular margin: the true class must win by an angle.

    .. math:: z_j = s \cos(\theta_j + m\,[j = y]), \qquad
              z_y = s(\cos\theta_y - m \sin m) \text{ where } \theta_y > \pi - m

    The second case keeps the logit falling with the angle where θ + m would pass π.

    Args:
        cosines: (batch, classes), of embeddings with class vectors.
        labels: (batch,), the true classes.
        margin: m in radians, from 0 (no margin) below π/2.
        scale: s > 0.

    Raises SettingError for settings out of range.
    Source: Deng, Guo, Xue, Zafeiriou, "ArcFace: additive angular margin loss", CVPR 2019, equation 3.

    >>> aam_logits(torch.tensor([[0.0, 1.0]]), torch.tensor([0]), margin=math.pi / 6, scale=2.0)
    tensor([[-1.,  2.]])
    """
    require_number("margin", margin, 0.0, math.pi / 2)
    require_number("scale", scale, 0.0, open_low=True)
    sines = (1 - cosines.square()).clamp_min(1e-12).sqrt()
    turned = cosines * math.cos(margin) - sines * math.sin(margin)
    moved = torch.where(cosines > -math.cos(margin), turned, cosines - margin * math.sin(margin))
    true = F.one_hot(labels, cosines.shape[1]).bool()
    return scale * torch.where(true, moved, cosines)


class AAMSoftmax(nn.Module):
    """The classifier that training needs and verification drops: one vector a speaker, cross-entropy with a margin.

    Input embeddings (batch, dim) and labels (batch,), output the mean loss. See :func:`aam_logits`.

    Args:
        dim: length of the embeddings.
        classes: training speakers.
        margin, scale: of :func:`aam_logits`.

    >>> AAMSoftmax(4, 10)(torch.randn(3, 4), torch.tensor([0, 5, 9])).shape
    torch.Size([])
    """

    def __init__(self, dim: int, classes: int, margin: float = 0.2, scale: float = 30.0) -> None:
        super().__init__()
        require_count("dim", dim)
        require_count("classes", classes)
        require_number("margin", margin, 0.0, math.pi / 2)
        require_number("scale", scale, 0.0, open_low=True)
        self.margin, self.scale = margin, scale
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(classes, dim)))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the loss."""
        return F.cross_entropy(aam_logits(self.cosines(embeddings), labels, self.margin, self.scale), labels)

    def cosines(self, embeddings: Tensor) -> Tensor:
        """Return the cosines (batch, classes) of embeddings with the class vectors."""
        return F.linear(F.normalize(embeddings, dim=1), F.normalize(self.weight, dim=1))
