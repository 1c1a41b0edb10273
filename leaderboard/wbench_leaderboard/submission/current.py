"""What is current: digests of the installed tasks and of the datasets they stand on, without any data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from wbench import registry
from wbench.errors import ResultError, WBenchError
from wbench.metric.catalogue import get_metric
from wbench.result import Result
from wbench.run.plan import build_spec
from wbench.task.spec import TaskSpec, load_spec
from wbench.task.splits import split_digest

__all__ = ["Current", "current", "forget", "stale_reasons"]


@dataclass(frozen=True)
class Current:
    """A task at a size as it is now: its spec, and (spec digest, split digest) of each recipe's dataset."""

    spec: TaskSpec
    datasets: dict[str, tuple[str, str]]


def current(task: str, size: str) -> Current:
    """The installed task of that name.

    Raises
    ------
    ResultError
        If there is none, or what it stands on cannot be read here.
    """
    if task not in registry.registry().entries["task"]:  # a name, never a path: it comes from a stranger
        raise ResultError(f"There is no task {task!r} in this wbench.", next_step="wbench list tasks")
    return _current(task, size)


@lru_cache(maxsize=512)
def _current(task: str, size: str) -> Current:
    try:
        spec = load_spec(task)
        digests = {recipe: build_spec(recipe, size, ready=False)[0].digest for recipe in spec.recipes}
    except WBenchError as error:
        raise ResultError(f"The task {task!r} ({size}) cannot be read here.", why=error.what) from error
    return Current(spec, {recipe: (digest, split_digest(spec.split, digest)) for recipe, digest in digests.items()})


def forget() -> None:
    """Read everything anew: tasks were installed or changed since."""
    _current.cache_clear()


def stale_reasons(result: Result, now: Current) -> list[str]:
    """Why a result no longer counts, nothing if it does: task, metric, dataset or split have changed since."""
    spec, task, reasons = now.spec, result.task, []
    if (task.version, task.digest) != (spec.version, spec.digest):
        reasons.append(f"the task is version {spec.version} with another digest now")
    if {record.recipe for record in result.datasets} != set(now.datasets) or len(result.datasets) != len(now.datasets):
        reasons.append(f"the task is made of {', '.join(now.datasets)}")
    for record in result.datasets:
        found = now.datasets.get(record.recipe)
        if found is not None and found[0] != record.spec_digest:
            reasons.append(f"the dataset {record.recipe} has changed")
        elif found is not None and found[1] != record.split_digest:
            reasons.append(f"the split of {record.recipe} has changed")
    for score in result.scores:
        if score.metric in spec.metrics and score.metric_version != get_metric(score.metric).version:
            reasons.append(f"the metric {score.metric} is version {get_metric(score.metric).version} now")
    return list(dict.fromkeys(reasons))
