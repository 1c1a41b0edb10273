"""What a trained head is asked for: its outputs, its loss, and what they mean as an answer (needs PyTorch)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from wbench.errors import ModelError
from wbench.task.batch import Truth

__all__ = ["Objective"]


class Objective:
    """Cross-entropy of classes, or squared error of targets that are standardised with training statistics.

    Parameters
    ----------
    truth : dict of str to ndarray
        Training targets: ``label`` int [n], or ``target`` float [n, m].
    classes : int or None
        None for regression.
    """

    def __init__(self, truth: Truth, classes: int | None) -> None:
        self.classes = classes
        if classes is not None:
            if len(np.unique(truth["label"])) < 2:
                raise ModelError("A head needs at least two classes in the training part.", why="budget too small")
            self.outputs = classes
            return
        target = truth["target"].astype(np.float64)
        self.outputs = target.shape[1]
        self.mean = target.mean(axis=0)
        deviation = target.std(axis=0)
        self.deviation = np.where(deviation > 0, deviation, 1.0)

    def wanted(self, truth: Truth) -> Tensor:
        """Targets as :meth:`loss` takes them."""
        if self.classes is not None:
            return torch.from_numpy(truth["label"].astype(np.int64))
        return torch.from_numpy(((truth["target"] - self.mean) / self.deviation).astype(np.float32))

    def loss(self, output: Tensor, wanted: Tensor) -> Tensor:
        """Mean over samples."""
        if self.classes is not None:
            return functional.cross_entropy(output.float(), wanted)
        return functional.mse_loss(output.float(), wanted)

    def answer(self, output: Tensor) -> npt.NDArray[np.float64]:
        """Log-probabilities [n, classes], or targets [n, m] in their own units."""
        values = output.detach().double()
        if self.classes is not None:
            return np.asarray(functional.log_softmax(values, dim=1).cpu().numpy())
        return np.asarray(values.cpu().numpy() * self.deviation + self.mean)
