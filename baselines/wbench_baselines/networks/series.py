"""Prediction bin by bin: what a network sees of the series in one angle-delay bin, and how it is trained."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from wbench_baselines.networks.grid import Grid, neighbours
from wbench_baselines.networks.predictor import Drawing, GridPredictor, by_power
from wbench_baselines.networks.samples import Samples

__all__ = ["CHANNELS", "LAGS", "SeriesPredictor", "context_size", "look", "pooled_correlation", "restore", "unit"]

#: Real numbers per step: the bin and six neighbours, real and imaginary part.
CHANNELS = 14
#: Lags of the sample's pooled correlation, where so many steps are seen.
LAGS = 12
#: Bins of a validation sample that its loss is taken on.
HELD_BINS = 64
#: Smallest amplitude that a series is divided by.
TINY = 1e-4


def context_size(seen: int) -> int:
    """Numbers that a bin's network sees beside its series: correlation of the sample, level of bin and noise."""
    return 2 * min(LAGS, seen - 1) + 2


def pooled_correlation(past: Tensor) -> Tensor:
    """Correlation over the steps, of all bins together: float32 [n, 2 · lags] of complex [n, seen, bins].

    All bins of a sample share the user's motion, so this says what one bin alone is too short to tell.
    """
    seen = past.shape[1]
    power = past.abs().square().mean(dim=(1, 2)).clamp_min(TINY**2)
    lags = [
        (past[:, lag:] * past[:, : seen - lag].conj()).mean(dim=(1, 2)) / power
        for lag in range(1, min(LAGS, seen - 1) + 1)
    ]
    return torch.view_as_real(torch.stack(lags, dim=1)).flatten(1) if lags else past.new_zeros((len(past), 0)).real


def look(
    past: Tensor, correlation: Tensor, noise: Tensor, chosen: Tensor, near: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the network sees of chosen bins.

    Every series is turned so that its last value is real and positive, and divided by its rms: what is learnt of one
    phase and level holds for all, exactly, and no phase needs to be drawn in training.

    Parameters
    ----------
    past : complex64 tensor [n, seen, bins]
        Seen steps.
    correlation, noise : float32 tensors [n, 2 · lags], [n]
        Of the samples.
    chosen : int64 tensor [n, m]
        Bins.
    near : (index [7, bins], there [7])
        Of :func:`~wbench_baselines.networks.grid.neighbours`.

    Returns
    -------
    series : float32 tensor [n · m, seen, 14]
    context : float32 tensor [n · m, c]
    last : float32 tensor [n · m]
        The last value, turned and scaled.
    back : complex64 tensor [n · m]
        What turns and scales an answer back.
    """
    n, seen, _ = past.shape
    index, there = near
    m = chosen.shape[1]
    flat = index[:, chosen].permute(1, 0, 2).reshape(n, 1, -1).expand(n, seen, -1)
    x = torch.gather(past, 2, flat).reshape(n, seen, len(there), m)  # [n, seen, 7, m]
    level = x.abs().square().mean(dim=1).sqrt().clamp_min(TINY)  # [n, 7, m]
    own, last = level[:, 0], x[:, -1, 0]
    turn = unit(last)
    # A neighbour that is stronger is divided by its own level: leakage of a strong bin must not drown the series.
    x = x * turn.conj()[:, None, None] * (there[:, None] / torch.maximum(level, own[:, None]))[:, None]
    series = torch.view_as_real(x.permute(0, 3, 1, 2)).reshape(n * m, seen, CHANNELS)
    mean = past.abs().square().mean(dim=(1, 2)).sqrt().clamp_min(TINY)
    floor = noise.sqrt().clamp_min(1e-3)[:, None]
    levels = torch.stack([(own / floor).log10(), (own / mean[:, None]).log10()], dim=-1)
    context = torch.cat([correlation[:, None].expand(n, m, -1), levels], dim=-1).reshape(n * m, -1)
    return series, context, (last.abs() / own).reshape(-1), (turn * own).reshape(-1)


def unit(x: Tensor) -> Tensor:
    """Phases of complex numbers, e^{jφ}; 1 of a zero."""
    size = x.abs()
    return torch.where(size > 0, x / size.clamp_min(1e-30), torch.ones_like(x))


def restore(output: Tensor, last: Tensor, back: Tensor) -> Tensor:
    """Network output [b, open, 2], on top of the last value held → complex64 [b, open]."""
    held = torch.view_as_complex(output.contiguous()) + last[:, None]
    return held * back[:, None]


class SeriesPredictor(GridPredictor):
    """A network that continues the series of every angle-delay bin, one network for all bins."""

    #: Bins of a sample that a training step sees.
    drawn: ClassVar[int] = 24

    @abstractmethod
    def series_network(self, seen: int, ahead: int, context: int) -> nn.Module:
        """Module from series [b, seen, 14] and context [b, context] to [b, ahead, 2]."""

    def network(self, seen: int, ahead: int) -> nn.Module:
        """The module with the context that so many steps give."""
        return self.series_network(seen, ahead, context_size(seen))

    def drawing(self, samples: Samples) -> Drawing:
        """Bins drawn by their power."""
        return _Bins(samples, self.device, self.drawn)

    def continued(self, past: Tensor, noise: Tensor, grid: Grid) -> Tensor:
        """Open steps of all bins."""
        chosen = torch.arange(grid.bins, device=past.device).expand(len(past), -1)
        series, context, last, back = look(past, pooled_correlation(past), noise, chosen, _near(grid, past.device))
        out = restore(self.module(series, context), last, back)
        return out.reshape(len(past), grid.bins, -1).transpose(1, 2)


class _Bins:
    """Samples of which bins are drawn, the strong ones more often."""

    def __init__(self, samples: Samples, device: torch.device, drawn: int) -> None:
        self.samples, self.device, self.drawn = samples, device, drawn
        self.chance = by_power(samples.past.abs().square().mean(dim=1))
        self.correlation = torch.cat([pooled_correlation(part) for part in torch.split(samples.past, 64)])
        self.near = _near(samples.grid, device)

    def loss(self, module: nn.Module, rows: Tensor, generator: torch.Generator, held: bool) -> Tensor:
        """Sum over the rows of the squared error over the energy that counts, estimated from drawn bins."""
        s, drawn = self.samples, HELD_BINS if held else self.drawn
        chance = self.chance[rows].to(self.device)
        chosen = torch.multinomial(chance, drawn, replacement=True, generator=generator)
        past, correlation, noise = (x[rows].to(self.device) for x in (s.past, self.correlation, s.noise))
        series, context, last, back = look(past, correlation, noise, chosen, self.near)
        output = restore(module(series, context), last, back).reshape(len(rows), drawn, -1)
        where = chosen[:, None].expand(-1, s.future.shape[1], -1)
        target = torch.gather(s.future[rows].to(self.device), 2, where).transpose(1, 2)
        error = (output - target).abs().square().sum(dim=2) / (torch.gather(chance, 1, chosen) * drawn)
        return (error.sum(dim=1) * s.weight[rows].to(self.device)).sum()


def _near(grid: Grid, device: torch.device) -> tuple[Tensor, Tensor]:
    index, there = neighbours(grid)
    return index.to(device), there.to(device)
