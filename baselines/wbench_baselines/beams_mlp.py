"""Best beam of Set A from the RSRP of Set B by a small network."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from wbench.metric.catalogue import get_metric
from wbench.model import ModelInfo, TrainingData
from wbench.task.batch import Batch, Truth
from wbench_baselines.beams_rsrp import Floats, RsrpModel, relative_db

__all__ = ["RsrpMlp"]

WIDTH, EPOCHS, PATIENCE, BATCH, RATE, DECAY = 256, 100, 10, 256, 1e-3, 1e-4
#: Softness in dB of the training targets, for validation to choose: a beam d dB below the best weighs e^(−d/softness).
SOFTNESS_DB = (0.0, 0.5, 2.0)


class RsrpMlp(RsrpModel):
    """Two hidden layers of 256 ReLU units, softmax over the beams of Set A.

    Trained with Adam (learning rate 1e-3, decoupled weight decay 1e-4, batches of 256, at most 100 epochs) on cross-
    entropy; kept is the epoch of best score on validation by the task's primary metric, 10 epochs without a better one
    end it. The targets are the best beam, or are softened over the beams near it in RSRP; validation chooses of three.
    """

    info = ModelInfo(
        name="wbench/rsrp-mlp",
        revision="1",
        kind="network",
        summary="MLP 2 × 256 from the RSRP of Set B to the beams of Set A",
        source="Rumelhart, Hinton, Williams, Nature 323, 1986; Loshchilov and Hutter, ICLR 2019 (AdamW)",
        licence="Apache-2.0",
        trains=True,
        stochastic=True,
    )

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Train once per softness and keep the best network on ``val``.

        Raises
        ------
        ModelError
            A part is empty.
        """
        with _one_thread():
            self._fit(train, val, seed)

    def _fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        (x, truth), (held, answer) = self.gather(train), self.gather(val)
        self.mean, deviation = x.mean(axis=0), x.std(axis=0)
        self.deviation = np.where(deviation > 0, deviation, 1.0)
        inputs, held_inputs = self._inputs(x), self._inputs(held)
        search = self.search()
        for softness in SOFTNESS_DB:
            score, network = self._train(inputs, _targets(truth, softness), held_inputs, answer, seed)
            if search.add(score, {"softness (dB)": softness}):
                self.chosen, self.network = softness, network

    def _train(self, x: Tensor, target: Tensor, held: Tensor, answer: Truth, seed: int) -> tuple[float, nn.Sequential]:
        random = torch.Generator().manual_seed(seed)
        network = _network(x.shape[1], self.beams, random)
        adam = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        best, kept, waited, sign = -np.inf, network, 0, 1 if get_metric(self.spec.primary).higher_is_better else -1
        for _ in range(EPOCHS):
            for rows in torch.split(torch.randperm(len(x), generator=random), BATCH):
                loss = nn.functional.cross_entropy(network(x[rows]), target[rows])
                adam.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                adam.step()
            score, waited = sign * self.score(_answer(network, held), answer), waited + 1
            if score > best:
                best, kept, waited = score, copy.deepcopy(network), 0
            if waited == PATIENCE:
                break
        return sign * best, kept

    def predict(self, batch: Batch) -> Floats:
        """Log-probability of every beam, up to a constant: float64 [n, beams]."""
        return _answer(self.network, self._inputs(self.features(batch)))

    def count_parameters(self) -> int:
        """Weights and biases."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def _inputs(self, x: Floats) -> Tensor:
        return torch.from_numpy(((x - self.mean) / self.deviation).astype(np.float32))


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread in torch: more are slower on products this small, and change last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _network(inputs: int, outputs: int, random: torch.Generator) -> nn.Sequential:
    """Weights uniform as He et al. (ICCV 2015), biases 0; torch's global generator is neither read nor moved."""
    with torch.device("meta"):
        network = nn.Sequential(
            nn.Linear(inputs, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, outputs)
        )
    network.to_empty(device="cpu")
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=random)
            nn.init.zeros_(layer.bias)
    return network


def _targets(truth: Truth, softness_db: float) -> Tensor:
    """Probability of every beam as training sees it: float32 [n, beams]."""
    if softness_db == 0:
        hard = np.zeros(truth["rsrp"].shape, dtype=np.float32)
        hard[np.arange(len(hard)), truth["label"]] = 1.0
        return torch.from_numpy(hard)
    weight = np.exp(relative_db(truth) / softness_db)
    return torch.from_numpy((weight / weight.sum(axis=1, keepdims=True)).astype(np.float32))


def _answer(network: nn.Sequential, x: Tensor) -> Floats:
    with torch.inference_mode():
        scores = network(x).numpy()
    return cast(npt.NDArray[np.float64], scores.astype(np.float64))
