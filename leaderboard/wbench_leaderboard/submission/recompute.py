"""Scores computed again: from predictions where the data are here, and on audit blocks that are simulated anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.dataset.reader import Dataset
from wbench.errors import MissingError, ResultError, WBenchError
from wbench.metric.catalogue import get_metric
from wbench.result import Result
from wbench.run.plan import find_dataset, load_generator, load_task
from wbench.run.score import counted, sample_tables, score_predictions, slice_members
from wbench.task.base import Task
from wbench_leaderboard.submission import layout
from wbench_leaderboard.submission.audit import AuditedBlocks, audit_task, audited_blocks
from wbench_leaderboard.submission.checks import Options, Submission
from wbench_leaderboard.submission.columns import TOLERANCE, Columns, score_faults, slices_of
from wbench_leaderboard.submission.current import current
from wbench_leaderboard.submission.report import Report

__all__ = ["EQUIVALENT", "FLIPS", "equal_to_targets", "recompute", "row_faults"]

#: Relative difference of a row on equivalent data, and the share of rows that may be beyond it (a flipped label).
EQUIVALENT = 1e-4
FLIPS = 1e-3
#: Share of test samples answered with the target itself, bit by bit, from which on it is no estimate. Complex targets
#: are never met by chance; a decision or a whole number often is, so there it takes all of them.
COPIED = 0.5


def recompute(submissions: Iterable[Submission], options: Options, report: Report) -> None:
    """Rescore all results of the submissions, task by task, so that each dataset is opened and simulated once."""
    by_task: dict[tuple[str, str, str], list[tuple[Submission, str]]] = {}
    for submission in submissions:
        for path, result in submission.results.items():
            if submission.listed(f"{path}/{layout.PREDICTIONS}") is None:
                continue  # of a model of the tree; the check of its files has said so
            asked = (result.task.name, result.task.size, result.task.season)
            by_task.setdefault(asked, []).append((submission, path))
    for (name, size, season), members in sorted(by_task.items()):
        task = _loaded(name, size, season, options, members, report)
        if task is not None:
            for submission, path in members:
                with report.guarding(submission.where(path)):
                    _rescore(task, submission, path, options, report)
        if options.recompute and not season:  # a season's blocks need its secret
            with report.guarding(f"audit of {name} ({size})"):
                _audit(name, size, members, options, report)


def _loaded(
    name: str, size: str, season: str, options: Options, members: list[tuple[Submission, str]], report: Report
) -> Task | None:
    try:
        return load_task(name, size=size, data=options.data, season=season)
    except WBenchError as error:
        for submission, path in members:
            report.add("note", submission.where(path), f"not recomputed from its predictions: {error.what}")
        return None


def _rescore(task: Task, submission: Submission, path: str, options: Options, report: Report) -> None:
    where, result = submission.where(path), submission.results[path]
    predictions = submission.predictions(path, options)
    if predictions is None:
        report.add("note", where, "not recomputed: its predictions are not here")
        return
    ids = task.ids("test")
    if len(predictions) != len(ids):
        raise ResultError("The predictions do not cover the test part.", why=f"{len(predictions)} of {len(ids)}")
    same = all(
        task.datasets[record.recipe].content_digest == record.content_digest
        for record in result.datasets
        if record.recipe in task.datasets
    )
    copied = equal_to_targets(task, ids, predictions)
    if copied == len(ids) or (predictions.dtype.kind == "c" and copied > COPIED * len(ids)):
        report.error(where, f"predictions equal to the targets, bit by bit, in {copied} of {len(ids)} samples")
    columns = submission.columns(path, options)
    if columns is not None and not np.array_equal(columns.id, ids):
        report.error(where, "its columns are not of the test samples")
        return
    scores, _ = score_predictions(task, ids, predictions, dict(result.calibration))
    found = {(score.metric, score.slice): score for score in scores}
    faults = []
    for stored in result.scores:
        again = found.pop((stored.metric, stored.slice), None)
        if again is None:
            faults.append(f"{stored.metric}@{stored.slice} is not a score of the task")
        else:
            faults += score_faults(stored, again, "its predictions give", TOLERANCE if same else FLIPS)
    faults += [f"{metric}@{slice_} is missing" for metric, slice_ in found]
    if columns is not None:
        tables = sample_tables(
            task, [get_metric(n) for n in columns.tables], ids, predictions, dict(result.calibration)
        )
        faults += row_faults(tables, columns.tables, same)
    ours = same or all(_portable(dataset) for dataset in task.datasets.values())
    _conclude(faults, "recomputed from predictions", where, report, refutes=ours)


def row_faults(again: dict[str, npt.NDArray[Any]], stored: dict[str, npt.NDArray[Any]], identical: bool) -> list[str]:
    """Metrics whose rows differ by more than rounding: 1e-6 on identical data, else 1e-4 but for 0.1 % of the rows."""
    tolerance, allowed = (TOLERANCE, 0.0) if identical else (EQUIVALENT, FLIPS)
    faults = []
    for name, new in again.items():
        old = stored[name]
        if old.shape != new.shape:
            faults.append(f"the rows of {name} are {old.shape}, computed again {new.shape}")
            continue
        scale = np.maximum(np.abs(new).max(axis=1, initial=0), np.abs(old).max(axis=1, initial=0))
        beyond = int((np.abs(new - old).max(axis=1, initial=0) > tolerance * scale).sum())
        if beyond > allowed * len(new):
            faults.append(
                f"{beyond} of {len(new)} rows of {name} differ by more than {tolerance:g} when computed again"
            )
    return faults


def equal_to_targets(task: Task, ids: npt.NDArray[np.int64], predictions: npt.NDArray[Any]) -> int:
    """Test samples whose prediction is the target itself: the same bits, or the label's own unit vector."""
    equal, start = 0, 0
    for batch, truth in task.pairs("test", ids, 1024):
        chosen = predictions[start : start + len(batch)]
        start += len(batch)
        if "observed" in batch.x:
            truth = {**truth, "H": counted(task, truth["H"], batch.x["observed"])}
        same = np.zeros(len(batch), dtype=bool)
        for values in truth.values():
            if values.dtype.kind in "iu" and values.ndim == 1 and chosen.ndim == 2:
                # Labels are compared by their unit vectors; one hot entry of the right place is no estimate's answer.
                inside = (values >= 0) & (values < chosen.shape[1])
                unit = np.eye(chosen.shape[1], dtype=chosen.dtype)[np.where(inside, values, 0)]
                same |= inside & (chosen == unit).all(axis=1)
            elif values.dtype.kind == chosen.dtype.kind and values.size == chosen.size:
                # Targets may be wider than answers are: a copy of them is the target rounded.
                flat = values.reshape(len(batch), -1).astype(chosen.dtype, copy=False)
                same |= (flat == chosen.reshape(len(batch), -1)).all(axis=1) & (flat != 0).any(axis=1)
        equal += int(same.sum())
    return equal


def _audit(name: str, size: str, members: list[tuple[Submission, str]], options: Options, report: Report) -> None:
    spec = current(name, size).spec
    recipe = spec.views["test"].recipe
    ready = []
    for submission, path in members:
        with report.guarding(submission.where(path)):
            columns, predictions = submission.columns(path, options), submission.predictions(path, options)
            if columns is None or predictions is None:
                report.add("note", submission.where(path), "not audited: its columns or predictions are not here")
            else:
                ready.append((submission, path, columns, predictions))
    if not ready:
        return
    try:
        with audited_blocks(recipe, size, spec.audit_blocks) as dataset:
            for submission, path, columns, predictions in ready:
                with report.guarding(submission.where(path)):
                    same = _is_ours(dataset, recipe, size, submission.results[path], options)
                    _audit_one(spec, dataset, submission, path, columns, predictions, same, report)
    except MissingError as error:
        for submission, path, *_ in ready:
            report.add("note", submission.where(path), f"not audited: {error.what}")


def _is_ours(dataset: AuditedBlocks, recipe: str, size: str, result: Result, options: Options) -> bool:
    """Whether the submitter's data are known to be these bits: the stored dataset has both."""
    record = next(one for one in result.datasets if one.recipe == recipe)
    try:
        stored = find_dataset(recipe, size, options.data)
    except WBenchError:
        return False
    if stored.content_digest != record.content_digest:
        return False
    ids = np.flatnonzero(dataset.holds(np.arange(len(stored))))
    return all(np.array_equal(dataset.read(n, ids), stored.read(n, ids), equal_nan=True) for n in stored.array_names)


def _audit_one(
    spec: Any,
    dataset: AuditedBlocks,
    submission: Submission,
    path: str,
    columns: Columns,
    predictions: npt.NDArray[Any],
    same: bool,
    report: Report,
) -> None:
    where, result = submission.where(path), submission.results[path]
    if columns.id.max() >= len(dataset):
        raise ResultError("The columns have samples that the dataset has not.")
    rows = np.flatnonzero(dataset.holds(columns.id))
    if not len(rows):
        report.add("note", where, "no test sample lies in an audit block")
        return
    task = audit_task(spec, dataset, columns.id[rows])
    metrics = [get_metric(metric) for metric in columns.tables]
    tables = sample_tables(task, metrics, columns.id[rows], predictions[rows], dict(result.calibration))
    faults = row_faults(tables, {name: table[rows] for name, table in columns.tables.items()}, same)
    if not np.array_equal(task.clusters("test", columns.id[rows]), columns.cluster[rows]):
        faults.append("the clusters of its columns are not those of the dataset")
    members = slice_members(task, columns.id[rows])
    for index, name in enumerate(slices_of(result)):
        # A slice that no audited sample is in is not made here.
        expected = members.get(name, np.zeros(len(rows), dtype=bool))
        if (columns.slices[rows, index] != expected).sum() > (0 if same else max(1.0, FLIPS * len(rows))):
            faults.append(f"the samples of slice {name} are not those of the task")
    done = f"audited on {'identical' if same else 'equivalent'} data"
    _conclude([f"audit block: {fault}" for fault in faults], done, where, report, refutes=same or _portable(dataset))


def _portable(dataset: Dataset) -> bool:
    return load_generator(dataset.spec.generator, ready=False).portable


def _conclude(faults: list[str], done: str, where: str, report: Report, *, refutes: bool) -> None:
    """Report what recomputing found. A difference refutes nothing where another processor may make other data."""
    if not faults:
        report.count(done)
    elif refutes:
        for fault in faults:
            report.error(where, fault)
    else:
        why = "not confirmed nor refuted, other processors make other data of this simulator"
        report.add("note", where, f"{why}: {faults[0]}")
