"""Evaluation: models × tasks × budgets × draws × seeds, each result written as soon as it exists."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from wbench.digest import array_digest
from wbench.errors import MissingError, ResultError, SpecError, UsageError, WBenchError
from wbench.heads import build_head
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
#: Draws of a training budget below this percentage are repeated (protocol).
DRAWS_BELOW_PERCENT = 25.0


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
    budgets: Sequence[float] = (100.0,),
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
        Head of embedders.
    budgets : sequence of float
        Training budgets in percent, for models that train.
    draws : int, optional
        Draws of each budget; default 5 below 25 %, else 1 (100 % has one draw).
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
    _check_request(head, budgets, draws, seeds)
    loaded = [_checked_task(load_task(task, size=size, data=data)) for task in dict.fromkeys(tasks)]
    # A name that does not exist is a mistake in the command; a model that cannot be loaded fails its own cells only.
    models = tuple(dict.fromkeys(models))
    found = {model: _try_model(model) for model in models}
    cells = [cell for model in models for cell in _cells(model, found[model], head, budgets, draws, seeds)]
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


def _check_request(head: str, budgets: Sequence[float], draws: int | None, seeds: int) -> None:
    if seeds < 1 or (draws is not None and draws < 1):
        raise UsageError("Seeds and draws are counts from 1 on.", next_step="--seeds 3")
    wrong = [budget for budget in budgets if not 0 < budget <= 100]
    if wrong or not budgets:
        raise UsageError("A budget is a percentage in (0, 100].", why=f"got {wrong or 'none'}", next_step="--budget 10")
    build_head(head)


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


def _cells(
    reference: str, model: Model | WBenchError, head: str, budgets: Sequence[float], draws: int | None, seeds: int
) -> Iterator[Cell]:
    if isinstance(model, WBenchError):
        yield Cell(reference)
        return
    own_head = head if isinstance(model, Embedder) else None
    trains = model.info.trains or own_head is not None
    for budget in dict.fromkeys(budgets if trains else (100.0,)):
        default = 5 if budget < DRAWS_BELOW_PERCENT else 1
        for draw in range(1 if budget == 100 else draws or default):
            for seed in range(seeds if model.info.stochastic else 1):
                yield Cell(reference, own_head, float(budget), draw, seed)


def _run(task: Task, cell: Cell, out: Path, broken: WBenchError | None) -> CellReport:
    name = task.spec.name
    try:
        if broken is not None:
            raise broken
        model, reason = prepare(cell, task)
        if reason is not None:
            return CellReport(name, cell, "not applicable", reason=reason)
        regime = regime_of(model)
        folder = _folder(task, model.info.name, regime, cell, result_key(task, model.info, cell, regime), out)
        kept = _kept(folder)
        if kept is not None:
            return CellReport(name, cell, "kept", kept, folder / "result.json")
        answer = answer_cell(model, cell, task)
        scored = score_predictions(task, answer.ids, answer.predictions, answer.calibration)
    except WBenchError as error:
        return CellReport(name, cell, "failed", reason=str(error), error=error)
    # Outside: a result that cannot be saved is no fault of the cell, and the next one could not be saved either.
    return CellReport(name, cell, "done", _save(task, cell, answer, *scored, folder), folder / "result.json")


def _folder(task: Task, model: str, regime: str, cell: Cell, key: str, out: Path) -> Path:
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in model.replace("/", "__"))
    run = f"{regime}-{cell.head or 'self'}-b{cell.budget:g}-d{cell.draw}-s{cell.seed}-{key}"
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
            trains=info.trains,
            pretraining=info.pretraining,
            overlap=info.overlap,
        ),
        regime=answer.regime,  # type: ignore[arg-type]
        head=answer.head,
        budget_percent=cell.budget,
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
