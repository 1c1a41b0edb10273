"""PyTorch modules as models: features for a head, or the task's answer; trained here, or with weights from a file."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.adapters.base import Adapter, crop_pad, in_passes, real_imag
from wbench.errors import ModelError
from wbench.model import Model, Predictor, TorchEmbedder, TrainingData, module_device
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.spec import TaskSpec
from wbench.training import TrainingSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = ["ModuleEmbedder", "ModulePredictor", "filled", "run_module"]

#: Where a file of weights keeps the statistics of regression's targets: names that no network has.
_SCALE = ("wbench.target_mean", "wbench.target_deviation")
_Scale = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


class _Module(Adapter):
    """Building the network, and filling in its weights."""

    module: nn.Module

    @abstractmethod
    def build(self) -> nn.Module:
        """The network for ``self.spec`` and ``self.meta``; its initial weights hang on the seed only."""

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Build the network and fill in the weights, if there are any."""
        super().setup(spec, meta)
        self.module = self._built(0)

    def _built(self, seed: int) -> nn.Module:
        return filled(self, self.build, seed, self.path)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Output of the network for tensors as :meth:`inputs` names them: the module, called with them in order."""
        output: Tensor = self.module(*inputs.values())
        return output

    def move(self, device: str) -> None:
        """Move the network."""
        self.module.to(device)

    def count_parameters(self) -> int:
        """Number of weights."""
        return sum(weight.numel() for weight in self.module.parameters())


class ModuleEmbedder(_Module, TorchEmbedder):
    """A PyTorch module that gives features; the harness trains a head on them, or fine-tunes all of it.

    A subclass writes :meth:`build`; :meth:`inputs`, :meth:`forward`, :meth:`layers` and :meth:`pool` if the defaults do
    not fit. Outputs [n, d] are one token, [n, …, d] are tokens.
    """

    def inputs(self, batch: Batch) -> dict[str, npt.NDArray[Any]]:
        """Default: ``x`` float32 [n, 2, *sample_shape]."""
        return dict(Adapter.inputs(self, batch))

    def forward_tokens(self, inputs: dict[str, Tensor]) -> Tensor:
        """Tokens [n, token, d] of :meth:`forward`'s output."""
        output = self.forward(inputs)
        return output[:, None] if output.ndim == 2 else output.flatten(1, -2)


class ModulePredictor(_Module, Predictor):
    """A PyTorch module that answers the task itself.

    It is trained if ``info.trains``, by :func:`wbench.training.train` with :attr:`settings` and :attr:`steps`: by
    cross-entropy of classes, squared error of standardised targets or of the whole channel; the weights with the lowest
    validation loss are kept. Without, it answers with the weights of its file. A subclass writes :meth:`build`; a
    network for classes ends in ``self.meta.classes`` outputs, one for regression in ``self.meta.outputs``, one for
    channels in [n, 2, …]. ``wbench train --out`` writes the statistics of regression's targets beside the weights.
    """

    settings: ClassVar[TrainingSettings] = TrainingSettings(30, 64, lr=1e-3, weight_decay=0.01, warmup=0.1, patience=5)
    #: Fewest steps of a training, however few samples there are: epochs are added.
    steps: ClassVar[int] = 800

    _scale: _Scale | None = None

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Train on ``train``, keep the weights that are best on ``val``."""
        import torch

        from wbench.training.loop import train as run

        device = module_device(self.module)
        self.module = self._built(seed).to(device)
        x, truth = self._gather(train)
        x_val, truth_val = self._gather(val)
        objective = _objective(self, truth)
        wanted, wanted_val = objective.wanted(truth), objective.wanted(truth_val)

        def loss(rows: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
            chosen = torch.from_numpy(rows)
            output = self.forward({name: values[chosen].to(device) for name, values in x.items()})
            found: Tensor = objective.loss(output, wanted[chosen].to(device))
            return found

        def validate() -> float:
            output = torch.from_numpy(run_module(self, {name: values.numpy() for name, values in x_val.items()}))
            return float(objective.loss(output, wanted_val))

        self._answer = objective.answer
        self._scale = (objective.mean, objective.deviation) if self.spec.kind == "regress" else None
        settings = self.settings.lasting(len(wanted), self.steps)
        self.log = run(self.module, len(wanted), loss, settings, seed, validate=validate)

    def _built(self, seed: int) -> nn.Module:
        module = super()._built(seed)
        self._scale = _scale_in(self.path) if self.path is not None and self.spec.kind == "regress" else None
        return module

    def saved_weights(self) -> dict[str, Tensor]:
        """Weights of the network and, of regression, mean and deviation of the targets that its outputs stand for."""
        import torch

        scale = dict(zip(_SCALE, self._scale or (), strict=False))
        return {**self.module.state_dict(), **{name: torch.from_numpy(values) for name, values in scale.items()}}

    def _gather(self, data: TrainingData) -> tuple[dict[str, Tensor], Truth]:
        import torch

        parts: list[dict[str, Tensor]] = []
        truths: list[Truth] = []
        for batch, truth in data.batches():
            parts.append({name: torch.from_numpy(np.array(values)) for name, values in self.inputs(batch).items()})
            truths.append(truth)
        x = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return x, {name: np.concatenate([truth[name] for truth in truths]) for name in truths[0]}

    def predict(self, batch: Batch) -> npt.NDArray[Any]:
        """The network's output, as :meth:`answer` reads it."""
        import torch

        output = run_module(self, self.inputs(batch))
        trained = getattr(self, "_answer", None)
        if trained is not None:
            output = trained(torch.from_numpy(output))
        elif self._scale is not None:
            mean, deviation = self._scale
            output = output.astype(np.float64) * deviation + mean
        return self.answer(output, batch)


def filled(model: Model, build: Any, seed: int, path: Any) -> nn.Module:
    """The module that ``build`` makes, with initial weights by seed, then the weights of a file."""
    import torch

    from wbench.training.loop import seeded
    from wbench.weights import fill_weights, read_weights, rename_weights

    module: nn.Module = seeded(build, seed, f"{model.info.name} initial weights")
    if not isinstance(module, torch.nn.Module):
        why, step = f"it returned {type(module).__name__}", "return the network itself, unfitted: nn.Sequential(…)"
        raise ModelError("build() must return a torch.nn.Module.", why=why, next_step=step)
    if path is not None:
        state = {name: tensor for name, tensor in read_weights(path).items() if name not in _SCALE}
        state = rename_weights(state, getattr(model, "prefixes", {}))
        fill_weights(module, state, where=str(path))
    return module.eval()


def _scale_in(path: Path) -> _Scale | None:
    """Mean and deviation of the targets, of weights that were trained here for regression."""
    from wbench.weights import read_weights

    state = read_weights(path)
    mean, deviation = (state.get(name) for name in _SCALE)
    return None if mean is None or deviation is None else (mean.double().numpy(), deviation.double().numpy())


def run_module(model: _Module, inputs: Any) -> npt.NDArray[Any]:
    """Output of the network, float32 or float64, in passes of one size, without gradients and without dropout."""
    import torch

    model.module.eval()
    device = module_device(model.module)

    def one(part: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        with torch.inference_mode():
            output = model.forward({name: torch.from_numpy(values).to(device) for name, values in part.items()})
            return np.asarray(output.float().cpu().numpy())

    return in_passes(one, inputs, model.samples_per_pass)


class _Channels:
    """Squared error of the channel, real and imaginary part; the objective of ``reconstruct`` tasks."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def wanted(self, truth: Truth) -> Tensor:
        import torch

        return torch.from_numpy(real_imag(crop_pad(truth["H"], self.shape)))

    def loss(self, output: Tensor, wanted: Tensor) -> Tensor:
        from torch.nn import functional

        return functional.mse_loss(output.reshape(wanted.shape), wanted)

    def answer(self, output: Tensor) -> npt.NDArray[Any]:
        return np.asarray(output.numpy())


def _objective(model: ModulePredictor, truth: Truth) -> Any:
    from wbench.heads.objective import Objective

    kind = model.spec.kind
    return _Channels(model.sample_shape) if kind == "reconstruct" else Objective(truth, model.meta.classes)
