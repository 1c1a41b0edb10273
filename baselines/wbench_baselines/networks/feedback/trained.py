"""What all feedback networks share: settings, training, weights, and the epoch that validation chooses."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from wbench.digest import value_digest
from wbench.errors import ModelError, UsageError
from wbench.heads.trained import in_passes
from wbench.model import Codec, ModelInfo, TrainingData
from wbench.task.batch import ChannelMeta
from wbench.task.spec import TaskSpec
from wbench.training import TrainingLog, TrainingSettings
from wbench.training.loop import Rows, seeded
from wbench.training.loop import train as run_training
from wbench.tuning import MOST, Search
from wbench.weights import fill_weights, read_weights, weights_digest

__all__ = ["CHUNK", "Autoencoder", "TrainedCodec"]

CHUNK = 1024


class Autoencoder(nn.Module):
    """Samples → codewords [n, M] → samples, real tensors."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> Tensor:
        """Reconstructed samples."""
        return self.decoder(self.encoder(x))  # type: ignore[no-any-return]


class TrainedCodec(Codec):
    """A network of two halves, trained on the task's training side; validation chooses the epoch.

    Parameters
    ----------
    setting : str
        A key of :attr:`settings`: ``"standard"``, feasible on two CPU cores, or ``"paper"``, the published one.
    epochs, batch, lr : optional
        Replace those of the setting.
    weights : Path, optional
        Trained weights (safetensors); then nothing is trained.
    """

    #: Training settings by name.
    settings: ClassVar[Mapping[str, TrainingSettings]]
    #: The metric by which validation chooses the epoch.
    criterion: ClassVar[str]
    #: What else of the instance decides the network: names of attributes with plain values.
    options: ClassVar[tuple[str, ...]] = ()
    log: TrainingLog | None = None
    #: The whole network, from :meth:`setup` on; trained or filled with weights if ``ready``.
    module: Autoencoder
    ready: bool = False

    def __init__(
        self,
        setting: str = "standard",
        *,
        epochs: int | None = None,
        batch: int | None = None,
        lr: float | None = None,
        weights: str | Path | None = None,
    ) -> None:
        if setting not in self.settings:
            raise UsageError(f"There is no setting {setting!r}.", why=f"there are {', '.join(self.settings)}")
        given = {k: v for k, v in {"epochs": epochs, "batch": batch, "lr": lr}.items() if v is not None}
        self.training = replace(self.settings[setting], **given)  # type: ignore[arg-type]
        #: What constructs the same model again.
        self.params: dict[str, Any] = {
            "setting": setting,
            **given,
            **{name: getattr(self, name) for name in self.options},
        }
        self.weights = None if weights is None else read_weights(weights)
        self._declare()

    def _declare(self) -> None:
        """An ``info`` of its own where this instance is not the registered one: other settings, other results."""
        shipped: ModelInfo = type(self).info
        options = {name: getattr(self, name) for name in self.options}
        if self.weights is not None:
            mark = weights_digest(self.weights)[7:19]
            self.info = replace(shipped, revision=f"{shipped.revision}-{mark}", trains=False, stochastic=False)  # type: ignore[misc]
        elif self.training != self.settings["standard"] or options != {n: getattr(type(self), n) for n in self.options}:
            mark = value_digest({**asdict(self.training), **options})[7:15]
            self.info = replace(shipped, revision=f"{shipped.revision}-{mark}")  # type: ignore[misc]

    @abstractmethod
    def make(self) -> Autoencoder:
        """A new network for the task at hand."""

    @abstractmethod
    def read(self, data: TrainingData) -> Tensor:
        """All clean samples of a part as the network takes them, float32 [n, …]."""

    @abstractmethod
    def loss(self, answer: Tensor, wanted: Tensor) -> Tensor:
        """Mean over samples of what training lowers."""

    @abstractmethod
    def score(self, answer: Tensor, wanted: Tensor) -> Tensor:
        """Per sample, float64 [n, 2]: numerator and denominator of the validation loss, the ratio of their sums."""

    @abstractmethod
    def shown(self, value: float) -> float:
        """The metric that a validation loss stands for."""

    def start(self, network: Autoencoder, samples: Tensor) -> None:
        """Initial values that come from the training samples; nothing by default."""

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Learn the size of the sample and of the codeword; fill the weights in if there are any."""
        super().setup(spec, meta)
        self.module = self._new(0)
        if self.weights is not None:
            fill_weights(self.module, self.weights, where=self.info.name)
            self.ready = True

    def move(self, device: str) -> None:
        """Train and encode there; the decoder's process has the CPU."""
        self.module.to(device)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Train on ``train``; keep the epoch that is best on ``val``.

        Raises
        ------
        ModelError
            There is no training sample, or the training diverges.
        """
        device = next(self.module.parameters()).device
        x, held = self.read(train).to(device), self.read(val).to(device)
        if not len(x):
            raise ModelError("The network has nothing to learn from.", where=self.info.name, why="no training sample")
        network = self._new(seed).to(device)
        self.start(network, x)

        def loss(rows: Rows, generator: torch.Generator) -> Tensor:
            wanted = x[torch.from_numpy(rows).to(device)]
            return self.loss(network(wanted), wanted)

        def validate() -> float:
            parts = [self.score(in_passes(network, one), one).sum(dim=0) for one in torch.split(held, CHUNK)]
            error, power = torch.stack(parts).sum(dim=0).tolist()
            return float(error / power)

        check = validate if len(held) else None
        self.log = run_training(network, len(x), loss, self.training, seed, validate=check)
        self.module, self.ready = network, True
        self.searches = () if check is None else (self._search(self.log),)

    def _search(self, log: TrainingLog) -> Search:
        """The epochs and their scores; of a long training the best one and 31 others, evenly spaced."""
        count = len(log.epochs)
        few = range(1, count + 1) if count <= MOST else np.linspace(1, count, MOST - 1).astype(int).tolist()
        search = Search.by_metric(self.info.name, self.criterion)
        for record in log.epochs:
            if record.epoch in {*few, log.best_epoch}:
                search.add(self.shown(record.val_loss or 0.0), {"epoch": record.epoch})
        return search

    def count_parameters(self) -> int:
        """Weights and biases; the running statistics of batch norms are not counted."""
        return sum(weight.numel() for weight in self.module.parameters())

    def fitted(self) -> Autoencoder:
        """The trained network.

        Raises
        ------
        ModelError
            It is not trained.
        """
        if not self.ready:
            raise ModelError(f"{self.info.name} is not trained yet.", next_step="call fit() first")
        return self.module

    def fitted_decoder(self) -> nn.Module:
        """A copy of its second half, on the CPU."""
        return copy.deepcopy(self.fitted().decoder).cpu()

    def _new(self, seed: int) -> Autoencoder:
        return seeded(self.make, seed, type(self).info.name)
