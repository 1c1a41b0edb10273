"""The networks of the trained heads (needs PyTorch)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from wbench.heads.base import Features
from wbench.heads.linear import standardiser

__all__ = ["ResNet1d", "Residual", "Standardise", "linear", "mlp"]


class Standardise(nn.Module):
    """Features [n, …, d] less the training mean, over the training deviation; not trained."""

    mean: Tensor
    scale: Tensor

    def __init__(self, features: Features) -> None:
        super().__init__()
        mean, deviation = standardiser(features)
        self.register_buffer("mean", torch.from_numpy(mean.astype(np.float32)))
        self.register_buffer("scale", torch.from_numpy((1 / deviation).astype(np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        """[n, …, d] → [n, …, d]."""
        return (x - self.mean) * self.scale


def linear(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """One affine map; ``shape`` is (d,)."""
    return nn.Linear(shape[0], outputs)


def mlp(shape: tuple[int, ...], outputs: int, width: int = 256) -> nn.Module:
    """One hidden layer; ``shape`` is (d,). Dropout of 0.2 before and 0.5 after it (Srivastava et al., JMLR, 2014)."""
    hidden = nn.Sequential(nn.Dropout(0.2), nn.Linear(shape[0], width), nn.GELU())
    return nn.Sequential(*hidden, nn.Dropout(0.5), nn.Linear(width, outputs))


class Residual(nn.Module):
    """Two convolutions of width 3 and a shortcut (He et al., CVPR 2016).

    Group instead of batch normalisation (Wu and He, ECCV 2018): with one sample per class there is no batch to take
    statistics of.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(channels, width, 3, stride, padding=1, bias=False)
        self.second = nn.Conv1d(width, width, 3, padding=1, bias=False)
        self.norm1, self.norm2 = _norm(width), _norm(width)
        same = channels == width and stride == 1
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(nn.Conv1d(channels, width, 1, stride, bias=False), _norm(width))
        )

    def forward(self, x: Tensor) -> Tensor:
        """[n, channel, position] → [n, width, ⌈position / stride⌉]."""
        inner = functional.relu(self.norm1(self.first(x)))
        return functional.relu(self.norm2(self.second(inner)) + self.shortcut(x))


class ResNet1d(nn.Module):
    """Residual network along the tokens; ``shape`` is (token, d) and the features are its channels.

    Stem (width 7, stride 2, max-pooling 3 by 2), three stages of 2, 3 and 4 residual blocks with w, 2w and 4w channels,
    the last two stages with stride 2, means over at most four stretches of positions, one affine map.
    """

    blocks = (2, 3, 4)
    stretches = 4

    def __init__(self, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__()
        tokens, channels = shape
        self.stem = nn.Sequential(
            nn.Conv1d(channels, width, 7, 2, padding=3, bias=False), _norm(width), nn.ReLU(), nn.MaxPool1d(3, 2, 1)
        )
        stages: list[nn.Module] = []
        before = width
        for stage, count in enumerate(self.blocks):
            after = width << stage
            for block in range(count):
                stages.append(Residual(before, after, 2 if block == 0 and stage > 0 else 1))
                before = after
        self.stages = nn.Sequential(*stages)
        positions = min(self.stretches, -(-tokens // 16))  # four halvings, each rounded up
        self.pool = nn.AdaptiveAvgPool1d(positions)
        self.answer = nn.Linear(positions * before, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        """[n, token, d] → [n, output]."""
        out: Tensor = self.answer(self.pool(self.stages(self.stem(tokens.transpose(1, 2)))).flatten(1))
        return out


def _norm(width: int) -> nn.Module:
    return nn.GroupNorm(8, width)
