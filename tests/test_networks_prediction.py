"""Prediction networks: a known signal, closed forms of what they see, sizes, determinism, independence of the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
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
from wbench.errors import ModelError, UsageError
from wbench.model import load_model
from wbench.run.trained import save_trained
from wbench.task.batch import ArrayMeta
from wbench.training import TrainingSettings
from wbench.training.kept import checkpoints_in
from wbench_baselines.networks.grid import from_grid, grid_of, neighbours, to_grid
from wbench_baselines.networks.prediction import LstmPredictor, TransformerPredictor
from wbench_baselines.networks.predictor import GridPredictor
from wbench_baselines.networks.resnet3d import ResNet3dNetwork, ResNet3dPredictor
from wbench_baselines.networks.series import _Bins, look, pooled_correlation
from wbench_baselines.prediction.trivial import Hold

SPEC = make_spec("channel-prediction", "reconstruct")
OVER_FREQUENCY = make_spec("channel-prediction", "reconstruct", {"axis": "frequency"})
MODELS: list[type[GridPredictor]] = [LstmPredictor, TransformerPredictor, ResNet3dPredictor]
#: Narrow, and few draws: what is tested does not need more.
SMALL: dict[type[GridPredictor], dict[str, int]] = {
    LstmPredictor: {"drawn": 6, "width": 32, "layers": 1},
    TransformerPredictor: {"drawn": 6, "width": 32, "layers": 1},
    ResNet3dPredictor: {"width": 8, "blocks": 2},
}
TX = ArrayMeta(2, 2)
T, K, SEEN = 12, 8, 6


def paths(seed: int, n: int, frequency: bool = False) -> FakePart:
    """Channels of two paths with a Doppler (or delay) each, 20 dB SNR; half of the snapshots (subcarriers) are seen."""
    rng = np.random.default_rng(seed)
    steps, others = (K, T) if frequency else (T, K)
    turn = np.exp(1j * rng.uniform(-1.2, 1.2, (n, 2, 1)) * np.arange(steps))
    other = np.exp(-2j * np.pi * rng.uniform(0, 0.5, (n, 2, 1)) * np.arange(others))
    place = np.exp(1j * np.pi * rng.uniform(-1, 1, (n, 2, 1)) * np.arange(4))
    gains = complex_normal(rng, n, 2) * np.array([1.0, 0.5])
    order = "np,npk,npa,npt->ntak" if frequency else "np,npt,npa,npk->ntak"
    clean = np.einsum(order, gains, turn, place, other)[:, :, None]
    clean /= np.sqrt((np.abs(clean) ** 2).mean(axis=(1, 2, 3, 4), keepdims=True))
    observed = np.zeros(clean.shape[1:], dtype=bool)
    if frequency:
        observed[..., : K // 2] = True
    else:
        observed[:SEEN] = True
    noisy = np.where(observed, clean + 0.1 * complex_normal(rng, *clean.shape), 0)
    meta = make_meta(clean.shape[1:], tx=TX)
    return FakePart(make_batch(noisy, meta, 0.01, observed), {"H": clean.astype(np.complex64)})


def nmse(model: Any, data: FakePart) -> float:
    unseen = ~data.batch.x["observed"]
    truth = data.truth["H"][:, unseen]
    return float((np.abs(model.predict(data.batch)[:, unseen] - truth) ** 2).sum() / (np.abs(truth) ** 2).sum())


def quick(model: type[GridPredictor], epochs: int = 1, **given: Any) -> GridPredictor:
    """A short training."""
    built = model(epochs=epochs)
    built.settings = TrainingSettings(1, 16, lr=5e-3)  # type: ignore[misc]
    for name, value in SMALL[model].items():
        setattr(built, name, value)
    for name, value in given.items():
        setattr(built, name, value)
    return built


@pytest.mark.parametrize("model", MODELS)
def test_learns_to_extrapolate(model: type[GridPredictor]) -> None:
    """Two Dopplers per channel: better than holding, than the last value's share, and than nothing (NMSE 1)."""
    test = paths(9, 30)
    fitted = ready(quick(model, 10), SPEC, paths(0, 320), paths(1, 20))
    hold = nmse(ready(Hold(), SPEC, test), test)
    assert hold > 0.8
    assert nmse(fitted, test) < 0.5 * hold
    answer = same_whatever_the_batch(fitted.predict, test.batch)
    np.testing.assert_array_equal(answer[:, :SEEN], test.batch.x["H"][:, :SEEN])


@pytest.mark.parametrize("model", MODELS)
def test_untrained_it_holds(model: type[GridPredictor]) -> None:
    """The last layer starts at zero, so the transforms, turns and scales have to cancel exactly."""
    data = paths(3, 5)
    built = quick(model)
    built.setup(SPEC, data.meta)
    built.build(0, seen=SEEN, ahead=T - SEEN)
    np.testing.assert_allclose(built.predict(data.batch), ready(Hold(), SPEC, data).predict(data.batch), atol=2e-6)


@pytest.mark.parametrize("model", MODELS)
def test_blind_to_the_common_phase_and_the_seed_decides(model: type[GridPredictor]) -> None:
    data, turn = paths(4, 24), np.exp(0.7j)
    fitted = ready(quick(model), SPEC, data)
    turned = make_batch(data.batch.x["H"] * turn, data.meta, 0.01, data.batch.x["observed"])
    expected = fitted.predict(data.batch)
    np.testing.assert_allclose(fitted.predict(turned), expected * turn, atol=1e-5)
    np.testing.assert_array_equal(ready(quick(model), SPEC, data).predict(data.batch), expected)
    assert not np.array_equal(ready(quick(model), SPEC, data, seed=1).predict(data.batch), expected)


@pytest.mark.parametrize("model", [LstmPredictor, TransformerPredictor])
def test_over_frequency(model: type[GridPredictor]) -> None:
    data = paths(5, 200, frequency=True)
    fitted = ready(quick(model, 5), OVER_FREQUENCY, data, paths(6, 20, frequency=True))
    test = paths(7, 20, frequency=True)
    assert nmse(fitted, test) < 0.8 * nmse(ready(Hold(), OVER_FREQUENCY, test), test)
    assert ResNet3dPredictor().supports(OVER_FREQUENCY) == "predicts over time; the task is over frequency"


def test_the_grid_is_the_angular_delay_domain() -> None:
    """Magnitudes against the library's own transform; there and back again; a path is in one bin, 0 not at the edge."""
    data = paths(8, 6)
    grid = grid_of(data.batch, "m")
    bins = to_grid(data.truth["H"], grid.at.seen, grid)
    library = np.abs(angular_delay(data.truth["H"], Array(2, 2)))[:, :SEEN].reshape(6, SEEN, -1)
    np.testing.assert_allclose(np.sort(bins.abs().numpy()), np.sort(library), atol=1e-5)
    back = from_grid(bins, grid, data.meta)
    np.testing.assert_allclose(back, data.truth["H"][:, :SEEN].reshape(6, SEEN, -1), atol=1e-6)
    path = np.exp(-2j * np.pi * 3 / K * np.arange(K)).astype(np.complex64)
    one = to_grid(np.broadcast_to(path, (1, T, 1, 4, K)), grid.at.seen, grid)[0, 0].abs().reshape(grid.shape)
    assert [int(i) for i in np.unravel_index(int(one.argmax()), grid.shape)] == [0, 1, 1, 3 + K // 4]
    index, there = neighbours(grid)
    assert index.shape == (7, 32)
    assert index[1, 0] == K - 1  # the bin before the first delay is the last
    assert there.tolist() == [1.0] * 7


def test_pooled_correlation_is_that_of_one_doppler() -> None:
    past = torch.exp(1j * torch.arange(6)[:, None] * torch.tensor(0.4)) * torch.ones(3, 6, 5)
    found = torch.view_as_complex(pooled_correlation(past.to(torch.complex64)).reshape(3, -1, 2))
    torch.testing.assert_close(found[0], torch.exp(0.4j * torch.arange(1, 6)).to(torch.complex64))


def test_what_a_network_sees_is_turned_and_scaled() -> None:
    data = paths(2, 3)
    grid = grid_of(data.batch, "m")
    past = to_grid(data.batch.x["H"], grid.at.seen, grid)
    chosen = torch.tensor([[0, 5]] * 3)
    series, context, last, back = look(past, pooled_correlation(past), torch.full((3,), 0.01), chosen, neighbours(grid))
    assert series.shape == (6, SEEN, 14)
    assert context.shape == (6, 12)
    own = torch.view_as_complex(series[..., :2].contiguous())
    torch.testing.assert_close(own[:, -1], last.to(torch.complex64))
    torch.testing.assert_close(own.abs().square().mean(dim=1), torch.ones(6))
    torch.testing.assert_close((own * back[:, None]).reshape(3, 2, SEEN), past[..., [0, 5]].transpose(1, 2))


def test_one_network_for_several_grids() -> None:
    """Trained on two arrays at once; another number of steps is refused."""
    data, other = paths(0, 40), paths(1, 30)
    x = {"H": other.batch.x["H"][..., :4], "observed": other.batch.x["observed"][..., :4]}
    narrow = FakePart(
        make_batch(x["H"], make_meta((T, 1, 4, 4), tx=TX), 0.01, x["observed"]), {"H": other.truth["H"][..., :4]}
    )
    model = quick(LstmPredictor)
    model.setup(SPEC, data.meta)
    model.fit_many([(data, data), (narrow, narrow)], 0)
    assert np.isfinite(model.predict(narrow.batch)).all()
    observed = data.batch.x["observed"].copy()
    observed[SEEN] = True
    longer = FakePart(make_batch(data.truth["H"] * observed, data.meta, 0.01, observed), data.truth)
    with pytest.raises(ModelError, match="number of seen and open steps"):
        model.fit_many([(data, data), (longer, longer)], 0)


def test_weights_are_for_one_number_of_steps(tmp_path: Path) -> None:
    """What ``wbench train --out`` writes answers as the model did, is zero-shot, and refuses other horizons."""
    data = paths(0, 20)
    fitted = LstmPredictor(epochs=1)
    spec = make_spec("channel-prediction", "reconstruct", {"past": SEEN, "future": T - SEEN})
    ready(fitted, spec, data)
    assert save_trained(tmp_path, "wbench/lstm-prediction", fitted)
    loaded = load_model(str(tmp_path))
    assert not loaded.info.trains
    assert loaded.info.revision != fitted.info.revision
    np.testing.assert_array_equal(ready(loaded, spec, data).predict(data.batch), fitted.predict(data.batch))
    longer = make_spec("channel-prediction", "reconstruct", {"past": 12, "future": 12})
    assert loaded.supports(longer) == "its weights are for 6 → 6 steps, not 12 → 12"
    with pytest.raises(UsageError, match="shape"):
        LstmPredictor(weights=tmp_path / "model.safetensors")


def test_a_stopped_training_is_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the same bits, from a checkpoint that ``fit`` knows nothing of; that of another training is refused."""
    data, loss, calls, last = paths(0, 64), _Bins.loss, [], [99]

    def counted(*given: Any, held: bool) -> torch.Tensor:
        calls.append(held)
        if len(calls) == last[0]:
            raise KeyboardInterrupt
        return loss(*given, held=held)

    monkeypatch.setattr(_Bins, "loss", counted)
    expected = ready(quick(LstmPredictor, 2), SPEC, data).predict(data.batch)
    whole, last[0] = len(calls), 8
    calls.clear()
    with pytest.raises(KeyboardInterrupt), checkpoints_in(tmp_path / "kept", {"cell": "a"}, every_s=0):
        ready(quick(LstmPredictor, 2), SPEC, data)
    with pytest.raises(ModelError, match="another training"), checkpoints_in(tmp_path / "kept", {"cell": "b"}):
        ready(quick(LstmPredictor, 2), SPEC, data)
    calls.clear()
    last[0] = 99
    with checkpoints_in(tmp_path / "kept", {"cell": "a"}):
        again = ready(quick(LstmPredictor, 2), SPEC, data).predict(data.batch)
    np.testing.assert_array_equal(again, expected)
    assert len(calls) == whole - 7
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("model", MODELS)
def test_nan_is_an_error(model: type[GridPredictor]) -> None:
    data = paths(0, 8)
    data.truth["H"][0, -1] = np.nan
    with pytest.raises(ModelError, match="diverged"):
        ready(quick(model), SPEC, data)


def test_sizes() -> None:
    """Weights of the documented variants, and at most 2 GFLOP of the 3D ResNet on the largest of WiFo's sets."""
    count = {model.__name__: sum(w.numel() for w in model().network(12, 12).parameters()) for model in MODELS}
    assert count == {"LstmPredictor": 94_424, "TransformerPredictor": 98_232, "ResNet3dPredictor": 71_020}
    network = ResNet3dNetwork(12, 12, ResNet3dPredictor.width, ResNet3dPredictor.blocks)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 3, 12, 16, 64), torch.zeros(1, 22))
    assert 1e9 < counter.get_total_flops() < 2e9


def test_devices_and_other_tasks() -> None:
    with pytest.raises(UsageError, match="no device"):
        LstmPredictor(device="abacus")
    assert LstmPredictor(device="auto").device.type in ("cpu", "cuda")
    assert LstmPredictor().supports(make_spec("los-nlos", "classify")) is not None
