"""Metrics of detection (LoS or not): F1, balanced accuracy at one operating point; AUROC and AUPRC over all of them.

Class 1 is the positive one. With two classes the decision is ``s1 - s0 > threshold``, and the threshold is the one of
best macro-F1 on validation; F1 and balanced accuracy use the same one, so all describe the same decisions.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ResultError
from wbench.metric._weighted import check_weight, checked_scores
from wbench.metric.base import Metric, Table, Weight
from wbench.task.batch import Truth

__all__ = ["Auprc", "Auroc", "BalancedAccuracy", "F1Binary", "F1Macro", "best_threshold"]

_Floats = npt.NDArray[np.float64]


def best_threshold(margin: _Floats, label: npt.NDArray[np.int64]) -> float | None:
    """Threshold on the margin that maximises macro-F1.

    Parameters
    ----------
    margin : ndarray of float64 [n]
        Score of class 1 minus score of class 0.
    label : ndarray of int64 [n]
        0 or 1.

    Returns
    -------
    float or None
        None if not both classes are there (then no threshold is better than another).

    Notes
    -----
    Candidates are 0, the midpoints between neighbouring margins, and one below and one above all of them. Of equally
    good ones the nearest to 0 is taken (then the lower): argmax stands unless something is strictly better.
    """
    positives = int(label.sum())
    negatives = len(label) - positives
    if positives == 0 or negatives == 0:
        return None
    steps = np.unique(margin)
    reach = 1.0 + np.abs(steps[[0, -1]])  # further than one rounding step of any margin
    ends = (steps[0] - reach[0], steps[-1] + reach[1])
    candidates = np.concatenate([[0.0, *ends], 0.5 * (steps[:-1] + steps[1:])])
    tp = positives - np.searchsorted(np.sort(margin[label == 1]), candidates, side="right")
    fp = negatives - np.searchsorted(np.sort(margin[label == 0]), candidates, side="right")
    wrong = fp + positives - tp
    tn = negatives - fp
    f1 = tp / (2 * tp + wrong) + tn / (2 * tn + wrong)
    return float(candidates[np.lexsort((candidates, np.abs(candidates), -f1))[0]])


def _margin(scores: _Floats, metric: str) -> _Floats:
    if scores.shape[1] != 2:
        raise ResultError("This metric is for two classes.", where=f"metric {metric}", why=f"got {scores.shape[1]}")
    margin: _Floats = scores[:, 1] - scores[:, 0]
    return margin


class _Decided(Metric):
    """Common part of what depends on decisions: table [decision one-hot over C classes, label].

    With more than two classes the decision is the best score (the first of equal ones) and nothing is calibrated.
    """

    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def calibrate(self, pred: npt.NDArray[Any], truth: Truth) -> dict[str, float]:
        """Threshold of best macro-F1 on validation.

        Returns
        -------
        dict of str to float
            ``threshold``, and ``calibrated``: 1, or 0 if validation has only one class or is empty. Then the
            threshold is 0, which is argmax. Empty with more than two classes.
        """
        scores, label = checked_scores(pred, truth["label"], self.name)
        if scores.shape[1] != 2:
            return {}
        threshold = best_threshold(_margin(scores, self.name), label)
        return {"threshold": threshold or 0.0, "calibrated": float(threshold is not None)}

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, C + 1]. Without a threshold in ``calibration`` (zero-shot) two classes are cut at 0 (argmax)."""
        scores, label = checked_scores(pred, truth["label"], self.name)
        if scores.shape[1] == 2:
            decision = (_margin(scores, self.name) > calibration.get("threshold", 0.0)).astype(np.int64)
        else:
            decision = scores.argmax(axis=1)
        return np.column_stack([np.eye(scores.shape[1])[decision], label.astype(np.float64)])

    def _confusion(self, table: Table, weight: Weight) -> _Floats:
        """Weighted counts [true, decided], C × C; at least two true classes."""
        check_weight(table, weight, self.name)
        classes = table.shape[1] - 1
        truth = np.eye(classes)[table[:, -1].astype(np.int64)]
        confusion: _Floats = truth.T @ (weight[:, None] * table[:, :-1])
        if np.count_nonzero(confusion.sum(axis=1)) < 2:
            raise ResultError(f"{self.name} needs samples of two classes.", where=f"metric {self.name}")
        return confusion


def _f1(confusion: _Floats) -> _Floats:
    """F1 of every class that occurs or was decided for; others are left out, as they have none."""
    total = confusion.sum(axis=0) + confusion.sum(axis=1)
    seen = total > 0
    scores: _Floats = 2 * np.diag(confusion)[seen] / total[seen]
    return scores


class F1Macro(_Decided):
    """Mean of the F1 of each class."""

    name: ClassVar[str] = "f1_macro"

    def reduce(self, table: Table, weight: Weight) -> float:
        """Macro-F1 of the weighted confusion counts."""
        return float(_f1(self._confusion(table, weight)).mean())


class F1Binary(_Decided):
    """F1 of class 1. Answering 1 always scores 2p/(1 + p) at prevalence p, so read it beside ``f1_macro``."""

    name: ClassVar[str] = "f1_binary"

    def reduce(self, table: Table, weight: Weight) -> float:
        """F1 of class 1 of the weighted confusion counts."""
        confusion = self._confusion(table, weight)
        if len(confusion) != 2:
            raise ResultError("This metric is for two classes.", where=f"metric {self.name}", why=f"{len(confusion)}")
        return float(_f1(confusion)[1])


class BalancedAccuracy(_Decided):
    """Mean recall of the classes that occur."""

    name: ClassVar[str] = "balanced_accuracy"

    def reduce(self, table: Table, weight: Weight) -> float:
        """Mean recall of the weighted confusion counts."""
        confusion = self._confusion(table, weight)
        occurring = confusion.sum(axis=1) > 0
        return float(np.mean(np.diag(confusion)[occurring] / confusion.sum(axis=1)[occurring]))


class _Margin(Metric):
    """Common part of what needs scores only: table [s1 - s0, label]."""

    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 2]: margin, label."""
        scores, label = checked_scores(pred, truth["label"], self.name)
        return np.column_stack([_margin(scores, self.name), label.astype(np.float64)])

    def _by_margin(self, table: Table, weight: Weight) -> tuple[_Floats, _Floats]:
        """Weights of positives and negatives at each distinct margin, ascending."""
        check_weight(table, weight, self.name)
        margins, place = np.unique(table[:, 0], return_inverse=True)
        positive = np.bincount(place, weight * table[:, 1], minlength=len(margins)).astype(np.float64)
        negative = np.bincount(place, weight * (1.0 - table[:, 1]), minlength=len(margins)).astype(np.float64)
        if not (positive.any() and negative.any()):
            raise ResultError(f"{self.name} needs samples of both classes.", where=f"metric {self.name}")
        return positive, negative


class Auroc(_Margin):
    """Area under the ROC curve: chance that a positive scores above a negative, equal scores counting half.

    The Mann-Whitney statistic (Hanley and McNeil, Radiology 1982), weighted.
    """

    name: ClassVar[str] = "auroc"

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted Mann-Whitney statistic."""
        positive, negative = self._by_margin(table, weight)
        below = np.cumsum(negative) - negative
        return float(np.sum(positive * (below + 0.5 * negative)) / (positive.sum() * negative.sum()))


class Auprc(_Margin):
    """Average precision: ``Σ (R_k - R_{k-1}) P_k`` over the distinct margins, without interpolation."""

    name: ClassVar[str] = "auprc"

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted average precision."""
        positive, negative = (side[::-1] for side in self._by_margin(table, weight))
        found = np.cumsum(positive)
        claimed = found + np.cumsum(negative)
        # Margins without weight (another slice) come first with 0/0; they carry no recall either.
        precision = np.divide(found, claimed, out=np.zeros_like(found), where=claimed > 0)
        return float(np.sum(positive * precision) / found[-1])
