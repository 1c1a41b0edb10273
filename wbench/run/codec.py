"""Running a codec: encode here, decode in another process, in another order, and count every bit."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench import registry
from wbench.errors import ModelError
from wbench.model import Codec, Payload
from wbench.seeding import keyed_permutation
from wbench.task.base import Task

__all__ = ["CodecRun", "check_payloads", "run_codec"]

DECODE_TIMEOUT_S = 24 * 3600
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
        if not isinstance(payload, Payload) or not isinstance(payload.data, bytes):
            raise ModelError("The encoder must return wbench.Payload objects.", why=f"it returned {type(payload)}")
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

    The decoder is frozen *before* the first sample is encoded, so nothing can pass from encoder to decoder but the
    payloads.
    """
    limit = task.spec.limit
    if limit is None:
        raise ModelError("A codec serves compress tasks.", where=task.spec.name)
    frozen = pickle.dumps(codec.decoder())
    encode = codec.encoder()
    payloads: list[Payload] = []
    bits = []
    for batch in task.batches("test", ids):
        made = list(encode(batch))
        bits.append(check_payloads(made, len(batch), limit.max_bits))
        payloads += made
    order = keyed_permutation(len(ids), "decode order", task.spec.digest)
    shuffled = _decode(codec, frozen, [payloads[i] for i in order])
    if shuffled.shape[:1] != (len(ids),):
        raise ModelError("The decoder must return one reconstruction per payload.", why=f"it returned {shuffled.shape}")
    predictions = np.empty_like(shuffled)
    predictions[order] = shuffled
    return CodecRun(predictions, np.concatenate(bits))


def _decode(codec: Codec, frozen: bytes, payloads: list[Payload]) -> npt.NDArray[Any]:
    module = sys.modules.get(type(codec).__module__)
    path = getattr(module, "__file__", None) if type(codec).__module__.startswith("wbench_file_") else None
    work = pickle.dumps((sys.path, path, frozen, payloads))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "wbench.run.codec"]
    done = subprocess.run(
        command, input=work, capture_output=True, check=False, timeout=DECODE_TIMEOUT_S, env=environment
    )
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()
        raise ModelError("The decoder failed.", where=type(codec).__name__, why=last[-1] if last else "no message")
    return np.asarray(np.load(io.BytesIO(done.stdout), allow_pickle=False))


def _serve() -> None:
    """Child process: rebuild the decoder, decode the payloads in batches, write the array."""
    import contextlib

    path, file, frozen, payloads = pickle.load(sys.stdin.buffer)
    sys.path[:] = path
    out = sys.stdout.buffer
    with contextlib.redirect_stdout(sys.stderr):  # a decoder that prints must not corrupt the answer
        if file is not None:
            from pathlib import Path

            registry.import_file(Path(file))
        decode = pickle.loads(frozen)
        parts = [np.asarray(decode(payloads[i : i + CHUNK])) for i in range(0, len(payloads), CHUNK)]
        answer = np.concatenate(parts)
    buffer = io.BytesIO()
    np.save(buffer, answer, allow_pickle=False)
    out.write(buffer.getvalue())


if __name__ == "__main__":
    _serve()
