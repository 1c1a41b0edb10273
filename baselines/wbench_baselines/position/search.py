"""Exhaustive search for the nearest vectors, the same for every size of batch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Neighbours", "inverse_distance"]

#: Queries per matrix product: 64 rows of 50 000 distances in single precision are still in the cache when searched.
CHUNK = 64
#: Candidates beyond k that the exact second pass looks at.
SPARE = 8
#: Columns whose maximum is looked at first.
GROUP = 32
#: Smallest distance, in parts of the mean one, that the weight 1/distance tells from none.
CLOSEST = 1e-6


class Neighbours:
    """Nearest of some known vectors in Euclidean distance.

    One matrix product in single precision per chunk of queries finds k + 8 candidates, whose distances are then
    computed exactly, so that rounding that depends on the size of a batch cannot change the order. Equal distances:
    the earlier vector.

    Parameters
    ----------
    known : ndarray [m, d]
        Kept in single precision.
    """

    def __init__(self, known: npt.NDArray[np.floating]) -> None:
        self._middle = known.mean(axis=0, dtype=np.float64)  # less cancellation in |q|² − 2 q·k + |k|²
        self._known = (known - self._middle).astype(np.float32)
        self._half = 0.5 * np.einsum("md,md->m", self._known, self._known)

    def __len__(self) -> int:
        return len(self._known)

    def nearest(self, query: npt.NDArray[np.floating], k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Indices int64 and distances float64 of the k nearest, [q, min(k, m)], nearest first."""
        k = min(k, len(self))
        found = [self._chunk(query[start : start + CHUNK], k) for start in range(0, len(query), CHUNK)]
        if not found:
            return np.zeros((0, k), np.int64), np.zeros((0, k))
        index, distance = zip(*found, strict=True)
        return np.concatenate(index), np.concatenate(distance)

    def _chunk(self, query: npt.NDArray[np.floating], k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        q = (query - self._middle).astype(np.float32)
        far = q @ self._known.T  # |q − k|²/2, but for |q|²/2, with its sign turned
        far -= self._half
        few = min(k + SPARE, len(self))
        candidates = np.sort(_largest(far, few), axis=1)
        exact = [
            np.sqrt(((self._known[c].astype(np.float64) - one) ** 2).sum(axis=1))
            for one, c in zip(q, candidates, strict=True)
        ]
        distance = np.stack(exact)
        order = np.argsort(distance, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(distance, order, axis=1)


def _largest(values: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.intp]:
    """Columns of the ``count`` largest values of each row, in any order: [q, count].

    They lie in the ``count`` groups of columns with the largest maxima, and a maximum costs less than a partition.
    """
    rows, columns = values.shape
    if columns < 4 * GROUP * count:
        return np.argpartition(values, columns - count, axis=1)[:, columns - count :]
    whole = columns // GROUP * GROUP
    groups = values[:, :whole].reshape(rows, GROUP, -1)  # of columns far apart: the maximum runs over whole vectors
    best = _largest(groups.max(axis=1), count)
    few = (best[..., None] + np.arange(GROUP) * groups.shape[2]).reshape(rows, -1)
    few = np.concatenate([few, np.broadcast_to(np.arange(whole, columns), (rows, columns - whole))], axis=1)
    inner = np.take_along_axis(values, few, axis=1)
    return np.take_along_axis(few, np.argpartition(inner, few.shape[1] - count, axis=1)[:, -count:], axis=1)


def inverse_distance(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weights 1/distance that sum to 1: float64 [q, k]. A neighbour at distance 0 takes nearly all.

    Dudani, IEEE Trans. SMC 6(4), 1976.
    """
    mean = distance.mean(axis=1, keepdims=True)
    weight = 1 / np.maximum(distance, CLOSEST * np.where(mean > 0, mean, 1.0))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
