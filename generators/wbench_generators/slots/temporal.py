"""Covariance and correlation of the channel over the pilot symbols of a slot."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench_generators.slots.delay import LEAST_SHARE

__all__ = ["correlation_of", "time_covariance"]

C64 = npt.NDArray[np.complex64]
C128 = npt.NDArray[np.complex128]
F64 = npt.NDArray[np.float64]


def time_covariance(pilots: C64, noise: F64) -> C128:
    """Covariance over the pilot symbols, noise taken off the diagonal.

    Parameters
    ----------
    pilots : complex64 ndarray [T, |S|, N_R, N_T, blocks]
        Channel estimates at the pilots.
    noise : float64 ndarray [T]
        Their mean noise power.

    Returns
    -------
    complex128 ndarray [T, |S|, |S|]
        Mean of ``h_s h_s'*`` over antennas and subcarriers; Hermitian, with a positive diagonal.
    """
    rows = pilots.reshape(*pilots.shape[:2], -1)
    found = (rows @ rows.conj().transpose(0, 2, 1)).astype(np.complex128) / rows.shape[2]
    diagonal = np.arange(found.shape[1])
    power = found[:, diagonal, diagonal].real
    found[:, diagonal, diagonal] = np.maximum(power - noise[:, None], LEAST_SHARE * power)
    return found


def correlation_of(covariance: C128) -> C128:
    """Correlation ``C_ss' / √(C_ss C_s's')`` of a covariance [T, n, n], at most 1 in modulus."""
    deviation = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2).real)
    found = covariance / (deviation[:, :, None] * deviation[:, None, :])
    return np.asarray(found / np.maximum(np.abs(found), 1.0))
