"""Two PyTorch modules as a codec: one compresses to real numbers, the other makes channels of them, elsewhere."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.adapters.base import Adapter, complex_of, crop_pad, in_passes
from wbench.adapters.module import filled
from wbench.errors import ModelError
from wbench.model import Codec, Decoder, Encoder, Payload, TrainingData, module_device
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench.training import TrainingSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = ["ModuleCodec"]


class ModuleCodec(Adapter, Codec):
    """Encoder and decoder networks with real numbers between them, float32: one payload of 32 bits each per number.

    Trained end to end if ``info.trains`` (squared error of the channel), else with the weights of a file, whose names
    begin with ``encoder.`` and ``decoder.``. A subclass writes :meth:`build_encoder` ([n, 2, *sample_shape] →
    [n, :attr:`numbers`]) and :meth:`build_decoder` (back). With another number format, write :meth:`pack` and
    :meth:`unpack`, static: the decoder's process knows the payloads only.
    """

    settings: ClassVar[TrainingSettings] = TrainingSettings(30, 64, lr=1e-3, weight_decay=0.0, warmup=0.1, patience=5)
    #: Fewest steps of a training, however few samples there are: epochs are added.
    steps: ClassVar[int] = 800

    @abstractmethod
    def build_encoder(self) -> nn.Module:
        """Network [n, 2, *sample_shape] → [n, numbers]."""

    @abstractmethod
    def build_decoder(self) -> nn.Module:
        """Network [n, numbers] → [n, 2, *sample_shape]."""

    @property
    def numbers(self) -> int:
        """Real numbers that the task's limit allows, 32 bits each."""
        if self.spec.limit is None:
            raise ModelError("The task has no limit.", where=self.spec.name)
        return self.spec.limit.max_bits // 32

    @staticmethod
    def pack(code: npt.NDArray[np.float32]) -> Payload:
        """One sample's numbers as its payload."""
        return Payload.of_reals(code)

    @staticmethod
    def unpack(payload: Payload) -> npt.NDArray[np.float32]:
        """Inverse of :meth:`pack`, as far as there is one."""
        return payload.reals()

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Build both networks and fill in the weights, if there are any."""
        super().setup(spec, meta)
        self.module = self._built(0)

    def _built(self, seed: int) -> nn.Module:
        from torch import nn

        def build() -> nn.Module:
            return nn.ModuleDict({"encoder": self.build_encoder(), "decoder": self.build_decoder()})

        return filled(self, build, seed, self.path)

    def move(self, device: str) -> None:
        """Move both networks; the decoder's process has the CPU."""
        self.module.to(device)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Train both networks end to end, without the payload between them."""
        import torch
        from torch.nn import functional

        from wbench.training.loop import train as run

        device = module_device(self.module)
        self.module = self._built(seed).to(device)
        x, x_val = (torch.from_numpy(self.inputs(data.load()[0])["x"]) for data in (train, val))

        def error(some: Tensor) -> Tensor:
            some = some.to(device)
            output = self._half("decoder")(self._half("encoder")(some))
            return functional.mse_loss(output.reshape(some.shape), some)

        def loss(rows: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
            return error(x[torch.from_numpy(rows)])

        def validate() -> float:
            size, count = self.settings.batch, len(x_val)
            parts = [x_val[start : start + size] for start in range(0, count, size)]
            return sum(len(part) * float(error(part)) for part in parts) / count

        settings = self.settings.lasting(len(x), self.steps)
        self.log = run(self.module, len(x), loss, settings, seed, validate=validate)

    def _half(self, name: str) -> nn.Module:
        half: nn.Module = dict(self.module.named_children())[name]
        return half

    def encoder(self) -> Encoder:
        """Encoder network, then :meth:`pack`."""
        return partial(_encode, self)

    def decoder(self) -> Decoder:
        """:meth:`unpack`, then the decoder network, on the CPU."""
        import copy

        network = copy.deepcopy(self._half("decoder")).cpu().eval()
        return _Decoder(network, type(self).unpack, self.sample_shape, self.meta.shape, self.samples_per_pass)

    def count_parameters(self) -> int:
        """Weights of both."""
        return sum(weight.numel() for weight in self.module.parameters())


def _encode(codec: ModuleCodec, batch: Batch) -> Sequence[Payload]:
    network = codec._half("encoder").eval()
    device = module_device(codec.module)
    code = in_passes(partial(_run, network, device), codec.inputs(batch), codec.samples_per_pass)
    return [codec.pack(row) for row in code.reshape(len(code), -1)]


def _run(network: nn.Module, device: Any, part: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    import torch

    with torch.inference_mode():
        (values,) = part.values()
        return np.asarray(network(torch.from_numpy(values).to(device)).float().cpu().numpy())


@dataclass(frozen=True)
class _Decoder:
    """What the decoder's process gets; networks pickle, as their classes are in modules."""

    network: nn.Module
    unpack: Any
    inside: tuple[int, ...]
    shape: tuple[int, ...]
    size: int

    def __call__(self, payloads: Sequence[Payload]) -> npt.NDArray[Any]:
        code = np.stack([self.unpack(payload) for payload in payloads]).astype(np.float32)
        parts = in_passes(partial(_run, self.network, "cpu"), {"code": code}, self.size)
        return crop_pad(complex_of(parts.reshape(len(parts), 2, *self.inside)), self.shape)
