"""CsiNet: a convolution and a dense layer at the UE, a dense layer and two RefineNet blocks at the base station.

Source: C.-K. Wen, W.-T. Shih, S. Jin, "Deep Learning for Massive MIMO CSI Feedback", IEEE Wireless Commun. Lett. 7(5),
2018, Fig. 1 and Sec. II-B.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from wbench.model import ModelInfo
from wbench.training import TrainingSettings
from wbench_baselines.networks.feedback.codec import Autoencoder, NetworkCodec

__all__ = ["CsiNet", "RefineNet", "csinet"]

SLOPE = 0.3
#: Keras' value, with which the paper's networks were trained; PyTorch's is 1e-5.
EPSILON = 1e-3


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def _dense(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class RefineNet(nn.Module):
    """Three 3 × 3 convolutions to 8, 16 and 2 channels, batch norm after each, and a shortcut around all."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(_convolution(2, 8), nn.BatchNorm2d(8, EPSILON), nn.LeakyReLU(SLOPE)),
            *(_convolution(8, 16), nn.BatchNorm2d(16, EPSILON), nn.LeakyReLU(SLOPE)),
            *(_convolution(16, 2), nn.BatchNorm2d(2, EPSILON)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images [n, 2, angle, delay] → the same shape."""
        return nn.functional.leaky_relu(x + self.body(x), SLOPE)


def csinet(shape: tuple[int, int], reals: int, blocks: int = 2) -> Autoencoder:
    """CsiNet for images of ``shape`` (angle, delay), ``reals`` numbers and ``blocks`` RefineNet blocks.

    With (32, 32) and 512 numbers it has 2 103 116 weights, and 108 running statistics of batch norms: the 2 103 224
    parameters of the published model.
    """
    size = 2 * math.prod(shape)
    encoder = nn.Sequential(
        *(_convolution(2, 2), nn.BatchNorm2d(2, EPSILON), nn.LeakyReLU(SLOPE)), nn.Flatten(), _dense(size, reals)
    )
    refine = [RefineNet() for _ in range(blocks)]
    decoder = nn.Sequential(_dense(reals, size), nn.Unflatten(1, (2, *shape)), *refine, _convolution(2, 2))
    return Autoencoder(encoder, decoder)


class CsiNet(NetworkCodec):
    """CsiNet without its last sigmoid (see :mod:`wbench_baselines.networks.feedback.codec`)."""

    info = ModelInfo(
        name="wbench/csinet",
        revision="1",
        kind="network",
        summary="CsiNet: convolution and dense layer, two RefineNet blocks",
        source="Wen, Shih, Jin, IEEE WCL 7(5), 2018, Fig. 1",
        licence="Apache-2.0",
        trains=True,
        stochastic=True,
    )
    settings: ClassVar[Mapping[str, TrainingSettings]] = {
        "paper": TrainingSettings(1000, 200, lr=1e-3, weight_decay=0.0, warmup=0.0, floor=1.0, clip=None),
        "standard": TrainingSettings(14, 25, lr=3e-3, weight_decay=0.0),
    }

    def build(self, shape: tuple[int, int], reals: int) -> Autoencoder:
        """Two RefineNet blocks."""
        return csinet(shape, reals)
