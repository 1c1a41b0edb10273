"""``wbench evaluate`` and ``wbench score`` as a user meets them: exit codes, messages, Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers_files import write_model
from tests.helpers_lab import Lab
from wbench.cli.main import main
from wbench.result import read_results

BROKEN = """
    class Mine(wbench.Predictor):
        def predict(self, batch):
            raise RuntimeError("no such luck")
"""
SLOW = """
    import time
    class Mine(wbench.Predictor):
        def predict(self, batch):
            if not __import__("os").path.exists({flag!r}):
                open({flag!r}, "w").close()
                time.sleep(60)
            return np.zeros((len(batch), 2))
"""


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as leaving:
        main([str(argument) for argument in arguments])
    code = leaving.value.code
    assert isinstance(code, int)
    return code


def test_one_failed_cell(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = write_model(tmp_path, BROKEN)
    out = tmp_path / "results"
    code = run(
        "evaluate", "--model", "wbench/constant", "--model", reference, "--task", lab.toml("los"), "--size", "tiny",
        "--out", out,
    )  # fmt: skip
    shown = capsys.readouterr()
    assert code == 1
    assert "wbench/constant" in shown.out
    assert "RuntimeError: no such luck" in shown.err
    assert "Traceback" not in shown.err
    assert "1 of 2 cells failed, the others are kept. Retry:" in shown.err
    retry = shown.err.splitlines()[-1].strip()
    assert retry == f"wbench evaluate --model {reference} --task {lab.toml('los')} --size tiny --out {out}"
    assert len(read_results(out)) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "wbench/constnat", "--task", "{los}"], 2, "wbench/constant"),
        (["--model", "wbench/constant", "--task", "los-nlos-umo"], 2, "los-nlos-umi"),
        (["--model", "wbench/constant", "--task", "{los}", "--head", "liner"], 2, "did you mean linear"),
        (["--model", "wbench/constant", "--suite", "2026.2"], 2, "2026.1"),
        (["--model", "wbench/constant", "--task", "{los}", "--size", "teeny"], 2, "tiny"),
        (["--model", "wbench/constant", "--task", "{los}", "--budget", "0"], 2, "percentage"),
        (["--model", "wbench/constant"], 2, "Name either tasks or a suite"),
        (["--task", "{los}"], 2, "Name a model, or an encoder and a decoder"),
    ],
)
def test_wrong_requests(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    given = [argument.format(los=lab.toml("los")) for argument in arguments]
    size = [] if "--size" in given else ["--size", "tiny"]
    assert run("evaluate", *given, *size, "--out", tmp_path / "results") == code
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "results").exists()


def test_missing_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run("evaluate", "--model", "wbench/constant", "--task", "los-nlos-umi", "--size", "tiny", "--data", tmp_path)
    assert code == 3
    assert f"wbench generate snap-umi --size tiny --out {tmp_path}/snap-umi-tiny.zarr" in capsys.readouterr().err


def test_score_prints_what_it_recomputed(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results"
    task = lab.toml("time")
    assert run("evaluate", "--model", "wbench/hold", "--task", task, "--size", "tiny", "--out", out) == 0
    (path,) = out.rglob("result.json")
    capsys.readouterr()
    assert run("score", path, "--task", task, "--format", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["metric"] for row in rows} == {"nmse_ros_db", "nmse_mor_db", "nmse_median_db"}
    assert all(float(row["difference"]) < 1e-9 for row in rows)
    path.write_text(path.read_text().replace('"value": -', '"value": -1'))  # boasting
    assert run("score", path.parent, "--task", task) == 1
    assert "differ from the recomputed ones" in capsys.readouterr().err
    (path.parent / "predictions.npy").write_bytes(b"")
    assert run("score", path, "--task", task) == 1
    assert "The predictions cannot be read" in capsys.readouterr().err


def test_interrupt_and_carry_on(lab: Lab, tmp_path: Path) -> None:
    flag = tmp_path / "started"
    reference = write_model(tmp_path, SLOW.format(flag=str(flag)))
    out = tmp_path / "results"
    program = [sys.executable, "-c", "from wbench.cli.main import main; main()", "evaluate"]
    command = [
        *program, "--model", "wbench/constant", "--model", reference, "--model", "wbench/majority",
        "--task", str(lab.toml("los")), "--size", "tiny", "--out", str(out),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not flag.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert "the same command carries on" in errors
    assert "Traceback" not in errors
    assert [result.model.name for result in read_results(out)] == ["wbench/constant"]
    before = next(out.rglob("result.json")).stat().st_mtime_ns
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(read_results(out)) == 3
    assert before in [path.stat().st_mtime_ns for path in out.rglob("result.json")]
    assert not list(out.rglob("*.tmp"))
