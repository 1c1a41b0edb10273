"""Channels as tokens: patches of (snapshots, antennas, subcarriers) in any number, with sine positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from wbench.task.batch import ChannelMeta
from wbench_baselines.vit import Layer

__all__ = [
    "Encoder",
    "Patch",
    "draw_weights",
    "from_tokens",
    "grid_of",
    "ordered",
    "positions",
    "restored",
    "to_tokens",
]

#: Snapshots, antennas and subcarriers of a patch; and numbers of patches along them.
Patch = tuple[int, int, int]


def ordered(values: npt.NDArray[Any], meta: ChannelMeta) -> npt.NDArray[Any]:
    """An array over a task's dimensions as [n, time, antenna, subcarrier].

    Whatever is neither ``time`` nor the last dimension counts as antennas (receive ports, transmit ports, links);
    without ``time`` there is one snapshot.
    """
    time = meta.dims.index("time") if "time" in meta.dims else None
    moved = values[:, None] if time is None else np.moveaxis(values, 1 + time, 1)
    return moved.reshape(len(moved), moved.shape[1], -1, moved.shape[-1])


def restored(grid: npt.NDArray[Any], meta: ChannelMeta) -> npt.NDArray[Any]:
    """[n, time, antenna, subcarrier] back over the task's dimensions; undoes :func:`ordered`."""
    if "time" not in meta.dims:
        return grid.reshape(len(grid), *meta.shape)
    time = meta.dims.index("time")
    rest = [size for index, size in enumerate(meta.shape) if index != time]
    return np.moveaxis(grid.reshape(len(grid), meta.shape[time], *rest), 1, 1 + time)


def grid_of(channel: npt.NDArray[np.complex64], meta: ChannelMeta) -> npt.NDArray[np.float32]:
    """Real and imaginary part: complex [n, …] → float32 [n, 2, time, antenna, subcarrier]."""
    h = ordered(channel, meta)
    return np.stack([h.real, h.imag], axis=1).astype(np.float32, copy=False)


def to_tokens(grid: Tensor, patch: Patch) -> tuple[Tensor, Patch]:
    """Cut into patches; what is missing to whole ones is zeros at the end.

    Parameters
    ----------
    grid : tensor [n, c, time, antenna, subcarrier]
        Channels as two real parts, or a mask.
    patch : (int, int, int)
        Size of a patch.

    Returns
    -------
    tensor [n, token, c · entries of a patch], (int, int, int)
        Tokens, time slowest, and how many there are along each dimension.
    """
    n, parts, *sizes = grid.shape
    missing = [-size % step for size, step in zip(sizes, patch, strict=True)]
    if any(missing):
        grid = functional.pad(grid, [x for amount in reversed(missing) for x in (0, amount)])
    t, a, k = ((size + more) // step for size, more, step in zip(sizes, missing, patch, strict=True))
    cut = grid.reshape(n, parts, t, patch[0], a, patch[1], k, patch[2]).permute(0, 2, 4, 6, 1, 3, 5, 7)
    return cut.reshape(n, t * a * k, -1), (t, a, k)


def from_tokens(tokens: Tensor, counts: Patch, patch: Patch, sizes: tuple[int, int, int]) -> Tensor:
    """Undo :func:`to_tokens`: [n, token, c · entries] → [n, c, time, antenna, subcarrier]."""
    t, a, k = counts
    cut = tokens.reshape(len(tokens), t, a, k, -1, *patch).permute(0, 4, 1, 5, 2, 6, 3, 7)
    whole = cut.reshape(len(tokens), cut.shape[1], t * patch[0], a * patch[1], k * patch[2])
    return whole[..., : sizes[0], : sizes[1], : sizes[2]]


def positions(counts: Patch, width: int, device: torch.device | None = None) -> Tensor:
    """Sines and cosines of a patch's place (Vaswani et al. 2017, Section 3.5): float32 [token, width].

    A quarter of the width for time, three eighths each for antenna and subcarrier; ``width`` is a multiple of 16.
    """
    parts = []
    for axis, (count, share) in enumerate(zip(counts, (width // 4, 3 * width // 8, 3 * width // 8), strict=True)):
        frequency = 10_000.0 ** -(torch.arange(share // 2, device=device) * (2 / share))
        angle = torch.arange(count, device=device)[:, None] * frequency
        shape = [1, 1, 1, share]
        shape[axis] = count
        parts.append(torch.cat([angle.sin(), angle.cos()], dim=1).view(shape).expand(*counts, share))
    return torch.cat(parts, dim=-1).reshape(-1, width)


class Encoder(nn.Module):
    """Pre-norm transformer layers and a final norm: [n, token, width] → the same."""

    def __init__(self, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Features."""
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.norm(x)
        return out


def draw_weights(module: nn.Module) -> None:
    """Xavier-uniform matrices, zero biases, from PyTorch's default generator; norms stay at 1 and 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
