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
        ``s²_seed / n_seeds``, or ``s²_draw / n_draws`` over several draws; 0 for one.
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


def seed_average(scores: Sequence[Replicated], draws: Sequence[int] | None = None) -> Estimate:
    """Average one model's scores over its training seeds.

    Parameters
    ----------
    scores : sequence of Replicated
        One per seed, same metric, slice and groups.
    draws : sequence of int, optional
        Draw of the training part of each score. Seeds of one draw share its samples, so draws are what is independent:
        where there are several, the mean is over the draws' means, and the variance is theirs.

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
    keys = [0] * len(scores) if draws is None else list(draws)
    units = [[s for s, key in zip(scores, keys, strict=True) if key == draw] for draw in dict.fromkeys(keys)]
    units = [[score] for score in scores] if len(units) < 2 else units
    values = [float(np.mean([score.value for score in unit])) for unit in units]
    found = [np.mean([score.replicates for score in unit], axis=0) for unit in units] if 0 not in counts else []
    replicates = tuple(np.mean(found, axis=0).tolist()) if found else ()
    variance = float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0
    return Estimate(float(np.mean(values)), replicates, variance, len(scores))


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
