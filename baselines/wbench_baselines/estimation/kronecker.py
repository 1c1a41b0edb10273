"""LMMSE estimation with a covariance that is a Kronecker product of time, space and frequency."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wbench_baselines.estimation.common import Complex, Floats, Grid

__all__ = ["RIDGE", "Kronecker", "estimate", "grams", "of_grams"]

#: Ridge relative to the mean power. Only against an exactly singular matrix in clean tasks: real noise is far above.
RIDGE = 1e-10


class Kronecker(NamedTuple):
    """Covariance power · (time ⊗ space ⊗ frequency) of H; each factor is Hermitian and has a mean diagonal of 1.

    Attributes
    ----------
    time, space, frequency : complex128 ndarray [b, T, T], [b, antenna, antenna], [b, K, K]
        Factors; b is 1 for one covariance of all samples, n for one of each.
    power : float64 ndarray [b]
        Mean power of an element.
    """

    time: Complex
    space: Complex
    frequency: Complex
    power: Floats

    def shrunk(self, grid: float, space: float) -> Kronecker:
        """Move the factors towards identity: R → (1 − γ) R + γ I, with one γ for time and frequency, one for space."""
        return Kronecker(
            _shrunk(self.time, grid), _shrunk(self.space, space), _shrunk(self.frequency, grid), self.power
        )


def _shrunk(factor: Complex, gamma: float) -> Complex:
    return np.asarray((1 - gamma) * factor + gamma * np.eye(factor.shape[-1]))


def grams(channel: npt.NDArray[np.complexfloating]) -> tuple[Complex, Complex, Complex]:
    """Sums of x x^H over all vectors of each sample along time, space and frequency.

    Parameters
    ----------
    channel : complex ndarray [n, T, rx, tx, K]
        Clean channels.

    Returns
    -------
    complex128 ndarray [n, T, T], [n, rx·tx, rx·tx], [n, K, K]
    """
    n, times, tones = len(channel), channel.shape[1], channel.shape[-1]
    h = channel.reshape(n, times, -1, tones)
    vectors = h.reshape(n, times, -1), h.swapaxes(1, 2).reshape(n, h.shape[2], -1), np.moveaxis(h, 3, 1)
    flat = [np.ascontiguousarray(x).reshape(n, x.shape[1], -1) for x in vectors]
    time, space, frequency = ((x @ x.conj().swapaxes(-1, -2)).astype(np.complex128) for x in flat)
    return time, space, frequency


def of_grams(time: Complex, space: Complex, frequency: Complex, samples: int = 1) -> Kronecker:
    """Factors and power from (sums over ``samples`` samples of) :func:`grams`, [b, …]."""
    energy = np.trace(time, axis1=-2, axis2=-1).real
    elements = time.shape[-1] * space.shape[-1] * frequency.shape[-1]
    time, space, frequency = (r * (r.shape[-1] / energy)[:, None, None] for r in (time, space, frequency))
    return Kronecker(time, space, frequency, energy / (samples * elements))


def estimate(covariance: Kronecker, grid: Grid, y: Complex, noise: Floats) -> Complex:
    """LMMSE estimates R_hy (R_yy + σ² I)⁻¹ y of the whole grid.

    With R = U Λ U^H for each factor on the pilots, R_yy + σ² I is diagonal in the product of the bases: the filter is
    three small matrix products, a division, and three more products (S. M. Kay, Fundamentals of Statistical Signal
    Processing I, 1993, theorem 12.1; frequency only: O. Edfors et al., IEEE Trans. Commun. 46(7), 1998, eq. 8).

    Parameters
    ----------
    covariance : Kronecker
        Of the clean channel.
    grid : Grid
        Pilots.
    y : complex128 ndarray [n, pilot symbol, antenna, pilot tone]
        Noisy pilots.
    noise : float64 ndarray [n]
        Noise variance of each sample.

    Returns
    -------
    complex128 ndarray [n, T, antenna, K]
    """
    n, symbols, antennas, _ = y.shape
    on_symbols = covariance.time[:, grid.symbols[:, None], grid.symbols]
    on_tones = covariance.frequency[:, grid.tones[:, None], grid.tones]
    (lt, ut), (ls, us), (lf, uf) = (np.linalg.eigh(r) for r in (on_symbols, covariance.space, on_tones))
    # Into the eigenbases. One product of fixed size per sample, so that its bits do not hang on the batch.
    z = us.conj().swapaxes(-1, -2)[:, None] @ (y @ uf.conj()[:, None])
    z = (ut.conj().swapaxes(-1, -2) @ z.reshape(n, symbols, -1)).reshape(y.shape)
    gain = covariance.power[:, None, None, None] * lt[:, :, None, None] * ls[:, None, :, None] * lf[:, None, None, :]
    gain = np.maximum(gain, 0.0)  # rounding leaves tiny negative eigenvalues
    z *= covariance.power[:, None, None, None] / (gain + (noise + RIDGE * covariance.power)[:, None, None, None])
    # Out again, through the cross-covariances with the whole grid.
    back = (covariance.space @ us)[:, None] @ z
    back = back @ (covariance.frequency[:, :, grid.tones] @ uf).swapaxes(-1, -2)[:, None]
    out = (covariance.time[:, :, grid.symbols] @ ut) @ back.reshape(n, symbols, -1)
    return np.asarray(out.reshape(n, grid.shape[0], antennas, grid.shape[1]))
