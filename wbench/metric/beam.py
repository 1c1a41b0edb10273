"""Metrics of beam prediction. Ties are pessimistic: of equal scores the worst choice counts.

A constant predictor would otherwise score whatever the order of the beams happens to give it. Every table has a last
column ``tied`` (1 where the best way to break the tie would have scored better), so the rate can be reported.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ResultError
from wbench.metric._weighted import DB_LIMIT, check_weight, checked_scores, decibels, finite, linear, weighted_mean
from wbench.metric.base import Metric, Table, Weight
from wbench.task.batch import Truth

__all__ = ["Dba", "RsrpLoss", "Top1", "Top1Of3", "Top1Of5", "Top3", "Top5", "Within1Db"]


class _Ranked(Metric):
    """Common part: table [contribution, tied], value the weighted mean of the contribution."""

    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted mean over samples."""
        check_weight(table, weight, self.name)
        return weighted_mean(table[:, 0], weight)

    def tie_rate(self, table: Table, weight: Weight) -> float:
        """Weighted share of samples whose contribution hangs on how a tie is broken."""
        check_weight(table, weight, self.name)
        return weighted_mean(table[:, 1], weight)


class _TopK(_Ranked):
    """Share of samples whose true class is among the k best scores: fewer than k others score at least as much."""

    k: ClassVar[int]

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 2]: hit, tied."""
        scores, label = checked_scores(pred, truth["label"], self.name)
        own = np.take_along_axis(scores, label[:, None], axis=1)
        hit = np.sum(scores >= own, axis=1) <= self.k
        lucky = np.sum(scores > own, axis=1) < self.k
        return np.stack([hit, hit != lucky], axis=1).astype(np.float64)


class Top1(_TopK):
    """Accuracy of the best score."""

    name: ClassVar[str] = "top1"
    k: ClassVar[int] = 1


class Top3(_TopK):
    """Share of samples with the true beam among the three best scores; Top-K/1 in TR 38.843, K = 3."""

    name: ClassVar[str] = "top3"
    k: ClassVar[int] = 3


class Top5(_TopK):
    """Share of samples with the true beam among the five best scores; Top-K/1 in TR 38.843, K = 5."""

    name: ClassVar[str] = "top5"
    k: ClassVar[int] = 5


def _chosen_over_best(
    pred: npt.NDArray[Any], truth: Truth, metric: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """RSRP of the chosen over that of the best beam, in [0, 1], with ties broken for the worst and for the best."""
    scores, _ = checked_scores(pred, truth["label"], metric)
    rsrp = finite(np.asarray(truth["rsrp"], dtype=np.float64), "RSRP", metric)
    if rsrp.shape != scores.shape or np.any(rsrp < 0):
        why = f"RSRP {rsrp.shape}, scores {scores.shape}"
        raise ResultError("RSRP must be one non-negative power per beam.", where=f"metric {metric}", why=why)
    best = rsrp.max(axis=1, keepdims=True)
    if np.any(best <= 0):
        row = int(np.flatnonzero(best <= 0)[0])
        raise ResultError("The best beam of a zero channel is undefined.", where=f"metric {metric}, row {row}")
    chosen = scores == scores.max(axis=1, keepdims=True)
    ratio = rsrp / best
    return np.where(chosen, ratio, np.inf).min(axis=1), np.where(chosen, ratio, -np.inf).max(axis=1)


class Within1Db(_Ranked):
    """Share of samples whose chosen beam is at most 1 dB below the best one."""

    name: ClassVar[str] = "within_1db"

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 2]: hit, tied; from ``truth["rsrp"]`` float [n, beams], linear."""
        worst, best = (ratio >= linear(-1.0) for ratio in _chosen_over_best(pred, truth, self.name))
        return np.stack([worst, worst != best], axis=1).astype(np.float64)


class _Top1OfK(_Ranked):
    """Share of samples whose chosen beam is one of the K strongest: fewer than K others are stronger.

    Of beams of equal power each may be among the K strongest; only equal *scores* count pessimistically.
    """

    k: ClassVar[int]

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 2]: hit, tied; from ``truth["rsrp"]`` float [n, beams], linear."""
        worst, best = _chosen_over_best(pred, truth, self.name)
        rsrp = np.asarray(truth["rsrp"], dtype=np.float64)
        ratio = rsrp / rsrp.max(axis=1, keepdims=True)
        hit, lucky = (np.sum(ratio > chosen[:, None], axis=1) < self.k for chosen in (worst, best))
        return np.stack([hit, hit != lucky], axis=1).astype(np.float64)


class Top1Of3(_Top1OfK):
    """Share of samples whose best score is one of the three strongest beams; Top-1/K in TR 38.843, K = 3."""

    name: ClassVar[str] = "top1_of_3"
    k: ClassVar[int] = 3


class Top1Of5(_Top1OfK):
    """Share of samples whose best score is one of the five strongest beams; Top-1/K in TR 38.843, K = 5."""

    name: ClassVar[str] = "top1_of_5"
    k: ClassVar[int] = 5


class RsrpLoss(_Ranked):
    """Mean loss of the chosen against the best beam in dB; the loss of a sample is clipped at 300 dB."""

    name: ClassVar[str] = "rsrp_loss_db"
    unit: ClassVar[str] = "dB"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, DB_LIMIT)

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 2]: RSRP of the chosen over that of the best beam (linear), tied."""
        worst, best = _chosen_over_best(pred, truth, self.name)
        return np.stack([worst, (worst != best).astype(np.float64)], axis=1)

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted mean over samples of the loss in dB."""
        check_weight(table, weight, self.name)
        return weighted_mean(0.0 - decibels(table[:, 0]), weight)

    def error(self, value: float) -> float:
        """Share of the power that is lost, ``1 - 10^(-value/10)``."""
        return 1.0 - linear(-value)


class Dba(_Ranked):
    """Distance-based accuracy of the DeepSense 6G challenge (2022), K = 3, on the cyclic axis of a DFT codebook.

    ``Y_k = 1 - mean min_{m ≤ k} min(d_m / Δ, 1)`` and DBA = (Y_1 + Y_2 + Y_3) / 3, with ``d_m`` the distance in beams
    of the m-th best score from the true beam. DFT beams wrap around, so N - 1 is next to 0. ``Δ = 5·N/64`` keeps
    the challenge's Δ = 5 of 64 beams for every codebook size.
    """

    name: ClassVar[str] = "dba"
    k: ClassVar[int] = 3

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 2]: the sample's mean over k of ``1 - min(d, Δ)/Δ``, tied."""
        scores, label = checked_scores(pred, truth["label"], self.name)
        beams = scores.shape[1]
        if beams < self.k:
            raise ResultError(f"DBA needs at least {self.k} beams.", where=f"metric {self.name}", why=f"got {beams}")
        offset = np.abs(np.arange(beams) - label[:, None])
        distance = np.minimum(offset, beams - offset)
        worst, best = (self._accuracy(scores, distance, order, beams) for order in (-distance, distance))
        return np.stack([worst, (worst != best).astype(np.float64)], axis=1)

    def _accuracy(
        self, scores: npt.NDArray[np.float64], distance: npt.NDArray[Any], tie_order: npt.NDArray[Any], beams: int
    ) -> npt.NDArray[np.float64]:
        first = np.lexsort((tie_order, -scores), axis=-1)[:, : self.k]
        nearest = np.minimum.accumulate(np.take_along_axis(distance, first, axis=1), axis=1)
        accuracy: npt.NDArray[np.float64] = np.mean(1.0 - np.minimum(nearest / (5.0 * beams / 64.0), 1.0), axis=1)
        return accuracy
