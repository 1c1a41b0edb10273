"""The verdict on two datasets: identical, equivalent within a stated tolerance, or different, and by how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["FLIPS", "TOLERANCE_DB", "ArrayVerdict", "Verdict", "relative_error"]

F64 = npt.NDArray[np.float64]

#: Relative difference ‖x' − x‖²/‖x‖² of a sample that still counts as the same. Rounding in single precision lies
#: below −90 dB, lossy storage at −60 dB; an error of 10⁻⁵ in power is below every noise and every codec here.
TOLERANCE_DB: Final = -50.0
#: Share of samples that may lie beyond it: a last bit can flip a decision (LoS or not) inside a simulator.
FLIPS: Final = 1e-3


def relative_error(reference: npt.NDArray[Any], found: npt.NDArray[Any], *, per_sample: bool) -> F64:
    """Squared relative difference of each sample.

    Parameters
    ----------
    reference, found : ndarray [n, …]
        The same samples of one array, of one dtype.
    per_sample : bool
        Relative to the sample's own norm (channels, whose path gain spans many decades), or to the rms over all
        samples (positions, decibels). Whole numbers are equal (0) or not (infinite).

    Returns
    -------
    float64 ndarray [n]
        Infinite where one of them has a missing value (NaN, ±infinity, an all-zero channel) and the other has not.
    """
    a, b = reference.reshape(len(reference), -1), found.reshape(len(found), -1)
    if a.dtype.kind in "iub":
        return np.where((a == b).all(axis=1), 0.0, np.inf)
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    a, b = a.astype(wide), b.astype(wide)
    there = np.isfinite(a)
    missing = ~there & ((a == b) | (np.isnan(a) & np.isnan(b)))
    power = np.where(there, np.abs(a) ** 2, 0.0).sum(axis=1)
    scale = power if per_sample else np.broadcast_to(power.sum() / max(1, there.any(axis=1).sum()), power.shape)
    square = np.where(there, np.abs(np.where(there, b, 0) - np.where(there, a, 0)) ** 2, 0.0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(square == 0, 0.0, square / scale)
    sound = (there & np.isfinite(b) | missing).all(axis=1) & np.isfinite(error)
    return np.where(sound, error, np.inf)


@dataclass(frozen=True)
class ArrayVerdict:
    """How far apart one array is.

    Attributes
    ----------
    name : str
        Array name.
    worst_db : float
        Largest relative difference of a sample in dB among those that can be compared; −infinity without any.
    outside : int
        Samples beyond the tolerance, those included that cannot be compared (another label, a missing value).
    """

    name: str
    worst_db: float
    outside: int


@dataclass(frozen=True)
class Verdict:
    """Whether two datasets are the same.

    Attributes
    ----------
    kind : {"identical", "equivalent", "different"}
        Same bits; within the tolerance; or not.
    samples : int
        Samples that were compared.
    arrays : tuple of ArrayVerdict
        One for each array; empty for identical datasets.
    outside : int
        Samples beyond the tolerance in any array.
    reason : str
        Why they cannot be compared at all, otherwise empty.
    """

    kind: Literal["identical", "equivalent", "different"]
    samples: int
    arrays: tuple[ArrayVerdict, ...]
    outside: int = 0
    reason: str = ""

    @classmethod
    def of_errors(cls, errors: Mapping[str, F64]) -> Verdict:
        """From the squared relative differences of each array: float64 [n] each."""
        limit = 10 ** (TOLERANCE_DB / 10)
        arrays = tuple(ArrayVerdict(n, _worst_db(e), int((e > limit).sum())) for n, e in errors.items())
        beyond = np.any([e > limit for e in errors.values()], axis=0)
        outside = int(beyond.sum())
        return cls("equivalent" if outside <= FLIPS * len(beyond) else "different", len(beyond), arrays, outside)

    @classmethod
    def of_layouts(cls, reference: Mapping[str, Any], found: Mapping[str, Any]) -> Verdict:
        """Of datasets with different arrays, from dtype and shape by name."""
        names = sorted(name for name in {*reference, *found} if reference.get(name) != found.get(name))
        texts = [f"{name} is {_layout(found.get(name))}, not {_layout(reference.get(name))}" for name in names]
        return cls("different", 0, (), reason="; ".join(texts))

    @property
    def worst_db(self) -> float:
        """Largest relative difference of a sample in dB, over all arrays."""
        return max((array.worst_db for array in self.arrays), default=-np.inf)

    def __str__(self) -> str:
        if self.reason:
            return f"different: {self.reason}"
        if self.kind == "identical":
            return "identical: the same bits"
        if self.kind == "equivalent":
            worst = max(self.arrays, key=lambda array: array.worst_db)
            known = (
                f"at most {worst.worst_db:.1f} dB ({worst.name})" if np.isfinite(worst.worst_db) else "no difference"
            )
            flips = f", {self.outside} of them beyond it" if self.outside else ""
            return f"equivalent: {known} in {self.samples:,} samples{flips}; tolerance {TOLERANCE_DB:g} dB"
        parts = []
        for array in sorted(self.arrays, key=lambda array: -array.outside):
            if array.outside:
                worst_db = f" at up to {array.worst_db:.1f} dB" if np.isfinite(array.worst_db) else ""
                parts.append(f"{array.name} in {array.outside:,}{worst_db}")
        share = f"{self.outside:,} of {self.samples:,} samples are beyond {TOLERANCE_DB:g} dB"
        return f"different: {share}: {', '.join(parts)}"


def _worst_db(error: F64) -> float:
    known = error[np.isfinite(error) & (error > 0)]
    return float(10 * np.log10(known.max())) if len(known) else -np.inf


def _layout(layout: Any) -> str:
    return "absent" if layout is None else f"{layout[0]} {tuple(layout[1])}"
