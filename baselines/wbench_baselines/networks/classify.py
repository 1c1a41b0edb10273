"""MLP, CNN and ResNet1D from angle-delay maps to LoS, beams and places (needs PyTorch)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from wbench.errors import ModelError
from wbench.heads.networks import ResNet1d
from wbench.heads.objective import Objective
from wbench.model import ModelInfo, TrainingData
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.spec import TaskSpec
from wbench.training import TrainingSettings
from wbench_baselines.neighbours import check_angular_delay
from wbench_baselines.networks.common import Network, in_passes
from wbench_baselines.networks.maps import maps, scalars

__all__ = ["CnnModel", "CnnNetwork", "MapModel", "MlpModel", "ResNet1dModel", "ResNet1dNetwork", "Scaled"]

F32 = npt.NDArray[np.float32]
FAMILIES = ("los-nlos", "beam-subarray", "beam-crossband", "positioning")
#: Where a beam within 1 dB of the best counts: a beam d dB below the best weighs e^(−d/softness) in training.
SOFTNESS_DB = 0.5


class MapModel(Network):
    """A network from maps [n, map, angle, delay] to classes, or to places."""

    settings: ClassVar[TrainingSettings] = TrainingSettings(4, 64, lr=1e-3, weight_decay=0.05)
    steps: ClassVar[int] = 3000
    most_epochs: ClassVar[int] = 200

    def supports(self, spec: TaskSpec) -> str | None:
        """LoS detection, beam prediction from channels, positioning."""
        if spec.family not in FAMILIES:
            return f"answers LoS, beams from channels and positioning; the task is {spec.family}, {spec.kind}"
        return None

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Check the dimensions.

        Raises
        ------
        ModelError
            The channel does not end in transmit ports and subcarriers.
        """
        super().setup(spec, meta)
        check_angular_delay(meta, self.info.name)
        self.restore()

    @abstractmethod
    def layers(self, shape: tuple[int, int, int], extra: int, outputs: int) -> nn.Module:
        """Module from maps of this shape (map, angle, delay) and ``extra`` numbers beside them to the outputs."""

    def network(self, shape: Sequence[int], extra: int, outputs: int) -> nn.Module:
        """The layers with the statistics of inputs and targets that they were trained on."""
        maps_, angles, delays = shape
        return Scaled(self.layers((maps_, angles, delays), extra, outputs), maps_, extra, outputs)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Train on ``train``; keep the weights of the epoch that is best on ``val``.

        Raises
        ------
        ModelError
            The training part is empty or has one class only, or the training diverges.
        """
        if not len(train):
            raise ModelError("The training part is empty.", where=self.info.name)
        x, truth = self._gather(train)
        objective = Objective(truth, self.meta.classes)
        self.build(seed, shape=list(x["maps"].shape[1:]), extra=x["scalars"].shape[1], outputs=objective.outputs)
        self.scaled.learn(x["maps"], x["scalars"], None if objective.classes else truth["target"])
        known, wanted = _tensors(x), self._wanted(truth)

        def loss(rows: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
            chosen = torch.from_numpy(rows)
            return self._loss(self._answer({k: v[chosen] for k, v in known.items()}), wanted[chosen].to(self.device))

        validate = None
        if len(val):
            held, held_truth = self._gather(val)
            held_known, answer = _tensors(held), self._wanted(held_truth)

            def validate() -> float:
                return float(self._loss(in_passes(self._answer, held_known, self.samples_per_pass), answer))

        self.run(len(known["maps"]), loss, validate, seed)

    def predict(self, batch: Batch) -> npt.NDArray[np.float64]:
        """Log-probabilities float64 [n, classes], or places in m, float64 [n, 2]."""
        self.module.eval()
        output = in_passes(self._answer, _tensors(self._seen(batch)), self.samples_per_pass).double()
        if self.spec.kind == "classify":
            return np.asarray(functional.log_softmax(output, dim=1).numpy())
        scaled = self.scaled
        return np.asarray((output * scaled.target_scale.cpu().double() + scaled.target_mean.cpu().double()).numpy())

    @property
    def scaled(self) -> Scaled:
        """The module."""
        if not isinstance(self.module, Scaled):
            raise ModelError("The network has no statistics.", where=self.info.name)
        return self.module

    def _seen(self, batch: Batch) -> dict[str, F32]:
        return {"maps": maps(batch, self.spec.family), "scalars": scalars(batch, self.spec.family)}

    def _gather(self, data: TrainingData) -> tuple[dict[str, F32], Truth]:
        parts, truths = [], []
        for batch, truth in data.batches():
            parts.append(self._seen(batch))
            truths.append({k: v for k, v in truth.items() if k in ("label", "target", "rsrp")})
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return joined, {name: np.concatenate([truth[name] for truth in truths]) for name in truths[0]}

    def _answer(self, x: dict[str, Tensor]) -> Tensor:
        out: Tensor = self.module(x["maps"].to(self.device), x["scalars"].to(self.device))
        return out

    def _wanted(self, truth: Truth) -> Tensor:
        if self.spec.primary == "within_1db" and "rsrp" in truth:
            below = truth["rsrp"] - truth["rsrp"].max(axis=1, keepdims=True)
            weight = np.exp(below / SOFTNESS_DB)
            return torch.from_numpy((weight / weight.sum(axis=1, keepdims=True)).astype(np.float32))
        if self.spec.kind == "classify":
            return torch.from_numpy(truth["label"].astype(np.int64))
        mean, scale = self.scaled.target_mean.cpu(), self.scaled.target_scale.cpu()
        return (torch.from_numpy(truth["target"]) - mean).div(scale).float()

    def _loss(self, output: Tensor, wanted: Tensor) -> Tensor:
        if self.spec.kind == "regress":  # mean distance: a few users that cannot be found must not decide
            return ((output - wanted).square().sum(dim=1) + 1e-8).sqrt().mean()
        return functional.cross_entropy(output, wanted)


class Scaled(nn.Module):
    """A network on standardised inputs, with the statistics of its inputs and targets; these are not trained.

    Parameters
    ----------
    layers : nn.Module
        The network.
    maps, extra, outputs : int
        Numbers of maps, of numbers beside them, and of outputs.
    """

    mean: Tensor
    scale: Tensor
    extra_mean: Tensor
    extra_scale: Tensor
    target_mean: Tensor
    target_scale: Tensor

    def __init__(self, layers: nn.Module, maps: int, extra: int, outputs: int) -> None:
        super().__init__()
        self.layers = layers
        for name, shape in {"": (maps, 1, 1), "extra_": (extra,), "target_": (outputs,)}.items():
            self.register_buffer(f"{name}mean", torch.zeros(shape))
            self.register_buffer(f"{name}scale", torch.ones(shape))

    def learn(self, maps: F32, extra: F32, target: npt.NDArray[np.floating] | None) -> None:
        """Take means and deviations: of each map, of each number, and one deviation of all targets."""
        for name, (mean, deviation) in {"": _statistics(maps), "extra_": _statistics(extra)}.items():
            getattr(self, f"{name}mean").copy_(torch.from_numpy(mean))
            getattr(self, f"{name}scale").copy_(torch.from_numpy(deviation))
        if target is not None:
            self.target_mean.copy_(torch.from_numpy(target.mean(axis=0)))
            self.target_scale.fill_(max(float(target.std()), 1e-6))

    def forward(self, x: Tensor, extra: Tensor) -> Tensor:
        """[n, map, angle, delay], [n, s] → [n, outputs], standardised."""
        out: Tensor = self.layers((x - self.mean) / self.scale, (extra - self.extra_mean) / self.extra_scale)
        return out


def _tensors(x: dict[str, F32]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values) for name, values in x.items()}


def _statistics(values: F32) -> tuple[F32, F32]:
    """Mean and deviation of each map (or number) over the training part, in its shape."""
    axes = (0, *range(2, values.ndim))
    deviation = values.std(axis=axes, keepdims=True, dtype=np.float64)[0]
    mean = values.mean(axis=axes, keepdims=True, dtype=np.float64)[0]
    return mean.astype(np.float32), np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)


class MlpNetwork(nn.Module):
    """Two hidden layers on magnitudes, flattened."""

    def __init__(self, shape: tuple[int, int, int], extra: int, outputs: int, width: int, magnitudes: int) -> None:
        super().__init__()
        self.magnitudes = magnitudes
        size = magnitudes * shape[1] * shape[2] + extra
        hidden = (nn.Dropout(0.2), nn.Linear(size, width), nn.GELU(), nn.Dropout(0.5), nn.Linear(width, width))
        self.layers = nn.Sequential(*hidden, nn.GELU(), nn.Dropout(0.5), nn.Linear(width, outputs))

    def forward(self, x: Tensor, extra: Tensor) -> Tensor:
        """[n, map, angle, delay], [n, s] → [n, outputs]."""
        out: Tensor = self.layers(torch.cat([x[:, : self.magnitudes].flatten(1), extra], dim=1))
        return out


class MlpModel(MapModel):
    """Two hidden layers of 256 on the magnitudes of the angle-delay map; phases are left out."""

    width: ClassVar[int] = 256

    info = ModelInfo(
        name="wbench/mlp",
        revision="1",
        kind="network",
        summary="MLP 2 × 256 on |angle-delay|",
        source="Rumelhart, Hinton, Williams, Nature 323, 1986; dropout: Srivastava et al., JMLR 15, 2014",
        licence="Apache-2.0",
        trains=True,
        stochastic=True,
    )

    def layers(self, shape: tuple[int, int, int], extra: int, outputs: int) -> nn.Module:
        """See :class:`MlpNetwork`."""
        magnitudes = shape[0] if self.spec.family == "positioning" else shape[0] // 3
        return MlpNetwork(shape, extra, outputs, self.width, magnitudes)


class CnnNetwork(nn.Module):
    """Three convolutions over angle and delay, each halving the delays (the last the angles too), and two layers."""

    def __init__(self, shape: tuple[int, int, int], extra: int, outputs: int, width: int) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        before, after = shape[0], width
        for stride in ((1, 2), (1, 2), (2, 2)):
            stages += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.GroupNorm(8, after), nn.ReLU()]
            before, after = after, min(2 * after, 4 * width)
        angles, delays = -(-shape[1] // 2), min(8, -(-shape[2] // 8))
        self.stages = nn.Sequential(*stages, nn.AdaptiveAvgPool2d((angles, delays)))
        self.layers = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(4 * width * angles * delays + extra, 128), nn.ReLU(), nn.Dropout(0.3)
        )
        self.answer = nn.Linear(128, outputs)

    def forward(self, x: Tensor, extra: Tensor) -> Tensor:
        """[n, map, angle, delay], [n, s] → [n, outputs]."""
        out: Tensor = self.answer(self.layers(torch.cat([self.stages(x).flatten(1), extra], dim=1)))
        return out


class CnnModel(MapModel):
    """Convolutions of 16, 32 and 64 channels over angle and delay."""

    width: ClassVar[int] = 16

    info = ModelInfo(
        name="wbench/cnn",
        revision="1",
        kind="network",
        summary="CNN of 16, 32 and 64 channels over angle and delay",
        source="LeCun et al., Proc. IEEE 86(11), 1998; on angle-delay maps: Vieira et al., PIMRC 2017",
        licence="Apache-2.0",
        trains=True,
        stochastic=True,
    )

    def layers(self, shape: tuple[int, int, int], extra: int, outputs: int) -> nn.Module:
        """See :class:`CnnNetwork`."""
        return CnnNetwork(shape, extra, outputs, self.width)


class ResNet1dNetwork(nn.Module):
    """The heads' residual network along the delays; maps and angles are its channels, numbers beside them too."""

    def __init__(self, shape: tuple[int, int, int], extra: int, outputs: int, width: int) -> None:
        super().__init__()
        self.network = ResNet1d((shape[2], shape[0] * shape[1] + extra), outputs, width)

    def forward(self, x: Tensor, extra: Tensor) -> Tensor:
        """[n, map, angle, delay], [n, s] → [n, outputs]."""
        tokens = torch.cat([x.flatten(1, 2), extra[:, :, None].expand(-1, -1, x.shape[3])], dim=1)
        out: Tensor = self.network(tokens.transpose(1, 2))
        return out


class ResNet1dModel(MapModel):
    """1-D ResNet of 32, 64 and 128 channels along the delays."""

    steps: ClassVar[int] = 2000
    width: ClassVar[int] = 32

    info = ModelInfo(
        name="wbench/resnet1d",
        revision="1",
        kind="network",
        summary="1-D ResNet of 32, 64 and 128 channels along the delays of the angle-delay map",
        source="He et al., CVPR 2016; size of the head in Alikhani, Charan, Alkhateeb, arXiv 2411.08872",
        licence="Apache-2.0",
        trains=True,
        stochastic=True,
    )

    def layers(self, shape: tuple[int, int, int], extra: int, outputs: int) -> nn.Module:
        """See :class:`ResNet1dNetwork`."""
        return ResNet1dNetwork(shape, extra, outputs, self.width)
