"""Cells that work: oracles reach the bounds, zero-shot stays zero-shot, results are kept under their key."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.helpers_files import run_one, write_model
from tests.helpers_lab import Lab
from wbench.errors import UnknownNameError, UsageError
from wbench.result import read_result, read_results
from wbench.run.evaluate import evaluate
from wbench.task.part import TaskData

ORACLE = """
    class Mine(wbench.Predictor):
        info = wbench.ModelInfo("test/oracle", revision="1")
        truth = {}

        def predict(self, batch):
            return np.stack([self.truth[int(i)] for i in batch.ids])
"""
CODEC = """
    class Decode:
        def __init__(self, shape):
            self.shape = shape

        def __call__(self, payloads):
            return np.stack([np.frombuffer(p.data, "<c8").reshape(self.shape) for p in payloads])

    class Mine(wbench.Codec):
        info = wbench.ModelInfo("test/raw", revision="1")

        def encoder(self):
            return lambda batch: [wbench.Payload(h.astype("<c8").tobytes(), 8 * h.nbytes) for h in batch.x["H"]]

        def decoder(self):
            return Decode(self.meta.shape)
"""


@pytest.mark.parametrize("name", ["los", "beam", "time"])
def test_an_oracle_reaches_the_bound_of_every_metric(lab: Lab, name: str, tmp_path: Path) -> None:
    task = lab.task(name)
    ids = task.ids("test")
    truth = task.truth("test", ids)
    if name == "los":
        answers = np.eye(2)[truth["label"]]
    elif name == "beam":  # by RSRP, so that the second and third choice are right as well
        answers = truth["rsrp"]
    else:
        answers = truth["H"]
    reference = write_model(tmp_path, ORACLE)
    from wbench.model import load_model

    type(load_model(reference)).truth = dict(zip(ids.tolist(), answers, strict=True))  # type: ignore[attr-defined]
    cell = run_one(reference, lab.toml(name), tmp_path)
    assert cell.result is not None, cell.reason
    for score in cell.result.scores:
        best = {"rsrp_loss_db": 0.0}.get(score.metric, -300.0 if score.unit == "dB" else 1.0)
        if score.metric == "dba":
            assert score.value > 0.7  # the best three beams of a channel need not be neighbours
        else:
            assert score.value == best, score


@pytest.mark.parametrize("name", ["ratio", "bits"])
def test_a_codec_without_loss_reaches_the_bound(lab: Lab, name: str, tmp_path: Path) -> None:
    limit = {"bits": 64 * 8 * 8}
    cell = run_one(write_model(tmp_path, CODEC), lab.toml(name, tmp_path, limit=limit), tmp_path)
    assert cell.result is not None, cell.reason
    values = {score.metric: score.value for score in cell.result.scores if score.slice == "ranked"}
    if name == "bits":
        assert values["sgcs"] == pytest.approx(1, abs=1e-12)
        assert cell.result.cost.payload_bits_max == 64 * 3 * 8
    else:
        assert values["nmse_ros_db"] == -300
        assert values["rho"] == pytest.approx(1, abs=1e-12)
        task = lab.task("ratio")
        truth = task.truth("test", task.ids("test"))
        cut = truth["outside"].sum() / (truth["outside"].sum() + np.sum(np.abs(truth["H"].astype("c16")) ** 2))
        assert values["nmse_full_db"] == pytest.approx(10 * np.log10(cut), abs=1e-9)


def test_zeros_are_exactly_zero_db_and_hold_is_plausible(lab: Lab, tmp_path: Path) -> None:
    report = evaluate(["wbench/zeros", "wbench/hold"], [lab.toml("time")], size="tiny", out=tmp_path)
    zeros, hold = report.results
    assert [score.value for score in zeros.scores] == [0.0] * len(zeros.scores)
    # 60 km/h at most: f_d τ ≤ .2 for two steps of .5 ms, hold is better than zeros but far from the noise floor.
    value = hold.primary().value
    assert -15 < value < 0
    codec = evaluate(["wbench/zeros-codec"], [lab.toml("ratio")], size="tiny", out=tmp_path)
    assert all(score.value == 0.0 for score in codec.results[0].scores)


def test_zero_shot_sees_nothing_of_any_split(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a split was read")

    monkeypatch.setattr(TaskData, "batches", never)
    monkeypatch.setattr(TaskData, "load", never)
    body = """
        class Mine(wbench.Predictor):
            info = wbench.ModelInfo("test/zero-shot", revision="1")

            def predict(self, batch):
                power = np.abs(batch.x["H"]).max(axis=(1, 2, 3, 4))
                return np.stack([power * 0, power], axis=1)  # as if its threshold were badly wrong
    """
    cell = run_one(write_model(tmp_path, body), lab.toml("los"), tmp_path)
    assert cell.result is not None, cell.reason
    assert cell.result.regime == "none"
    assert cell.result.calibration == {}
    assert (cell.result.n_train, cell.result.n_val) == (0, 0)
    found = {score.metric: score.value for score in cell.result.scores if score.slice == "ranked"}
    assert found["balanced_accuracy"] == 0.5  # argmax: always class 1
    assert found["auroc"] != 0.5


def test_the_threshold_is_chosen_on_validation_only(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wbench.metric.classification import F1Macro, best_threshold

    seen = []
    calibrate = F1Macro.calibrate

    def spy(self: F1Macro, pred: object, truth: dict[str, np.ndarray]) -> dict[str, float]:
        seen.append(truth["label"])
        return calibrate(self, pred, truth)  # type: ignore[arg-type]

    monkeypatch.setattr(F1Macro, "calibrate", spy)
    cell = run_one("wbench/knn", lab.toml("los"), tmp_path)
    assert cell.result is not None, cell.reason
    task = lab.task("los")
    np.testing.assert_array_equal(seen[0], task.truth("val", task.ids("val"))["label"])
    stored = cell.result.calibration
    assert set(stored) == {"f1_macro", "f1_binary", "balanced_accuracy"}
    assert len({found["threshold"] for found in stored.values()}) == 1
    assert best_threshold(np.array([0.0, 1, 2, 3]), np.array([0, 0, 1, 1])) == 1.5


def test_finished_results_are_kept_and_keyed(lab: Lab, tmp_path: Path) -> None:
    tasks = [lab.toml("los")]
    first = evaluate(["wbench/majority", "wbench/knn"], tasks, size="tiny", out=tmp_path, budgets=(50, 100), draws=2)
    assert [cell.status for cell in first.cells] == ["done"] * 6
    again = evaluate(["wbench/majority", "wbench/knn"], tasks, size="tiny", out=tmp_path, budgets=(50, 100), draws=2)
    assert [cell.status for cell in again.cells] == ["kept"] * 6
    assert [cell.result for cell in again.cells] == [cell.result for cell in first.cells]
    assert len(read_results(tmp_path)) == len({cell.path for cell in first.cells}) == 6
    for cell in first.cells:
        assert cell.path is not None
        assert {path.name for path in cell.path.parent.iterdir()} == {"result.json", "predictions.npy"}
    # A torn or incomplete result is made again.
    torn, lost, *_ = (cell.path for cell in first.cells)
    assert torn is not None
    assert lost is not None
    torn.write_text(torn.read_text()[:200])
    (lost.parent / "predictions.npy").unlink()
    third = evaluate(["wbench/majority", "wbench/knn"], tasks, size="tiny", out=tmp_path, budgets=(50, 100), draws=2)
    assert [cell.status for cell in third.cells] == ["done", "done", *["kept"] * 4]
    assert read_result(torn).scores == first.results[0].scores
    # Another task of the same name has another key.
    changed = lab.toml("los", tmp_path, noise={"snr_db": [10]})
    other = evaluate(["wbench/majority"], [changed], size="tiny", out=tmp_path)
    assert other.cells[0].status == "done"


def test_low_budgets_have_five_draws_and_beams_need_samples(lab: Lab, tmp_path: Path) -> None:
    report = evaluate(["wbench/majority"], [lab.toml("beam")], size="tiny", out=tmp_path, budgets=(10, 25))
    assert [(cell.cell.budget, cell.cell.draw) for cell in report.cells] == [*((10, d) for d in range(5)), (25, 0)]
    assert report.cells[0].status == "not applicable"
    assert report.cells[0].reason == "28 training samples, 16 classes need 64"
    assert report.cells[5].result is not None
    assert (report.cells[5].result.n_train, report.cells[5].result.n_val) == (70, 10)


def test_untrained_models_are_run_once(lab: Lab, tmp_path: Path) -> None:
    report = evaluate(["wbench/constant"], [lab.toml("los")] * 2, size="tiny", out=tmp_path, budgets=(1, 10), seeds=3)
    assert [cell.cell.budget for cell in report.cells] == [100.0]
    assert report.results[0].regime == "none"


def test_regimes(lab: Lab, tmp_path: Path) -> None:
    report = evaluate(["wbench/vit-random", "wbench/knn"], [lab.toml("los")], size="tiny", out=tmp_path)
    assert [(result.regime, result.head) for result in report.results] == [("head", "linear"), ("full", None)]
    body = """
        class Mine(wbench.Embedder):
            def fit(self, train, val, seed):
                self.scale = np.abs(train.load()[0].x["H"]).mean()

            def embed(self, batch):
                return np.abs(batch.x["H"]).reshape(len(batch), 1, -1) / self.scale
    """
    cell = run_one(write_model(tmp_path, body), lab.toml("los"), tmp_path)
    assert cell.result is not None, cell.reason
    assert (cell.result.regime, cell.result.head, cell.result.model.name) == ("full", "linear", "local/Mine")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"models": ["wbench/constnat"]}, UnknownNameError, "wbench/constant"),
        ({"head": "linaer"}, UnknownNameError, "linear"),
        ({"size": "tinny"}, UnknownNameError, "tiny"),
        ({"tasks": ["los-nlos-um"]}, UnknownNameError, "los-nlos-umi"),
        ({"budgets": (0.0,)}, UsageError, "percentage"),
        ({"budgets": (float("nan"),)}, UsageError, "percentage"),
        ({"seeds": 0}, UsageError, "from 1 on"),
        ({"models": ["./mine.py"]}, UsageError, "mine.py:MyModel"),
    ],
)
def test_wrong_requests_are_refused_before_anything_runs(
    lab: Lab, tmp_path: Path, options: dict[str, object], error: type[Exception], message: str
) -> None:
    request: dict[str, object] = {"models": ["wbench/constant"], "tasks": [lab.toml("los")], "size": "tiny", **options}
    with pytest.raises(error, match=message):
        evaluate(**request, out=tmp_path / "results")  # type: ignore[arg-type]
    assert not (tmp_path / "results").exists()


def test_a_task_that_cannot_be_scored_is_refused_first(lab: Lab, tmp_path: Path) -> None:
    wrong = lab.toml("los", tmp_path, ranked_slice={"snr": [0, 0]})
    with pytest.raises(UsageError, match="no column snr; there are: distance_m, snr_db"):
        evaluate(["wbench/constant"], [wrong], size="tiny", out=tmp_path / "results")
    wrong = lab.toml("los", tmp_path, primary="f1_marco", metrics=["f1_marco"])
    with pytest.raises(UnknownNameError, match="f1_macro"):
        evaluate(["wbench/constant"], [wrong], size="tiny", out=tmp_path / "results")


def test_a_result_is_plain_json_with_finite_numbers(lab: Lab, tmp_path: Path) -> None:
    cell = run_one("wbench/majority", lab.toml("los"), tmp_path)
    assert cell.path is not None
    table = json.loads(cell.path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert table["datasets"][0]["content_digest"].startswith("sha256:")
    assert table["n_test"] == 80
    assert str(Path.home()) not in cell.path.read_text()
