"""Evaluation: models × tasks × budgets × draws × seeds, each result written as soon as it exists."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from wbench.digest import array_digest
from wbench.errors import MissingError, ResultError, SpecError, UsageError, WBenchError
from wbench.heads import HEADS, TUNED_HEADS, build_head
from wbench.metric.catalogue import get_metric
from wbench.model import Embedder, Model, load_model
from wbench.provenance import provenance
from wbench.result import (
    DatasetRecord,
    ModelRecord,
    PredictionsRecord,
    Result,
    Score,
    TaskRecord,
    read_result,
    write_result,
)
from wbench.run.cell import Answer, Cell, answer_cell, prepare, regime_of, result_key
from wbench.run.executors import one_thread
from wbench.run.fingerprint import shipped_verdict
from wbench.run.plan import load_task
from wbench.run.progress import progress
from wbench.run.score import PREDICTIONS, score_predictions
from wbench.task.base import Task

__all__ = ["CellReport", "EvaluationReport", "evaluate"]

Status = Literal["done", "kept", "not applicable", "failed"]
#: Budgets below this percentage have five draws, few-shot parts ten (protocol).
DRAWS_BELOW_PERCENT = 25.0
DRAWS, SHOT_DRAWS = 5, 10


@dataclass(frozen=True)
class _Request:
    """What is asked of every model that can do it."""

    head: str
    tune: bool
    layers: int | None
    budgets: tuple[float, ...]
    shots: tuple[int, ...]
    draws: int | None
    seeds: int


@dataclass(frozen=True)
class CellReport:
    """What became of one cell: its result, or the reason why there is none."""

    task: str
    cell: Cell
    status: Status
    result: Result | None = None
    path: Path | None = None
    reason: str = ""
    error: WBenchError | None = None


@dataclass
class EvaluationReport:
    """All cells of an evaluation, in order."""

    cells: list[CellReport] = field(default_factory=list)

    @property
    def results(self) -> list[Result]:
        """Results that are there now, new or kept."""
        return [cell.result for cell in self.cells if cell.result is not None]

    @property
    def exit_code(self) -> int:
        """0 done; 1 some cells failed; 3 there is no result, because something is missing on this machine."""
        missing = all(isinstance(cell.error, MissingError) for cell in self.failures)
        return 0 if not self.failures else 3 if missing and not self.results else 1

    @property
    def failures(self) -> list[CellReport]:
        """Cells that failed."""
        return [cell for cell in self.cells if cell.status == "failed"]


def evaluate(
    models: Sequence[str],
    tasks: Sequence[str | Path],
    *,
    size: str = "standard",
    data: str | Path | None = None,
    out: str | Path = "results",
    head: str = "linear",
    regime: Literal["head", "fine-tune"] = "head",
    layers: int | None = None,
    budgets: Sequence[float] | None = None,
    shots: Sequence[int] = (),
    draws: int | None = None,
    seeds: int = 1,
    show_progress: bool = False,
    on_cell: Callable[[CellReport], None] | None = None,
) -> EvaluationReport:
    """Evaluate models on tasks.

    Parameters
    ----------
    models : sequence of str
        Registry names, ``package.module:Class`` or ``./file.py:Class``.
    tasks : sequence of str or Path
        Registry names of task instances, or ``.toml`` files.
    size : {"tiny", "standard", "large"}
        Size of the datasets; results on ``tiny`` are never ranked.
    data, out : path
        Data folder, and folder of the results.
    head : str
        Head of embedders, a name of :data:`wbench.heads.HEADS`.
    regime : {"head", "fine-tune"}
        Whether embedders stay frozen under their head or are trained with it.
    layers : int, optional
        Fine-tune the last so many layers only; all weights by default.
    budgets : sequence of float, optional
        Training budgets in percent, for models that train; 100 by default, none if there are ``shots``.
    shots : sequence of int
        Few-shot training parts with so many samples of every class, for models that train on ``classify`` tasks.
    draws : int, optional
        Draws of each budget; default 5 below 25 %, else 1 (100 % has one draw), and 10 of few-shot parts.
    seeds : int
        Training seeds of stochastic models.
    show_progress : bool
        Show a progress bar on standard error.
    on_cell : callable, optional
        Called with each :class:`CellReport` as soon as it is known.

    Returns
    -------
    EvaluationReport
        A failed cell does not stop the others; finished results with the same key are kept.

    Raises
    ------
    UnknownNameError, SpecError, PluginError
        A task or model does not exist or cannot be loaded at all.
    DatasetNotFoundError
        A dataset has not been generated.
    """
    budgets = budgets or (() if shots else (100.0,))
    tune = regime == "fine-tune"
    request = _Request(head, tune, layers if tune else None, tuple(budgets), tuple(shots), draws, seeds)
    _check_request(request, regime, layers)
    loaded = [_checked_task(load_task(task, size=size, data=data)) for task in dict.fromkeys(tasks)]
    # A name that does not exist is a mistake in the command; a model that cannot be loaded fails its own cells only.
    models = tuple(dict.fromkeys(models))
    found = {model: _try_model(model) for model in models}
    cells = [cell for model in models for cell in _cells(model, found[model], request)]
    report = EvaluationReport()
    with progress("evaluate", len(loaded) * len(cells), "cells", show=show_progress) as advance, one_thread():
        while loaded:
            task = loaded.pop(0)  # the last reference: its datasets and samples leave memory before the next task's
            for cell in cells:
                advance(0, f"{cell.model} on {task.spec.name}")
                model = found[cell.model]
                done = _run(task, cell, Path(out), model if isinstance(model, WBenchError) else None)
                report.cells.append(done)
                if on_cell is not None:
                    on_cell(done)
                advance(1, "")
    return report


def _check_request(request: _Request, regime: str, layers: int | None) -> None:
    if request.seeds < 1 or (request.draws is not None and request.draws < 1):
        raise UsageError("Seeds and draws are counts from 1 on.", next_step="--seeds 3")
    wrong = [budget for budget in request.budgets if not 0 < budget <= 100]
    if wrong:
        raise UsageError("A budget is a percentage in (0, 100].", why=f"got {wrong}", next_step="--budget 10")
    if any(shots < 1 for shots in request.shots):
        raise UsageError("Shots are counts from 1 on.", why=f"got {min(request.shots)}", next_step="--shots 10")
    if regime not in ("head", "fine-tune"):
        raise UsageError("Embedders have the regimes head and fine-tune.", why=f"got {regime!r}")
    if layers is not None and not request.tune:
        raise UsageError("Layers belong to fine-tuning.", next_step="--regime fine-tune --layers 2")
    if layers is not None and layers < 1:
        raise UsageError("Layers are a count from 1 on.", why=f"got {layers}", next_step="--layers 2")
    build_head(request.head)
    if request.tune and request.head not in TUNED_HEADS:
        why = f"{request.head} is not trained by gradients"
        step = f"--head {'|'.join(TUNED_HEADS)}"
        raise UsageError("This head cannot be fine-tuned with.", why=why, next_step=step)


def _checked_task(task: Task) -> Task:
    """Find what is wrong with a task's own description before any model is fitted to it."""
    ids = task.ids("test")[:1]
    columns = task.columns("test", ids)
    missing = set(task.spec.ranked_slice) - set(columns)
    if missing:
        why = f"no column {', '.join(sorted(missing))}; there are: {', '.join(sorted(columns)) or 'none'}"
        raise SpecError("The ranked slice needs columns that the task has not.", where=task.spec.name, why=why)
    for metric in task.spec.metrics:
        get_metric(metric)
    _ = task.meta  # does the family accept the dataset?
    for dataset in task.datasets.values():
        shipped_verdict(dataset)  # read once, and before hours of work rather than after
    return task


def _try_model(reference: str) -> Model | WBenchError:
    try:
        return load_model(reference)
    except UsageError:
        raise
    except WBenchError as error:
        return error


def _cells(reference: str, model: Model | WBenchError, request: _Request) -> Iterator[Cell]:
    if isinstance(model, WBenchError):
        yield Cell(reference)
        return
    embeds = isinstance(model, Embedder)
    stochastic = model.info.stochastic or (embeds and (request.tune or HEADS[request.head].stochastic))
    how = Cell(reference, request.head, tune=request.tune, layers=request.layers) if embeds else Cell(reference)
    parts = _parts(request) if embeds or model.info.trains else [(100.0, None, 1)]
    for budget, shots, draws in parts:
        for draw in range(draws):
            for seed in range(request.seeds if stochastic else 1):
                yield replace(how, budget=budget, shots=shots, draw=draw, seed=seed)


def _parts(request: _Request) -> Iterator[tuple[float, int | None, int]]:
    """Budget, shots and number of draws of each training part."""
    for budget in dict.fromkeys(map(float, request.budgets)):
        default = DRAWS if budget < DRAWS_BELOW_PERCENT else 1
        yield budget, None, 1 if budget == 100 else request.draws or default
    for shots in dict.fromkeys(request.shots):
        yield 100.0, shots, request.draws or SHOT_DRAWS


def _run(task: Task, cell: Cell, out: Path, broken: WBenchError | None) -> CellReport:
    name = task.spec.name
    try:
        if broken is not None:
            raise broken
        model, reason = prepare(cell, task)
        if reason is not None:
            return CellReport(name, cell, "not applicable", reason=reason)
        folder = _folder(task, model, cell, out)
        kept = _kept(folder)
        if kept is not None:
            return CellReport(name, cell, "kept", kept, folder / "result.json")
        answer = answer_cell(model, cell, task)
        scored = score_predictions(task, answer.ids, answer.predictions, answer.calibration)
    except WBenchError as error:
        return CellReport(name, cell, "failed", reason=str(error), error=error)
    # Outside: a result that cannot be saved is no fault of the cell, and the next one could not be saved either.
    return CellReport(name, cell, "done", _save(task, cell, answer, *scored, folder), folder / "result.json")


def _folder(task: Task, model: Model, cell: Cell, out: Path) -> Path:
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in model.info.name.replace("/", "__"))
    part = f"b{cell.budget:g}" if cell.shots is None else f"k{cell.shots}"
    how = regime_of(model) + (f"-last{cell.layers}" if cell.layers is not None else "")
    run = f"{how}-{cell.head or 'self'}-{part}-d{cell.draw}-s{cell.seed}-{result_key(task, model, cell)}"
    return out / f"{task.spec.name}-v{task.spec.version}" / task.dataset("test").spec.size / safe / run


def _kept(folder: Path) -> Result | None:
    try:
        result = read_result(folder / "result.json")
        whole = (folder / result.predictions.path).stat().st_size == result.predictions.bytes
    except (ResultError, OSError, ValueError):
        return None  # it is made again; the folder's name says what it must hold
    return result if whole else None


def _save(
    task: Task, cell: Cell, answer: Answer, scores: tuple[Score, ...], skipped: dict[str, str], folder: Path
) -> Result:
    info = answer.info
    temporary = folder / f".predictions.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.save(stream, answer.predictions, allow_pickle=False)
        temporary.replace(folder / PREDICTIONS)
    except OSError as error:
        raise ResultError("The result could not be saved.", where=str(folder), why=str(error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    result = Result(
        task=TaskRecord(
            name=task.spec.name,
            version=task.spec.version,
            digest=task.spec.digest,
            family=task.spec.family,
            kind=task.spec.kind,
            primary=task.spec.primary,
            size=task.dataset("test").spec.size,
        ),
        datasets=tuple(_dataset_record(task, recipe) for recipe in task.datasets),
        model=ModelRecord(
            name=info.name,
            revision=info.revision,
            kind=info.kind,
            summary=info.summary,
            source=info.source,
            licence=info.licence,
            parameters=answer.parameters,
            trained_parameters=answer.trained_parameters,
            trains=info.trains,
            pretraining=info.pretraining,
            overlap=info.overlap,
        ),
        regime=answer.regime,  # type: ignore[arg-type]
        head=answer.head,
        head_version=answer.head_version,
        layers=cell.layers,
        budget_percent=cell.budget if cell.shots is None else 100 * answer.n_train / len(task.ids("train")),
        shots=cell.shots,
        draw=cell.draw,
        seed=cell.seed,
        n_train=answer.n_train,
        n_val=answer.n_val,
        n_test=len(answer.ids),
        scores=scores,
        skipped=skipped,
        calibration=answer.calibration,
        cost=answer.cost,
        predictions=PredictionsRecord(
            path=PREDICTIONS,
            digest=array_digest(answer.predictions),
            bytes=(folder / PREDICTIONS).stat().st_size,
        ),
        provenance=provenance(),
    )
    write_result(result, folder / "result.json")
    return result


def _dataset_record(task: Task, recipe: str) -> DatasetRecord:
    dataset = task.datasets[recipe]
    verdict = shipped_verdict(dataset)
    return DatasetRecord(
        recipe=recipe,
        spec_digest=dataset.spec.digest,
        content_digest=dataset.content_digest,
        split_digest=task.split_digest(recipe),
        verdict=verdict.kind if verdict else None,
        worst_db=verdict.worst_db if verdict and math.isfinite(verdict.worst_db) else None,
    )
