"""Quantisers: uniform, μ-law, Lloyd–Max and vector, with exact bit counts, and the sharing out of bits.

Sources: A. Gersho, R. M. Gray, "Vector Quantization and Signal Compression", Springer 1992: uniform quantiser ch. 5.2,
companding ch. 5.5 (the μ-law is that of ITU-T G.711), generalised Lloyd algorithm ch. 11.3; S. P. Lloyd, "Least squares
quantization in PCM", IEEE Trans. Inf. Theory 28(2), 1982 (method I); D. Arthur, S. Vassilvitskii, "k-means++", SODA
2007 (first code vectors); greedy allocation: Y. Shoham, A. Gersho, "Efficient bit allocation for an arbitrary set of
quantizers", IEEE Trans. ASSP 36(9), 1988 (the distortions are convex, so the greedy choice is the best).

A quantiser turns numbers into codes 0 … levels − 1 of ``bits`` bits each and back; :func:`pack_codes` makes payloads.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wbench.channel.bits import bit_width
from wbench.channel.pmi_fields import RowReader, pack_rows
from wbench.errors import ModelError, SpecError

__all__ = [
    "Levels", "MuLaw", "Quantiser", "Uniform", "Vector", "allocate", "lloyd_max", "pack_codes", "train_vector",
    "unpack_codes",
]  # fmt: skip

Reals = npt.NDArray[np.floating[Any]]
Codes = npt.NDArray[np.int64]


class Quantiser(Protocol):
    """What all quantisers do. The values of a code are one number (scalar) or the last axis (vector)."""

    @property
    def bits(self) -> int:
        """Bits of one code."""
        ...

    def encode(self, values: Reals) -> Codes:
        """Codes of values; nothing is refused, what is out of range gets the nearest code."""
        ...

    def decode(self, codes: Codes) -> Reals:
        """Values that stand for the codes."""
        ...


@dataclass(frozen=True)
class Uniform:
    """2^bits cells of equal width Δ over [low, high]; a cell stands for its middle, so the error is at most Δ/2.

    Of values that are uniform over a cell the mean squared error is Δ²/12.

    Raises
    ------
    SpecError
        The bits or the range make no quantiser.
    """

    bits: int
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        _check_bits(self.bits, "Uniform")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise SpecError("A uniform quantiser needs a range.", where="Uniform", why=f"[{self.low}, {self.high}]")

    @property
    def step(self) -> float:
        """Δ."""
        return (self.high - self.low) / (1 << self.bits)

    def encode(self, values: Reals) -> Codes:
        """Number of the cell, [...]; values outside get the first or the last."""
        cell = np.floor((np.asarray(values, dtype=np.float64) - self.low) / self.step)
        return np.clip(cell, 0, (1 << self.bits) - 1).astype(np.int64)

    def decode(self, codes: Codes) -> npt.NDArray[np.float64]:
        """Middles of the cells, [...]."""
        return np.asarray(self.low + (codes + 0.5) * self.step, dtype=np.float64)


@dataclass(frozen=True)
class MuLaw:
    """Uniform quantiser behind the μ-law: fine near 0, coarse near ±peak.

    F(x) = sgn(x) ln(1 + μ|x|/peak) / ln(1 + μ), quantised uniformly over [−1, 1] (the continuous law of G.711).

    Raises
    ------
    SpecError
        The bits, the peak or μ make no quantiser.
    """

    bits: int
    peak: float = 1.0
    mu: float = 255.0

    def __post_init__(self) -> None:
        _check_bits(self.bits, "MuLaw")
        if not (0 < self.peak < math.inf and 0 < self.mu < math.inf):
            raise SpecError("The μ-law needs a positive peak and μ.", where="MuLaw", why=f"{self.peak}, {self.mu}")

    def compress(self, values: Reals) -> npt.NDArray[np.float64]:
        """F of values [...], in [−1, 1] for values within ±peak."""
        x = np.asarray(values, dtype=np.float64) / self.peak
        return np.asarray(np.sign(x) * np.log1p(self.mu * np.abs(x)) / math.log1p(self.mu))

    def expand(self, compressed: Reals) -> npt.NDArray[np.float64]:
        """Inverse of :meth:`compress`."""
        y = np.asarray(compressed, dtype=np.float64)
        return np.asarray(self.peak * np.sign(y) * np.expm1(np.abs(y) * math.log1p(self.mu)) / self.mu)

    def encode(self, values: Reals) -> Codes:
        """Number of the cell, [...]; values beyond the peak get the last."""
        return Uniform(self.bits).encode(self.compress(values))

    def decode(self, codes: Codes) -> npt.NDArray[np.float64]:
        """Expanded middles of the cells, [...]."""
        return self.expand(Uniform(self.bits).decode(codes))


@dataclass(frozen=True, eq=False)
class Levels:
    """Scalar quantiser to the nearest of given levels, increasing, [levels]; :func:`lloyd_max` trains them."""

    levels: npt.NDArray[np.float64]

    @property
    def bits(self) -> int:
        """⌈log2 levels⌉."""
        return bit_width(len(self.levels))

    def encode(self, values: Reals) -> Codes:
        """Number of the nearest level, [...]."""
        return np.searchsorted((self.levels[:-1] + self.levels[1:]) / 2, values).astype(np.int64)

    def decode(self, codes: Codes) -> npt.NDArray[np.float64]:
        """Levels, [...]."""
        return np.asarray(self.levels[codes])


@dataclass(frozen=True, eq=False)
class Vector:
    """Vector quantiser to the nearest code vector; ``codebook`` is float64 [levels, d], :func:`train_vector` trains it.

    One code stands for d numbers: ``bits`` / d bits per number.
    """

    codebook: npt.NDArray[np.float64]

    @property
    def bits(self) -> int:
        """⌈log2 levels⌉."""
        return bit_width(len(self.codebook))

    def encode(self, values: Reals) -> Codes:
        """Number of the nearest code vector, [..., d] → [...]; of equally near ones the first."""
        x = np.asarray(values, dtype=np.float64)
        rows = x.reshape(-1, x.shape[-1])
        return _nearest(rows, self.codebook).reshape(x.shape[:-1])

    def decode(self, codes: Codes) -> npt.NDArray[np.float64]:
        """Code vectors, [...] → [..., d]."""
        return np.asarray(self.codebook[codes])


def pack_codes(codes: Codes, bits: int) -> tuple[list[bytes], int]:
    """Payloads of codes [n, m]: m fields of ``bits`` bits each, most significant first, and their number of bits.

    Raises
    ------
    SpecError
        A code does not fit.
    """
    rows = np.asarray(codes, dtype=np.int64)
    return pack_rows([(rows, bits)])[0], bits * rows.shape[1]


def unpack_codes(payloads: Sequence[bytes], bits: int, count: int) -> Codes:
    """Inverse of :func:`pack_codes`: int64 [n, count].

    Raises
    ------
    SpecError
        A payload has another length, or padding bits are set.
    """
    reader = RowReader(payloads)
    codes = reader.read(bits, count)
    reader.finish()
    return codes


def train_vector(
    samples: Reals, levels: int, random: np.random.Generator, iterations: int = 100
) -> tuple[Vector, float]:
    """Vector quantiser by the generalised Lloyd algorithm (k-means), from k-means++ on.

    Parameters
    ----------
    samples : real ndarray [n, d]
        Training samples; each with the vectors that are to be quantised together.
    levels : int
        Number of code vectors.
    random : numpy.random.Generator
        Draws the first code vectors.
    iterations : int
        Most rounds of {nearest code vectors, centroids}; it ends when nothing changes.

    Returns
    -------
    quantiser : Vector
    distortion : float
        Mean over samples of ‖x − x̂‖²/d.

    Raises
    ------
    ModelError
        There are fewer distinct samples than levels.
    """
    x = np.asarray(samples, dtype=np.float64)
    if x.ndim != 2 or len(np.unique(x, axis=0)) < levels or levels < 1:
        why = f"{levels} levels of samples {x.shape}"
        raise ModelError("A vector quantiser needs as many distinct samples as levels.", where="train_vector", why=why)
    found = _spread(x, levels, random)
    codes = _nearest(x, found)
    for _ in range(iterations):
        counts = np.bincount(codes, minlength=levels)
        sums = np.stack([np.bincount(codes, x[:, i], levels) for i in range(x.shape[1])], axis=1)
        found = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], found)
        again = _nearest(x, found)
        if np.array_equal(again, codes):
            break
        codes = again
    return Vector(found), float(np.mean((x - found[codes]) ** 2))


def _spread(x: Reals, levels: int, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """k-means++: each new code vector a sample, drawn in proportion to its squared distance to those before."""
    found = [x[random.integers(len(x))]]
    distance = np.sum((x - found[0]) ** 2, axis=1)
    for _ in range(levels - 1):
        found.append(x[random.choice(len(x), p=distance / distance.sum())])
        distance = np.minimum(distance, np.sum((x - found[-1]) ** 2, axis=1))
    return np.array(found, dtype=np.float64)


def _nearest(x: Reals, codebook: Reals, chunk: int = 4096) -> Codes:
    """Number of the nearest code vector of rows [n, d], in chunks."""
    # |x − c|² without |x|², which is the same for all code vectors.
    offset = np.sum(codebook**2, axis=1) / 2
    parts = [np.argmax(x[i : i + chunk] @ codebook.T - offset, axis=1) for i in range(0, len(x), chunk)]
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)


def lloyd_max(samples: Reals, levels: int, iterations: int = 60) -> tuple[npt.NDArray[np.float64], float]:
    """Scalar quantiser with the least mean squared error, from quantiles on.

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
    quantiser = Levels(found)
    return found, float(np.mean((ordered - quantiser.decode(quantiser.encode(ordered))) ** 2))


def allocate(weights: Reals, distortions: Reals, bits: int) -> Codes:
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


def _check_bits(bits: int, where: str) -> None:
    if not 1 <= bits <= 32:
        raise SpecError("A quantiser has 1 to 32 bits per number.", where=where, why=f"{bits}")
