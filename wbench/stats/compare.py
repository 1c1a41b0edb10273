"""Paired comparisons of models, Holm's correction, and the ranks that they leave open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from wbench.errors import ResultError
from wbench.stats.jackknife import MIN_GROUPS, jackknife_variance, p_value, t_interval
from wbench.stats.seeds import Estimate, Replicated

__all__ = ["PairedDifference", "RankRange", "holm", "paired_difference", "rank_ranges"]


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """``a - b`` of two scores on the same groups; no interval and no p-value below five groups."""

    difference: float
    se: float | None
    low: float | None
    high: float | None
    p_value: float | None
    groups: int


@dataclass(frozen=True, slots=True)
class RankRange:
    """Ranks a model can have: ``best`` = 1 + those surely better, ``worst`` = all but those surely worse."""

    best: int
    worst: int


def paired_difference(a: Replicated, b: Replicated, level: float = 0.95) -> PairedDifference:
    """Difference ``a - b`` of two models on the same samples, with interval and two-sided p-value of Student's t.

    Parameters
    ----------
    a, b : Replicated
        Scores of the same metric and slice. An :class:`Estimate` adds its seed variance.
    level : float
        Level of the interval.

    Notes
    -----
    A difference without any spread is certain: p = 1 if it is zero, else p = 0.

    Raises
    ------
    ResultError
        If both have replicates, but not of the same number of groups: then they are not paired.
    """
    count = min(len(a.replicates), len(b.replicates))
    if count and len(a.replicates) != len(b.replicates):
        why = f"{len(a.replicates)} and {len(b.replicates)} replicates"
        raise ResultError("The two scores do not have the same groups.", where="paired_difference", why=why)
    difference = a.value - b.value
    if count < MIN_GROUPS:
        return PairedDifference(difference, None, None, None, None, count)
    variance = jackknife_variance(np.array(a.replicates) - np.array(b.replicates))
    variance += sum(each.seed_variance for each in (a, b) if isinstance(each, Estimate))
    se = float(np.sqrt(variance))
    low, high = t_interval(difference, se, count, level)
    return PairedDifference(difference, se, low, high, p_value(difference, se, count), count)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given: reject those at most α to keep the familywise error at α."""
    p = np.asarray(p_values, dtype=np.float64)
    if p.size and not (np.isfinite(p).all() and p.min() >= 0 and p.max() <= 1):
        raise ResultError("p-values must lie in [0, 1].", where="holm")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)) if p.size else p
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return tuple(adjusted.tolist())


def rank_ranges(scores: Mapping[str, Replicated], higher_is_better: bool, alpha: float = 0.05) -> dict[str, RankRange]:
    """Range of ranks of every model that its paired comparisons leave open.

    Parameters
    ----------
    scores : mapping of str to Replicated
        Scores of all models of one ranked instance, on the same groups.
    higher_is_better : bool
        Direction of the metric.
    alpha : float
        Familywise error over all pairs (Holm).

    Returns
    -------
    dict of str to RankRange
        A model without replicates, or with too few, is told apart from no other.
    """
    pairs = list(combinations(scores, 2))
    tests = [paired_difference(scores[a], scores[b]) for a, b in pairs]
    adjusted = holm([1.0 if test.p_value is None else test.p_value for test in tests])
    above, below = dict.fromkeys(scores, 0), dict.fromkeys(scores, 0)
    for (a, b), test, p in zip(pairs, tests, adjusted, strict=True):
        if p > alpha or test.difference == 0:
            continue
        better, worse = (a, b) if (test.difference > 0) == higher_is_better else (b, a)
        above[worse] += 1
        below[better] += 1
    return {name: RankRange(1 + above[name], len(scores) - below[name]) for name in scores}
