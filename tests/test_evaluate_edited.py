"""A declared revision stands for code that can be edited: what was kept since is said to be doubtful."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.helpers_data import cli
from tests.helpers_lab import Lab
from wbench.run.evaluate import evaluate

CODE = """
import numpy as np
import wbench


class One(wbench.Predictor):
    info = wbench.ModelInfo("me/one"{revision})

    def __init__(self, answer=1, weights=None):
        self.answer = answer

    def predict(self, batch):
        return np.tile(np.eye(2)[self.answer], (len(batch.ids), 1))
"""


def _later(path: Path) -> None:
    """As if edited an hour from now."""
    time = path.stat().st_mtime + 3600
    os.utime(path, (time, time))


def _told(model: str, lab: Lab, tmp_path: Path) -> list[str]:
    report = evaluate([model], [lab.toml("los")], size="tiny", out=tmp_path / "results")
    assert {cell.status for cell in report.cells} <= {"done", "kept"}, [cell.reason for cell in report.cells]
    return [cell.reason for cell in report.cells]


def test_a_file_edited_under_a_declared_revision(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "one.py"
    file.write_text(CODE.format(revision=', revision="1"'))
    model = f"{file}:One"
    assert _told(model, lab, tmp_path) == [""]
    assert _told(model, lab, tmp_path) == [""]  # kept, and nothing to be said
    _later(file)
    assert _told(model, lab, tmp_path) == ["one.py is newer than what revision '1' answered"]
    task, out = lab.toml("los"), tmp_path / "results"
    code, _, said = cli(capsys, "evaluate", "--model", model, "--task", task, "--size", "tiny", "--out", out)
    assert code == 0
    assert "one.py is newer than what revision '1' answered" in said
    assert "declare another revision" in said


def test_a_digest_of_the_file_needs_no_such_note(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text(CODE.format(revision=""))
    _told(f"{file}:One", lab, tmp_path)
    _later(file)
    assert _told(f"{file}:One", lab, tmp_path) == [""]


@pytest.mark.parametrize("edited", ["model.toml", "one.py", "weights/a.bin"])
def test_a_folder_that_declares_its_revision(lab: Lab, tmp_path: Path, edited: str) -> None:
    folder = tmp_path / "net"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "a.bin").write_bytes(b"1")
    (folder / "one.py").write_text(CODE.format(revision=""))
    table = 'api = 1\nobject = "./one.py:One"\nweights = "weights"\n[params]\nanswer = 1\n'
    (folder / "model.toml").write_text(table + '[info]\nrevision = "7"\n')
    assert _told(str(folder), lab, tmp_path) == [""]
    assert _told(str(folder), lab, tmp_path) == [""]
    _later(folder / edited)
    assert _told(str(folder), lab, tmp_path) == [f"{Path(edited).name} is newer than what revision '7' answered"]


def test_a_model_of_a_package_is_not_looked_at(lab: Lab, tmp_path: Path) -> None:
    report = evaluate(["wbench/constant"], [lab.toml("los")], size="tiny", out=tmp_path)
    path = report.cells[0].path
    assert path is not None
    os.utime(path, (0, 0))
    again = evaluate(["wbench/constant"], [lab.toml("los")], size="tiny", out=tmp_path)
    assert [(cell.status, cell.reason) for cell in again.cells] == [("kept", "")]
