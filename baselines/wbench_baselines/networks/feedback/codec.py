"""What the feedback networks share: images and their scale, training, and the two halves as callables.

**Scale.** CsiNet and CRNet as published see numbers in [0, 1] around 0.5 and end in a sigmoid, as their data set is
stored so: all entries divided by one constant of the whole set. Here a sample has unit rms already (the gain is not
part of the task), its entries are near 0 with a few up to 30, and there is no bound that a sigmoid could use. So the
real and imaginary parts go in as they are, background 0, and the last activation is the identity. The mean squared
error of training is then, up to a constant, the NMSE with equal weight per sample.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from wbench.heads.trained import in_passes
from wbench.model import Decoder, Encoder, Payload, TrainingData
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench.tuning import nmse_db
from wbench_baselines.codecs.common import needs_reals, stack_reals
from wbench_baselines.networks.feedback.trained import CHUNK, Autoencoder, TrainedCodec

__all__ = ["Autoencoder", "NetworkCodec", "NetworkDecoder", "NetworkEncoder", "to_channels", "to_images"]

Complex = npt.NDArray[np.complexfloating[Any, Any]]


def to_images(h: Complex) -> npt.NDArray[np.float32]:
    """Channels complex [n, delay, angle] → float32 [n, 2, angle, delay], real plane first."""
    turned = h.swapaxes(1, 2)
    return np.stack([turned.real, turned.imag], axis=1).astype(np.float32, copy=False)


def to_channels(images: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.complex64]:
    """Inverse of :func:`to_images`: complex64 [n, delay, angle]."""
    return np.ascontiguousarray((images[:, 0] + 1j * images[:, 1]).swapaxes(1, 2).astype(np.complex64))


@dataclass(frozen=True, eq=False)
class NetworkEncoder:
    """The half at the UE: one payload of M float32 numbers per sample."""

    module: nn.Module

    def __call__(self, batch: Batch) -> list[Payload]:
        """Encode; always the same number of samples per pass, so a payload does not hang on the batch."""
        device = next(self.module.parameters()).device
        with torch.inference_mode():
            images = torch.from_numpy(to_images(batch.x["H"])).to(device)
            codewords = in_passes(self.module.eval(), images).cpu().numpy() if len(batch) else ()
        return [Payload.of_reals(one) for one in codewords]


@dataclass(frozen=True, eq=False)
class NetworkDecoder:
    """The half at the base station, for codewords of ``reals`` numbers and samples of ``shape`` [delay, angle]."""

    module: nn.Module
    reals: int
    shape: tuple[int, ...]

    def __call__(self, payloads: Sequence[Payload]) -> Complex:
        """Channels complex64 [n, delay, angle]."""
        if not payloads:
            return np.zeros((0, *self.shape), dtype=np.complex64)
        with torch.inference_mode():
            codewords = torch.from_numpy(stack_reals(payloads, self.reals))
            return to_channels(in_passes(self.module.eval(), codewords).numpy())


class NetworkCodec(TrainedCodec):
    """A network that compresses angular-delay images into float32 numbers, trained by the mean squared error."""

    criterion: ClassVar[str] = "nmse_ros_db"

    @abstractmethod
    def build(self, shape: tuple[int, int], reals: int) -> Autoencoder:
        """A new network for images of ``shape`` (angle, delay) and codewords of ``reals`` numbers."""

    def supports(self, spec: TaskSpec) -> str | None:
        """Serve images through real numbers."""
        return needs_reals(spec)

    def accepts(self, meta: ChannelMeta) -> str | None:
        """Take images."""
        return None if len(meta.shape) == 2 else f"compresses images; samples are {meta.shape}"

    def make(self) -> Autoencoder:
        """A new network for the task's images and its limit."""
        delay, angle = self.meta.shape
        return self.build((angle, delay), self._reals())

    def read(self, data: TrainingData) -> Tensor:
        """Images float32 [n, 2, angle, delay]; made in place, as they are most of the memory."""
        delay, angle = self.meta.shape
        out, start = np.empty((len(data), 2, angle, delay), dtype=np.float32), 0
        for _, truth in data.batches(CHUNK):
            made = to_images(truth["H"])
            out[start : start + len(made)] = made
            start += len(made)
        return torch.from_numpy(out)

    def loss(self, answer: Tensor, wanted: Tensor) -> Tensor:
        """Mean squared error."""
        return nn.functional.mse_loss(answer, wanted)

    def score(self, answer: Tensor, wanted: Tensor) -> Tensor:
        """Energy of the error, and of the sample."""
        parts = [torch.sum(one.flatten(1).double() ** 2, dim=1) for one in (answer - wanted, wanted)]
        return torch.stack(parts, dim=1)

    def shown(self, value: float) -> float:
        """NMSE (ratio of sums) in dB."""
        return nmse_db(value, 1.0)

    def encoder(self) -> Encoder:
        """The half at the UE."""
        return NetworkEncoder(self.fitted().encoder)

    def decoder(self) -> Decoder:
        """The half at the base station."""
        return NetworkDecoder(self.fitted_decoder(), self._reals(), self.meta.shape)

    def _reals(self) -> int:
        limit = self.spec.limit.reals if self.spec.limit else None
        return min(limit or 0, 2 * math.prod(self.meta.shape))
