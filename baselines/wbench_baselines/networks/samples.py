"""A prediction task's samples in the angle-delay domain, in memory, for training (needs PyTorch)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wbench.errors import ModelError
from wbench.model import TrainingData
from wbench.task.batch import Batch
from wbench_baselines.networks.grid import Grid, grid_of, to_grid

__all__ = ["Samples", "gather"]


@dataclass(frozen=True)
class Samples:
    """Samples of one task.

    Attributes
    ----------
    grid : Grid
        Their bins.
    past, future : complex64 tensor [n, steps, bins]
        Seen steps with noise, open steps as the target has them.
    noise : float32 tensor [n]
        Noise power.
    weight : float32 tensor [n]
        One over the energy that a sample's error is compared with.
    """

    grid: Grid
    past: Tensor
    future: Tensor
    noise: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.past)


def noise_of(batch: Batch) -> Tensor:
    """Noise power float32 [n], 0 where the task adds none."""
    return torch.zeros(len(batch)) if batch.noise_power is None else torch.from_numpy(batch.noise_power.copy())


def gather(data: TrainingData, relative: bool, model: str, most: int | None = None) -> Samples:
    """All samples of a part, or ``most`` of them, evenly spaced.

    Parameters
    ----------
    data : TrainingData
        Training or validation part.
    relative : bool
        Whether a sample's error counts relative to its own energy (mean of ratios), not to that of unit rms.
    model : str
        Name, for errors.
    most : int, optional
        Most samples.

    Raises
    ------
    ModelError
        The part is empty.
    """
    every = 1 if most is None else max(1, -(-len(data) // most))
    found, grid, start = [], None, 0
    for batch, truth in data.batches():
        grid = grid_of(batch, model)
        rows = slice(-start % every, None, every)
        start += len(batch)
        past, future = to_grid(batch.x["H"][rows], grid.at.seen, grid), to_grid(truth["H"][rows], grid.at.open, grid)
        energy = (
            future.abs().square().sum(dim=(1, 2)) if relative else torch.full((len(past),), float(future[0].numel()))
        )
        found.append((past, future, noise_of(batch)[rows], 1 / energy.clamp_min(1e-3 * future[0].numel())))
    if grid is None:
        raise ModelError("The part is empty.", where=model)
    return Samples(grid, *(torch.cat(parts) for parts in zip(*found, strict=True)))
