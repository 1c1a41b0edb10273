"""One cell of an evaluation: one model on one task under one regime, budget, draw and seed."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.digest import value_digest
from wbench.errors import ModelError, WBenchError
from wbench.heads import Probe, build_head
from wbench.metric.catalogue import get_metric
from wbench.model import Codec, Embedder, Model, ModelInfo, Predictor, load_model
from wbench.result import CostRecord
from wbench.run.codec import run_codec
from wbench.task.base import Task
from wbench.task.batch import Truth
from wbench.task.part import TaskData
from wbench.task.spec import Part

__all__ = ["Answer", "Cell", "answer_cell", "open_entries", "prepare"]

BATCH = 256
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """Coordinates of a result.

    Attributes
    ----------
    model : str
        Reference of the model.
    head : str or None
        Head of an embedder.
    budget, draw, seed : float, int, int
        Training budget in percent, its draw, the training seed.
    """

    model: str
    head: str | None = None
    budget: float = 100.0
    draw: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Answer:
    """What a model answered on the test part, and what it cost."""

    info: ModelInfo
    regime: str
    head: str | None
    predictions: npt.NDArray[Any]
    calibration: dict[str, dict[str, float]]
    cost: CostRecord
    parameters: int
    n_train: int
    n_val: int
    ids: Ids


def prepare(cell: Cell, task: Task) -> tuple[Model, str | None]:
    """Construct the cell's model, an embedder with its head; and the reason if it does not serve the task."""
    model = load_model(cell.model)
    if isinstance(model, Embedder):
        model = Probe(model, build_head(cell.head or "linear"))
    reason = model.supports(task.spec)
    if reason is None and isinstance(model, Codec) != (task.spec.kind == "compress"):
        reason = "compress tasks need a codec" if task.spec.kind == "compress" else f"a codec cannot {task.spec.kind}"
    return model, reason


def open_entries(task: Task, values: npt.NDArray[Any], mask: npt.NDArray[np.bool_] | None) -> npt.NDArray[Any]:
    """What counts of an answer or a target: in ``reconstruct`` tasks the entries that were not observed."""
    return values if mask is None else values[:, ~mask]


def answer_cell(model: Model, cell: Cell, task: Task) -> Answer:
    """Fit if the model trains, calibrate on validation, answer the test part.

    Raises
    ------
    ModelError
        If the model raises, or its answer has a wrong shape or is not finite.
    """
    train = TaskData(task, "train", cell.budget, cell.draw)
    val = TaskData(task, "val", cell.budget, cell.draw)
    with _blaming(cell.model, "setup"):
        model.setup(task.spec, task.meta)
    began = time.perf_counter()
    if model.info.trains:
        with _blaming(cell.model, "fit"):
            model.fit(train, val, cell.seed)
    fit_s = time.perf_counter() - began
    calibration = _calibrate(model, task, val, cell.model) if model.info.trains else {}
    ids = task.ids("test")
    began = time.perf_counter()
    bits: Ids | None = None
    if isinstance(model, Codec):
        with _blaming(cell.model, "encode or decode"):
            run = run_codec(model, task, ids)
        predictions, bits = _checked(run.predictions, task, len(ids), cell.model), run.bits
    else:
        predictions = _predict(model, task, "test", ids, cell.model)
    cost = CostRecord(
        fit_s=fit_s,
        predict_s=time.perf_counter() - began,
        predict_samples=len(ids),
        payload_bits_mean=None if bits is None else float(bits.mean()),
        payload_bits_max=None if bits is None else int(bits.max()),
    )
    probe = isinstance(model, Probe)
    regime = "head" if probe else "full" if model.info.trains else "none"
    head = model.head.name if isinstance(model, Probe) else None
    counts = (len(train), len(val)) if model.info.trains else (0, 0)
    return Answer(
        model.info, regime, head, predictions, calibration, cost, model.count_parameters(), *counts, ids
    )


def _calibrate(model: Model, task: Task, val: TaskData, name: str) -> dict[str, dict[str, float]]:
    # Only classification metrics choose anything on validation; codecs and reconstructions are spared the pass.
    if task.spec.kind != "classify":
        return {}
    predictions = _predict(model, task, "val", val.ids, name)
    truth: Truth = task.truth("val", val.ids)
    found = {metric: get_metric(metric).calibrate(predictions, truth) for metric in task.spec.metrics}
    return {metric: values for metric, values in found.items() if values}


def _predict(model: Model, task: Task, part: Part, ids: Ids, name: str) -> npt.NDArray[Any]:
    if not isinstance(model, Predictor):
        raise ModelError("The model cannot predict.", where=name)
    answers = []
    for batch in task.batches(part, ids, BATCH):
        with _blaming(name, "predict"):
            answer = np.asarray(model.predict(batch))
        answer = _checked(answer, task, len(batch), name)
        answers.append(open_entries(task, answer, batch.x.get("observed")))
    return np.concatenate(answers)


def _checked(answer: npt.NDArray[Any], task: Task, count: int, name: str) -> npt.NDArray[Any]:
    kind = task.spec.kind
    if kind in ("classify", "regress"):
        expected: tuple[int | None, ...] = (count, task.meta.classes)
        dtype: type[np.generic] = np.float32
    else:
        expected, dtype = (count, *task.meta.shape), np.complex64
    fits = answer.ndim == len(expected) and all(e in (None, s) for s, e in zip(answer.shape, expected, strict=True))
    if not fits:
        raise ModelError(
            "The model's answer has a wrong shape.", where=name, why=f"{answer.shape} instead of {expected}"
        )
    if np.iscomplexobj(answer) and dtype is np.float32:
        raise ModelError("The model's answer must be real.", where=name, why=f"it is {answer.dtype}")
    if not np.isfinite(answer).all():
        bad = int(np.sum(~np.isfinite(answer.reshape(count, -1)).all(axis=1)))
        raise ModelError("The model's answer is not finite.", where=name, why=f"NaN or infinity in {bad} samples")
    return answer.astype(dtype)


@contextmanager
def _blaming(name: str, doing: str) -> Iterator[None]:
    """Turn whatever a model raises into one clear error that names its line."""
    try:
        yield
    except WBenchError as error:
        if isinstance(error, ModelError) and error.where is None:
            error.where = f"{name}, {doing}"
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        line = f", line {frames[-1].lineno} of {frames[-1].filename.rsplit('/', 1)[-1]}" if frames else ""
        why = f"{type(error).__name__}: {error}"
        raise ModelError(f"The model raised an exception in {doing}{line}.", where=name, why=why) from error


def result_key(task: Task, info: ModelInfo, cell: Cell, regime: str) -> str:
    """Digest that names a result: everything that was asked for. The same key means the same numbers."""
    asked = {
        "task": task.spec.digest,
        "datasets": {recipe: dataset.spec.digest for recipe, dataset in task.datasets.items()},
        "model": [info.name, info.revision],
        "cell": [regime, cell.head, cell.budget, cell.draw, cell.seed],
    }
    return value_digest(asked)[7:19]
