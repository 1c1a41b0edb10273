"""What all networks of this package share: device, training, weights, passes of one size (needs PyTorch)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from wbench.errors import ModelError, UsageError
from wbench.model import ModelInfo, Predictor
from wbench.training import TrainingLog, TrainingSettings, seeded, train
from wbench.training.loop import Loss
from wbench.weights import fill_weights, read_weights, weights_digest

__all__ = ["Network", "in_passes"]


class Network(Predictor):
    """A predictor that is one PyTorch module, trained by :func:`wbench.training.train`.

    Parameters
    ----------
    device : str
        ``"cpu"``, ``"cuda"``, or ``"auto"``: a GPU if there is one.
    epochs : int, optional
        Epochs instead of as many as the class's number of steps takes.
    weights : Path, optional
        Trained weights; then nothing is trained. ``wbench train --out FOLDER`` writes them, and in ``model.toml`` the
        shape that they are for.
    shape : dict
        Arguments of :meth:`network` that the weights are for.
    """

    #: Batch and rate, and the fewest epochs; nothing is tuned per task.
    settings: ClassVar[TrainingSettings]
    #: Epochs are added until there are so many steps, so that a training takes as long whatever the number of samples;
    #: up to a number of epochs that no small part needs more of.
    steps: ClassVar[int]
    most_epochs: ClassVar[int] = 60
    #: Share of the epochs after which a training without a better validation loss stops.
    patience: ClassVar[float] = 0.25
    #: Samples per forward pass outside of training. Always this many (zeros fill up), so that every matrix product has
    #: one size and a sample's answer is the same bits in whatever batch it comes.
    samples_per_pass: ClassVar[int] = 32

    #: Makes the module of a shape, given as keyword arguments; a subclass writes it.
    network: Callable[..., nn.Module]
    module: nn.Module
    log: TrainingLog

    def __init__(
        self,
        device: str = "cpu",
        epochs: int | None = None,
        weights: str | Path | None = None,
        shape: Mapping[str, Any] | None = None,
    ) -> None:
        self.device = _device(device)
        self.epochs = epochs
        #: What constructs the same model again, beside the weights.
        self.params: dict[str, Any] = {"shape": dict(shape)} if shape else {}
        self._weights = None if weights is None else read_weights(weights)
        if self._weights is None:
            return
        if shape is None:
            step = "use the folder that wbench train --out wrote"
            raise UsageError("Weights come with the shape of their network.", where=str(weights), next_step=step)
        shipped: ModelInfo = type(self).info
        revision = f"{shipped.revision}-{weights_digest(self._weights)[7:19]}"
        self.info = replace(shipped, revision=revision, trains=False, stochastic=False)  # type: ignore[misc]

    def move(self, device: str) -> None:
        """Compute there from now on."""
        self.device = _device(device)
        if hasattr(self, "module"):
            self.module.to(self.device)

    def count_parameters(self) -> int:
        """Number of weights, once they are there."""
        return sum(weight.numel() for weight in self.module.parameters())

    def build(self, seed: int, **shape: Any) -> None:
        """Set :attr:`module`: its weights from the seed, on the device."""
        self.module = seeded(lambda: self.network(**shape), seed, self.info.name).to(self.device)
        self.params = {"shape": shape}

    def restore(self) -> None:
        """Set :attr:`module` from the weights that were given, if any.

        Raises
        ------
        ModelError
            They do not fit.
        """
        if self._weights is not None:
            self.build(0, **self.params["shape"])
            fill_weights(self.module, self._weights, where=self.info.name)

    def run(self, count: int, loss: Loss, validate: Callable[[], float] | None, seed: int) -> TrainingLog:
        """Train :attr:`module`; it ends with the weights that are best on validation.

        Raises
        ------
        ModelError
            The training part is empty, or the training diverges.
        """
        if count < 1:
            raise ModelError("The training part is empty.", where=self.info.name)
        settings = self.settings.lasting(count, self.steps)
        epochs = min(settings.epochs, self.most_epochs) if self.epochs is None else self.epochs
        settings = replace(settings, epochs=epochs, patience=math.ceil(self.patience * epochs))
        self.log = train(self.module, count, loss, settings, seed, validate=validate)
        return self.log


def in_passes(answer: Callable[[dict[str, Tensor]], Tensor], tensors: Mapping[str, Tensor], size: int) -> Tensor:
    """``answer`` of tensors [n, …] in passes of ``size`` samples, without gradients, on the CPU: [n, …]."""
    count = len(next(iter(tensors.values())))
    filled = {k: torch.cat([v, v.new_zeros((-count % size, *v.shape[1:]))]) for k, v in tensors.items()}
    with torch.inference_mode():
        parts = [answer({k: v[i : i + size] for k, v in filled.items()}).cpu() for i in range(0, count, size)]
        return torch.cat(parts)[:count]


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"There is no device {name!r}.", next_step="cpu, cuda or auto") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("There is no GPU that PyTorch can use.", why=f"device {name!r}", next_step="cpu or auto")
    return device
