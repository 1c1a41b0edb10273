"""Errors of link features: pooled squared error with a dead zone of half a step, wrong ranks, precoder subspaces."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ResultError
from wbench.metric._weighted import check_weight, finite, weighted_mean
from wbench.metric.base import Metric, Table, Weight
from wbench.task.batch import Truth

__all__ = ["FeatureNse", "PrecoderChordal", "RankError"]

#: Directions of a precoder with less than this share of the strongest singular value are no layer.
LEAST_LAYER = 1e-3


class FeatureNse(Metric):
    """Pooled normalised squared error, ``Σ‖t̂ − t‖² / Σ‖t‖²`` over the valid entries of all samples.

    An entry that is off by less than half the step in which the feature is reported counts as right. Where even the
    trivial baseline is that good, its error is 0, and skill is undefined ("n/a").
    """

    name: ClassVar[str] = "feature_nse"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1e6)

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 2]: squared error and squared target over ``target_mask``."""
        target, mask = truth["target"].astype(np.float64), truth["target_mask"]
        found = _answer(pred, target, self.name)
        error = np.where(mask, found - target, 0.0)
        error[np.abs(error) < truth["step"][:, None] / 2] = 0.0
        return np.stack([(error**2).sum(axis=1), (np.where(mask, target, 0.0) ** 2).sum(axis=1)], axis=1)

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted ratio of sums."""
        check_weight(table, weight, self.name)
        error, reference = (float(np.sum(weight * column)) for column in table.T)
        if reference <= 0:
            raise ResultError("The normalised error of zero features is undefined.", where=f"metric {self.name}")
        return error / reference


class RankError(Metric):
    """Share of samples whose answer, rounded to a whole number of layers from 1 on, is not the rank."""

    name: ClassVar[str] = "rank_error"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 1]: 1 where the rank is wrong."""
        found = _answer(pred, truth["target"], self.name)
        return np.asarray(np.maximum(np.floor(found + 0.5), 1.0) != truth["target"], dtype=np.float64)

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted share."""
        check_weight(table, weight, self.name)
        return weighted_mean(table[:, 0], weight)


class PrecoderChordal(Metric):
    """Squared chordal distance of the layers' subspaces, ``1 − ‖QᴴQ̂‖²/R``, mean over the samples.

    Q spans the R columns of the true precoder, Q̂ the first R columns of the answer. For one layer it is
    ``1 − |wᴴŵ|²/(‖w‖²‖ŵ‖²)``; an answer of zeros scores 1. Source: D. J. Love and R. W. Heath, IEEE Trans. Inf. Theory
    51(8), 2005 (distance of precoders of unitary columns).
    """

    name: ClassVar[str] = "precoder_chordal"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 1] with ``truth["precoder"]`` complex [n, ports, layers], zero beyond the rank."""
        true = truth["precoder"].astype(np.complex128)
        flat = _answer(pred, truth["target"], self.name)
        half = flat.shape[1] // 2
        found = (flat[:, :half] + 1j * flat[:, half:]).reshape(true.shape)
        rank = np.count_nonzero(np.abs(true).max(axis=1) > 0, axis=1)
        if np.any(rank == 0):
            row = int(np.flatnonzero(rank == 0)[0])
            raise ResultError("A precoder without layers has no subspace.", where=f"metric {self.name}, row {row}")
        out = np.empty((len(true), 1))
        for layers in np.unique(rank).tolist():
            rows = rank == layers
            overlap = _basis(true[rows, :, :layers]).conj().swapaxes(1, 2) @ _basis(found[rows, :, :layers])
            out[rows, 0] = 1.0 - np.sum(np.abs(overlap) ** 2, axis=(1, 2)) / layers
        return np.clip(out, 0.0, 1.0)

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted mean."""
        check_weight(table, weight, self.name)
        return weighted_mean(table[:, 0], weight)


def _basis(columns: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    """Orthonormal basis of the columns of each matrix, zero columns where there are fewer directions: [n, N, R]."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    kept = (values > LEAST_LAYER * values[:, :1]) & (values > 0)
    return np.asarray(left * kept[:, None, :])


def _answer(pred: npt.NDArray[Any], target: npt.NDArray[Any], metric: str) -> npt.NDArray[np.float64]:
    if pred.shape != target.shape or np.iscomplexobj(pred):
        why = f"got {pred.dtype} {pred.shape} for {target.shape}"
        raise ResultError("The answer must be real and have the target's shape.", where=f"metric {metric}", why=why)
    return finite(np.asarray(pred, dtype=np.float64), "answer", metric)
