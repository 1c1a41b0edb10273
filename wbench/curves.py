"""What spans several results: skill against the trivial baselines, scores over training budgets, hidden seasons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wbench.errors import ResultError
from wbench.result import Result
from wbench.stats import Estimate, seed_average
from wbench.stats.jackknife import t_interval

if TYPE_CHECKING:
    from wbench.metric.base import Metric

__all__ = ["BudgetPoint", "SeasonGap", "budget_curve", "season_gaps", "skill"]


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
        Of one task version, size, model revision, regime, head and number of fine-tuned layers, either all few-shot
        or none; other budgets, draws and seeds.
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
        task, model = result.task, result.model
        how = (result.regime, result.head, result.head_version, result.layers, result.shots is None)
        curves.add((task.digest, task.size, model.name, model.revision, *how))
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


@dataclass(frozen=True, slots=True)
class SeasonGap:
    """Score on the published test part minus score on a season's hidden dataset, of one model (split rule S6).

    Attributes
    ----------
    task, season, model, revision, regime, head, layers : str, str, str, str, str, str or None, int or None
        What was evaluated, under which regime, and how many of the last layers were fine-tuned (None: all).
    budget_percent, shots : float, int or None
        On how much it was trained.
    public, hidden, gap : float
        Means over draws and seeds, and ``public - hidden`` in the metric's own unit.
    se : float or None
        Standard error of the gap: the two test parts share no sample, so their variances add. None below five groups
        of clusters on either side.
    loss : float
        How much worse the model is on what it cannot have seen: the gap with the metric's sign, positive if worse.
    public_runs, hidden_runs : int
        Draws and seeds behind the means.
    groups : int
        Groups of clusters on the side that has fewer.
    """

    task: str
    season: str
    model: str
    revision: str
    regime: str
    head: str | None
    layers: int | None
    budget_percent: float
    shots: int | None
    public: float
    hidden: float
    gap: float
    se: float | None
    loss: float
    public_runs: int
    hidden_runs: int
    groups: int

    def reach(self, level: float = 0.95) -> float | None:
        """Half the width of the gap's interval, with Student's t of the side that has fewer groups; None without."""
        return None if self.se is None else t_interval(0.0, self.se, self.groups, level)[1]


def season_gaps(results: Iterable[Result], metric: str, slice_: str = "ranked") -> tuple[SeasonGap, ...]:
    """Gap public − hidden of every model that has results on both test parts of a task.

    Parameters
    ----------
    results : iterable of Result
        Of any tasks, models and seasons. Results without a counterpart in a season, or in public, are left out.
    metric, slice_ : str
        Which score.

    Returns
    -------
    tuple of SeasonGap
        Sorted by task, season, model, regime and budget.

    Raises
    ------
    ResultError
        If a result of a pair lacks the score, or the versions of its metric differ.
    """
    found: dict[tuple[Any, ...], dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        task, model = result.task, result.model
        # A few-shot part is named by its shots: what share of the training part they are hangs on the dataset.
        budget = result.budget_percent if result.shots is None else 0.0
        trained = (result.regime, result.head or "", result.head_version or 0, result.layers or 0)
        key = (task.name, task.version, task.size, model.name, model.revision, *trained, budget, result.shots or 0)
        found[key][task.season].append(result)
    gaps = [
        _gap(sides[""], hidden, metric, slice_)
        for _, sides in sorted(found.items())
        for season, hidden in sorted(sides.items())
        if season and "" in sides
    ]
    return tuple(sorted(gaps, key=lambda gap: (gap.task, gap.season)))  # stable: models stay in order


def _gap(public: list[Result], hidden: list[Result], metric: str, slice_: str) -> SeasonGap:
    first = hidden[0]
    shown, kept, up = *(_mean(side, metric, slice_) for side in (public, hidden)), _direction(public + hidden, metric)
    gap = shown.value - kept.value
    spread = None if shown.se is None or kept.se is None else float(np.hypot(shown.se, kept.se))
    return SeasonGap(
        task=first.task.name,
        season=first.task.season,
        model=first.model.name,
        revision=first.model.revision,
        regime=first.regime,
        head=first.head,
        layers=first.layers,
        budget_percent=first.budget_percent,
        shots=first.shots,
        public=shown.value,
        hidden=kept.value,
        gap=gap,
        se=spread,
        loss=gap if up else -gap,
        public_runs=len(public),
        hidden_runs=len(hidden),
        groups=min(len(shown.replicates), len(kept.replicates)),
    )


def _mean(results: list[Result], metric: str, slice_: str) -> Estimate:
    scores = [result.score(metric, slice_) for result in results]
    if None in scores:
        raise ResultError(f"A result has no score {metric!r} on {slice_!r}.", where=results[0].task.name)
    return seed_average([score for score in scores if score is not None], [result.draw for result in results])


def _direction(results: list[Result], metric: str) -> bool:
    """Whether higher is better; the same version of the metric on both sides."""
    kinds = {(s.metric_version, s.higher_is_better) for r in results for s in r.scores if s.metric == metric}
    if len(kinds) > 1:
        raise ResultError("The two sides of a gap are of two versions of the metric.", where=results[0].task.name)
    return next(iter(kinds))[1]
