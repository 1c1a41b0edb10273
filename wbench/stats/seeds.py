"""Scores averaged over training seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from wbench.errors import ResultError
from wbench.stats.jackknife import MIN_GROUPS, jackknife_variance, t_interval

__all__ = ["Estimate", "Replicated", "seed_average", "seed_spread"]


class Replicated(Protocol):
    """Anything with a value and jackknife replicates: a ``Score``, a :class:`JackknifeResult`, an :class:`Estimate`."""

    @property
    def value(self) -> float:
        """Score of all samples."""
        ...

    @property
    def replicates(self) -> tuple[float, ...]:
        """Scores with one group left out; empty if there are none."""
        ...


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score averaged over training seeds.

    Attributes
    ----------
    value : float
        Mean over seeds.
    replicates : tuple of float
        Mean over seeds, group by group.
    seed_variance : float
        ``s²_seed / n_seeds``; 0 for one seed.
    seeds : int
        Number of seeds.
    """

    value: float
    replicates: tuple[float, ...]
    seed_variance: float = 0.0
    seeds: int = 1

    @property
    def se(self) -> float | None:
        """``sqrt(SE²_cluster + s²_seed / n_seeds)``; None below five groups."""
        if len(self.replicates) < MIN_GROUPS:
            return None
        return float(np.sqrt(jackknife_variance(np.array(self.replicates)) + self.seed_variance))

    def bounds(self, level: float = 0.95) -> tuple[float, float] | None:
        """Interval with Student's t of G - 1 degrees of freedom; None below five groups."""
        se = self.se
        return None if se is None else t_interval(self.value, se, len(self.replicates), level)


def seed_average(scores: Sequence[Replicated]) -> Estimate:
    """Average one model's scores over its training seeds.

    Parameters
    ----------
    scores : sequence of Replicated
        One per seed, same metric, slice and groups.

    Returns
    -------
    Estimate
        Replicates are averaged group by group; none if a seed has none.
    """
    if not scores:
        raise ResultError("There is no seed to average over.", where="seed_average")
    counts = {len(score.replicates) for score in scores}
    if len(counts - {0}) > 1:
        raise ResultError("The seeds do not have the same groups.", where="seed_average", why=f"{sorted(counts)}")
    values = [score.value for score in scores]
    replicates = () if 0 in counts else tuple(np.mean([s.replicates for s in scores], axis=0).tolist())
    variance = float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0
    return Estimate(float(np.mean(values)), replicates, variance, len(values))


def seed_spread(se_cluster: float, seed_values: Sequence[float]) -> float:
    """Standard error ``sqrt(SE²_cluster + s²_seed / n_seeds)`` of a mean over training seeds.

    Raises
    ------
    ResultError
        With fewer than two seeds: one seed says nothing about their spread.
    """
    if len(seed_values) < 2:
        raise ResultError("The spread over seeds needs two seeds or more.", where="seed_spread")
    return float(np.sqrt(se_cluster**2 + np.var(seed_values, ddof=1) / len(seed_values)))
