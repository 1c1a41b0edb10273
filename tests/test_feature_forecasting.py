"""The family feature-forecasting on a small dataset: what is seen, what is hidden, targets by hand, metrics."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sionna.phy")

from tests.helpers_slots import task_text, write_recipe
from wbench import generate
from wbench.curves import skill
from wbench.errors import ResultError, SpecError
from wbench.metric.catalogue import get_metric
from wbench.run.cell import Cell, answer_cell, prepare
from wbench.run.plan import load_task
from wbench.run.score import score_predictions
from wbench.task.spec import load_spec
from wbench.testing.task import TaskSuite
from wbench_tasks.feature_forecasting import FEATURES, MASKS

MODELS = ("persistence", "mean", "ar", "ridge", "trees")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Folder of a small dataset; and a function that opens a task on it."""
    folder = tmp_path_factory.mktemp("features")
    recipe = write_recipe(folder)
    generate(recipe, size="tiny", out=folder / "little-slots-tiny.zarr")

    def opened(feature: str, mode: str = "forecast", extra: str = ""):
        path = folder / f"{feature}-{mode}.toml"
        path.write_text(task_text(recipe, feature, mode, extra), encoding="utf-8")
        return load_task(path, size="tiny", data=folder)

    return opened


@pytest.fixture(scope="module", autouse=True)
def suite_task(lab):
    TestForecast.task = lab("time_covariance")
    TestInterpolate.task = lab("precoder", "interpolate")


class TestForecast(TaskSuite):
    """The conformance suite on a forecast."""


class TestInterpolate(TaskSuite):
    """The conformance suite on an interpolation."""


def pair(task, part="test"):
    ids = task.ids(part)
    return ids, *next(task.pairs(part, ids, len(ids)))


def test_forecast_targets_are_the_next_slots_true_values(lab) -> None:
    task = lab("delay_length")
    dataset = task.dataset("test")
    ids, batch, truth = pair(task)
    assert (ids % 10 == 0).all()  # of a run of ten slots, the second datapoint has no next slot
    np.testing.assert_array_equal(truth["target"][:, 0], dataset.read("delay_length_true", ids + 5).astype(float))
    for row, sample in enumerate(ids):
        seen = dataset.read("delay_length", np.arange(sample, sample + 5))
        np.testing.assert_array_equal(batch.x["delay_length"][row], seen)
    assert all(batch.x[f"{name}_mask"].shape == batch.x[name].shape for name in FEATURES)
    assert "H" not in batch.x
    # Neither the truth nor what is to be inferred is among the inputs.
    forbidden = {"speed_kmh", "los", "scenario", "site", "interference_db", "path_gain_db", "ue_position"}
    assert not forbidden & set(batch.x)
    assert not any(name.endswith("_true") for name in batch.x)


def test_a_hidden_slot_shows_nothing_and_is_the_target(lab) -> None:
    task = lab("frequency_correlation", "interpolate")
    ids, batch, truth = pair(task)
    assert len(ids) == 2 * len(np.unique(task.clusters("test", ids)))
    for name in FEATURES:
        assert not batch.x[name][:, 2].any(), name
        assert not batch.x[f"{name}_mask"][:, 2].any(), name
        assert batch.x[f"{name}_mask"][:, [0, 1, 3, 4]].any(axis=tuple(range(2, batch.x[name].ndim))).all(), name
    assert not batch.x["snr_db"][:, 2].any()
    stored = task.dataset("test").read("frequency_correlation_true", ids + 2).astype(float)
    np.testing.assert_allclose(truth["target"], np.concatenate([stored[..., 0], stored[..., 1]], axis=1))
    groups = task.dataset("test").read("group_mask", ids + 2)
    np.testing.assert_array_equal(truth["target_mask"], np.tile(groups, 2))
    assert lab("rank", "interpolate", "hidden = 4").params.hidden == 4


def test_covariances_are_scaled_by_what_is_seen(lab) -> None:
    for name in ("noise_covariance", "time_covariance"):
        task = lab(name)
        ids, batch, truth = pair(task)
        dataset = task.dataset("test")
        for row, sample in enumerate(ids):
            slots = np.arange(sample, sample + 5)
            size = int(dataset.read(MASKS[name], slots)[0, 0].sum())
            stored = dataset.read(name, slots).astype(float)[:, :size, :size]
            scale = np.mean([np.trace(one[..., 0]) / size for one in stored])
            seen = batch.x[name][row][:, :size, :size]
            np.testing.assert_allclose(seen, (stored[..., 0] + 1j * stored[..., 1]) / scale, rtol=1e-4, atol=1e-6)
            true = dataset.read(f"{name}_true", np.array([sample + 5])).astype(float)[0] / scale
            wanted = np.concatenate([true[..., 0].ravel(), true[..., 1].ravel()])
            np.testing.assert_allclose(truth["target"][row], wanted, rtol=1e-4, atol=1e-6)
        found = 10 * np.log10(np.trace(stored[0, ..., 0]) / size)
        if name == "time_covariance":
            noise = dataset.read("noise_covariance", ids[-1:])[0, ..., 0].astype(float)
            antennas = int(dataset.read("antenna_mask", ids[-1:])[0, 0].sum())
            expected = found - 10 * np.log10(np.trace(noise) / antennas)
            assert batch.x["snr_db"][-1, 0] == pytest.approx(expected, abs=1e-3)


def test_runs_are_never_divided(lab) -> None:
    task = lab("rank")
    parts = [set(task.clusters(part, task.ids(part)).tolist()) for part in ("train", "val", "test")]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert set(task.slices("test", task.ids("test"))) == {"speed", "snr", "scenario", "los"}


@pytest.mark.parametrize("feature", FEATURES)
def test_instances_are_one_table_for_each_feature_and_mode(feature: str) -> None:
    for mode in ("forecast", "interpolate"):
        spec = load_spec(f"feature-{feature.replace('_', '-')}-{mode}")
        assert spec.params == {"feature": feature, "mode": mode}
        assert spec.split.rule == "S2"
        assert spec.split.unit == "site"
        assert spec.trivial == ("wbench/feature-persistence", "wbench/feature-mean")


def test_wrong_parameters_and_datasets_are_refused(lab) -> None:
    with pytest.raises(SpecError, match="feature"):
        lab("delay_width")
    with pytest.raises(SpecError, match="hidden"):
        lab("rank", "interpolate", "hidden = 5")


@pytest.mark.parametrize(("feature", "mode"), [("precoder", "forecast"), ("rank", "interpolate")])
def test_every_baseline_answers_through_the_harness(lab, feature: str, mode: str) -> None:
    task = lab(feature, mode)
    for name in MODELS:
        cell = Cell(f"wbench/feature-{name}")
        model, reason = prepare(cell, task)
        assert reason is None
        answer = answer_cell(model, cell, task)
        scores, _ = score_predictions(task, answer.ids, answer.predictions, answer.calibration)
        assert np.isfinite(scores[0].value)
        assert answer.regime == ("none" if name in ("persistence", "mean") else "full")
    assert prepare(Cell("wbench/raw"), task)[1] is not None  # wants channels
    assert prepare(Cell("wbench/vit-random"), task)[1] is not None


# --- metrics --------------------------------------------------------------------------------------------------------


def test_nse_is_pooled_masked_and_blind_below_half_a_step() -> None:
    metric = get_metric("feature_nse")
    target = np.array([[1.0, 2.0], [3.0, 9.0]])
    truth = {"target": target, "target_mask": np.array([[True, True], [True, False]]), "step": np.array([0.2, 0.2])}
    table = metric.per_sample(target + np.array([[0.09, -0.3], [0.5, 99.0]]), truth, {})
    np.testing.assert_allclose(table, [[0.09, 5.0], [0.25, 9.0]])
    assert metric.reduce(table, np.ones(2)) == pytest.approx(0.34 / 14)
    assert metric.reduce(table, np.array([2.0, 1.0])) == pytest.approx((2 * 0.09 + 0.25) / 19)
    perfect = metric.reduce(metric.per_sample(target + 0.09, truth, {}), np.ones(2))
    assert perfect == 0
    with pytest.raises(ResultError, match="perfect trivial"):  # shown as n/a
        skill(metric, 0.1, [perfect])
    assert skill(metric, 0.1, [0.4, 0.2]) == pytest.approx(0.5)
    with pytest.raises(ResultError, match="zero features"):
        metric.reduce(np.array([[1.0, 0.0]]), np.ones(1))
    with pytest.raises(ResultError, match="finite"):
        metric.per_sample(np.full((2, 2), np.nan), truth, {})
    with pytest.raises(ResultError, match="shape"):
        metric.per_sample(target[:, :1], truth, {})


def test_rank_is_rounded_and_at_least_one() -> None:
    metric = get_metric("rank_error")
    truth = {"target": np.array([[1.0], [2.0], [2.0], [1.0]])}
    table = metric.per_sample(np.array([[0.2], [1.5], [1.49], [2.0]]), truth, {})
    np.testing.assert_array_equal(table[:, 0], [0, 0, 1, 1])
    assert metric.reduce(table, np.ones(4)) == 0.5


def test_chordal_distance_against_principal_angles() -> None:
    from scipy.linalg import orth, subspace_angles

    metric = get_metric("precoder_chordal")
    rng = np.random.default_rng(3)

    def answer(w):
        flat = w.reshape(len(w), -1)
        return np.concatenate([flat.real, flat.imag], axis=1)

    true = np.zeros((3, 8, 4), complex)
    for row, rank in enumerate((1, 2, 4)):
        true[row, :, :rank] = orth(rng.standard_normal((8, rank)) + 1j * rng.standard_normal((8, rank))) / np.sqrt(rank)
    found = rng.standard_normal((3, 8, 4)) + 1j * rng.standard_normal((3, 8, 4))
    truth = {"precoder": true, "target": answer(true)}
    table = metric.per_sample(answer(found), truth, {})[:, 0]
    for row, rank in enumerate((1, 2, 4)):
        angles = subspace_angles(true[row, :, :rank], found[row, :, :rank])
        assert table[row] == pytest.approx(np.mean(np.sin(angles) ** 2), abs=1e-9)
    w, v = true[0, :, 0], found[0, :, 0]
    assert table[0] == pytest.approx(1 - abs(w.conj() @ v) ** 2 / (np.linalg.norm(w) * np.linalg.norm(v)) ** 2)
    turned = true.copy()
    turned[1, :, :2] = turned[1, :, :2] @ np.array([[0, 1j], [1, 0]])  # the same subspace
    np.testing.assert_allclose(metric.per_sample(answer(3 * turned), truth, {}), 0, atol=1e-12)
    np.testing.assert_array_equal(metric.per_sample(answer(0 * true), truth, {}), 1)
    fewer = true.copy()
    fewer[1, :, 1] = 0  # one layer instead of two
    assert metric.per_sample(answer(fewer), truth, {})[1, 0] == pytest.approx(0.5)
    with pytest.raises(ResultError, match="without layers"):
        metric.per_sample(answer(found), {"precoder": 0 * true, "target": answer(true)}, {})
