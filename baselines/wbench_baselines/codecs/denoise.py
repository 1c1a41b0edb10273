"""Denoisers of real images by thresholding: translation-invariant DCT, and block matching with collaborative filtering.

Sources: R. R. Coifman, D. L. Donoho, "Translation-Invariant De-Noising", Lect. Notes Stat. 103, 1995 (all shifts, then
the mean); K. Dabov, A. Foi, V. Katkovnik, K. Egiazarian, "Image Denoising by Sparse 3-D Transform-Domain Collaborative
Filtering", IEEE Trans. Image Process. 16(8), 2007, Sec. III-A and eq. 1-12: the first of its two stages, hard
thresholding, written from the paper. Its second stage, Wiener filtering, and the Kaiser window are left out: "lite".

Images wrap around: so does the angle of a half-wavelength array, and a border would cost a 32 × 32 image many patches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["BlockMatching", "Denoiser", "SlidingDct", "dct_basis", "haar_basis"]

Floats = npt.NDArray[np.floating[Any]]
CHUNK = 16  # images whose patches are held at a time: they stay in the second-level cache


class Denoiser(Protocol):
    """Estimate of images from images with white Gaussian noise."""

    def __call__(self, images: Floats, sigma: Floats) -> Floats:
        """Denoise images [n, d1, d2] whose noise has standard deviation sigma [n]; each on its own."""
        ...


@lru_cache
def dct_basis(size: int) -> Floats:
    """Orthonormal 2-D DCT-II of size × size patches, float64 [coefficient, pixel], pixels in row-major order."""
    k, x = np.arange(size)[:, None], np.arange(size)
    one = np.cos(np.pi * (2 * x + 1) * k / (2 * size)) * np.sqrt(2 / size)
    one[0] /= np.sqrt(2)
    return np.kron(one, one)


@lru_cache
def haar_basis(size: int) -> Floats:
    """Orthonormal Haar transform of a power of two, float64 [coefficient, entry]."""
    basis = np.ones((1, 1))
    while len(basis) < size:
        basis = np.vstack([np.kron(basis, [1, 1]), np.kron(np.eye(len(basis)), [1, -1])]) / np.sqrt(2)
    return basis


@lru_cache
def _places(rows: int, columns: int, size: int) -> npt.NDArray[np.int64]:
    """Pixels of the patch at every pixel, upper left corner there, in row-major order: [rows·columns, size²]."""
    i, j = np.arange(rows)[:, None] + np.arange(size), np.arange(columns)[:, None] + np.arange(size)
    grid = (i % rows)[:, None, :, None] * columns + (j % columns)[None, :, None, :]
    return np.asarray(grid.reshape(rows * columns, size * size), dtype=np.int64)


def _patches(images: Floats, size: int) -> Floats:
    """Patches at every pixel: [n, d1, d2] → [n, d1·d2, size²]."""
    n, rows, columns = images.shape
    return np.take(images.reshape(n, rows * columns), _places(rows, columns, size), axis=1)


def _overlay(patches: Floats, shape: tuple[int, ...], size: int) -> Floats:
    """Transpose of :func:`_patches`: add every patch at its place, [n, d1·d2, size²] → [n, d1, d2]."""
    rows, columns = shape
    grid = patches.reshape(-1, rows, columns, size, size)
    tall = np.zeros((len(grid), rows + size - 1, columns + size - 1), patches.dtype)
    for i in range(size):
        for j in range(size):
            tall[:, i : i + rows, j : j + columns] += grid[..., i, j]
    tall[:, : size - 1] += tall[:, rows:]
    tall[:, :, : size - 1] += tall[:, :, columns:]
    return tall[:, :rows, :columns]


@dataclass(frozen=True)
class SlidingDct:
    """Hard threshold of the DCT of every patch, all shifts averaged.

    Attributes
    ----------
    threshold : float
        In standard deviations of the noise.
    patch : int
        Side of a patch.
    """

    threshold: float = 2.7
    patch: int = 4

    def __call__(self, images: Floats, sigma: Floats) -> Floats:
        """Denoise images [n, d1, d2] of noise sigma [n]."""
        basis = dct_basis(self.patch).astype(images.dtype)
        level = (self.threshold * sigma).astype(images.dtype)
        out = np.empty_like(images)
        for start in range(0, len(images), CHUNK):
            part = slice(start, start + CHUNK)
            coefficients = _patches(images[part], self.patch) @ basis.T
            coefficients *= np.abs(coefficients) > level[part, None, None]
            out[part] = _overlay(coefficients @ basis, images.shape[1:], self.patch)
        return out / images.dtype.type(self.patch**2)


@dataclass(frozen=True)
class BlockMatching:
    """Similar patches in a stack, hard threshold of its 3-D transform, weighted mean of all estimates of a pixel.

    Attributes
    ----------
    threshold : float
        Of the 3-D coefficients, in standard deviations of the noise (λ_3D of the paper, its value 2.7).
    patch, stack, step : int
        Side of a patch, patches of a stack (a power of two), distance of the reference patches.
    """

    threshold: float = 2.7
    patch: int = 4
    stack: int = 16
    step: int = 3

    def __call__(self, images: Floats, sigma: Floats) -> Floats:
        """Denoise images [n, d1, d2] of noise sigma [n]."""
        basis = dct_basis(self.patch).astype(images.dtype)
        shape, out = images.shape[1:], np.empty_like(images)
        grid = np.arange(shape[0] * shape[1]).reshape(shape)
        reference = grid[:: self.step, :: self.step].ravel()
        for image, noise, estimate in zip(images, sigma.astype(images.dtype), out, strict=True):
            coefficients = _patches(image[None], self.patch)[0] @ basis.T
            members = self.match(coefficients, reference)
            total, weight = self._filter(coefficients, members, noise)
            weights = np.broadcast_to(weight[:, None], total.shape)
            estimate[:] = _overlay((total @ basis)[None], shape, self.patch)[0]
            estimate /= _overlay(weights[None], shape, self.patch)[0]
        return out

    def match(self, coefficients: Floats, reference: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Patches nearest to each reference patch, itself first: int64 [reference, stack] (eq. 4, λ_2D = 0)."""
        power = np.einsum("ij,ij->i", coefficients, coefficients)
        distance = power - 2 * (coefficients[reference] @ coefficients.T)
        distance[np.arange(len(reference)), reference] = -np.inf
        size = min(self.stack, len(coefficients))
        near = np.sort(np.argpartition(distance, size - 1, axis=1)[:, :size], axis=1)
        order = np.argsort(np.take_along_axis(distance, near, axis=1), axis=1, kind="stable")
        return np.asarray(np.take_along_axis(near, order, axis=1))

    def _filter(self, coefficients: Floats, members: npt.NDArray[np.int64], sigma: float) -> tuple[Floats, Floats]:
        """Weighted sums of the estimates of every patch, in the DCT domain, and the sums of the weights."""
        haar = haar_basis(members.shape[1]).astype(coefficients.dtype)
        stacks = coefficients[members]
        spectrum = np.matmul(haar, stacks)
        kept = np.abs(spectrum) > self.threshold * sigma
        spectrum *= kept
        weight = 1 / np.maximum(kept.sum(axis=(1, 2)), 1).astype(coefficients.dtype)  # eq. 10, σ² cancels
        estimates = np.matmul(haar.T, spectrum) * weight[:, None, None]
        return _scatter(members, estimates, weight, len(coefficients))


def _scatter(members: npt.NDArray[np.int64], estimates: Floats, weight: Floats, count: int) -> tuple[Floats, Floats]:
    """Add estimates [stack, member, coefficient] and weights [stack] to the patches that they belong to."""
    from scipy.sparse import csc_array

    size = members.size
    each = np.ones(size, estimates.dtype)
    place = csc_array((each, members.ravel(), np.arange(size + 1)), shape=(count, size))
    total = place @ estimates.reshape(size, -1)
    return np.asarray(total), np.asarray(place @ np.repeat(weight, members.shape[1]))
