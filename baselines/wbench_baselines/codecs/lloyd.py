"""Scalar quantisers trained on samples, and the allocation of bits among components of different variance.

Sources: S. P. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28(2), 1982 (method I); greedy
allocation: Y. Shoham, A. Gersho, "Efficient bit allocation for an arbitrary set of quantizers", IEEE Trans. ASSP 36(9),
1988 (the distortions are convex, so the greedy choice is the best).
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError

__all__ = ["allocate", "lloyd_max"]

Reals = npt.NDArray[np.floating[Any]]


def lloyd_max(samples: Reals, levels: int, iterations: int = 60) -> tuple[npt.NDArray[np.float64], float]:
    """Quantiser with the least mean squared error, from quantiles on.

    Parameters
    ----------
    samples : real ndarray [n]
        Training samples.
    levels, iterations : int
        Number of levels; rounds of {halfway edges, centroids}.

    Returns
    -------
    levels : float64 ndarray [levels]
        Increasing; edges are halfway between neighbours.
    distortion : float
        Mean squared error on the samples.

    Raises
    ------
    ModelError
        There is no sample.
    """
    if samples.size == 0:
        raise ModelError("A quantiser needs training samples.", where="lloyd_max")
    ordered = np.sort(samples.astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    found: npt.NDArray[np.float64] = np.quantile(ordered, (np.arange(levels) + 0.5) / levels).astype(np.float64)
    for _ in range(iterations):
        cuts = np.searchsorted(ordered, (found[:-1] + found[1:]) / 2)
        first, last = np.concatenate([[0], cuts]), np.concatenate([cuts, [len(ordered)]])
        count = last - first
        found = np.where(count > 0, (sums[last] - sums[first]) / np.maximum(count, 1), found)
    nearest = found[np.searchsorted((found[:-1] + found[1:]) / 2, ordered)]
    return found, float(np.mean((ordered - nearest) ** 2))


def allocate(weights: Reals, distortions: Reals, bits: int) -> npt.NDArray[np.int64]:
    """Share bits out: always to the component whose error falls the most.

    Parameters
    ----------
    weights : real ndarray [m]
        Variances.
    distortions : real ndarray [m, b + 1]
        Mean squared error of a component of variance 1 at 0 … b bits, convex and falling.
    bits : int
        Bits to share out.

    Returns
    -------
    int64 ndarray [m]
        Bits of each component, at most b; the sum is ``bits``, or m·b if that is less.
    """
    shares = np.zeros(len(weights), dtype=np.int64)
    gains = weights[:, None] * -np.diff(distortions, axis=1)
    heap = [(-gain[0], number) for number, gain in enumerate(gains)] if gains.shape[1] else []
    heapq.heapify(heap)
    for _ in range(bits):
        if not heap:
            break
        _, number = heapq.heappop(heap)
        shares[number] += 1
        if shares[number] < gains.shape[1]:
            heapq.heappush(heap, (-gains[number, shares[number]], number))
    return shares
