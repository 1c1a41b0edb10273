"""Logistic regression on channel statistics, against a scikit-learn pipeline tuned by scikit-learn's own scorer."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
from wbench.channel.array import Array
from wbench.errors import ModelError
from wbench.task.batch import ArrayMeta
from wbench_baselines.los import STRENGTHS, LogisticStatistics, statistics

SPEC = make_spec("los-nlos", "classify", primary="f1_macro")
META = make_meta((1, 1, 32, 16), ArrayMeta(4, 8))


def part(n: int, seed: int, wrong: float = 0.0) -> FakePart:
    """Rician channels (K = 2) on a 4 × 8 array in LoS, Rayleigh ones in NLoS, 0 dB noise; some labels are wrong."""
    rng = np.random.default_rng(seed)
    label = rng.integers(2, size=n)
    steering = Array(4, 8).steering(rng.uniform(-1, 1, n), rng.uniform(1.3, 1.8, n))[:, None, None, :, None]
    phase = np.exp(2j * np.pi * rng.random((n, 1, 1, 1, 1)))
    k = (2.0 * label)[:, None, None, None, None]
    spread = complex_normal(rng, n, *META.shape)
    channel = (np.sqrt(k) * phase * steering + spread) / np.sqrt(k + 1) + complex_normal(rng, n, *META.shape)
    return FakePart(make_batch(channel, META, 1.0), {"label": np.where(rng.random(n) < wrong, 1 - label, label)})


def pipeline(train: FakePart, strength: float):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, tol=1e-10, max_iter=10_000))
    return model.fit(statistics(train.batch), train.truth["label"])


def best_f1(margin: np.ndarray, label: np.ndarray) -> float:
    """Best macro-F1 over every threshold, one scikit-learn call each."""
    cuts = np.concatenate([[-np.inf], np.sort(margin)])
    return max(f1_score(label, margin > cut, average="macro", zero_division=0.0) for cut in cuts)


def test_it_is_the_scikit_learn_pipeline() -> None:
    train, val, test = part(300, 0, 0.3), part(40, 1, 0.3), part(200, 2, 0.3)
    model = ready(LogisticStatistics(), SPEC, train, val)
    margins = {c: pipeline(train, c).decision_function(statistics(val.batch)) for c in STRENGTHS}
    scores = {c: best_f1(margin, val.truth["label"]) for c, margin in margins.items()}
    assert len(set(scores.values())) > 1
    assert model.strength == min(c for c in STRENGTHS if scores[c] > max(scores.values()) - 1e-12)
    expected = pipeline(train, model.strength).predict_proba(statistics(test.batch))
    np.testing.assert_allclose(model.predict(test.batch), expected, atol=1e-5)
    assert model.count_parameters() == 9


def test_it_tells_los_from_nlos() -> None:
    train, val, test = part(200, 3), part(60, 4), part(300, 5)
    found = ready(LogisticStatistics(), SPEC, train, val).predict(test.batch).argmax(axis=1)
    assert f1_score(test.truth["label"], found, average="macro") > 0.95


def test_batch_order_and_size_change_nothing() -> None:
    train, test = part(100, 6), part(60, 7)
    scores = same_whatever_the_batch(ready(LogisticStatistics(), SPEC, train).predict, test.batch, atol=1e-6)
    np.testing.assert_allclose(scores.sum(axis=1), 1)


def test_validation_and_test_do_not_move_the_scaler() -> None:
    train = part(80, 8)
    model = ready(LogisticStatistics(), SPEC, train, part(300, 9))
    np.testing.assert_allclose(model.mean, statistics(train.batch).mean(axis=0))


@pytest.mark.parametrize("only", [0, 1])
def test_one_class_in_training_is_the_answer(only) -> None:
    data = part(60, 10)
    rows = np.flatnonzero(data.truth["label"] == only)
    train = FakePart(take(data.batch, rows), {"label": data.truth["label"][rows]})
    assert (ready(LogisticStatistics(), SPEC, train, data).predict(data.batch).argmax(axis=1) == only).all()


def test_one_class_in_validation_leaves_no_choice() -> None:
    train, val = part(60, 11), part(20, 12)
    val.truth["label"][:] = 1
    assert ready(LogisticStatistics(), SPEC, train, val).strength == 1.0
    assert ready(LogisticStatistics(), SPEC, train, part(0, 13)).strength == 1.0


def test_bad_input_is_named() -> None:
    assert "beam-subarray" in LogisticStatistics().supports(make_spec("beam-subarray", "classify"))
    with pytest.raises(ModelError, match="frequency response"):
        LogisticStatistics().setup(SPEC, make_meta((32, 32), dims=("delay", "angle")))
    with pytest.raises(ModelError, match="empty"):
        ready(LogisticStatistics(), SPEC, part(0, 14))
