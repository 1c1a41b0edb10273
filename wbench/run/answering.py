"""The prediction pass: answers timed, checked, and some of them asked for a second time, alone."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.heads import FineTuned, Probe
from wbench.heads.base import Features
from wbench.machine import answer_in_parts
from wbench.metric.base import Metric
from wbench.metric.catalogue import get_metric
from wbench.model import Model, Predictor
from wbench.run.features import BATCH, FrozenFeatures
from wbench.run.guard import blaming, check_independence, probe_rows
from wbench.run.score import counted
from wbench.task.base import Task
from wbench.task.batch import Truth
from wbench.task.part import TaskData
from wbench.task.spec import Part
from wbench.two_sided import TwoSided

__all__ = ["Answering", "calibrate", "check_alone", "checked_answer", "code_of"]

Ids = npt.NDArray[np.int64]


def code_of(model: Model) -> Model | None:
    """Whose file an error is looked for in: of a probe the embedder is the user's, the head is ours.

    None of a pair: either side's file may be the one.
    """
    if isinstance(model, TwoSided):
        return None
    return model.embedder if isinstance(model, (Probe, FineTuned)) else model


@dataclass(frozen=True)
class Answering:
    """The prediction pass of a fitted model, over features that were kept where there are any."""

    model: Model
    task: Task
    name: str
    features: FrozenFeatures | None = None

    def predict(self, part: Part, ids: Ids) -> tuple[npt.NDArray[Any], float]:
        """Answers to some samples of a part, and the model's time in s."""
        features = self._kept(part)
        if features is None:
            return self._from_batches(part, ids, BATCH)
        answers, seconds = self._from_features(features.rows(part, ids), BATCH)
        return answers, seconds + features.seconds(part, len(ids))

    def alone(self, ids: Ids) -> npt.NDArray[Any]:
        """Answers to test samples, one at a time."""
        features = self._kept("test")
        if features is None:
            return self._from_batches("test", ids, 1)[0]
        return self._from_features(features.alone(), 1)[0]

    def _kept(self, part: Part) -> FrozenFeatures | None:
        if self.features is None:
            return None
        with blaming(self.name, "predict", code_of(self.model)):
            return self.features if self.features.has(part) else None

    def _from_batches(self, part: Part, ids: Ids, size: int) -> tuple[npt.NDArray[Any], float]:
        model, task = self.model, self.task
        if not isinstance(model, Predictor):
            raise ModelError("The model cannot predict.", where=self.name)
        answers = []
        seconds = 0.0
        for batch in task.batches(part, ids, size):
            mask = batch.x.get("observed")  # taken first: the dict is the model's to change
            began = time.perf_counter()
            with blaming(self.name, "predict", code_of(model)):
                answer = answer_in_parts(model.predict, batch)
            seconds += time.perf_counter() - began
            answers.append(counted(task, checked_answer(answer, task, len(batch), self.name), mask))
        return np.concatenate(answers), seconds

    def _from_features(self, features: Features, size: int) -> tuple[npt.NDArray[Any], float]:
        if not isinstance(self.model, Probe):
            raise ModelError("Only an embedder has features.", where=self.name)
        head = self.model.head
        answers = []
        seconds = 0.0
        for start in range(0, len(features), size):
            some = features[start : start + size]
            began = time.perf_counter()
            with blaming(self.name, "predict", code_of(self.model)):
                answer = np.asarray(head.predict(some))
            seconds += time.perf_counter() - began
            answers.append(checked_answer(answer, self.task, len(some), self.name))
        return np.concatenate(answers), seconds


def calibrate(answering: Answering, val: TaskData) -> dict[str, dict[str, float]]:
    """What metrics choose on validation, a threshold for example; by metric."""
    task = answering.task
    chosen = [metric for metric in map(get_metric, task.spec.metrics) if type(metric).calibrate is not Metric.calibrate]
    if not chosen:  # codecs, reconstructions and beams are spared the pass
        return {}
    predictions, _ = answering.predict("val", val.ids)
    truth: Truth = task.truth("val", val.ids)
    found = {metric.name: metric.calibrate(predictions, truth) for metric in chosen}
    return {metric: values for metric, values in found.items() if values}


def check_alone(answering: Answering, ids: Ids, predictions: npt.NDArray[Any]) -> None:
    """Refuse answers that hang on the other samples of a batch; see :func:`~wbench.run.guard.check_independence`."""
    rows = probe_rows(len(ids), answering.task.spec.digest)
    alone = answering.alone(ids[rows])
    with blaming(answering.name, "predict"):
        check_independence(predictions[rows], alone, "The model's answer")


def checked_answer(answer: npt.NDArray[Any], task: Task, count: int, name: str) -> npt.NDArray[Any]:
    """An answer to ``count`` samples as it is stored: float32 or complex64.

    Raises
    ------
    ModelError
        If it has a wrong shape or kind, or is not finite.
    """
    kind = task.spec.kind
    real = kind in ("classify", "regress")
    expected = (count, task.meta.classes or task.meta.outputs) if real else (count, *task.meta.shape)
    dtype: type[np.generic] = np.float32 if real else np.complex64
    again = f"wbench check {shlex.quote(name)} --task {task.spec.name} tries it on few samples"
    fits = answer.ndim == len(expected) and all(e in (None, s) for s, e in zip(answer.shape, expected, strict=True))
    if not fits:
        why = f"{answer.shape} instead of {expected}"
        step = f"predict() returns {_wanted(task)}; {again}"
        raise ModelError("The model's answer has a wrong shape.", where=name, why=why, next_step=step)
    if answer.dtype.kind not in ("biuf" if real else "biufc"):
        wanted = "real" if real else "complex"
        what, step = f"The model's answer must be {wanted} numbers.", f"predict() returns {_wanted(task)}; {again}"
        raise ModelError(what, where=name, why=f"it is {answer.dtype}", next_step=step)
    with np.errstate(over="ignore", invalid="ignore"):
        answer = answer.astype(dtype)  # first: what is finite in float64 may not be in what is stored
    if not np.isfinite(answer).all():
        bad = int(np.sum(~np.isfinite(answer.reshape(count, -1)).all(axis=1)))
        why = f"NaN or infinity in {bad} of {count} samples"
        step = f"look for a division by 0, an overflow of float32 or a diverged fit; {again}"
        raise ModelError("The model's answer is not finite.", where=name, why=why, next_step=step)
    return answer


def _wanted(task: Task) -> str:
    """What the contract of predictions says about this task's."""
    if task.spec.kind == "classify":
        return f"scores, float [n, {task.meta.classes}]"
    if task.spec.kind == "regress":
        return f"outputs, float [n, {task.meta.outputs or 'outputs'}]"
    return f"channels, complex [n, {', '.join(map(str, task.meta.shape))}]"
