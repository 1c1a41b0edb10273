"""Channel estimators against independent implementations: SciPy, NumPy's FFT, dense LMMSE, scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator, interp1d
from scipy.linalg import toeplitz
from scipy.special import j0

from tests.helpers_models import (
    FakePart,
    complex_normal,
    make_batch,
    make_meta,
    make_spec,
    ready,
    same_whatever_the_batch,
    take,
)
from wbench.errors import ModelError
from wbench.task.batch import ArrayMeta
from wbench_baselines.estimation.common import linear_weights, pilots
from wbench_baselines.estimation.genie import genie_lmmse
from wbench_baselines.estimation.interpolation import LsDft, LsLinear, NearestPilot, dft_weights
from wbench_baselines.estimation.kronecker import Kronecker, estimate, grams, of_grams
from wbench_baselines.estimation.lmmse import Lmmse
from wbench_baselines.estimation.omp import OmpEstimator, delay_steering, panel_steering
from wbench_baselines.estimation.somp import pursue

SPEC = make_spec("channel-estimation", "reconstruct")
T, ROWS, COLUMNS, K = 8, 2, 4, 16
SYMBOLS, COMB = (1, 5), 4
MODELS = [NearestPilot, LsLinear, LsDft, Lmmse, OmpEstimator]
META = make_meta((T, 1, ROWS * COLUMNS, K), tx=ArrayMeta(ROWS, COLUMNS))
PILOTS = np.ix_(SYMBOLS, [0], range(ROWS * COLUMNS), range(0, K, COMB))


def part(clean: np.ndarray, noise: Any, seed: int = 0) -> FakePart:
    """The estimation task on clean channels [n, T, 1, A, K]."""
    observed = np.zeros(clean.shape[1:], dtype=bool)
    observed[PILOTS] = True
    power = np.broadcast_to(noise, len(clean)).reshape(-1, 1, 1, 1, 1)
    noisy = clean + np.sqrt(power) * complex_normal(np.random.default_rng(seed), *clean.shape)
    return FakePart(make_batch(noisy * observed, META, noise, observed), {"H": clean.astype(np.complex64)})


def covariances() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clarke's time, an exponential delay profile, and a beam: complex, Hermitian, unit diagonals."""
    time = toeplitz(j0(2 * np.pi * 0.01 * np.arange(T))).astype(complex)
    frequency = toeplitz(1 / (1 + 0.3j * np.arange(K)))
    antenna = np.arange(ROWS * COLUMNS)
    space = 0.8 ** np.abs(antenna[:, None] - antenna) * np.exp(0.5j * (antenna[:, None] - antenna))
    return time, space, frequency


def gaussian(n: int, seed: int = 0) -> np.ndarray:
    """Channels [n, T, 1, A, K] with the covariance time ⊗ space ⊗ frequency."""
    roots = []
    for matrix in covariances():
        values, vectors = np.linalg.eigh(matrix)
        roots.append(vectors * np.sqrt(np.maximum(values, 0)))
    white = complex_normal(np.random.default_rng(seed), n, T, ROWS * COLUMNS, K)
    return np.einsum("tu,ab,kl,nubl->ntak", *roots, white, optimize=True)[:, :, None]


def paths(n: int, seed: int = 0, on_grid: bool = True) -> np.ndarray:
    """Channels of three static paths each."""
    rng = np.random.default_rng(seed)
    directions = panel_steering(ROWS, COLUMNS, 4)
    h = np.zeros((n, T, 1, ROWS * COLUMNS, K), complex)
    for _ in range(3):
        delay = rng.integers(0, 4, n) / 64 if on_grid else rng.uniform(0, 0.06, n)
        gain = complex_normal(rng, n)[:, None] * np.exp(-2j * np.pi * delay[:, None] * np.arange(K))
        h += (directions.T[rng.integers(0, directions.shape[1], n)][:, :, None] * gain[:, None])[:, None, None]
    return h


def nmse(answer: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sum(np.abs(answer - truth) ** 2) / np.sum(np.abs(truth) ** 2))


@pytest.mark.parametrize("model", MODELS)
def test_batch_order_and_size_change_nothing(model: Any) -> None:
    data = part(gaussian(20), np.random.default_rng(1).choice([0.01, 0.1], 20))
    answer = same_whatever_the_batch(ready(model(), SPEC, data).predict, data.batch)
    assert answer.shape == data.batch.x["H"].shape
    assert answer.dtype == np.complex64


def test_nearest_pilot_is_scipys() -> None:
    data = part(gaussian(3), 0.1)
    answer = ready(NearestPilot(), SPEC, data).predict(data.batch)
    seen = data.batch.x["H"][:, SYMBOLS][..., ::COMB]
    # SciPy takes the earlier of two as near with "nearest" (rounds half down), and so do we.
    half = interp1d(SYMBOLS, seen, "nearest", axis=1, bounds_error=False, fill_value=(seen[:, 0], seen[:, -1]))
    tones = interp1d(np.arange(0, K, COMB), half(np.arange(T)), "nearest", bounds_error=False, fill_value="extrapolate")
    np.testing.assert_array_equal(answer, tones(np.arange(K)))


def test_linear_interpolation_is_scipys() -> None:
    data = part(gaussian(3), 0.1)
    answer = ready(LsLinear(), SPEC, data).predict(data.batch)
    tones = np.arange(0, K, COMB)
    inside = np.stack(np.meshgrid(np.clip(np.arange(T), 1, 5), np.clip(np.arange(K), 0, tones[-1]), indexing="ij"), -1)
    for sample, antenna in ((0, 0), (2, 5)):
        seen = data.batch.x["H"][sample, SYMBOLS, 0, antenna][:, tones].astype(complex)
        expected = RegularGridInterpolator((SYMBOLS, tones), seen)(inside)
        np.testing.assert_allclose(answer[sample, :, 0, antenna], expected, atol=1e-6)


def test_extended_weights_are_scipys() -> None:
    at = np.array([1, 4, 6])
    values = np.array([1.0, -2.0, 5.0])
    expected = interp1d(at, values, fill_value="extrapolate")(np.arange(10))
    np.testing.assert_allclose(linear_weights(at, 10, extend=True) @ values, expected, atol=1e-12)
    np.testing.assert_allclose(linear_weights(at, 10) @ values, np.interp(np.arange(10), at, values), atol=1e-12)
    np.testing.assert_array_equal(linear_weights(at[:1], 3), np.ones((3, 1)))


def test_dft_interpolation_is_a_zero_padded_fft() -> None:
    data = part(gaussian(2), 0.1)
    grid, y = pilots(data.batch, "test")
    spectrum = np.fft.ifft(y, axis=-1)  # 4 taps
    kept = np.zeros((*y.shape[:-1], K), complex)
    kept[..., [-1, 0, 1]] = spectrum[..., [-1, 0, 1]]
    np.testing.assert_allclose(y @ dft_weights(grid, 1, 1).T, np.fft.fft(kept), atol=1e-12)
    whole = y @ dft_weights(grid, 1, 2).T
    np.testing.assert_allclose(whole[..., ::COMB], y, atol=1e-12)  # all taps: exact on the pilots
    with pytest.raises(ModelError, match="evenly spaced"):
        dft_weights(grid._replace(tones=np.array([0, 1, 5])), 0, 0)
    with pytest.raises(ModelError, match="evenly spaced"):
        dft_weights(grid, 2, 2)


def test_dft_window_follows_the_noise() -> None:
    """With much noise the narrowest window is best for one path, with none a wide one for a long channel."""
    k = np.arange(K)
    delays = np.random.default_rng(0).uniform(0, 8, (60, 1))
    clean = np.exp(-2j * np.pi * delays * k / K).reshape(60, 1, 1, 1, K) * np.ones(META.shape)
    data = part(clean, np.where(np.arange(60) % 2, 1e-4, 30.0))
    model = ready(LsDft(), SPEC, data)
    (quiet, loud), (first, second) = model.levels, model.windows
    assert (quiet, loud) == pytest.approx((1e-4, 30.0))
    assert sum(first) > sum(second)
    for level in model.levels:  # windows are chosen level by level: the same as from that level alone
        rows = np.isclose(data.batch.noise_power, level)
        alone = FakePart(take(data.batch, rows), {"H": data.truth["H"][rows]})
        np.testing.assert_array_equal(ready(LsDft(), SPEC, alone).predict(alone.batch), model.predict(data.batch)[rows])


def dense_lmmse(factors: Any, power: float, y: np.ndarray, noise: float) -> np.ndarray:
    """The textbook formula with the whole covariance matrix of one sample."""
    r = power * np.kron(np.kron(factors[0], factors[1]), factors[2])
    seen = np.zeros(META.shape, bool)
    seen[PILOTS] = True
    rows = seen.ravel()
    system = r[np.ix_(rows, rows)] + noise * np.eye(rows.sum())
    return (r[:, rows] @ np.linalg.solve(system, y.ravel()[rows])).reshape(META.shape)


def test_kronecker_estimate_is_the_dense_formula() -> None:
    factors = covariances()
    noise = np.array([0.1, 0.01, 2.0])
    data = part(gaussian(3), noise)
    grid, y = pilots(data.batch, "test")
    known = Kronecker(*(f[None] for f in factors), np.array([1.7]))
    found = estimate(known, grid, y, noise)
    for i in range(3):
        expected = dense_lmmse(factors, 1.7, data.batch.x["H"][i].astype(complex), noise[i])
        np.testing.assert_allclose(found[i].reshape(META.shape), expected, atol=1e-8)


def test_grams_are_sample_covariances() -> None:
    h = gaussian(4)
    time, space, frequency = grams(h)
    np.testing.assert_allclose(time, np.einsum("ntrak,nsrak->nts", h, h.conj()))
    np.testing.assert_allclose(space, np.einsum("ntrak,ntrbk->nab", h, h.conj()))
    np.testing.assert_allclose(frequency, np.einsum("ntrak,ntral->nkl", h, h.conj()))
    pooled = of_grams(*(g.sum(axis=0, keepdims=True) for g in (time, space, frequency)), 4)
    assert pooled.power[0] == pytest.approx(np.mean(np.abs(h) ** 2))
    for factor in pooled[:3]:
        assert np.trace(factor[0]).real == pytest.approx(len(factor[0]))
    shrunk = pooled.shrunk(0.25, 1.0)
    np.testing.assert_allclose(shrunk.space[0], np.eye(ROWS * COLUMNS))
    np.testing.assert_allclose(shrunk.time, 0.75 * pooled.time + 0.25 * np.eye(T))


@pytest.mark.parametrize("noise", [0.01, 0.3])
def test_lmmse_reaches_the_error_of_the_theory(noise: float) -> None:
    """Trained on a Gaussian channel with a Kronecker covariance it is the best there is: trace of the posterior."""
    train, val, test = (part(gaussian(n, s), noise, s) for n, s in ((400, 1), (100, 2), (200, 3)))
    model = ready(Lmmse(), SPEC, train, val)
    r = np.kron(np.kron(*covariances()[:2]), covariances()[2])
    seen = np.zeros(META.shape, bool)
    seen[PILOTS] = True
    rows = seen.ravel()
    gain = np.linalg.solve(r[np.ix_(rows, rows)] + noise * np.eye(rows.sum()), r[rows])
    ideal = 1 - np.einsum("ik,ki->", r[:, rows], gain).real / len(r)
    assert nmse(model.predict(test.batch), test.truth["H"]) == pytest.approx(ideal, rel=0.06)
    assert model.count_parameters() == T**2 + (ROWS * COLUMNS) ** 2 + K**2 + 2


def test_few_training_samples_are_shrunk() -> None:
    train, val = part(gaussian(2, 1), 0.3, 1), part(gaussian(100, 2), 0.3, 2)
    model = ready(Lmmse(), SPEC, train, val)
    assert max(model.shrinkage) > 0
    shrunk = nmse(model.predict(val.batch), val.truth["H"])
    model.covariance = model.sampled
    assert shrunk < nmse(model.predict(val.batch), val.truth["H"])


def test_genie_is_lmmse_with_each_sample_s_own_covariance() -> None:
    data = part(gaussian(5), 0.1)
    found = genie_lmmse(data.batch, data.truth)
    h = data.truth["H"].astype(complex)
    for i in (0, 4):
        factors = [np.einsum(f"{a}rbk,{b}rbk->{a}{b}", h[i], h[i].conj()) for a, b in (("t", "s"),)]
        factors += [np.einsum("trak,trbk->ab", h[i], h[i].conj()), np.einsum("trak,tral->kl", h[i], h[i].conj())]
        factors = [f * len(f) / np.trace(f).real for f in factors]
        expected = dense_lmmse(factors, np.mean(np.abs(h[i]) ** 2), data.batch.x["H"][i].astype(complex), 0.1)
        np.testing.assert_allclose(found[i], expected, atol=2e-5)
    alone = genie_lmmse(data.batch, data.truth, space=False)
    assert nmse(found, h) < nmse(alone, h) < 0.1


def test_pursuit_is_scikit_learns() -> None:
    """Real factors and one snapshot: the same atoms and coefficients as ``OrthogonalMatchingPursuit``."""
    from sklearn.linear_model import OrthogonalMatchingPursuit

    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((6, 10)), rng.standard_normal((5, 8))
    left, right = left / np.linalg.norm(left, axis=0), right / np.linalg.norm(right, axis=0)
    y = rng.standard_normal((70, 1, 6, 5))
    found = pursue(y, left.astype(np.complex64), right.astype(np.complex64), 6, np.zeros(70))
    dictionary = np.kron(left, right)
    for count in (1, 3, 6):
        gains = found.gains(np.full(70, count))
        for i in (0, 63, 64, 69):
            fit = OrthogonalMatchingPursuit(n_nonzero_coefs=count, fit_intercept=False).fit(dictionary, y[i].ravel())
            mine = np.zeros(80)
            mine[found.support[i, :count]] = gains[i, :count, 0].real
            np.testing.assert_allclose(mine, fit.coef_, atol=1e-4)
            assert not gains[i, count:].any()
            left_over = np.sum((y[i].ravel() - dictionary @ fit.coef_) ** 2)
            assert found.residual[i, count - 1] == pytest.approx(left_over, rel=1e-4)


def test_pursuit_of_several_snapshots_is_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    left, right = complex_normal(rng, 4, 9), complex_normal(rng, 5, 7)
    left, right = left / np.linalg.norm(left, axis=0), right / np.linalg.norm(right, axis=0)
    y = complex_normal(rng, 3, 2, 4, 5)
    found = pursue(y, left.astype(np.complex64), right.astype(np.complex64), 5, np.zeros(3))
    gains = found.gains(np.array([5, 2, 4]))
    dictionary = np.kron(left, right)
    for i, count in enumerate((5, 2, 4)):
        target, picked = y[i].reshape(2, -1).T, []
        residual = target
        for _ in range(count):
            picked.append(int(np.argmax(np.sum(np.abs(dictionary.conj().T @ residual) ** 2, axis=1))))
            solution = np.linalg.lstsq(dictionary[:, picked], target, rcond=None)[0]
            residual = target - dictionary[:, picked] @ solution
        assert found.support[i, :count].tolist() == picked
        np.testing.assert_allclose(gains[i, :count], solution, atol=1e-5)


def test_pursuit_stops_early_and_survives_zeros() -> None:
    rng = np.random.default_rng(2)
    left = right = np.eye(4, dtype=np.complex64)
    y = complex_normal(rng, 2, 1, 4, 4)
    y[0] = 0
    found = pursue(y, left, right, 16, np.array([1.0, 1.0]))
    assert not found.gains(np.array([16, 16]))[0].any()
    done = int(np.argmax(found.residual[1] <= 1))
    assert 0 < done < 15
    assert not found.image[:, done + 1 :].any()  # nothing was pursued after that
    exact = pursue(y[1:], left, right, 16, np.zeros(1))
    np.testing.assert_allclose(np.sort(exact.support[0]), np.arange(16))
    assert exact.residual[0, -1] < 1e-9


def test_omp_finds_paths_on_and_between_its_grid() -> None:
    for on_grid, limit in ((True, 1e-4), (False, 0.03)):
        data = part(paths(40, on_grid=on_grid), 1e-6)
        model = ready(OmpEstimator(), SPEC, data)
        assert nmse(model.predict(data.batch), data.truth["H"]) < limit
    noisy = part(paths(40, 3), 1.0)
    omp, linear = (
        nmse(ready(model(), SPEC, noisy).predict(noisy.batch), noisy.truth["H"]) for model in (OmpEstimator, LsLinear)
    )
    assert omp < linear / 2


def test_steering_vectors() -> None:
    panel = panel_steering(ROWS, COLUMNS, 2)
    assert panel.shape == (8, 32)
    # Port = column · rows + row: a step of one row, of one column.
    for direction in (0, 5, 31):
        column, row = divmod(direction, 2 * ROWS)
        np.testing.assert_allclose(panel[1, direction], np.exp(2j * np.pi * row / (2 * ROWS)), atol=1e-12)
        np.testing.assert_allclose(panel[ROWS, direction], np.exp(2j * np.pi * column / (2 * COLUMNS)), atol=1e-12)
    response = delay_steering(np.arange(K), np.array([0.25 / K]))
    np.testing.assert_allclose(np.unwrap(np.angle(response[:, 0])), -2 * np.pi * np.arange(K) * 0.25 / K)


@pytest.mark.parametrize("model", MODELS)
def test_clean_pilots_do_no_harm(model: Any) -> None:
    """Without noise, and with a task that says nothing of it."""
    data = part(gaussian(30), 0.0)
    for power in (0.0, None):
        batch = make_batch(data.batch.x["H"], META, power, data.batch.x["observed"])
        fitted = ready(model(), SPEC, FakePart(batch, data.truth))
        answer = fitted.predict(batch)
        assert np.isfinite(answer).all()
        assert nmse(answer, data.truth["H"]) < 0.6
        if model is Lmmse:
            assert nmse(answer[(slice(None), *PILOTS)], data.truth["H"][(slice(None), *PILOTS)]) < 1e-4


def test_bad_input_is_named() -> None:
    data = part(gaussian(4), 0.1)
    for model in MODELS:
        assert "channel-prediction" in model().supports(make_spec("channel-prediction", "reconstruct"))
        assert model().supports(SPEC) is None
    empty = FakePart(take(data.batch, slice(0, 0)), {"H": data.truth["H"][:0]})
    for model in (LsDft, Lmmse, OmpEstimator):
        with pytest.raises(ModelError, match=r"validation|both parts"):
            ready(model(), SPEC, data, empty)
    two = make_meta((T, 2, 8, K), tx=ArrayMeta(ROWS, COLUMNS), rx=ArrayMeta(1, 2))
    with pytest.raises(ModelError, match="one Rx port"):
        OmpEstimator().setup(SPEC, two)
    spoiled = data.batch.x["observed"].copy()
    spoiled[1, 0, 3, 4] = False
    with pytest.raises(ModelError, match="not the same subcarriers"):
        pilots(make_batch(data.batch.x["H"], META, 0.1, spoiled), "test")
    image = make_meta(META.shape, dims=("delay", "rx", "tx", "angle"))
    with pytest.raises(ModelError, match="not a resource grid"):
        pilots(make_batch(data.batch.x["H"], image, 0.1, data.batch.x["observed"]), "test")
