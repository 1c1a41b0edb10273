"""From result files to entries: one entry is one model in one comparison group of one task, averaged over its repeats.

Repeats are seeds and draws of the training subset. What cannot be compared is kept apart here, before anything is
ranked: results of another version of the task or of its metric, or on other data, are another *edition* of the task.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import stdev

from wbench.errors import ResultError, UnknownNameError
from wbench.metric.catalogue import get_metric
from wbench.result import Interval, ModelRecord, Result, Score, TaskRecord
from wbench.stats import Estimate, seed_average
from wbench_leaderboard.submission.evidence import Evidence

__all__ = ["REFERENCE_KINDS", "Edition", "Entry", "GroupKey", "ScoreSummary", "collect"]

# Classical and trivial methods stand beside every regime as reference lines; all other kinds compete.
REFERENCE_KINDS = frozenset({"trivial", "classical"})


@dataclass(frozen=True, order=True)
class Edition:
    """What two results must share to be comparable: the task and its metric, exactly, on the same data and split.

    ``foreign`` says that the data only claim to be these: their fingerprint is *different* from the published one.
    ``season`` is the public name of the season whose hidden dataset was the test part, empty for the published one.
    ``hidden`` are the digests of the task on such datasets, by season, where the task is installed: a hidden test part
    makes another instance of it.
    """

    task: str
    size: str
    version: int
    digest: str
    metric: str
    metric_version: int
    datasets: tuple[tuple[str, str, str], ...]
    foreign: bool = False
    season: str = ""
    hidden: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, result: Result) -> Edition:
        """Edition of one result."""
        datasets = tuple(sorted((d.recipe, d.spec_digest, d.split_digest) for d in result.datasets))
        task, score = result.task, result.primary()
        foreign = any(d.verdict == "different" for d in result.datasets)
        versions = (task.version, task.digest, score.metric, score.metric_version)
        return cls(task.name, task.size, *versions, datasets, foreign, task.season)

    def hides(self, other: Edition) -> bool:
        """Whether the other one is this task on the test part of a hidden season."""
        versions = (self.version, self.metric, self.metric_version) == (
            other.version,
            other.metric,
            other.metric_version,
        )
        known = dict(self.hidden).get(other.season, other.digest)
        # What it was trained on is the published data: a recipe that both have is the same dataset, split alike.
        mine = {recipe: digests for recipe, *digests in self.datasets}
        same = all(mine.get(recipe, digests) == digests for recipe, *digests in other.datasets)
        return other.season not in ("", self.season) and versions and known == other.digest and same


@dataclass(frozen=True)
class GroupKey:
    """What was trained, with which head, on how much: only models with the same answer share a column.

    Attributes
    ----------
    regime, head : str
        As in the results.
    budget_percent : float or None
        Share of the training part; None in a few-shot group, where it differs from task to task.
    shots : int or None
        Training samples of every class in a few-shot group.
    layers : int or None
        How many of the last layers were fine-tuned; None for all of them.
    """

    regime: str
    head: str | None
    budget_percent: float | None
    shots: int | None = None
    layers: int | None = None

    @property
    def part(self) -> tuple[float | None, int | None]:
        """What it was trained on; groups with the same part share their reference lines."""
        return self.budget_percent, self.shots

    @property
    def order(self) -> tuple[int, str, float, float, float]:
        """Sort key: from nothing trained to everything trained; whole networks before last layers, more data first."""
        regimes = ("none", "head", "fine-tune", "full", "reference")
        depth = -math.inf if self.layers is None else -self.layers
        return (regimes.index(self.regime), self.head or "", depth, -(self.budget_percent or 0), -(self.shots or 0))


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
    """One model (at one revision) in one comparison group of one edition, over all repeats.

    ``evidence`` is what the maintainers and the submissions say of it; plain results are self-reported.
    """

    edition: Edition
    group: GroupKey
    model: ModelRecord
    results: tuple[Result, ...]
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def left_out(self) -> str:
        """Why it is listed and never ranked, whatever its edition; empty if it competes."""
        if self.evidence.status == "withdrawn":
            return "withdrawn" + (f": {self.evidence.note}" if self.evidence.note else "")
        if self.evidence.status == "from-paper":
            return "a published number, shown as context"
        if self.evidence.superseded_by is not None:
            return f"revision {self.evidence.superseded_by} of the model replaces it"
        return ""

    @property
    def overlap(self) -> str:
        """Overlap of pre-training with the benchmark as declared; ``dataset`` if it names a dataset of this task."""
        recipes = {recipe for recipe, *_ in self.edition.datasets}
        named = any(recipe in text for text in self.model.pretraining for recipe in recipes)
        return "dataset" if named and self.model.overlap in ("none", "generator") else self.model.overlap

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
        return _summarise([result.primary() for result in self.results], [result.draw for result in self.results])

    @cached_property
    def scores(self) -> tuple[ScoreSummary, ...]:
        """All metrics and slices that every repeat has, in the order of the first result."""
        summaries = []
        for score in self.results[0].scores:
            same = [found for result in self.results if (found := result.score(score.metric, score.slice)) is not None]
            if len(same) == len(self.results):
                summaries.append(_summarise(same, [result.draw for result in self.results]))
        return tuple(summaries)

    def score(self, metric: str, slice_: str = "ranked") -> ScoreSummary | None:
        """Summary of one metric on one slice, None if there is none."""
        return next((s for s in self.scores if s.metric == metric and s.slice == slice_), None)


def _summarise(scores: Sequence[Score], draws: Sequence[int]) -> ScoreSummary:
    first, values = scores[0], [score.value for score in scores]
    estimate = seed_average(scores, draws)
    interval = first.interval
    if len(scores) > 1 and interval is not None:
        # SE² = SE²(cluster jackknife) + s²/repeats; no interval at all if one repeat has no replicates.
        bounds = estimate.bounds(interval.level)
        interval = None if bounds is None else interval.model_copy(update=_within(first.metric, *bounds))
    return ScoreSummary(
        metric=first.metric,
        unit=first.unit,
        higher_is_better=first.higher_is_better,
        slice=first.slice,
        value=estimate.value,
        best=max(values) if first.higher_is_better else min(values),
        spread=stdev(values) if len(values) > 1 else None,
        n=min(score.n for score in scores),
        interval=interval,
        estimate=estimate,
    )


def _within(metric: str, low: float, high: float) -> dict[str, float]:
    """Ends of an interval, cut where the metric ends as those of a single result are."""
    try:
        least, most = get_metric(metric).bounds
    except UnknownNameError:  # a metric of a plugin that is not installed here
        return {"low": low, "high": high}
    return {"low": min(max(low, least), most), "high": max(min(high, most), least)}


def collect(results: Iterable[Result], evidence: Mapping[tuple[str, str], Evidence] | None = None) -> list[Entry]:
    """Group results into entries, in a fixed order whatever the order of the input.

    ``evidence`` is by (model, revision); without it everything is self-reported.

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
    known = evidence or {}
    made = [_entry(*key[:2], repeats, known.get(key[2:], Evidence())) for key, repeats in entries.items()]
    return sorted(made, key=lambda e: (e.edition, e.group.order, e.model.name, e.model.revision))


def _group(result: Result) -> GroupKey:
    budget = float(result.budget_percent) if result.shots is None else None
    return GroupKey(result.regime, result.head, budget, result.shots, result.layers)


def _entry(edition: Edition, group: GroupKey, repeats: list[Result], evidence: Evidence) -> Entry:
    repeats.sort(key=lambda r: (r.draw, r.seed))
    return Entry(edition, group, repeats[0].model, tuple(repeats), evidence)
