"""Comparisons between entries, by the core's statistics: skill, paired differences, rank ranges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from wbench import curves, stats
from wbench.errors import ResultError, UnknownNameError
from wbench.metric.catalogue import get_metric
from wbench_leaderboard.entries import Entry

__all__ = ["Verdict", "rank_ranges", "skill", "verdict"]

Verdict = Literal["better", "worse", "same"]
#: Familywise error of the comparisons of one table.
ALPHA = 0.05

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


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

    None for an entry without enough replicates: nothing is known about its place. The same rule as
    :func:`wbench.stats.rank_ranges`, for all pairs at once: a board of a thousand models has half a million of them.
    """
    known = [i for i, entry in enumerate(entries) if len(entry.primary.estimate.replicates) >= stats.MIN_GROUPS]
    found: list[tuple[int, int] | None] = [None] * len(entries)
    if not known:
        return found
    value = np.array([entry.primary.value for entry in entries])
    if not entries[0].primary.higher_is_better:
        value = -value
    first, second, p = _pairs(entries, known)
    # A pair without a test counts as one that cannot be told apart, as many of them as there are.
    untested = len(entries) * (len(entries) - 1) // 2 - len(p)
    apart = (_holm(p, untested) <= ALPHA) & (value[first] != value[second])
    better = np.where(value[first] > value[second], first, second)[apart]
    worse = np.where(value[first] > value[second], second, first)[apart]
    above = np.bincount(worse, minlength=len(entries))
    below = np.bincount(better, minlength=len(entries))
    for i in known:
        found[i] = (1 + int(above[i]), len(entries) - int(below[i]))
    return found


def _pairs(entries: Sequence[Entry], known: Sequence[int]) -> tuple[_Ints, _Ints, _Floats]:
    """Both ends of every testable pair, and the p-value of Student's t of the jackknife of its difference."""
    replicates = np.array([entries[i].primary.estimate.replicates for i in known])
    value = np.array([entries[i].primary.value for i in known])
    seeds = np.array([entries[i].primary.estimate.seed_variance for i in known])
    groups = replicates.shape[1]
    index = np.array(known, dtype=np.int64)
    first, second, statistic = [index[:0]], [index[:0]], [value[:0]]
    for row in range(len(known) - 1):
        rest = slice(row + 1, None)
        variance = (groups - 1) * np.var(replicates[rest] - replicates[row], axis=1) + seeds[rest] + seeds[row]
        difference = np.abs(value[rest] - value[row])
        with np.errstate(divide="ignore", invalid="ignore"):
            t = difference / np.sqrt(variance)
        first.append(np.full(len(t), index[row]))
        second.append(index[rest])
        statistic.append(np.where(difference == 0, 0.0, t))  # without any difference there is none to be sure of
    from scipy import special

    p = 2 * special.stdtr(groups - 1, -np.concatenate(statistic))
    return np.concatenate(first), np.concatenate(second), np.asarray(p, dtype=np.float64)


def _holm(p: _Floats, untested: int) -> _Floats:
    """Holm's adjusted p-values beside ``untested`` further hypotheses of p = 1."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    steps = np.arange(len(p) + untested, untested, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * steps), 1.0) if len(p) else p
    return adjusted


def verdict(entry: Entry, other: Entry) -> Verdict | None:
    """Whether an entry is better or worse than another at 5 %, ``same`` if the data cannot tell; None if untestable."""
    test = stats.paired_difference(entry.primary.estimate, other.primary.estimate)
    if test.p_value is None:
        return None
    if test.p_value > 0.05 or test.difference == 0:
        return "same"
    return "better" if (test.difference > 0) == entry.primary.higher_is_better else "worse"
