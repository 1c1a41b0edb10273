"""The trivial codec: send nothing, answer zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.model import Codec, Decoder, Encoder, ModelInfo, Payload
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec
from wbench_baselines.codecs.common import needs_reals

__all__ = ["SendNothing", "Zeros"]


@dataclass(frozen=True)
class SendNothing:
    """Encoder of codecs without feedback: an empty payload for each sample."""

    def __call__(self, batch: Batch) -> list[Payload]:
        """One payload of 0 bits per sample."""
        return [Payload(b"", 0) for _ in range(len(batch))]


@dataclass(frozen=True)
class Constant:
    """Decoder that answers the same complex64 array for every payload."""

    answer: npt.NDArray[np.complex64]

    def __call__(self, payloads: Sequence[Payload]) -> npt.NDArray[np.complexfloating[Any, Any]]:
        """Array [n, *answer.shape]."""
        return np.repeat(self.answer[None], len(payloads), axis=0)


class Zeros(Codec):
    """Zero bits, Ĥ = 0: an NMSE of 0 dB exactly."""

    info = ModelInfo(
        name="wbench/zeros-codec",
        revision="1",
        kind="trivial",
        summary="No feedback: answers zero (NMSE 0 dB exactly)",
        source="Definition of the NMSE: ‖H - 0‖²/‖H‖² = 1",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Serve tasks that feed channels back; of precoders, zero has no direction."""
        return needs_reals(spec)

    def encoder(self) -> Encoder:
        """Send nothing."""
        return SendNothing()

    def decoder(self) -> Decoder:
        """Zeros of the shape of the channel."""
        return Constant(np.zeros(self.meta.shape, dtype=np.complex64))
