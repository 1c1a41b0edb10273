"""What a task ranks, scores without predictions, and submissions of models of the tree that are results alone."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import pytest

from tests.helpers_data import cli
from tests.helpers_lab import Lab
from tests.helpers_submission import lay, make
from wbench.errors import UsageError
from wbench.model import load_model
from wbench.result import write_result
from wbench.run.evaluate import evaluate
from wbench.run.matrix import cells_of, make_request
from wbench.task.spec import load_suite
from wbench.task.store import Store
from wbench_leaderboard.submission import layout
from wbench_leaderboard.submission.check import check_submissions
from wbench_leaderboard.submission.submit import submit


def test_the_budgets_that_a_task_ranks(lab: Lab, tmp_path: Path) -> None:
    asked = {"head": "linear", "regime": "head", "layers": None, "shots": (), "draws": 2, "seeds": 1}
    request = make_request(budgets="ranked", **asked)  # type: ignore[arg-type]
    model = load_model("wbench/majority")
    cells = list(cells_of("wbench/majority", model, request, (1, 50, 100)))
    assert [(cell.budget, cell.draw) for cell in cells] == [(1, 0), (1, 1), (50, 0), (50, 1), (100, 0)]
    own = make_request(budgets=(10,), **asked)  # type: ignore[arg-type]
    assert {cell.budget for cell in cells_of("wbench/majority", model, own, (1, 50))} == {10}
    # Two tasks with other budgets have cells of their own, each in its place.
    few, all_ = lab.toml("los", tmp_path, name="lab-few", budgets=[25, 50]), lab.toml("beam")
    models = ["wbench/majority", "wbench/hold"]
    report = evaluate(models, [few, all_], size="tiny", budgets="ranked", draws=1, out=tmp_path / "results")
    found = [(cell.task, cell.cell.model, cell.cell.budget, cell.status) for cell in report.cells]
    assert found[:3] == [
        ("lab-few", "wbench/majority", 25.0, "done"),
        ("lab-few", "wbench/majority", 50.0, "done"),
        ("lab-few", "wbench/hold", 100.0, "not applicable"),
    ]
    assert [cell.cell.budget for cell in report.cells if cell.task != "lab-few"] == [100.0, 100.0]


def test_budgets_on_the_command_line(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = lab.toml("los", tmp_path, name="lab-few", budgets=[25, 50])
    words = ["evaluate", "--task", few, "--model", "wbench/majority", "--size", "tiny", "--out", tmp_path / "out"]
    code, out, _ = cli(capsys, *words, "--budget", "ranked", "--format", "json")
    assert code == 0
    assert [row["budget"] for row in json.loads(out)] == ["25 %", "50 %"]
    for budgets in (("ten",), ("ranked", "10")):
        code, _, err = cli(capsys, *words, *(word for budget in budgets for word in ("--budget", budget)))
        assert code == 2
        assert "A budget is a percentage, or 'ranked' alone." in err


def test_a_suite_is_scored_with_what_its_tasks_rank(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seen: dict[str, object] = {}

    def run(models: object, tasks: object, **given: object) -> None:
        seen.update(given, tasks=tasks)
        raise UsageError("stop here")

    monkeypatch.setattr("wbench.run.evaluate.evaluate", run)
    words = ["evaluate", "--suite", "2026.1", "--model", "wbench/hold", "--out", tmp_path]
    cli(capsys, *words)
    assert (seen["budgets"], seen["tasks"]) == ("ranked", load_suite("2026.1").tasks)
    cli(capsys, *words, "--budget", "1", "--budget", "10")
    assert seen["budgets"] == (1.0, 10.0)
    cli(capsys, *words, "--shots", "5")
    assert seen["budgets"] == ()


def test_scores_without_predictions(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"size": "tiny", "out": tmp_path / "results"}
    models = ["wbench/majority", "wbench/logistic"]
    report = evaluate(models, [lab.toml("los")], predictions=False, **asked)
    assert [cell.status for cell in report.cells] == ["done", "done"]
    assert list((tmp_path / "results").rglob("predictions*")) == []
    again = evaluate(models, [lab.toml("los")], predictions=False, **asked)
    assert [cell.status for cell in again.cells] == ["kept", "kept"]
    # Whoever wants predictions does not get a result that has none; they are the same ones.
    whole = evaluate(models, [lab.toml("los")], **asked)
    assert [cell.status for cell in whole.cells] == ["done", "done"]
    assert len(list((tmp_path / "results").rglob("predictions.npy"))) == 2
    for bare, full in zip(report.results, whole.results, strict=True):
        assert bare.scores == full.scores
        assert bare.predictions == full.predictions
    words = ["evaluate", "--task", lab.toml("los"), "--model", "wbench/constant", "--size", "tiny"]
    assert cli(capsys, *words, "--out", tmp_path / "bare", "--no-predictions")[0] == 0
    assert [path.name for path in (tmp_path / "bare").rglob("*.*") if path.is_file()] == ["result.json"]


def test_results_alone_are_for_models_of_the_tree(tmp_path: Path) -> None:
    results = []
    for name in ("wbench/own", "lab/own"):
        made = make(name, model_kind="classical")
        path = tmp_path / "results" / name / "result.json"
        path.parent.mkdir(parents=True)
        write_result(made.result, path)
        results.append(path)
    out = tmp_path / "submissions"
    laid = submit([results[0]], out=out, maintainer=True, results_only=True)
    assert laid.report.ok, laid.report.text()
    assert sorted(path.name for path in laid.folder.rglob("*") if path.is_file()) == [
        "README.md", "result.json", "submission.json",
    ]  # fmt: skip
    report = check_submissions(out, maintainer=True, recompute=True)
    assert report.ok
    assert "1 results without predictions: `make board` makes them again" in report.text()
    assert "no predictions, neither inside nor at an address" in check_submissions(out).text()
    for wrong, maintainer in ((results[0], False), (results[1], True)):
        with pytest.raises(UsageError, match="Results without predictions are for models of the tree"):
            submit([wrong], out=out, maintainer=maintainer, results_only=True)
    # Everybody else's must be there, whoever checks.
    folder = lay(tmp_path / "other", make("lab/net"))
    for path in folder.rglob(layout.PREDICTIONS):
        path.unlink()
    assert not check_submissions(tmp_path / "other", maintainer=True).ok


def test_samples_of_a_task_leave_memory_before_the_next(lab: Lab, tmp_path: Path) -> None:
    """A suite has eighty tasks with up to 3 GiB of samples each."""
    alive: list[int] = []
    kept = weakref.WeakSet()  # type: ignore[var-annotated]
    start = Store.__init__

    def counted(self: Store, *given: object) -> None:
        alive.append(len(kept))
        kept.add(self)
        start(self, *given)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "__init__", counted)
        gc.disable()  # the collector may not come by chance
        try:
            tasks = [lab.toml("los"), lab.toml("beam"), lab.toml("los", tmp_path, name="lab-other")]
            evaluate(["wbench/majority"], tasks, size="tiny", out=tmp_path / "results")
        finally:
            gc.enable()
    assert len(alive) >= 6
    assert max(alive) < 3
