"""One cell of an evaluation: one model on one task under one regime, budget, draw and seed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.digest import value_digest
from wbench.errors import ModelError, SpecError
from wbench.heads import FineTuned, Probe, build_head
from wbench.machine import device_name, peak_device_bytes, peak_host_bytes, reset_peaks
from wbench.metric.catalogue import get_metric
from wbench.model import Codec, Embedder, Model, Predictor
from wbench.result import CostRecord, ModelRecord, Regime
from wbench.run.answering import Answering, calibrate, check_alone, checked_answer, code_of
from wbench.run.codec import run_codec
from wbench.run.cost import model_costs, placed
from wbench.run.embeddings import EmbeddingCache
from wbench.run.features import FrozenFeatures, Kind
from wbench.run.guard import blaming
from wbench.run.records import model_record
from wbench.task.base import Task
from wbench.task.part import TaskData
from wbench.task.spec import Part
from wbench.two_sided import load

__all__ = [
    "Answer",
    "Cell",
    "Fitted",
    "answer_cell",
    "build_model",
    "fit_cell",
    "head_of",
    "prepare",
    "refusal",
    "regime_of",
    "result_key",
]

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
    scratch : bool
        With ``tune``: start from random weights instead of the embedder's own.
    """

    model: str
    head: str | None = None
    budget: float = 100.0
    draw: int = 0
    seed: int = 0
    shots: int | None = None
    tune: bool = False
    layers: int | None = None
    scratch: bool = False

    def data(self, task: Task, part: Part) -> TaskData:
        """The part as the cell's model sees it."""
        return TaskData(task, part, self.budget, self.draw, self.shots)


@dataclass(frozen=True)
class Fitted:
    """What a model was fitted to (nothing if it does not train), how long that took and where, and its features.

    Features that were made before count with the time that making them took.
    """

    seconds: float
    n_train: int
    n_val: int
    features: FrozenFeatures | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Answer:
    """What a model answered on the test part, and what it cost."""

    model: ModelRecord
    regime: Regime
    head: str | None
    head_version: int | None
    predictions: npt.NDArray[Any]
    calibration: dict[str, dict[str, float]]
    cost: CostRecord
    n_train: int
    n_val: int
    ids: Ids


def prepare(cell: Cell, task: Task) -> tuple[Model, str | None]:
    """Construct the cell's model, an embedder with its head; and the reason if it does not serve the task."""
    model = build_model(cell)
    return model, refusal(model, cell, task) or _too_little(model, cell, task)


def build_model(cell: Cell) -> Model:
    """Construct the cell's model, an embedder with its head."""
    model = load(cell.model)
    if isinstance(model, Embedder) and (cell.head is not None or not isinstance(model, Predictor)):
        head = cell.head or "linear"
        tuned = cell.tune
        model = FineTuned(model, head, cell.layers, cell.scratch) if tuned else Probe(model, build_head(head))
    return model


def refusal(model: Model, cell: Cell, task: Task) -> str | None:
    """Why the model does not serve the task at all, whatever the budget."""
    with blaming(cell.model, "supports", code_of(model)):
        reason = model.supports(task.spec) or model.accepts(task.meta)
    if not (reason is None or isinstance(reason, str)):
        why = f"it returned {reason!r}"
        what, step = "supports() and accepts() must return None or the reason why not.", "None where it serves the task"
        raise ModelError(what, where=cell.model, why=why, next_step=step)
    if reason is None and isinstance(model, Codec) != (task.spec.kind == "compress"):
        return "compress tasks need a codec" if task.spec.kind == "compress" else f"a codec cannot {task.spec.kind}"
    return reason


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


def regime_of(model: Model) -> Regime:
    """What is trained: ``none`` (zero-shot), ``head`` (on frozen features), ``fine-tune`` or ``full``."""
    if isinstance(model, FineTuned):
        return "full" if model.scratch else "fine-tune"
    if isinstance(model, Probe):
        return "full" if model.embedder.info.trains else "head"
    return "full" if model.info.trains else "none"


def answer_cell(
    model: Model, cell: Cell, task: Task, cache: EmbeddingCache | None = None, kinds: Iterable[Kind] = ()
) -> Answer:
    """Fit if the model trains, calibrate on validation, answer the test part.

    A model that does not train sees nothing of any split but the one input: no threshold is chosen for it either.

    Parameters
    ----------
    model : Model
        From :func:`prepare`.
    cell : Cell
        Budget, draw and seed.
    task : Task
        The task.
    cache : EmbeddingCache, optional
        Where features of frozen embedders are kept for other heads, budgets, draws and seeds.
    kinds : iterable of {"pooled", "tokens"}
        Features that other cells will want.

    Raises
    ------
    ModelError
        If the model raises, its answer has a wrong shape or is not finite, or hangs on the other samples of a batch.
    """
    fitted, code = fit_cell(model, cell, task, cache, kinds), code_of(model)
    answering = Answering(model, task, cell.model, fitted.features)
    calibration = calibrate(answering, cell.data(task, "val")) if model.info.trains else {}
    ids = task.ids("test")
    bits: Ids | None = None
    if isinstance(model, Codec):
        began = time.perf_counter()
        with blaming(cell.model, "encode or decode", code):
            run = run_codec(model, task, ids)
        predict_s = time.perf_counter() - began
        predictions, bits = checked_answer(run.predictions, task, len(ids), cell.model), run.bits
    else:
        predictions, predict_s = answering.predict("test", ids)
        check_alone(answering, ids, predictions)
    cost = CostRecord(
        fit_s=fitted.seconds,
        predict_s=predict_s,
        predict_samples=len(ids),
        device=device_name(fitted.device),
        payload_bits_mean=None if bits is None else float(bits.mean()),
        payload_bits_max=None if bits is None else int(bits.max()),
        peak_memory_bytes=peak_host_bytes(),
        peak_device_bytes=peak_device_bytes(fitted.device),
    )
    with blaming(cell.model, "encode or decode" if isinstance(model, Codec) else "predict", code):
        if isinstance(model, Probe) and fitted.features is not None and fitted.features.has("test"):
            calls = fitted.features.call_costs(model.head)
        else:
            calls = model_costs(model, task, predict_s / len(ids), fitted.seconds + predict_s)
    cost = cost.model_copy(update=asdict(calls))
    with blaming(cell.model, "count_parameters", code):
        record = model_record(model)
    counts = fitted.n_train, fitted.n_val
    return Answer(record, regime_of(model), *head_of(model), predictions, calibration, cost, *counts, ids)


def fit_cell(
    model: Model, cell: Cell, task: Task, cache: EmbeddingCache | None = None, kinds: Iterable[Kind] = ()
) -> Fitted:
    """Set up the cell's model and, if it trains, fit it to the cell's part of training and validation.

    Raises
    ------
    ModelError
        If the model raises, or tries more than 32 configurations.
    """
    train, val = cell.data(task, "train"), cell.data(task, "val")
    reset_peaks()
    with blaming(cell.model, "setup", code_of(model)):
        model.setup(task.spec, task.meta)
        device = placed(model)
    if not model.info.trains:
        return Fitted(0.0, 0, 0, device=device)
    features: FrozenFeatures | None = None
    before = 0.0
    with blaming(cell.model, "fit", code_of(model)):
        if cache is not None and isinstance(model, Probe) and not model.embedder.info.trains:
            features = FrozenFeatures(model, task, cache, kinds)
        if features is not None and isinstance(model, Probe) and features.has("train") and features.has("val"):
            pairs = features.pair("train", train), features.pair("val", val)
            before = features.seconds("train", len(train)) + features.seconds("val", len(val))
            began = time.perf_counter()
            model.fit_head(*pairs, cell.seed)
        else:
            began = time.perf_counter()
            model.fit(train, val, cell.seed)
    return Fitted(before + time.perf_counter() - began, len(train), len(val), features, device)


def head_of(model: Model) -> tuple[str | None, int | None]:
    """Name and version of the head, or of the way of fine-tuning."""
    if isinstance(model, FineTuned):
        return model.head, model.version
    return (model.head.name, model.head.version) if isinstance(model, Probe) else (None, None)


def result_key(task: Task, model: Model, cell: Cell) -> str:
    """Digest that names a result: everything that was asked for. The same key means the same numbers."""
    data = [cell.budget, cell.shots, cell.draw, cell.seed]
    asked = {
        "task": task.spec.digest,
        "metrics": {name: get_metric(name).version for name in task.spec.metrics},
        "datasets": {recipe: dataset.spec.digest for recipe, dataset in task.datasets.items()},
        "model": [model.info.name, model.info.revision],
        "cell": [regime_of(model), *head_of(model), cell.layers, *data],
    }
    return value_digest(asked)[7:19]
