"""Classifiers that look at no channel: what every other classifier has to beat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec

__all__ = ["Constant", "Majority", "class_count", "only_classes"]


def only_classes(spec: TaskSpec) -> str | None:
    """Why a classifier cannot do a task; None if it can."""
    return None if spec.kind == "classify" else f"a classifier; the task's kind is {spec.kind}"


def class_count(meta: ChannelMeta, model: str) -> int:
    """Number of classes of a task.

    Raises
    ------
    ModelError
        The task does not say how many.
    """
    if not meta.classes:
        why = f"meta.classes is {meta.classes}"
        raise ModelError("The task does not declare its number of classes.", where=model, why=why)
    return meta.classes


class Constant(Predictor):
    """Always the positive class, which is the last one: LoS in LoS against NLoS. The channel is not read."""

    info = ModelInfo(
        name="wbench/constant",
        revision="1",
        kind="trivial",
        summary="Always the last (positive) class",
        source="No method; the score of an answer without information",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Any ``classify`` task."""
        return only_classes(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Learn the number of classes."""
        super().setup(spec, meta)
        self.classes = class_count(meta, self.info.name)

    def predict(self, batch: Batch) -> npt.NDArray[np.float64]:
        """Score 1 for the last class, 0 for the others: float64 [n, classes]."""
        scores = np.zeros((len(batch), self.classes))
        scores[:, -1] = 1.0
        return scores


class Majority(Predictor):
    """Class frequencies of the training part as scores: the most frequent class wins. The channel is not read."""

    info = ModelInfo(
        name="wbench/majority",
        revision="1",
        kind="trivial",
        summary="Class frequencies of the training part",
        source="No method; the score of an answer that knows the class frequencies only",
        licence="Apache-2.0",
        trains=True,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Any ``classify`` task."""
        return only_classes(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Learn the number of classes."""
        super().setup(spec, meta)
        self.frequencies = np.zeros(class_count(meta, self.info.name))

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Count the training labels.

        Raises
        ------
        ModelError
            The training part is empty.
        """
        counts = np.zeros(len(self.frequencies), dtype=np.int64)
        for _, truth in train.batches():
            counts += np.bincount(truth["label"], minlength=len(counts))
        if not counts.any():
            raise ModelError("The training part is empty.", where=self.info.name)
        self.frequencies = counts / counts.sum()

    def predict(self, batch: Batch) -> npt.NDArray[np.float64]:
        """The same training frequencies for every sample: float64 [n, classes]."""
        return np.tile(self.frequencies, (len(batch), 1))
