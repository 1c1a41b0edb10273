"""Comparisons between entries, by the core's statistics: skill, paired differences, rank ranges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from wbench import curves, stats
from wbench.errors import ResultError, UnknownNameError
from wbench.metric.catalogue import get_metric
from wbench_leaderboard.entries import Entry

__all__ = ["Verdict", "rank_ranges", "skill", "verdict"]

Verdict = Literal["better", "worse", "same"]


def skill(entry: Entry, trivial: Entry) -> float | None:
    """Skill of an entry against the best trivial one.

    None where it means nothing: the metric is not installed here, or the trivial model is already perfect.
    """
    try:
        metric = get_metric(entry.primary.metric)
        return curves.skill(metric, entry.primary.value, [trivial.primary.value])
    except (UnknownNameError, ResultError):
        return None


def rank_ranges(entries: Sequence[Entry]) -> list[tuple[int, int] | None]:
    """Positions that the paired comparisons of all pairs leave open (Holm, 5 %), in the order of the entries.

    None for an entry without enough replicates: nothing is known about its place.
    """
    if not entries:
        return []
    scores = {str(index): entry.primary.estimate for index, entry in enumerate(entries)}
    found = stats.rank_ranges(scores, entries[0].primary.higher_is_better)
    return [
        (found[index].best, found[index].worst) if len(score.replicates) >= stats.MIN_GROUPS else None
        for index, score in scores.items()
    ]


def verdict(entry: Entry, other: Entry) -> Verdict | None:
    """Whether an entry is better or worse than another at 5 %, ``same`` if the data cannot tell; None if untestable."""
    test = stats.paired_difference(entry.primary.estimate, other.primary.estimate)
    if test.p_value is None:
        return None
    if test.p_value > 0.05 or test.difference == 0:
        return "same"
    return "better" if (test.difference > 0) == entry.primary.higher_is_better else "worse"
