"""Detection metrics against scikit-learn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn import metrics as sk

from wbench.errors import ResultError
from wbench.metric import get_metric
from wbench.metric.classification import best_threshold

DECIDED = ("f1_macro", "f1_binary", "balanced_accuracy")


def draw(seed: int, n: int = 200, decimals: int = 1):
    g = np.random.default_rng(seed)
    label = (g.random(n) < 0.3).astype(np.int64)
    scores = np.round(g.normal(size=(n, 2)) + 0.8 * np.eye(2)[label], decimals)
    return scores, label, g.exponential(size=n) * (g.random(n) < 0.8)


REFERENCE = {
    "f1_macro": lambda y, d, m, w: sk.f1_score(y, d, average="macro", sample_weight=w),
    "f1_binary": lambda y, d, m, w: sk.f1_score(y, d, sample_weight=w),
    "balanced_accuracy": lambda y, d, m, w: sk.balanced_accuracy_score(y, d, sample_weight=w),
    "auroc": lambda y, d, m, w: sk.roc_auc_score(y, m, sample_weight=w),
    "auprc": lambda y, d, m, w: sk.average_precision_score(y, m, sample_weight=w),
}


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize("threshold", [0.0, 0.45, -0.3])
def test_equals_scikit_learn(name, threshold):
    metric = get_metric(name)
    for seed, decimals in itertools.product(range(5), (0, 1, 9)):  # with many ties, some, and none
        scores, label, weight = draw(seed, decimals=decimals)
        margin = scores[:, 1] - scores[:, 0]
        table = metric.per_sample(scores, {"label": label}, {"threshold": threshold})
        for w in (np.ones(len(label)), weight):
            expected = REFERENCE[name](label, (margin > threshold).astype(int), margin, w)
            assert metric.reduce(table, w) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["f1_macro", "balanced_accuracy"])
def test_many_classes_equal_scikit_learn_with_argmax(name):
    metric = get_metric(name)
    g = np.random.default_rng(0)
    label = g.integers(6, size=300)
    label[label == 5] = 4  # a class that never occurs, but may be decided for
    scores = g.normal(size=(300, 6)) + np.eye(6)[label]
    weight = g.exponential(size=300)
    assert metric.calibrate(scores, {"label": label}) == {}
    table = metric.per_sample(scores, {"label": label}, {})
    decision = scores.argmax(axis=1)
    if name == "f1_macro":
        expected = sk.f1_score(label, decision, average="macro", sample_weight=weight)
    else:
        expected = sk.recall_score(label, decision, average="macro", sample_weight=weight, labels=range(5))
    assert metric.reduce(table, weight) == pytest.approx(expected, abs=1e-12)


def test_threshold_is_the_best_of_an_exhaustive_search():
    for seed in range(20):
        g = np.random.default_rng(seed)
        label = (g.random(60) < 0.3).astype(np.int64)
        margin = np.round(4 * (g.normal(size=60) + 0.8 * label)) / 4  # quarters are exact, so ties are ties
        found = best_threshold(margin, label)
        steps = np.array([-np.inf, *np.unique(margin)])  # every way to cut
        f1 = np.array([sk.f1_score(label, margin > t, average="macro") for t in steps])
        assert sk.f1_score(label, margin > found, average="macro") == pytest.approx(f1.max(), abs=1e-12)
        # Of the equally good cuts [t, next) none has its middle nearer to 0.
        middles = np.append(0.5 * (steps[1:-1] + steps[2:]), [0.0, margin.min() - 1 - abs(margin.min())])
        equally = [t for t in middles if sk.f1_score(label, margin > t, average="macro") >= f1.max() - 1e-12]
        assert abs(found) == pytest.approx(np.abs(equally).min())


def test_argmax_stands_unless_something_is_strictly_better():
    label = np.array([0, 0, 1, 1])
    assert best_threshold(np.array([-3.0, -1.0, 2.0, 5.0]), label) == 0.0
    assert best_threshold(np.array([1.0, 2.0, 4.0, 5.0]), label) == 3.0


def test_threshold_of_a_constant_predictor_takes_the_better_class():
    metric = get_metric("f1_macro")
    label = np.array([0, 0, 0, 1])
    for constant in (0.0, 7.0, -1e20, 3e38):
        scores = np.column_stack([np.zeros(4), np.full(4, constant)])
        calibration = metric.calibrate(scores, {"label": label})
        assert np.isfinite(calibration["threshold"])
        value = metric.reduce(metric.per_sample(scores, {"label": label}, calibration), np.ones(4))
        assert value == pytest.approx(0.5 * 6 / 7)  # all 0: F1 of class 0 is 6/7, of class 1 it is 0


@pytest.mark.parametrize("name", DECIDED)
def test_one_operating_point_and_degenerate_validation(name):
    metric = get_metric(name)
    scores, label, _ = draw(0)
    same = get_metric("f1_macro").calibrate(scores, {"label": label})
    assert metric.calibrate(scores, {"label": label}) == same
    assert same["calibrated"] == 1.0
    uncalibrated = {"threshold": 0.0, "calibrated": 0.0}
    assert metric.calibrate(scores, {"label": np.ones_like(label)}) == uncalibrated
    assert metric.calibrate(scores[:0], {"label": label[:0]}) == uncalibrated


@pytest.mark.parametrize("name", DECIDED)
def test_without_calibration_the_answer_is_argmax(name):
    metric = get_metric(name)
    scores, label, _ = draw(1, decimals=9)
    expected = REFERENCE[name](label, scores.argmax(axis=1), None, None)
    table = metric.per_sample(scores, {"label": label}, {})
    assert metric.reduce(table, np.ones(len(label))) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize("only", [0, 1])
def test_one_class_is_an_error_never_a_number(name, only):
    metric = get_metric(name)
    scores, label, _ = draw(0)
    table = metric.per_sample(scores, {"label": label}, {})
    with pytest.raises(ResultError, match="classes"):
        metric.reduce(table, (label == only).astype(float))


def test_all_ties_are_worth_a_coin():
    metric = get_metric("auroc")
    _, label, weight = draw(0)
    table = metric.per_sample(np.zeros((len(label), 2)), {"label": label}, {})
    assert metric.reduce(table, weight) == pytest.approx(0.5)
    share = get_metric("auprc").reduce(table, weight)
    assert share == pytest.approx(weight[label == 1].sum() / weight.sum())


def test_constant_los_scores_2p_over_1_plus_p():
    label = np.array([1] * 617 + [0] * 383)
    metric = get_metric("f1_binary")
    table = metric.per_sample(np.tile([0.0, 1.0], (1000, 1)), {"label": label}, {})
    assert metric.reduce(table, np.ones(1000)) == pytest.approx(2 * 0.617 / 1.617)


def test_seed_averaged_tables_give_averaged_confusion_counts():
    metric = get_metric("balanced_accuracy")
    _, label, weight = draw(0)
    tables = [metric.per_sample(draw(s)[0], {"label": label}, {}) for s in range(3)]
    mean = np.mean([metric.reduce(table, weight) for table in tables])
    assert metric.reduce(np.mean(tables, axis=0), weight) == pytest.approx(mean)


def test_bad_labels_and_class_counts():
    metric = get_metric("auroc")
    with pytest.raises(ResultError, match="not one of the classes"):
        metric.per_sample(np.zeros((3, 2)), {"label": np.array([0, 1, -1])}, {})
    with pytest.raises(ResultError, match="two classes"):
        metric.per_sample(np.zeros((3, 4)), {"label": np.array([0, 1, 2])}, {})
    with pytest.raises(ResultError, match="integers"):
        metric.per_sample(np.zeros((3, 2)), {"label": np.array([0.0, 1.0, 1.0])}, {})
