"""Where the pilots of a slot lie, and interpolation that is a product over time and frequency."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec

__all__ = ["Grid", "interpolate", "linear_weights", "noise_powers", "only_estimation", "pilots"]

Complex = npt.NDArray[np.complex128]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Grid(NamedTuple):
    """The pilots of a slot: on every subcarrier of ``tones`` in every symbol of ``symbols``, on all antennas.

    Attributes
    ----------
    symbols, tones : int64 ndarray
        OFDM symbols and subcarriers with pilots, rising.
    shape : (int, int)
        Symbols and subcarriers of the whole grid.
    """

    symbols: Indices
    tones: Indices
    shape: tuple[int, int]


def only_estimation(spec: TaskSpec) -> str | None:
    """Why a channel estimator cannot do a task; None if it can."""
    if spec.kind == "reconstruct" and spec.family == "channel-estimation":
        return None
    return f"estimates a resource grid from its pilots; the task is {spec.family}, {spec.kind}"


def pilots(batch: Batch, model: str) -> tuple[Grid, Complex]:
    """Positions of the pilots and the least-squares estimates on them.

    Pilots have modulus one and are taken off, so the least-squares estimate is the observation itself.

    Returns
    -------
    Grid
        Positions.
    complex128 ndarray [n, pilot symbol, antenna, pilot tone]
        Channel plus noise; antennas are Rx × Tx.

    Raises
    ------
    ModelError
        The dimensions are not (time, rx, tx, subcarrier), or the pilots do not form a product of symbols and
        subcarriers that is the same on all antennas.
    """
    if batch.meta.dims != ("time", "rx", "tx", "subcarrier"):
        raise ModelError("The channel is not a resource grid.", where=model, why=f"dimensions {batch.meta.dims}")
    h = batch.x["H"]
    observed: npt.NDArray[np.bool_] = batch.x["observed"]
    symbols = np.flatnonzero(observed.any(axis=(1, 2, 3)))
    tones = np.flatnonzero(observed.any(axis=(0, 1, 2)))
    if not len(symbols) or not observed[symbols][..., tones].all():
        raise ModelError(
            "The pilots are not the same subcarriers on all pilot symbols and antennas.",
            where=model,
            why=f"{int(observed.sum())} entries are observed on {len(symbols)} symbols and {len(tones)} subcarriers",
        )
    seen = h[:, symbols][..., tones].astype(np.complex128)
    grid = Grid(symbols, tones, (observed.shape[0], observed.shape[3]))
    return grid, seen.reshape(len(h), len(symbols), -1, len(tones))


def noise_powers(batch: Batch) -> Floats:
    """Noise variance per pilot of each sample, 0 where the task adds none: float64 [n]."""
    return np.zeros(len(batch)) if batch.noise_power is None else batch.noise_power.astype(np.float64)


def linear_weights(at: Indices, size: int, extend: bool = False) -> Floats:
    """Linear interpolation from ``at`` to 0 … size − 1 as a matrix.

    Parameters
    ----------
    at : int64 ndarray [p]
        Rising positions of the samples.
    size : int
        Number of positions.
    extend : bool
        Whether the slope goes on beyond the outermost samples, which amplifies noise; otherwise their value is held.

    Returns
    -------
    float64 ndarray [size, p]
    """
    weights = np.zeros((size, len(at)))
    if len(at) == 1:
        weights[:] = 1.0
        return weights
    to = np.arange(size)
    left = np.clip(np.searchsorted(at, to, side="right") - 1, 0, len(at) - 2)
    share = (to - at[left]) / (at[left + 1] - at[left])
    if not extend:
        share = np.clip(share, 0.0, 1.0)
    weights[to, left] = 1 - share
    weights[to, left + 1] = share
    return weights


def interpolate(y: Complex, tone_weights: npt.NDArray[np.inexact], symbol_weights: npt.NDArray[np.inexact]) -> Complex:
    """Apply one matrix along frequency and one along time.

    Parameters
    ----------
    y : complex128 ndarray [n, pilot symbol, antenna, pilot tone]
        Values on the pilots.
    tone_weights, symbol_weights : ndarray [subcarrier, pilot tone], [symbol, pilot symbol]
        Matrices.

    Returns
    -------
    complex128 ndarray [n, symbol, antenna, subcarrier]
    """
    tones = y @ tone_weights.T
    n, _, antennas, subcarriers = tones.shape
    # One matrix product per sample, always of the same size: the same bits in whatever batch a sample comes.
    flat = symbol_weights @ tones.reshape(n, tones.shape[1], -1)
    return np.asarray(flat.reshape(n, len(symbol_weights), antennas, subcarriers))
