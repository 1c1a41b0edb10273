"""Metrics of answers that are levels in decibels: path gain, path loss."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ResultError
from wbench.metric._weighted import check_weight, finite, weighted_mean
from wbench.metric.base import Metric, Table, Weight
from wbench.task.batch import Truth

__all__ = ["MaeDb", "RmseDb"]


class _LevelError(Metric):
    """Common part: table [error in dB], answer minus truth."""

    unit: ClassVar[str] = "dB"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 1] of ``truth["target"]`` float [n, 1] in dB; users in outage are not the task's samples."""
        answer, target = np.asarray(pred, dtype=np.float64), np.asarray(truth["target"], dtype=np.float64)
        if answer.ndim != 2 or answer.shape[1] != 1 or answer.shape != target.shape:
            why = f"got {answer.shape} for {target.shape}"
            raise ResultError("Levels must be [n, 1].", where=f"metric {self.name}", why=why)
        finite(answer, "levels", self.name)
        finite(target, "true levels", self.name)
        return np.asarray(answer - target)


class RmseDb(_LevelError):
    """Root of the mean squared error in dB."""

    name: ClassVar[str] = "rmse_db"

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted RMSE in dB."""
        check_weight(table, weight, self.name)
        return math.sqrt(weighted_mean(table[:, 0] ** 2, weight))


class MaeDb(_LevelError):
    """Mean absolute error in dB."""

    name: ClassVar[str] = "mae_db"

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted mean absolute error in dB."""
        check_weight(table, weight, self.name)
        return weighted_mean(np.abs(table[:, 0]), weight)
