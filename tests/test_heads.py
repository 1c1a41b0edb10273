"""The linear head against scikit-learn's own pipeline, and what it must survive."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.helpers_models import FakePart, complex_normal, make_batch, make_meta, make_spec
from wbench.errors import ModelError, UnknownNameError
from wbench.heads import LOGISTIC_C, RIDGE_ALPHA, LinearHead, Probe, build_head
from wbench.model import Embedder, ModelInfo

Pair = tuple[Any, Any]


def clouds(seed: int, n: int, classes: int = 3) -> Pair:
    rng = np.random.default_rng(seed)
    label = rng.integers(classes, size=n)
    centre = np.random.default_rng(99).normal(size=(classes, 6)) * 1.2
    return (centre[label] + rng.normal(size=(n, 6))) * [1, 10, 0.1, 1, 5, 1] + 3, {"label": label}


def test_logistic_is_scikit_learns_with_the_best_c() -> None:
    train, val, test = clouds(0, 40), clouds(1, 80), clouds(2, 100)
    head = LinearHead()
    head.fit(train, val, 3, 0)
    pipes = [make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000)) for c in LOGISTIC_C]
    losses = [log_loss(val[1]["label"], pipe.fit(train[0], train[1]["label"]).predict_proba(val[0])) for pipe in pipes]
    best = pipes[int(np.argmin(losses))]
    np.testing.assert_allclose(head.predict(test[0]), best.predict_log_proba(test[0]), rtol=1e-5, atol=1e-6)
    assert 0 < int(np.argmin(losses)) < len(LOGISTIC_C) - 1  # there was something to choose
    assert head.count_parameters() == 3 * 6 + 3


def test_sure_answers_keep_their_order() -> None:
    """Far from the border probabilities round to 0 and 1; the scores do not."""
    x = np.concatenate([np.linspace(-1, -0.9, 20), np.linspace(0.9, 1, 20)])[:, None]
    label = {"label": np.repeat([0, 1], 20)}
    head = LinearHead()
    head.fit((x, label), (x, label), 2, 0)
    scores = head.predict(np.array([[10.0], [40.0], [80.0]]))
    margin = scores[:, 1] - scores[:, 0]
    assert margin[0] > 30
    assert np.all(np.diff(margin) > 1)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("outputs", [1, 2])
def test_ridge_is_scikit_learns_with_the_best_alpha(outputs: int) -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(6, outputs))
    parts = []
    for n in (40, 30, 50):
        x = rng.normal(size=(n, 6))
        parts.append((x, {"target": x @ weights + rng.normal(size=(n, outputs))}))
    train, val, test = parts
    head = LinearHead()
    head.fit(train, val, None, 0)
    pipes = [make_pipeline(StandardScaler(), Ridge(alpha=alpha)) for alpha in RIDGE_ALPHA]
    losses = [
        np.mean((pipe.fit(train[0], train[1]["target"]).predict(val[0]).reshape(30, -1) - val[1]["target"]) ** 2)
        for pipe in pipes
    ]
    best = pipes[int(np.argmin(losses))]
    np.testing.assert_allclose(head.predict(test[0]), best.predict(test[0]).reshape(50, -1), rtol=1e-8)
    assert head.count_parameters() == 7 * outputs


def test_classes_that_training_has_not_seen_come_last() -> None:
    (x, truth), val, test = clouds(0, 200), clouds(1, 80), clouds(2, 20)
    seen = truth["label"] != 1
    head = LinearHead()
    head.fit((x[seen], {"label": truth["label"][seen]}), val, 5, 0)
    scores = head.predict(test[0])
    assert scores.shape == (20, 5)
    assert np.isfinite(scores).all()
    assert (scores[:, [1, 3, 4]].max(axis=1) < scores[:, [0, 2]].min(axis=1)).all()
    with pytest.raises(ModelError, match="two classes"):
        LinearHead().fit((x[:9], {"label": np.zeros(9, int)}), val, 5, 0)


def test_a_feature_that_does_not_vary_in_training_is_ignored() -> None:
    train, val, test = clouds(0, 200), clouds(1, 80), clouds(2, 100)
    plain = LinearHead()
    plain.fit(train, val, 3, 0)

    def extended(pair: Pair, values: Any) -> Pair:
        return np.column_stack([pair[0], np.broadcast_to(values, len(pair[0]))]), pair[1]

    head = LinearHead()
    head.fit(extended(train, 0.1), extended(val, 0.1), 3, 0)
    wild = extended(test, np.random.default_rng(0).normal(size=100) * 1e3)
    np.testing.assert_allclose(head.predict(wild[0]), plain.predict(test[0]), rtol=1e-4, atol=1e-5)


def test_unknown_head() -> None:
    with pytest.raises(UnknownNameError, match="linear"):
        build_head("linaer")


class Tokens(Embedder):
    info = ModelInfo("test/tokens", revision="1")

    def embed(self, batch: Any) -> Any:
        return np.abs(batch.x["H"][:, 0, 0]).astype(np.float32)  # tokens are antennas


def test_a_probe_pools_tokens_and_declares_that_it_trains() -> None:
    rng = np.random.default_rng(0)
    channel = complex_normal(rng, 60, 1, 1, 4, 8)
    channel[:30, ..., 0] *= 5
    label = np.repeat([1, 0], 30)
    part = FakePart(make_batch(channel, make_meta((1, 1, 4, 8), classes=2)), {"label": label})
    probe = Probe(Tokens(), build_head("linear"))
    spec = make_spec("los-nlos", "classify")
    assert probe.supports(spec) is None
    assert "reconstruct" in str(probe.supports(make_spec("x", "reconstruct")))
    assert probe.info.trains
    assert not Tokens.info.trains
    probe.setup(spec, part.meta)
    probe.fit(part, part, 0)
    scores = probe.predict(part.batch)
    assert scores.shape == (60, 2)
    assert ((scores[:, 1] > scores[:, 0]) == label).mean() > 0.95
    expected = LinearHead()
    pooled = np.abs(part.batch.x["H"])[:, 0, 0].mean(axis=1).astype(np.float64)
    expected.fit((pooled, {"label": label}), (pooled, {"label": label}), 2, 0)
    np.testing.assert_allclose(scores, expected.predict(pooled), rtol=1e-3, atol=1e-3)
    assert probe.count_parameters() == 8 + 1
