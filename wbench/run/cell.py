"""One cell of an evaluation: one model on one task under one regime, budget, draw and seed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.digest import value_digest
from wbench.errors import ModelError, SpecError
from wbench.heads import FineTuned, Probe, build_head
from wbench.metric.base import Metric
from wbench.metric.catalogue import get_metric
from wbench.model import Codec, Embedder, Model, ModelInfo, Predictor, load_model
from wbench.result import CostRecord
from wbench.run.codec import run_codec
from wbench.run.guard import blaming, check_independence, probe_rows
from wbench.run.score import counted
from wbench.task.base import Task
from wbench.task.batch import Truth
from wbench.task.part import TaskData
from wbench.task.spec import Part

__all__ = ["Answer", "Cell", "answer_cell", "prepare", "regime_of", "result_key"]

BATCH = 256
SAMPLES_PER_CLASS = 4
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
    shots : int or None
        Training samples of every class, instead of the budget.
    tune : bool
        Fine-tune the embedder with the head, instead of a head on frozen features.
    layers : int or None
        Fine-tune the last so many layers; None for all.
    """

    model: str
    head: str | None = None
    budget: float = 100.0
    draw: int = 0
    seed: int = 0
    shots: int | None = None
    tune: bool = False
    layers: int | None = None

    def data(self, task: Task, part: Part) -> TaskData:
        """The part as the cell's model sees it."""
        return TaskData(task, part, self.budget, self.draw, self.shots)


@dataclass(frozen=True)
class Answer:
    """What a model answered on the test part, and what it cost."""

    info: ModelInfo
    regime: str
    head: str | None
    head_version: int | None
    predictions: npt.NDArray[Any]
    calibration: dict[str, dict[str, float]]
    cost: CostRecord
    parameters: int
    trained_parameters: int
    n_train: int
    n_val: int
    ids: Ids


def prepare(cell: Cell, task: Task) -> tuple[Model, str | None]:
    """Construct the cell's model, an embedder with its head; and the reason if it does not serve the task."""
    model = load_model(cell.model)
    if isinstance(model, Embedder):
        head = cell.head or "linear"
        model = FineTuned(model, head, cell.layers) if cell.tune else Probe(model, build_head(head))
    with blaming(cell.model, "supports", _code(model)):
        reason = model.supports(task.spec)
    if not (reason is None or isinstance(reason, str)):
        why = f"it returned {reason!r}"
        raise ModelError("supports() must return None or the reason why not.", where=cell.model, why=why)
    if reason is None and isinstance(model, Codec) != (task.spec.kind == "compress"):
        reason = "compress tasks need a codec" if task.spec.kind == "compress" else f"a codec cannot {task.spec.kind}"
    return model, reason or _too_little(model, cell, task)


def _too_little(model: Model, cell: Cell, task: Task) -> str | None:
    # Protocol, budgets: beams need four samples per class, else a reported skip.
    classes = task.meta.classes
    if not model.info.trains:
        return None
    if cell.shots is not None:
        try:
            _ = cell.data(task, "train"), cell.data(task, "val")
        except SpecError as error:
            return f"{error.what.rstrip('.')} ({error.why})".replace("There are", "there are")
    if classes is None or classes <= 2:
        return None
    have = len(cell.data(task, "train"))
    need = SAMPLES_PER_CLASS * classes
    return f"{have} training samples, {classes} classes need {need}" if have < need else None


def regime_of(model: Model) -> str:
    """What is trained: ``none`` (zero-shot), ``head`` (on frozen features), ``fine-tune`` or ``full``."""
    if isinstance(model, FineTuned):
        return "fine-tune"
    if isinstance(model, Probe):
        return "full" if model.embedder.info.trains else "head"
    return "full" if model.info.trains else "none"


def answer_cell(model: Model, cell: Cell, task: Task) -> Answer:
    """Fit if the model trains, calibrate on validation, answer the test part.

    A model that does not train sees nothing of any split but the one input: no threshold is chosen for it either.

    Raises
    ------
    ModelError
        If the model raises, its answer has a wrong shape or is not finite, or hangs on the other samples of a batch.
    """
    train, val = cell.data(task, "train"), cell.data(task, "val")
    code = _code(model)
    with blaming(cell.model, "setup", code):
        model.setup(task.spec, task.meta)
    began = time.perf_counter()
    if model.info.trains:
        with blaming(cell.model, "fit", code):
            model.fit(train, val, cell.seed)
    fit_s = time.perf_counter() - began
    calibration = _calibrate(model, task, val, cell.model) if model.info.trains else {}
    ids = task.ids("test")
    bits: Ids | None = None
    if isinstance(model, Codec):
        began = time.perf_counter()
        with blaming(cell.model, "encode or decode", code):
            run = run_codec(model, task, ids)
        predict_s = time.perf_counter() - began
        predictions, bits = _checked(run.predictions, task, len(ids), cell.model), run.bits
    else:
        predictions, predict_s = _predict(model, task, "test", ids, cell.model)
        _check_alone(model, task, ids, predictions, cell.model)
    cost = CostRecord(
        fit_s=fit_s,
        predict_s=predict_s,
        predict_samples=len(ids),
        payload_bits_mean=None if bits is None else float(bits.mean()),
        payload_bits_max=None if bits is None else int(bits.max()),
    )
    with blaming(cell.model, "count_parameters", code):
        parameters = int(model.count_parameters()), int(model.count_trained_parameters())
    head = _head(model)
    counts = (len(train), len(val)) if model.info.trains else (0, 0)
    return Answer(model.info, regime_of(model), *head, predictions, calibration, cost, *parameters, *counts, ids)


def _code(model: Model) -> Model:
    # Whose file an error is looked for in: of a probe the embedder is the user's, the head is ours.
    return model.embedder if isinstance(model, (Probe, FineTuned)) else model


def _head(model: Model) -> tuple[str | None, int | None]:
    """Name and version of the head, or of the way of fine-tuning."""
    if isinstance(model, FineTuned):
        return model.head, model.version
    return (model.head.name, model.head.version) if isinstance(model, Probe) else (None, None)


def _calibrate(model: Model, task: Task, val: TaskData, name: str) -> dict[str, dict[str, float]]:
    chosen = [metric for metric in map(get_metric, task.spec.metrics) if type(metric).calibrate is not Metric.calibrate]
    if not chosen:  # codecs, reconstructions and beams are spared the pass
        return {}
    predictions, _ = _predict(model, task, "val", val.ids, name)
    truth: Truth = task.truth("val", val.ids)
    found = {metric.name: metric.calibrate(predictions, truth) for metric in chosen}
    return {metric: values for metric, values in found.items() if values}


def _predict(
    model: Model, task: Task, part: Part, ids: Ids, name: str, size: int = BATCH
) -> tuple[npt.NDArray[Any], float]:
    if not isinstance(model, Predictor):
        raise ModelError("The model cannot predict.", where=name)
    answers = []
    seconds = 0.0
    for batch in task.batches(part, ids, size):
        mask = batch.x.get("observed")  # taken first: the dict is the model's to change
        began = time.perf_counter()
        with blaming(name, "predict", _code(model)):
            answer = np.asarray(model.predict(batch))
        seconds += time.perf_counter() - began
        answers.append(counted(task, _checked(answer, task, len(batch), name), mask))
    return np.concatenate(answers), seconds


def _check_alone(model: Model, task: Task, ids: Ids, predictions: npt.NDArray[Any], name: str) -> None:
    rows = probe_rows(len(ids), task.spec.digest)
    alone, _ = _predict(model, task, "test", ids[rows], name, size=1)
    with blaming(name, "predict"):
        check_independence(predictions[rows], alone, "The model's answer")


def _checked(answer: npt.NDArray[Any], task: Task, count: int, name: str) -> npt.NDArray[Any]:
    kind = task.spec.kind
    real = kind in ("classify", "regress")
    expected = (count, task.meta.classes or task.meta.outputs) if real else (count, *task.meta.shape)
    dtype: type[np.generic] = np.float32 if real else np.complex64
    fits = answer.ndim == len(expected) and all(e in (None, s) for s, e in zip(answer.shape, expected, strict=True))
    if not fits:
        why = f"{answer.shape} instead of {expected}"
        raise ModelError("The model's answer has a wrong shape.", where=name, why=why)
    if answer.dtype.kind not in ("biuf" if real else "biufc"):
        wanted = "real" if real else "complex"
        raise ModelError(f"The model's answer must be {wanted} numbers.", where=name, why=f"it is {answer.dtype}")
    with np.errstate(over="ignore", invalid="ignore"):
        answer = answer.astype(dtype)  # first: what is finite in float64 may not be in what is stored
    if not np.isfinite(answer).all():
        bad = int(np.sum(~np.isfinite(answer.reshape(count, -1)).all(axis=1)))
        raise ModelError("The model's answer is not finite.", where=name, why=f"NaN or infinity in {bad} samples")
    return answer


def result_key(task: Task, model: Model, cell: Cell) -> str:
    """Digest that names a result: everything that was asked for. The same key means the same numbers."""
    data = [cell.budget, cell.shots, cell.draw, cell.seed]
    asked = {
        "task": task.spec.digest,
        "metrics": {name: get_metric(name).version for name in task.spec.metrics},
        "datasets": {recipe: dataset.spec.digest for recipe, dataset in task.datasets.items()},
        "model": [model.info.name, model.info.revision],
        "cell": [regime_of(model), *_head(model), cell.layers, *data],
    }
    return value_digest(asked)[7:19]
