"""Which overall positions the data leave open: the tasks' clusters and the tasks themselves are drawn again.

Every draw takes the clusters of each task anew, the same for all models (their jackknife pseudo-values are averaged
with the draw's weights), adds the spread of the training seeds, and takes the tasks of each family anew. The positions
that 95 % of the draws agree on are the range. Sources: Tukey's pseudo-values, Ann. Math. Statist. 1958; Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from wbench import curves, stats
from wbench.errors import ResultError, UnknownNameError
from wbench.metric.catalogue import get_metric
from wbench_leaderboard.entries import Entry
from wbench_leaderboard.rank import Standing

__all__ = ["DRAWS", "Sampled", "sampled_ranges"]

DRAWS = 400
LEVEL = 0.95

_Floats = npt.NDArray[np.float64]
Range = tuple[int, int]


@dataclass(frozen=True)
class Sampled:
    """Skills of all models on one task with what is needed to draw them again.

    Attributes
    ----------
    key : str
        Keys the draw; the same for every table that holds the task.
    skill : float64 ndarray [models]
        Skill of each model.
    influence : float64 ndarray [groups, models]
        Pseudo-value less skill, per group of clusters: zero where a model has no replicates.
    seed_sd : float64 ndarray [models]
        Standard error of the skill from training seeds.
    """

    key: str
    skill: _Floats
    influence: _Floats
    seed_sd: _Floats

    @classmethod
    def of(cls, standings: Sequence[Standing], trivial: Entry | None, key: str) -> Sampled:
        """From the standings of complete models, so that every skill is there."""
        skill = np.array([standing.skill for standing in standings], dtype=np.float64)
        groups = max((len(s.entry.primary.estimate.replicates) for s in standings), default=0)
        influence = np.zeros((groups, len(standings)))
        seed_sd = np.zeros(len(standings))
        for column, standing in enumerate(standings):
            found = None if trivial is None else _skill_replicates(standing.entry, trivial)
            if found is not None and len(found) == groups:
                influence[:, column] = (groups - 1) * (found.mean() - found)
            seed_sd[column] = 0.0 if trivial is None else _seed_sd(standing.entry, trivial)
        return cls(key, skill, influence, seed_sd)


def _skill_replicates(entry: Entry, trivial: Entry) -> _Floats | None:
    mine, other = entry.primary.estimate.replicates, trivial.primary.estimate.replicates
    if len(mine) < stats.MIN_GROUPS or len(mine) != len(other):
        return None
    try:
        metric = get_metric(entry.primary.metric)
        return np.array([curves.skill(metric, a, [b]) for a, b in zip(mine, other, strict=True)])
    except (UnknownNameError, ResultError):
        return None


def _seed_sd(entry: Entry, trivial: Entry) -> float:
    primary, spread = entry.primary, float(np.sqrt(entry.primary.estimate.seed_variance))
    if spread == 0:
        return 0.0
    metric = get_metric(primary.metric)
    ends = [curves.skill(metric, primary.value + sign * spread, [trivial.primary.value]) for sign in (-1, 1)]
    return abs(ends[1] - ends[0]) / 2


def sampled_ranges(columns: Sequence[Sequence[Sampled]], draws: int = DRAWS) -> list[tuple[Range, Range]]:
    """Ranges of the positions by mean skill and by mean rank, for every model.

    Parameters
    ----------
    columns : sequence of sequence of Sampled
        Tasks by family. The mean over families of the means over their tasks is what is ranked.
    draws : int
        How often everything is drawn again.
    """
    models = len(columns[0][0].skill)
    skill, rank = np.zeros((draws, models)), np.zeros((draws, models))
    for tasks in columns:
        # Each row says how often a draw takes each task of the family.
        times = _dealt(f"family {tasks[0].key}", draws, len(tasks)) / (len(tasks) * len(columns))
        for index, task in enumerate(tasks):
            drawn = _drawn(task, draws)
            weight = times[:, index : index + 1]
            skill += weight * drawn
            rank += weight * _positions(-drawn)
    by_skill, by_rank = _positions(-skill), _positions(rank)
    return [(_range(by_skill[:, model]), _range(by_rank[:, model])) for model in range(models)]


def _drawn(task: Sampled, draws: int) -> _Floats:
    """Skills float64 [draws, models] of one task with its clusters drawn again."""
    groups = len(task.influence)
    found = np.broadcast_to(task.skill, (draws, len(task.skill)))
    if groups:
        found = found + (_dealt(f"groups {task.key}", draws, groups) / groups) @ task.influence
    if task.seed_sd.any():
        found = found + task.seed_sd * _normal(f"seeds {task.key}", draws, len(task.skill))
    return found


def _raw(key: str, count: int) -> npt.NDArray[np.uint64]:
    # The bit generator's stream is the same in every version of NumPy; the methods of Generator need not be.
    return np.asarray(np.random.PCG64(zlib.crc32(key.encode())).random_raw(count), dtype=np.uint64)


def _dealt(key: str, draws: int, count: int) -> _Floats:
    """How often each of ``count`` things is taken when ``count`` are drawn with replacement: float64 [draws, count]."""
    taken = (_raw(key, draws * count) >> np.uint64(11)) % np.uint64(count)
    row = np.repeat(np.arange(draws), count)
    found = np.bincount(row * count + taken.astype(np.int64), minlength=draws * count)
    return found.reshape(draws, count).astype(np.float64)


def _normal(key: str, draws: int, count: int) -> _Floats:
    """Standard normal numbers by Box and Muller."""
    raw = (_raw(key, 2 * draws * count) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    first, second = raw.reshape(2, draws, count)
    return np.asarray(np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second), dtype=np.float64)


def _positions(cost: _Floats) -> _Floats:
    """Positions 1 … models in each row, smallest cost first; equal ones share the best of theirs."""
    return np.asarray(rankdata(cost, method="min", axis=1), dtype=np.float64)


def _range(places: _Floats) -> Range:
    low, high = np.quantile(places, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return int(low), int(high)
