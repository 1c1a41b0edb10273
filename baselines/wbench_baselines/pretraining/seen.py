"""What a pre-training sees of clean channels: a random phase, a part of the array, noise, masks."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from wbench.training.pretext import PretextParams
from wbench_baselines.pretraining.tokens import Patch, to_tokens

__all__ = ["Masks", "Noise", "Strategy", "draw_mask", "noisy", "part_of_array", "scale_of", "tokens_of"]

Strategy = Literal["random", "time", "frequency"]


class Noise(PretextParams):
    """SNR of the input in dB, uniform in ``[low, high]`` per sample; a share of samples stays clean."""

    low: float = -10.0
    high: float = 30.0
    clean: float = Field(default=0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _rising(self) -> Noise:
        if self.low > self.high:
            raise ValueError("low is at most high")
        return self


class Masks(PretextParams):
    """How often which mask is drawn (relative weights), and the share of patches that it hides.

    ``random`` hides patches anywhere; ``time`` the later snapshots, ``frequency`` the upper subcarriers. The cut of the
    last two is in the middle, or with the probability ``uneven`` anywhere else.
    """

    random: float = Field(default=1.0, ge=0)
    time: float = Field(default=0.0, ge=0)
    frequency: float = Field(default=0.0, ge=0)
    hidden: float = Field(default=0.85, gt=0, lt=1)
    uneven: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _some(self) -> Masks:
        if self.random + self.time + self.frequency == 0:
            raise ValueError("one of random, time and frequency has to be above 0")
        return self


def tokens_of(channel: Tensor, patch: Patch, generator: torch.Generator) -> tuple[Tensor, Tensor, Patch]:
    """Clean channels, each turned by a random phase, as tokens.

    Parameters
    ----------
    channel : complex tensor [n, time, rx, tx, subcarrier]
        As the dataset holds them.

    Returns
    -------
    float tensor [n, token, p], float tensor [token, p], (int, int, int)
        Tokens, 1 where an entry is no padding, and numbers of patches.
    """
    n = len(channel)
    angle = 2 * torch.pi * torch.rand(n, generator=generator, device=channel.device)
    turned = channel.reshape(n, channel.shape[1], -1, channel.shape[-1])
    turned = turned * torch.polar(torch.ones_like(angle), angle)[:, None, None, None]
    grid = torch.stack([turned.real, turned.imag], dim=1)
    tokens, counts = to_tokens(grid, patch)
    real, _ = to_tokens(torch.ones_like(grid[:1]), patch)
    return tokens, real[0], counts


def part_of_array(channel: Tensor, sizes: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Adjacent transmit ports, one of ``sizes`` many at a random place; all of them if there are no sizes."""
    fitting = [size for size in sizes if size <= channel.shape[3]]
    if not fitting:
        return channel
    size = fitting[_integer(len(fitting), generator)]
    first = _integer(channel.shape[3] - size + 1, generator)
    return channel[:, :, :, first : first + size]


def draw_mask(counts: Patch, masks: Masks, generator: torch.Generator) -> tuple[Tensor, Strategy]:
    """Which patches are seen: bool [token]; the same for all samples of a call, so that they make one batch."""
    t, a, k = counts
    weights = {"random": masks.random, "time": masks.time * (t > 1), "frequency": masks.frequency * (k > 1)}
    if not sum(weights.values()):
        weights["random"] = 1.0
    place = _uniform(generator) * sum(weights.values())
    names: list[Strategy] = ["random", "time", "frequency"]
    chosen: Strategy = "frequency"
    for name in names:
        place -= weights[name]
        if place < 0:
            chosen = name
            break
    device = generator.device
    if chosen == "random":
        total = t * a * k
        seen = torch.zeros(total, dtype=torch.bool, device=device)
        count = min(total - 1, max(1, round((1 - masks.hidden) * total)))
        seen[torch.randperm(total, generator=generator, device=device)[:count]] = True
        return seen, chosen
    size = t if chosen == "time" else k
    cut = size // 2 if _uniform(generator) >= masks.uneven else 1 + _integer(size - 1, generator)
    line = torch.arange(size, device=device) < cut
    seen = line[:, None, None] if chosen == "time" else line[None, None, :]
    return seen.expand(t, a, k).reshape(-1), chosen


def scale_of(tokens: Tensor, real: Tensor, seen: Tensor | None = None) -> Tensor:
    """Rms of the complex entries that are seen, as the benchmark scales its observations: float [n, 1, 1]."""
    weight = real if seen is None else real * seen[:, None]
    entries = weight.sum() / 2  # a complex entry is two real ones
    power = (tokens.square() * weight).sum(dim=(1, 2)) / entries
    return power.clamp_min(torch.finfo(power.dtype).tiny).sqrt()[:, None, None]


def noisy(tokens: Tensor, real: Tensor, noise: Noise, generator: torch.Generator) -> Tensor:
    """White noise at an SNR per sample, relative to unit power of the complex entries."""
    n, device = len(tokens), tokens.device
    snr = noise.low + (noise.high - noise.low) * torch.rand(n, generator=generator, device=device)
    clean = torch.rand(n, generator=generator, device=device) < noise.clean
    deviation = torch.where(clean, 0.0, 10.0 ** (-snr / 20) * 0.5**0.5)
    white = torch.randn(tokens.shape, generator=generator, device=device)
    return tokens + white * real * deviation[:, None, None]


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator, device=generator.device))


def _integer(high: int, generator: torch.Generator) -> int:
    return int(torch.randint(high, (), generator=generator, device=generator.device))
