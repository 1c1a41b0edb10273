"""Feedback networks: published sizes, learning, the epoch by validation, equal bits, and halves that are separate."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers_lab import Lab
from tests.helpers_models import FakePart, make_batch, make_meta, make_spec, ready, same_whatever_the_batch
from wbench.channel.quantise import Uniform, train_vector
from wbench.errors import ModelError, UsageError
from wbench.model import load_model
from wbench.run.train import train
from wbench.task.batch import ArrayMeta
from wbench.task.spec import Limit
from wbench.two_sided import load, pair
from wbench_baselines.networks.feedback.codec import NetworkCodec, to_channels, to_images
from wbench_baselines.networks.feedback.crnet import CrNet, crnet
from wbench_baselines.networks.feedback.csinet import CsiNet, csinet
from wbench_baselines.networks.feedback.precoder import PrecoderTransformer, from_taps, to_taps
from wbench_baselines.networks.feedback.straight_through import StraightThrough
from wbench_baselines.networks.feedback.transnet import TransNet, transnet

META = make_meta((8, 8), ArrayMeta(1, 8), dims=("delay", "angle"))
IMAGE = (32, 32)
NETWORKS: list[Any] = [CsiNet, CrNet, TransNet]


def spec_of(reals: int = 8) -> Any:
    return make_spec("csi-feedback-ratio", "compress", limit=Limit(reals=reals))


def channels(n: int, seed: int) -> np.ndarray:
    """Channels of two complex numbers in fixed directions: four reals say all."""
    fixed = np.random.default_rng(9)
    basis = fixed.standard_normal((2, 64)) + 1j * fixed.standard_normal((2, 64))
    rng = np.random.default_rng(seed)
    h = (rng.standard_normal((n, 2)) + 1j * rng.standard_normal((n, 2))) @ basis
    h /= np.sqrt(np.mean(np.abs(h) ** 2, axis=1, keepdims=True))
    return h.astype(np.complex64).reshape(n, 8, 8)


def part(n: int, seed: int) -> FakePart:
    h = channels(n, seed)
    return FakePart(make_batch(h, META), {"H": h})


def small(kind: Any, **more: Any) -> NetworkCodec:
    options = {"hidden": 16} if kind is TransNet else {}
    given = {"epochs": 3, "batch": 20, "lr": 3e-3} | options | more
    return ready(kind(**given), spec_of(), part(120, 1), part(40, 2))  # type: ignore[no-any-return]


# --- published sizes ---


def multiplications(network: nn.Module) -> int:
    """Multiplications of dense and convolutional layers for one image, as profilers count them."""
    total = 0

    def count(layer: nn.Module, given: tuple[Tensor, ...], answer: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear):
            total += layer.in_features * answer.numel()
        elif isinstance(layer, nn.Conv2d):
            total += layer.weight[0].numel() * answer.numel()

    for layer in network.modules():
        layer.register_forward_hook(count)
    network(torch.zeros(1, 2, *IMAGE))
    return total


@pytest.mark.parametrize(
    ("reals", "published"), [(512, 2_103_224), (256, 1_054_392), (128, 529_976), (64, 267_768), (32, 136_664)]
)
def test_csinet_has_the_published_parameters(reals: int, published: int) -> None:
    """Keras counts the running mean and variance of batch norms as parameters that are not trained."""
    network = csinet(IMAGE, reals)
    running = sum(tensor.numel() for name, tensor in network.named_buffers() if name.endswith(("mean", "var")))
    assert running == 108
    assert sum(weight.numel() for weight in network.parameters()) + running == published


@pytest.mark.parametrize(("reals", "published"), [(512, 5.12), (256, 4.07), (128, 3.55), (64, 3.28), (32, 3.16)])
def test_crnet_has_the_published_multiplications(reals: int, published: float) -> None:
    found = multiplications(crnet(IMAGE, reals)) / 1e6
    assert found in (pytest.approx(published, abs=5e-3), pytest.approx(published + 0.005, abs=5e-3))  # one is cut off


@pytest.mark.parametrize(("reals", "published"), [(512, 35.72), (128, 34.14), (64, 33.88), (32, 33.75)])
def test_transnet_has_the_published_multiplications(reals: int, published: float) -> None:
    """Their profiler does not see the dense layers inside attention; neither do hooks: attention does not call them."""
    assert multiplications(transnet(IMAGE, reals).train()) / 1e6 == pytest.approx(published, abs=5e-3)


def test_transnet_differs_from_the_authors_code_by_its_second_layers() -> None:
    network = transnet(IMAGE, 512)
    shared = copy.deepcopy(network)
    shared.encoder.layers[1] = shared.encoder.layers[0]
    shared.decoder.layers[1] = shared.decoder.layers[0]
    assert [sum(p.numel() for p in n.parameters()) for n in (network, shared)] == [2_659_424, 2_380_128]


# --- learning ---


def test_images_and_back() -> None:
    h = channels(5, 3).reshape(5, 4, 16)
    images = to_images(h)
    assert images.shape == (5, 2, 16, 4)
    assert images[2, 1, 7, 3] == h[2, 3, 7].imag
    np.testing.assert_array_equal(to_channels(images), h)


@pytest.mark.parametrize("kind", NETWORKS)
def test_it_learns_and_keeps_the_best_epoch(kind: Any) -> None:
    held = part(100, 4)
    before = small(kind, epochs=1, lr=1e-9)
    after = small(kind, epochs=8, batch=10, lr=1e-2)
    errors = []
    for model in (before, after):
        answer = model.decoder()(model.encoder()(held.batch))
        h = held.truth["H"]
        errors.append(float(10 * np.log10(np.sum(np.abs(answer - h) ** 2) / np.sum(np.abs(h) ** 2))))
    assert errors[1] < errors[0] - 3
    (search,) = after.searches
    assert search.criterion == "nmse_ros_db"
    scores = [trial.score for trial in search.trials]
    assert search.chosen == {"epoch": 1 + int(np.argmin(scores))}
    # The weights are those of that epoch: validation once more gives its score.
    val = part(40, 2)
    answer = after.decoder()(after.encoder()(val.batch))
    again = 10 * np.log10(np.sum(np.abs(answer - val.truth["H"]) ** 2) / np.sum(np.abs(val.truth["H"]) ** 2))
    assert again == pytest.approx(min(scores), abs=1e-3)


@pytest.mark.parametrize("kind", NETWORKS)
def test_bits_hang_on_seed_and_sample_alone(kind: Any) -> None:
    batch = part(45, 5).batch
    model, twin = small(kind), small(kind)
    encode, decode = model.encoder(), pickle.loads(pickle.dumps(model.decoder()))
    answer = same_whatever_the_batch(lambda b: decode(encode(b)), batch)
    np.testing.assert_array_equal(twin.decoder()(twin.encoder()(batch)), answer)
    other = ready(type(model)(**model.params), spec_of(), part(120, 1), part(40, 2), seed=1)
    assert not np.array_equal(other.decoder()(other.encoder()(batch)), answer)
    payloads = encode(batch)
    assert {payload.bits for payload in payloads} == {256}
    assert decode([]).shape == (0, 8, 8)
    assert encode(make_batch(np.zeros((0, 8, 8)), META)) == []


def test_a_long_training_lists_few_epochs() -> None:
    model = small(CsiNet, epochs=40, batch=200)
    (search,) = model.searches
    epochs = [int(trial.values["epoch"]) for trial in search.trials]
    assert len(epochs) <= 32
    assert epochs[0] == 1
    assert epochs[-1] == 40
    assert model.log is not None
    assert search.chosen == {"epoch": model.log.best_epoch}


def test_other_settings_are_another_revision() -> None:
    shipped = CsiNet()
    assert shipped.info.revision == CsiNet.info.revision
    assert CsiNet("paper").training.epochs == 1000
    assert len({m.info.revision for m in (shipped, CsiNet("paper"), CsiNet(epochs=3), CsiNet(lr=1e-4))}) == 4
    assert len({m.info.revision for m in (TransNet(), TransNet(hidden=64), TransNet(hidden=64, epochs=2))}) == 3
    with pytest.raises(UsageError, match="paper"):
        CsiNet("letter")


def test_what_they_cannot_do() -> None:
    assert "limits bits" in (CsiNet().supports(make_spec("csi-feedback-ratio", "compress", limit=Limit(bits=9))) or "")
    model = CsiNet()
    model.setup(spec_of(), META)
    with pytest.raises(ModelError, match="not trained yet"):
        model.encoder()
    with pytest.raises(ModelError, match="nothing to learn from"):
        model.fit(part(0, 1), part(3, 1), 0)
    with pytest.raises(ModelError, match="two attention heads"):
        transnet((8, 7), 4)
    odd, deep = make_meta((7, 8), ArrayMeta(1, 8)), make_meta((2, 4, 8), ArrayMeta(1, 8))
    assert "2 attention heads" in (TransNet().accepts(odd) or "")
    assert CsiNet().accepts(odd) is None
    assert "compresses images" in (TransNet().accepts(deep) or "")


# --- as files ---


def test_trained_weights_are_a_model_folder_whose_halves_pair(lab: Lab, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "model.toml").write_text('api = 1\nmodel = "wbench/csinet"\n[params]\nepochs = 2\nlr = 0.01\n')
    out = tmp_path / "trained"
    fitted = train(str(source), lab.toml("ratio"), size="tiny", data=lab.data, out=out)
    assert fitted.saved
    task = lab.task("ratio")
    batch = next(iter(task.batches("test", task.ids("test"), 50)))
    expected = fitted.model.decoder()(fitted.model.encoder()(batch))  # type: ignore[attr-defined]
    alone, both = load_model(str(out)), load(pair(str(out), str(out)))
    for model in (alone, both):
        assert not model.info.trains
        assert model.supports(task.spec) is None
        model.setup(task.spec, task.meta)
        np.testing.assert_array_equal(model.decoder()(model.encoder()(batch)), expected)  # type: ignore[attr-defined]
        assert model.count_parameters() == fitted.model.count_parameters()
    # It is zero-shot where it is evaluated, and says what it was fitted to.
    assert (alone.info.overlap, alone.info.pretraining_samples) == ("dataset", len(task.ids("train")))
    assert alone.info.pretraining == (f"{task.spec.views['train'].recipe}-tiny (train)",)
    assert both.info.overlap == "dataset"
    assert alone.info.name == "wbench/csinet"
    assert both.info.name == "wbench/csinet+csinet"
    assert alone.info.revision != fitted.model.info.revision
    again = pickle.loads(pickle.dumps(both.decoder()))  # type: ignore[attr-defined]
    assert b"encoder" not in pickle.dumps(both.decoder())  # type: ignore[attr-defined]
    np.testing.assert_array_equal(again(both.encoder()(batch)), expected)  # type: ignore[attr-defined]


# --- precoders in bits ---


def precoders(n: int, seed: int) -> np.ndarray:
    """Two paths of few angles and delays on a 2 × 4 panel of two polarisations, four sub-bands; unit norm."""
    rng = np.random.default_rng(seed)
    gains = rng.standard_normal((n, 2, 2)) + 1j * rng.standard_normal((n, 2, 2))
    angle, delay = rng.integers(0, 2, (n, 2, 1)), rng.integers(0, 2, (n, 2, 1))
    ports = np.exp(2j * np.pi * np.arange(4) * angle / 4)[..., None] * np.ones(2)
    bands = np.exp(2j * np.pi * np.arange(4) * delay / 8)
    v = np.einsum("npq,npcr,npb->nbqcr", gains, ports, bands).reshape(n, 4, 16)
    v /= np.linalg.norm(v, axis=2, keepdims=True)
    return (v * np.exp(2j * np.pi * rng.random((n, 4, 1)))).astype(np.complex64)


def sgcs(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean(np.abs(np.sum(a.conj() * b, axis=2)) ** 2))  # both of norm 1


def test_precoders_in_exactly_the_bits_of_the_limit() -> None:
    tx = ArrayMeta(2, 4, polarisations=2)
    meta = make_meta((4, 16), tx, dims=("subband", "port"))
    spec = make_spec("csi-feedback-bits", "compress", {"subbands": 4}, Limit(bits=25))
    v = precoders(60, 1)
    assert sgcs(from_taps(to_taps(v, tx), tx), v) == pytest.approx(1, abs=1e-5)  # the transform loses phases only
    assert np.mean(to_taps(v, tx) ** 2) == pytest.approx(0.5, rel=1e-5)
    learn, held = (FakePart(make_batch(p, meta), {"H": p}) for p in (precoders(400, 2), v))
    model = ready(PrecoderTransformer(width=16, epochs=5, batch=10, lr=5e-3), spec, learn, held)
    encode, decode = model.encoder(), pickle.loads(pickle.dumps(model.decoder()))
    answer = same_whatever_the_batch(lambda b: decode(encode(b)), held.batch)
    assert {payload.bits for payload in encode(held.batch)} == {24}
    # Training sees the same codes as the payloads: its score on validation is that of the answers.
    (search,) = model.searches
    assert search.criterion == "sgcs"
    assert sgcs(answer, v) == pytest.approx(max(trial.score for trial in search.trials), abs=1e-4)
    assert sgcs(answer, v) > sgcs(np.roll(answer, 1, axis=0), v) + 0.1


# --- quantisers in training ---


@pytest.mark.parametrize("grouped", [1, 2])
def test_straight_through(grouped: int) -> None:
    rng = np.random.default_rng(6)
    numbers = rng.uniform(-1, 1, (50, 4))
    quantiser = Uniform(3) if grouped == 1 else train_vector(numbers.reshape(-1, 2), 8, rng)[0]
    layer = StraightThrough(quantiser, grouped)
    x = torch.tensor(numbers, dtype=torch.float32, requires_grad=True)
    y = layer(x)
    values = numbers.astype(np.float32) if grouped == 1 else numbers.astype(np.float32).reshape(50, 2, 2)
    np.testing.assert_allclose(y.detach().numpy(), quantiser.decode(quantiser.encode(values)).reshape(50, 4), atol=1e-6)
    (y * torch.arange(4.0)).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.tile(np.arange(4.0), (50, 1)))  # type: ignore[union-attr]
    with torch.no_grad():
        np.testing.assert_allclose(layer(y).numpy(), y.detach().numpy(), atol=1e-6)  # what is a level stays
