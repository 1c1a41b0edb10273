"""Running cells, here, on worker processes or on a Dask cluster: the same results everywhere.

A unit is some cells of one model on one task, run in a row by one worker: it opens the task's datasets and makes its
samples once. Units are given out so that a worker stays with its task. A worker that dies takes its pool with it; the
cells that were under way are run again, one at a time, and only the one that kills its worker fails.
"""

from __future__ import annotations

import gc
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

from wbench.errors import ResultError, WBenchError
from wbench.run.cell import Cell, answer_cell, prepare
from wbench.run.embeddings import EmbeddingCache
from wbench.run.executors import one_thread, run_units, worker_pool
from wbench.run.features import Kind
from wbench.run.plan import load_task
from wbench.run.reports import CellReport
from wbench.run.results import drop_predictions, kept_result, result_folder, save_result
from wbench.run.score import score_predictions
from wbench.task.base import Task

__all__ = ["Job", "Settings", "Unit", "run_cell", "run_cluster", "run_processes", "units_of"]

#: Units per worker, where there are enough cells: the last ones should end together.
UNITS_PER_WORKER = 4


@dataclass(frozen=True)
class Settings:
    """What all cells of an evaluation share. Without ``predictions`` those are removed when they have been scored."""

    size: str
    data: Path | None
    out: Path
    season: str
    cache: EmbeddingCache | None
    kinds: tuple[Kind, ...]
    command: tuple[str, ...] = ()
    predictions: bool = True


@dataclass(frozen=True)
class Job:
    """A cell that has to be run: its place in the report, its task as :func:`load_task` finds it, and by name."""

    index: int
    task: str | Path
    name: str
    cell: Cell


@dataclass(frozen=True)
class Unit:
    """Jobs of one model on one task."""

    jobs: tuple[Job, ...]

    @property
    def task(self) -> str | Path:
        """The task of all of them."""
        return self.jobs[0].task


def run_cell(task: Task, cell: Cell, settings: Settings) -> CellReport:
    """Run one cell, unless its result is there, and save the result.

    Raises
    ------
    ResultError
        The result cannot be saved: no fault of the cell, and the next one could not be saved either.
    """
    name, began = task.spec.name, time.perf_counter()
    try:
        with one_thread():
            model, reason = prepare(cell, task)
            if reason is not None:
                return CellReport(name, cell, "not applicable", reason=reason)
            folder = result_folder(task, model, cell, settings.out)
            kept = kept_result(folder, settings.predictions)
            if kept is not None:
                return CellReport(name, cell, "kept", kept, folder / "result.json")
            answer = answer_cell(model, cell, task, settings.cache, settings.kinds)
            scored = score_predictions(task, answer.ids, answer.predictions, answer.calibration)
            cost = answer.cost.model_copy(update={"wall_s": time.perf_counter() - began})
            answer = replace(answer, cost=cost)
    except WBenchError as error:
        return CellReport.failed(name, cell, error)
    result = save_result(task, cell, answer, *scored, folder, settings.command)
    if not settings.predictions:
        drop_predictions(folder)
    return CellReport(name, cell, "done", result, folder / "result.json")


def units_of(jobs: Sequence[Job], workers: int) -> list[Unit]:
    """Cut jobs into units: never across models or tasks, and enough of them for all workers."""
    most = max(1, math.ceil(len(jobs) / (UNITS_PER_WORKER * workers)))
    groups: dict[tuple[str | Path, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.task, job.cell.model), []).append(job)
    return [
        Unit(tuple(group[start : start + most])) for group in groups.values() for start in range(0, len(group), most)
    ]


def run_processes(
    units: Sequence[Unit], settings: Settings, workers: int, *, alone: bool = False
) -> Iterator[tuple[Job, CellReport]]:
    """Run units on worker processes; reports come as units end."""
    lanes = _Lanes(units)
    while lanes.left:
        suspects: list[Unit] = []
        with worker_pool(min(workers, lanes.left)) as pool:
            for unit, value in run_units(_run_unit, lanes.give(), (settings,), pool, ahead=workers):
                if isinstance(value, Exception) and isinstance(value.__cause__, BrokenProcessPool):
                    lanes.halted = True  # what is left goes to a new pool
                    if not alone:
                        suspects.append(unit)
                        continue
                lanes.finish(unit)
                for job, report in _reports(unit, value):
                    # Run a second time, and found finished: the worker had died before it could tell.
                    yield job, replace(report, status="done") if alone and report.status == "kept" else report
        if suspects:
            singles = [Unit((job,)) for unit in suspects for job in unit.jobs]
            yield from run_processes(singles, settings, 1, alone=True)


def run_cluster(units: Sequence[Unit], settings: Settings, pool: Executor) -> Iterator[tuple[Job, CellReport]]:
    """Run units on the workers of a cluster, which start and end as they like."""
    for unit, value in run_units(_run_unit, _Lanes(units).give(), (settings,), pool):
        yield from _reports(unit, value)


def _reports(unit: Unit, value: list[CellReport] | Exception) -> Iterator[tuple[Job, CellReport]]:
    if isinstance(value, ResultError):
        raise value
    if isinstance(value, list):
        yield from zip(unit.jobs, value, strict=True)
        return
    error = value if isinstance(value, WBenchError) else WBenchError(f"{type(value).__name__}: {value}")
    for job in unit.jobs:
        yield job, CellReport.failed(job.name, job.cell, error)


class _Lanes:
    """Units in the order in which they are given out: a worker that has finished one gets the next of its task."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._queues: dict[str | Path, deque[Unit]] = {}
        for unit in units:
            self._queues.setdefault(unit.task, deque()).append(unit)
        self._workers: Counter[str | Path] = Counter()
        self._freed: deque[str | Path] = deque()
        self.halted = False

    @property
    def left(self) -> int:
        """Units that nobody has been given."""
        return sum(map(len, self._queues.values()))

    def give(self) -> Iterator[Unit]:
        """Units, each when it is asked for, until there are none or the pool is lost."""
        self.halted = False
        while self.left and not self.halted:
            task = self._next_task()
            self._workers[task] += 1
            yield self._queues[task].popleft()

    def _next_task(self) -> str | Path:
        while self._freed:
            task = self._freed.popleft()
            if self._queues[task]:
                return task
        waiting = [task for task, queue in self._queues.items() if queue]
        return min(waiting, key=lambda task: (self._workers[task], -len(self._queues[task])))

    def finish(self, unit: Unit) -> None:
        """A worker is free."""
        self._workers[unit.task] -= 1
        self._freed.append(unit.task)


# --- in the worker -------------------------------------------------------------------------------------------------

#: The task that this process worked on last, with its open datasets and its samples.
_held: dict[tuple[object, ...], Task] = {}
# It belongs to the process, and a Dask worker may have several threads.
_one_at_a_time = threading.Lock()


def _run_unit(settings: Settings, unit: Unit) -> list[CellReport]:
    with _one_at_a_time:
        try:
            task = _task(settings, unit.task)
        except WBenchError as error:
            return [CellReport.failed(job.name, job.cell, error) for job in unit.jobs]
        return [run_cell(task, job.cell, settings) for job in unit.jobs]


def _task(settings: Settings, task: str | Path) -> Task:
    key = (task, settings.size, settings.data, settings.season)
    if key not in _held:
        _held.clear()  # first: two tasks' samples may not fit into memory
        gc.collect()  # a task and its store hold one another
        _held[key] = load_task(task, size=settings.size, data=settings.data, season=settings.season)
    return _held[key]
