"""Positioning models: against scikit-learn, on a scene where the answer is known, and by the models' suite."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers_scene import scene, scene_task
from wbench.errors import ModelError
from wbench.model import Predictor, load_model
from wbench.task.base import Task
from wbench.task.part import TaskData
from wbench.testing import ModelSuite
from wbench.training import TrainingSettings
from wbench_baselines.position.fingerprints import WeightedKnn, clipped, fingerprints
from wbench_baselines.position.knn import PositionKnn
from wbench_baselines.position.mlp import PositionMlp
from wbench_baselines.position.search import Neighbours, inverse_distance
from wbench_baselines.position.tuning import choose


def positioning(
    stations: int = 6, *, clock_ns: float = 10.0, hidden: float = 0.3, users: int = 260, cols: int = 4
) -> Task:
    data = scene(users, stations, "all", hidden=hidden, cols=cols, tones=64, spacing=781.25e3)
    params = {"base_stations": stations, "clock_error_ns": clock_ns}
    return scene_task(data, "positioning", "regress", "cdf90_m", params=params, noise={"snr_db": [20]})


SIX, ONE = positioning(), positioning(1, cols=16)


class _Positioning(ModelSuite):
    task = SIX


class TestCentroid(_Positioning):
    reference = "wbench/centroid"


class TestFingerprints(_Positioning):
    reference = "wbench/position-fingerprints"


class TestToaAoa(_Positioning):
    reference = "wbench/toa-aoa"


class TestMultilateration(_Positioning):
    reference = "wbench/multilateration"


class QuickMlp(PositionMlp):
    settings = TrainingSettings(epochs=3, batch=128)
    steps = 3


class TestMlp(_Positioning):
    reference = "tests.test_position_models:QuickMlp"


def fitted(name: str, task: Task, seed: int = 0) -> Predictor:
    model = load_model(name)
    assert isinstance(model, Predictor)
    assert model.supports(task.spec) is None
    model.setup(task.spec, task.meta)
    model.fit(TaskData(task, "train"), TaskData(task, "val"), seed)
    return model


def errors_m(model: Predictor, task: Task) -> np.ndarray:
    ids = task.ids("test")
    batch, truth = next(task.pairs("test", ids, len(ids)))
    return np.linalg.norm(model.predict(batch) - truth["target"], axis=1)


def test_centroid_is_the_mean_and_costs_what_the_closed_form_says() -> None:
    model = fitted("wbench/centroid", SIX)
    place = SIX.truth("train", SIX.ids("train"))["target"]
    batch = next(iter(SIX.batches("test", SIX.ids("test"))))
    np.testing.assert_allclose(model.predict(batch), np.tile(place.mean(axis=0), (len(batch), 1)))
    # Uniform in a square of side a: mean distance to its middle a·(√2 + ln(1 + √2))/6.
    assert errors_m(model, SIX).mean() == pytest.approx(240 * (2**0.5 + np.log(1 + 2**0.5)) / 6, rel=0.15)


def test_least_squares_reaches_the_clock_error_and_one_link_its_own() -> None:
    # Six clocks of 3 m each: a good geometry brings the error down to about 3 m·√(2/6) and less than two of it.
    all_of_them, best_one = (fitted(name, SIX) for name in ("wbench/multilateration", "wbench/toa-aoa"))
    many, single = errors_m(all_of_them, SIX), errors_m(best_one, SIX)
    assert np.median(many) < 3.5
    assert np.median(single) < 5
    exact = positioning(clock_ns=0.0)
    assert np.median(errors_m(fitted("wbench/multilateration", exact), exact)) < 0.5 * np.median(many)


def test_one_base_station_has_two_sides() -> None:
    model = fitted("wbench/toa-aoa", ONE)
    ids = ONE.ids("test")
    batch, truth = next(ONE.pairs("test", ids, len(ids)))
    seen = ONE.slices("test", ids)["los"] == "LoS"
    miss = np.linalg.norm(model.predict(batch) - truth["target"], axis=1)
    # Its station stands near the rim, 90 m from the middle: training users are on one side of most places only.
    assert np.median(miss[seen]) < 8
    assert "several base stations" in str(load_model("wbench/multilateration").supports(ONE.spec))


def test_fingerprints_are_power_by_place() -> None:
    ids = SIX.ids("train")[:40]
    batch, _ = next(SIX.pairs("train", ids, 40))
    prints = fingerprints(batch).reshape(40, 6, 4, 32)
    heard = batch.x["rsrp_db"] > -200
    # Summed again, beams and delays hold the RSRP.
    total = 10 * np.log10((10 ** (prints.astype(np.float64) / 10)).sum(axis=(2, 3)))
    np.testing.assert_allclose(total[heard], batch.x["rsrp_db"][heard], atol=1e-3)
    high = clipped(prints.reshape(40, -1), 30.0)
    assert (high.max(axis=1) == 30).all()
    assert high.min() == 0


def test_fingerprints_equal_scikit_learn() -> None:
    from sklearn.neighbors import KNeighborsRegressor

    model = fitted("wbench/position-fingerprints", SIX)
    assert isinstance(model, WeightedKnn)
    train, truth = TaskData(SIX, "train").load()
    test = next(iter(SIX.batches("test", SIX.ids("test"))))
    other = KNeighborsRegressor(model.k, weights="distance", algorithm="brute")
    other.fit(model.of_kind(model.kind, train), truth["target"])
    expected = other.predict(model.of_kind(model.kind, test))
    np.testing.assert_allclose(model.predict(test), expected, atol=1e-3)


def test_search_equals_scikit_learn_in_any_batch() -> None:
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(0)
    known, query = rng.standard_normal((700, 24)) + 100, rng.standard_normal((300, 24)) + 100
    known[5] = known[4]
    query[0] = known[4]
    index, distance = Neighbours(known).nearest(query, 7)
    expected = NearestNeighbors(n_neighbors=7, algorithm="brute").fit(known).kneighbors(query)
    np.testing.assert_allclose(distance, expected[0], atol=1e-4)
    assert (index[1:] == expected[1][1:]).mean() > 0.999
    assert index[0, :2].tolist() == [4, 5]  # equal distances: the earlier one
    alone = np.concatenate([Neighbours(known).nearest(q[None], 7)[0] for q in query])
    np.testing.assert_array_equal(index, alone)
    assert Neighbours(known[:3]).nearest(query, 7)[0].shape == (300, 3)
    # Many vectors, where groups of them are looked at first.
    many = rng.standard_normal((3001, 5))
    index, distance = Neighbours(many).nearest(query[:, :5] - 100, 4)
    expected = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(many).kneighbors(query[:, :5] - 100)
    np.testing.assert_allclose(distance, expected[0], atol=1e-5)
    assert (index == expected[1]).mean() > 0.999
    np.testing.assert_allclose(
        inverse_distance(np.array([[1.0, 3.0], [0.0, 2.0], [0.0, 0.0]])),
        [[0.75, 0.25], [1.0, 0.0], [0.5, 0.5]],
        atol=1e-5,
    )


def test_votes_by_position_equal_scikit_learn() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    data = scene(500, 4, "one", tones=16, hidden=0.0)
    params = {"beams": 16, "elements": 16, "inputs": "position"}
    task = scene_task(data, "beam-crossband", "classify", "top1", params=params)
    model = fitted("wbench/position-knn", task)
    assert isinstance(model, PositionKnn)
    train, truth = TaskData(task, "train").load()
    test = next(iter(task.batches("test", task.ids("test"))))
    other = KNeighborsClassifier(model.k, weights="distance", algorithm="brute")
    other.fit(train.x["ue_position"].astype(np.float64), truth["label"])
    votes = np.zeros((len(test), 16))
    votes[:, other.classes_] = other.predict_proba(test.x["ue_position"].astype(np.float64))
    np.testing.assert_allclose(model.predict(test), votes, atol=1e-5)
    assert (model.predict(test).argmax(axis=1) == task.truth("test", test.ids)["label"]).mean() > 0.5
    plain = scene_task(data, "beam-crossband", "classify", "top1", params={"beams": 16, "elements": 16})
    assert "does not show" in str(load_model("wbench/position-knn").supports(plain.spec))


def test_choices_are_made_by_the_primary_metric_and_limited() -> None:
    truth = {"target": np.zeros((50, 2))}
    model = PositionKnn()
    model.spec = SIX.spec
    found = choose(model, ("x",), (3.0, 1.0, -1.0, 2.0), lambda one: np.full((50, 2), one), truth)
    assert found == 1.0  # the first of two equal ones
    assert [round(trial.score, 6) for trial in model.searches[0].trials] == [4.242641, 1.414214, 1.414214, 2.828427]
    assert model.searches[0].chosen == {"x": 1.0}
    with pytest.raises(ModelError, match="configurations"):
        choose(model, ("x",), range(33), lambda one: np.full((50, 2), float(one)), truth)


def test_the_network_hangs_on_its_seed() -> None:
    name = "tests.test_position_models:QuickMlp"
    batch = next(iter(SIX.batches("test", SIX.ids("test"))))
    a, b, c = (fitted(name, SIX, seed).predict(batch) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 1e-3


def test_the_network_learns_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PositionMlp, "steps", 150)
    monkeypatch.setattr(PositionMlp, "settings", TrainingSettings(epochs=1, batch=64, lr=3e-3))
    centroid, network = (errors_m(fitted(name, SIX), SIX) for name in ("wbench/centroid", "wbench/position-mlp"))
    assert np.median(network) < 0.4 * np.median(centroid)
