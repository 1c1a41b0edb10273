"""How long, how fast and when to stop: the numbers of a training, and its learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from wbench.errors import UsageError

__all__ = ["TrainingSettings"]


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Settings of :func:`wbench.training.train`.

    Attributes
    ----------
    epochs : int
        Passes over the training samples.
    batch : int
        Largest number of samples per step; the batches of an epoch differ by at most one sample.
    lr : float
        Peak learning rate of AdamW (Loshchilov and Hutter, ICLR 2019).
    weight_decay : float
        Decoupled weight decay of matrices and kernels; biases and the scales of norms have none.
    warmup : float
        Share of all steps in which the rate rises linearly from 0 to the peak.
    floor : float
        Last rate over the peak; in between it falls along half a cosine (Loshchilov and Hutter, ICLR 2017).
    clip : float or None
        Largest norm of the gradient; longer ones are scaled down to it.
    patience : int or None
        Epochs without a better validation loss after which training stops; None never stops early.
    precision : {"float32", "bfloat16"}
        Arithmetic of the forward pass; the weights stay float32.
    """

    epochs: int
    batch: int
    lr: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.05
    floor: float = 0.0
    clip: float | None = 1.0
    patience: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        wrong = [
            f"{name} = {getattr(self, name)}"
            for name, good in {
                "epochs": self.epochs >= 1,
                "batch": self.batch >= 1,
                "lr": 0 < self.lr < math.inf,
                "weight_decay": 0 <= self.weight_decay < math.inf,
                "warmup": 0 <= self.warmup < 1,
                "floor": 0 <= self.floor <= 1,
                "clip": self.clip is None or self.clip > 0,
                "patience": self.patience is None or self.patience >= 1,
                "precision": self.precision in ("float32", "bfloat16"),
            }.items()
            if not good
        ]
        if wrong:
            raise UsageError("A training setting is out of range.", why=", ".join(wrong))

    def steps_per_epoch(self, count: int) -> int:
        """Steps of one pass over ``count`` samples."""
        return math.ceil(count / self.batch)

    def lasting(self, count: int, steps: int) -> TrainingSettings:
        """The same with so many epochs more that ``count`` samples make at least ``steps`` steps.

        The patience grows in proportion: ten epochs of a hundred steps and ten epochs of one step are not the same.
        """
        epochs = max(self.epochs, math.ceil(steps / self.steps_per_epoch(count)))
        patience = None if self.patience is None else math.ceil(self.patience * epochs / self.epochs)
        return replace(self, epochs=epochs, patience=patience)

    def factor(self, step: int, steps: int) -> float:
        """Learning rate of step 0 … ``steps - 1`` over the peak."""
        rise = math.ceil(self.warmup * steps)
        if step < rise:
            return (step + 1) / rise
        progress = (step - rise) / max(1, steps - rise)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * progress))
