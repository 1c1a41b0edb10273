"""Choosing a method's free numbers on validation by the primary metric, and the training part at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from wbench import tuning
from wbench.errors import ModelError
from wbench.metric.catalogue import get_metric
from wbench.model import Model, TrainingData
from wbench.task.batch import Batch, Truth

__all__ = ["choose", "everything"]

T = TypeVar("T")


def choose(
    model: Model,
    names: Sequence[str],
    configurations: Iterable[T],
    answer: Callable[[T], npt.NDArray[Any]],
    truth: Truth,
) -> T:
    """Configuration whose answer has the best primary metric on validation; of equal ones the first.

    Parameters
    ----------
    model : Model
        Whose search this is; it is recorded in its ``searches``.
    names : sequence of str
        Names of a configuration's values.
    configurations : iterable of tuple
        At most 32.
    answer : callable
        Answer [n, …] to the validation part for a configuration.
    truth : dict of str to ndarray
        Targets of the validation part.

    Raises
    ------
    ModelError
        More configurations than the protocol allows, or none.
    """
    metric = get_metric(model.spec.primary)

    def score(one: T) -> float:
        pred = answer(one)
        table = metric.per_sample(pred, truth, metric.calibrate(pred, truth))
        return metric.reduce(table, np.ones(len(table)))

    search = tuning.Search.by_metric(model.info.name, metric.name)
    chosen = tuning.choose(search, names, configurations, score)
    model.searches = (search,)
    return chosen


def everything(data: TrainingData, model: str) -> tuple[Batch, Truth]:
    """All samples of a part.

    Raises
    ------
    ModelError
        It is empty.
    """
    if not len(data):
        raise ModelError("The training part is empty.", where=model)
    return data.load()
