"""Fitting one model to one task as an evaluation would, to see what it chooses on validation and from what."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat

from wbench.errors import OutputConflictError, UsageError
from wbench.model import Model
from wbench.model_folder import FILE, find_folder
from wbench.provenance import provenance
from wbench.result import DatasetRecord, ModelRecord, Regime, TaskRecord
from wbench.run.cell import Cell, fit_cell, head_of, prepare, regime_of, result_key
from wbench.run.executors import one_thread
from wbench.run.guard import blaming
from wbench.run.plan import load_task
from wbench.run.records import dataset_record, model_record, task_record
from wbench.run.trained import save_trained
from wbench.saving import replacing
from wbench.task.base import Task
from wbench.training.kept import checkpoints_in
from wbench.tuning import Search, Value
from wbench.two_sided import split

__all__ = ["SearchRecord", "Training", "TrialRecord", "TuningRecord", "train"]

#: Name of the file in the folder that is asked for.
TUNING = "tuning.json"
#: Folder there, while a training lasts.
CHECKPOINTS = "checkpoints"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrialRecord(_Record):
    """One configuration; its score is None if it was no finite number."""

    values: dict[str, Value]
    score: FiniteFloat | None


class SearchRecord(_Record):
    """One choice: what was tried, in order, and the index of what was chosen.

    ``criterion`` is what the score is, most often the name of a metric; ``samples`` the number of validation samples
    that it was taken on, None for all of them.
    """

    criterion: str
    higher_is_better: bool
    samples: int | None
    trials: tuple[TrialRecord, ...]
    chosen: int


class TuningRecord(_Record):
    """What one fit chose. ``searches`` is empty of a model that chooses nothing on validation."""

    schema_version: Literal[1] = 1
    task: TaskRecord
    datasets: tuple[DatasetRecord, ...]
    model: ModelRecord
    regime: Regime
    head: str | None
    head_version: int | None
    budget_percent: FiniteFloat
    draw: int
    seed: int
    n_train: int
    n_val: int
    fit_s: FiniteFloat
    searches: tuple[SearchRecord, ...]
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Training:
    """A fitted model, the record of its fit, where that was written, and whether the model was saved beside it."""

    model: Model
    record: TuningRecord
    path: Path | None
    saved: bool = False


def train(
    model: str,
    task: str | Path,
    *,
    size: str = "standard",
    data: str | Path | None = None,
    out: str | Path | None = None,
    head: str = "linear",
    budget: float = 100.0,
    draw: int = 0,
    seed: int = 0,
) -> Training:
    """Fit a model to a task's training and validation part, exactly as :func:`wbench.evaluate` does for a result.

    Parameters
    ----------
    model : str
        Registry name, ``package.module:Class``, ``./file.py:Class`` or a model folder.
    task : str or Path
        Registry name of the instance, or a ``.toml`` file.
    size : {"tiny", "standard", "large"}
        Size of the datasets.
    data : path, optional
        Data folder; default ``$WBENCH_DATA`` or ``./data``.
    out : path, optional
        Folder that ``tuning.json`` is written to, and a PyTorch model that takes ``weights`` as a model folder (see
        :mod:`wbench.model_folder`); nothing is written by default. Meanwhile a training's checkpoints are there: the
        same call carries on from them.
    head : str
        Head of an embedder, a name of :data:`wbench.heads.HEADS`.
    budget, draw, seed : float, int, int
        Training budget in percent, its draw, the training seed.

    Raises
    ------
    UsageError
        The model does not serve the task; a budget, draw or seed is out of range.
    ModelError
        The model raises, or tries more than 32 configurations.
    DatasetNotFoundError
        A dataset has not been generated.
    OutputConflictError
        ``out`` is a file, the folder of the model itself, or holds another training or model.
    ResultError
        The record cannot be written.
    """
    if not 0 < budget <= 100:
        raise UsageError("A budget is a percentage in (0, 100].", why=f"got {budget:g}", next_step="--budget 10")
    if draw < 0 or seed < 0:
        raise UsageError("Draws and seeds are whole numbers from 0 on.", why=f"got draw {draw}, seed {seed}")
    _check_out(out, model)
    found = load_task(task, size=size, data=data)
    cell = Cell(model, head=head, budget=budget, draw=draw, seed=seed)
    built, reason = prepare(cell, found)
    if reason is not None:
        raise UsageError(f"{model} does not serve {found.spec.name}.", why=reason, next_step="wbench list models")
    if out is not None:
        _check_earlier(Path(out), built, cell, found)
    with one_thread(), _kept(out, built, cell, found):
        fitted = fit_cell(built, cell, found)
    with blaming(model, "count_parameters", built):
        declared = model_record(built)
    name, version = head_of(built)
    record = TuningRecord(
        task=task_record(found),
        datasets=tuple(dataset_record(found, recipe) for recipe in found.datasets),
        model=declared,
        regime=regime_of(built),
        head=name,
        head_version=version,
        budget_percent=budget,
        draw=draw,
        seed=seed,
        n_train=fitted.n_train,
        n_val=fitted.n_val,
        fit_s=fitted.seconds,
        searches=tuple(_search_record(search) for search in built.searches),
        provenance=provenance(),
    )
    path = None if out is None else _write(record, Path(out))
    view = found.spec.views["train"]
    seen = [f"{view.recipe}-{size} ({view.side})"]
    saved = path is not None and save_trained(path.parent, model, built, seen, fitted.n_train)
    return Training(built, record, path, saved)


def _check_out(out: str | Path | None, model: str) -> None:
    """Refuse, before hours of training, a place that cannot be written to or that holds the model itself."""
    if out is None:
        return
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise OutputConflictError("The output is a file, not a folder.", where=str(folder))
    source = None if split(model) else find_folder(model)
    if source is not None and folder.exists() and source.samefile(folder):
        why = "its model.toml and weights would be replaced"
        step = "name another folder"
        raise OutputConflictError(
            "The output is the model that is trained.", where=str(folder), why=why, next_step=step
        )


def _check_earlier(folder: Path, model: Model, cell: Cell, task: Task) -> None:
    """Refuse a folder that holds another training, or a model that came from none; the same one is made again."""
    path = folder / TUNING
    if not path.exists() and not (folder / FILE).exists():
        return
    try:
        there = TuningRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or none of ours
        what = "The folder holds a model already, which is not from this training."
    else:
        record = task_record(task)
        asked = (record.digest, record.size, model.info.name, model.info.revision, head_of(model)[0])
        earlier = (there.task.digest, there.task.size, there.model.name, there.model.revision, there.head)
        cells = (cell.budget, cell.draw, cell.seed), (there.budget_percent, there.draw, there.seed)
        if asked == earlier and cells[0] == cells[1]:
            return
        what = "The folder holds another training."
    step = "name another folder, or remove this one"
    raise OutputConflictError(what, where=str(folder), next_step=step)


def _kept(out: str | Path | None, model: Model, cell: Cell, task: Task) -> AbstractContextManager[None]:
    """Checkpoints in the folder that is written to: the same command carries on where it was stopped."""
    return (
        nullcontext()
        if out is None
        else checkpoints_in(Path(out) / CHECKPOINTS, {"cell": result_key(task, model, cell)})
    )


def _search_record(search: Search) -> SearchRecord:
    trials = (TrialRecord(values=t.values, score=t.score if math.isfinite(t.score) else None) for t in search.trials)
    return SearchRecord(
        criterion=search.criterion,
        higher_is_better=search.larger,
        samples=search.samples,
        trials=tuple(trials),
        chosen=search.best,
    )


def _write(record: TuningRecord, folder: Path) -> Path:
    """Write the record atomically: a file of that name is either absent or whole."""
    path = folder / TUNING
    with replacing(path, "The record of the tuning") as temporary:
        temporary.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return path
