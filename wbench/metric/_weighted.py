"""What the metrics share: input checks, weighted mean and median, decibels with a floor.

All of it is exact under "weight = repetition": a sample of weight 2 counts like the same sample twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ResultError
from wbench.metric.base import Table, Weight

__all__ = [
    "DB_LIMIT",
    "check_weight",
    "checked_scores",
    "decibels",
    "finite",
    "linear",
    "weighted_mean",
    "weighted_median",
    "weighted_quantile",
]

#: Power ratios outside ±300 dB are clipped, so that every value (a perfect answer is -inf dB) stays finite.
DB_LIMIT = 300.0


def decibels(ratio: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """``10 log10`` of non-negative power ratios, clipped to ±300 dB."""
    low, high = linear(-DB_LIMIT), linear(DB_LIMIT)
    return 10.0 * np.log10(np.clip(np.asarray(ratio, dtype=np.float64), low, high))


def linear(value_db: float) -> float:
    """Power ratio of a value in dB."""
    return float(10.0 ** (value_db / 10.0))


def finite(values: npt.NDArray[Any], what: str, metric: str) -> npt.NDArray[Any]:
    """The array itself, if all of it is finite.

    A comparison with NaN is false, which would count as a hit or as "no tie"; so nothing non-finite may pass.

    Raises
    ------
    ResultError
        If not; names the first row concerned.
    """
    good = np.isfinite(values)
    if not good.all():
        row = int(np.argwhere(~good)[0][0])
        raise ResultError(f"The {what} must be finite.", where=f"metric {metric}, row {row}")
    return values


def checked_scores(
    pred: npt.NDArray[Any], label: npt.NDArray[Any], metric: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Scores float64 [n, C] and labels int64 [n], checked against each other.

    Raises
    ------
    ResultError
        If shapes do not match, a score is not finite, or a label is not a class.
    """
    scores = np.asarray(pred)
    labels = np.asarray(label)
    where = f"metric {metric}"
    if scores.ndim != 2 or scores.shape[1] < 2 or labels.shape != scores.shape[:1]:
        raise ResultError(
            "Scores must be [n, C ≥ 2] and labels [n].", where=where, why=f"got {scores.shape} and {labels.shape}"
        )
    if np.iscomplexobj(scores) or not np.issubdtype(labels.dtype, np.integer):
        raise ResultError(
            "Scores must be real and labels integers.", where=where, why=f"{scores.dtype}, {labels.dtype}"
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < scores.shape[1]):
        why = f"labels from {labels.min()} to {labels.max()}, {scores.shape[1]} classes"
        raise ResultError("A label is not one of the classes.", where=where, why=why)
    return finite(scores, "scores", metric).astype(np.float64), labels.astype(np.int64)


def check_weight(table: Table, weight: Weight, metric: str) -> None:
    """Check the weights of a reduction.

    Raises
    ------
    ResultError
        If the weights do not fit the table, are negative or not finite, or are all zero (an empty slice).
    """
    if table.ndim != 2 or weight.shape != table.shape[:1]:
        why = f"table {table.shape}, weights {weight.shape}"
        raise ResultError("A reduction needs one weight per row.", where=f"metric {metric}", why=why)
    if weight.size and not (np.isfinite(weight).all() and weight.min() >= 0):
        raise ResultError("Weights must be finite and non-negative.", where=f"metric {metric}")
    if not weight.any():
        raise ResultError("The score of an empty slice is undefined.", where=f"metric {metric}")


def weighted_mean(values: npt.NDArray[np.float64], weight: Weight) -> float:
    """``Σ w x / Σ w``; the weights have been checked."""
    return float(np.sum(weight * values) / np.sum(weight))


def weighted_median(values: npt.NDArray[np.float64], weight: Weight) -> float:
    """Median of weighted values; with equal weights the usual one (mean of the two middle values for even n)."""
    return weighted_quantile(values, weight, 0.5)


def weighted_quantile(values: npt.NDArray[np.float64], weight: Weight, level: float) -> float:
    """Quantile of weighted values: where the cumulated weight passes the level, the midpoint if it hits it.

    Definition 2 of Hyndman and Fan (The American Statistician 50(4), 1996), NumPy's ``averaged_inverted_cdf``.
    """
    kept = weight > 0
    order = np.argsort(values[kept], kind="stable")
    ordered, cumulated = values[kept][order], np.cumsum(weight[kept][order])
    # A thousandth of one in a million samples: rounding of the sums must not decide whether the level is hit.
    reach, rounding = level * cumulated[-1], 1e-9 * cumulated[-1]
    lower = int(np.searchsorted(cumulated, reach - rounding))
    upper = min(int(np.searchsorted(cumulated, reach + rounding)), len(ordered) - 1)
    return float(0.5 * (ordered[lower] + ordered[upper]))
