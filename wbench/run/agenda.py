"""What an evaluation has to do: tasks are checked, finished results found, and the rest is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from wbench.errors import DatasetNotFoundError, SpecError, UsageError, WBenchError
from wbench.metric.catalogue import get_metric
from wbench.model import Model
from wbench.run.cell import Cell, build_model, refusal
from wbench.run.edited import modified, newest_file
from wbench.run.executors import one_thread
from wbench.run.fingerprint import shipped_verdict
from wbench.run.forecast import Forecast, PastCosts, free_bytes, prediction_bytes
from wbench.run.matrix import Request, cells_of
from wbench.run.plan import load_task
from wbench.run.reports import CellReport
from wbench.run.results import kept_result, result_folder
from wbench.run.work import Job, Settings
from wbench.task.base import Task
from wbench.two_sided import load

__all__ = ["Agenda", "load_tasks", "make_agenda"]

#: Missing datasets that an error names one by one.
NAMED = 5


def load_tasks(names: Sequence[str | Path], settings: Settings) -> dict[str | Path, Task]:
    """Open all tasks, and find what is wrong with any of them before hours of work rather than after.

    Raises
    ------
    DatasetNotFoundError
        Datasets have not been generated; it names the commands.
    """
    loaded: dict[str | Path, Task] = {}
    missing: dict[str, DatasetNotFoundError] = {}
    for name in names:
        try:
            loaded[name] = load_task(name, size=settings.size, data=settings.data, season=settings.season)
        except DatasetNotFoundError as error:
            missing.setdefault(str(error.where), error)
    if len(missing) == 1:
        raise next(iter(missing.values()))
    if missing:
        some = list(missing.values())[:NAMED]
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        step = "\n      ".join(str(error.next_step) for error in some)
        where = ", ".join(str(error.where) for error in some) + more
        raise DatasetNotFoundError(f"{len(missing)} datasets are not here.", where=where, next_step=step)
    for task in loaded.values():
        _check_task(task)
    return loaded


def _check_task(task: Task) -> None:
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
        shipped_verdict(dataset)


@dataclass
class Agenda:
    """What is known, and what has to be run.

    Attributes
    ----------
    known : dict of int to CellReport
        Reports on cells that need not be run, by their place in the whole.
    jobs : list of Job
        The others, task by task and model by model.
    """

    known: dict[int, CellReport] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    _seconds: list[float | None] = field(default_factory=list)
    _predictions: int = 0
    _embeds: bool = False

    def add(self, job: Job, seconds: float | None, nbytes: int) -> None:
        """Something to run, what it may take, and the size of its predictions."""
        self.jobs.append(job)
        self._seconds.append(seconds)
        self._predictions += nbytes
        self._embeds |= job.cell.head is not None and not job.cell.tune

    def forecast(self, workers: int | None, settings: Settings) -> Forecast:
        """What the jobs will need."""
        status = Counter(report.status for report in self.known.values())
        seconds, told = PastCosts.total(self._seconds)
        return Forecast(
            runs=len(self.jobs),
            kept=status["kept"],
            not_applicable=status["not applicable"],
            failed=status["failed"],
            seconds=seconds,
            known=told,
            workers=workers,
            predictions_bytes=self._predictions,
            embeddings_bytes=settings.cache.limit_bytes if settings.cache is not None and self._embeds else 0,
            free_bytes=free_bytes(settings.out),
        )


def make_agenda(loaded: dict[str | Path, Task], models: Sequence[str], request: Request, settings: Settings) -> Agenda:
    """Go through all cells: tasks × models × what is asked of each model.

    Raises
    ------
    UnknownNameError
        There is no such model. One that cannot be loaded fails its own cells only.
    """
    found = {model: _try_model(model) for model in dict.fromkeys(models)}
    newest = {name: newest_file(name, model) for name, model in found.items() if isinstance(model, Model)}
    past = PastCosts(settings.out, settings.size)
    agenda = Agenda()
    with one_thread():
        for name, task in loaded.items():
            about = (request, task.spec.budgets, task.spec.kind)
            cells = [cell for model in found for cell in cells_of(model, found[model], *about)]
            nbytes = prediction_bytes(task) if settings.predictions else 0
            variants: dict[Cell, _Variant] = {}
            for place, cell in enumerate(cells, len(agenda.known) + len(agenda.jobs)):
                how = replace(cell, budget=100.0, draw=0, seed=0, shots=None)
                if how not in variants:
                    variants[how] = _variant(task, how, found[cell.model], newest.get(cell.model))
                variant = variants[how]
                report = variant.report(task, cell, settings)
                if report is not None:
                    agenda.known[place] = report
                elif variant.model is not None:
                    seconds = past.seconds(task, variant.model, cell)
                    agenda.add(Job(place, name, task.spec.name, cell), seconds, nbytes)
    return agenda


def _try_model(reference: str) -> Model | WBenchError:
    try:
        return load(reference)
    except UsageError:
        raise
    except WBenchError as error:
        return error


@dataclass(frozen=True)
class _Variant:
    """A model with its head on a task, whatever the budget: constructed, refused, or failed.

    ``newest`` is the file of the model that a result should not be older than.
    """

    model: Model | None = None
    newest: Path | None = None
    reason: str | None = None
    error: WBenchError | None = None

    def report(self, task: Task, cell: Cell, settings: Settings) -> CellReport | None:
        """What is known of a cell without running it."""
        if self.error is not None:
            return CellReport.failed(task.spec.name, cell, self.error)
        if self.reason is not None or self.model is None:
            return CellReport(task.spec.name, cell, "not applicable", reason=self.reason or "")
        folder = result_folder(task, self.model, cell, settings.out)
        kept = kept_result(folder, settings.predictions)
        if kept is None:
            return None
        path, reason = folder / "result.json", ""
        if self.newest is not None and modified(self.newest) > modified(path):
            reason = f"{self.newest.name} is newer than what revision {kept.model.revision!r} answered"
        return CellReport(task.spec.name, cell, "kept", kept, path, reason=reason)


def _variant(task: Task, cell: Cell, loaded: Model | WBenchError, newest: Path | None) -> _Variant:
    try:
        if isinstance(loaded, WBenchError):
            raise loaded
        model = build_model(cell)
        return _Variant(model, newest, refusal(model, cell, task))
    except UsageError:  # an encoder and a decoder that cannot understand each other: nothing is run
        raise
    except WBenchError as error:
        return _Variant(error=error)
