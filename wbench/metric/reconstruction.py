"""Normalised mean squared error in its three forms (protocol: "Metrics").

The three differ by tens of dB on the same predictions when users differ in difficulty, so tasks report all of them:
ratio of sums (power-weighted), mean of ratios (every user counts the same, one failure dominates) and median.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ResultError
from wbench.metric._weighted import DB_LIMIT, check_weight, decibels, finite, linear, weighted_mean, weighted_median
from wbench.metric.base import Metric, Table, Weight
from wbench.task.batch import Truth

__all__ = ["NmseAbsolute", "NmseMeanOfRatios", "NmseMedian", "NmseRatioOfSums", "error_and_reference"]

_ROWS = 1024  # rows at a time: bounds the float64 copies, and no row's sum depends on its neighbours


def error_and_reference(pred: npt.NDArray[Any], target: npt.NDArray[Any], metric: str) -> Table:
    """Energies of error and target, per sample.

    Parameters
    ----------
    pred, target : ndarray of complex [n, ...]
        Answer and clean target, of the same shape.
    metric : str
        Named in errors.

    Returns
    -------
    ndarray of float64 [n, 2]
        ``‖H - Ĥ‖²`` from the difference itself (``‖H‖² + ‖Ĥ‖² - 2 Re HᴴĤ`` cancels below -70 dB), and ``‖H‖²``.

    Raises
    ------
    ResultError
        If the shapes differ or a value is not finite.
    """
    if pred.shape != target.shape or pred.ndim < 2:
        why = f"got {pred.shape} for {target.shape}"
        raise ResultError("Answer and target must have the same shape [n, ...].", where=f"metric {metric}", why=why)
    table = np.empty((len(pred), 2))
    for start in range(0, len(pred), _ROWS):
        rows = slice(start, start + _ROWS)
        clean = target[rows].astype(np.complex128)
        table[rows, 0] = _energy(pred[rows].astype(np.complex128) - clean)
        table[rows, 1] = _energy(clean)
    finite(table, "energy of answer and target", metric)
    return table


def _energy(x: npt.NDArray[np.complex128]) -> npt.NDArray[np.float64]:
    flat = x.reshape(len(x), -1)
    energy: npt.NDArray[np.float64] = np.sum(flat.real**2 + flat.imag**2, axis=1)
    return energy


def _ratios(table: Table, weight: Weight, metric: str) -> npt.NDArray[np.float64]:
    """Error over reference of every sample that counts; 0 where the weight is 0."""
    counted = weight > 0
    if np.any(table[counted, 1] <= 0):
        row = int(np.flatnonzero(counted & (table[:, 1] <= 0))[0])
        raise ResultError("The normalised error of a zero channel is undefined.", where=f"metric {metric}, row {row}")
    return np.divide(table[:, 0], table[:, 1], out=np.zeros(len(table)), where=counted)


class _Nmse(Metric):
    """Common part: table [error energy, reference energy]; values clipped at ±300 dB."""

    unit: ClassVar[str] = "dB"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (-DB_LIMIT, DB_LIMIT)

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 2]: ``‖H - Ĥ‖²`` and ``‖H‖²`` with ``truth["H"]``."""
        return error_and_reference(pred, truth["H"], self.name)

    def error(self, value: float) -> float:
        """Power ratio of the value in dB."""
        return linear(value)


class NmseRatioOfSums(_Nmse):
    """``10 log10(Σ‖H - Ĥ‖² / Σ‖H‖²)`` over the samples. All zeros score exactly 0 dB."""

    name: ClassVar[str] = "nmse_ros_db"

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted ratio of sums in dB."""
        check_weight(table, weight, self.name)
        error, reference = (float(np.sum(weight * column)) for column in table.T)
        if reference <= 0:
            raise ResultError("The normalised error of zero channels is undefined.", where=f"metric {self.name}")
        return float(decibels(error / reference))


class NmseAbsolute(NmseRatioOfSums):
    """``10 log10(Σ g²‖H - Ĥ‖² / Σ g²‖H‖²)``: of the channels in their own units, before division by their rms g.

    A diagnostic, not a ranking: the few users with the strongest channels decide it.
    """

    name: ClassVar[str] = "nmse_abs_db"

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 2]: both energies times g², with ``truth["rms"]`` float [n]."""
        table = super().per_sample(pred, truth, calibration)
        gain = finite(np.asarray(truth["rms"], dtype=np.float64), "scale", self.name)
        if gain.shape != (len(table),) or np.any(gain <= 0):
            why = f"got {gain.shape} for {len(table)} samples"
            raise ResultError("The scale must be one positive number per sample.", where=f"metric {self.name}", why=why)
        return np.asarray(table * gain[:, None] ** 2)


class NmseMeanOfRatios(_Nmse):
    """``10 log10(mean ‖H - Ĥ‖² / ‖H‖²)`` (Wen, Shih and Jin, IEEE WCL 2018, the NMSE of CsiNet)."""

    name: ClassVar[str] = "nmse_mor_db"

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted mean of ratios in dB."""
        check_weight(table, weight, self.name)
        return float(decibels(weighted_mean(_ratios(table, weight, self.name), weight)))


class NmseMedian(_Nmse):
    """``10 log10(median ‖H - Ĥ‖² / ‖H‖²)``; the midpoint of an even number of samples is taken on the linear scale.

    A median is not smooth, so its jackknife needs groups of many samples: in simulation 95 % intervals covered 91-94 %
    with 10 or more samples a group, but 82 % with one.
    """

    name: ClassVar[str] = "nmse_median_db"

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted median of ratios in dB."""
        check_weight(table, weight, self.name)
        return float(decibels(weighted_median(_ratios(table, weight, self.name), weight)))
