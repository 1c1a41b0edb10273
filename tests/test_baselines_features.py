"""Baselines of feature forecasting against scikit-learn, least squares and closed forms, on made-up features."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from wbench.errors import ModelError
from wbench.model import load_model
from wbench.task.batch import ArrayMeta, Batch, ChannelMeta
from wbench_baselines.link.common import columns, flat
from wbench_baselines.link.fitted import STRENGTHS

META = ChannelMeta((5,), ("slot",), 0.0, 0.0, 0.0, ArrayMeta(1, 1), ArrayMeta(1, 1), outputs=1)
SHAPES = {
    "noise_covariance": (2, 2),
    "frequency_correlation": (6,),
    "time_covariance": (2, 2),
    "time_correlation": (2, 2),
    "precoder": (4, 2),
}
SCALARS = ("delay_centre", "delay_length", "doppler_width", "rank", "spectral_efficiency")


def spec(feature: str, **params):
    primary = "feature_nse"
    return SimpleNamespace(
        family="feature-forecasting", primary=primary, params={"feature": feature, "mode": "forecast", **params}
    )


def made(n: int, seed: int = 0) -> Batch:
    """Random features; the group sizes, masks and numerology as the family gives them."""
    rng = np.random.default_rng(seed)
    x = {}
    for name, shape in SHAPES.items():
        values = rng.standard_normal((n, 5, *shape, 2)) @ [1, 1j]
        mask = np.zeros((n, 5, *shape), bool)
        mask[(slice(None), slice(None), *(slice(min(size, 3)) for size in shape))] = True
        x[name], x[f"{name}_mask"] = np.where(mask, values, 0).astype(np.complex64), mask
    for name in SCALARS:
        x[name], x[f"{name}_mask"] = rng.standard_normal((n, 5)).astype(np.float32), np.ones((n, 5), bool)
    x["snr_db"] = rng.standard_normal((n, 5)).astype(np.float32)
    x |= {"carrier_hz": np.full(n, 3.5e9), "subcarrier_spacing_hz": np.full(n, 30e3)}
    x |= {"group_size": np.full(n, 12.0), "pilot_set": np.arange(n) % 4}
    return Batch(np.arange(n), x, None, META)


class Data:
    """Training data of a batch and its targets."""

    def __init__(self, batch: Batch, target: np.ndarray) -> None:
        n = len(batch)
        self.pair = batch, {"target": target, "target_mask": np.ones(target.shape, bool), "step": np.zeros(n)}

    def __len__(self) -> int:
        return len(self.pair[0])

    def load(self):
        return self.pair


def opened(name: str, feature: str, **params):
    model = load_model(f"wbench/feature-{name}")
    assert model.supports(spec(feature, **params)) is None
    model.setup(spec(feature, **params), META)
    return model


def test_persistence_and_mean_are_what_they_say() -> None:
    batch = made(6)
    for feature in ("delay_length", "precoder"):
        rows = flat(batch.x[feature])
        np.testing.assert_array_equal(opened("persistence", feature).predict(batch), rows[:, 4])
        np.testing.assert_allclose(opened("mean", feature).predict(batch), rows.mean(axis=1))
        hidden = {"mode": "interpolate", "hidden": 2}
        np.testing.assert_array_equal(opened("persistence", feature, **hidden).predict(batch), rows[:, 1])
        expected = rows[:, [0, 1, 3, 4]].mean(axis=1)
        np.testing.assert_allclose(opened("mean", feature, **hidden).predict(batch), expected)
        first = opened("persistence", feature, mode="interpolate", hidden=0).predict(batch)
        np.testing.assert_array_equal(first, rows[:, 1])
    assert "link features" in load_model("wbench/feature-mean").supports(SimpleNamespace(family="los-nlos"))


def test_autoregression_is_least_squares_over_all_valid_entries() -> None:
    rng = np.random.default_rng(1)
    batch = made(200)
    history = flat(batch.x["delay_length"])
    target = 1e-7 * (history @ [0.1]).reshape(200, 5) @ [0, 0.1, 0.2, 0.3, 0.4] + 1e-8 * rng.standard_normal(200)
    model = opened("ar", "delay_length")
    model.fit(Data(batch, target[:, None]), None, 0)
    design = np.column_stack([history[:, :, 0], np.ones(200)])
    weights = np.linalg.lstsq(design, target, rcond=None)[0]
    np.testing.assert_allclose(model.predict(batch)[:, 0], design @ weights, atol=1e-5 * np.abs(target).max())
    assert model.count_parameters() == 6
    # A matrix: one set of weights for all entries, and entries of the padding are not asked.
    data = Data(batch, flat(batch.x["time_covariance"])[:, 3] + 100.0)
    data.pair[1]["target_mask"][:, 5:] = False
    data.pair[1]["target"][:, 5:] = 1e9
    model = opened("ar", "time_covariance")
    model.fit(data, None, 0)
    np.testing.assert_allclose([*model.weights, model.intercept], [0, 0, 0, 1, 0, 100], atol=2e-3)


@pytest.mark.parametrize("count", [300, 150])  # more samples than columns, and fewer
def test_ridge_is_scikit_learns_and_its_strength_is_chosen_on_validation(count: int) -> None:
    from sklearn.linear_model import Ridge

    train, val, test = made(count, 1), made(149, 2), made(50, 3)

    def target(batch):
        other = batch.x["doppler_width"].astype(float)[:, 2] + batch.x["snr_db"].astype(float)[:, 4]
        noise = np.random.default_rng(len(batch)).standard_normal(len(batch))
        return (batch.x["rank"][:, 4] + 0.7 * other + noise)[:, None]

    model = opened("ridge", "rank")
    model.fit(Data(train, target(train)), Data(val, target(val)), 0)
    x = columns(train, model.visible)
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    keep = deviation > 1e-9 * np.maximum(np.abs(mean), 1e-9)
    scaled = [((columns(b, model.visible) - mean)[:, keep] / deviation[keep]) for b in (train, val, test)]
    rest = target(train) - model._ar(train)
    answers, errors = [], []
    for strength in STRENGTHS:
        ridge = Ridge(alpha=strength * len(train), fit_intercept=False).fit(scaled[0], rest)
        errors.append(np.mean((model._ar(val) + ridge.predict(scaled[1]).reshape(-1, 1) - target(val)) ** 2))
        answers.append(model._ar(test) + ridge.predict(scaled[2]).reshape(-1, 1))
    best = int(np.argmin(errors))
    assert 0 < best < len(STRENGTHS) - 1
    np.testing.assert_allclose(model.predict(test), answers[best], rtol=1e-5, atol=1e-6)
    ar = np.mean((model._ar(test) - target(test)) ** 2)
    assert np.mean((model.predict(test) - target(test)) ** 2) < (0.9 if count == 300 else 1.2) * ar


def test_trees_learn_what_no_linear_method_can_and_stay_out_where_there_is_nothing() -> None:
    train, val, test = made(400, 1), made(200, 2), made(200, 3)

    def bent(batch):
        return (batch.x["delay_length"][:, 4] + 2.0 * np.abs(batch.x["doppler_width"][:, 4]))[:, None].astype(float)

    model = opened("trees", "delay_length")
    model.fit(Data(train, bent(train)), Data(val, bent(val)), 0)
    found, linear = (np.mean((answer - bent(test)) ** 2) for answer in (model.predict(test), model._ar(test)))
    assert found < 0.5 * linear
    assert model.count_parameters() > 1000
    # Pure noise on top of the mean: validation keeps the autoregression.
    noise = [np.random.default_rng(seed).standard_normal((len(b), 1)) for seed, b in ((4, train), (5, val))]
    model.fit(Data(train, noise[0]), Data(val, noise[1]), 0)
    assert model.shape[0] in (0, 30)
    # Many outputs: through the main components of what is left.
    goal = [
        np.concatenate([b.x["time_covariance"].real, b.x["time_covariance"].imag], axis=2)[:, 4].reshape(len(b), -1)
        for b in (train, val, test)
    ]
    common = np.linspace(1, 2, 8)
    data = [g + np.abs(b.x["rank"][:, 4:]) * common for g, b in zip(goal, (train, val, test), strict=True)]
    model = opened("trees", "time_covariance")
    model.fit(Data(train, data[0].astype(float)), Data(val, data[1].astype(float)), 0)
    found, linear = (np.mean((answer - data[2]) ** 2) for answer in (model.predict(test), model._ar(test)))
    assert found < 0.6 * linear


def test_an_empty_part_is_an_error() -> None:
    empty = made(4)
    data = Data(empty, np.zeros((4, 1)))
    data.pair = (Batch(np.arange(0), {}, None, META), {})
    for name in ("ar", "ridge", "trees"):
        with pytest.raises(ModelError, match="empty"):
            opened(name, "rank").fit(data, data, 0)
