"""Position, level, Top-1/K and absolute metrics against NumPy, scikit-learn and the definitions written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from wbench.errors import ResultError
from wbench.metric import get_metric

PERCENTILES = {"cdf50_m": 0.50, "cdf67_m": 0.67, "cdf90_m": 0.90, "cdf95_m": 0.95}


def value(name: str, pred: Any, truth: Any, weight: Any = None) -> float:
    metric = get_metric(name)
    return metric.reduce(metric.per_sample(pred, truth, {}), np.ones(len(pred)) if weight is None else weight)


def positions(n: int, seed: int = 0) -> tuple[Any, Any]:
    g = np.random.default_rng(seed)
    target = g.uniform(-200, 200, size=(n, 2))
    return target + g.standard_t(2, size=(n, 2)) * 5, target


@pytest.mark.parametrize("n", [1, 7, 20, 100, 101])
@pytest.mark.parametrize("name", PERCENTILES)
def test_percentiles_are_numpys_second_definition(name: str, n: int) -> None:
    pred, target = positions(n)
    error = np.linalg.norm(pred - target, axis=1)
    expected = np.quantile(error, PERCENTILES[name], method="averaged_inverted_cdf")
    assert value(name, pred, {"target": target}) == pytest.approx(expected)
    assert value("mean_m", pred, {"target": target}) == pytest.approx(error.mean())


@pytest.mark.parametrize("name", PERCENTILES)
def test_weighted_percentiles(name: str) -> None:
    pred, target = positions(80)
    weight = np.random.default_rng(1).exponential(size=80)
    error = np.linalg.norm(pred - target, axis=1)
    expected = np.quantile(error, PERCENTILES[name], method="inverted_cdf", weights=weight)
    assert value(name, pred, {"target": target}, weight) == pytest.approx(expected)


def test_a_percentile_by_hand() -> None:
    target = np.zeros((10, 2))
    pred = np.stack([3.0 * np.arange(1, 11), 4.0 * np.arange(1, 11)], axis=1)  # 5, 10 … 50 m
    found = {name: value(name, pred, {"target": target}) for name in (*PERCENTILES, "mean_m")}
    assert found == pytest.approx({"cdf50_m": 27.5, "cdf67_m": 35, "cdf90_m": 47.5, "cdf95_m": 50, "mean_m": 27.5})
    one = np.zeros(10)
    one[3] = 0.1
    assert {value(name, pred, {"target": target}, one) for name in PERCENTILES} == {20.0}


@pytest.mark.parametrize("shape", [(5, 3), (5, 1), (5,), (4, 2)])
def test_positions_of_another_shape_are_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ResultError, match="must be"):
        get_metric("cdf90_m").per_sample(np.zeros(shape), {"target": np.zeros((5, 2))}, {})
    with pytest.raises(ResultError, match="true positions"):
        get_metric("cdf90_m").per_sample(np.zeros((5, 2)), {"target": np.full((5, 2), np.nan)}, {})


def test_levels_equal_scikit_learn() -> None:
    g = np.random.default_rng(0)
    target = g.normal(-95, 15, size=(50, 1))
    pred, weight = target + g.normal(2, 6, size=(50, 1)), g.exponential(size=50)
    for w in (None, weight):
        truth = {"target": target}
        assert value("rmse_db", pred, truth, w) == pytest.approx(root_mean_squared_error(target, pred, sample_weight=w))
        assert value("mae_db", pred, truth, w) == pytest.approx(mean_absolute_error(target, pred, sample_weight=w))
    with pytest.raises(ResultError, match=r"\[n, 1\]"):
        value("rmse_db", pred[:, 0], {"target": target})


@pytest.mark.parametrize(("name", "k"), [("top1_of_3", 3), ("top1_of_5", 5)])
def test_chosen_beam_among_the_k_strongest(name: str, k: int) -> None:
    g = np.random.default_rng(0)
    rsrp = g.exponential(size=(300, 16))
    scores = np.log(rsrp) + g.normal(size=rsrp.shape)
    truth = {"rsrp": rsrp, "label": rsrp.argmax(axis=1)}
    hits = [s.argmax() in np.argsort(r)[-k:] for s, r in zip(scores, rsrp, strict=True)]
    assert 0.3 < np.mean(hits) < 0.95
    assert value(name, scores, truth) == pytest.approx(np.mean(hits))


def test_ties_of_scores_are_pessimistic_and_those_of_power_are_not() -> None:
    metric = get_metric("top1_of_3")
    rsrp = np.array([[5.0, 4, 3, 2, 1]] * 3 + [[5.0, 3, 3, 3, 3]])
    scores = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1.0]])
    table = metric.per_sample(scores, {"rsrp": rsrp, "label": np.zeros(4, int)}, {})
    # All chosen are among three; one is not; none is; any of the four equally strong second ones is.
    assert table.tolist() == [[1, 0], [0, 1], [0, 0], [1, 0]]
    assert metric.tie_rate(table, np.ones(4)) == 0.25


def test_absolute_nmse_is_that_of_the_channels_in_their_own_units() -> None:
    g = np.random.default_rng(0)
    channel = (g.normal(size=(40, 6)) + 1j * g.normal(size=(40, 6))) * 10 ** g.uniform(-6, -4, size=(40, 1))
    answer = channel * (1 + 0.3 * g.normal(size=(40, 1)))
    rms = np.sqrt(np.mean(np.abs(channel) ** 2, axis=1))
    truth = {"H": channel / rms[:, None], "rms": rms}
    expected = 10 * np.log10(np.sum(np.abs(channel - answer) ** 2) / np.sum(np.abs(channel) ** 2))
    assert value("nmse_abs_db", answer / rms[:, None], truth) == pytest.approx(expected)
    assert abs(value("nmse_ros_db", answer / rms[:, None], truth) - expected) > 0.3
    assert value("nmse_abs_db", np.zeros_like(channel), truth) == 0.0
    with pytest.raises(ResultError, match="positive number"):
        value("nmse_abs_db", channel, {**truth, "rms": rms * 0})
