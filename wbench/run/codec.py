"""Running a codec: encode here, decode in another process, in another order, and count every bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import Codec, Payload
from wbench.run.guard import check_independence, probe_rows
from wbench.run.room import Room, decode_in, open_room
from wbench.seeding import keyed_permutation
from wbench.task.base import Task
from wbench.two_sided import TwoSided

__all__ = ["CodecRun", "check_payloads", "run_codec"]

CHUNK = 256


@dataclass(frozen=True)
class CodecRun:
    """Reconstructions complex [n, …] and the payload bits int64 [n]."""

    predictions: npt.NDArray[Any]
    bits: npt.NDArray[np.int64]


def check_payloads(payloads: Sequence[Any], count: int, max_bits: int) -> npt.NDArray[np.int64]:
    """Check one batch of payloads and return their bits.

    Raises
    ------
    ModelError
        If there is not one payload per sample, or one is malformed or above the hard cap.
    """
    if len(payloads) != count:
        raise ModelError(f"The encoder returned {len(payloads)} payloads for {count} samples.")
    bits = []
    for payload in payloads:
        # Exactly this class, bytes and int: a subclass could carry more to the decoder than is counted.
        if type(payload) is not Payload or type(payload.data) is not bytes or type(payload.bits) is not int:
            kind = type(payload).__name__ if type(payload) is not Payload else "bits or data of another type"
            raise ModelError("The encoder must return wbench.Payload objects of bytes and int.", why=f"it gave {kind}")
        if payload.bits < 0 or len(payload.data) != -(-payload.bits // 8):
            why = f"{payload.bits} bits in {len(payload.data)} bytes"
            raise ModelError("A payload's bytes do not match its bits.", why=why)
        spare = 8 * len(payload.data) - payload.bits
        if spare and payload.data[-1] & ((1 << spare) - 1):
            raise ModelError("A payload hides bits in its padding.", why=f"{payload.bits} bits declared")
        if payload.bits > max_bits:
            raise ModelError(f"A payload has {payload.bits} bits.", why=f"the task allows {max_bits}")
        bits.append(payload.bits)
    return np.array(bits, dtype=np.int64)


def run_codec(codec: Codec, task: Task, ids: npt.NDArray[np.int64]) -> CodecRun:
    """Encode the test part, decode it in a fresh process in a keyed random order.

    The decoder is frozen *before* the first sample is encoded, with the environment variables and the module path of
    its process, so no memory passes from encoder to decoder but the payloads, and no file within the bounds of
    :mod:`wbench.run.room`. Some samples are encoded and decoded a second time, alone: a payload that only means
    something beside the others of its batch is not one per sample.

    Raises
    ------
    ModelError
        If either half breaks its contract or raises.
    """
    limit = task.spec.limit
    if limit is None:
        raise ModelError("A codec serves compress tasks.", where=task.spec.name)
    local = [Path(dataset.path) for dataset in task.datasets.values() if isinstance(dataset.path, Path)]
    frozen = open_room(codec.decoder(), local)
    encode = codec.encoder()
    payloads: list[Payload] = []
    bits = []
    for batch in task.batches("test", ids, CHUNK):
        made = list(encode(batch))
        bits.append(check_payloads(made, len(batch), limit.max_bits))
        payloads += made
    probes = probe_rows(len(ids), task.spec.digest)
    again = [payload for batch in task.batches("test", ids[probes], 1) for payload in encode(batch)]
    check_payloads(again, len(probes), limit.max_bits)
    order = keyed_permutation(len(ids), "decode order", task.spec.digest)
    chunks = [[payloads[i] for i in order[start : start + CHUNK]] for start in range(0, len(order), CHUNK)]
    singles = [[payload] for payload in (*(payloads[i] for i in probes), *again)]
    decoded = _decode(codec, frozen, [*chunks, *singles])
    shuffled, alone = decoded[: len(ids)], np.split(decoded[len(ids) :], 2)
    predictions = np.empty_like(shuffled)
    predictions[order] = shuffled
    if np.isfinite(predictions).all():  # what is not finite is reported as such by the caller
        check_independence(predictions[probes], alone[0], "The decoder's answer")
        check_independence(predictions[probes], alone[1], "The codec's reconstruction")
    return CodecRun(predictions, np.concatenate(bits))


def _decode(codec: Codec, frozen: Room, chunks: list[list[Payload]]) -> npt.NDArray[Any]:
    return decode_in(frozen, chunks, type(codec).__name__ if type(codec) is not TwoSided else codec.info.name)
