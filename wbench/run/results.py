"""Results on disk: where a cell's lies, whether it is there already, and writing it whole or not at all."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from wbench.digest import array_digest
from wbench.errors import ResultError
from wbench.model import Model
from wbench.provenance import provenance
from wbench.result import PredictionsRecord, Result, Score, read_result, write_result
from wbench.run.cell import Answer, Cell, regime_of, result_key
from wbench.run.records import dataset_record, task_record
from wbench.run.score import PREDICTIONS
from wbench.task.base import Task

__all__ = ["drop_predictions", "kept_result", "result_folder", "save_result"]

#: Temporary files of a process that was killed are removed after so long.
STALE_S = 60.0


def result_folder(task: Task, model: Model, cell: Cell, out: Path) -> Path:
    """Folder of a cell's result; its name ends with the digest of all that was asked for."""
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in model.info.name.replace("/", "__"))
    part = f"b{cell.budget:g}" if cell.shots is None else f"k{cell.shots}"
    how = regime_of(model) + (f"-last{cell.layers}" if cell.layers is not None else "")
    run = f"{how}-{cell.head or 'self'}-{part}-d{cell.draw}-s{cell.seed}-{result_key(task, model, cell)}"
    return out / f"{task.spec.name}-v{task.spec.version}" / task.dataset("test").spec.size / safe / run


def kept_result(folder: Path, predictions: bool = True) -> Result | None:
    """The finished result of a folder, None if there is none or it is not whole: then it is made again.

    Without ``predictions`` it is whole without them.
    """
    try:
        result = read_result(folder / "result.json")
        whole = not predictions or (folder / result.predictions.path).stat().st_size == result.predictions.bytes
    except (ResultError, OSError, ValueError):
        return None  # the folder's name says what it must hold
    return result if whole else None


def drop_predictions(folder: Path) -> None:
    """Remove the predictions of a finished result, where only scores are kept; their digest stays in it.

    Raises
    ------
    ResultError
        If they cannot be removed.
    """
    try:
        (folder / PREDICTIONS).unlink(missing_ok=True)
    except OSError as error:
        raise ResultError("The predictions could not be removed.", where=str(folder), why=str(error)) from error


def save_result(
    task: Task,
    cell: Cell,
    answer: Answer,
    scores: tuple[Score, ...],
    skipped: dict[str, str],
    folder: Path,
    command: Sequence[str],
) -> Result:
    """Write predictions, then the result: a result that is there is whole.

    ``command`` is the one that asked for it, wherever this process was started.

    Raises
    ------
    ResultError
        If they cannot be written.
    """
    temporary = folder / f".predictions.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder)
        with temporary.open("wb") as stream:
            np.save(stream, answer.predictions, allow_pickle=False)
        temporary.replace(folder / PREDICTIONS)
    except OSError as error:
        raise ResultError("The result could not be saved.", where=str(folder), why=str(error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    result = Result(
        task=task_record(task),
        datasets=tuple(dataset_record(task, recipe) for recipe in task.datasets),
        model=answer.model,
        regime=answer.regime,
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
        provenance={**_here(), "command": list(command)},
    )
    write_result(result, folder / "result.json")
    return result


@cache
def _here() -> dict[str, Any]:
    # Asked once: code and packages are those that this process has loaded.
    return provenance()


def _remove_stale(folder: Path) -> None:
    """Remove what a killed process left; what is younger may belong to one that writes now."""
    for path in folder.glob(".*.tmp"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE_S:
                path.unlink()
