"""Choosing a method's free numbers on validation, and the training part at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.metric.catalogue import get_metric
from wbench.model import TrainingData
from wbench.task.batch import Batch, Truth
from wbench.task.spec import TaskSpec

__all__ = ["choose", "everything"]

T = TypeVar("T")
#: Configurations that a method may try (protocol: "Splits, budgets, regimes").
MOST = 32


def choose(
    spec: TaskSpec, configurations: Iterable[T], answer: Callable[[T], npt.NDArray[Any]], truth: Truth, model: str
) -> T:
    """Configuration whose answer has the best primary metric on validation; of equal ones the first.

    Parameters
    ----------
    spec : TaskSpec
        The task.
    configurations : iterable
        At most 32.
    answer : callable
        Answer [n, …] to the validation part for a configuration.
    truth : dict of str to ndarray
        Targets of the validation part.
    model : str
        Name for error messages.

    Raises
    ------
    ModelError
        More configurations than the protocol allows, or none.
    """
    tried = list(configurations)
    if not 1 <= len(tried) <= MOST:
        raise ModelError(f"A method may try 1 to {MOST} configurations.", where=model, why=f"{len(tried)} were given")
    metric = get_metric(spec.primary)
    best, chosen = np.inf, tried[0]
    for one in tried:
        pred = answer(one)
        table = metric.per_sample(pred, truth, metric.calibrate(pred, truth))
        value = metric.reduce(table, np.ones(len(table)))
        loss = -value if metric.higher_is_better else value
        if loss < best:
            best, chosen = loss, one
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
