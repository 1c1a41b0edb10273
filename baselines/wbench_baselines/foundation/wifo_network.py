"""The network of WiFo: a masked autoencoder on patches of time × antenna × subcarrier.

B. Liu, S. Gao, X. Liu, X. Cheng, L. Yang, WiFo: Wireless Foundation Model for Channel Prediction, Science China
Information Sciences 68(6) 162302, 2025 (arXiv 2412.08908). Names of weights are the published ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from wbench.errors import ModelError

__all__ = ["Grid", "WifoEncoder", "WifoNetwork", "WifoShape", "masked_places", "positions"]

#: Patches along time, antennas and subcarriers.
Grid = tuple[int, int, int]

#: How the width is shared out to the sines of time, antenna and subcarrier; the paper gives no rule.
AXES = {64: (22, 22, 20), 128: (42, 42, 44), 256: (86, 86, 84), 512: (170, 170, 172), 768: (256, 256, 256)}


@dataclass(frozen=True)
class WifoShape:
    """Sizes of a network.

    Attributes
    ----------
    width, depth : int
        Of the encoder; the decoder is as wide.
    decoder_depth : int
        Layers of the decoder.
    hidden : int
        Hidden width of the MLPs.
    patch : tuple of int
        Snapshots, antennas and subcarriers of a patch.
    heads : int
        Attention heads: the one size that weights do not tell; 8 in all published sizes.
    """

    width: int
    depth: int
    decoder_depth: int
    hidden: int
    patch: Grid = (4, 4, 4)
    heads: int = 8

    @classmethod
    def of(cls, state: Mapping[str, Tensor], heads: int, where: str) -> WifoShape:
        """Read off weights.

        Raises
        ------
        ModelError
            They are no WiFo weights, or of a width whose positions are not known.
        """
        patches, mlp = state.get("patches.weight"), state.get("blocks.0.mlp.fc1.weight")
        if patches is None or mlp is None or patches.ndim != 5 or mlp.ndim != 2 or patches.shape[1] != 2:
            why = f"it begins with {', '.join(list(state)[:3])}"
            raise ModelError("These are no weights of WiFo.", where=where, why=why)
        width, (time, antenna, subcarrier) = patches.shape[0], patches.shape[2:]
        if width not in AXES or width % heads:
            why = f"width {width}, {heads} heads; positions are known for widths {', '.join(map(str, AXES))}"
            raise ModelError("No published WiFo has this size.", where=where, why=why)
        patch = (int(time), int(antenna), int(subcarrier))
        return cls(int(width), _layers(state, "blocks"), _layers(state, "decoder_blocks"), len(mlp), patch, heads)


def _layers(state: Mapping[str, Tensor], name: str) -> int:
    found = [re.match(rf"{name}\.(\d+)\.", key) for key in state]
    return 1 + max((int(match[1]) for match in found if match), default=-1)


class Attention(nn.Module):
    """Multi-head self-attention with a bias on all four maps."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[n, token, d] → [n, token, d]."""
        q, k, v = (part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        out: Tensor = self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class Mlp(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """[n, token, d] → [n, token, d]."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """Pre-norm transformer layer."""

    def __init__(self, shape: WifoShape) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(shape.width, eps=1e-6), nn.LayerNorm(shape.width, eps=1e-6)
        self.attn, self.mlp = Attention(shape.width, shape.heads), Mlp(shape.width, shape.hidden)

    def forward(self, x: Tensor) -> Tensor:
        """[n, token, d] → [n, token, d]."""
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class WifoEncoder(nn.Module):
    """Patches, positions and layers: what gives features."""

    def __init__(self, shape: WifoShape) -> None:
        super().__init__()
        self.shape = shape
        self.patches = nn.Conv3d(2, shape.width, shape.patch, stride=shape.patch)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width, eps=1e-6)

    def grid(self, maps: Tensor) -> Grid:
        """Patches of maps [n, 2, time, antenna, subcarrier]."""
        t, a, k = (size // patch for size, patch in zip(maps.shape[2:], self.shape.patch, strict=True))
        return t, a, k

    def encode(self, maps: Tensor, seen: Tensor | None = None, places: Tensor | None = None) -> Tensor:
        """Tokens of the patches that are seen.

        Parameters
        ----------
        maps : float Tensor [n, 2, time, antenna, subcarrier]
            Real and imaginary part; sizes are multiples of the patch.
        seen : int64 Tensor [s], optional
            Numbers of the patches that are seen, rising; all of them by default. A patch's number is
            (t · antennas + a) · subcarriers + k.
        places : int64 Tensor [s], optional
            Number of the patch whose position each of them gets; its own by default. See :func:`masked_places`.

        Returns
        -------
        float Tensor [n, s, d]
        """
        x: Tensor = self.patches(maps).flatten(2).transpose(1, 2)
        position = positions(self.shape.width, self.grid(maps)).to(x)
        seen = torch.arange(x.shape[1], device=x.device) if seen is None else seen
        x = x[:, seen] + position[seen if places is None else places]
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)
        return out


class WifoNetwork(WifoEncoder):
    """Encoder and decoder; the published ``forward``, which adds noise relative to the whole batch, is left out."""

    def __init__(self, shape: WifoShape) -> None:
        super().__init__(shape)
        values = 2 * shape.patch[0] * shape.patch[1] * shape.patch[2]
        self.decoder_embed = nn.Linear(shape.width, shape.width)
        self.mask_token = nn.Parameter(torch.empty(1, 1, shape.width))
        self.decoder_blocks = nn.ModuleList(Block(shape) for _ in range(shape.decoder_depth))
        self.decoder_norm = nn.LayerNorm(shape.width, eps=1e-6)
        self.decoder_pred = nn.Linear(shape.width, values)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The mask token: normal, deviation 0.02."""
        nn.init.normal_(self.mask_token, std=0.02)

    def decode(self, tokens: Tensor, seen: Tensor, grid: Grid) -> Tensor:
        """Maps [n, 2, time, antenna, subcarrier] of the tokens [n, s, d] of the patches that are seen."""
        n, total = len(tokens), grid[0] * grid[1] * grid[2]
        x = self.mask_token.expand(n, total, -1).clone()
        x[:, seen] = self.decoder_embed(tokens)
        x = x + positions(self.shape.width, grid).to(x)
        for block in self.decoder_blocks:
            x = block(x)
        patches: Tensor = self.decoder_pred(self.decoder_norm(x))
        (t, a, k), (u, p, q) = grid, self.shape.patch
        # Real and imaginary part vary fastest within a patch, as the published code cuts its targets.
        maps = patches.view(n, t, a, k, u, p, q, 2).permute(0, 7, 1, 4, 2, 5, 3, 6)
        return maps.reshape(n, 2, t * u, a * p, k * q)


def masked_places(seen: Tensor, grid: Grid, axis: Literal["time", "frequency"]) -> Tensor:
    """Whose position the encoder gives to each patch that is seen, under a mask of time or of frequency: int64 [s].

    Not its own. The published code, by which the weights were trained, looks positions up by the number of the time
    step (of the subcarrier patch), not by the number of the patch, so a patch (t, a, k) gets the position of patch
    number t (k). Only random masks, and the decoder, give each patch its own.
    """
    return seen // (grid[1] * grid[2]) if axis == "time" else seen % grid[2]


@lru_cache(maxsize=8)
def positions(width: int, grid: Grid) -> Tensor:
    """Sines and cosines of a patch's place along time, antennas and subcarriers: float32 [patch, d]."""
    with torch.inference_mode(False):  # kept, and used in training as well
        places = torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in grid), indexing="ij")
        parts = []
        for place, share in zip(places, AXES[width], strict=True):
            rate = 10_000.0 ** -(torch.arange(share // 2, dtype=torch.float64) / (share / 2))
            angle = place.reshape(-1, 1) * rate
            parts += [angle.sin(), angle.cos()]
        return torch.cat(parts, dim=1).float()
