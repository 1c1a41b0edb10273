"""Columns of a result: what its scores are reductions of, one row per test sample, small enough to travel along.

With them a stranger's value, replicates and interval can be reduced again without data, simulator or model; and an
audit block can be held against their rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wbench.errors import ResultError
from wbench.metric.catalogue import get_metric
from wbench.result import Result, Score
from wbench.run.score import sample_tables, slice_members
from wbench.stats import group_clusters, jackknife
from wbench.task.base import Task
from wbench_leaderboard.submission.arrays import pack_archive, read_archive

__all__ = ["TOLERANCE", "Columns", "close", "make_columns", "reduce_faults", "score_faults", "slices_of"]

#: Relative difference of two reductions of the same numbers.
TOLERANCE = 1e-6
_TABLE = "table_"


@dataclass(frozen=True)
class Columns:
    """Rows of the test samples.

    Attributes
    ----------
    id, cluster : int64 ndarray [n]
        Sample ids, rising, and interval clusters.
    slices : uint8 ndarray [n, s]
        1 where the sample is in the slice; the slices of :func:`slices_of`.
    tables : dict of str to float64 ndarray [n, m]
        Table of each metric.
    """

    id: npt.NDArray[np.int64]
    cluster: npt.NDArray[np.int64]
    slices: npt.NDArray[np.uint8]
    tables: dict[str, npt.NDArray[np.float64]]

    def pack(self) -> bytes:
        """The bytes of ``columns.npz``."""
        named = {f"{_TABLE}{name}": table for name, table in self.tables.items()}
        return pack_archive({"id": self.id, "cluster": self.cluster, "slices": self.slices, **named})

    @classmethod
    def read(cls, content: bytes, result: Result) -> Columns:
        """From the bytes of ``columns.npz``.

        Raises
        ------
        ResultError
            If it is not an archive of ours, or its shapes are not those of the result.
        """
        metrics = metrics_of(result)
        tables = {f"{_TABLE}{name}": ("<f8",) for name in metrics}
        given = read_archive(
            content, {"id": ("<i8",), "cluster": ("<i8",), "slices": ("|u1",), **tables}, name="columns.npz"
        )
        columns = cls(given["id"], given["cluster"], given["slices"], {n: given[f"{_TABLE}{n}"] for n in metrics})
        columns._check(result)
        return columns

    def _check(self, result: Result) -> None:
        count, slices = result.n_test, len(slices_of(result))
        shapes = {"id": (count,), "cluster": (count,), "slices": (count, slices)}
        for name, shape in shapes.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ResultError("The columns are not those of the result.", why=f"{name} is {found}, not {shape}")
        for name, table in self.tables.items():
            if table.ndim != 2 or len(table) != count:
                raise ResultError("The columns are not those of the result.", why=f"table of {name} is {table.shape}")
        if count == 0 or self.id.min() < 0 or (np.diff(self.id) <= 0).any():
            raise ResultError("The sample ids of the columns do not rise.", why="each test sample stands there once")
        if self.slices.max(initial=0) > 1 or not self.slices[:, slices_of(result).index("all")].all():
            raise ResultError("The slices of the columns are not 0 and 1, or the slice 'all' is not all of them.")


def slices_of(result: Result) -> list[str]:
    """Slices of a result in the order of its scores; always with ``all``."""
    return list(dict.fromkeys([*(score.slice for score in result.scores), "all"]))


def metrics_of(result: Result) -> list[str]:
    """Metrics of a result in the order of its scores."""
    return list(dict.fromkeys(score.metric for score in result.scores))


def make_columns(task: Task, result: Result, predictions: npt.NDArray[np.generic]) -> Columns:
    """Columns of a result from its predictions and the task on its data."""
    ids = task.ids("test")
    metrics = [get_metric(name) for name in metrics_of(result)]
    tables = sample_tables(task, metrics, ids, predictions, dict(result.calibration))
    members = slice_members(task, ids)
    slices = np.stack([members[name] for name in slices_of(result)], axis=1).astype(np.uint8)
    return Columns(np.array(ids), task.clusters("test", ids), slices, tables)


def reduce_faults(result: Result, columns: Columns) -> list[str]:
    """Scores of the result that its own columns do not give."""
    groups = group_clusters(columns.cluster, result.task.digest)
    places = slices_of(result)
    faults = []
    for score in result.scores:
        member = columns.slices[:, places.index(score.slice)].astype(np.float64)
        where = f"{score.metric}@{score.slice}"
        try:
            with np.errstate(all="ignore"):  # what overflows is not finite, and then it is not the stored value
                found = jackknife(get_metric(score.metric).reduce, columns.tables[score.metric], groups, weight=member)
            interval, ties = found.interval, get_metric(score.metric).tie_rate(columns.tables[score.metric], member)
        except (ResultError, ArithmeticError, IndexError, ValueError) as error:
            what = error.what if isinstance(error, ResultError) else str(error)
            faults.append(f"{where} cannot be reduced from its columns: {what}")
            continue
        again = score.model_copy(
            update={
                "value": found.value,
                "n": int(member.sum()),
                "interval": interval,
                "replicates": found.replicates if score.slice == "ranked" else (),
                "tie_rate": ties,
            }
        )
        faults += score_faults(score, again, "its columns give")
    return faults


def score_faults(stored: Score, again: Score, who: str, tolerance: float = TOLERANCE) -> list[str]:
    """Differences between a stored score and the same one computed again."""
    where = f"{stored.metric}@{stored.slice}"
    if stored.n != again.n:
        return [f"{where} is of {stored.n} samples, {who} {again.n}"]
    if not close(stored.value, again.value, tolerance):
        return [f"{where} is {stored.value:.9g}, {who} {again.value:.9g}"]
    ties = stored.tie_rate, again.tie_rate
    if (None in ties and ties != (None, None)) or not close(ties[0] or 0.0, ties[1] or 0.0, tolerance):
        return [f"{where} has a tie rate of {ties[0]}, {who} {ties[1]}"]
    if len(stored.replicates) != len(again.replicates):
        return [f"{where} has {len(stored.replicates)} replicates, {who} {len(again.replicates)}"]
    if not all(close(a, b, tolerance) for a, b in zip(stored.replicates, again.replicates, strict=True)):
        return [f"{where} has other replicates than {who}"]
    if (stored.interval is None) != (again.interval is None):
        return [f"{where} {'has no' if stored.interval is None else 'has an'} interval, {who} the contrary"]
    if stored.interval is None or again.interval is None:
        return []
    low, high = np.clip((again.interval.low, again.interval.high), *get_metric(stored.metric).bounds).tolist()
    same = close(stored.interval.low, low, tolerance) and close(stored.interval.high, high, tolerance)
    same = same and stored.interval.groups == again.interval.groups
    same = same and close(stored.interval.effective_groups, again.interval.effective_groups, tolerance)
    return [] if same else [f"{where} has another interval than {who}"]


def close(a: float, b: float, tolerance: float = TOLERANCE) -> bool:
    """Whether two numbers differ by no more than the tolerance, relative to the larger, absolute below 1."""
    return abs(a - b) <= tolerance * max(1.0, abs(a), abs(b))
