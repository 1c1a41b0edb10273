"""The other heads: nearest neighbours against scikit-learn; networks by what they learn, size and determinism."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

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
from wbench.heads import HEADS, NearestHead, Probe, build_head
from wbench.heads.networks import ResNet1d, Standardise
from wbench.model import Embedder, ModelInfo
from wbench.training import TrainingSettings

#: The wide one differs from the slim one in its number of channels only.
NETWORKS = ["mlp", "resnet1d-slim"]


def clouds(seed: int, n: int, d: int = 6, classes: int = 3) -> Any:
    g = np.random.default_rng(seed)
    label = g.integers(classes, size=n)
    centre = np.random.default_rng(99).normal(size=(classes, d))
    return centre[label] + g.normal(size=(n, d)), {"label": label}


def quick(name: str) -> Any:
    """The head with a short training and few channels: what is tested does not need more."""
    head: Any = build_head(name)
    head.settings, head.steps, head.width = TrainingSettings(3, 32, lr=3e-3, patience=3), 30, 16
    return head


@pytest.mark.parametrize("n", [1, 3, 30, 500, 700])
def test_knn_is_scikit_learns(n: int) -> None:
    train, test = clouds(0, n), clouds(1, 600)
    head = NearestHead()
    head.fit(train, train, 3, 0)
    k = {1: 1, 3: 1, 30: 5, 500: 20, 700: 20}[n]
    other = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(train[0], train[1]["label"])
    expected = np.zeros((600, 3))
    expected[:, other.classes_] = other.predict_proba(test[0])
    np.testing.assert_allclose(head.predict(test[0]), expected, atol=1e-12)
    target = np.random.default_rng(2).normal(size=(n, 2))
    head.fit((train[0], {"target": target}), train, None, 0)
    regressor = KNeighborsRegressor(k, metric="cosine", algorithm="brute").fit(train[0], target)
    np.testing.assert_allclose(head.predict(test[0]), regressor.predict(test[0]), atol=1e-12)
    assert head.count_parameters() == 0


def test_knn_takes_the_earlier_of_equal_neighbours_and_survives_zeros() -> None:
    x = np.array([[1.0, 0], [2, 0], [3, 0], [0, 1], [0, 0]])
    head = NearestHead()
    head.fit((x, {"label": np.array([0, 1, 1, 2, 2])}), (x, {}), 3, 0)
    assert head.k == 2
    assert head.predict(np.array([[5.0, 0]])).tolist() == [[0.5, 0.5, 0]]
    assert head.predict(np.array([[0, 7.0]])).tolist() == [[0.5, 0, 0.5]]
    assert np.isfinite(head.predict(np.zeros((1, 2)))).all()


@pytest.mark.parametrize(
    ("width", "shape", "outputs", "expected"),
    # Stem, stages and answer counted by hand: convolutions without bias, two weights per channel and norm.
    [(32, (64, 128), 2, 491_970), (64, (64, 128), 2, 1_901_442), (32, (1, 10), 5, 465_157)],
)
def test_parameters_of_the_resnets(width: int, shape: tuple[int, int], outputs: int, expected: int) -> None:
    def block(a: int, b: int, same: bool) -> int:
        return 3 * a * b + 3 * b * b + 4 * b + (0 if same else a * b + 2 * b)

    count = 7 * shape[1] * width + 2 * width + 2 * block(width, width, True)
    for a, b, more in ((width, 2 * width, 2), (2 * width, 4 * width, 3)):
        count += block(a, b, False) + more * block(b, b, True)
    positions = 4 if shape[0] == 64 else 1
    count += 4 * width * positions * outputs + outputs
    net = ResNet1d(shape, outputs, width)
    assert sum(p.numel() for p in net.parameters()) == count == expected
    assert net(torch.zeros(3, *shape)).shape == (3, outputs)


@pytest.mark.parametrize("tokens", [1, 2, 7, 16, 17, 33, 100])
def test_the_resnet_takes_any_number_of_tokens(tokens: int) -> None:
    net = ResNet1d((tokens, 4), 3, 8)
    inner = net.stages(net.stem(torch.zeros(2, 4, tokens)))
    assert inner.shape == (2, 32, -(-tokens // 16))
    assert net(torch.zeros(2, tokens, 4)).shape == (2, 3)


def test_the_features_that_networks_see_are_standardised() -> None:
    g = np.random.default_rng(0)
    tokens = (g.normal(size=(50, 7, 3)) * [1e-3, 1, 1e3] + [5, 0, -1]).astype(np.float32)
    tokens[..., 1] = 4.2
    out = Standardise(tokens)(torch.from_numpy(tokens)).numpy()
    np.testing.assert_allclose(out.mean(axis=(0, 1)), [0, 0, 0], atol=1e-3)
    np.testing.assert_allclose(out.std(axis=(0, 1)), [1, 0, 1], atol=1e-3)


class Rows(Embedder):
    """Magnitudes; tokens are antennas."""

    info = ModelInfo("test/rows", revision="1")

    def embed(self, batch: Any) -> Any:
        return np.abs(batch.x["H"][:, 0, 0]).astype(np.float32)


class Flat(Rows):
    def pool(self, tokens: Any) -> Any:
        return tokens.reshape(len(tokens), -1)


def order_part(n: int, seed: int = 0) -> FakePart:
    """Which half of the array is stronger: the mean over tokens does not tell."""
    g = np.random.default_rng(seed)
    channel = complex_normal(g, n, 1, 1, 32, 4)
    label = g.integers(2, size=n)
    for row, side in enumerate(label):
        channel[row, ..., 16 * side : 16 * side + 16, :] *= 2
    return FakePart(make_batch(channel, make_meta((1, 1, 32, 4), classes=2)), {"label": label})


def accuracy(probe: Any, part: FakePart) -> float:
    return float((probe.predict(part.batch).argmax(axis=1) == part.truth["label"]).mean())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_head_learns_what_its_features_tell(name: str) -> None:
    train, val, test = order_part(200, 0), order_part(60, 1), order_part(100, 2)
    spec = make_spec("los-nlos", "classify")
    embedder = Flat() if HEADS[name].pools else Rows()
    probe = ready(Probe(embedder, quick(name)), spec, train, val)
    assert accuracy(probe, test) > 0.9
    scores = same_whatever_the_batch(probe.predict, test.batch)  # not one bit
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1)
    assert probe.count_trained_parameters() == probe.head.count_parameters() > 0
    if HEADS[name].pools:  # the mean over tokens tells nothing
        assert accuracy(ready(Probe(Rows(), quick(name)), spec, train, val), test) < 0.75


@pytest.mark.parametrize("name", NETWORKS)
def test_a_seed_decides(name: str) -> None:
    part = order_part(60)
    spec = make_spec("los-nlos", "classify")
    torch.rand(5)
    before = torch.get_rng_state()
    one, two, three = (
        ready(Probe(Flat(), quick(name)), spec, part, seed=seed).predict(part.batch) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)
    torch.testing.assert_close(torch.get_rng_state(), before)
    assert Probe(Flat(), build_head(name)).info.stochastic
    assert not Probe(Flat(), build_head("linear")).info.stochastic


@pytest.mark.parametrize("name", NETWORKS)
def test_regression_in_the_targets_own_units(name: str) -> None:
    g = np.random.default_rng(0)
    parts = []
    for n in (400, 80, 100):
        x = g.normal(size=(n, 12, 6))
        y = x.mean(axis=1)[:, [0, 0]]
        x = x.mean(axis=1) if HEADS[name].pools else x.astype(np.float32)
        parts.append((x, {"target": 1e3 + [50, 5] * y}))
    head = quick(name)
    head.steps = 120
    head.fit(parts[0], parts[1], None, 0)
    answer = head.predict(parts[2][0])
    assert answer.shape == (100, 2)
    target = parts[2][1]["target"]
    assert (np.mean((answer - target) ** 2, axis=0) < 0.75 * target.var(axis=0)).all()


@pytest.mark.parametrize("name", [*NETWORKS, "linear"])
def test_one_class_in_training_is_an_error(name: str) -> None:
    x = np.zeros((8, 4)) if HEADS[name].pools else np.zeros((8, 3, 4), dtype=np.float32)
    with pytest.raises(ModelError, match="two classes"):
        build_head(name).fit((x, {"label": np.ones(8, int)}), (x, {"label": np.ones(8, int)}), 2, 0)


def test_one_sample_of_each_class_is_enough() -> None:
    part = order_part(2, 3)
    part.truth["label"][:] = [0, 1]
    for name in ("linear", "knn", *NETWORKS):
        head = quick(name) if name in NETWORKS else build_head(name)
        probe = ready(Probe(Flat(), head), make_spec("los-nlos", "classify"), part)
        assert np.isfinite(probe.predict(order_part(5, 4).batch)).all()


@pytest.mark.parametrize(
    ("tokens", "message"), [(lambda t: t[:, 0], "token, d"), (lambda t: t * np.nan, "NaN"), (lambda t: t * 1j, "real")]
)
def test_features_that_are_none(tokens: Any, message: str) -> None:
    class Broken(Rows):
        def embed(self, batch: Any) -> Any:
            return tokens(super().embed(batch))

    for name in ("linear", "resnet1d-slim"):
        with pytest.raises(ModelError, match=message):
            ready(Probe(Broken(), build_head(name)), make_spec("los-nlos", "classify"), order_part(9))


def test_a_pool_of_another_shape_is_an_error() -> None:
    class Broken(Rows):
        def pool(self, tokens: Any) -> Any:
            return tokens

    with pytest.raises(ModelError, match=r"pool\(\) must return"):
        ready(Probe(Broken(), build_head("linear")), make_spec("los-nlos", "classify"), order_part(9))
