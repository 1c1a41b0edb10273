"""Noise covariance from empty resource elements."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["noise_covariance", "noise_power"]

C64 = npt.NDArray[np.complex64]
C128 = npt.NDArray[np.complex128]


def noise_covariance(empty: C64) -> C128:
    """Sample covariance of what arrives on empty resource elements.

    Parameters
    ----------
    empty : complex64 ndarray [T, |S|, N_R, n, blocks]
        Noise and interference.

    Returns
    -------
    complex128 ndarray [T, N_R, N_R]
        ``(1/N) Σ n nᴴ`` over the N = |S|·n·blocks elements of each slot; unbiased.
    """
    steps, _, rx, _, _ = empty.shape
    rows = np.moveaxis(empty, 2, 1).reshape(steps, rx, -1)
    return np.asarray((rows @ rows.conj().transpose(0, 2, 1)) / rows.shape[2], dtype=np.complex128)


def noise_power(covariance: C128) -> npt.NDArray[np.float64]:
    """Mean noise power of an antenna: float64 [T]."""
    return np.asarray(np.trace(covariance, axis1=1, axis2=2).real / covariance.shape[1])
