"""A convolutional network, trained on the task: LoS detection, beams, positioning."""

import math

from torch import nn

import wbench
from wbench.adapters import ModulePredictor


class Net(ModulePredictor):
    info = wbench.ModelInfo("me/net", licence="Apache-2.0", summary="Three convolutions", trains=True, stochastic=True)
    kinds = ("classify", "regress")

    def build(self):
        channels = 2 * math.prod(self.sample_shape[:-2])  # of (time, rx, tx, subcarrier)
        return nn.Sequential(
            nn.Flatten(1, -3),  # x is [n, 2, *sample_shape]: real and imaginary part
            nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(64, self.meta.classes or self.meta.outputs),
        )  # fmt: skip
