"""Linear, autoregressive, Kalman and PAD predictors against independent implementations and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are, solve_toeplitz, toeplitz
from scipy.special import j0

from tests.helpers_models import FakePart, complex_normal, make_batch, make_meta, make_spec, ready
from tests.helpers_models import same_whatever_the_batch as same
from wbench.errors import ModelError
from wbench.task.batch import ArrayMeta
from wbench_baselines.prediction.ar import ArElement, ArPooled
from wbench_baselines.prediction.autoregression import (
    ArSetting,
    coefficients,
    contracted,
    extrapolate,
    pooled_coefficients,
)
from wbench_baselines.prediction.common import Steps
from wbench_baselines.prediction.genie import genie_wiener
from wbench_baselines.prediction.kalman import LOADING, KalmanBank, kalman_filters, yule_walker
from wbench_baselines.prediction.pad import Pad, PadPublished, angle_delay, prony_refitted
from wbench_baselines.prediction.spectrum import DopplerExtrapolation
from wbench_baselines.prediction.trivial import Linear
from wbench_baselines.prediction.wiener import filters

T, SEEN, TX, TONES = 16, 8, 4, 6
SPEC = make_spec("channel-prediction", "reconstruct", {"past": SEEN})
TRAINED = [ArElement, ArPooled, Pad, KalmanBank]
MODELS = [*TRAINED, Linear, PadPublished, DopplerExtrapolation]


def lines(rng, n, paths=2, spread=0.5) -> np.ndarray:
    """Channels [n, T, 1, TX, TONES] of a few undamped lines over time, each with its own spatial-spectral vector."""
    turn = np.exp(1j * rng.uniform(-spread, spread, (n, paths, 1)) * np.arange(T))
    shape = complex_normal(rng, n, paths, TX * TONES)
    return np.einsum("npt,npe->nte", turn, shape).reshape(n, T, 1, TX, TONES) / np.sqrt(paths)


def part(rng, clean, noise, seen=SEEN) -> FakePart:
    observed = np.zeros(clean.shape[1:], dtype=bool)
    observed[:seen] = True
    noisy = np.where(observed, clean + np.sqrt(noise) * complex_normal(rng, *clean.shape), 0)
    meta = make_meta(clean.shape[1:], tx=ArrayMeta(2, 2), time_step_s=1e-3)
    return FakePart(make_batch(noisy, meta, noise, observed), {"H": clean.astype(np.complex64)})


def nmse(model, data, seen=SEEN) -> float:
    clean = data.truth["H"][:, seen:].astype(complex)
    return float((np.abs(model.predict(data.batch)[:, seen:] - clean) ** 2).sum() / (np.abs(clean) ** 2).sum())


@pytest.mark.parametrize("model", MODELS)
def test_batch_changes_nothing(model) -> None:
    rng = np.random.default_rng(0)
    data = part(rng, lines(rng, 10), 0.01)
    answer = same(ready(model(), SPEC, data).predict, data.batch, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(answer[:, :SEEN], data.batch.x["H"][:, :SEEN])


@pytest.mark.parametrize("model", MODELS)
def test_stable_on_noise_and_on_clean_input(model) -> None:
    rng = np.random.default_rng(1)
    clean = lines(rng, 16)
    loud = part(rng, clean, 1.0)
    assert nmse(ready(model(), SPEC, loud), loud) < (200 if model is Linear else 20 if model is PadPublished else 1.6)
    quiet = part(rng, clean, 0.0)
    bound = {KalmanBank: 0.2, Linear: 60, DopplerExtrapolation: 0.03, PadPublished: 3, Pad: 0.02}
    assert nmse(ready(model(), SPEC, quiet), quiet) < bound.get(model, 1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_any_past(model) -> None:
    rng = np.random.default_rng(2)
    for seen in (1, 2, 15):
        data = part(rng, lines(rng, 5), 0.01, seen)
        assert np.isfinite(ready(model(), SPEC, data).predict(data.batch)).all()
    data = part(rng, 0 * lines(rng, 12), 0.0)
    if model is not KalmanBank:  # a class without energy has no model
        assert not ready(model(), SPEC, data).predict(data.batch).any()


def test_linear_by_polyfit() -> None:
    rng = np.random.default_rng(3)
    data = part(rng, lines(rng, 5), 0.1)
    y = data.batch.x["H"][:, SEEN - 2 : SEEN].reshape(5, 2, -1).astype(complex)
    answer = ready(Linear(), SPEC, data).predict(data.batch)[:, SEEN:].reshape(5, T - SEEN, -1)
    for i, e in ((0, 0), (4, 17)):
        line = np.polyfit([6, 7], y[i, :, e], 1)
        np.testing.assert_allclose(answer[i, :, e], np.polyval(line, np.arange(8, 16)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_coefficients_by_loop_and_lstsq(order) -> None:
    rng = np.random.default_rng(4)
    y = complex_normal(rng, 3, 9, 5)
    setting = ArSetting(order, 0.0, np.inf)
    a, pooled = coefficients(y, setting), pooled_coefficients(y, setting)
    ahead = extrapolate(y, a, 4)
    for i in range(3):
        stack = []
        for e in range(5):
            rows = [([y[i, t - k, e] for k in range(1, order + 1)], y[i, t, e]) for t in range(order, 9)]
            back = [([y[i, t + k, e].conj() for k in range(1, order + 1)], y[i, t, e].conj()) for t in range(9 - order)]
            stack += rows + back
            own = np.linalg.lstsq(*map(np.array, zip(*rows, strict=True)), rcond=None)[0]
            np.testing.assert_allclose(a[i, :, e], own, rtol=1e-9)
            series = list(y[i, :, e])
            for _ in range(4):
                series.append(sum(own[k] * series[-1 - k] for k in range(order)))
            np.testing.assert_allclose(ahead[i, :, e], series[-4:], rtol=1e-8)
        both = np.linalg.lstsq(*map(np.array, zip(*stack, strict=True)), rcond=None)[0]
        np.testing.assert_allclose(pooled[i, :, 0], both, rtol=1e-9)


@pytest.mark.parametrize("radius", [1.0, 1.25])
def test_poles_move_to_the_radius_at_their_angle(radius) -> None:
    rng = np.random.default_rng(5)
    for order in (1, 2, 4):
        poles = rng.uniform(0.2, 2.5, (30, order)) * np.exp(2j * np.pi * rng.random((30, order)))
        a = np.array([-np.poly(row)[1:] for row in poles])
        wanted = poles * np.minimum(1, radius / np.abs(poles))
        expected = np.array([-np.poly(row)[1:] for row in wanted])
        np.testing.assert_allclose(contracted(a, radius), expected, rtol=1e-6, atol=1e-8)


def test_yule_walker_by_levinson() -> None:
    r = j0(2 * np.pi * 0.07 * np.arange(7)) * np.exp(0.3j * np.arange(7))
    loaded = r.copy()
    loaded[0] *= 1 + LOADING
    a, variance = yule_walker(r, 6)
    np.testing.assert_allclose(a, solve_toeplitz((loaded[:6], loaded[:6].conj()), loaded[1:]), rtol=1e-6)
    forward = toeplitz(loaded, loaded.conj())
    np.testing.assert_allclose(variance, 1 / np.linalg.inv(forward)[0, 0].real, rtol=1e-6)


def test_kalman_matrix_by_explicit_filter() -> None:
    rng = np.random.default_rng(6)
    noise, p = 0.05, 3
    covariance = toeplitz(j0(2 * np.pi * 0.05 * np.arange(T))).astype(complex)
    at = Steps(np.arange(SEEN), np.arange(SEEN, T))
    weight = kalman_filters(covariance, at, np.array([noise]), p)[0]
    y = complex_normal(rng, SEEN)
    a, q = yule_walker(covariance[:, 0], p)
    f, h = np.vstack([a, np.eye(p)[:-1]]), np.eye(p)[:1]
    state, spread = np.zeros((p, 1), complex), covariance[:p, :p]
    for t in range(SEEN):
        if t:
            state, spread = f @ state, f @ spread @ f.conj().T + q * h.T @ h
        gain = spread @ h.T / (h @ spread @ h.T + noise + LOADING)
        state, spread = state + gain * (y[t] - h @ state), (np.eye(p) - gain @ h) @ spread
    for k in range(T - SEEN):
        state = f @ state
        np.testing.assert_allclose(weight[k] @ y, state[0, 0], rtol=1e-8)
    # Long observations end in the steady state of the algebraic Riccati equation.
    long = Steps(np.arange(300), np.array([300]))
    r = j0(2 * np.pi * 0.05 * np.arange(301))
    last = kalman_filters(toeplitz(r).astype(complex), long, np.array([noise]), p)[0, 0, -1]
    steady = solve_discrete_are(f.conj().T, h.T, q * h.T @ h, np.array([[noise + LOADING]]))
    gain = f @ steady @ h.T / (h @ steady @ h.T + noise + LOADING)
    np.testing.assert_allclose(last, gain[0, 0], rtol=1e-3)


def test_kalman_of_full_order_is_wiener() -> None:
    r = np.exp(-0.05 * np.arange(T)) * j0(2 * np.pi * 0.06 * np.arange(T)) * np.exp(0.2j * np.arange(T))
    covariance = toeplitz(r, r.conj())
    at = Steps(np.arange(SEEN), np.arange(SEEN, T))
    noise = np.array([0.01, 0.3])
    np.testing.assert_allclose(
        kalman_filters(covariance, at, noise, T - 1), filters(covariance, at, noise), rtol=1e-3, atol=1e-4
    )


def test_genie_is_the_lmmse_at_the_true_speed() -> None:
    rng = np.random.default_rng(7)
    speed = np.array([0.0, 5.0, 30.0])
    data = part(rng, lines(rng, 3), 0.04)
    answer = genie_wiener(data.batch, speed)
    for i, v in enumerate(speed):
        r = toeplitz(j0(2 * np.pi * v * 3.5e9 / 299792458 * 1e-3 * np.arange(T)))
        y = data.batch.x["H"][i, :SEEN].reshape(SEEN, -1)
        wanted = r[SEEN:, :SEEN] @ np.linalg.inv(r[:SEEN, :SEEN] + 0.04 * np.eye(SEEN)) @ y
        np.testing.assert_allclose(answer[i, SEEN:].reshape(SEEN, -1), wanted, rtol=1e-3, atol=1e-4)


def test_angle_delay_by_dft_matrices() -> None:
    rng = np.random.default_rng(8)
    y = complex_normal(rng, 2, 12, 6)
    f = lambda n, sign: np.exp(sign * 2j * np.pi * np.outer(range(n), range(n)) / n) / np.sqrt(n)  # noqa: E731
    tx = ArrayMeta(2, 3, polarisations=2)
    turn = np.kron(np.eye(2), np.kron(f(3, -1), f(2, -1)))
    np.testing.assert_allclose(angle_delay(y, tx), turn @ y @ f(6, 1).T, atol=1e-12)
    np.testing.assert_allclose(angle_delay(angle_delay(y, tx), tx, inverse=True), y, atol=1e-12)


def test_prony_by_loop() -> None:
    rng = np.random.default_rng(9)
    past = complex_normal(rng, 2, 6, 3)
    answer = prony_refitted(past, 3)
    for i in range(2):
        for b in range(3):
            g = past[i, :, b]
            matrix = np.array([[g[r + c] for c in range(3)] for r in range(3)])
            right = [g[3], g[4], g[5]]
            for step in range(3):
                p = np.linalg.solve(matrix, right)
                new = sum(right[k] * p[k] for k in range(3))
                np.testing.assert_allclose(answer[i, step, b], new, rtol=1e-5)
                right = [*right[1:], new]
                matrix = np.column_stack([matrix[:, 1:], [*matrix[1:, -1], new]])
    two = lines(rng, 2).reshape(2, T, -1)
    np.testing.assert_allclose(prony_refitted(two[:, :4], 1), two[:, 4:5], rtol=1e-4)  # exact for one step
    still = np.repeat(two[:, :1], 4, axis=1)
    np.testing.assert_allclose(prony_refitted(still, 8), np.repeat(still, 2, axis=1), rtol=1e-6)  # singular: holds


def test_bad_input_is_named() -> None:
    rng = np.random.default_rng(10)
    frequency = make_spec("channel-prediction", "reconstruct", {"axis": "frequency"})
    assert "over time" in Pad().supports(frequency)
    assert "over time" in DopplerExtrapolation().supports(frequency)
    assert ArPooled().supports(frequency) is None
    data = part(rng, lines(rng, 4), 0.01)
    data.batch.x["observed"] = np.roll(data.batch.x["observed"], 4, axis=0)
    with pytest.raises(ModelError, match="follow the seen"):
        ready(ArPooled(), SPEC, data)
    with pytest.raises(ModelError, match="validation"):
        ready(ArPooled(), SPEC, data, part(rng, lines(rng, 0), 0.01))
