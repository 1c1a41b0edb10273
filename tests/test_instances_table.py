"""The command that scores the baselines on every instance in ``tiny``, its table, and the page with it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.helpers_instances import INSTANCES, ROOT, board
from wbench.registry import registry
from wbench.result import read_result
from wbench.task.spec import load_spec

TINY = ROOT / "leaderboard" / "tiny.toml"
PAGE = ROOT / "docs" / "tasks-tiny.md"
SUBMISSIONS = ROOT / "leaderboard" / "submissions"
#: A task with scores where more is better, and one where less is.
TASKS = ("beam-prediction-c", "channel-estimation")


def rows(text: str) -> dict[str, list[str]]:
    """Cells of a table's rows by instance."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:3] == "| `"]
    return {row[0].strip("`"): row[1:] for row in found}


def test_its_matrix_holds_every_instance_and_models_that_there_are() -> None:
    matrix = board().read_matrix(TINY)
    assert matrix.tasks() == tuple(INSTANCES)
    assert matrix.size == "tiny"
    for one in matrix.rounds:
        assert set(one.models) <= set(registry().names("model")), one.name
        assert board().tasks_of(one, matrix.tasks()), one.name


def test_the_best_of_each_kind_is_in_the_table(tmp_path: Path) -> None:
    scores: dict[str, dict[str, float]] = {task: {} for task in TASKS}
    for task in TASKS:
        for path in SUBMISSIONS.rglob(f"{task}-v*/standard/*-b100-d0-s0/result.json"):
            result = read_result(path)
            if result.task.name == task and result.task.digest == load_spec(task).digest:
                scores[task][result.model.name] = result.primary().value
                target = tmp_path / f"{task}-v1" / "standard" / result.model.name.replace("/", "__") / "cell"
                shutil.copytree(path.parent, target, dirs_exist_ok=True)
    matrix = board().read_matrix().model_copy(update={"rounds": ()})
    found = rows(board().baselines_table(matrix, tmp_path))
    assert set(found) == set(matrix.tasks())
    assert all(row[-2:] == ["–", "–"] for task, row in found.items() if task not in TASKS)
    for task, pick in zip(TASKS, (max, min), strict=True):
        spec = load_spec(task)
        trivial = {model: value for model, value in scores[task].items() if model in spec.trivial}
        other = {model: value for model, value in scores[task].items() if model not in spec.trivial}
        for cell, values in zip(found[task][-2:], (trivial, other), strict=True):
            name, value = re.fullmatch(r"`(.+)` (−?[\d.]+)(?: dB)?", cell).groups()  # type: ignore[union-attr]
            assert values[f"wbench/{name}"] == pick(values.values())
            assert float(value.replace("−", "-")) == pytest.approx(pick(values.values()), abs=0.006)


def test_a_table_replaces_the_one_that_ends_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nText.\n\n| a |\n|---|\n| 1 |\n", encoding="utf-8")
    for _ in range(2):
        board().put("| b |\n|---|\n| 2 |", page)
        assert page.read_text(encoding="utf-8") == "# Page\n\nText.\n\n| b |\n|---|\n| 2 |\n"


@pytest.mark.parametrize("step", ["all", "submit", "site", "verify"])
def test_tiny_results_are_never_published(
    step: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["board.py", "--matrix", str(TINY), "--step", step])
    with pytest.raises(SystemExit) as stopped:
        board().main()
    assert stopped.value.code == 2
    assert "only board.toml is published" in capsys.readouterr().err


def test_missing_data_are_generated_or_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WBENCH_QUADRIGA", str(tmp_path / "nowhere"))
    board().generate_missing(("wifo-compat-time-d1",), "tiny", tmp_path)
    # Where oct2py is missing too that is said first.
    assert capsys.readouterr().out.startswith("not generated: wifo-d1: ")
    assert not list(tmp_path.iterdir())


def test_the_page_is_about_the_instances_that_there_are() -> None:
    """If this fails the two commands on the page make it anew."""
    found = rows(PAGE.read_text(encoding="utf-8"))
    assert list(found) == INSTANCES
    for name, row in found.items():
        spec = load_spec(name)
        assert row[:2] == [", ".join(f"`{recipe}`" for recipe in spec.recipes), f"`{spec.primary}`"]
        assert row[2:] != ["–", "–"], f"{name} has no result"
