"""Running a codec: encode here, decode in another process, in another order, and count every bit."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench import registry
from wbench.errors import ModelError
from wbench.model import Codec, Payload
from wbench.run.guard import cause_of, check_independence, probe_rows
from wbench.seeding import keyed_permutation
from wbench.task.base import Task

__all__ = ["CodecRun", "check_payloads", "run_codec"]

DECODE_TIMEOUT_S = 24 * 3600
CHUNK = 256
#: ``-P`` keeps the working directory off the path: a file there named like a module must not be imported.
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from wbench.run import codec; codec._serve()"


@dataclass(frozen=True)
class CodecRun:
    """Reconstructions complex [n, …] and the payload bits int64 [n]."""

    predictions: npt.NDArray[Any]
    bits: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Room:
    """All that a decoder's process starts from, as it was before the first sample was encoded."""

    decoder: bytes
    environment: dict[str, str]
    path: list[str]


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
    its process, so no memory passes from encoder to decoder but the payloads. Some samples are encoded and decoded a
    second time, alone: a payload that only means something beside the others of its batch is not one per sample.

    Raises
    ------
    ModelError
        If either half breaks its contract or raises.
    """
    limit = task.spec.limit
    if limit is None:
        raise ModelError("A codec serves compress tasks.", where=task.spec.name)
    decoder = codec.decoder()
    try:
        frozen = _Room(pickle.dumps(decoder), dict(os.environ), list(sys.path))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
        step = "make it a module-level class with __call__, or functools.partial of a module-level function"
        raise ModelError("The decoder cannot be pickled for its own process.", why=why, next_step=step) from error
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


def _decode(codec: Codec, frozen: _Room, chunks: list[list[Payload]]) -> npt.NDArray[Any]:
    module = sys.modules.get(type(codec).__module__)
    file = getattr(module, "__file__", None) if type(codec).__module__.startswith("wbench_file_") else None
    work = pickle.dumps((file, frozen.decoder, chunks))
    environment = {**frozen.environment, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", _BOOT, json.dumps(frozen.path)]
    done = subprocess.run(
        command, input=work, capture_output=True, check=False, timeout=DECODE_TIMEOUT_S, env=environment
    )
    if done.returncode < 0:
        why = f"its process was ended by signal {-done.returncode} (9: most likely out of memory)"
        raise ModelError("The decoder failed in its own process.", where=type(codec).__name__, why=why)
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()
        why = last[-1] if last else "no message"
        raise ModelError("The decoder failed in its own process.", where=type(codec).__name__, why=why)
    return np.asarray(np.load(io.BytesIO(done.stdout), allow_pickle=False))


def _serve() -> None:
    """Child process: rebuild the decoder, decode the payloads chunk by chunk, write the array."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the decoder or a library under it prints must not corrupt the answer
    file, frozen, chunks = pickle.load(sys.stdin.buffer)
    decode: Any = None
    try:
        with contextlib.redirect_stdout(sys.stderr):
            if file is not None:
                registry.import_file(Path(file))
            decode = pickle.loads(frozen)
            parts = [_one_each(decode(chunk), len(chunk)) for chunk in chunks]
            answer = np.concatenate(parts)
    except (Exception, SystemExit) as error:
        sys.stderr.write(f"\n{cause_of(error, decode)}\n")
        sys.exit(1)
    buffer = io.BytesIO()
    np.save(buffer, answer, allow_pickle=False)
    with out:
        out.write(buffer.getvalue())


def _one_each(answer: Any, count: int) -> npt.NDArray[Any]:
    rows = np.asarray(answer)
    if rows.shape[:1] != (count,) or rows.dtype.kind not in "fciu":
        raise ModelError(f"it returned {rows.dtype} {rows.shape} for {count} payloads")
    return rows
