"""The channel-estimation task: pilots, what is scored, and the protocol's instances."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tests.helpers_lab import Lab
from wbench.errors import SpecError
from wbench.model import ModelInfo, Predictor
from wbench.run.cell import Cell, answer_cell
from wbench.run.score import counted, score_predictions
from wbench.task.base import Task
from wbench.task.part import TaskData, concatenate
from wbench.task.spec import load_spec
from wbench.testing import ModelSuite, TaskSuite


def whole(task: Task, part: Any = "train") -> Any:
    return concatenate(list(task.pairs(part, task.ids(part), 64)))


def test_pilots_are_where_the_instance_says(lab: Lab, tmp_path: Path) -> None:
    task = lab.task("grid", tmp_path, params={"pilot_symbols": [0, 5], "comb": 3, "offset": 1})
    batch, truth = whole(task)
    mask = batch.x["observed"]
    assert mask.shape == task.meta.shape == (6, 1, 4, 8)
    where = {(t, k) for t, _, _, k in np.argwhere(mask)}
    assert where == {(t, k) for t in (0, 5) for k in (1, 4, 7)}
    assert mask.sum() == 4 * len(where)  # on every antenna
    assert not batch.x["H"][:, ~mask].any()
    np.testing.assert_allclose(np.mean(np.abs(truth["H"][:, mask]) ** 2, axis=1), 1, rtol=1e-5)


def test_the_target_is_the_clean_channel_on_the_whole_grid(lab: Lab) -> None:
    task = lab.task("grid")
    batch, truth = whole(task)
    raw = task.dataset("train").read("channel", batch.ids)
    factor = np.sum(raw.conj() * truth["H"], axis=(1, 2, 3, 4)) / np.sum(np.abs(raw) ** 2, axis=(1, 2, 3, 4))
    np.testing.assert_allclose(truth["H"], factor[:, None, None, None, None] * raw, atol=1e-4)


def test_least_squares_on_the_pilots_is_minus_the_snr(lab: Lab, tmp_path: Path) -> None:
    for snr in (0, 10, 30):
        everywhere = {"pilot_symbols": list(range(6)), "comb": 1}
        batch, truth = whole(lab.task("grid", tmp_path, noise={"snr_db": [snr]}, params=everywhere))
        mask = batch.x["observed"]
        error = np.sum(np.abs(batch.x["H"] - truth["H"])[:, mask] ** 2) / np.sum(np.abs(truth["H"][:, mask]) ** 2)
        assert 10 * np.log10(error) == pytest.approx(-snr, abs=0.1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"pilot_symbols": [1, 6]}, "outside the grid"),
        ({"offset": 8}, "outside the grid"),
        ({"pilot_symbols": [4, 1]}, "rising"),
        ({"pilot_symbols": [-1]}, "rising"),
        ({"pilot_symbols": []}, "pilot_symbols"),
        ({"comb": 0}, "comb"),
        ({"combs": 2}, "unknown field"),
    ],
)
def test_impossible_pilots_are_refused(lab: Lab, tmp_path: Path, params: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        _ = lab.task("grid", tmp_path, params=params).meta


class PilotsOnly(Predictor):
    """Perfect between the pilots, 1 beside the truth on them."""

    info = ModelInfo(name="test/pilots-only", revision="1", licence="x", summary="x")

    def __init__(self, task: Task) -> None:
        self.task = task

    def predict(self, batch: Any) -> Any:
        return self.task.truth("test", batch.ids)["H"] + batch.x["observed"]


def test_pilots_are_scored_too(lab: Lab) -> None:
    """An error on observed entries counts here, and not in prediction."""
    for name in ("grid", "time"):
        task = lab.task(name)
        ids = task.ids("test")
        answer = answer_cell(PilotsOnly(task), Cell("test/pilots-only"), task)
        found = {s.metric: s.value for s in score_predictions(task, ids, answer.predictions, {})[0] if s.slice == "all"}
        mask = next(task.batches("test", ids[:1])).x["observed"]
        clean = task.truth("test", ids)["H"]
        if name == "grid":
            expected = 10 * np.log10(len(ids) * mask.sum() / np.sum(np.abs(clean) ** 2, dtype=np.float64))
            assert answer.predictions.shape == clean.shape
            assert found["nmse_ros_db"] == pytest.approx(expected, abs=1e-4)
        else:
            assert found["nmse_ros_db"] < -100
            assert answer.predictions.shape == (len(ids), (~mask).sum())


def test_what_is_counted_without_a_mask(lab: Lab) -> None:
    values = np.arange(6.0).reshape(2, 3)
    for name in ("grid", "los"):
        np.testing.assert_array_equal(counted(lab.task(name), values, None), values)
    mask = np.array([True, False, False])
    np.testing.assert_array_equal(counted(lab.task("time"), values, mask), values[:, 1:])
    np.testing.assert_array_equal(counted(lab.task("grid"), values, mask), values)


def test_slices_and_columns(lab: Lab) -> None:
    task = lab.task("grid")
    ids = task.ids("test")
    velocity = task.dataset("test").read("ue_velocity", ids).astype(np.float64)
    speed = 3.6 * np.sqrt((velocity**2).sum(axis=1))
    np.testing.assert_allclose(task.columns("test", ids)["speed_kmh"], speed)
    labels = task.slices("test", ids)
    assert set(labels["speed_kmh"]) <= {"0-30", "30-60", "60-90", "90-400"}
    np.testing.assert_array_equal(labels["speed_kmh"] == "0-30", speed < 30)
    assert set(labels["los"]) <= {"LoS", "NLoS"}


def test_instances_are_the_protocols() -> None:
    ranked = load_spec("channel-estimation")
    assert ranked.params == {"pilot_symbols": [2, 11], "comb": 4}
    assert ranked.noise is not None
    assert ranked.noise.snr_db == (10,)
    assert ranked.primary == "nmse_ros_db"
    comb, curve, uma = (load_spec(f"channel-estimation-{name}") for name in ("comb12", "snr", "uma"))
    assert comb.params["comb"] == 12
    assert cast(Any, curve.noise).snr_db == (0, 5, 10, 15, 20, 25, 30)
    assert uma.split.rule == "S3"
    assert {part: view.recipe for part, view in uma.views.items()} == {
        "train": "ce-umi",
        "val": "ce-umi",
        "test": "ce-uma",
    }
    for spec in (comb, curve, uma):
        assert (spec.kind, spec.family, spec.trivial) == (ranked.kind, ranked.family, ranked.trivial)


class TestTask(TaskSuite):
    @pytest.fixture(autouse=True)
    def _task(self, lab: Lab) -> None:
        type(self).task = lab.task("grid")


@pytest.mark.parametrize("name", ["nearest-pilot", "ls-linear", "ls-dft", "lmmse", "omp-estimator"])
def test_baselines_conform(lab: Lab, name: str) -> None:
    suite = ModelSuite()
    type(suite).reference, type(suite).task = f"wbench/{name}", lab.task("grid")
    for test in (member for member in dir(suite) if member.startswith("test_")):
        getattr(suite, test)()


def test_fitted_baselines_beat_what_is_not_fitted(lab: Lab) -> None:
    from wbench.model import load_model

    task = lab.task("grid")
    errors = {}
    for name in ("zeros", "nearest-pilot", "ls-linear", "ls-dft", "lmmse"):
        model = cast(Any, load_model(f"wbench/{name}"))
        model.setup(task.spec, task.meta)
        if model.info.trains:
            model.fit(TaskData(task, "train"), TaskData(task, "val"), 0)
        batch, truth = whole(task, "test")
        errors[name] = np.sum(np.abs(model.predict(batch) - truth["H"]) ** 2) / np.sum(np.abs(truth["H"]) ** 2)
    assert errors["zeros"] == pytest.approx(1, abs=1e-6)
    assert errors["lmmse"] < errors["ls-linear"] / 2
    assert max(errors[name] for name in errors if name != "zeros") < 0.5
