"""From result files to entries: one entry is one model in one comparison group of one task, averaged over its repeats.

Repeats are seeds and draws of the training subset. What cannot be compared is kept apart here, before anything is
ranked: results of another version of the task or of its metric, or on other data, are another *edition* of the task.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from wbench.errors import ResultError
from wbench.result import Interval, ModelRecord, Result, Score, TaskRecord
from wbench.stats import Estimate, seed_average

__all__ = ["REFERENCE_KINDS", "Edition", "Entry", "GroupKey", "ScoreSummary", "collect"]

# Classical and trivial methods stand beside every regime as reference lines; all other kinds compete.
REFERENCE_KINDS = frozenset({"trivial", "classical"})


@dataclass(frozen=True, order=True)
class Edition:
    """What two results must share to be comparable: the task and its metric, exactly, on the same data and split.

    ``foreign`` says that the data only claim to be these: their fingerprint is *different* from the published one.
    """

    task: str
    size: str
    version: int
    digest: str
    metric: str
    metric_version: int
    datasets: tuple[tuple[str, str, str], ...]
    foreign: bool = False

    @classmethod
    def of(cls, result: Result) -> Edition:
        """Edition of one result."""
        datasets = tuple(sorted((d.recipe, d.spec_digest, d.split_digest) for d in result.datasets))
        task, score = result.task, result.primary()
        foreign = any(d.verdict == "different" for d in result.datasets)
        versions = (task.version, task.digest, score.metric, score.metric_version)
        return cls(task.name, task.size, *versions, datasets, foreign)


@dataclass(frozen=True)
class GroupKey:
    """What was trained, with which head, on how much: only models with the same answer share a column."""

    regime: str
    head: str | None
    budget_percent: float

    @property
    def order(self) -> tuple[int, str, float]:
        """Sort key: from nothing trained to everything trained, larger budgets first."""
        regimes = ("none", "head", "fine-tune", "full", "reference")
        return (regimes.index(self.regime), self.head or "", -self.budget_percent)


@dataclass(frozen=True)
class ScoreSummary:
    """One metric on one slice, averaged over the repeats.

    ``estimate`` has the averaged replicates that paired comparisons use; ``spread`` is the standard deviation over the
    repeats, None for a single one.
    """

    metric: str
    unit: str
    higher_is_better: bool
    slice: str
    value: float
    best: float
    spread: float | None
    n: int
    interval: Interval | None
    estimate: Estimate


@dataclass(frozen=True)
class Entry:
    """One model (at one revision) in one comparison group of one edition, over all repeats."""

    edition: Edition
    group: GroupKey
    model: ModelRecord
    results: tuple[Result, ...]

    @property
    def reference(self) -> bool:
        """Whether the model is a reference line instead of a contestant."""
        return self.model.kind in REFERENCE_KINDS

    @property
    def task(self) -> TaskRecord:
        """The task that was scored."""
        return self.results[0].task

    @cached_property
    def primary(self) -> ScoreSummary:
        """The score that ranks."""
        return _summarise([result.primary() for result in self.results])

    @cached_property
    def scores(self) -> tuple[ScoreSummary, ...]:
        """All metrics and slices that every repeat has, in the order of the first result."""
        summaries = []
        for score in self.results[0].scores:
            same = [found for result in self.results if (found := result.score(score.metric, score.slice)) is not None]
            if len(same) == len(self.results):
                summaries.append(_summarise(same))
        return tuple(summaries)

    def score(self, metric: str, slice_: str = "ranked") -> ScoreSummary | None:
        """Summary of one metric on one slice, None if there is none."""
        return next((s for s in self.scores if s.metric == metric and s.slice == slice_), None)


def _summarise(scores: Sequence[Score]) -> ScoreSummary:
    first, values = scores[0], [score.value for score in scores]
    estimate = seed_average(scores)
    interval = first.interval
    if len(scores) > 1 and interval is not None:
        # SE² = SE²(cluster jackknife) + s²/repeats; no interval at all if one repeat has no replicates.
        bounds = estimate.bounds(interval.level)
        interval = None if bounds is None else interval.model_copy(update={"low": bounds[0], "high": bounds[1]})
    return ScoreSummary(
        metric=first.metric,
        unit=first.unit,
        higher_is_better=first.higher_is_better,
        slice=first.slice,
        value=estimate.value,
        best=max(values) if first.higher_is_better else min(values),
        spread=math.sqrt(estimate.seed_variance * len(values)) if len(values) > 1 else None,
        n=min(score.n for score in scores),
        interval=interval,
        estimate=estimate,
    )


def collect(results: Iterable[Result]) -> list[Entry]:
    """Group results into entries, in a fixed order whatever the order of the input.

    Raises
    ------
    ResultError
        If there is no result, if a result has no ranked score, or if two different results claim the same cell.
    """
    cells: dict[tuple[object, ...], Result] = {}
    for result in results:
        cell = (Edition.of(result), _group(result), result.model.name, result.model.revision, result.draw, result.seed)
        other = cells.get(cell)
        if other is not None and (other.scores != result.scores or other.model != result.model):
            raise ResultError(
                "Two different results claim the same cell of the board.",
                where=f"{result.task.name} ({result.task.size}), {result.model.name} revision "
                f"{result.model.revision or '(none)'}, draw {result.draw}, seed {result.seed}",
                why="they have the same task, data, model revision, regime, budget, draw and seed",
                next_step="keep the right one, or raise the model's revision",
            )
        # The same cell read twice (overlapping folders) is one result; which copy is kept must not depend on order.
        if other is None or result.model_dump_json() < other.model_dump_json():
            cells[cell] = result
    if not cells:
        raise ResultError(
            "There are no results to build a leaderboard from.", next_step="wbench evaluate --model … --task …"
        )
    entries: dict[tuple[Edition, GroupKey, str, str], list[Result]] = defaultdict(list)
    for result in cells.values():
        entries[Edition.of(result), _group(result), result.model.name, result.model.revision].append(result)
    made = [_entry(edition, group, repeats) for (edition, group, _, _), repeats in entries.items()]
    return sorted(made, key=lambda e: (e.edition, e.group.order, e.model.name, e.model.revision))


def _group(result: Result) -> GroupKey:
    return GroupKey(result.regime, result.head, float(result.budget_percent))


def _entry(edition: Edition, group: GroupKey, repeats: list[Result]) -> Entry:
    repeats.sort(key=lambda r: (r.draw, r.seed))
    return Entry(edition, group, repeats[0].model, tuple(repeats))
