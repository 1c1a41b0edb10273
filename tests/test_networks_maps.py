"""ResNet1D, CNN and MLP: known signals, what they see, sizes, determinism, independence of the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from tests.helpers_models import (
    FakePart,
    complex_normal,
    make_batch,
    make_meta,
    make_spec,
    ready,
    same_whatever_the_batch,
)
from wbench.channel.angular_delay import angular_delay
from wbench.channel.array import Array
from wbench.errors import ModelError
from wbench.model import load_model
from wbench.run.trained import save_trained
from wbench.task.batch import ArrayMeta, Batch
from wbench.training import TrainingSettings
from wbench_baselines.networks.classify import CnnModel, MapModel, MlpModel, ResNet1dModel
from wbench_baselines.networks.maps import channel_maps, link_maps, scalars
from wbench_baselines.trivial import Majority

MODELS: list[type[MapModel]] = [MlpModel, CnnModel, ResNet1dModel]
N, K = 8, 16
LOS = make_spec("los-nlos", "classify", primary="f1_macro")
BEAMS = make_spec("beam-subarray", "classify", primary="within_1db")
META = make_meta((1, 1, N, K), classes=8)


def beams(seed: int, n: int, classes: int = 8) -> FakePart:
    """One path of random direction and delay, random phase, 10 dB SNR; the label is the direction's beam."""
    rng = np.random.default_rng(seed)
    direction = rng.uniform(0, 1, n)
    delay = rng.uniform(0, 0.4, n)
    phase = np.exp(2j * np.pi * rng.uniform(size=n))
    space = np.exp(2j * np.pi * direction[:, None] * np.arange(N))
    tones = np.exp(-2j * np.pi * delay[:, None] * np.arange(K))
    h = (phase[:, None, None] * space[:, :, None] * tones[:, None, :])[:, None, None]
    rsrp = np.stack([np.abs(space @ np.exp(-2j * np.pi * np.arange(N) * c / classes)) ** 2 for c in range(classes)], 1)
    truth = {"label": rsrp.argmax(axis=1), "rsrp": 10 * np.log10(rsrp + 1e-6)}
    return FakePart(make_batch(h + np.sqrt(0.1) * complex_normal(rng, *h.shape), META, 0.1), truth)


def quick(model: type[MapModel], steps: int = 130) -> MapModel:
    built = model()
    built.settings, built.steps = TrainingSettings(1, 16, lr=3e-3), steps  # type: ignore[misc]
    built.width = {MlpModel: 64, CnnModel: 8, ResNet1dModel: 16}[model]  # type: ignore[attr-defined]
    return built


def accuracy(model: Any, data: FakePart) -> float:
    return float((model.predict(data.batch).argmax(axis=1) == data.truth["label"]).mean())


@pytest.mark.parametrize("model", MODELS)
def test_finds_the_beam(model: type[MapModel]) -> None:
    train, test = beams(0, 400), beams(2, 100)
    fitted = ready(quick(model), BEAMS, train, beams(1, 30))
    assert accuracy(fitted, test) > 2 * accuracy(ready(Majority(), BEAMS, train), test)
    assert accuracy(fitted, test) > 0.6
    answer = same_whatever_the_batch(fitted.predict, test.batch)
    np.testing.assert_allclose(np.exp(answer).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_the_seed_decides_and_the_common_phase_does_not(model: type[MapModel]) -> None:
    data = beams(3, 70)
    first = ready(quick(model, 6), BEAMS, data).predict(data.batch)
    np.testing.assert_array_equal(ready(quick(model, 6), BEAMS, data).predict(data.batch), first)
    assert not np.array_equal(ready(quick(model, 6), BEAMS, data, seed=1).predict(data.batch), first)
    turned = make_batch(data.batch.x["H"] * np.exp(1j), META, 0.1)
    np.testing.assert_allclose(ready(quick(model, 6), BEAMS, data).predict(turned), first, atol=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_finds_the_place(model: type[MapModel]) -> None:
    """Two stations with four antennas: direction and power tell the place."""
    train, test = places(0, 300), places(1, 80)
    spec = make_spec("positioning", "regress", primary="cdf90_m")
    fitted = ready(quick(model), spec, train, places(2, 20))
    error = np.linalg.norm(fitted.predict(test.batch) - test.truth["target"], axis=1).mean()
    trivial = np.linalg.norm(train.truth["target"].mean(axis=0) - test.truth["target"], axis=1).mean()
    assert error < 0.6 * trivial
    same_whatever_the_batch(fitted.predict, test.batch)


def places(seed: int, n: int) -> FakePart:
    rng = np.random.default_rng(seed)
    place = rng.uniform(-50, 50, (n, 2))
    stations = np.array([[-80.0, 0.0], [0.0, -80.0]])
    offset = place[:, None] - stations
    distance = np.linalg.norm(offset, axis=2)
    cosine = offset[:, [0, 1], [1, 0]] / distance
    space = np.exp(1j * np.pi * cosine[..., None] * np.arange(4))
    h = (space[..., None] * np.exp(-2j * np.pi * distance[..., None] / 300 * np.arange(K))[:, :, None])[
        :, :, None, None
    ]
    meta = make_meta((2, 1, 1, 4, K), tx=ArrayMeta(1, 4), dims=("bs", "time", "rx", "tx", "subcarrier"))
    batch = make_batch(h + 0.1 * complex_normal(rng, *h.shape), meta, 0.01)
    x = {**batch.x, "rsrp_db": (-20 * np.log10(distance)).astype(np.float32)}
    return FakePart(Batch(batch.ids, x, batch.noise_power, meta), {"target": place})


def test_maps_are_the_angular_delay_domain() -> None:
    data = beams(4, 5)
    found = channel_maps(data.batch)
    assert found.shape == (5, 3, N, K)
    expected = np.abs(angular_delay(data.batch.x["H"], Array(1, N))[:, 0, 0].swapaxes(1, 2))
    expected /= np.sqrt((expected**2).mean(axis=(1, 2), keepdims=True))
    np.testing.assert_allclose(found[:, 0], np.roll(expected, (N // 2, K // 4), (1, 2)), rtol=1e-4)
    np.testing.assert_allclose(np.hypot(found[:, 1], found[:, 2]), found[:, 0], rtol=1e-4)
    strongest = found[:, 0].reshape(5, -1).argmax(axis=1)
    assert (found[:, 1].reshape(5, -1)[range(5), strongest] > 0).all()
    np.testing.assert_allclose(found[:, 2].reshape(5, -1)[range(5), strongest], 0, atol=1e-3)
    links = places(0, 4).batch
    assert link_maps(links).shape == (4, 2, 4, K // 2)
    assert link_maps(links).max() == pytest.approx(3)  # 60 dB in steps of 20
    assert scalars(links, "positioning").shape == (4, 2)
    np.testing.assert_allclose(scalars(data.batch, "los-nlos"), -1)  # noise power 0.1


def test_sizes() -> None:
    """Weights on LoS detection's 32 × 32 channel; the ResNet has the half million of LWM's convolutional head."""
    count, flops = {}, {}
    meta = make_meta((1, 1, 32, 32), tx=ArrayMeta(4, 8), classes=2)
    rng = np.random.default_rng(0)
    data = FakePart(make_batch(complex_normal(rng, 4, 1, 1, 32, 32), meta, 1.0), {"label": np.array([0, 1, 0, 1])})
    for model in MODELS:
        built = model(epochs=1)
        ready(built, LOS, data)
        count[model.__name__] = built.count_parameters()
        with FlopCounterMode(display=False) as counter:
            built.predict(data.batch)
        flops[model.__name__] = counter.get_total_flops() / built.samples_per_pass
    assert count == {"MlpModel": 328_962, "CnnModel": 548_498, "ResNet1dModel": 484_514}
    assert max(flops.values()) < 10e6


@pytest.mark.parametrize("task", ["beams", "places"])
def test_weights_answer_as_the_model_did(task: str, tmp_path: Path) -> None:
    """What ``wbench train --out`` writes has the statistics of inputs and targets in it."""
    data = beams(0, 40) if task == "beams" else places(0, 40)
    spec = BEAMS if task == "beams" else make_spec("positioning", "regress", primary="cdf90_m")
    fitted = ready(CnnModel(epochs=2), spec, data)
    assert save_trained(tmp_path, "wbench/cnn", fitted)
    loaded = ready(load_model(str(tmp_path)), spec, data)
    np.testing.assert_array_equal(loaded.predict(data.batch), fitted.predict(data.batch))
    assert not loaded.info.trains


@pytest.mark.parametrize("model", MODELS)
def test_bad_input(model: type[MapModel]) -> None:
    data = beams(0, 12)
    assert "channel-prediction" in str(model().supports(make_spec("channel-prediction", "reconstruct")))
    assert model().supports(make_spec("beam-rsrp", "classify")) is not None
    with pytest.raises(ModelError, match="two classes"):
        ready(quick(model, 1), LOS, FakePart(data.batch, {"label": np.zeros(12, dtype=int)}))
    lost = places(0, 12)
    lost.truth["target"][3] = np.nan
    with pytest.raises(ModelError, match="diverged"):
        ready(quick(model, 1), make_spec("positioning", "regress"), lost)
    with pytest.raises(ModelError, match="No angular-delay domain"):
        model().setup(LOS, make_meta((4, 8), dims=("subcarrier", "tx")))
