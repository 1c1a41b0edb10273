"""The metric contract: a small table per sample, and one weighted reduction of it.

Ratios of sums, F1, AUROC and percentiles are all one ``reduce`` over weights, so intervals (delete-a-group jackknife),
slices and paired comparisons come from the same table. Tables are linear; decibels appear only in ``reduce``'s value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.task.batch import Truth

__all__ = ["Metric", "Table", "Weight"]

Table = npt.NDArray[np.float64]
Weight = npt.NDArray[np.float64]


class Metric(ABC):
    """One metric of the protocol.

    Attributes
    ----------
    name, unit : str
        Registry name; unit as shown (``"dB"``, ``""``, ``"%"``).
    higher_is_better : bool
        Direction.
    bounds : (float, float)
        Values outside are implausible.
    version : int
        Raised whenever a value can change.
    """

    name: ClassVar[str]
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool]
    bounds: ClassVar[tuple[float, float]]
    version: ClassVar[int] = 1

    def calibrate(self, pred: npt.NDArray[Any], truth: Truth) -> dict[str, float]:
        """Numbers chosen on the validation part (a threshold); they are stored in the result."""
        return {}

    @abstractmethod
    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table float64 [n, m] of the samples' contributions.

        Parameters
        ----------
        pred : ndarray
            The model's answer, first dimension the sample.
        truth : dict of str to ndarray
            The task's targets.
        calibration : dict of str to float
            What :meth:`calibrate` returned on validation.
        """

    @abstractmethod
    def reduce(self, table: Table, weight: Weight) -> float:
        """Score of the samples with these non-negative weights.

        Raises
        ------
        ResultError
            If the score is undefined (empty slice, one class …): never a silent 0.
        """

    def tie_rate(self, table: Table, weight: Weight) -> float | None:
        """Share of samples whose contribution hangs on how a tie is broken; None where a metric knows no ties."""
        return None

    def error(self, value: float) -> float:
        """Error behind a value, 0 for a perfect answer and linear: what skill = 1 - error/error(trivial) uses."""
        return 1.0 - value if self.higher_is_better else value
