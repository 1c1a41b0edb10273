"""Samples in memory: made once, served to every model in any batch, as copies that nobody can spoil for the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.task.batch import Batch, Truth

__all__ = ["Samples", "Store", "freeze"]

Ids = npt.NDArray[np.int64]
Pair = tuple[Batch, Truth]


def freeze(batch: Batch, truth: Truth) -> Pair:
    """The same pair with all its arrays read-only: a model that writes into them would change what others see."""
    noise = () if batch.noise_power is None else (batch.noise_power,)
    for array in (batch.ids, *batch.x.values(), *noise, *truth.values()):
        array.setflags(write=False)
    return batch, truth


class Samples:
    """Room for ``count`` samples, filled and read by rows.

    Parameters
    ----------
    count : int
        Number of samples.
    like : (Batch, dict of str to ndarray)
        Observations and targets of at least one sample: names, shapes and dtypes are taken from it. An array that is
        observation and target at once (clean feedback) is kept once.
    """

    def __init__(self, count: int, like: Pair) -> None:
        batch, truth = like
        self._meta = batch.meta
        # The mask of what is observed belongs to the task, not to a sample.
        self._fixed = {name: array for name, array in batch.x.items() if name == "observed"}
        self._same = {name for name, array in truth.items() if array is batch.x.get(name)}
        self._arrays = {
            key: np.empty((count, *array.shape[1:]), dtype=array.dtype) for key, array in self._flat(batch, truth)
        }

    def _flat(self, batch: Batch, truth: Truth) -> list[tuple[tuple[str, str], npt.NDArray[Any]]]:
        rows = [(("x", name), array) for name, array in batch.x.items() if name not in self._fixed]
        rows += [(("truth", name), array) for name, array in truth.items() if name not in self._same]
        noise = [] if batch.noise_power is None else [(("batch", "noise_power"), batch.noise_power)]
        return [*rows, *noise, (("batch", "ids"), batch.ids)]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return sum(array.nbytes for array in self._arrays.values())

    def write(self, rows: Any, batch: Batch, truth: Truth) -> None:
        """Fill rows (indices or a slice)."""
        for key, array in self._flat(batch, truth):
            self._arrays[key][rows] = array

    def read(self, rows: Any) -> Pair:
        """Rows, read-only: copies for an array of indices, views for a slice."""
        kept = {key: array[rows] for key, array in self._arrays.items()}
        x = {name: array for (kind, name), array in kept.items() if kind == "x"}
        truth = {name: array for (kind, name), array in kept.items() if kind == "truth"}
        truth |= {name: x[name] for name in self._same}
        fixed = {name: array.copy() for name, array in self._fixed.items()}
        batch = Batch(kept["batch", "ids"], {**x, **fixed}, kept.get(("batch", "noise_power")), self._meta)
        return freeze(batch, truth)


class Store:
    """The samples of one part, each made at most once.

    Parameters
    ----------
    ids : int64 ndarray [n]
        All ids of the part, sorted.
    make : callable
        Observations and targets of given ids.
    limit_bytes : int
        A part that would need more is not kept; its samples are made each time, to the same bits.
    """

    def __init__(self, ids: Ids, make: Callable[[Ids], Pair], limit_bytes: int) -> None:
        self._ids = ids
        self._make = make
        self._limit = limit_bytes
        self._there = np.zeros(len(ids), dtype=bool)
        self._samples: Samples | None = None

    def take(self, ids: Ids) -> Pair:
        """Observations and targets of some ids of the part."""
        rows = np.minimum(np.searchsorted(self._ids, ids), max(len(self._ids) - 1, 0))
        if not len(ids) or not np.array_equal(self._ids[rows], ids):
            return freeze(*self._make(ids))
        if self._samples is None:
            first = self._make(ids)
            if Samples(1, first).nbytes * len(self._ids) > self._limit:
                return freeze(*first)
            self._samples = Samples(len(self._ids), first)
            self._fill(rows, first)
        missing = rows[~self._there[rows]]
        if len(missing):
            self._fill(missing, self._make(self._ids[missing]))
        return self._samples.read(rows)

    def _fill(self, rows: Ids, pair: Pair) -> None:
        if self._samples is not None:
            self._samples.write(rows, *pair)
            self._there[rows] = True
