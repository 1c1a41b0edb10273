"""Evaluation on several processes: the same results, whoever dies; what it needs is said before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers_data import start
from tests.helpers_files import write_model
from tests.helpers_lab import Lab
from tests.test_evaluate_cli import run
from tests.test_generate_interrupted import alive, children, wait_for
from wbench.errors import DatasetNotFoundError, UsageError
from wbench.model import load_model
from wbench.result import read_results
from wbench.run.cell import Cell
from wbench.run.evaluate import CellReport, evaluate
from wbench.run.forecast import prediction_bytes
from wbench.run.matrix import cells_of, make_request
from wbench.run.work import Job, _Lanes, units_of

EMBEDDER = """
    class Mine(wbench.Embedder):
        info = wbench.ModelInfo("test/mine", revision="1")

        def embed(self, batch):
            return np.abs(batch.x["H"][:, 0, 0]).astype(np.float32)
"""
PREDICTOR = """
    class Mine(wbench.Predictor):
        info = wbench.ModelInfo("test/{name}", revision="1")

        def predict(self, batch):
            {line}
            return np.zeros((len(batch), 2))
"""


def predictor(folder: Path, name: str, line: str) -> str:
    return write_model(folder, PREDICTOR.format(name=name, line=line))


def found(cells: list[CellReport]) -> dict[tuple[str, Cell], Any]:
    """What must not depend on who ran it: everything but times and where it was made."""
    return {
        (cell.task, cell.cell): (
            cell.status,
            cell.reason,
            cell.result and cell.result.model_dump(exclude={"cost", "provenance"}),
        )
        for cell in cells
    }


def test_two_workers_give_what_one_gives_and_a_dying_one_costs_its_cell_only(lab: Lab, tmp_path: Path) -> None:
    models = ["wbench/majority", predictor(tmp_path, "broken", "raise RuntimeError"), write_model(tmp_path, EMBEDDER)]
    killer = predictor(tmp_path, "killer", "__import__('os')._exit(9)")
    asked: dict[str, Any] = {"size": "tiny", "budgets": (50,), "draws": 2, "head": ("linear", "knn")}
    tasks = [lab.toml("los"), lab.toml("ratio")]
    one = evaluate(models, tasks, out=tmp_path / "one", **asked)
    two = evaluate([models[0], killer, *models[1:]], tasks, out=tmp_path / "two", workers=2, **asked)
    died = [cell for cell in two.cells if cell.cell.model == killer]
    assert [cell.status for cell in died] == ["failed", "not applicable"]
    assert "A worker process ended abruptly" in died[0].reason
    assert found([cell for cell in two.cells if cell not in died]) == found(one.cells)
    assert [cell.cell for cell in two.cells if cell not in died] == [cell.cell for cell in one.cells]
    status = [cell.status for cell in one.cells]
    assert {name: status.count(name) for name in set(status)} == {"done": 6, "failed": 1, "not applicable": 7}
    for path in (tmp_path / "one").rglob("predictions.npy"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_killed_in_the_middle_and_carried_on(lab: Lab, tmp_path: Path) -> None:
    flag, out = tmp_path / "started", tmp_path / "results"
    line = f"f = {str(flag)!r}; __import__('os').path.exists(f) or (open(f, 'w'), __import__('time').sleep(300))"
    slow = predictor(tmp_path, "slow", line)
    words = ["evaluate", "--model", slow, "--model", "wbench/majority", "--model", "wbench/constant"]
    words += ["--task", lab.toml("los"), "--size", "tiny", "--out", out, "--workers", 2]
    with start(*words) as process:
        try:
            wait_for(lambda: flag.exists() and len(list(out.rglob("result.json"))) == 2, "no progress")
            workers = children(process.pid)
        finally:
            process.kill()
        process.communicate()
    wait_for(lambda: not any(map(alive, workers)), "workers are still there")
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("result.json")}
    assert len(kept) == 2
    report = evaluate([slow, "wbench/majority", "wbench/constant"], [lab.toml("los")], size="tiny", out=out)
    assert [cell.status for cell in report.cells] == ["done", "kept", "kept"]
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    assert len(read_results(out)) == 3


def test_what_it_needs_is_said_first(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--model", "wbench/majority", "--model", "wbench/hold", "--task", lab.toml("los")]
    words += ["--size", "tiny", "--out", tmp_path / "results", "--budget", "50"]
    assert run(*words, "--draws", 1) == 0
    err = capsys.readouterr().err
    assert err.startswith("1 run (2 cells: 1 not applicable)\ntime  unknown until the first cells are done")
    assert "disk  640 B of predictions; " in err  # 80 samples, 2 classes, float32
    assert run(*words, "--draws", 3) == 0
    err = capsys.readouterr().err
    assert err.startswith(
        "2 runs (4 cells: 1 kept, 1 not applicable)\ntime  about 1 s (from earlier results of 2 runs)"
    )
    assert run(*words, "--draws", 3) == 0
    assert capsys.readouterr().err.startswith("4 cells: 3 kept, 1 not applicable; nothing to run")
    (cell, *_) = evaluate(["wbench/majority"], [lab.toml("los")], size="tiny", out=tmp_path / "wall").cells
    assert cell.result is not None
    cost = cell.result.cost
    assert cost.wall_s is not None
    assert cost.wall_s > cost.fit_s + cost.predict_s


@pytest.mark.parametrize("name", ["los", "ratio", "time", "grid"])
def test_the_size_of_predictions_is_what_it_will_be(lab: Lab, name: str, tmp_path: Path) -> None:
    model = {"los": "majority", "ratio": "zeros-codec"}.get(name, "zeros")
    (cell,) = evaluate([f"wbench/{model}"], [lab.toml(name)], size="tiny", out=tmp_path).cells
    assert cell.result is not None, cell.reason
    header = 128
    assert cell.result.predictions.bytes == prediction_bytes(lab.task(name)) + header


def test_all_missing_datasets_are_named_at_once(tmp_path: Path) -> None:
    tasks = ["los-nlos-umi", "csi-feedback-ratio", "channel-prediction-time"]
    with pytest.raises(DatasetNotFoundError, match="3 datasets are not here") as caught:
        evaluate(["wbench/constant"], tasks, size="tiny", data=tmp_path)
    assert str(caught.value.next_step).count("wbench generate ") == 3
    assert caught.value.exit_code == 3


def test_cells_of_several_heads_and_regimes() -> None:
    asked: dict[str, Any] = {"layers": 1, "budgets": (10, 100), "shots": (), "draws": 2, "seeds": 2}
    request = make_request(head=("linear", "knn"), regime=("fine-tune", "head"), **asked)
    cells = list(cells_of("wbench/vit-random", load_model("wbench/vit-random"), request))
    how = [(cell.tune, cell.head, cell.layers) for cell in cells]
    assert list(dict.fromkeys(how)) == [(False, "linear", None), (False, "knn", None), (True, "linear", 1)]
    parts = [(10.0, 0), (10.0, 1), (100.0, 0)]
    assert [(c.budget, c.draw) for c in cells if not c.tune] == 2 * parts
    assert [(c.budget, c.draw, c.seed) for c in cells if c.tune] == [(*part, seed) for part in parts for seed in (0, 1)]
    assert request.kinds == ("pooled",)
    with pytest.raises(UsageError, match="cannot be fine-tuned"):
        make_request(head=("knn",), regime=("head", "fine-tune"), **asked)
    (plain,) = cells_of("wbench/constant", load_model("wbench/constant"), request)
    assert plain == Cell("wbench/constant")


def test_units_keep_what_belongs_together_and_workers_stay_with_their_task() -> None:
    def jobs(task: str, model: str, count: int) -> list[Job]:
        return [Job(0, task, task, Cell(model, draw=draw)) for draw in range(count)]

    units = units_of([*jobs("a", "m", 6), *jobs("a", "n", 2), *jobs("b", "m", 6), *jobs("c", "m", 2)], 2)
    assert [(unit.task, len(unit.jobs)) for unit in units] == [
        ("a", 2), ("a", 2), ("a", 2), ("a", 2), ("b", 2), ("b", 2), ("b", 2), ("c", 2),
    ]  # fmt: skip
    assert all(len({job.cell.model for job in unit.jobs}) == 1 for unit in units)
    lanes = _Lanes(units)
    give = lanes.give()
    first, second = next(give), next(give)
    assert (first.task, second.task) == ("a", "b")
    for _ in range(2):
        lanes.finish(second)
        second = next(give)
        assert second.task == "b"
    lanes.finish(second)  # nothing is left of b: the task that nobody is at
    assert next(give).task == "c"
    assert lanes.left == 3


def test_options_that_exclude_each_other(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--model", "wbench/constant", "--task", lab.toml("los"), "--size", "tiny", "--out", tmp_path]
    assert run(*words, "--workers", 2, "--dask", "tcp://127.0.0.1:9") == 2
    assert "the cluster's workers do the work" in capsys.readouterr().err
    assert run(*words, "--workers", 0) == 2
    with pytest.raises(UsageError, match="at least 1"):
        evaluate(["wbench/constant"], [lab.toml("los")], size="tiny", out=tmp_path, workers=0)
