"""Zeros, hold and Wiener against closed forms: Clarke's correlation and the LMMSE error."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import toeplitz
from scipy.special import j0

from tests.helpers_models import FakePart, complex_normal, make_batch, make_spec, ready, same_whatever_the_batch
from wbench.errors import ModelError
from wbench_baselines.prediction.bank import WienerBank, motion
from wbench_baselines.prediction.trivial import Hold, Zeros
from wbench_baselines.prediction.wiener import WienerPooled

SPEC = make_spec("channel-prediction", "reconstruct")
T, SEEN = 16, 8
MODELS = [Zeros, Hold, WienerPooled, WienerBank]


def clarke(f_dt: float) -> np.ndarray:
    """Temporal covariance of isotropic scattering; ``f_dt`` is maximum Doppler times snapshot interval."""
    return toeplitz(j0(2 * np.pi * f_dt * np.arange(T)))


def gaussian(rng, covariance, n, elements=48) -> np.ndarray:
    """Channels [n, T, 1, elements/4, 4] whose elements have this temporal covariance."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return (root @ complex_normal(rng, n, T, elements)).reshape(n, T, 1, elements // 4, 4)


def part(rng, clean, noise, seen=SEEN) -> FakePart:
    """The prediction task on clean channels: noisy first half, noise power one for all or one each."""
    observed = np.zeros(clean.shape[1:], dtype=bool)
    observed[:seen] = True
    power = np.broadcast_to(noise, len(clean)).reshape(-1, 1, 1, 1, 1)
    noisy = np.where(observed, clean + np.sqrt(power) * complex_normal(rng, *clean.shape), 0)
    return FakePart(make_batch(noisy, noise_power=noise, observed=observed), {"H": clean.astype(np.complex64)})


def errors(model, data: FakePart) -> np.ndarray:
    """Mean-square error of each open snapshot relative to the mean power, [open]."""
    clean = data.truth["H"][:, SEEN:]
    error = np.abs(model.predict(data.batch)[:, SEEN:] - clean) ** 2
    return error.mean(axis=(0, 2, 3, 4)) / np.mean(np.abs(clean) ** 2)


def lmmse(covariance, noise) -> np.ndarray:
    """Error of the best linear estimate of each open snapshot, in a textbook form."""
    best = []
    for step in range(SEEN, T):
        r = covariance[:SEEN, step]
        best.append(1 - (r.conj() @ np.linalg.inv(covariance[:SEEN, :SEEN] + noise * np.eye(SEEN)) @ r).real)
    return np.array(best)


def nmse_db(model, data) -> float:
    return float(10 * np.log10(errors(model, data).mean()))


def mixture(rng, n) -> tuple[FakePart, list[float]]:
    """Users of three speeds, each with a mean Doppler shift of its own (a scattering cone, not a full circle)."""
    clean, ideal = [], []
    for f_dt in (0.005, 0.02, 0.08):
        clean.append(gaussian(rng, clarke(f_dt / 2), n))
        clean[-1] *= np.exp(2j * np.pi * rng.uniform(-f_dt, f_dt, (n, 1)) * np.arange(T))[:, :, None, None, None]
        ideal.append(lmmse(clarke(f_dt / 2), 0.01).mean())
    shuffled = np.concatenate(clean)[rng.permutation(3 * n)]
    return part(rng, shuffled, 0.01), ideal


@pytest.mark.parametrize("model", MODELS)
def test_batch_order_and_size_change_nothing(model) -> None:
    rng = np.random.default_rng(0)
    data = part(rng, gaussian(rng, clarke(0.03), 60), rng.choice([0.01, 0.1], 60))
    answer = same_whatever_the_batch(ready(model(), SPEC, data).predict, data.batch)
    assert answer.shape == data.batch.x["H"].shape
    assert answer.dtype == np.complex64


def test_zeros_is_zero_decibels_exactly() -> None:
    rng = np.random.default_rng(1)
    data = part(rng, gaussian(rng, clarke(0.03), 5), 0.01)
    assert errors(ready(Zeros(), SPEC, data), data).mean() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("f_dt", [0.005, 0.02, 0.05])
def test_hold_follows_clarke(f_dt) -> None:
    rng = np.random.default_rng(2)
    data = part(rng, gaussian(rng, clarke(f_dt), 800), 0.01)
    ideal = 2 * (1 - j0(2 * np.pi * f_dt * np.arange(1, T - SEEN + 1))) + 0.01
    np.testing.assert_allclose(errors(ready(Hold(), SPEC, data), data), ideal, rtol=0.05)


def test_hold_between_and_before() -> None:
    clean = np.arange(6.0).reshape(1, 6, 1, 1, 1)
    observed = np.array([0, 1, 0, 0, 1, 0], dtype=bool).reshape(6, 1, 1, 1)
    batch = make_batch(clean * observed, observed=observed)
    data = FakePart(batch, {"H": clean})
    np.testing.assert_array_equal(ready(Hold(), SPEC, data).predict(batch).ravel().real, [1, 1, 1, 1, 4, 4])


@pytest.mark.parametrize("model", [WienerPooled, WienerBank])
@pytest.mark.parametrize(("f_dt", "noise"), [(0.02, 0.01), (0.08, 0.01), (0.05, 0.3)])
def test_wiener_reaches_the_lmmse_error(model, f_dt, noise) -> None:
    rng = np.random.default_rng(3)
    train, test = (part(rng, gaussian(rng, clarke(f_dt), n, 200), noise) for n in (300, 300))
    achieved, ideal = errors(ready(model(), SPEC, train), test), lmmse(clarke(f_dt), noise)
    # The bank has to estimate a mean Doppler that is zero here, from 200 elements.
    np.testing.assert_allclose(achieved, ideal, rtol=0.05 if model is WienerPooled else 0.2)
    assert (achieved > 0.9 * ideal).all()


@pytest.mark.parametrize("model", [WienerPooled, WienerBank])
def test_wiener_takes_each_sample_s_own_noise_power(model) -> None:
    rng = np.random.default_rng(4)
    clean = gaussian(rng, clarke(0.04), 600, 100)
    fitted = ready(model(), SPEC, part(rng, clean, rng.choice([0.01, 1.0], 600)))
    for noise in (0.01, 1.0):
        test = part(rng, gaussian(rng, clarke(0.04), 300, 100), noise)
        np.testing.assert_allclose(errors(fitted, test).mean(), lmmse(clarke(0.04), noise).mean(), rtol=0.12)


def test_clean_channels_do_not_blow_up() -> None:
    rng = np.random.default_rng(5)
    data = part(rng, gaussian(rng, clarke(0.02), 100), 0.0)
    data = FakePart(make_batch(data.batch.x["H"], observed=data.batch.x["observed"]), data.truth)
    assert data.batch.noise_power is None
    for model in (WienerPooled, WienerBank):
        assert errors(ready(model(), SPEC, data), data)[0] < 1e-5


def test_motion_finds_shift_and_correlation() -> None:
    rng = np.random.default_rng(6)
    shift = rng.uniform(-2, 2, 40)
    clean = gaussian(rng, clarke(0.03), 40, 4000) * np.exp(1j * shift[:, None] * np.arange(T))[:, :, None, None, None]
    y = clean[:, :SEEN].reshape(40, SEEN, -1) + np.sqrt(0.1) * complex_normal(rng, 40, SEEN, 4000)
    found = motion(y, np.full(40, 0.1))
    np.testing.assert_allclose(found.shift, shift, atol=0.02)
    np.testing.assert_allclose(found.correlation, j0(2 * np.pi * 0.03 * np.arange(1, 5)).mean(), atol=0.03)
    single = motion(y[:, :1], np.full(40, 0.1))
    assert not single.shift.any()
    assert (single.correlation == 1).all()


def test_bank_beats_one_pooled_filter_and_nears_the_genie() -> None:
    rng = np.random.default_rng(7)
    (train, _), (val, _), (test, ideal) = mixture(rng, 200), mixture(rng, 60), mixture(rng, 200)
    bank, pooled = ready(WienerBank(), SPEC, train, val), ready(WienerPooled(), SPEC, train, val)
    models = {"bank": bank, "pooled": pooled, "hold": ready(Hold(), SPEC, test)}
    scores = {name: nmse_db(model, test) for name, model in models.items()}
    genie = float(10 * np.log10(np.mean(ideal)))
    assert len(bank.edges) + 1 == len(bank.covariances) > 1
    assert scores["bank"] < scores["pooled"] - 3, scores
    assert scores["pooled"] < scores["hold"], scores
    assert genie - 0.1 < scores["bank"] < genie + 2.5, (scores, genie)


def test_small_training_parts_get_one_filter() -> None:
    rng = np.random.default_rng(8)
    data = part(rng, gaussian(rng, clarke(0.03), 7), 0.01)
    bank = ready(WienerBank(), SPEC, data)
    assert len(bank.covariances) == 1
    assert nmse_db(bank, data) < -10


def test_any_number_of_seen_snapshots() -> None:
    rng = np.random.default_rng(9)
    for seen in (1, 2, 15):
        data = part(rng, gaussian(rng, clarke(0.03), 40), 0.01, seen)
        for model in MODELS:
            assert np.isfinite(ready(model(), SPEC, data).predict(data.batch)).all()


def test_bad_input_is_named() -> None:
    rng = np.random.default_rng(10)
    data = part(rng, gaussian(rng, clarke(0.03), 4), 0.01)
    assert "classify" in Hold().supports(make_spec("los-nlos", "classify"))
    assert "classify" in Zeros().supports(make_spec("los-nlos", "classify"))
    assert "channel-estimation" in WienerBank().supports(make_spec("channel-estimation", "reconstruct"))
    data.batch.x["observed"] = data.batch.x["observed"].copy()
    data.batch.x["observed"][3, 0, 0, 0] = False
    with pytest.raises(ModelError, match="whole or not at all"):
        ready(Hold(), SPEC, data).predict(data.batch)
    data.batch.x["observed"][3] = False
    with pytest.raises(ModelError, match="evenly spaced"):
        ready(WienerBank(), SPEC, data)
    for model in (WienerPooled, WienerBank):
        with pytest.raises(ModelError, match="empty"):
            ready(model(), SPEC, part(rng, np.zeros((0, T, 1, 2, 2)), 0.01))
