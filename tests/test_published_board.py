"""The published board: its matrix, the results that are committed, and the site that they make."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import ValidationError

from tests.helpers_instances import board as tools_board
from wbench.model import load_model
from wbench.registry import registry
from wbench.result import read_result
from wbench.task.spec import load_suite
from wbench_leaderboard.submission.check import check_submissions

ROOT = Path(__file__).parent.parent
SUBMISSIONS = ROOT / "leaderboard" / "submissions"
#: The whole folder, in bytes: it is cloned by everybody.
MOST_BYTES = 40_000_000


@pytest.fixture(scope="module")
def board() -> ModuleType:
    return tools_board()


def test_matrix_names_what_there_is(board: ModuleType) -> None:
    matrix = board.read_matrix()
    suite = load_suite(matrix.suite)
    models = set(registry().names("model"))
    presets = {f"{board.PRESET}{name}" for name in registry().names("preset")}
    for one in matrix.rounds:
        by_class = {model for model in one.models if ":" in model} - presets
        assert set(one.models) - presets - by_class <= models, one.name
        for model in by_class:
            load_model(model)
        assert board.tasks_of(one, suite.tasks), one.name
    covered = {task for one in matrix.rounds for task in board.tasks_of(one, suite.tasks)}
    assert covered == set(suite.tasks)
    # Those that are on no round are left out on purpose, with the reason beside them.
    named = {model for one in matrix.rounds for model in one.models}
    assert models - named == set(matrix.left_out)
    assert all(reason for reason in matrix.left_out.values())


def test_encoders_are_pre_trained_once_and_one_that_cannot_be_is_said(
    board: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "model.toml").touch()
    models = ("wbench/raw", "preset:there", "preset:lwm-style-small")
    found, failed = board.references(models, tmp_path, tmp_path / "no-data")
    assert found == ["wbench/raw", str(tmp_path / "there")]
    assert failed == 1
    assert "not pre-trained: lwm-style-small: " in capsys.readouterr().out
    assert not (tmp_path / "lwm-style-small" / "model.toml").exists()


def test_a_wrong_matrix_is_refused(board: ModuleType, tmp_path: Path) -> None:
    text = board.MATRIX.read_text(encoding="utf-8")
    for old, new in (("models = [", "modles = ["), ("seeds = 3", "seeds = 0")):
        assert old in text
        (tmp_path / "board.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(ValidationError):
            board.read_matrix(tmp_path / "board.toml")
    assert tomllib.loads(text)["suite"] == "2026.1"


def test_what_is_committed_is_accepted_and_small(board: ModuleType) -> None:
    report = check_submissions(SUBMISSIONS, maintainer=True)
    assert report.ok, report.text()
    files = [path for path in SUBMISSIONS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    assert {path.name for path in files} <= {"result.json", "submission.json", "README.md", "status.toml"}
    for path in SUBMISSIONS.rglob("result.json"):
        result = read_result(path)
        assert result.task.size == "standard"
        # Ray-traced datasets have no fingerprint on this size: None.
        assert "different" not in {record.verdict for record in result.datasets}
    # Nothing is pending on a whole board; what is missing is said.
    assert board.pending(board.read_matrix().suite, SUBMISSIONS) == board.PENDING.read_text(encoding="utf-8").split()


def test_the_site_is_what_its_digest_says(board: ModuleType, tmp_path: Path) -> None:
    """CI builds from what is committed, byte for byte what was built where the digest was made.

    If this fails because templates changed: `make board ARGS="--step site"`.
    """
    assert board.build(SUBMISSIONS, tmp_path / "site") == board.DIGEST.read_text(encoding="utf-8").strip()
