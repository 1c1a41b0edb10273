"""Beam metrics against scikit-learn, brute force and closed forms; ties above all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from wbench.errors import ResultError
from wbench.metric import get_metric


def evaluate(name, scores, truth):
    metric = get_metric(name)
    table = metric.per_sample(np.asarray(scores), truth, {})
    ones = np.ones(len(table))
    return metric.reduce(table, ones), metric.tie_rate(table, ones)


def draw(seed: int, n: int = 80, beams: int = 16):
    g = np.random.default_rng(seed)
    rsrp = g.exponential(size=(n, beams))
    return g.normal(size=(n, beams)) + 2 * rsrp, {"rsrp": rsrp, "label": rsrp.argmax(axis=1)}


@pytest.mark.parametrize("k", [1, 3, 5])
def test_top_k_equals_scikit_learn_without_ties(k):
    scores, truth = draw(0)
    value, ties = evaluate(f"top{k}", scores, truth)
    assert value == pytest.approx(top_k_accuracy_score(truth["label"], scores, k=k, labels=range(16)))
    assert ties == 0


def orders(scores):
    """All orders of the beams of one sample that its scores allow."""
    for order in itertools.permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order)):
            yield order


def by_hand(name, order, rsrp, label):
    beams = len(rsrp)
    if name.startswith("top"):
        return float(label in order[: int(name[3:])])
    loss = 10 * np.log10(rsrp.max() / rsrp[order[0]])
    if name == "within_1db":
        return float(loss <= 1)
    if name == "rsrp_loss_db":
        return loss
    delta = 5 * beams / 64
    d = [min((b - label) % beams, (label - b) % beams) for b in order[:3]]
    return np.mean([1 - min(min(d[: m + 1]) / delta, 1) for m in range(3)])


@pytest.mark.parametrize("name", ["top1", "top3", "top5", "within_1db", "rsrp_loss_db", "dba"])
def test_ties_count_as_the_worst_order_of_all(name):
    g = np.random.default_rng(0)
    metric = get_metric(name)
    worst_of = max if name == "rsrp_loss_db" else min
    best_of = min if name == "rsrp_loss_db" else max
    for _ in range(40):
        scores = g.integers(0, 3, size=6).astype(float)
        rsrp = 10 ** (0.15 * g.normal(size=6))
        label = int(rsrp.argmax())
        table = metric.per_sample(scores[None], {"rsrp": rsrp[None], "label": np.array([label])}, {})
        values = [by_hand(name, order, rsrp, label) for order in orders(scores)]
        assert metric.reduce(table, np.ones(1)) == pytest.approx(worst_of(values), abs=1e-12)
        assert table[0, -1] == (not np.isclose(worst_of(values), best_of(values), atol=1e-12))


@pytest.mark.parametrize("name", ["top1", "top3", "top5", "within_1db", "dba"])
def test_constant_scores_win_nothing(name):
    _, truth = draw(1, beams=64)
    value, ties = evaluate(name, np.zeros((80, 64)), truth)
    assert value == 0
    assert ties == 1


def test_one_db_is_inside_and_more_is_outside():
    rsrp = np.array([[1.0, 10**-0.1, 10**-0.1001]])
    for chosen, expected in ((0, 1), (1, 1), (2, 0)):
        value, _ = evaluate("within_1db", np.eye(3)[[chosen]], {"rsrp": rsrp, "label": np.array([0])})
        assert value == expected


def test_loss_is_the_mean_over_samples_in_db_and_clipped():
    rsrp = np.array([[1.0, 0.1], [1.0, 0.001]])
    truth = {"rsrp": rsrp, "label": np.zeros(2, int)}
    assert evaluate("rsrp_loss_db", [[0, 1], [0, 1]], truth)[0] == pytest.approx(20.0)
    truth["rsrp"] = np.array([[1.0, 0.1], [1.0, 0.0]])
    assert evaluate("rsrp_loss_db", [[0, 1], [0, 1]], truth)[0] == pytest.approx(155.0)
    value = evaluate("rsrp_loss_db", [[1, 0], [1, 0]], truth)[0]
    assert value == 0
    assert not np.signbit(value)


def test_loss_error_is_the_lost_power():
    assert get_metric("rsrp_loss_db").error(3.0) == pytest.approx(1 - 10**-0.3)


@pytest.mark.parametrize("beams", [16, 64, 256])
def test_dba_closed_form(beams):
    """The best three are d, d+1, d+2 beams away: 1 - d/Δ; and the axis is cyclic."""
    delta = 5 * beams / 64
    for d in range(4):
        scores = np.zeros((2, beams))
        label = np.array([0, beams - 1])
        for rank in range(3):
            scores[np.arange(2), (label + d + rank) % beams] = 3 - rank
        value, _ = evaluate("dba", scores, {"label": label})
        assert value == pytest.approx(max(0.0, 1 - d / delta))


def test_dba_of_the_challenge_by_hand():
    scores = np.zeros((1, 64))
    scores[0, [10, 40, 13]] = 3, 2, 1
    # true beam 12: distances 2, 28, 1 -> best so far 2, 2, 1 of Δ = 5
    assert evaluate("dba", scores, {"label": np.array([12])})[0] == pytest.approx((0.6 + 0.6 + 0.8) / 3)


def test_zero_channels_and_odd_shapes_are_errors():
    scores, truth = draw(0)
    truth["rsrp"][5] = 0
    for name in ("within_1db", "rsrp_loss_db"):
        with pytest.raises(ResultError, match="row 5"):
            evaluate(name, scores, truth)
        with pytest.raises(ResultError, match="one non-negative power per beam"):
            evaluate(name, scores, {**truth, "rsrp": truth["rsrp"][:, :8]})
    with pytest.raises(ResultError, match="at least 3"):
        evaluate("dba", np.zeros((4, 2)), {"label": np.zeros(4, int)})
