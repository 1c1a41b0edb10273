"""The delete-a-group jackknife and Student's t."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ResultError
from wbench.result import Interval
from wbench.seeding import keyed_permutation

__all__ = [
    "MIN_GROUPS",
    "JackknifeResult",
    "group_clusters",
    "jackknife",
    "jackknife_variance",
    "p_value",
    "t_interval",
]

#: Below this number of groups Student's t is so wide and its assumptions so weak that no interval is printed.
MIN_GROUPS = 5

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class JackknifeResult:
    """A score with its jackknife.

    Attributes
    ----------
    value : float
        Score of all samples.
    replicates : tuple of float
        Scores with one group left out, in the order of the group indices.
    se, low, high : float or None
        Standard error and interval; None if there is no interval, see ``reason``.
    level : float
        Level of the interval.
    groups : int
        Groups with positive weight.
    effective_groups : float
        Kish's number ``(Σ w_g)² / Σ w_g²`` of equally heavy groups.
    reason : str
        Why there is no interval; empty if there is one.
    """

    value: float
    replicates: tuple[float, ...]
    se: float | None
    low: float | None
    high: float | None
    level: float
    groups: int
    effective_groups: float
    reason: str = ""

    @property
    def interval(self) -> Interval | None:
        """The interval as it stands in a result file."""
        if self.low is None or self.high is None:
            return None
        return Interval(
            low=self.low, high=self.high, level=self.level, groups=self.groups, effective_groups=self.effective_groups
        )


def group_clusters(clusters: npt.ArrayLike, key: str, most: int = 100) -> npt.NDArray[np.int64]:
    """Deal clusters to at most ``most`` groups.

    Parameters
    ----------
    clusters : array_like of int or str [n]
        Cluster of each sample.
    key : str
        What the deal depends on besides the set of clusters (a split digest): never the model or the sample order.
    most : int
        Largest number of groups; whole clusters are dealt in turn, so groups differ by at most one cluster.

    Returns
    -------
    ndarray of int64 [n]
        Group of each sample, 0 … min(clusters, most) - 1.
    """
    if most < 1:
        raise ResultError("There must be at least one group.", where="group_clusters", why=f"most = {most}")
    distinct, member = np.unique(np.asarray(clusters), return_inverse=True)
    group = np.empty(len(distinct), dtype=np.int64)
    group[keyed_permutation(len(distinct), key, "jackknife groups")] = np.arange(len(distinct)) % most
    return group[member]


def jackknife(
    reduce: Callable[[_Floats, _Floats], float],
    table: _Floats,
    groups: npt.NDArray[np.int64],
    level: float = 0.95,
    *,
    weight: _Floats | None = None,
) -> JackknifeResult:
    """Delete-a-group jackknife of any weighted score, with Student's t of G - 1 degrees of freedom.

    Parameters
    ----------
    reduce : callable
        ``Metric.reduce``: table and weights to value.
    table : ndarray of float64 [n, m]
        Table of the samples.
    groups : ndarray of int64 [n]
        Of :func:`group_clusters`.
    level : float
        Level of the interval.
    weight : ndarray of float64 [n], optional
        Weights, ones by default; zero outside a slice. Groups without weight do not count.

    Returns
    -------
    JackknifeResult
        Without an interval below five groups. Without interval *and* replicates if the score is undefined with some
        group left out (that group alone holds a class): such a score has a spread that cannot be estimated, and
        leaving the group aside would hide just that.

    Raises
    ------
    ResultError
        If the score of all samples is undefined, or shapes do not match.
    """
    weight = np.ones(len(table)) if weight is None else np.asarray(weight, dtype=np.float64)
    if groups.shape != (len(table),) or weight.shape != groups.shape:
        why = f"table {table.shape}, groups {groups.shape}, weights {weight.shape}"
        raise ResultError("The jackknife needs one group and one weight per row.", where="jackknife", why=why)
    value = reduce(table, weight)
    present = np.unique(groups[weight > 0])
    mass = np.bincount(groups, weight)[present]
    count, effective = len(present), float(mass.sum() ** 2 / np.sum(mass**2))
    replicates: list[float] = []
    for group in present if count > 1 else ():
        try:
            replicates.append(reduce(table, np.where(groups == group, 0.0, weight)))
        except ResultError as error:
            reason = f"undefined without group {group}: {error.what}"
            return JackknifeResult(value, (), None, None, None, level, count, effective, reason)
    if count < MIN_GROUPS:
        reason = f"{count} groups of clusters, {MIN_GROUPS} needed"
        return JackknifeResult(value, tuple(replicates), None, None, None, level, count, effective, reason)
    se = float(np.sqrt(jackknife_variance(np.array(replicates))))
    low, high = t_interval(value, se, count, level)
    return JackknifeResult(value, tuple(replicates), se, low, high, level, count, effective)


def jackknife_variance(replicates: _Floats) -> float:
    """``(G - 1)/G Σ (θ_(g) - mean)²``."""
    return float((len(replicates) - 1) * np.var(replicates))


def t_interval(value: float, se: float, groups: int, level: float) -> tuple[float, float]:
    """Two-sided interval with Student's t of G - 1 degrees of freedom."""
    reach = float(_special().stdtrit(groups - 1, 0.5 * (1 + level))) * se
    return value - reach, value + reach


def p_value(difference: float, se: float, groups: int) -> float:
    """Two-sided p-value of a difference; without any spread it is 1 for a zero difference, else 0."""
    if se == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * _special().stdtr(groups - 1, -abs(difference) / se))


def _special() -> Any:
    """SciPy's special functions: Student's t without the second that ``scipy.stats`` takes to import."""
    from scipy import special

    return special
