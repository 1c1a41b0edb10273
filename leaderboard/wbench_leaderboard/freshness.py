"""Which edition of each task is current: that of the installed wbench. Results of all others are stale."""

from __future__ import annotations

from collections.abc import Iterable

from wbench import registry
from wbench.errors import ResultError
from wbench.metric.catalogue import get_metric
from wbench.result import Result
from wbench.run.plan import season_spec
from wbench_leaderboard.entries import Edition
from wbench_leaderboard.submission.current import current

__all__ = ["current_editions"]


def current_editions(results: Iterable[Result]) -> dict[tuple[str, str], Edition]:
    """Edition of every installed task that the results are of, by (task, size).

    A task that is not installed, or of which a recipe or size is gone, is not in it: its results tell of themselves.
    """
    installed = set(registry.registry().names("task"))
    found = {}
    results = list(results)
    seasons = sorted({(result.task.name, result.task.season) for result in results if result.task.season})
    for name, size in sorted({(result.task.name, result.task.size) for result in results}):
        if name not in installed:
            continue
        try:
            now = current(name, size)
        except ResultError:
            continue
        spec = now.spec
        datasets = tuple(sorted((recipe, *digests) for recipe, digests in now.datasets.items()))
        metric = spec.primary, get_metric(spec.primary).version
        hidden = tuple((season, season_spec(spec, season).digest) for task, season in seasons if task == name)
        found[name, size] = Edition(name, size, spec.version, spec.digest, *metric, datasets, hidden=hidden)
    return found
