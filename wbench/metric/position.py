"""Metrics of positioning: the horizontal distance in metres between answer and truth, its mean and its percentiles."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ResultError
from wbench.metric._weighted import check_weight, finite, weighted_mean, weighted_quantile
from wbench.metric.base import Metric, Table, Weight
from wbench.task.batch import Truth

__all__ = ["Cdf50", "Cdf67", "Cdf90", "Cdf95", "MeanDistance"]


class _Distance(Metric):
    """Common part: table [horizontal error in m]."""

    unit: ClassVar[str] = "m"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 1]: ``‖p - p̂‖`` with ``truth["target"]`` float [n, 2], east and north in m."""
        answer, target = np.asarray(pred, dtype=np.float64), np.asarray(truth["target"], dtype=np.float64)
        if answer.ndim != 2 or answer.shape[1] != 2 or answer.shape != target.shape:
            why = f"got {answer.shape} for {target.shape}"
            raise ResultError("Positions must be [n, 2].", where=f"metric {self.name}", why=why)
        finite(answer, "positions", self.name)
        finite(target, "true positions", self.name)
        return np.asarray(np.hypot(*(answer - target).T)[:, None])


class MeanDistance(_Distance):
    """Mean horizontal error."""

    name: ClassVar[str] = "mean_m"

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted mean in m."""
        check_weight(table, weight, self.name)
        return weighted_mean(table[:, 0], weight)


class _Percentile(_Distance):
    """Error that the share ``level`` of the users stays below, where the weighted distribution function passes it.

    The midpoint where it hits the level exactly (``averaged_inverted_cdf``, definition 2 of Hyndman and Fan, The
    American Statistician 50(4), 1996). A percentile is not smooth, so its jackknife needs groups of many samples.
    """

    level: ClassVar[float]

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted percentile in m."""
        check_weight(table, weight, self.name)
        return weighted_quantile(table[:, 0], weight, self.level)


class Cdf50(_Percentile):
    """Median of the horizontal error."""

    name: ClassVar[str] = "cdf50_m"
    level: ClassVar[float] = 0.50


class Cdf67(_Percentile):
    """67 % of the horizontal errors are below it."""

    name: ClassVar[str] = "cdf67_m"
    level: ClassVar[float] = 0.67


class Cdf90(_Percentile):
    """90 % of the horizontal errors are below it."""

    name: ClassVar[str] = "cdf90_m"
    level: ClassVar[float] = 0.90


class Cdf95(_Percentile):
    """95 % of the horizontal errors are below it."""

    name: ClassVar[str] = "cdf95_m"
    level: ClassVar[float] = 0.95
