"""Channels as grids of angle-delay bins, each a short complex series to be continued (needs PyTorch)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from wbench.errors import ModelError
from wbench.task.batch import ArrayMeta, Batch, ChannelMeta
from wbench_baselines.prediction.common import Steps, steps

__all__ = ["Grid", "from_grid", "grid_of", "neighbours", "to_grid"]


class Grid(NamedTuple):
    """Which steps are seen and open, and the shape of the bins.

    Attributes
    ----------
    at : Steps
        Seen and open steps, and their dimension.
    shape : tuple of int
        Bins: (ports that are not transformed, columns, rows, delays); over frequency Doppler bins instead of delays.
    """

    at: Steps
    shape: tuple[int, int, int, int]

    @property
    def bins(self) -> int:
        """Number of bins."""
        return int(np.prod(self.shape))


def grid_of(batch: Batch, model: str) -> Grid:
    """Grid of a batch.

    Raises
    ------
    ModelError
        The open steps do not follow the seen ones, or the dimensions are not time, rx, tx, subcarrier.
    """
    if batch.meta.dims != ("time", "rx", "tx", "subcarrier"):
        raise ModelError("No grid of bins.", where=model, why=f"dimensions {batch.meta.dims}")
    at = steps(batch, model)
    if not np.array_equal(np.concatenate([at.seen, at.open]), np.arange(batch.meta.shape[at.axis])):
        why = f"seen {at.seen}, open {at.open}"
        raise ModelError("The open steps do not follow the seen ones without a gap.", where=model, why=why)
    time, rx, _, subcarriers = batch.meta.shape
    tx = _transmit(batch.meta)
    other = subcarriers if at.axis == 0 else time
    return Grid(at, (rx * tx.polarisations, tx.cols, tx.rows, other))


def to_grid(channel: npt.NDArray[np.complex64], rows: npt.NDArray[np.int64], grid: Grid) -> Tensor:
    """Some steps of channels in the angle-delay domain.

    Unitary DFTs over columns and rows of the transmit array and over the other of time and frequency. Angles and delays
    are in rising order; 0 is a quarter (delay) or half (angle) from the start, so that a path is not cut in two.

    Parameters
    ----------
    channel : complex64 ndarray [n, time, rx, tx, subcarrier]
        Channels.
    rows : int64 ndarray
        Steps along ``grid.at.axis``.

    Returns
    -------
    complex64 tensor [n, steps, bins]
    """
    part = np.moveaxis(np.take(channel, rows, axis=grid.at.axis + 1), grid.at.axis + 1, 1)
    x = torch.from_numpy(np.array(part, dtype=np.complex64, order="C"))  # [n, step, rx, tx, other] or [… other, rx, tx]
    if grid.at.axis != 0:
        x = x.permute(0, 1, 3, 4, 2)
    x = x.reshape(len(x), len(rows), *grid.shape)
    x = torch.fft.ifftn(x, dim=(-3, -2, -1), norm="ortho")
    return torch.roll(x, _shifts(grid), (-3, -2, -1)).flatten(2)


def from_grid(x: Tensor, grid: Grid, meta: ChannelMeta) -> npt.NDArray[np.complex64]:
    """Inverse of :func:`to_grid`: complex [n, steps, bins] → complex64 [n, steps, elements] (other dimensions flat)."""
    n, count = x.shape[:2]
    x = torch.roll(x.reshape(n, count, *grid.shape), tuple(-shift for shift in _shifts(grid)), (-3, -2, -1))
    x = torch.fft.fftn(x, dim=(-3, -2, -1), norm="ortho")
    rx, tx = meta.shape[1:3]
    x = x.reshape(n, count, rx, tx, grid.shape[3])
    if grid.at.axis != 0:
        x = x.permute(0, 1, 4, 2, 3)
    return np.asarray(x.flatten(2).to(torch.complex64).numpy())


def neighbours(grid: Grid) -> tuple[Tensor, Tensor]:
    """Bins next to each bin: itself, one delay, column and row before and after.

    Returns
    -------
    index : int64 tensor [7, bins]
        Bins; the DFT's domain is a circle.
    there : float32 tensor [7]
        0 for the neighbours along a dimension of one bin, 1 else.
    """
    number = torch.arange(grid.bins).reshape(grid.shape)
    found, there = [number], [1.0]
    for dim in (-1, -3, -2):
        for shift in (1, -1):
            found.append(torch.roll(number, shift, dim))
            there.append(1.0 if number.shape[dim] > 1 else 0.0)
    return torch.stack([one.flatten() for one in found]), torch.tensor(there)


def _transmit(meta: ChannelMeta) -> ArrayMeta:
    if meta.tx.ports == meta.shape[2]:
        return meta.tx
    return ArrayMeta(1, meta.shape[2])  # a part of an array: a line of ports


def _shifts(grid: Grid) -> tuple[int, int, int]:
    _, columns, rows, other = grid.shape
    # A Doppler spectrum is centred; delays begin at 0 and leak to both sides.
    return columns // 2, rows // 2, other // 4 if grid.at.axis == 0 else other // 2
