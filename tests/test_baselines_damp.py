"""D-AMP: the iteration against a plain loop and state evolution; divergence as published; the codecs' contract."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from tests.helpers_models import FakePart, make_batch, make_meta, make_spec, ready, same_whatever_the_batch
from wbench.errors import ModelError
from wbench.model import Payload
from wbench.task.batch import ArrayMeta
from wbench.task.spec import Limit
from wbench_baselines.codecs.amp import Amp
from wbench_baselines.codecs.damp import Bm3dLiteAmp, Bm3dLiteAmpUndamped, DctAmp, UserBm3dAmp, divergence_probes
from wbench_baselines.codecs.denoise import BlockMatching, SlidingDct

SHAPE = (16, 16)
META = make_meta(SHAPE, ArrayMeta(1, 16), dims=("delay", "angle"))
SPEC = make_spec("csi-feedback-ratio", "compress", limit=Limit(reals=256))
FEW = make_spec("csi-feedback-ratio", "compress", limit=Limit(reals=16))


def blobs(n: int, seed: int) -> np.ndarray:
    """Complex images of two smooth peaks each, unit rms, complex64 [n, 16, 16]."""
    rng = np.random.default_rng(seed)
    h = np.zeros((n, *SHAPE), np.complex64)
    i, j = np.mgrid[:16, :16]
    for image in h:
        for _ in range(2):
            a, b, gain = *rng.uniform(2, 14, 2), rng.standard_normal() + 1j * rng.standard_normal()
            image += (gain * np.exp(-((i - a) ** 2 + (j - b) ** 2) / 3)).astype(np.complex64)
    return h / np.sqrt((np.abs(h) ** 2).mean((1, 2), keepdims=True))


def error_db(found: np.ndarray, h: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(np.abs(found - h) ** 2) / np.sum(np.abs(h) ** 2)))


def part(h: np.ndarray) -> FakePart:
    return FakePart(make_batch(h, META), {"H": h})


@dataclass(frozen=True)
class Soft:
    """Soft threshold: its divergence is the number of pixels that survive."""

    factor: float

    def __call__(self, images: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        return np.sign(images) * np.maximum(np.abs(images) - self.factor * sigma[:, None, None], 0)


def sparse_problem(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A [600, 1250], sparse x [n, 1250] and y."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((600, 1250)) / np.sqrt(600)
    x = rng.standard_normal((n, 1250)) * (rng.random((n, 1250)) < 0.1)
    return matrix, x, x @ matrix.T


def probes(iterations: int, size: int) -> np.ndarray:
    return np.random.default_rng(9).integers(0, 2, (iterations, size)) * 2.0 - 1


def test_iteration_equals_a_plain_loop_with_the_exact_divergence() -> None:
    matrix, _, y = sparse_problem(3, 0)
    found = Amp(matrix, probes(12, 1250), (2, 25, 25), Soft(1.6), damping=1.0, safe=False).solve(y)
    for row, ours, level in zip(y, found.x, found.sigma, strict=True):
        x, z = np.zeros(1250), row
        for step in range(12):
            sigma = np.linalg.norm(z) / np.sqrt(600)
            assert level[step] == pytest.approx(sigma, rel=0.05)
            r = x + matrix.T @ z
            x = np.sign(r) * np.maximum(np.abs(r) - 1.6 * sigma, 0)
            z = row - matrix @ x + z * np.count_nonzero(x) / 600
        assert np.linalg.norm(ours.ravel() - x) < 0.05 * np.linalg.norm(x)


def test_residual_follows_state_evolution() -> None:
    # σ²_{t+1} = N/M · E (D(x + σ_t w) - x)², the theory of undamped AMP with i.i.d. A (Metzler et al., eq. 9).
    matrix, x, y = sparse_problem(40, 1)
    found = Amp(matrix, probes(8, 1250), (2, 25, 25), Soft(1.6), damping=1.0, safe=False).solve(y)
    rng = np.random.default_rng(2)
    sigma = np.sqrt(np.mean(x**2, axis=1, keepdims=True) * 1250 / 600)  # of every sample its own
    for measured in found.sigma.T:
        assert np.sqrt(np.mean(measured**2)) == pytest.approx(np.sqrt(np.mean(sigma**2)), rel=0.08)
        r = x + sigma * rng.standard_normal(x.shape)
        estimate = np.sign(r) * np.maximum(np.abs(r) - 1.6 * sigma, 0)
        sigma = np.sqrt(np.mean((estimate - x) ** 2, axis=1, keepdims=True) * 1250 / 600)
    assert sigma.mean() < 0.3 * found.sigma[:, 0].mean()


def test_pseudo_data_noise_is_what_the_denoiser_is_told() -> None:
    levels, errors = [], []
    h = blobs(30, 3)
    images = np.stack([h.real, h.imag], 1).astype(np.float64)

    def spy(pixels: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        levels.append(float(np.sqrt(np.mean(sigma**2))))
        errors.append(float(np.sqrt(np.mean((pixels.reshape(images.shape) - images) ** 2))))
        return SlidingDct()(pixels, sigma)

    rng = np.random.default_rng(4)
    matrix = rng.standard_normal((256, 512)) / 16
    Amp(matrix, probes(6, 512), (2, 16, 16), spy, damping=1.0, safe=False).solve(images.reshape(30, -1) @ matrix.T)
    np.testing.assert_allclose(errors[::2], levels[::2], rtol=0.2)  # every second call is the divergence probe
    assert errors[10] < 0.2 * errors[0]


def test_safe_mode_is_never_worse_than_nothing_and_undamped_diverges() -> None:
    h = blobs(6, 5)
    for spec in (SPEC, FEW):
        undamped, safe = ready(Bm3dLiteAmpUndamped(), spec, part(h)), ready(Bm3dLiteAmp(), spec, part(h))
        sent = undamped.measurement(make_batch(h, META))
        plain, damped = error_db(undamped.decoder()(sent), h), error_db(safe.decoder()(sent), h)
        if spec is FEW:
            assert plain > 20  # as the entries of +24 dB of the CsiNet table
            assert damped < 1
        else:
            assert damped < -8
        assert np.isfinite(undamped.decoder()(sent)).all()


def test_zero_and_broken_measurements() -> None:
    matrix, _, y = sparse_problem(2, 6)
    y[0] = 0
    found = Amp(matrix, probes(3, 1250), (2, 25, 25), Soft(1.6)).solve(y)
    assert not found.x[0].any()
    assert found.x[1].any()
    y[0, 0] = np.inf
    with pytest.raises(ModelError, match="finite"):
        Amp(matrix, probes(3, 1250), (2, 25, 25), BlockMatching()).solve(y)
    with pytest.raises(ModelError, match="images"):
        DctAmp().setup(SPEC, make_meta((2, 16, 16), ArrayMeta(1, 16), dims=("rx", "delay", "angle")))
    model = DctAmp()
    model.setup(SPEC, META)
    with pytest.raises(ModelError, match="fit"):
        model.decoder()


def test_probes_belong_to_the_measurement() -> None:
    first, other = DctAmp(), DctAmp()
    first.setup(SPEC, META)
    other.setup(FEW, META)
    assert set(np.unique(first.probes)) == {-1.0, 1.0}
    assert first.probes.shape == (first.iterations, 512)
    np.testing.assert_array_equal(first.probes[:5], divergence_probes(first.measurement, 5))
    assert np.any(first.probes != other.probes)


@pytest.mark.parametrize(("model_class", "n", "most"), [(DctAmp, 40, -20), (Bm3dLiteAmp, 10, -8)])
def test_codec_through_pickle_in_any_order_and_batch(model_class: type[DctAmp], n: int, most: float) -> None:
    h = blobs(n, 0)
    model = ready(model_class(), SPEC, part(h))
    assert model.threshold in model.thresholds
    decoder, encoder = (pickle.loads(pickle.dumps(half)) for half in (model.decoder(), model.encoder()))
    assert {payload.bits for payload in encoder(make_batch(h, META))} == {256 * 32}
    found = same_whatever_the_batch(lambda batch: decoder(encoder(batch)), make_batch(h, META))
    assert found.dtype == np.complex64
    assert error_db(found, h) < most
    assert decoder([]).shape == (0, *SHAPE)


def test_threshold_is_the_best_of_the_grid_and_the_answer_scales() -> None:
    h = blobs(20, 7)
    model = ready(DctAmp(), SPEC, part(h))
    sent = model.measurement(make_batch(h, META))
    errors = [np.linalg.norm(model.at(one)(sent) - h) for one in model.thresholds]
    assert model.threshold == model.thresholds[int(np.argmin(errors))]
    once = model.decoder()(sent)
    scaled = model.decoder()([Payload.of_reals(8 * payload.reals()) for payload in sent])
    np.testing.assert_allclose(scaled, 8 * once, rtol=1e-4, atol=1e-4)


def test_users_bm3d_says_its_licence() -> None:
    assert "non-commercial" in UserBm3dAmp.info.licence
    assert not any("BM3D-AMP" in model.info.summary.upper() for model in (Bm3dLiteAmp, Bm3dLiteAmpUndamped))
