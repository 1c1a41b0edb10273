"""The classifiers without a channel, against scikit-learn's dummy."""

from __future__ import annotations

import importlib
import tomllib
from importlib.resources import files

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from tests.helpers_models import (
    FakePart,
    complex_normal,
    make_batch,
    make_meta,
    make_spec,
    ready,
    same_whatever_the_batch,
)
from wbench.errors import ModelError
from wbench_baselines.trivial import Constant, Majority

LOS = make_spec("los-nlos", "classify")
BEAMS = make_spec("beam-subarray", "classify")


def part(n: int, classes: int) -> FakePart:
    rng = np.random.default_rng(n)
    label = rng.choice(classes, size=n, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    meta = make_meta((1, 1, 4, 4), classes=classes)
    return FakePart(make_batch(complex_normal(rng, n, *meta.shape), meta), {"label": label.astype(np.int64)})


@pytest.mark.parametrize(("spec", "classes"), [(LOS, 2), (BEAMS, 8)])
def test_constant_is_the_last_class(spec, classes) -> None:
    data = part(30, classes)
    scores = same_whatever_the_batch(ready(Constant(), spec, data).predict, data.batch)
    assert scores.shape == (30, classes)
    reference = DummyClassifier(strategy="constant", constant=classes - 1)
    reference.fit(np.zeros((classes, 1)), np.arange(classes))
    np.testing.assert_array_equal(scores, reference.predict_proba(np.zeros((30, 1))))


@pytest.mark.parametrize(("spec", "classes"), [(LOS, 2), (BEAMS, 8)])
def test_majority_is_the_prior(spec, classes) -> None:
    data = part(700, classes)
    scores = same_whatever_the_batch(ready(Majority(), spec, data).predict, data.batch)
    label = data.truth["label"]
    reference = DummyClassifier(strategy="prior").fit(np.zeros((700, 1)), label).predict_proba(np.zeros((700, 1)))
    assert len(np.unique(label)) == classes
    np.testing.assert_allclose(scores, reference, rtol=1e-12)


def test_majority_gives_zero_to_unseen_classes() -> None:
    data = part(3, 8)
    data.truth["label"] = np.array([2, 2, 5])
    scores = ready(Majority(), BEAMS, data).predict(data.batch)
    np.testing.assert_allclose(scores[0], [0, 0, 2 / 3, 0, 0, 1 / 3, 0, 0])


def test_majority_of_nothing_is_an_error() -> None:
    empty = part(0, 2)
    with pytest.raises(ModelError, match="empty"):
        ready(Majority(), LOS, empty)


@pytest.mark.parametrize("model", [Constant(), Majority()])
def test_other_kinds_are_refused_with_a_reason(model) -> None:
    assert "reconstruct" in model.supports(make_spec("channel-prediction", "reconstruct"))
    with pytest.raises(ModelError, match="number of classes"):
        model.setup(LOS, make_meta((1, 1, 4, 4)))


def test_registered_models_are_there_under_their_own_names() -> None:
    models = tomllib.loads(files("wbench_baselines").joinpath("provider.toml").read_text(encoding="utf-8"))["models"]
    for name, entry in models.items():
        module, _, attribute = entry["object"].partition(":")
        info = getattr(importlib.import_module(module), attribute).info
        assert info.name == name
        assert info.revision
        assert info.summary
        assert info.source
        assert "Apache-2.0" in info.licence  # an adapter adds the terms of what it calls, or of users' weights
