"""Forecasts without training: the last estimate and the mean of the estimates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.model import ModelInfo
from wbench.task.batch import Batch
from wbench_baselines.link.common import FeatureModel

__all__ = ["FeatureMean", "FeaturePersistence"]


class FeaturePersistence(FeatureModel):
    """The estimate of the slot before the one that is asked for."""

    info = ModelInfo(
        name="wbench/feature-persistence",
        revision="1",
        kind="trivial",
        summary="The last estimated feature",
        source="No method; what a receiver does that does not forecast",
        licence="Apache-2.0",
    )

    def predict(self, batch: Batch) -> npt.NDArray[np.float64]:
        """The slot as it was seen: float64 [n, outputs]."""
        return self.history(batch)[:, self.last]


class FeatureMean(FeatureModel):
    """The mean of the visible slots' estimates."""

    info = ModelInfo(
        name="wbench/feature-mean",
        revision="1",
        kind="trivial",
        summary="Mean of the estimated features that are seen",
        source="No method; the best constant under white estimation noise",
        licence="Apache-2.0",
    )

    def predict(self, batch: Batch) -> npt.NDArray[np.float64]:
        """Mean over the visible slots: float64 [n, outputs]."""
        return np.asarray(self.history(batch)[:, self.visible].mean(axis=1))
