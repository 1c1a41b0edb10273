"""Fine-tuning: the weights of an embedder, or of its last layers, trained together with a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError, UsageError
from wbench.heads.catalogue import build_head
from wbench.heads.trained import NetworkHead, in_passes
from wbench.model import Embedder, ModelInfo, Predictor, TorchEmbedder, TrainingData
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.spec import TaskSpec
from wbench.training import TrainingSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = ["TUNED_HEADS", "FineTuned", "redraw"]

Network = TypeVar("Network", bound="nn.Module")
#: Heads that can be trained together with an embedder: those that are networks, and one affine map.
TUNED_HEADS = ("linear", "mlp", "resnet1d-slim", "resnet1d-wide")
#: Training samples whose features give the statistics that the head's input is standardised with.
STATISTICS_FROM = 2048


class FineTuned(Predictor):
    """A PyTorch embedder that is trained on the task, with a head on top.

    The head's input is standardised with the features of the embedder as it came. Head and embedder learn at once, the
    embedder at a tenth of the head's rate: 20 epochs, at least 800 steps of 64, peak rate 1e-3, one tenth of the steps
    warm-up, then half a cosine. The weights with the lowest validation loss are kept.

    Parameters
    ----------
    embedder : Embedder
        A :class:`~wbench.model.TorchEmbedder`; of others :meth:`supports` says that they cannot be tuned.
    head : str
        One of :data:`TUNED_HEADS`; ``linear`` is one affine map of the pooled features here.
    layers : int or None
        Train the last so many of ``embedder.layers()``; None trains all weights.
    scratch : bool
        Draw all of the embedder's weights anew by the seed and train them at the head's rate: what the architecture
        learns from the task alone (regime *full*).
    """

    version: ClassVar[int] = 1
    settings: ClassVar[TrainingSettings] = TrainingSettings(20, 64, lr=1e-3, weight_decay=0.05, warmup=0.1, patience=5)
    steps: ClassVar[int] = 800
    embedder_rate: ClassVar[float] = 0.1

    def __init__(self, embedder: Embedder, head: str, layers: int | None = None, scratch: bool = False) -> None:
        if head not in TUNED_HEADS:
            why = f"{head!r} is not trained by gradients"
            raise UsageError(
                "This head cannot be fine-tuned with.", why=why, next_step=f"--head {'|'.join(TUNED_HEADS)}"
            )
        if layers is not None and layers < 1:
            raise UsageError("Layers are a count from 1 on.", why=f"got {layers}", next_step="--layers 2")
        self.embedder, self.head, self.layers, self.scratch = embedder, head, layers, scratch
        self._like = build_head(head)
        seen: dict[str, Any] = {"pretraining": (), "overlap": "none"} if scratch else {}
        self.info: ModelInfo = replace(embedder.info, trains=True, stochastic=True, **seen)  # type: ignore[misc]

    def supports(self, spec: TaskSpec) -> str | None:
        """``classify`` and ``regress`` tasks, with an embedder that is a PyTorch network."""
        if spec.kind not in ("classify", "regress"):
            return f"fine-tuning serves classify and regress tasks, not {spec.kind}"
        if not isinstance(self.embedder, TorchEmbedder):
            return "it is no TorchEmbedder: there is no network to fine-tune"
        if self.embedder.info.trains:
            return "the embedder trains itself: there is nothing pre-trained to tune"
        return self.embedder.supports(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Set up the embedder."""
        super().setup(spec, meta)
        self.embedder.setup(spec, meta)

    def accepts(self, meta: ChannelMeta) -> str | None:
        """What the embedder accepts."""
        return self.embedder.accepts(meta)

    def move(self, device: str) -> None:
        """Move the embedder."""
        self.embedder.move(device)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Train head and embedder on ``train``, keep the weights that are best on ``val``."""
        import torch

        from wbench.heads.objective import Objective
        from wbench.training.loop import seeded
        from wbench.training.loop import train as run

        x, truth = self._inputs_of(train)
        x_val, truth_val = self._inputs_of(val)
        self._objective = objective = Objective(truth, self.meta.classes)
        wanted, wanted_val = objective.wanted(truth), objective.wanted(truth_val)
        if self.scratch:
            device = self._device
            self._network.cpu()  # where the seeded generator is; on a GPU weights are drawn from the GPU's own
            seeded(lambda: redraw(self._network, self.info.name), seed, "embedder from scratch")
            self._network.to(device)
        tuned = self._tuned()
        self._top = self._head(x, objective.outputs, seed).to(self._device)
        both = torch.nn.ModuleDict({"embedder": self._network, "head": self._top})
        groups = [(tuned, 1.0 if self.scratch else self.embedder_rate), (list(self._top.parameters()), 1.0)]
        self._trained = sum(weight.numel() for parameters, _ in groups for weight in parameters)

        def loss(rows: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
            chosen = torch.from_numpy(rows)
            output = self._forward({k: v[chosen].to(self._device) for k, v in x.items()})
            return objective.loss(output, wanted[chosen].to(self._device))

        def validate() -> float:
            output = in_passes(self._forward_from_cpu, x_val)
            return float(objective.loss(output, wanted_val.to(self._device)))

        settings = self.settings.lasting(len(wanted), self.steps)
        self.log = run(both, len(wanted), loss, settings, seed, validate=validate, groups=groups)

    def _head(self, x: dict[str, Tensor], outputs: int, seed: int) -> nn.Module:
        """The head on standardised features; the statistics are those of the embedder as it came."""
        import torch

        from wbench.heads.networks import Standardise, linear
        from wbench.training.loop import seeded

        count = len(next(iter(x.values())))
        # Every so many, not the first ones: training ids are sorted by site.
        some = {k: v[:: max(1, count // STATISTICS_FROM)] for k, v in x.items()}
        self._network.eval()
        with torch.inference_mode():
            features = np.asarray(in_passes(self._features_from_cpu, some).float().cpu().numpy())
        head = self._like
        build = head.network if isinstance(head, NetworkHead) else linear
        network = seeded(lambda: build(features.shape[1:], outputs), seed, f"head {self.head}")
        return torch.nn.Sequential(Standardise(features), network)

    def _tuned(self) -> list[nn.Parameter]:
        """Freeze the embedder, thaw the last layers, and give their weights."""
        layers: Sequence[nn.Module] = self._torch.layers()
        if self.layers is not None and self.layers > len(layers):
            why = f"it has {len(layers)}, {self.layers} were asked for"
            raise ModelError("The embedder has fewer layers.", where=self.info.name, why=why, next_step="--layers 1")
        chosen = [self._network] if self.layers is None else layers[-self.layers :]
        self._network.requires_grad_(False)
        tuned = {id(weight): weight for layer in chosen for weight in layer.parameters()}
        for weight in tuned.values():
            weight.requires_grad_(True)
        return list(tuned.values())

    @property
    def _torch(self) -> TorchEmbedder:
        if not isinstance(self.embedder, TorchEmbedder):
            raise ModelError("Only a TorchEmbedder can be fine-tuned.", where=self.info.name)
        return self.embedder

    @property
    def _network(self) -> nn.Module:
        return self._torch.module

    @property
    def _device(self) -> torch.device:
        return next(self._network.parameters()).device

    def _inputs_of(self, data: TrainingData) -> tuple[dict[str, Tensor], Truth]:
        parts, truths = [], []
        for batch, truth in data.batches():
            parts.append(self._inputs(batch))
            truths.append(truth)
        import torch

        joined = {k: torch.cat([part[k] for part in parts]) for k in parts[0]}
        return joined, {k: np.concatenate([t[k] for t in truths]) for k in truths[0]}

    def _inputs(self, batch: Batch) -> dict[str, Tensor]:
        import torch

        return {k: torch.from_numpy(np.array(v)) for k, v in self._torch.inputs(batch).items()}

    def _features(self, x: dict[str, Tensor]) -> Tensor:
        tokens = self._torch.forward_tokens(x)
        pooled: Tensor = self._torch.pool(tokens) if self._like.pools else tokens
        return pooled

    def _features_from_cpu(self, x: dict[str, Tensor]) -> Tensor:
        return self._features({k: v.to(self._device) for k, v in x.items()})

    def _forward(self, x: dict[str, Tensor]) -> Tensor:
        out: Tensor = self._top(self._features(x))
        return out

    def _forward_from_cpu(self, x: dict[str, Tensor]) -> Tensor:
        return self._forward({k: v.to(self._device) for k, v in x.items()})

    def predict(self, batch: Batch) -> npt.NDArray[Any]:
        """Log-probabilities [n, classes], or outputs [n, m]."""
        import torch

        self._network.eval()
        self._top.eval()
        with torch.inference_mode():
            return self._objective.answer(in_passes(self._forward_from_cpu, self._inputs(batch)))

    def count_parameters(self) -> int:
        """Parameters of embedder and head."""
        return self.embedder.count_parameters() + sum(weight.numel() for weight in self._top.parameters())

    def count_trained_parameters(self) -> int:
        """Those of the head and of the layers that were tuned."""
        return self._trained


def redraw(network: Network, name: str) -> Network:
    """Draw all weights of a network anew, from PyTorch's default generator, by its modules' ``reset_parameters``.

    Inner modules are drawn first, so that a module's own method has the last word on its parts.

    Raises
    ------
    ModelError
        A module has weights of its own and no ``reset_parameters``: they would stay as they were trained.
    """
    for path, module in reversed(list(network.named_modules())):
        owns = next(iter(module.parameters(recurse=False)), None) is not None
        # PyTorch's own attention has it under another name.
        reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None) if owns else None)
        if callable(reset):
            reset()
        elif owns:
            why = f"{path or type(module).__name__} has no reset_parameters()"
            raise ModelError("The network's weights cannot be drawn anew.", where=name, why=why)
    return network
