"""LASSO codecs: the solver against scikit-learn, CVXPY and the optimality conditions; the codecs' contract."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tests.helpers_models import FakePart, make_batch, make_meta, make_spec, ready, same_whatever_the_batch
from wbench.errors import ModelError, UsageError
from wbench.model import Payload
from wbench.task.batch import ArrayMeta
from wbench.task.spec import Limit
from wbench_baselines.codecs import fista
from wbench_baselines.codecs.common import to_reals
from wbench_baselines.codecs.lasso import WEIGHTS, Lasso, LassoComplex, LassoDecoder
from wbench_baselines.codecs.measurement import measurement

SHAPE = (12, 8)
FAMILY = "csi-feedback-ratio"
META = make_meta(SHAPE, ArrayMeta(1, 8), dims=("delay", "angle"))
SPEC = make_spec(FAMILY, "compress", limit=Limit(reals=48))


def sparse_channels(n: int, seed: int) -> np.ndarray:
    """Complex channels with six non-zero coefficients each and unit rms, complex64 [n, *SHAPE]."""
    rng = np.random.default_rng(seed)
    h = np.zeros((n, SHAPE[0] * SHAPE[1]), np.complex64)
    for row in h:
        at = rng.choice(row.size, 6, replace=False)
        row[at] = rng.standard_normal(6) + 1j * rng.standard_normal(6)
    h /= np.sqrt((np.abs(h) ** 2).mean(1, keepdims=True))
    return h.reshape(n, *SHAPE)


def part(h: np.ndarray) -> FakePart:
    return FakePart(make_batch(h, META), {"H": h})


def problem(m: int, n: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((m, n)) / np.sqrt(m)
    x = rng.standard_normal((rows, n)) * (rng.random((rows, n)) < 0.1)
    return matrix, x @ matrix.T


@pytest.mark.parametrize("weight", [0.01, 0.1, 0.5])
@pytest.mark.parametrize(("m", "n"), [(32, 256), (96, 128), (64, 512)])
def test_lasso_minimum_equals_scikit_learn(m: int, n: int, weight: float) -> None:
    from sklearn.linear_model import Lasso as Reference

    matrix, y = problem(m, n, 5, seed=m)
    lam = weight * fista.lambda_max(matrix, y)
    found = fista.solve(matrix, y, lam, tolerance=1e-10, max_iterations=100_000)
    expected = np.array(
        [
            Reference(alpha=penalty / m, fit_intercept=False, tol=1e-10, max_iter=200_000).fit(matrix, row).coef_
            for row, penalty in zip(y, lam, strict=True)
        ]
    )
    ours, theirs = fista.objective(matrix, y, found.x, lam), fista.objective(matrix, y, expected, lam)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert np.linalg.norm(found.x - expected) < 1e-2 * np.linalg.norm(expected)


@pytest.mark.parametrize("penalty", [fista.L1, fista.GROUP])
def test_lasso_and_group_lasso_minimum_equals_cvxpy(penalty: fista.Penalty) -> None:
    import cvxpy as cp

    matrix, y = problem(12, 40, 4, seed=3)
    lam = 0.15 * fista.lambda_max(matrix, y, penalty)
    found = fista.solve(matrix, y, lam, penalty, tolerance=1e-11, max_iterations=100_000)
    for row, weight, ours in zip(y, lam, found.x, strict=True):
        x = cp.Variable(40)
        pairs = cp.vstack([x[:20], x[20:]])
        norm = cp.norm1(x) if penalty is fista.L1 else cp.sum(cp.norm(pairs, 2, axis=0))
        least = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(row - matrix @ x) + weight * norm))
        least.solve(solver=cp.CLARABEL)
        value = fista.objective(matrix, row[None], ours[None], np.array([weight]), penalty)[0]
        assert value == pytest.approx(least.value, rel=1e-6)
        assert np.linalg.norm(ours - x.value) < 1e-3 * np.linalg.norm(ours)


def test_group_lasso_is_lasso_of_the_complex_vector() -> None:
    # KKT of 0.5‖y - Az‖² + λ Σ|z_i| with z complex: the correlation has modulus ≤ λ, and = λ z/|z| on the support.
    matrix, y = problem(20, 80, 3, seed=7)
    lam = 0.2 * fista.lambda_max(matrix, y, fista.GROUP)
    x = fista.solve(matrix, y, lam, fista.GROUP, tolerance=1e-12, max_iterations=100_000).x
    z, correlation = x[:, :40] + 1j * x[:, 40:], (y - x @ matrix.T) @ matrix
    slope = correlation[:, :40] + 1j * correlation[:, 40:]
    assert np.all(np.abs(slope) <= lam[:, None] * (1 + 1e-4))
    row, column = np.nonzero(np.abs(z) > 1e-3)
    assert len(row) > 10
    sign = np.exp(1j * np.angle(z[row, column]))
    np.testing.assert_allclose(slope[row, column], lam[row] * sign, atol=1e-3 * lam.max())


def test_gap_bounds_the_distance_to_the_minimum() -> None:
    matrix, y = problem(32, 256, 6, seed=1)
    lam = 0.05 * fista.lambda_max(matrix, y)
    exact = fista.objective(matrix, y, fista.solve(matrix, y, lam, tolerance=1e-12, max_iterations=10**5).x, lam)
    for tolerance in (1e-2, 1e-4):
        rough = fista.solve(matrix, y, lam, tolerance=tolerance)
        excess = (fista.objective(matrix, y, rough.x, lam) - exact) / (y**2).sum(axis=1)
        assert np.all(excess <= rough.gap + 1e-12)
        assert rough.gap.max() <= tolerance


def test_float32_agrees_with_float64() -> None:
    matrix, y = problem(64, 512, 20, seed=2)
    lam = 0.1 * fista.lambda_max(matrix, y)
    single = fista.solve(matrix.astype("f4"), y.astype("f4"), lam.astype("f4"), tolerance=1e-5).x
    double = fista.solve(matrix, y, lam, tolerance=1e-5).x
    assert single.dtype == np.float32
    np.testing.assert_allclose(
        fista.objective(matrix, y, single, lam), fista.objective(matrix, y, double, lam), rtol=1e-3
    )


def test_edges_zero_measurement_large_weight_and_failures() -> None:
    matrix, y = problem(16, 64, 3, seed=4)
    y[1] = 0
    lam = fista.lambda_max(matrix, y) * (1 + 1e-9)
    found = fista.solve(matrix, y, lam)
    assert not found.x.any()
    assert found.iterations.max() <= fista.CHECK_EVERY
    assert not fista.solve(matrix.astype("f4"), np.zeros((2, 16), "f4"), np.full(2, 100, "f4")).x.any()
    with pytest.raises(ModelError, match="converged"):
        fista.solve(matrix, y, 0.01 * lam, tolerance=1e-9, max_iterations=3)
    y[0, 0] = np.nan
    with pytest.raises(ModelError, match="finite"):
        fista.solve(matrix, y, lam)


def test_measurement_belongs_to_the_task() -> None:
    first, again = measurement(SPEC, META), measurement(SPEC, META)
    assert first.digest == again.digest
    assert first.digest != measurement(make_spec(FAMILY, "compress", {"another": 1}, Limit(reals=48)), META).digest
    assert first.matrix.shape == (48, 192)
    assert first.matrix.dtype == np.float32
    assert first.matrix.var() * 48 == pytest.approx(1, abs=0.05)
    assert abs(first.matrix.mean()) < 4 / np.sqrt(48 * 48 * 192)
    lasso, pairs = Lasso(), LassoComplex()
    lasso.setup(SPEC, META)
    pairs.setup(SPEC, META)
    assert lasso.measurement.digest == pairs.measurement.digest == first.digest
    with pytest.raises(UsageError, match="limits real numbers"):
        measurement(make_spec(FAMILY, "compress", limit=Limit(bits=96)), META)


def test_supports_real_limits_only() -> None:
    assert Lasso().supports(SPEC) is None
    assert "bits" in str(Lasso().supports(make_spec(FAMILY, "compress", limit=Limit(bits=96))))


@pytest.mark.parametrize("model_class", [Lasso, LassoComplex])
def test_codec_through_pickle_in_any_order_and_batch(model_class: type[Lasso]) -> None:
    model = model_class()
    model.setup(SPEC, META)
    with pytest.raises(ModelError, match="fit"):
        model.decoder()
    h = sparse_channels(90, 0)
    model = ready(model_class(), SPEC, part(h))
    assert model.weight in WEIGHTS
    decoder, encoder = (pickle.loads(pickle.dumps(half)) for half in (model.decoder(), model.encoder()))
    payloads = encoder(make_batch(h, META))
    assert {payload.bits for payload in payloads} == {48 * 32}
    pieces = [payload for row in h for payload in encoder(make_batch(row[None], META))]
    assert pieces == payloads
    found = same_whatever_the_batch(lambda batch: decoder(encoder(batch)), make_batch(h, META))
    assert found.dtype == np.complex64
    error = np.sum(np.abs(found - h) ** 2) / np.sum(np.abs(h) ** 2)
    assert error < {Lasso: 0.25, LassoComplex: 0.06}[model_class]
    assert decoder([]).shape == (0, *SHAPE)


def test_weight_is_the_best_of_the_grid_on_validation() -> None:
    h = sparse_channels(40, 5)
    model = ready(Lasso(), SPEC, part(h))
    payloads = model.measurement(make_batch(h, META))
    errors = [np.linalg.norm(LassoDecoder(model.measurement, SHAPE, c, fista.L1)(payloads) - h) for c in WEIGHTS]
    assert model.weight == WEIGHTS[int(np.argmin(errors))]


def test_scale_of_the_channel_scales_the_answer() -> None:
    model = Lasso()
    model.setup(SPEC, META)
    decoder = LassoDecoder(model.measurement, SHAPE, 0.1, fista.L1)
    y = model.measurement.measure(to_reals(sparse_channels(5, 9)))
    once, twice = (decoder([Payload.of_reals(k * row) for row in y]) for k in (1, 4))
    np.testing.assert_allclose(twice, 4 * once, rtol=1e-4, atol=1e-4)
