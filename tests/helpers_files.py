"""User model files for the tests of evaluation."""

from __future__ import annotations

import textwrap
from itertools import count
from pathlib import Path

from wbench.run.evaluate import CellReport, evaluate

HEAD = """\
import numpy as np
import wbench
"""
_number = count()


def write_model(folder: Path, body: str, head: str = HEAD) -> str:
    """Reference of a file with a class ``Mine``; every file is a new module."""
    path = folder / f"mine_{next(_number)}.py"
    path.write_text(head + textwrap.dedent(body).strip() + "\n", encoding="utf-8")
    return f"{path}:Mine"


def line_of(reference: str, text: str) -> int:
    """Number of the first line of the file that contains a text."""
    lines = Path(reference.rpartition(":")[0]).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def run_one(reference: str, task: Path, folder: Path) -> CellReport:
    report = evaluate([reference], [task], size="tiny", out=folder / "results")
    (cell,) = report.cells
    return cell
