"""Denoising-based approximate message passing (D-AMP), batched, with a safe damped mode.

Source: C. A. Metzler, A. Maleki, R. G. Baraniuk, "From Denoising to Compressed Sensing", IEEE Trans. Inf. Theory 62(9),
2016: the iteration (eq. 6-8) and the Monte Carlo divergence (Sec. VI, after S. Ramani, T. Blu, M. Unser 2008). Damping:
S. Rangan, P. Schniter, A. Fletcher, "On the Convergence of Approximate Message Passing with Arbitrary Matrices",
IEEE ISIT 2014. One real image per plane of the channel; the noise level is common to the planes of a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench_baselines.codecs.denoise import Denoiser

__all__ = ["BLOCK", "Amp", "AmpTrace"]

Floats = npt.NDArray[np.floating[Any]]

BLOCK = 32  # rows of the products with A, always as many: what a row gives must not depend on the rows beside it
PROBE_STEP = 1e-3  # ε of the divergence, relative to the largest pixel
LARGEST_DIVERGENCE = 0.95  # of M, in the safe mode: the Onsager factor stays below 1
RUNAWAY = 1e6  # the residual has grown by this factor: the row has diverged and rests, before numbers overflow


@dataclass(frozen=True)
class AmpTrace:
    """What :meth:`Amp.solve` found.

    Attributes
    ----------
    x : float ndarray [n, planes, d1, d2]
        Reconstructions.
    sigma : float64 ndarray [n, iterations + 1]
        ‖z_t‖/√M, in theory the noise of the pseudo-data Aᵀz_t + x_t.
    """

    x: Floats
    sigma: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Amp:
    """D-AMP for one A.

    x_{t+1} = D(r_t; σ_t),  r_t = x_t + Aᵀz_t,  σ_t = ‖z_t‖/√M,  z_{t+1} = y - A x_{t+1} + z_t div D(r_t)/M

    Attributes
    ----------
    matrix : float ndarray [M, N]
        A, entries of variance 1/M; its dtype is that of the computation.
    probes : float ndarray [iterations, N]
        Signs ±1 for the divergence, one row per iteration, the same for all samples.
    shape : (planes, d1, d2)
        Shape of x.
    denoiser : Denoiser
        D.
    damping : float
        In (0, 1]: x and z move by this fraction; 1 is plain D-AMP.
    safe : bool
        Clip the divergence to [0, 0.95 M], and answer with the iterate of the smallest residual ‖z‖, x = 0 included.
        Without it the answer is the last iterate, as published, converged or not.
    """

    matrix: Floats
    probes: Floats
    shape: tuple[int, int, int]
    denoiser: Denoiser
    damping: float = 0.5
    safe: bool = True

    def solve(self, y: Floats) -> AmpTrace:
        """Reconstruct every row of y [n, M].

        Raises
        ------
        ModelError
            A measurement is not finite.
        """
        if not np.isfinite(y).all():
            raise ModelError("AMP needs finite measurements.", why=f"{np.sum(~np.isfinite(y))} of {y.size} are not")
        x, best = (np.zeros((len(y), self.matrix.shape[1]), y.dtype) for _ in range(2))
        z, sigma = y.copy(), np.zeros((len(y), len(self.probes) + 1))
        sigma[:, 0] = least = _level(z)
        live = least > 0
        for step, probe in enumerate(self.probes, 1):
            at = np.flatnonzero(live)
            moved, residual = self._step(x[at], z[at], y[at], sigma[at, step - 1], probe)
            x[at], z[at] = moved, residual
            sigma[:, step] = _level(z)
            better = sigma[:, step] < least
            best[better], least[better] = x[better], sigma[better, step]
            live &= (sigma[:, step] < RUNAWAY * sigma[:, 0]) & (sigma[:, step] > 0)
        return AmpTrace((best if self.safe else x).reshape(len(y), *self.shape), sigma)

    def _step(
        self, x: Floats, z: Floats, y: Floats, sigma: npt.NDArray[np.float64], probe: Floats
    ) -> tuple[Floats, Floats]:
        m = len(self.matrix)
        r = x + _blocks(z, self.matrix)
        step = PROBE_STEP * np.max(np.abs(r), axis=1, keepdims=True)
        found = self._denoise(r, sigma)
        change = (self._denoise(r + step * probe, sigma) - found).astype(np.float64)
        slope = np.einsum("ij,j->i", change, probe.astype(np.float64)) / np.maximum(step[:, 0], np.finfo(y.dtype).tiny)
        if self.safe:
            slope = np.clip(slope, 0, LARGEST_DIVERGENCE * m)
        damping = y.dtype.type(self.damping)
        x = x + damping * (found - x)
        onsager = (slope / m).astype(y.dtype)[:, None]
        return x, z + damping * (y - _blocks(x, self.matrix.T) + onsager * z - z)

    def _denoise(self, r: Floats, sigma: npt.NDArray[np.float64]) -> Floats:
        """D of every plane of rows [n, N]."""
        planes, rows, columns = self.shape
        images = self.denoiser(r.reshape(-1, rows, columns), np.repeat(sigma, planes))
        return np.asarray(images, dtype=r.dtype).reshape(r.shape)


def _level(z: Floats) -> npt.NDArray[np.float64]:
    return np.asarray(np.linalg.norm(z.astype(np.float64), axis=1) / np.sqrt(z.shape[1]))


def _blocks(rows: Floats, matrix: Floats) -> Floats:
    """Product rows @ matrix by blocks of always the same shape."""
    out = np.empty((len(rows), matrix.shape[1]), rows.dtype)
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        count = len(block)
        if count < BLOCK:
            block = np.concatenate([block, np.zeros((BLOCK - count, rows.shape[1]), rows.dtype)])
        out[start : start + count] = (block @ matrix)[:count]
    return out
