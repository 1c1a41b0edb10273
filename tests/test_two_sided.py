"""Two-sided feedback: two files of two authors, an agreed payload, and a decoder that has nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers_data import ROOT
from tests.helpers_files import run_one
from tests.helpers_lab import Lab
from tests.test_evaluate_codec import codec
from wbench.cli.main import main
from wbench.errors import PluginError, UsageError
from wbench.model import ModelInfo, Payload
from wbench.run.evaluate import evaluate
from wbench.two_sided import _joined, absolute, load, pair, split

EXAMPLE = ROOT / "docs/examples/two_sided"
PAGE = ROOT / "docs/two-sided-feedback.md"
ENCODER = """
import numpy as np
import wbench

class Enc(wbench.EncoderPart):
    info = wbench.ModelInfo("{org}/enc", revision="3", licence="MIT", parameters=5, pretraining=("a",))

    def payload_format(self, spec):
        return wbench.PayloadFormat("{format}", bits={bits})

    def encode(self, batch):
        return [wbench.Payload.of_reals(h.reshape(-1)[:8].view("f4")) for h in batch.x["H"]]
"""
DECODER = """
import numpy as np
import wbench

class Dec(wbench.DecoderPart):
    info = wbench.ModelInfo("{org}/dec", revision="7", licence="BSD-3-Clause", parameters=6, overlap="generator")

    def payload_format(self, spec):
        return wbench.PayloadFormat("{format}", bits={bits})

    def decode(self, payloads):
        out = np.zeros((len(payloads), 64), "c8")
        out[:, :8] = [p.reals().view("c8") for p in payloads]
        return out.reshape(-1, *self.meta.shape)
"""


def sides(folder: Path, encoder: dict[str, object] | None = None, decoder: dict[str, object] | None = None) -> str:
    plain = {"org": "north", "format": "eight-taps", "bits": 512}
    (folder / "enc.py").write_text(ENCODER.format(**plain | (encoder or {})))
    (folder / "dec.py").write_text(DECODER.format(**plain | {"org": "south"} | (decoder or {})))
    return pair(f"{folder / 'enc.py'}:Enc", f"{folder / 'dec.py'}:Dec")


def test_two_files_of_two_authors(lab: Lab, tmp_path: Path) -> None:
    cell = run_one(sides(tmp_path), lab.toml("ratio"), tmp_path)
    assert cell.result is not None, cell.reason
    model = cell.result.model
    assert (model.name, model.revision) == ("north+south/enc+dec", "3+7")
    assert model.licence == "MIT and BSD-3-Clause"
    assert (model.parameters, model.pretraining, model.overlap) == (11, ("a",), "generator")
    assert "encoder north/enc (3)" in model.summary
    assert "decoder south/dec (7)" in model.summary
    assert cell.result.regime == "none"
    assert cell.result.cost.payload_bits_max == 512
    task = lab.task("ratio")
    h = np.concatenate([batch.x["H"] for batch in task.batches("test", task.ids("test"), 100)])
    flat = np.abs(h.reshape(len(h), -1)) ** 2
    assert cell.result.primary().value == pytest.approx(10 * np.log10(flat[:, 8:].sum() / flat.sum()), abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"format": "nine-taps"}, "the encoder sends eight-taps of 512 bits, the decoder reads nine-taps of 512 bits"),
        ({"bits": 511}, "the encoder sends eight-taps of 512 bits, the decoder reads eight-taps of 511 bits"),
        ({"bits": None}, "reads eight-taps of any length"),
    ],
)
def test_another_format_stops_before_any_run(lab: Lab, tmp_path: Path, changes: dict[str, object], cause: str) -> None:
    honest = codec(tmp_path)
    with pytest.raises(UsageError, match="have agreed on different payloads") as caught:
        evaluate([honest, sides(tmp_path, None, changes)], [lab.toml("ratio")], size="tiny", out=tmp_path / "results")
    assert cause in str(caught.value)
    assert "north/enc and south/dec on lab-ratio" in str(caught.value)
    assert not (tmp_path / "results").exists()


def test_what_is_agreed_must_be_sent_and_be_allowed(lab: Lab, tmp_path: Path) -> None:
    cell = run_one(sides(tmp_path, {"bits": 96}, {"bits": 96}), lab.toml("ratio"), tmp_path)
    assert cell.status == "failed"
    assert "agreed is eight-taps of 96 bits, a payload has 512 bits" in cell.reason
    with pytest.raises(UsageError, match="longer than the task allows"):
        run_one(sides(_fresh(tmp_path), {"bits": 544}, {"bits": 544}), lab.toml("ratio"), tmp_path)


def _fresh(folder: Path) -> Path:
    (folder / "more").mkdir()
    return folder / "more"


def test_sides_are_told_apart(tmp_path: Path) -> None:
    encoder, decoder = split(sides(tmp_path)) or ("", "")
    with pytest.raises(UsageError, match="no encoder"):
        load(pair(decoder, encoder))
    with pytest.raises(UsageError, match="no decoder"):
        load(pair(encoder, encoder))
    with pytest.raises(PluginError, match=r"wbench\.EncoderPart or wbench\.DecoderPart or wbench\.Codec"):
        load(pair("wbench/majority", decoder))
    lazy = tmp_path / "lazy.py"
    lazy.write_text(
        Path(decoder.rpartition(":")[0]).read_text() + "\n    def learn(self, train, val, seed):\n        ...\n"
    )
    with pytest.raises(PluginError, match="learn"):
        load(pair(encoder, f"{lazy}:Dec"))
    assert absolute("./a.py:A -> wbench/klt") == f"{Path('a.py').absolute()}:A -> wbench/klt"


def test_a_codec_lends_its_encoder(lab: Lab, tmp_path: Path) -> None:
    """KLT's encoder and a decoder that learns from its payloads: least squares finds KLT's own decoder again."""
    decoder = tmp_path / "dec.py"
    decoder.write_text("""
import numpy as np
import wbench

class Dec(wbench.DecoderPart):
    info = wbench.ModelInfo("south/dec", revision="1", trains=True)

    def payload_format(self, spec):
        return wbench.PayloadFormat("wbench/klt@1")

    def learn(self, train, val, seed):
        pairs = [(np.array([p.reals() for p in payloads]), truth["H"]) for payloads, truth in train.batches(64)]
        x, h = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        half = x.shape[1] // 2
        self.map = np.linalg.lstsq(x[:, :half] + 1j * x[:, half:], h.reshape(len(h), -1), rcond=None)[0]

    def decode(self, payloads):
        x = np.array([p.reals() for p in payloads])
        half = x.shape[1] // 2
        return ((x[:, :half] + 1j * x[:, half:])[:, None] @ self.map).reshape(-1, *self.meta.shape)
""")
    both, alone = evaluate(
        [pair("wbench/klt", f"{decoder}:Dec"), "wbench/klt"], [lab.toml("ratio")], size="tiny", out=tmp_path / "r"
    ).cells
    assert both.result is not None, both.reason
    assert alone.result is not None
    assert both.result.model.name == "wbench+south/klt+dec"
    assert both.result.primary().value == pytest.approx(alone.result.primary().value, abs=1e-3)
    reason = run_one(pair("wbench/klt", "wbench/klt"), lab.toml("ratio"), tmp_path).reason
    assert "the decoder wbench/klt is trained together with its own encoder" in reason


def typed(words: list[str]) -> object:
    with pytest.raises(SystemExit) as left:
        main(words)
    return left.value.code


def test_the_example_of_the_docs(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in ("encoder.py", "decoder.py"):
        assert (EXAMPLE / name).read_text(encoding="utf-8").rstrip() in page
        shutil.copy(EXAMPLE / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    command = ["evaluate", "--encoder", "./encoder.py:StrongTaps", "--decoder", "./decoder.py:Ridge"]
    code = typed([*command, "--task", str(lab.toml("ratio")), "--size", "tiny", "--data", str(lab.data)])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "north+south/strong-taps+ridge" in said.out
    (file,) = tmp_path.glob("results/**/result.json")
    assert '"payload_bits_max": 128' in file.read_text()
    assert typed(["evaluate", "--encoder", "./encoder.py:StrongTaps", "--task", "x"]) == 2
    assert "an encoder alone" in capsys.readouterr().err
    assert typed(["evaluate", "--task", "x"]) == 2


LEAKS = {
    "a file": (
        "pathlib.Path('{box}').mkdir(exist_ok=True); np.save('{box}/h.npy', batch.x['H'])",
        "return np.load('{box}/h.npy')",
        "may not open what changed after the encoder had started",
    ),
    "a file made before": (
        "pathlib.Path('{before}').write_bytes(batch.x['H'].tobytes())",
        "return pathlib.Path('{before}').read_bytes()",
        "may not open what changed",
    ),
    "the dataset": (
        "pass",
        "return wbench.open_dataset('{data}').load('channel', slice(3))",
        "may not read the dataset",
    ),
    "memory of the parent": (
        "pass",
        "return pathlib.Path(f'/proc/{{os.getppid()}}/maps').read_text()",
        "look into another process",
    ),
    "a socket": (
        "pass",
        "import socket; return socket.create_connection(('127.0.0.1', 9))",
        "may not open a connection",
    ),
    "another process": ("pass", "import subprocess; return subprocess.run(['true'])", "may not start a process"),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_what_a_decoder_is_refused(lab: Lab, tmp_path: Path, leak: str) -> None:
    before = tmp_path / "before.bin"
    before.write_bytes(b"old")
    given = {"box": tmp_path / "box", "before": before, "data": lab.data / "lab-snap-tiny.zarr"}
    encode, decode, cause = (text.format(**given) for text in LEAKS[leak])
    head = "import os, pathlib\n"
    reference = codec(tmp_path, f"{encode}\nreturn [wbench.Payload(b'', 0) for _ in batch.ids]", decode, extra=head)
    cell = run_one(reference, lab.toml("ratio"), tmp_path)
    assert cell.status == "failed"
    assert "PermissionError" in cell.reason
    assert cause in cell.reason


def test_what_a_decoder_may_do(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files from before, files of its own, an empty current folder, a closed environment, a relative module path."""
    np.save(tmp_path / "known.npy", np.zeros(3))
    monkeypatch.setenv("WBENCH_DATA", str(lab.data))
    monkeypatch.setenv("SECRET", "1")
    decode = f"""
        import tempfile
        if os.getpid() == {os.getpid()}:
            return np.zeros(self.shape, complex)  # the measurement of its time
        assert np.load({str(tmp_path / "known.npy")!r}).shape == (3,)
        assert "WBENCH_DATA" not in os.environ and "SECRET" not in os.environ and "PATH" in os.environ
        here = (os.getcwd(), tempfile.gettempdir())
        assert here[0] == here[1] != {str(Path.cwd())!r}, here
        pathlib.Path("mine.txt").write_text("x")
        assert pathlib.Path("mine.txt").read_text() == "x" and os.listdir() == ["mine.txt"]
        assert len(os.listdir("/proc/self/fd")) < 10
        return np.zeros(self.shape, complex)
    """
    cell = run_one(codec(tmp_path, decode=decode, extra="import os, pathlib\n"), lab.toml("ratio"), tmp_path)
    assert cell.status == "done", cell.reason


def test_infos_of_one_organisation() -> None:
    one = ModelInfo("a/x", "1", "network", licence="MIT", overlap="none")
    other = ModelInfo("a/y", "2", "network", licence="MIT", overlap="dataset", pretraining=("d",))
    joined = _joined(one, other)
    assert (joined.name, joined.kind, joined.licence, joined.overlap) == ("a/x+y", "network", "MIT", "dataset")


@pytest.mark.parametrize(
    ("first", "second", "seen"),
    [
        ((("d",), 40), ((), 0), 40),
        ((("d",), 40), (("e",), 2), 42),
        ((("d",), 40), (("d",), 40), 40),
        ((("d",), 40), (("d", "e"), 50), 0),  # they may overlap
        ((("d",), 40), (("e",), 0), 0),  # of one it is not known
        (((), 0), ((), 0), 0),
    ],
)
def test_samples_of_both_pre_trainings(first: Any, second: Any, seen: int) -> None:
    one, other = (ModelInfo("a/x", "1", pretraining=p, pretraining_samples=n) for p, n in (first, second))
    assert _joined(one, other).pretraining_samples == _joined(other, one).pretraining_samples == seen
    assert Payload(b"", 0).bits == 0
