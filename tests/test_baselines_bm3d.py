"""The denoisers against plain loops written from the papers, and against what they must do to noise."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from scipy.fft import dctn, idctn
from scipy.linalg import hadamard

from wbench.errors import MissingDependencyError
from wbench_baselines.codecs.damp import UserBm3d
from wbench_baselines.codecs.denoise import BlockMatching, Denoiser, SlidingDct, dct_basis, haar_basis


def cartoon(n: int, size: int = 32) -> np.ndarray:
    """Images of two levels with diagonal edges, float64 [n, size, size]."""
    i, j = np.mgrid[:size, :size]
    return np.stack([((i + (k + 1) * j) // 8 % 2) * 2.0 - 1 for k in range(n)])


def noisy(images: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    return images + sigma * np.random.default_rng(seed).standard_normal(images.shape)


def patch(image: np.ndarray, i: int, j: int, size: int) -> np.ndarray:
    return np.take(np.take(image, range(i, i + size), 0, mode="wrap"), range(j, j + size), 1, mode="wrap")


def paste(target: np.ndarray, i: int, j: int, values: np.ndarray) -> None:
    for (a, b), value in np.ndenumerate(values):
        target[(i + a) % target.shape[0], (j + b) % target.shape[1]] += value


def haar(values: np.ndarray) -> np.ndarray:
    """Haar transform along the first axis by the usual pyramid: means and differences of neighbours."""
    if len(values) == 1:
        return values
    mean, difference = (values[::2] + values[1::2]) / np.sqrt(2), (values[::2] - values[1::2]) / np.sqrt(2)
    return np.concatenate([haar(mean), difference])


def inverse_haar(values: np.ndarray) -> np.ndarray:
    if len(values) == 1:
        return values
    mean, difference = inverse_haar(values[: len(values) // 2]), values[len(values) // 2 :]
    out = np.empty_like(values)
    out[::2], out[1::2] = (mean + difference) / np.sqrt(2), (mean - difference) / np.sqrt(2)
    return out


def plain_sliding_dct(image: np.ndarray, sigma: float, threshold: float, size: int) -> np.ndarray:
    total = np.zeros_like(image)
    for i, j in np.ndindex(image.shape):
        spectrum = dctn(patch(image, i, j, size), norm="ortho")
        paste(total, i, j, idctn(np.where(np.abs(spectrum) > threshold * sigma, spectrum, 0), norm="ortho"))
    return total / size**2


def plain_block_matching(image: np.ndarray, sigma: float, d: BlockMatching) -> np.ndarray:
    every = list(np.ndindex(image.shape))
    patches = {at: patch(image, *at, d.patch) for at in every}
    top, bottom = np.zeros_like(image), np.zeros_like(image)
    for reference in every:
        if reference[0] % d.step or reference[1] % d.step:
            continue
        near = sorted(every, key=lambda at: float(((patches[at] - patches[reference]) ** 2).sum()))[: d.stack]
        assert near[0] == reference
        spectrum = haar(np.stack([dctn(patches[at], norm="ortho") for at in near]))
        kept = np.abs(spectrum) > d.threshold * sigma
        weight = 1 / max(1, int(kept.sum()))
        for at, block in zip(near, inverse_haar(np.where(kept, spectrum, 0)), strict=True):
            paste(top, *at, weight * idctn(block, norm="ortho"))
            paste(bottom, *at, np.full((d.patch, d.patch), weight))
    return top / bottom


def test_bases_are_orthonormal_and_known() -> None:
    rng = np.random.default_rng(0)
    image = rng.standard_normal((4, 4))
    np.testing.assert_allclose(dct_basis(4) @ image.ravel(), dctn(image, norm="ortho").ravel(), atol=1e-12)
    for size in (2, 8, 16):
        np.testing.assert_allclose(haar_basis(size) @ haar_basis(size).T, np.eye(size), atol=1e-12)
        np.testing.assert_allclose(haar_basis(size)[0], np.full(size, size**-0.5), atol=1e-12)
    np.testing.assert_allclose(haar_basis(2), hadamard(2) / np.sqrt(2), atol=1e-12)
    values = rng.standard_normal((8, 3))
    np.testing.assert_allclose(haar_basis(8) @ values, haar(values), atol=1e-12)
    np.testing.assert_allclose(inverse_haar(haar(values)), values, atol=1e-12)


@pytest.mark.parametrize("size", [3, 4])
def test_sliding_dct_equals_the_plain_loop(size: int) -> None:
    images = noisy(cartoon(2, 11)[:, :, :9], 0.5)
    found = SlidingDct(2.7, size)(images, np.array([0.5, 0.3]))
    for image, sigma, ours in zip(images, (0.5, 0.3), found, strict=True):
        np.testing.assert_allclose(ours, plain_sliding_dct(image, sigma, 2.7, size), atol=1e-12)


@pytest.mark.parametrize("denoiser", [BlockMatching(), BlockMatching(2.0, patch=3, stack=8, step=2)])
def test_block_matching_equals_the_plain_loop(denoiser: BlockMatching) -> None:
    images = noisy(cartoon(2, 12)[:, :, :10], 0.4, seed=1)
    found = denoiser(images, np.array([0.4, 0.6]))
    for image, sigma, ours in zip(images, (0.4, 0.6), found, strict=True):
        np.testing.assert_allclose(ours, plain_block_matching(image, sigma, denoiser), atol=1e-10)


@pytest.mark.parametrize("denoiser", [SlidingDct(), BlockMatching()])
def test_denoiser_removes_noise_and_keeps_images(denoiser: Denoiser) -> None:
    clean = cartoon(3)
    for sigma in (0.1, 0.3):
        found = denoiser(noisy(clean, sigma), np.full(3, sigma))
        assert np.mean((found - clean) ** 2) < 0.95 * sigma**2
    np.testing.assert_allclose(denoiser(clean, np.full(3, 1e-9)), clean, atol=1e-7)
    pure = denoiser(noisy(np.zeros((3, 32, 32)), 1.0), np.ones(3))
    assert np.mean(pure**2) < 0.25
    assert not denoiser(np.zeros((1, 32, 32)), np.zeros(1)).any()


@pytest.mark.parametrize("denoiser", [SlidingDct(), BlockMatching()])
def test_denoiser_sees_one_image_scales_with_it_and_keeps_float32(denoiser: Denoiser) -> None:
    images = noisy(cartoon(20), 0.3).astype(np.float32)
    sigma = np.linspace(0.2, 0.5, 20)
    whole = denoiser(images, sigma)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([denoiser(images[[k]], sigma[[k]]) for k in range(20)]), whole)
    order = np.random.default_rng(3).permutation(20)
    np.testing.assert_array_equal(denoiser(images[order], sigma[order]), whole[order])
    np.testing.assert_allclose(denoiser(4 * images, 4 * sigma), 4 * whole, rtol=1e-6, atol=1e-6)
    double = denoiser(images.astype(np.float64), sigma)
    assert np.mean(np.abs(double - whole) < 1e-4) > 0.98  # a coefficient at the threshold may fall on either side


def test_blocks_of_a_repeated_pattern_are_matched() -> None:
    # A periodic image holds exact copies of every patch: noise falls by the size of the stack.
    i, j = np.mgrid[:32, :32]
    clean = np.random.default_rng(4).standard_normal((8, 8))[i % 8, j % 8][None]
    found = BlockMatching()(noisy(clean, 0.2), np.array([0.2]))
    alone = SlidingDct()(noisy(clean, 0.2), np.array([0.2]))
    assert np.mean((found - clean) ** 2) < 0.25 * np.mean((alone - clean) ** 2)


def test_users_package_is_called_on_unit_range_or_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm3d", None)
    images = noisy(cartoon(2), 0.3).astype(np.float32)
    with pytest.raises(MissingDependencyError, match="non-commercial"):
        UserBm3d()(images, np.full(2, 0.3))
    seen = []

    def fake(image: np.ndarray, sigma: float) -> np.ndarray:
        seen.append((image.min(), image.max(), sigma))
        return 0.5 + (image - 0.5) / 2

    monkeypatch.setitem(sys.modules, "bm3d", types.SimpleNamespace(bm3d=fake))
    found = UserBm3d()(images, np.array([0.3, 0.1]))
    np.testing.assert_allclose(found, images / 2, atol=1e-6)
    assert all(0 <= low < high <= 1 for low, high, _ in seen)
    peaks = 2 * np.abs(images).max((1, 2))
    np.testing.assert_allclose([one for *_, one in seen], np.array([0.3, 0.1]) / peaks)
    assert not UserBm3d()(np.zeros((1, 8, 8)), np.ones(1)).any()
