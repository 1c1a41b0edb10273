"""What spans several results: skill against the trivial baselines, and scores over training budgets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wbench.errors import ResultError
from wbench.result import Result

if TYPE_CHECKING:
    from wbench.metric.base import Metric

__all__ = ["BudgetPoint", "budget_curve", "skill"]


def skill(metric: Metric, value: float, trivial_values: Iterable[float]) -> float:
    """Skill ``1 - error / error(best trivial)``: 1 perfect, 0 like the best trivial baseline, negative below it.

    Parameters
    ----------
    metric : Metric
        Its :meth:`~wbench.metric.base.Metric.error` turns values into linear errors.
    value : float
        The model's value.
    trivial_values : iterable of float
        Values of the task's trivial baselines.

    Raises
    ------
    ResultError
        If there is no trivial baseline, or the best one is perfect: then there is nothing to be skilful about.
    """
    errors = [metric.error(trivial) for trivial in trivial_values]
    if not errors:
        raise ResultError("Skill needs the task's trivial baselines.", where=f"metric {metric.name}")
    if min(errors) <= 0:
        raise ResultError("Skill is undefined beside a perfect trivial baseline.", where=f"metric {metric.name}")
    return 1.0 - metric.error(value) / min(errors)


@dataclass(frozen=True, slots=True)
class BudgetPoint:
    """Score at one training budget: mean, lowest and highest over ``runs`` draws and seeds."""

    budget_percent: float
    mean: float
    low: float
    high: float
    runs: int


def budget_curve(results: Iterable[Result], metric: str, slice_: str = "ranked") -> tuple[BudgetPoint, ...]:
    """Score over training budget of one model on one task.

    Parameters
    ----------
    results : iterable of Result
        Of one task version, size, model revision, regime and head; other budgets, draws and seeds.
    metric, slice_ : str
        Which score.

    Returns
    -------
    tuple of BudgetPoint
        In ascending budget.

    Raises
    ------
    ResultError
        If the results are not of one curve (regimes are never mixed), or one lacks the score.
    """
    curves, points = set(), defaultdict(list)
    for result in results:
        curves.add(
            (result.task.digest, result.task.size, result.model.name, result.model.revision, result.regime, result.head)
        )
        score = result.score(metric, slice_)
        if score is None:
            raise ResultError(f"A result has no score {metric!r} on {slice_!r}.", where=result.task.name)
        points[result.budget_percent].append(score.value)
    if len(curves) > 1:
        raise ResultError("A budget curve is of one task, model, regime and head.", why=f"got {len(curves)} of them")
    return tuple(
        BudgetPoint(budget, float(np.mean(values)), min(values), max(values), len(values))
        for budget, values in sorted(points.items())
    )
