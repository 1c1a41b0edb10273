"""Evaluation: models × tasks × regimes × heads × budgets × draws × seeds, each result written as soon as it exists."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from wbench.errors import UsageError
from wbench.provenance import provenance
from wbench.run.agenda import load_tasks, make_agenda
from wbench.run.embeddings import DEFAULT_LIMIT_BYTES, EmbeddingCache, embeddings_folder
from wbench.run.forecast import Forecast
from wbench.run.matrix import make_request
from wbench.run.plan import data_root
from wbench.run.progress import Advance, progress
from wbench.run.reports import CellReport, EvaluationReport
from wbench.run.work import Job, Settings, run_cell, run_cluster, run_processes, units_of
from wbench.task.base import Task
from wbench.two_sided import absolute

__all__ = ["CellReport", "EvaluationReport", "evaluate"]

#: Workers that a cluster is taken to have when cells are put together: they come and go.
CLUSTER_WORKERS = 16


def evaluate(
    models: Sequence[str],
    tasks: Sequence[str | Path],
    *,
    size: str = "standard",
    data: str | Path | None = None,
    out: str | Path = "results",
    head: str | Sequence[str] = "linear",
    regime: str | Sequence[str] = "head",
    layers: int | None = None,
    budgets: Sequence[float] | Literal["ranked"] | None = None,
    shots: Sequence[int] = (),
    draws: int | None = None,
    seeds: int = 1,
    season: str = "",
    workers: int = 1,
    dask: str | None = None,
    predictions: bool = True,
    cache_bytes: int = DEFAULT_LIMIT_BYTES,
    show_progress: bool = False,
    on_plan: Callable[[Forecast], None] | None = None,
    on_cell: Callable[[CellReport], None] | None = None,
) -> EvaluationReport:
    """Evaluate models on tasks.

    Parameters
    ----------
    models : sequence of str
        Registry names, ``package.module:Class``, ``./file.py:Class`` or model folders.
    tasks : sequence of str or Path
        Registry names of task instances, or ``.toml`` files.
    size : {"tiny", "standard", "large"}
        Size of the datasets; results on ``tiny`` are never ranked.
    data, out : path
        Data folder, and folder of the results.
    head : str or sequence of str
        Heads of embedders, names of :data:`wbench.heads.HEADS`.
    regime : {"head", "fine-tune", "full"}, or several
        Whether embedders stay frozen under their head, are trained with it, or are trained with it from random weights.
    layers : int, optional
        Fine-tune the last so many layers only; all weights by default.
    budgets : sequence of float or "ranked", optional
        Training budgets in percent, for models that train; 100 by default, none if there are ``shots``; ``"ranked"``
        for those that each task ranks.
    shots : sequence of int
        Few-shot training parts with so many samples of every class, for models that train on ``classify`` tasks.
    draws : int, optional
        Draws of each budget; default 5 below 25 %, else 1 (100 % has one draw), and 10 of few-shot parts.
    seeds : int
        Training seeds of stochastic models.
    season : str
        Test on the hidden dataset of this season instead of the published one.
    workers : int
        Worker processes; 1 runs here. Results do not depend on it.
    dask : str, optional
        Address of a Dask scheduler whose workers do the work instead. They must reach the same data and results.
    predictions : bool
        Keep the predictions beside each result. Without them large matrices need little disk, but such a result can
        neither be scored again nor submitted by anybody but maintainers.
    cache_bytes : int
        Most disk for features of frozen embedders, which heads, budgets, draws and seeds share; 0 keeps none.
    show_progress : bool
        Show a progress bar on standard error.
    on_plan : callable, optional
        Called once with the :class:`~wbench.run.forecast.Forecast`, before anything runs.
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
    MissingError
        No scheduler answers.
    """
    asked = {"head": head, "regime": regime, "layers": layers, "budgets": budgets, "shots": shots}
    request = make_request(**asked, draws=draws, seeds=seeds)  # type: ignore[arg-type]
    if workers < 1:
        raise UsageError(f"The number of workers is at least 1, not {workers}.", next_step="--workers 1")
    names = list(dict.fromkeys(tasks))
    if dask is not None:  # workers have another current folder
        models, out = [absolute(model) for model in models], Path(out).absolute()
        names = [_absolute_task(name) for name in names]
        data = data_root(data).absolute()
    cache = EmbeddingCache(embeddings_folder(out).absolute(), cache_bytes) if cache_bytes > 0 else None
    command = tuple(provenance()["command"])
    folder = None if data is None else Path(data)
    settings = Settings(size, folder, Path(out), season, cache, request.kinds, command, predictions)
    loaded = load_tasks(names, settings)
    agenda = make_agenda(loaded, models, request, settings)
    if on_plan is not None:
        on_plan(agenda.forecast(None if dask is not None else workers, settings))
    every = dict(agenda.known)
    done, jobs = len(every), agenda.jobs
    with progress("evaluate", done + len(jobs), "cells", done=done, show=show_progress) as advance:
        for report in agenda.known.values():
            _tell(report, on_cell)
        for job, report in _run(jobs, loaded, settings, workers, dask, advance):
            every[job.index] = report
            _tell(report, on_cell)
            advance(1, f"{job.cell.model} on {job.name}")
    return EvaluationReport([every[index] for index in sorted(every)])


def _tell(report: CellReport, on_cell: Callable[[CellReport], None] | None) -> None:
    if on_cell is not None:
        on_cell(report)


def _run(
    jobs: list[Job],
    loaded: dict[str | Path, Task],
    settings: Settings,
    workers: int,
    dask: str | None,
    advance: Advance,
) -> Iterator[tuple[Job, CellReport]]:
    if dask is not None and jobs:
        from wbench.run.dask import dask_pool

        loaded.clear()
        with dask_pool(dask) as pool:
            yield from run_cluster(units_of(jobs, CLUSTER_WORKERS), settings, pool)
    elif workers > 1 and len(jobs) > 1:
        loaded.clear()  # the workers open them anew: samples that nobody needs here would only take memory
        units = units_of(jobs, workers)
        yield from run_processes(units, settings, min(workers, len(units)))
    else:
        for name in list(loaded):
            task = loaded.pop(name)  # the last reference
            for job in (job for job in jobs if job.task == name):
                advance(0, f"{job.cell.model} on {job.name}")
                yield job, run_cell(task, job.cell, settings)
            del task
            gc.collect()  # a task and its store hold one another: its samples leave memory before the next task's


def _absolute_task(task: str | Path) -> str | Path:
    return Path(task).absolute() if Path(task).suffix == ".toml" else task
