"""Codecs: nothing passes from encoder to decoder but the payloads, and every bit is counted."""

from __future__ import annotations

import textwrap
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import wbench.run.codec
from tests.helpers_files import line_of, run_one, write_model
from tests.helpers_lab import Lab
from wbench.errors import ModelError
from wbench.model import Payload
from wbench.run.codec import check_payloads

HONEST = """
class Decode:
    def __init__(self, shape):
        self.shape = shape

    def __call__(self, payloads):
{decode_all}

    def one(self, payload):
{decode}

class Mine(wbench.Codec):
    info = wbench.ModelInfo("test/codec", revision="1")
    memory = {{}}

    def encoder(self):
        return self.encode

    def encode(self, batch):
{encode}

    def decoder(self):
        return Decode(self.meta.shape)
"""
EMPTY = "return [wbench.Payload(b'', 0) for _ in batch.ids]"
ZEROS = "return np.zeros(self.shape, complex)"
EACH = "return np.stack([self.one(payload) for payload in payloads])"


def codec(folder: Path, encode: str = EMPTY, decode: str = ZEROS, decode_all: str = EACH, extra: str = "") -> str:
    bodies = {"encode": encode, "decode": decode, "decode_all": decode_all}
    blocks = {name: textwrap.indent(textwrap.dedent(text).strip(), " " * 8) for name, text in bodies.items()}
    return write_model(folder, extra + HONEST.format(**blocks))


def test_an_honest_codec_scores_zero_db(lab: Lab, tmp_path: Path) -> None:
    cell = run_one(codec(tmp_path), lab.toml("ratio"), tmp_path)
    assert cell.result is not None, cell.reason
    assert cell.result.primary().value == 0.0
    assert cell.result.cost.payload_bits_max == 0


def test_memory_of_the_encoder_does_not_reach_the_decoder(lab: Lab, tmp_path: Path) -> None:
    """The encoder keeps every channel in a module global and sends its number; the decoder looks it up."""
    encode = """
        SEEN.extend(batch.x["H"])
        Mine.memory.update(enumerate(SEEN))
        first = len(SEEN) - len(batch)
        return [wbench.Payload((first + i).to_bytes(2, "big"), 16) for i in range(len(batch))]
    """
    decode = "return SEEN[int.from_bytes(payload.data, 'big')]"
    cell = run_one(codec(tmp_path, encode, decode, extra="SEEN = []\n"), lab.toml("ratio"), tmp_path)
    assert cell.status == "failed"
    assert "IndexError: list index out of range" in cell.reason
    decode = "return Mine.memory.get(int.from_bytes(payload.data, 'big'), np.zeros(self.shape, complex))"
    cell = run_one(codec(tmp_path, encode, decode, extra="SEEN = []\n"), lab.toml("ratio"), tmp_path)
    assert cell.result is not None, cell.reason
    assert cell.result.primary().value == 0.0  # nothing gained


def test_the_decoder_is_frozen_before_the_first_sample(lab: Lab, tmp_path: Path) -> None:
    """The decoder object shares a list with the encoder: what the encoder puts in later must not travel."""
    body = """
        class Decode:
            def __init__(self, shape, shared):
                self.shape, self.shared = shape, shared

            def __call__(self, payloads):
                zeros = np.zeros(self.shape, complex)
                known = self.shared + [zeros] * 1000
                return np.stack([known[int.from_bytes(p.data, "big")] for p in payloads])

        class Mine(wbench.Codec):
            info = wbench.ModelInfo("test/shared", revision="1")
            shared = []

            def encoder(self):
                return self.encode

            def encode(self, batch):
                first = len(self.shared)
                self.shared.extend(batch.x["H"])
                return [wbench.Payload((first + i).to_bytes(2, "big"), 16) for i in range(len(batch))]

            def decoder(self):
                return Decode(self.meta.shape, self.shared)
    """
    cell = run_one(write_model(tmp_path, body), lab.toml("ratio"), tmp_path)
    assert cell.result is not None, cell.reason
    assert cell.result.primary().value == 0.0


def test_the_decoder_has_another_order(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Payload]] = []
    decode = wbench.run.codec._decode

    def spy(codec: object, frozen: bytes, chunks: list[list[Payload]]) -> object:
        seen.extend(chunks)
        return decode(codec, frozen, chunks)  # type: ignore[arg-type]

    monkeypatch.setattr(wbench.run.codec, "_decode", spy)
    reference = codec(tmp_path, "return [wbench.Payload(int(i).to_bytes(2, 'big'), 16) for i in batch.ids]")
    assert run_one(reference, lab.toml("ratio"), tmp_path).status == "done"
    order = [int.from_bytes(payload.data, "big") for payload in seen[0]]
    ids = lab.task("ratio").ids("test").tolist()
    assert sorted(order) == ids
    assert sum(a < b for a, b in pairwise(order)) < 0.7 * len(ids)  # not sorted, nor nearly so


def test_differences_between_samples_cannot_be_sent(lab: Lab, tmp_path: Path) -> None:
    """A codec that predicts each sample from the one before is refused: the decoder has another order."""
    encode = """
        out = []
        for h in batch.x["H"]:
            step = h - getattr(self, "last", 0 * h)
            self.last = h
            out.append(wbench.Payload.of_reals(step.reshape(-1)[:8].view("f4")))
        return out
    """
    decode = """
        step = np.zeros(64, "c8")
        step[:8] = payload.reals().view("c8")
        self.last = getattr(self, "last", 0) + step.reshape(self.shape)
        return self.last
    """
    cell = run_one(codec(tmp_path, encode, decode), lab.toml("ratio"), tmp_path)
    assert cell.status == "failed"
    assert "depends on the other samples of its batch, or on what came before" in cell.reason


def test_samples_of_a_batch_cannot_share_their_payloads(lab: Lab, tmp_path: Path) -> None:
    """One sample's payload carries another one's channel; a decoder that gets all of them could put it right."""
    encode = """
        half = [h.reshape(-1)[:8] for h in batch.x["H"]]
        return [
            wbench.Payload(int(i).to_bytes(4, "big") + half[n - 1].tobytes()[:60], 512) for n, i in enumerate(batch.ids)
        ]
    """
    decode_all = """
        found = {int.from_bytes(p.data[:4], "big"): p.data[4:] for p in payloads}
        order = sorted(found)
        out = []
        for p in payloads:
            after = order[(order.index(int.from_bytes(p.data[:4], "big")) + 1) % len(order)]
            h = np.zeros(64, "c8")
            h[:7] = np.frombuffer(found[after][:56], "c8")
            out.append(h.reshape(self.shape))
        return np.stack(out)
    """
    cell = run_one(codec(tmp_path, encode, ZEROS, decode_all), lab.toml("ratio"), tmp_path)
    assert cell.status == "failed"
    assert "other samples of its batch" in cell.reason


@pytest.mark.parametrize(
    ("encode", "decode", "cause"),
    [
        (EMPTY, "return 1 / 0", "ZeroDivisionError: division by zero"),
        (EMPTY, "return np.linalg.inv(np.zeros((2, 2)))", "LinAlgError: Singular matrix"),
        (EMPTY, "exit(0)", "SystemExit: 0"),
        ("return 1 / 0", ZEROS, "ZeroDivisionError: division by zero"),
    ],
)
def test_exceptions_in_either_process_name_the_line(
    lab: Lab, tmp_path: Path, encode: str, decode: str, cause: str
) -> None:
    reference = codec(tmp_path, encode, decode)
    cell = run_one(reference, lab.toml("ratio"), tmp_path)
    assert cell.status == "failed"
    line = line_of(reference, decode if encode == EMPTY else encode)
    assert f"line {line} of {Path(reference.rpartition(':')[0]).name}: {cause}" in cell.reason


@pytest.mark.parametrize(
    ("encode", "decode", "cause"),
    [
        ("return [wbench.Payload(bytes(65), 513) for _ in batch.ids]", ZEROS, "the task allows 512"),
        ("return [wbench.Payload(b'\\xff', 3) for _ in batch.ids]", ZEROS, "hides bits in its padding"),
        ("return [wbench.Payload(b'\\x00\\x00', 8) for _ in batch.ids]", ZEROS, "do not match its bits"),
        ("return [b'' for _ in batch.ids]", ZEROS, "wbench.Payload"),
        ("return [wbench.Payload(b'', 0)]", ZEROS, "1 payloads for 80 samples"),
        (EMPTY, "return np.zeros(3, complex)", "wrong shape"),
        (EMPTY, "return np.full(self.shape, np.nan)", "not finite"),
        (EMPTY, "return 'text'", "<U4"),
        (EMPTY, "import os; os.kill(os.getpid(), 9)", "signal 9"),
    ],
)
def test_broken_contracts(lab: Lab, tmp_path: Path, encode: str, decode: str, cause: str) -> None:
    cell = run_one(codec(tmp_path, encode, decode), lab.toml("ratio"), tmp_path)
    assert cell.status == "failed"
    assert cause in cell.reason


def test_a_decoder_may_print(lab: Lab, tmp_path: Path) -> None:
    decode = "import os; print('hello'); os.write(1, b'low level'); return np.zeros(self.shape, complex)"
    cell = run_one(codec(tmp_path, EMPTY, decode), lab.toml("ratio"), tmp_path)
    assert cell.status == "done", cell.reason


def test_files_of_the_working_directory_do_not_disturb_the_decoder(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "types.py").write_text("raise RuntimeError('shadowed')")
    (tmp_path / "zarr.py").write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(tmp_path)
    cell = run_one(codec(tmp_path), lab.toml("ratio"), tmp_path)
    assert cell.status == "done", cell.reason


def test_a_decoder_that_does_not_pickle(lab: Lab, tmp_path: Path) -> None:
    body = """
        class Mine(wbench.Codec):
            def encoder(self):
                return print

            def decoder(self):
                return lambda payloads: None
    """
    cell = run_one(write_model(tmp_path, body), lab.toml("ratio"), tmp_path)
    assert cell.status == "failed"
    assert "cannot be pickled" in cell.reason
    assert "module-level" in cell.reason


def test_a_payload_of_another_class_cannot_smuggle() -> None:
    class Fat(Payload):
        __slots__ = ("more",)

    class Heavy(bytes):
        more: object

    for payload in (Fat(b"", 0), Payload(Heavy(b""), 0), Payload(b"", np.int64(0))):  # type: ignore[arg-type]
        with pytest.raises(ModelError, match="must return wbench"):
            check_payloads([payload], 1, 8)
    np.testing.assert_array_equal(check_payloads([Payload(b"\xe0", 3), Payload(b"", 0)], 2, 8), [3, 0])
