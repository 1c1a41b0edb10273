"""Scoring: from predictions and targets to scores with intervals. Scores are always recomputed from predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.digest import array_digest
from wbench.errors import ResultError
from wbench.metric.base import Metric
from wbench.metric.catalogue import get_metric
from wbench.result import Result, Score, read_result
from wbench.run.plan import load_task
from wbench.stats import group_clusters, jackknife
from wbench.task.base import Task

__all__ = [
    "PREDICTIONS",
    "counted",
    "read_predictions",
    "sample_tables",
    "score",
    "score_predictions",
    "slice_members",
]

PREDICTIONS = "predictions.npy"
Ids = npt.NDArray[np.int64]
CHUNK = 1024


def counted(task: Task, values: npt.NDArray[Any], observed: npt.NDArray[np.bool_] | None) -> npt.NDArray[Any]:
    """What counts of an answer or a target.

    In ``reconstruct`` tasks the entries that were not observed, or all of them where the family says
    ``scored = "all"``: a noisy observation is there to be improved on as well.
    """
    if observed is None or task.scored == "all":
        return values
    return values[:, ~observed]


def score_predictions(
    task: Task, ids: Ids, predictions: npt.NDArray[Any], calibration: dict[str, dict[str, float]]
) -> tuple[tuple[Score, ...], dict[str, str]]:
    """Score the test part.

    Parameters
    ----------
    task : Task
        The task.
    ids : int64 ndarray [n]
        Test ids, in the order of the predictions.
    predictions : ndarray [n, …]
        Answers; of ``reconstruct`` tasks the entries that are :func:`counted`, [n, M].
    calibration : dict
        Per metric, what was chosen on validation.

    Returns
    -------
    scores : tuple of Score
        Every metric on the slices ``ranked`` and ``all``, the primary metric on all further slices.
    skipped : dict of str to str
        ``metric@slice`` that is undefined, with the reason.
    """
    metrics = [get_metric(name) for name in task.spec.metrics]
    tables = sample_tables(task, metrics, ids, predictions, calibration)
    groups = group_clusters(task.clusters("test", ids), task.spec.digest)
    scores: list[Score] = []
    skipped: dict[str, str] = {}
    for slice_, member in slice_members(task, ids).items():
        for metric in metrics:
            if slice_ not in ("ranked", "all") and metric.name != task.spec.primary:
                continue
            try:
                scores.append(_score(metric, slice_, tables[metric.name], groups, member))
            except ResultError as error:
                if slice_ == "ranked" and metric.name == task.spec.primary:
                    raise
                skipped[f"{metric.name}@{slice_}"] = error.what
    return tuple(scores), skipped


def sample_tables(
    task: Task, metrics: list[Metric], ids: Ids, predictions: npt.NDArray[Any], calibration: dict[str, dict[str, float]]
) -> dict[str, npt.NDArray[np.float64]]:
    """Table of each metric: float64 [n, m], one row per test id; see :meth:`wbench.metric.base.Metric.per_sample`."""
    parts: dict[str, list[npt.NDArray[np.float64]]] = {metric.name: [] for metric in metrics}
    start = 0
    for batch, truth in task.pairs("test", ids, CHUNK):
        chosen = predictions[start : start + len(batch)]
        start += len(batch)
        if "observed" in batch.x:
            truth = {**truth, "H": counted(task, truth["H"], batch.x["observed"])}
        for metric in metrics:
            parts[metric.name].append(metric.per_sample(chosen, truth, calibration.get(metric.name, {})))
    return {name: np.concatenate(tables) for name, tables in parts.items()}


def slice_members(task: Task, ids: Ids) -> dict[str, npt.NDArray[np.bool_]]:
    """Which test ids are in which slice: bool [n] by name, ``ranked`` and ``all`` first."""
    columns = task.columns("test", ids)
    ranked = np.ones(len(ids), dtype=bool)
    for name, (low, high) in task.spec.ranked_slice.items():
        if name not in columns:
            raise ResultError(f"The task has no column {name!r} to rank by.", where=task.spec.name)
        ranked &= (columns[name] >= low) & (columns[name] <= high)
    members: dict[str, npt.NDArray[np.bool_]] = {"ranked": ranked, "all": np.ones(len(ids), dtype=bool)}
    for name, labels in task.slices("test", ids).items():
        for label in np.unique(labels[labels != ""]):
            members[f"{name}={label}"] = labels == label
    return members


def _score(
    metric: Metric, slice_: str, table: npt.NDArray[np.float64], groups: Ids, member: npt.NDArray[np.bool_]
) -> Score:
    weight = member.astype(np.float64)
    found = jackknife(metric.reduce, table, groups, weight=weight)
    interval = found.interval
    if interval is not None:
        # Student's t is symmetric and may reach beyond what the metric can be; the part beyond holds no value.
        low, high = np.clip((interval.low, interval.high), *metric.bounds).tolist()
        interval = interval.model_copy(update={"low": low, "high": high})
    return Score(
        metric=metric.name,
        metric_version=metric.version,
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        slice=slice_,
        value=found.value,
        n=int(member.sum()),
        interval=interval,
        tie_rate=metric.tie_rate(table, weight),
        # Paired comparisons are made on what is ranked; elsewhere the interval says enough.
        replicates=found.replicates if slice_ == "ranked" else (),
    )


def read_predictions(result: Result, folder: Path) -> npt.NDArray[Any]:
    """Predictions beside a result, checked against its digest.

    Raises
    ------
    ResultError
        If they are missing or changed.
    """
    name = result.predictions.path
    path = folder / name
    if Path(name).name != name or "\0" in name or path.is_symlink():
        raise ResultError("The predictions lie outside the result's folder.", where=str(folder), why=repr(name))
    try:
        # Mapped: a header that claims more than the file holds is refused before memory is asked for.
        predictions = np.array(np.lib.format.open_memmap(path, mode="r"))  # type: ignore[no-untyped-call]
    except (OSError, ValueError, EOFError, OverflowError) as error:
        step = "run its wbench evaluate command again"
        raise ResultError("The predictions cannot be read.", where=str(path), why=str(error), next_step=step) from error
    if array_digest(predictions) != result.predictions.digest:
        raise ResultError("The predictions are not those of the result.", where=str(path), why="the digest differs")
    return predictions


def score(
    result: str | Path, *, task: str | Path | None = None, data: str | Path | None = None
) -> tuple[Result, tuple[Score, ...]]:
    """Recompute the scores of a result from its predictions.

    Parameters
    ----------
    result : path
        A ``result.json``, or the folder it lies in.
    task : path, optional
        The ``.toml`` file of the task, if it is not a registered instance.
    data : path, optional
        Data folder.

    Returns
    -------
    stored : Result
        What the file says.
    recomputed : tuple of Score
        What the predictions say.

    Raises
    ------
    ResultError
        If the file or its predictions cannot be read, or the task or dataset is no longer the current one (stale).
    """
    path = Path(result)
    path = path / "result.json" if path.is_dir() else path
    stored = read_result(path)
    current = load_task(task or stored.task.name, size=stored.task.size, data=data, season=stored.task.season)
    _check_current(stored, current, path)
    predictions = read_predictions(stored, path.parent)
    ids = current.ids("test")
    if len(predictions) != len(ids):
        why = f"{len(predictions)} predictions, {len(ids)} test samples"
        raise ResultError("The predictions do not cover the test part.", where=str(path), why=why)
    scores, _ = score_predictions(current, ids, predictions, dict(stored.calibration))
    return stored, scores


def _check_current(stored: Result, task: Task, path: Path) -> None:
    again = "evaluate the model again"
    if task.spec.digest != stored.task.digest:
        raise ResultError("The result is stale: the task has changed since.", where=str(path), next_step=again)
    records = {record.recipe: record for record in stored.datasets}
    for recipe, dataset in task.datasets.items():
        record = records.get(recipe)
        if record is None or record.spec_digest != dataset.spec.digest:
            where = f"{path}: {recipe}"
            raise ResultError("The result is stale: a dataset has changed since.", where=where, next_step=again)
        if record.split_digest != task.split_digest(recipe):
            raise ResultError("The result is stale: the split has changed since.", where=str(path), next_step=again)
    for old in stored.scores:
        if old.metric in task.spec.metrics and old.metric_version != get_metric(old.metric).version:
            where = f"{path}: {old.metric}"
            raise ResultError("The result is stale: a metric has changed since.", where=where, next_step=again)
