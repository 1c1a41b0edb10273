"""Nearest neighbours on angular-delay magnitudes (fingerprinting)."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.angular_delay import angular_delay
from wbench.channel.array import Array
from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.trivial import class_count, only_classes

__all__ = ["KNearest", "Nearest", "check_angular_delay", "features", "needs_channel"]

#: Queries per matrix product: 256 × 350 000 training samples are 0.4 GB.
CHUNK = 256

#: Candidates beyond k that the exact second pass looks at.
SPARE = 8

#: Smallest cosine distance that a vote's weight 1/distance tells from none.
CLOSEST = 1e-6


def needs_channel(spec: TaskSpec) -> str | None:
    """Why a model of channels cannot do a task; None if it can."""
    shown = {"beam-rsrp": "the RSRP of beams", "feature-forecasting": "link features"}.get(spec.family)
    return f"needs channels; the task shows {shown} only" if shown else None


def check_angular_delay(meta: ChannelMeta, name: str) -> None:
    """Check that the channel has an angular-delay domain.

    Raises
    ------
    ModelError
        It does not end in transmit ports and subcarriers; ``name`` is the model that asks.
    """
    if meta.dims[-2:] != ("tx", "subcarrier"):
        raise ModelError("No angular-delay domain.", where=name, why=f"dimensions {meta.dims}")


def features(channel: npt.NDArray[np.complex64], meta: ChannelMeta) -> npt.NDArray[np.float32]:
    """Magnitudes of the angular-delay domain as unit vectors: blind to the common phase and to the gain.

    Parameters
    ----------
    channel : complex64 ndarray [n, ..., tx, subcarrier]
        Channels as served.
    meta : ChannelMeta
        Their transmit array.

    Returns
    -------
    float32 ndarray [n, features]
    """
    array = Array(meta.tx.rows, meta.tx.cols, slants=(0.0,) * meta.tx.polarisations)
    magnitude = np.abs(angular_delay(channel, array)).reshape(len(channel), -1)
    norm = np.sqrt((magnitude.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    unit: npt.NDArray[np.float32] = (magnitude / np.maximum(norm, np.finfo(np.float32).tiny)).astype(np.float32)
    return unit


class KNearest(Predictor):
    """Vote of the k = min(20, ⌊√n⌋) nearest training samples, cosine distance, weights 1/distance.

    The features are the magnitudes of the angular-delay domain, as a unit vector. Neighbours are searched exhaustively,
    by one matrix product in single precision per chunk of queries and an exact second pass over the best k + 8, so that
    rounding that depends on the size of the batch cannot change a vote. Equal distances: the earlier training sample.
    """

    info = ModelInfo(
        name="wbench/knn",
        revision="1",
        kind="classical",
        summary="k-NN on |angular-delay|, cosine distance, k = min(20, √n)",
        source="Cover and Hart, IEEE Trans. Inf. Theory 13(1), 1967; weights: Dudani, IEEE Trans. SMC 6(4), 1976",
        licence="Apache-2.0",
        trains=True,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Any ``classify`` task with a channel."""
        return only_classes(spec) or needs_channel(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Learn the number of classes and the array.

        Raises
        ------
        ModelError
            The channel does not end in transmit ports and subcarriers, or the classes are not declared.
        """
        super().setup(spec, meta)
        self.classes = class_count(meta, self.info.name)
        check_angular_delay(meta, self.info.name)

    def neighbours(self, n: int) -> int:
        """Number of neighbours for n training samples."""
        return min(20, isqrt(n))

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Keep the training features and labels.

        Raises
        ------
        ModelError
            The training part is empty.
        """
        parts = [(features(batch.x["H"], batch.meta), truth["label"]) for batch, truth in train.batches()]
        if not sum(len(label) for _, label in parts):
            raise ModelError("The training part is empty.", where=self.info.name)
        self.known = np.concatenate([known for known, _ in parts])
        self.label = np.concatenate([label for _, label in parts]).astype(np.int64)
        self.k = self.neighbours(len(self.known))

    def predict(self, batch: Batch) -> npt.NDArray[np.float64]:
        """Share of the weighted votes: float64 [n, classes]."""
        query = features(batch.x["H"], batch.meta)
        scores = np.zeros((len(query), self.classes))
        for start in range(0, len(query), CHUNK):
            rows = slice(start, start + CHUNK)
            index, distance = self._search(query[rows])
            weight = 1 / np.maximum(distance, CLOSEST)
            np.add.at(scores[rows], (np.arange(len(index))[:, None], self.label[index]), weight)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def _search(self, query: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Indices int64 and cosine distances float64 of the nearest, [q, k], nearest first."""
        similar = query @ self.known.T
        few = min(self.k + SPARE, len(self.known))
        candidates = np.argpartition(similar, len(self.known) - few, axis=1)[:, -few:]
        candidates.sort(axis=1)
        distance = np.stack([_cosine_distance(q, self.known[c]) for q, c in zip(query, candidates, strict=True)])
        order = np.argsort(distance, axis=1, kind="stable")[:, : self.k]
        return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(distance, order, axis=1)


def _cosine_distance(one: npt.NDArray[np.float32], others: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    distance: npt.NDArray[Any] = 1 - (others.astype(np.float64) * one).sum(axis=1)
    return distance


class Nearest(KNearest):
    """The class of the nearest training sample (k = 1), as :class:`KNearest` otherwise."""

    info = ModelInfo(
        name="wbench/1-nn",
        revision="1",
        kind="classical",
        summary="Nearest neighbour on |angular-delay|, cosine distance",
        source="Cover and Hart, IEEE Trans. Inf. Theory 13(1), 1967",
        licence="Apache-2.0",
        trains=True,
    )

    def neighbours(self, n: int) -> int:
        """One."""
        return 1
