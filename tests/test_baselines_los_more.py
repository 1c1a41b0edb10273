"""Thresholds and boosted trees on channel statistics, and plain features for a head, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score

from tests.helpers_models import (
    FakePart,
    complex_normal,
    make_batch,
    make_meta,
    make_spec,
    ready,
    same_whatever_the_batch,
    take,
)
from tests.test_baselines_los import META, SPEC, part
from wbench.channel.statistics import LOS_STATISTICS, los_statistics
from wbench.errors import ModelError
from wbench.heads import Probe, build_head
from wbench_baselines import los_thresholds
from wbench_baselines.features import AngleDelay, Raw
from wbench_baselines.los import statistics
from wbench_baselines.los_thresholds import GainThreshold, Threshold
from wbench_baselines.los_trees import LEAVES, TREES, BoostedStatistics

SINGLES = [
    cls
    for cls in vars(los_thresholds).values()
    if isinstance(cls, type) and issubclass(cls, Threshold) and cls not in (Threshold, GainThreshold)
]


def best_f1(margin: np.ndarray, label: np.ndarray) -> float:
    cuts = np.concatenate([[-np.inf], np.sort(margin)])
    return max(f1_score(label, margin > cut, average="macro", zero_division=0.0) for cut in cuts)


def only(data: FakePart, value: int) -> FakePart:
    rows = np.flatnonzero(data.truth["label"] == value)
    return FakePart(take(data.batch, rows), {"label": data.truth["label"][rows]})


# --- thresholds


def test_there_is_one_for_each_statistic() -> None:
    assert sorted(cls.candidates[0] for cls in SINGLES) == sorted(LOS_STATISTICS)
    assert len({cls.info.name for cls in SINGLES}) == 8


@pytest.mark.parametrize("model", SINGLES)
def test_a_single_threshold_orders_by_its_statistic(model) -> None:
    train, test = part(200, 0, 0.3), part(150, 1)
    fitted = ready(model(), SPEC, train)
    scores = same_whatever_the_batch(fitted.predict, test.batch, atol=1e-9)
    column = los_statistics(test.batch.x["H"], 4, 8)[:, LOS_STATISTICS.index(model.candidates[0])]
    train_column = los_statistics(train.batch.x["H"], 4, 8)[:, LOS_STATISTICS.index(model.candidates[0])]
    rising = roc_auc_score(train.truth["label"], train_column) >= 0.5
    order = np.argsort(column if rising else -column, kind="stable")
    assert (np.diff((scores[:, 1] - scores[:, 0])[order]) >= -1e-12).all()


def test_the_best_statistic_is_chosen_on_validation() -> None:
    train, val, test = part(300, 2, 0.3), part(80, 3, 0.2), part(100, 4)
    label = val.truth["label"]
    x, held = statistics(train.batch), statistics(val.batch)
    sign = [1 if roc_auc_score(train.truth["label"], c) >= 0.5 else -1 for c in x.T]
    scores = [best_f1(s * c, label) for s, c in zip(sign, held.T, strict=True)]
    assert len(set(scores)) > 3
    model = ready(Threshold(), SPEC, train, val)
    assert model.column == int(np.argmax(scores))
    margin = np.diff(model.predict(test.batch), axis=1)[:, 0]
    expected = sign[model.column] * statistics(test.batch)[:, model.column]
    assert np.corrcoef(margin, expected)[0, 1] > 1 - 1e-9


@pytest.mark.parametrize("model", [Threshold, GainThreshold, BoostedStatistics])
def test_one_class_is_the_answer(model) -> None:
    data = part(60, 5)
    for value in (0, 1):
        fitted = ready(model(), SPEC, only(data, value), data)
        assert (fitted.predict(data.batch).argmax(axis=1) == value).all()
        ready(model(), SPEC, data, only(data, value))  # no choice in validation is no failure
    with pytest.raises(ModelError, match="empty"):
        ready(model(), SPEC, part(0, 6))


def test_gain_tells_los_only_where_it_is_shown() -> None:
    data, rng = part(400, 7), np.random.default_rng(8)
    label = data.truth["label"]
    gain = 10 ** (rng.normal(np.where(label == 1, -80.0, -100.0), 5.0) / 20)
    shown = FakePart(make_batch(data.batch.x["H"] * gain[:, None, None, None, None], META), {"label": label})
    for given, low, high in ((data, 0.35, 0.65), (shown, 0.97, 1.0)):
        scores = ready(GainThreshold(), SPEC, given).predict(given.batch)
        assert low <= roc_auc_score(label, scores[:, 1] - scores[:, 0]) <= high


# --- boosted trees


def test_trees_are_those_of_an_exhaustive_grid() -> None:
    train, val, test = part(240, 9, 0.3), part(60, 10, 0.3), part(50, 11)
    x, held = statistics(train.batch), statistics(val.batch)
    grid = {}
    for leaves in LEAVES:
        for trees in TREES[:3]:
            model = HistGradientBoostingClassifier(
                max_iter=trees, max_leaf_nodes=leaves, min_samples_leaf=12, early_stopping=False
            ).fit(x, train.truth["label"])
            grid[leaves, trees] = best_f1(model.decision_function(held), val.truth["label"]), model
    ours = ready(BoostedStatistics(), SPEC, train, val)
    assert len({round(score, 9) for score, _ in grid.values()}) > 3
    assert (ours.leaves, ours.trees) == max(grid, key=lambda at: (grid[at][0], -at[0], -at[1]))
    theirs = grid[ours.leaves, ours.trees][1].predict_proba(statistics(test.batch))
    np.testing.assert_allclose(ours.predict(test.batch), theirs, atol=1e-9)
    assert ours.count_parameters() > 0


def test_trees_do_not_hang_on_seed_or_batch() -> None:
    train, test = part(200, 12), part(60, 13)
    first, second = (ready(BoostedStatistics(), SPEC, train, seed=seed) for seed in (0, 1))
    scores = same_whatever_the_batch(first.predict, test.batch, atol=1e-6)
    np.testing.assert_array_equal(second.predict(test.batch), scores)
    assert f1_score(test.truth["label"], scores.argmax(axis=1), average="macro") > 0.9


# --- plain features


def test_raw_is_the_channel_and_tells_nothing_under_a_random_phase() -> None:
    train, test = part(800, 14), part(400, 15)
    features = same_whatever_the_batch(Raw().embed, test.batch)
    h = test.batch.x["H"].reshape(400, -1)
    np.testing.assert_array_equal(features[:, 0], np.concatenate([h.real, h.imag], axis=1))
    probe = ready(Probe(Raw(), build_head("linear")), SPEC_CLASSES, with_classes(train))
    assert 0.4 < roc_auc_score(test.truth["label"], probe.predict(test.batch)[:, 1]) < 0.6


def test_angle_delay_is_magnitude_only_and_linearly_useful() -> None:
    train, test = part(500, 16), part(300, 17)
    model = AngleDelay()
    model.setup(SPEC, META)
    features = same_whatever_the_batch(model.embed, test.batch)
    grid = test.batch.x["H"].reshape(-1, 8, 4, 16).astype(complex)  # port = column · rows + row
    image = np.abs(np.fft.ifft(np.fft.fft2(grid, axes=(1, 2)), axis=3)).transpose(0, 3, 1, 2).reshape(len(grid), -1)
    np.testing.assert_allclose(
        features[:, 0], image / np.linalg.norm(image, axis=1, keepdims=True), atol=1e-6, rtol=1e-4
    )
    turned = make_batch(-2j * test.batch.x["H"], META)
    np.testing.assert_allclose(model.embed(turned), features, atol=1e-6)
    probe = ready(Probe(AngleDelay(), build_head("linear")), SPEC_CLASSES, with_classes(train))
    ours = roc_auc_score(test.truth["label"], probe.predict(test.batch)[:, 1])
    theirs = LogisticRegression(C=0.01, max_iter=2000).fit(model.embed(train.batch)[:, 0] * 30, train.truth["label"])
    reference = roc_auc_score(test.truth["label"], theirs.decision_function(features[:, 0] * 30))
    assert ours > 0.8
    assert abs(ours - reference) < 0.1


SPEC_CLASSES = make_spec("los-nlos", "classify", primary="f1_macro")


def with_classes(data: FakePart) -> FakePart:
    meta = make_meta(META.shape, META.tx, classes=2)
    return FakePart(make_batch(data.batch.x["H"], meta, 1.0), data.truth)


@pytest.mark.parametrize("model", [Raw, AngleDelay])
def test_plain_features_refuse_what_has_no_channel(model) -> None:
    assert "RSRP" in model().supports(make_spec("beam-rsrp", "classify"))
    assert "reconstruct" in model().supports(make_spec("channel-prediction", "reconstruct"))
    assert model().supports(make_spec("positioning", "regress")) is None
    with pytest.raises(ModelError, match="angular-delay"):
        AngleDelay().setup(SPEC, make_meta((32, 32), dims=("delay", "angle")))


def test_a_raw_probe_without_random_phase_would_learn() -> None:
    """The control fails because of the phase, not because of the head: with a fixed phase the same probe works."""
    rng = np.random.default_rng(18)
    label = rng.integers(2, size=600)
    channel = complex_normal(rng, 600, *META.shape) + 0.5 * label[:, None, None, None, None]
    data = with_classes(FakePart(make_batch(channel, META), {"label": label}))
    probe = ready(Probe(Raw(), build_head("linear")), SPEC_CLASSES, data)
    assert roc_auc_score(label, probe.predict(data.batch)[:, 1]) > 0.95
