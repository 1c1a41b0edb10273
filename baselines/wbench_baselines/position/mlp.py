"""A small network from fingerprints, ranges and angles to the place (needs PyTorch)."""

from __future__ import annotations

from typing import ClassVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec
from wbench.training import TrainingSettings, seeded
from wbench.training import train as train_network
from wbench_baselines.position.fingerprints import clipped, fingerprints, only_positioning
from wbench_baselines.position.links import measure
from wbench_baselines.position.tuning import everything

__all__ = ["PositionMlp", "inputs"]

F32 = npt.NDArray[np.float32]
WIDTH = 256
#: Delay rows per input, and depth of the fingerprint.
MERGED, DEPTH_DB = 4, 60.0


def inputs(batch: Batch) -> F32:
    """Fingerprint, and of each link its RSRP, range, axis cosine and loss beyond free space: float32 [n, d].

    A base station that is not heard has a range, cosine and excess loss of 0.
    """
    links = measure(batch)
    measured = [links.range_m / 100, links.cosine, links.excess_db / 20, np.ones_like(links.range_m)]
    rsrp = batch.x["rsrp_db"].astype(np.float64) / 50
    own = np.concatenate([*(np.where(links.heard, values, 0.0) for values in measured), rsrp], axis=1)
    prints = clipped(fingerprints(batch, MERGED), DEPTH_DB)
    return np.concatenate([prints, own.astype(np.float32)], axis=1)


class PositionMlp(Predictor):
    """Two hidden layers of 256 units on standardised inputs; trained on the mean distance to the place.

    AdamW with early stopping on the same distance on validation; weights and order hang on the seed.
    """

    #: Training, and its least number of steps, so that a small budget is trained to its end as well.
    settings: ClassVar[TrainingSettings] = TrainingSettings(
        epochs=60, batch=128, lr=1e-3, weight_decay=0.05, patience=12
    )
    steps: ClassVar[int] = 1000

    info = ModelInfo(
        name="wbench/position-mlp",
        revision="1",
        kind="network",
        summary="MLP 2 × 256 on fingerprints, first-path delays, angles and RSRP",
        source="Arnold et al., SCC 2019 (place from CSI by a feed-forward network); AdamW: ICLR 2019",
        licence="Apache-2.0",
        trains=True,
        stochastic=True,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Positioning."""
        return only_positioning(spec)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Train on the mean distance, stop on that of ``val``.

        Raises
        ------
        ModelError
            The training part is empty.
        """
        batch, truth = everything(train, self.info.name)
        x = inputs(batch)
        self.mean, deviation = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        self.deviation = np.where(deviation > 1e-5 * np.abs(self.mean), deviation, np.inf)
        place = truth["target"].astype(np.float64)
        self.centre, self.extent = place.mean(axis=0), float(np.maximum(place.std(), 1.0))
        known, answer = self._standard(x), self._scaled(place)
        held_batch, held_truth = val.load()
        held, held_answer = self._standard(inputs(held_batch)), self._scaled(held_truth["target"])
        self.network = seeded(lambda: _network(x.shape[1]), seed, "position-mlp")

        def loss(rows: npt.NDArray[np.int64], random: torch.Generator) -> Tensor:
            return _distance(self.network(known[rows]), answer[rows])

        def validate() -> float:
            return float(_distance(self.network(held), held_answer))

        train_network(self.network, len(x), loss, self.settings.lasting(len(x), self.steps), seed, validate=validate)

    def predict(self, batch: Batch) -> npt.NDArray[np.float64]:
        """Places in m: float64 [n, 2]."""
        with torch.inference_mode():
            answer = self.network(self._standard(inputs(batch))).numpy().astype(np.float64)
        return cast(npt.NDArray[np.float64], answer * self.extent + self.centre)

    def count_parameters(self) -> int:
        """Weights and biases."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def _standard(self, x: F32) -> Tensor:
        return torch.from_numpy(((x - self.mean) / self.deviation).astype(np.float32))

    def _scaled(self, place: npt.NDArray[np.floating]) -> Tensor:
        return torch.from_numpy(((place - self.centre) / self.extent).astype(np.float32))


def _network(size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(size, WIDTH), nn.ReLU(), nn.Dropout(0.1), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2)
    )


def _distance(answer: Tensor, place: Tensor) -> Tensor:
    return torch.sqrt(((answer - place) ** 2).sum(dim=1) + 1e-8).mean()
