"""Every hostile submission is refused with a clear line; none crashes, none writes, no link is followed."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import pytest

from tests.helpers_submission import lay, make
from tests.hostile_claims import CASES, Case
from wbench_leaderboard.submission.check import check_submissions
from wbench_leaderboard.submission.report import Report, shown

LINE = re.compile(r"(error|warning|note): [ -~]{1,200}: [ -~]{3,200}")


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay(tmp_path_factory.mktemp("valid"), make())


@pytest.fixture
def folder(valid: Path, tmp_path: Path) -> Path:
    """A copy that may be spoiled."""
    return Path(shutil.copytree(valid, tmp_path / "submissions" / "lab__net" / "1"))


def snapshot(root: Path) -> list[tuple[str, int, int]]:
    found = []
    for base, folders, files in os.walk(os.fsencode(root)):
        for name in sorted((*folders, *files)):
            status = os.lstat(os.path.join(base, name))
            found.append((repr(os.path.join(base, name)), status.st_size, status.st_mtime_ns))
    return sorted(found)


def check(root: Path) -> Report:
    return check_submissions(root, data=root / "no-data")


def test_the_submission_that_the_others_are_made_of_is_accepted(folder: Path) -> None:
    report = check(folder.parents[1])
    assert report.ok, report.text()
    assert report.counts == {
        "submissions": 1, "results checked": 1, "predictions read": 1, "reduced again from columns": 1,
    }  # fmt: skip


def test_the_corpus_is_large_and_its_names_are_different() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile(case: Case, folder: Path, tmp_path: Path) -> None:
    case.spoil(folder)
    before = snapshot(tmp_path)
    began = time.monotonic()
    report = check(tmp_path / "submissions")
    assert time.monotonic() - began < 10
    assert snapshot(tmp_path) == before
    assert not report.ok
    assert any(case.expect in str(finding) for finding in report.errors), report.text()
    assert all(LINE.fullmatch(str(finding)) for finding in report.findings), report.text()
    assert "check failed on it" not in report.text(), "the last net is for what nobody foresaw"
    assert report.markdown().count("```") == 2


def test_shown_text_is_one_printable_line() -> None:
    assert shown("a\n\x1b[2J\u202eb") == "a\\x0a\\x1b[2J\\u202eb"
    assert len(shown("x" * 10_000)) < 200
