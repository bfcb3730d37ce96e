"""AlexNet's layers under AlexNet's names, small enough for digits of 28 by 28 and for the tests."""

from __future__ import annotations

from torch import Tensor, nn


class SmallAlexNet(nn.Module):
    """Five convolutions and three linear layers; ``features`` may be wrapped as by DataParallel."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 5, stride=2, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(2 * width, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(0.0), nn.Linear(4 * width, 16), nn.ReLU(),
            nn.Dropout(0.0), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images).flatten(1))
