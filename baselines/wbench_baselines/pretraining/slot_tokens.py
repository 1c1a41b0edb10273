"""Tokens of link features: numbers by Fourier encoding, vectors projected, matrices in patches, classes by table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from wbench.training.pretext import PretextParams

__all__ = [
    "CONTEXT",
    "SLOTS",
    "TOKENS_PER_SLOT",
    "SlotParams",
    "SlotTokens",
    "fourier",
    "inputs_of",
    "places",
    "uncoded",
]

SLOTS: Final = 5
#: Numbers of a slot and the unit that each is taken in before asinh: ranges of decades stay in view.
SCALARS: Final[dict[str, float]] = {
    "delay_centre": 1e-7,  # s
    "delay_length": 1e-7,  # s
    "doppler_width": 100.0,  # Hz
    "spectral_efficiency": 5.0,  # bit/s/Hz
    "snr_db": 10.0,
}
#: Complex vector of a slot: one token.
VECTORS: Final[dict[str, int]] = {"frequency_correlation": 100}
#: Complex matrices of a slot, cut into patches of 4 × 4: rows, columns.
MATRICES: Final[dict[str, tuple[int, int]]] = {
    "noise_covariance": (4, 4),
    "time_covariance": (4, 4),
    "time_correlation": (4, 4),
    "precoder": (8, 4),
}
PATCH: Final = 4
#: The rank, 1 to 8; 0 is none.
RANKS: Final = 9
#: Numerology: numbers with their unit, and the number of the pilot set.
NUMEROLOGY: Final[dict[str, float]] = {"carrier_hz": 1e9, "subcarrier_spacing_hz": 15e3, "group_size": 12.0}
PILOT_SETS: Final = 4
CONTEXT: Final = len(NUMEROLOGY) + 1
_PATCHES: Final = {name: rows // PATCH * (cols // PATCH) for name, (rows, cols) in MATRICES.items()}
TOKENS_PER_SLOT: Final = len(SCALARS) + len(VECTORS) + sum(_PATCHES.values()) + 1
#: Octaves of the Fourier encoding.
OCTAVES: Final = 6


class SlotParams(PretextParams):
    """Size of the transformer."""

    width: int = Field(default=64, ge=8)
    depth: int = Field(default=3, ge=1)
    heads: int = Field(default=4, ge=1)


def inputs_of(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The task's arrays as the network takes them: complex ones as real and imaginary part in a last dimension."""
    return {name: torch.view_as_real(v) if v.is_complex() else v for name, v in arrays.items()}


def places(feature: str) -> slice:
    """Which of a slot's tokens are those of a feature."""
    counts = dict.fromkeys((*SCALARS, *VECTORS), 1) | _PATCHES | {"rank": 1}
    begin = sum(list(counts.values())[: list(counts).index(feature)])
    return slice(begin, begin + counts[feature])


def uncoded(inputs: Mapping[str, Tensor], feature: str, width: int) -> Tensor:
    """A feature of all slots as it is seen, filled with zeros into tokens: [n, token, width].

    Numbers are in the units of :data:`SCALARS`; what is not there is zero.
    """
    values, there = inputs[feature] / SCALARS.get(feature, 1.0), inputs[f"{feature}_mask"]
    flat = (values * there.reshape(*there.shape, *(1,) * (values.ndim - there.ndim))).flatten(1)
    return functional.pad(flat, (0, -flat.shape[1] % width)).reshape(len(flat), -1, width)


def fourier(values: Tensor) -> Tensor:
    """The value, and its sines and cosines at octaves of a period of 8: [...] → [..., 1 + 2 · octaves].

    Tancik et al., "Fourier Features Let Networks Learn High Frequency Functions", NeurIPS 2020 (positional encoding).
    """
    angle = values[..., None] * (torch.pi / 4 * 2.0 ** torch.arange(OCTAVES, device=values.device))
    return torch.cat([values[..., None], angle.sin(), angle.cos()], dim=-1)


def _patches(matrix: Tensor) -> Tensor:
    """[n, 5, rows, cols, 2] → [n, 5, patch, 32]."""
    n, slots, rows, cols, parts = matrix.shape
    cut = matrix.reshape(n, slots, rows // PATCH, PATCH, cols // PATCH, PATCH, parts)
    return cut.permute(0, 1, 2, 4, 3, 5, 6).reshape(n, slots, -1, PATCH * PATCH * parts)


class SlotTokens(nn.Module):
    """Embeds every feature of every slot, and guesses it again from its token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        encoded = 1 + 2 * OCTAVES
        entries = 2 * PATCH * PATCH
        self.scalars = nn.ModuleDict({name: nn.Linear(encoded, width) for name in (*SCALARS, *NUMEROLOGY)})
        self.vectors = nn.ModuleDict({name: nn.Linear(2 * size, width) for name, size in VECTORS.items()})
        self.matrices = nn.ModuleDict({name: nn.Linear(entries, width) for name in MATRICES})
        self.rank, self.pilots = nn.Embedding(RANKS, width), nn.Embedding(PILOT_SETS, width)
        self.kind = nn.Embedding(TOKENS_PER_SLOT + CONTEXT, width)
        self.slot = nn.Embedding(SLOTS, width)
        self.mask = nn.Parameter(torch.empty(width))
        self.answers = nn.ModuleDict(
            {name: nn.Linear(width, 1) for name in SCALARS}
            | {name: nn.Linear(width, 2 * size) for name, size in VECTORS.items()}
            | {name: nn.Linear(width, entries) for name in MATRICES}
            | {"rank": nn.Linear(width, RANKS)}
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw what is no matrix of a layer: tables and the mask token."""
        for table in (self.rank, self.pilots, self.kind, self.slot):
            nn.init.normal_(table.weight, std=0.02)
        nn.init.normal_(self.mask, std=0.02)

    def forward(self, inputs: Mapping[str, Tensor], hidden: Tensor | None = None) -> Tensor:
        """Tokens [n, 5 · tokens of a slot + context, width]; what is not there or ``hidden`` is the mask token."""
        there = self.there(inputs)
        n = len(there)
        seen = there if hidden is None else there & ~hidden
        parts = [self.scalars[name](fourier(_scalar(inputs, name)))[:, :, None] for name in SCALARS]
        parts += [self.vectors[name](inputs[name].reshape(n, SLOTS, -1))[:, :, None] for name in VECTORS]
        parts += [self.matrices[name](_patches(inputs[name])) for name in MATRICES]
        parts.append(self.rank(_rank(inputs))[:, :, None])
        x = torch.where(seen[..., None], torch.cat(parts, dim=2), self.mask)
        x = x + self.slot.weight[:, None] + self.kind.weight[:TOKENS_PER_SLOT]
        numbers = [self.scalars[name](fourier(torch.log2(inputs[name] / unit))) for name, unit in NUMEROLOGY.items()]
        pilots = self.pilots(inputs["pilot_set"].long().clamp(0, PILOT_SETS - 1))
        context = torch.stack([*numbers, pilots], dim=1) + self.kind.weight[TOKENS_PER_SLOT:]
        return torch.cat([x.reshape(n, SLOTS * TOKENS_PER_SLOT, -1), context], dim=1)

    def there(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Which tokens have a value: bool [n, 5, tokens of a slot]."""
        shown = inputs["rank_mask"]  # false in a slot that the task hides
        parts = [shown[:, :, None].expand(-1, -1, len(SCALARS))]
        parts += [inputs[f"{name}_mask"].any(dim=2)[:, :, None] for name in VECTORS]
        parts += [_patches(inputs[f"{name}_mask"][..., None]).any(dim=3) for name in MATRICES]
        return torch.cat([*parts, shown[:, :, None]], dim=2)

    def errors(self, features: Tensor, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Error of every token's feature [n, 5, token] and which of them are there.

        Parameters
        ----------
        features : float tensor [n, 5, token, width]
            Outputs of the transformer.
        """
        n, place, parts = len(features), 0, []
        for name in SCALARS:
            guess = self.answers[name](features[:, :, place])[..., 0]
            parts.append((guess - _scalar(inputs, name)).square()[:, :, None])
            place += 1
        for name in VECTORS:
            guess = self.answers[name](features[:, :, place])
            mask = inputs[f"{name}_mask"][..., None].expand_as(inputs[name]).reshape(n, SLOTS, -1)
            parts.append(_mean((guess - inputs[name].reshape(n, SLOTS, -1)).square(), mask)[:, :, None])
            place += 1
        for name, count in _PATCHES.items():
            guess = self.answers[name](features[:, :, place : place + count])
            mask = _patches(inputs[f"{name}_mask"][..., None].expand_as(inputs[name]))
            parts.append(_mean((guess - _patches(inputs[name])).square(), mask))
            place += count
        logits = self.answers["rank"](features[:, :, place]).permute(0, 2, 1)
        parts.append(functional.cross_entropy(logits, _rank(inputs), reduction="none")[:, :, None])
        return torch.cat(parts, dim=2), self.there(inputs)


def _scalar(inputs: Mapping[str, Tensor], name: str) -> Tensor:
    return torch.asinh(inputs[name] / SCALARS[name])


def _rank(inputs: Mapping[str, Tensor]) -> Tensor:
    return inputs["rank"].round().long().clamp(0, RANKS - 1)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the entries of the last dimension that are there."""
    return (values * mask).sum(dim=-1) / mask.sum(dim=-1).clamp_min(1)
