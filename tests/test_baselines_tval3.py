"""TVAL3: the solver against CVXPY, a dense reference and closed forms; the codecs' contract."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tests.helpers_models import FakePart, make_batch, make_meta, make_spec, ready, same_whatever_the_batch
from wbench.errors import ModelError
from wbench.model import Payload
from wbench.task.batch import ArrayMeta
from wbench.task.spec import Limit
from wbench_baselines.codecs.measurement import measurement
from wbench_baselines.codecs.tv_solver import BLOCK, Coupling, adjoint, differences, total_variation, tv_solver
from wbench_baselines.codecs.tval3 import MUS, Tval3, Tval3Aniso, Tval3Complex, Tval3Decoder

COUPLINGS: tuple[Coupling, ...] = ("anisotropic", "isotropic", "complex")
SHAPE = (12, 8)
META = make_meta(SHAPE, ArrayMeta(1, 8), dims=("delay", "angle"))
SPEC = make_spec("csi-feedback-ratio", "compress", limit=Limit(reals=64))


def patches(n: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Complex images with two constant patches each and unit rms, complex64 [n, *shape]."""
    rng = np.random.default_rng(seed)
    h = np.zeros((n, *shape), np.complex64)
    for image in h:
        for _ in range(2):
            i, j = rng.integers(0, shape[0] - 2), rng.integers(0, shape[1] - 2)
            image[i : i + 4, j : j + 3] += rng.standard_normal() + 1j * rng.standard_normal()
    return h / np.sqrt((np.abs(h) ** 2).mean((1, 2), keepdims=True))


def problem(shape: tuple[int, int, int], m: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((m, int(np.prod(shape)))) / np.sqrt(m)
    h = patches(2, shape[1:], seed)
    images = np.stack([h.real, h.imag], axis=1) + 0.1 * rng.standard_normal((2, *shape))
    return matrix, images.reshape(2, -1) @ matrix.T


def test_differences_and_their_transpose_by_the_definition() -> None:
    rng = np.random.default_rng(0)
    u, w = rng.standard_normal((3, 2, 5, 4)), rng.standard_normal((2, 3, 2, 5, 4))
    found = differences(u)
    np.testing.assert_array_equal(found[0], np.roll(u, -1, axis=-2) - u)
    np.testing.assert_array_equal(found[1], np.roll(u, -1, axis=-1) - u)
    assert np.vdot(found, w) == pytest.approx(np.vdot(u, adjoint(w)), rel=1e-12)
    z = u[:, 0] + 1j * u[:, 1]
    down, right = np.roll(z, -1, axis=-2) - z, np.roll(z, -1, axis=-1) - z
    joint = np.sqrt(np.abs(down) ** 2 + np.abs(right) ** 2).sum((1, 2))
    np.testing.assert_allclose(total_variation(u, "complex"), joint)
    split = sum(np.sqrt(part(down) ** 2 + part(right) ** 2).sum((1, 2)) for part in (np.real, np.imag))
    np.testing.assert_allclose(total_variation(u, "isotropic"), split)
    np.testing.assert_allclose(total_variation(u, "anisotropic"), np.abs(found).sum((0, 2, 3, 4)))


@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize(("mu", "iterations"), [(2.0, 8000), (300.0, 2000)])
def test_minimum_equals_cvxpy(coupling: Coupling, mu: float, iterations: int) -> None:
    import cvxpy as cp

    shape = (2, 7, 6)
    matrix, b = problem(shape, 30, seed=3)
    solver = tv_solver(matrix, shape)
    found = solver.solve(b, mu, coupling, iterations)
    ours = solver.objective(found, b, mu, coupling)
    size = 84
    ring = [
        np.kron(np.roll(np.eye(7), 1, 1) - np.eye(7), np.eye(6)),
        np.kron(np.eye(7), np.roll(np.eye(6), 1, 1) - np.eye(6)),
    ]
    down, right = (np.kron(np.eye(2), one) for one in ring)
    for row, value, answer in zip(b, ours, found, strict=True):
        u = cp.Variable(size)
        d = [down @ u, right @ u]
        if coupling == "anisotropic":
            tv = cp.norm1(d[0]) + cp.norm1(d[1])
        elif coupling == "isotropic":
            tv = cp.sum(cp.norm(cp.vstack(d), 2, axis=0))
        else:
            tv = cp.sum(cp.norm(cp.vstack([part[at] for part in d for at in (slice(0, 42), slice(42, 84))]), 2, axis=0))
        least = cp.Problem(cp.Minimize(tv + mu / 2 * cp.sum_squares(matrix @ u - row)))
        least.solve(solver=cp.CLARABEL)
        assert value == pytest.approx(least.value, rel=1e-5)
        assert np.linalg.norm(answer.ravel() - u.value) < 2e-3 * np.linalg.norm(u.value)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_denoised_step_has_its_closed_form(coupling: Coupling) -> None:
    # A = I, an image that is p in `high` whole columns and q in the others (a ring): every row of d1 pixels sees two
    # edges, so u keeps its two levels and each moves towards the other by 2/(μ·its width); both planes alike.
    shape, mu, high = (2, 4, 10), 5.0, 3
    image = np.full(shape, -0.5)
    image[:, :, 2 : 2 + high] = 2.0
    joined = np.sqrt(2) if coupling == "complex" else 1.0  # the two planes share the slope of one norm
    expected = image.copy()
    expected[:, :, 2 : 2 + high] -= 2 / (joined * mu * high)
    others = np.r_[0:2, 2 + high : 10]
    expected[:, :, others] += 2 / (joined * mu * len(others))
    solver = tv_solver(np.eye(80), shape)
    found = solver.solve(image.reshape(1, -1), mu, coupling, iterations=3000)[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_constant_image_comes_back_and_zero_stays_zero() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((5, 2 * 6 * 6)) / np.sqrt(5)
    image = np.ones((1, 2, 6, 6)) * np.array([1.5, -0.5])[None, :, None, None]
    solver = tv_solver(matrix, (2, 6, 6))
    found = solver.solve(image.reshape(1, -1) @ matrix.T, 50.0, "isotropic", iterations=4000)
    np.testing.assert_allclose(found, image, atol=1e-5)  # TV 0 and no residual: the minimum is 0
    assert not solver.solve(np.zeros((2, 5)), 50.0, "isotropic").any()


def test_quadratic_step_equals_a_dense_solution() -> None:
    shape = (2, 8, 6)
    matrix, _ = problem(shape, 20, seed=5)
    eye = np.eye(96)
    d = differences(eye.reshape(96, *shape)).swapaxes(0, 1).reshape(96, -1)
    dense = 16 * matrix.T @ matrix + d @ d.T + 0.02 * eye
    right = np.random.default_rng(2).standard_normal((3, *shape))
    found = tv_solver(matrix, shape)._quadratic(right)
    np.testing.assert_allclose(found.reshape(3, -1), np.linalg.solve(dense, right.reshape(3, -1).T).T, atol=1e-10)


def test_float32_agrees_with_float64_and_rows_with_blocks() -> None:
    shape = (2, 12, 8)
    matrix, b = problem(shape, 64, seed=6)
    b = np.concatenate([b] * BLOCK)[: BLOCK + 3] * np.linspace(0.5, 2, BLOCK + 3)[:, None]
    double = tv_solver(matrix, shape).solve(b, 100.0, "complex")
    single = tv_solver(matrix.astype("f4"), shape).solve(b.astype("f4"), 100.0, "complex")
    assert single.dtype == np.float32
    assert np.linalg.norm(single - double) < 1e-3 * np.linalg.norm(double)  # -60 dB of the image


def test_failures_are_explained() -> None:
    matrix, b = problem((2, 6, 6), 20, seed=7)
    with pytest.raises(ModelError, match="not made for these images"):
        tv_solver(matrix, (2, 6, 7))
    b[0, 0] = np.nan
    with pytest.raises(ModelError, match="finite"):
        tv_solver(matrix, (2, 6, 6)).solve(b, 1.0, "isotropic")
    with pytest.raises(ModelError, match="images"):
        Tval3().setup(SPEC, make_meta((2, 12, 8), ArrayMeta(1, 8), dims=("rx", "delay", "angle")))
    model = Tval3()
    model.setup(SPEC, META)
    with pytest.raises(ModelError, match="fit"):
        model.decoder()


@pytest.mark.parametrize("model_class", [Tval3, Tval3Aniso, Tval3Complex])
def test_codec_through_pickle_in_any_order_and_batch(model_class: type[Tval3]) -> None:
    h = patches(70, SHAPE, 0)
    model = ready(model_class(), SPEC, FakePart(make_batch(h, META), {"H": h}))
    assert model.mu in MUS
    assert model.measurement.digest == measurement(SPEC, META).digest
    decoder, encoder = (pickle.loads(pickle.dumps(half)) for half in (model.decoder(), model.encoder()))
    payloads = encoder(make_batch(h, META))
    assert {payload.bits for payload in payloads} == {64 * 32}
    found = same_whatever_the_batch(lambda batch: decoder(encoder(batch)), make_batch(h, META))
    assert found.dtype == np.complex64
    assert (
        np.sum(np.abs(found - h) ** 2) / np.sum(np.abs(h) ** 2)
        < {Tval3: 0.1, Tval3Aniso: 0.1, Tval3Complex: 0.05}[model_class]
    )
    assert decoder([]).shape == (0, *SHAPE)


def test_mu_is_the_best_of_the_grid_and_the_answer_scales() -> None:
    h = patches(40, SHAPE, 5)
    model = ready(Tval3(), SPEC, FakePart(make_batch(h, META), {"H": h}))
    payloads = model.measurement(make_batch(h, META))
    errors = [np.linalg.norm(Tval3Decoder(model.solver, "isotropic", mu)(payloads) - h) for mu in MUS]
    assert model.mu == MUS[int(np.argmin(errors))]
    once = model.decoder()(payloads)
    scaled = model.decoder()([Payload.of_reals(8 * payload.reals()) for payload in payloads])
    np.testing.assert_allclose(scaled, 8 * once, rtol=1e-5, atol=1e-5)
    assert not model.decoder()([Payload.of_reals(np.zeros(64))]).any()
