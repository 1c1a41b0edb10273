"""CSI feedback: an encoder at the UE, a decoder at the base station, real numbers between them."""

import math

from torch import nn

import wbench
from wbench.adapters import ModuleCodec


class Linear(ModuleCodec):
    info = wbench.ModelInfo(
        "me/linear-codec", licence="Apache-2.0", summary="Two matrices", trains=True, stochastic=True
    )

    def build_encoder(self):  # [n, 2, *sample_shape] → [n, numbers]: as many as the task's limit allows
        return nn.Sequential(nn.Flatten(), nn.Linear(2 * math.prod(self.sample_shape), self.numbers, bias=False))

    def build_decoder(self):
        return nn.Linear(self.numbers, 2 * math.prod(self.sample_shape), bias=False)
