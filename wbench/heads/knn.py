"""The nearest-neighbour head: what the features' geometry alone tells, with nothing fitted."""

from __future__ import annotations

from math import isqrt
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from wbench.heads.base import Features, Head
from wbench.task.batch import Truth

__all__ = ["NearestHead"]

MOST = 20
#: Queries per matrix product: 256 × 350 000 training samples are 0.7 GB.
CHUNK = 256
#: Cosines are compared to twelve digits, so that the last bits of a matrix product, which depend on how many queries it
#: holds, never decide between neighbours.
DIGITS = 12


class NearestHead(Head):
    """Vote of the k = min(20, ⌊√n⌋) nearest training samples by cosine of the pooled features, each counting the same.

    The search is exhaustive. Of equal cosines the earlier training sample is nearer; a vector of zeros has cosine 0
    with all. ``regress`` tasks get the mean of the neighbours' targets. Nothing is standardised: angles are between
    features as the embedder gives them. Cover and Hart, IEEE Trans. Inf. Theory 13(1), 1967.
    """

    name: ClassVar[str] = "knn"
    summary: ClassVar[str] = "vote of the min(20, √n) nearest by cosine"

    def fit(self, train: tuple[Features, Truth], val: tuple[Features, Truth], classes: int | None, seed: int) -> None:
        """Keep the training features as unit vectors, and their answers."""
        features, truth = train
        self._known = _unit(features)
        self._answer = (
            truth["target"].astype(np.float64)
            if classes is None
            else np.eye(classes, dtype=np.float64)[truth["label"].astype(np.int64)]
        )
        self.k = min(MOST, isqrt(len(features)))

    def predict(self, features: Features) -> npt.NDArray[np.float64]:
        """Share of the votes [n, classes], or mean target [n, m]."""
        query = _unit(features)
        return np.concatenate(
            [
                self._answer[self._nearest(query[start : start + CHUNK])].mean(axis=1)
                for start in range(0, len(query), CHUNK)
            ]
        )

    def _nearest(self, query: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Rows of the k nearest training samples, int64 [q, k]."""
        distance = -np.round(query @ self._known.T, DIGITS)
        reach = np.partition(distance, self.k - 1, axis=1)[:, self.k - 1 : self.k]
        # What is nearer than the k-th counts in any case; of those at its distance the earlier ones fill up.
        rank = np.where(distance < reach, 0, np.where(distance == reach, 1, 2)).astype(np.int8)
        return np.argsort(rank, axis=1, kind="stable")[:, : self.k]

    def count_parameters(self) -> int:
        """None: the training samples are kept, not fitted."""
        return 0


def _unit(features: Features) -> npt.NDArray[np.float64]:
    features = np.asarray(features, dtype=np.float64)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(length > 0, length, 1.0))
