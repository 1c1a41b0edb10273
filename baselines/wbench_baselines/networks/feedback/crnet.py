"""CRNet: convolutions of two resolutions side by side, in the encoder and in both blocks of the decoder.

Source: Z. Lu, J. Wang, J. Song, "Multi-resolution CSI Feedback with Deep Learning in Massive MIMO System", IEEE ICC
2020 (arXiv 1910.14322), Fig. 1 and 2, Sec. III.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from wbench.model import ModelInfo
from wbench.training import TrainingSettings
from wbench_baselines.networks.feedback.codec import Autoencoder, NetworkCodec

__all__ = ["CrBlock", "CrNet", "crnet"]

SLOPE = 0.3
WIDTH = 7


def _normed(inputs: int, outputs: int, rows: int, columns: int) -> list[nn.Module]:
    """Convolution without bias, same size, and batch norm."""
    layer = nn.Conv2d(inputs, outputs, (rows, columns), padding=(rows // 2, columns // 2), bias=False)
    nn.init.xavier_uniform_(layer.weight)
    return [layer, nn.BatchNorm2d(outputs)]


def _dense(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    return layer


class _SideBySide(nn.Module):
    """Two paths on the same image, their channels joined."""

    def __init__(self, wide: nn.Module, narrow: nn.Module) -> None:
        super().__init__()
        self.wide, self.narrow = wide, narrow

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.wide(x), self.narrow(x)], dim=1)


class CrBlock(nn.Module):
    """3 × 3, 1 × 9 and 9 × 1 beside 1 × 5 and 5 × 1, seven channels each, joined by 1 × 1, with a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        activation = nn.LeakyReLU(SLOPE)
        wide = nn.Sequential(
            *_normed(2, WIDTH, 3, 3), activation, *_normed(WIDTH, WIDTH, 1, 9), activation, *_normed(WIDTH, WIDTH, 9, 1)
        )
        narrow = nn.Sequential(*_normed(2, WIDTH, 1, 5), activation, *_normed(WIDTH, WIDTH, 5, 1))
        self.body = nn.Sequential(_SideBySide(wide, narrow), activation, *_normed(2 * WIDTH, 2, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Images [n, 2, angle, delay] → the same shape."""
        return nn.functional.leaky_relu(x + self.body(x), SLOPE)


def crnet(shape: tuple[int, int], reals: int) -> Autoencoder:
    """CRNet for images of ``shape`` (angle, delay) and ``reals`` numbers.

    With (32, 32) and 512 numbers one sample takes 5.12 million multiplications, as published.
    """
    size, activation = 2 * math.prod(shape), nn.LeakyReLU(SLOPE)
    wide = nn.Sequential(*_normed(2, 2, 3, 3), activation, *_normed(2, 2, 1, 9), activation, *_normed(2, 2, 9, 1))
    narrow = nn.Sequential(*_normed(2, 2, 3, 3))
    joined = [_SideBySide(wide, narrow), activation, *_normed(4, 2, 1, 1), activation]
    encoder = nn.Sequential(*joined, nn.Flatten(), _dense(size, reals))
    head = [_dense(reals, size), nn.Unflatten(1, (2, *shape)), *_normed(2, 2, 5, 5), activation]
    return Autoencoder(encoder, nn.Sequential(*head, CrBlock(), CrBlock()))


class CrNet(NetworkCodec):
    """CRNet without its last sigmoid (see :mod:`wbench_baselines.networks.feedback.codec`).

    Its last layer is then the activation of the second block, a leaky ReLU, as in the published network before the
    sigmoid: it passes negative numbers at 0.3 of their slope, which the block before it learns to make up for.
    """

    info = ModelInfo(
        name="wbench/crnet",
        revision="1",
        kind="network",
        summary="CRNet: convolutions of two resolutions in encoder and decoder",
        source="Lu, Wang, Song, IEEE ICC 2020, Fig. 1 and 2",
        licence="Apache-2.0",
        trains=True,
        stochastic=True,
    )
    settings: ClassVar[Mapping[str, TrainingSettings]] = {
        "paper": TrainingSettings(2500, 200, lr=2e-3, weight_decay=0.0, warmup=30 / 2500, floor=5e-5 / 2e-3, clip=None),
        "standard": TrainingSettings(14, 25, lr=3e-3, weight_decay=0.0),
    }

    def build(self, shape: tuple[int, int], reals: int) -> Autoencoder:
        """The published widths."""
        return crnet(shape, reals)
