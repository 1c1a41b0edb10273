"""Path loss: closed forms of free space and TR 38.901, and fits against scikit-learn and NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers_scene import scene, scene_task
from wbench.channel.path_loss import free_space_db, path_loss_db
from wbench.errors import ModelError, UnknownNameError
from wbench.model import Predictor, load_model
from wbench.task.base import Task
from wbench.task.part import TaskData
from wbench.testing import ModelSuite
from wbench_baselines.path_loss import target_carrier_hz
from wbench_baselines.path_loss_trees import PathLossTrees

RATIO_DB = 20 * np.log10(28 / 3.5)


def path_loss(hidden: float = 0.4, users: int = 500) -> Task:
    data = scene(users, 4, "one", tones=16, cols=8, hidden=hidden)
    return scene_task(data, "path-loss", "regress", "rmse_db")


TASK = path_loss()


class _PathLoss(ModelSuite):
    task = TASK


class TestMean(_PathLoss):
    reference = "wbench/mean"


class TestBandAffine(_PathLoss):
    reference = "wbench/band-affine"


class TestUmi(_PathLoss):
    reference = "wbench/umi-38901"


class TestPositionKnn(_PathLoss):
    reference = "wbench/position-knn"


class FewTrees(PathLossTrees):
    trees = 8


class TestTrees(_PathLoss):
    reference = "tests.test_path_loss_models:FewTrees"


def fitted(name: str, task: Task = TASK) -> Predictor:
    model = load_model(name)
    assert isinstance(model, Predictor)
    assert model.supports(task.spec) is None
    model.setup(task.spec, task.meta)
    model.fit(TaskData(task, "train"), TaskData(task, "val"), 0)
    return model


def test_in_line_of_sight_the_bands_differ_by_the_carriers() -> None:
    task = path_loss(hidden=0.0, users=200)
    test = next(iter(task.batches("test", task.ids("test"))))
    for name in ("wbench/band-affine", "wbench/band-offset"):
        model = fitted(name, task)
        np.testing.assert_allclose(model.predict(test)[:, 0], test.x["path_gain_db"] - RATIO_DB, atol=1e-3)
    assert pytest.approx(18.0618, abs=1e-4) == RATIO_DB


def test_fits_equal_scikit_learn_and_polyfit() -> None:
    from sklearn.linear_model import LinearRegression

    train, truth = TaskData(TASK, "train").load()
    test = next(iter(TASK.batches("test", TASK.ids("test"))))
    gain = train.x["path_gain_db"].astype(np.float64)[:, None]
    line = LinearRegression().fit(gain, truth["target"])
    expected = line.predict(test.x["path_gain_db"].astype(np.float64)[:, None])
    np.testing.assert_allclose(fitted("wbench/band-affine").predict(test), expected, atol=1e-6)
    difference = (truth["target"] - gain).mean()
    np.testing.assert_allclose(
        fitted("wbench/band-offset").predict(test)[:, 0], test.x["path_gain_db"] + difference, atol=1e-6
    )
    lg, lg_test = (
        np.log10(np.linalg.norm(b.x["ue_position"].astype(np.float64) - b.x["bs_position"], axis=1))
        for b in (train, test)
    )
    slope, start = np.polyfit(lg, truth["target"][:, 0], 1)
    np.testing.assert_allclose(fitted("wbench/log-distance").predict(test)[:, 0], start + slope * lg_test, atol=1e-6)


def test_log_distance_finds_the_exponent_of_free_space() -> None:
    weight = fitted("wbench/log-distance", path_loss(hidden=0.0, users=300)).weight  # type: ignore[attr-defined]
    np.testing.assert_allclose(weight, [-free_space_db(1.0, 28e9), -20.0], rtol=1e-4)


def test_closed_forms_of_38901() -> None:
    # Worked by hand: UMi, 100 m on the ground, heights 10 m and 1.5 m, so d3D = 100.3606 m.
    lg = np.log10(100.3606)
    assert path_loss_db("umi", True, 100.0, 3.5e9, 10.0) == pytest.approx(32.4 + 21 * lg + 20 * np.log10(3.5), abs=1e-3)
    hidden = 22.4 + 35.3 * lg + 21.3 * np.log10(28)
    assert path_loss_db("umi", False, 100.0, 28e9, 10.0) == pytest.approx(hidden, abs=1e-3)
    assert path_loss_db("uma", True, 35.0, 2e9, 25.0) == pytest.approx(
        28 + 22 * np.log10(np.hypot(35, 23.5)) + 6.0206, abs=1e-3
    )
    assert path_loss_db("uma", False, 500.0, 2e9, 25.0) == pytest.approx(
        13.54 + 39.08 * np.log10(np.hypot(500, 23.5)) + 6.0206, abs=1e-3
    )
    # The two slopes meet at the break point, 4·(10 − 1)·(1.5 − 1)·f/c = 210 m at 3.5 GHz, and never cross in NLoS.
    near, far = path_loss_db("umi", True, [209.999, 210.001], 3.5e9, 10.0)
    assert far - near == pytest.approx(0, abs=2e-3)
    steep = path_loss_db("umi", True, [500.0, 1000.0], 3.5e9, 10.0)
    assert steep[1] - steep[0] == pytest.approx(40 * np.log10(2), abs=0.01)
    d = np.linspace(10, 2000, 300)
    for scenario in ("umi", "uma"):
        assert (path_loss_db(scenario, False, d, 28e9, 25.0) >= path_loss_db(scenario, True, d, 28e9, 25.0)).all()
    with pytest.raises(UnknownNameError):
        path_loss_db("rma", True, 100.0, 1e9, 35.0)


def test_link_states_are_weighed_by_bayes() -> None:
    from scipy.stats import norm

    from wbench.channel.tr38901 import los_probability
    from wbench_baselines.path_loss import Umi38901

    model = load_model("wbench/umi-38901")
    assert isinstance(model, Umi38901)
    model.setup(TASK.spec, TASK.meta)
    batch = next(iter(TASK.batches("test", TASK.ids("test")))).copy()
    seen = np.linspace(-130, -70, len(batch))  # gains that leave both states possible
    batch.x["path_gain_db"][:] = seen
    columns, median = model.columns(batch)
    for i in range(0, len(batch), 7):
        d = float(np.linalg.norm(batch.x["ue_position"][i, :2] - batch.x["bs_position"][i, :2]))
        p, height = float(los_probability("umi", d)), float(batch.x["bs_position"][i, 2])
        here = [float(path_loss_db("umi", los, d, 3.5e9, height)) for los in (True, False)]
        there = [float(path_loss_db("umi", los, d, 28e9, height)) for los in (True, False)]
        gain = float(batch.x["path_gain_db"][i])
        weight = np.array([p * norm.pdf(gain, -here[0], 4.0), (1 - p) * norm.pdf(gain, -here[1], 7.82)])
        weight /= weight.sum()
        assert median[i] == pytest.approx(-weight @ there, abs=1e-2)
        assert columns[i, 1] == pytest.approx(weight @ (gain + np.array(here)), abs=1e-2)


def test_umi_judges_the_link_by_the_other_band(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PathLossTrees, "trees", 60)
    rmse = {}
    ids = TASK.ids("test")
    batch, truth = next(TASK.pairs("test", ids, len(ids)))
    los = TASK.slices("test", ids)["los"] == "LoS"
    for name in ("wbench/umi-38901", "wbench/log-distance", "wbench/mean", "wbench/path-loss-trees"):
        error = (fitted(name).predict(batch) - truth["target"])[:, 0]
        rmse[name] = np.sqrt([(error**2).mean(), (error[los] ** 2).mean()])
    assert rmse["wbench/umi-38901"][0] < 0.25 * rmse["wbench/log-distance"][0]
    assert rmse["wbench/umi-38901"][1] < 0.5  # Friis against 38.901: nearly the same in sight
    assert rmse["wbench/path-loss-trees"][0] < 0.1 * rmse["wbench/mean"][0]


def test_neighbours_on_the_map_equal_scikit_learn() -> None:
    from sklearn.neighbors import KNeighborsRegressor

    model = fitted("wbench/position-knn")
    train, truth = TaskData(TASK, "train").load()
    test = next(iter(TASK.batches("test", TASK.ids("test"))))
    places = [
        np.concatenate([b.x["ue_position"].astype(np.float64), model.factor * b.x["bs_position"].astype(np.float64)], 1)  # type: ignore[attr-defined]
        for b in (train, test)
    ]
    other = KNeighborsRegressor(model.k, weights="distance", algorithm="brute").fit(places[0], truth["target"])  # type: ignore[attr-defined]
    np.testing.assert_allclose(model.predict(test), other.predict(places[1]), atol=1e-2)


def test_one_training_user_is_enough_for_the_offset() -> None:
    model = load_model("wbench/band-offset")
    model.setup(TASK.spec, TASK.meta)
    one = TaskData(TASK, "train", 0.1)
    assert len(one) == 1
    model.fit(one, one, 0)
    batch, truth = one.load()
    np.testing.assert_allclose(model.predict(batch), truth["target"], atol=1e-6)  # type: ignore[attr-defined]


def test_the_carrier_comes_from_the_array_and_must_be_told() -> None:
    assert target_carrier_hz(TASK.spec) == 28e9
    named = {"target": "path_gain_db_4p9ghz"}
    assert target_carrier_hz(TASK.spec.model_copy(update={"params": named})) == pytest.approx(4.9e9)
    with pytest.raises(ModelError, match="carrier"):
        target_carrier_hz(TASK.spec.model_copy(update={"params": {"target": "other"}}))
