"""Helpers of the codecs: complex channels as real vectors, and products whose rows do not depend on the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import Payload
from wbench.task.batch import ChannelMeta
from wbench.task.spec import TaskSpec

__all__ = ["check_ports", "from_reals", "needs_precoders", "needs_reals", "rowwise", "stack_reals", "to_reals"]

PRECODER_FAMILY = "csi-feedback-bits"

Complex = npt.NDArray[np.complexfloating[Any, Any]]


def to_reals(h: Complex) -> npt.NDArray[np.float32]:
    """Flatten each sample and put the real parts before the imaginary parts: float32 [n, 2·size]."""
    flat = h.reshape(len(h), -1)
    return np.concatenate([flat.real, flat.imag], axis=1).astype(np.float32, copy=False)


def from_reals(x: npt.NDArray[np.floating[Any]], shape: tuple[int, ...]) -> npt.NDArray[np.complex64]:
    """Inverse of :func:`to_reals`: complex64 [n, *shape]."""
    half = x.shape[1] // 2
    return (x[:, :half] + 1j * x[:, half:]).astype(np.complex64).reshape(len(x), *shape)


def stack_reals(payloads: Sequence[Payload], reals: int) -> npt.NDArray[np.float32]:
    """Float32 numbers of payloads of the same length, [n, reals]; also for no payloads at all."""
    return np.array([payload.reals() for payload in payloads], dtype=np.float32).reshape(len(payloads), reals)


def rowwise(rows: npt.NDArray[Any], matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Product of rows [n, K] and a matrix [K, N] as n vector–matrix products.

    One product for the whole batch would be faster, but its last bits depend on the number of rows, and what a codec
    sends for a sample must not depend on the batch.
    """
    return np.asarray((rows[:, None, :] @ matrix)[:, 0, :])


def needs_reals(spec: TaskSpec, least: int = 1) -> str | None:
    """Reason why a codec whose payload is at least this many float32 numbers cannot serve a task, or None."""
    if spec.kind != "compress" or spec.limit is None:
        return "compresses channels; the task is not a compression task"
    if spec.limit.reals is None:
        return "sends float32 numbers; the task limits bits"
    return None if spec.limit.reals >= least else f"needs {least} numbers; the limit is {spec.limit.reals}"


def needs_precoders(spec: TaskSpec, bits: int) -> str | None:
    """Reason why a codec of precoders with a payload of this many bits cannot serve a task, or None."""
    if spec.kind != "compress" or spec.limit is None or spec.family != PRECODER_FAMILY:
        return f"feeds precoders back; tasks of that kind are of the family {PRECODER_FAMILY}"
    return None if spec.limit.max_bits >= bits else f"needs {bits} bits; the limit is {spec.limit.max_bits}"


def check_ports(spec: TaskSpec, meta: ChannelMeta) -> None:
    """Check that a sample is one vector over the transmit ports per sub-band.

    Raises
    ------
    ModelError
        It is not.
    """
    if len(meta.shape) != 2 or meta.shape[-1] != meta.tx.ports:
        raise ModelError(
            "A precoder needs one vector over the transmit ports per sub-band.",
            where=f"task {spec.name}",
            why=f"samples are {meta.shape}, the array has {meta.tx.ports} ports",
        )
