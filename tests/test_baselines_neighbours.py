"""Nearest neighbours against scikit-learn's brute-force search on features made by explicit DFT matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import dft
from sklearn.neighbors import KNeighborsClassifier

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
from wbench.errors import ModelError
from wbench.task.batch import ArrayMeta
from wbench_baselines.neighbours import KNearest, Nearest, features

ROWS, COLS, TONES = 2, 4, 16
SPEC = make_spec("other", "classify")
META = make_meta((1, 2, ROWS * COLS, TONES), ArrayMeta(ROWS, COLS), classes=5)


def part(n: int, seed: int, classes: int = 5, noise: float = 1.0) -> FakePart:
    """Classes are fixed channels; samples are those with a common phase, a gain and noise."""
    centre = complex_normal(np.random.default_rng(99), classes, *META.shape)
    rng = np.random.default_rng(seed)
    label = rng.integers(classes, size=n)
    gain = (rng.uniform(0.5, 2, n) * np.exp(2j * np.pi * rng.random(n)))[:, None, None, None, None]
    channel = gain * (centre[label] + noise * complex_normal(rng, n, *META.shape))
    return FakePart(make_batch(channel, META), {"label": label})


def reference_features(batch) -> np.ndarray:
    """|angular-delay| by matrices: port = col · rows + row, so the spatial DFT is (columns ⊗ rows)."""
    space = np.kron(dft(COLS), dft(ROWS))
    domain = np.einsum("mt,nbrtk,kd->nbrdm", space, batch.x["H"], dft(TONES).conj())
    return np.abs(domain).reshape(len(batch), -1)


def test_features_are_unit_magnitudes() -> None:
    data = part(9, 0)
    expected = reference_features(data.batch)
    found = features(data.batch.x["H"], META)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    assert not features(np.zeros((2, *META.shape), np.complex64), META).any()


@pytest.mark.parametrize(("n", "k"), [(700, 20), (110, 10), (3, 1)])
def test_knn_is_scikit_learn_s(n, k) -> None:
    train, test = part(n, 1, noise=2.0), part(300, 2, noise=2.0)
    ours = ready(KNearest(), SPEC, train)
    assert ours.k == k
    theirs = KNeighborsClassifier(k, metric="cosine", algorithm="brute", weights="distance")
    theirs.fit(reference_features(train.batch), train.truth["label"])
    expected = np.zeros((300, 5))
    expected[:, theirs.classes_] = theirs.predict_proba(reference_features(test.batch))
    np.testing.assert_allclose(ours.predict(test.batch), expected, rtol=1e-3, atol=1e-5)
    if n == 700:
        accuracy = (ours.predict(test.batch).argmax(axis=1) == test.truth["label"]).mean()
        assert 0.5 < accuracy < 1  # neither trivial nor hopeless, so the comparison says something


def test_nearest_is_scikit_learn_s() -> None:
    train, test = part(300, 3), part(300, 4)
    theirs = KNeighborsClassifier(1, metric="cosine", algorithm="brute")
    theirs.fit(reference_features(train.batch), train.truth["label"])
    ours = ready(Nearest(), SPEC, train).predict(test.batch)
    np.testing.assert_allclose(ours, theirs.predict_proba(reference_features(test.batch)), atol=1e-12)


@pytest.mark.parametrize("model", [KNearest, Nearest])
def test_batch_order_and_size_change_nothing(model) -> None:
    train, test = part(500, 5), part(300, 6)
    same_whatever_the_batch(ready(model(), SPEC, train).predict, test.batch)


def test_a_training_sample_finds_itself_whatever_its_phase_and_gain() -> None:
    train = part(200, 7, noise=3.0)
    turned = make_batch(3j * train.batch.x["H"], META)
    for model in (KNearest, Nearest):
        found = ready(model(), SPEC, train).predict(turned).argmax(axis=1)
        np.testing.assert_array_equal(found, train.truth["label"])


def test_equal_distances_go_to_the_earlier_sample() -> None:
    data = part(40, 8)
    twice = FakePart(take(data.batch, np.tile(np.arange(40), 2)), {"label": np.repeat([1, 3], 40)})
    np.testing.assert_array_equal(ready(Nearest(), SPEC, twice).predict(data.batch).argmax(axis=1), 1)


def test_bad_input_is_named() -> None:
    assert "reconstruct" in KNearest().supports(make_spec("channel-prediction", "reconstruct"))
    with pytest.raises(ModelError, match="empty"):
        ready(KNearest(), SPEC, part(0, 9))
    with pytest.raises(ModelError, match="angular-delay"):
        KNearest().setup(SPEC, make_meta((32, 32), dims=("delay", "angle"), classes=5))
