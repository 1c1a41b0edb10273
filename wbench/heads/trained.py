"""Heads that are networks: one hidden layer on pooled features, residual convolutions along the tokens.

All of them are trained the same way, by :func:`wbench.training.train`: features standardised with training statistics,
AdamW with warm-up and half a cosine, gradients clipped at norm 1, and the weights of the epoch with the lowest
validation loss. Nothing is tuned per task or per embedder. Training parts are of very different sizes, so epochs are
added until there are enough steps.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.heads.base import Features, Head
from wbench.task.batch import Truth
from wbench.training import TrainingSettings

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MlpHead", "NetworkHead", "ResNetSlimHead", "ResNetWideHead", "in_passes"]

#: Samples per forward pass outside training. Always this many (zeros fill up), so that every matrix product has one
#: size and a sample's answer is the same bits in whatever batch it comes.
PASS = 32


class NetworkHead(Head):
    """Common part of the trained heads."""

    stochastic: ClassVar[bool] = True
    settings: ClassVar[TrainingSettings]
    #: Fewest steps of a training, however few samples there are.
    steps: ClassVar[int]

    @abstractmethod
    def network(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The network on standardised features of this shape, (d,) or (token, d)."""

    def fit(self, train: tuple[Features, Truth], val: tuple[Features, Truth], classes: int | None, seed: int) -> None:
        """Train on ``train``, keep the weights that are best on ``val``."""
        import torch

        from wbench.heads.networks import Standardise
        from wbench.heads.objective import Objective
        from wbench.training.loop import seeded
        from wbench.training.loop import train as run

        features, truth = train
        self._objective = objective = Objective(truth, classes)
        standard = Standardise(features)
        network = seeded(lambda: self.network(features.shape[1:], objective.outputs), seed, f"head {self.name}")
        self._module = torch.nn.Sequential(standard, network)
        x, wanted = _tensor(features), objective.wanted(truth)
        x_val, wanted_val = _tensor(val[0]), objective.wanted(val[1])

        def loss(rows: npt.NDArray[np.int64], generator: torch.Generator) -> torch.Tensor:
            chosen = torch.from_numpy(rows)
            return objective.loss(self._module(x[chosen]), wanted[chosen])

        def validate() -> float:
            return float(objective.loss(in_passes(self._module, x_val), wanted_val))

        self.log = run(self._module, len(x), loss, self.settings.lasting(len(x), self.steps), seed, validate=validate)

    def predict(self, features: Features) -> npt.NDArray[np.float64]:
        """Log-probabilities [n, classes], or outputs [n, m]."""
        import torch

        with torch.inference_mode():
            return self._objective.answer(in_passes(self._module, _tensor(features)))

    def count_parameters(self) -> int:
        """Trained weights."""
        return sum(weight.numel() for weight in self._module.parameters())


def in_passes(module: Any, x: Any) -> Any:
    """``module(x)`` in passes of :data:`PASS` samples; tensors [n, …] or a dict of them."""
    import torch

    named = x if isinstance(x, dict) else {"x": x}
    count = len(next(iter(named.values())))
    filled = {k: torch.cat([v, v.new_zeros((-count % PASS, *v.shape[1:]))]) for k, v in named.items()}
    outputs = []
    for start in range(0, count, PASS):
        part = {k: v[start : start + PASS] for k, v in filled.items()}
        outputs.append(module(part if isinstance(x, dict) else part["x"]))
    return torch.cat(outputs)[:count]


def _tensor(features: Features) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))


class MlpHead(NetworkHead):
    """One hidden layer of 256 (GELU) on pooled features: 20 epochs, at least 1500 steps of 64, rate 1e-3.

    Dropout of 0.2 before and 0.5 after the hidden layer: with 700 samples of LoS detection it gained .02 of macro-F1 on
    validation on magnitudes of the angular-delay channel, and .01 on random features (one seed each).
    """

    name: ClassVar[str] = "mlp"
    summary: ClassVar[str] = "one hidden layer of 256 on pooled features"
    settings: ClassVar[TrainingSettings] = TrainingSettings(20, 64, lr=1e-3, weight_decay=0.05, patience=5)
    steps: ClassVar[int] = 1500

    def network(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """256 · (d + outputs + 1) + outputs weights."""
        from wbench.heads.networks import mlp

        return mlp(shape, outputs)


class ResNetSlimHead(NetworkHead):
    """1-D ResNet of 32, 64 and 128 channels along the tokens: 20 epochs, at least 800 steps of 64, rate 1e-3.

    About 0.5 million weights, the size of the convolutional head in the LWM benchmarks (Alikhani, Charan and Alkhateeb,
    arXiv 2411.08872).
    """

    name: ClassVar[str] = "resnet1d-slim"
    summary: ClassVar[str] = "1-D ResNet along the tokens, 32 to 128 channels"
    pools: ClassVar[bool] = False
    settings: ClassVar[TrainingSettings] = TrainingSettings(20, 64, lr=1e-3, weight_decay=0.05, patience=5)
    steps: ClassVar[int] = 800
    width: ClassVar[int] = 32

    def network(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """9 residual blocks; the first convolution has 7 · d · width weights."""
        from wbench.heads.networks import ResNet1d

        return ResNet1d(shape, outputs, self.width)


class ResNetWideHead(ResNetSlimHead):
    """The same with 64, 128 and 256 channels, about 2 million weights."""

    name: ClassVar[str] = "resnet1d-wide"
    summary: ClassVar[str] = "1-D ResNet along the tokens, 64 to 256 channels"
    width: ClassVar[int] = 64
