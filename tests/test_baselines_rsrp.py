"""Models that see the RSRP of a few beams, against scikit-learn, a plain search, and NumPy's forward pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

from tests.helpers_models import FakePart, make_batch, make_meta, make_spec, ready, same_whatever_the_batch
from wbench.errors import ModelError
from wbench.metric.catalogue import get_metric
from wbench.task.batch import ArrayMeta
from wbench_baselines import beams_mlp
from wbench_baselines.beams_mlp import RsrpMlp
from wbench_baselines.beams_rsrp import NEIGHBOURS, STRENGTHS, BestInB, RsrpNeighbours, RsrpRidge

BEAMS, SET_B = 24, [2, 8, 14, 20]
SPEC = make_spec("beam-rsrp", "classify", {"set_b": SET_B}, primary="within_1db")
META = make_meta((4,), ArrayMeta(8, 8), dims=("beam",), classes=BEAMS)


def part(n: int, seed: int, noise: float = 0.5, steps: bool = True) -> FakePart:
    """A beam pattern around a random direction; reports in dB relative to the strongest, whole ones with ``steps``."""
    rng = np.random.default_rng(seed)
    direction = rng.uniform(1, BEAMS - 2, n)
    rsrp = np.sinc((np.arange(BEAMS) - direction[:, None]) / 4) ** 2 + 0.02 * rng.exponential(size=(n, BEAMS))
    measured = rsrp[:, SET_B] + noise * 0.05 * rng.exponential(size=(n, len(SET_B)))
    report = 10 * np.log10(measured / measured.max(axis=1, keepdims=True))
    report = np.round(report) if steps else report
    batch = make_batch(np.zeros((n, 4)), META, 1.0)
    batch = replace(batch, x={"rsrp": report.astype(np.float32)})
    return FakePart(batch, {"rsrp": rsrp, "label": rsrp.argmax(axis=1).astype(np.int64)})


def within_1db(scores: np.ndarray, data: FakePart) -> float:
    """Share of rows whose best score is a beam within 1 dB of the best."""
    hit = [row[s.argmax()] >= row.max() * 10**-0.1 for row, s in zip(data.truth["rsrp"], scores, strict=True)]
    return float(np.mean(hit))


def inputs(data: FakePart) -> np.ndarray:
    return np.column_stack([data.batch.x["rsrp"].astype(float), np.zeros(len(data))])


def relative(data: FakePart) -> np.ndarray:
    return data.truth["rsrp"] / data.truth["rsrp"].max(axis=1, keepdims=True)


@pytest.mark.parametrize("model", [BestInB, RsrpRidge, RsrpNeighbours, RsrpMlp])
def test_answers_stand_alone_and_beat_chance(model) -> None:
    train, val, test = part(600, 0), part(150, 1), part(120, 2)
    fitted = ready(model(), SPEC, train, val)
    scores = same_whatever_the_batch(fitted.predict, test.batch, atol=1e-5)
    assert scores.shape == (120, BEAMS)
    assert within_1db(scores, test) > (0.15 if model is BestInB else 0.35)


def test_best_in_b_is_the_first_strongest_report() -> None:
    data = part(200, 3, noise=3.0)
    report = data.batch.x["rsrp"]
    assert (np.sort(report, axis=1)[:, -1] == np.sort(report, axis=1)[:, -2]).any()  # some are equal
    scores = ready(BestInB(), SPEC, data).predict(data.batch)
    np.testing.assert_array_equal(scores.argmax(axis=1), np.array(SET_B)[report.argmax(axis=1)])
    top = np.argsort(-scores, axis=1)[:, :4]
    assert (np.sort(top, axis=1) == SET_B).all()
    order = np.take_along_axis(scores, top, axis=1).astype(np.float32)
    assert (np.diff(order, axis=1) < 0).all()  # no ties, also not in single precision
    metric = get_metric("top1")
    assert metric.tie_rate(metric.per_sample(scores, data.truth, {}), np.ones(200)) == 0


def test_ridge_is_scikit_learn_s_tuned_by_hand() -> None:
    train, val, test = part(80, 4), part(70, 5), part(40, 6)
    targets = {"dB": 10 * np.log10(np.maximum(relative(train), 1e-3)), "linear": relative(train)}
    grid = {
        (name, strength): Ridge(alpha=strength).fit(inputs(train), target)
        for name, target in targets.items()
        for strength in STRENGTHS
    }
    scores = {at: within_1db(model.predict(inputs(val)), val) for at, model in grid.items()}
    assert len(set(scores.values())) > 3
    ours = ready(RsrpRidge(), SPEC, train, val)
    assert ours.chosen == max(scores, key=scores.get)
    np.testing.assert_allclose(ours.predict(test.batch), grid[ours.chosen].predict(inputs(test)), atol=1e-9)
    assert ours.count_parameters() == BEAMS * 6


def test_neighbours_are_scikit_learn_s_where_distances_differ() -> None:
    train, val, test = (part(n, seed, steps=False) for n, seed in ((400, 7), (100, 8), (60, 9)))
    votes = np.eye(BEAMS)[train.truth["label"]]
    scores = {}
    for name, target in (("mean", relative(train)), ("vote", votes)):
        for k in sorted({min(k, 400) for k in NEIGHBOURS}):
            model = KNeighborsRegressor(k, algorithm="brute").fit(inputs(train), target)
            scores[name, k] = within_1db(model.predict(inputs(val)), val), model
    ours = ready(RsrpNeighbours(), SPEC, train, val)
    best = max(score for score, _ in scores.values())
    assert scores[ours.chosen][0] >= best - 0.011  # equal votes: theirs and ours may pick another of two equal beams
    theirs = scores[ours.chosen][1].predict(inputs(test))
    np.testing.assert_allclose(ours.predict(test.batch), theirs, atol=1e-6)


def test_neighbours_with_equal_distances_are_the_earlier_ones() -> None:
    train, query = part(300, 10, noise=3.0), part(20, 11, noise=3.0)
    model = ready(RsrpNeighbours(), SPEC, train)
    known, asked = inputs(train), inputs(query)
    ties = 0
    for k in (1, 7, 300):
        found = model._nearest(asked, k)
        for row, one in zip(found, asked, strict=True):
            distance = [sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) for other in known]
            order = sorted(range(300), key=lambda i: (distance[i], i))
            np.testing.assert_array_equal(row, order[:k])
            ties += k < 300 and distance[order[k - 1]] == distance[order[k]]
    assert ties > 5


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beams_mlp, "EPOCHS", 8)


@pytest.mark.usefixtures("short")
def test_network_is_two_layers_of_256() -> None:
    train, val = part(300, 12), part(80, 13)
    model = ready(RsrpMlp(), SPEC, train, val)
    x = (inputs(val) - inputs(train).mean(axis=0)) / np.maximum(inputs(train).std(axis=0), 1e-300)
    x[:, 4] = 0
    weights = [p.detach().numpy().astype(float) for p in model.network.parameters()]
    assert [w.shape for w in weights] == [(256, 5), (256,), (256, 256), (256,), (BEAMS, 256), (BEAMS,)]
    for i in (0, 2):
        x = np.maximum(x @ weights[i].T + weights[i + 1], 0)
    np.testing.assert_allclose(model.predict(val.batch), x @ weights[4].T + weights[5], atol=1e-3)
    assert model.count_parameters() == sum(w.size for w in weights)


@pytest.mark.usefixtures("short")
def test_network_hangs_on_its_seed_alone() -> None:
    train, val = part(200, 14), part(60, 15)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, again, other = (ready(RsrpMlp(), SPEC, train, val, seed=s).predict(val.batch) for s in (3, 3, 4))
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_noise_power_is_a_feature() -> None:
    """Where the SNR varies, the same reports mean different things."""
    loud, still = part(600, 16, noise=20.0), part(600, 17, noise=0.0)
    both = replace(
        loud.batch,
        ids=np.arange(1200),
        x={"rsrp": np.concatenate([loud.batch.x["rsrp"], still.batch.x["rsrp"]])},
        noise_power=np.repeat([100.0, 0.01], 600).astype(np.float32),
    )
    truth = {name: np.concatenate([loud.truth[name], still.truth[name]]) for name in loud.truth}
    model = ready(RsrpNeighbours(), SPEC, FakePart(both, truth))
    np.testing.assert_allclose(model.known[:, -1], np.repeat([20.0, -20.0], 600), atol=1e-4)
    found = model._nearest(model.known[::100], 5)
    assert (found[:6] < 600).all()
    assert (found[6:] >= 600).all()


@pytest.mark.parametrize("model", [BestInB, RsrpRidge, RsrpNeighbours, RsrpMlp])
def test_bad_input_is_named(model) -> None:
    assert "los-nlos" in model().supports(make_spec("los-nlos", "classify"))
    with pytest.raises(ModelError, match="Set B"):
        model().setup(SPEC, make_meta((5,), ArrayMeta(8, 8), dims=("beam",), classes=BEAMS))
    if model is not BestInB:
        with pytest.raises(ModelError, match="empty"):
            ready(model(), SPEC, part(0, 18))
