"""Answers of regression tasks that look at no channel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec

__all__ = ["Centroid", "Mean"]


class Mean(Predictor):
    """The mean of each output over the training part: least squared error without an observation."""

    info = ModelInfo(
        name="wbench/mean",
        revision="1",
        kind="trivial",
        summary="Mean of each output over the training part",
        source="No method; the score of an answer that knows the mean only",
        licence="Apache-2.0",
        trains=True,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Any ``regress`` task."""
        return None if spec.kind == "regress" else f"answers numbers; the task's kind is {spec.kind}"

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Average the training targets.

        Raises
        ------
        ModelError
            The training part is empty.
        """
        parts = [truth["target"].astype(np.float64) for _, truth in train.batches()]
        if not parts:
            raise ModelError("The training part is empty.", where=self.info.name)
        self.mean = np.concatenate(parts).mean(axis=0)

    def predict(self, batch: Batch) -> npt.NDArray[np.float64]:
        """The same mean for every sample: float64 [n, outputs]."""
        return np.tile(self.mean, (len(batch), 1))

    def count_parameters(self) -> int:
        """One per output."""
        return len(self.mean)


class Centroid(Mean):
    """The centroid of the training users."""

    info = ModelInfo(
        name="wbench/centroid",
        revision="1",
        kind="trivial",
        summary="Centroid of the training users",
        source="No method; the score of an answer that knows the area only",
        licence="Apache-2.0",
        trains=True,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Positioning."""
        return None if spec.family == "positioning" else f"answers positioning; the task is {spec.family}"
