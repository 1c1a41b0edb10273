"""Choosing a method's free numbers on validation, so that what was tried can be seen.

A model keeps what it tried in :attr:`wbench.model.Model.searches`; ``wbench train`` prints it, results have what was
chosen. The protocol allows 32 configurations; the 33rd is an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from wbench.errors import ModelError
from wbench.metric.catalogue import get_metric

__all__ = ["MOST", "Search", "Trial", "Value", "check_count", "choose", "chosen_values", "nmse_db"]

#: Configurations that a method may try (protocol: "Splits, budgets, regimes").
MOST = 32
#: What can be chosen.
Value = bool | int | float | str
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration and its score on validation."""

    values: dict[str, Value]
    score: float


class Search:
    """One choice of at most 32 configurations on validation; of equally good ones the first is chosen.

    Parameters
    ----------
    model : str
        Name, for error messages.
    criterion : str
        What the score is: a name of :mod:`wbench.metric.catalogue`, or another one in words.
    larger : bool
        Whether a larger score is better.
    samples : int, optional
        Validation samples that scores are taken on, where they are not all.
    """

    def __init__(self, model: str, criterion: str, *, larger: bool = False, samples: int | None = None) -> None:
        self.model, self.criterion, self.larger, self.samples = model, criterion, larger, samples
        self.trials: list[Trial] = []
        self._best: int | None = None

    @classmethod
    def by_metric(cls, model: str, metric: str) -> Search:
        """Search whose scores are those of a metric, on all of validation."""
        return cls(model, metric, larger=get_metric(metric).higher_is_better)

    def add(self, score: float, values: Mapping[str, Any]) -> bool:
        """Record a configuration; True if it is the best so far. A score that is not a number is the worst.

        Raises
        ------
        ModelError
            It is the 33rd.
        """
        check_count(len(self.trials) + 1, self.model)
        trial = Trial({name: _plain(value) for name, value in values.items()}, float(score))
        self.trials.append(trial)
        better = self._best is None or self._loss(trial) < self._loss(self.trials[self._best])
        if better:
            self._best = len(self.trials) - 1
        return better

    @property
    def best(self) -> int:
        """Index of the chosen trial.

        Raises
        ------
        ModelError
            Nothing was tried.
        """
        if self._best is None:
            raise ModelError(f"A method may try 1 to {MOST} configurations.", where=self.model, why="none was tried")
        return self._best

    @property
    def chosen(self) -> dict[str, Value]:
        """Values of the chosen trial."""
        return self.trials[self.best].values

    def _loss(self, trial: Trial) -> float:
        loss = -trial.score if self.larger else trial.score
        return math.inf if math.isnan(loss) else loss


def choose(search: Search, names: Sequence[str], configurations: Iterable[T], score: Callable[[T], float]) -> T:
    """Score every configuration, record it, and return the best one.

    Parameters
    ----------
    search : Search
        Where it is recorded.
    names : sequence of str
        Names of a configuration's values: one if it is a number or a string, as many as it is long if it is a tuple.
    configurations : iterable
        At most 32.
    score : callable
        Score of a configuration on validation.

    Raises
    ------
    ModelError
        More configurations than the protocol allows, or none; nothing has been scored then.
    """
    tried = list(configurations)
    check_count(len(tried), search.model)
    for one in tried:
        values = one if isinstance(one, tuple) else (one,)
        search.add(score(one), dict(zip(names, values, strict=True)))
    return tried[search.best]


def check_count(count: int, model: str) -> None:
    """Check the number of configurations.

    Raises
    ------
    ModelError
        It is none, or more than the protocol allows.
    """
    if not 1 <= count <= MOST:
        step = "make the grid coarser; what is best on hundreds of configurations is fitted to validation"
        raise ModelError(
            f"A method may try 1 to {MOST} configurations on validation.",
            where=model,
            why=f"this is number {count}" if count else "there is none",
            next_step=step,
        )


def chosen_values(searches: Iterable[Search]) -> dict[str, Value]:
    """What all searches of a model chose, by name; a name that comes again gets a number."""
    found: dict[str, Value] = {}
    for search in searches:
        for name, value in search.chosen.items():
            count = sum(1 for other in found if other == name or other.startswith(f"{name} #"))
            found[f"{name} #{count + 1}" if count else name] = value
    return found


def nmse_db(error: float, power: float) -> float:
    """Ratio of sums in dB, as the metric ``nmse_ros_db`` has it; −inf without an error."""
    ratio = error / power if power > 0 else math.inf
    return 10.0 * math.log10(ratio) if ratio > 0 else -math.inf if ratio == 0 else ratio


def _plain(value: Any) -> Value:
    """A Python number or string of a NumPy one; what is neither, or not finite, by its text."""
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, float) and not math.isfinite(plain):
        return str(plain)
    return plain if isinstance(plain, (bool, int, float, str)) else str(plain)
