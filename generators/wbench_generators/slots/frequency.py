"""Channel of subcarrier groups, and its correlation over the groups."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench_generators.slots.delay import correlation_over

__all__ = ["frequency_correlation", "group_channel"]

C64 = npt.NDArray[np.complex64]
C128 = npt.NDArray[np.complex128]
F64 = npt.NDArray[np.float64]


def group_channel(pilots: C64, frequencies: F64, centres: F64, delay: F64) -> C64:
    """Mean channel of each subcarrier group, without the turn that the bulk delay makes within a group.

    Parameters
    ----------
    pilots : complex64 ndarray [T, |S|, N_R, N_T, blocks]
        Channel estimates at the pilots.
    frequencies : float64 ndarray [N_T, blocks]
        Baseband frequencies of the pilots in Hz.
    centres : float64 ndarray [B]
        Those of the groups' centres.
    delay : float64 ndarray [T]
        Centre of the delay profile in s: removed before, and put back after the mean.

    Returns
    -------
    complex64 ndarray [T, |S|, N_R, N_T, B]
    """
    ahead = np.exp(2j * np.pi * (delay[:, None, None] * frequencies)).astype(np.complex64)
    back = np.exp(-2j * np.pi * (delay[:, None] * centres)).astype(np.complex64)
    still = pilots * ahead[:, None, None]
    mean = still.reshape(*still.shape[:-1], len(centres), -1).mean(axis=-1)
    return np.asarray(mean * back[:, None, None, None], dtype=np.complex64)


def frequency_correlation(channel: C64, noise: F64) -> C64:
    """Correlation over subcarrier groups, the same along each diagonal: the first column of a Hermitian B x B matrix.

    Parameters
    ----------
    channel : complex64 ndarray [T, |S|, N_R, N_T, B]
        :func:`group_channel`.
    noise : float64 ndarray [T]
        Noise power of a group's mean channel, taken off the received power.

    Returns
    -------
    complex64 ndarray [T, B]
        ``ρ[j] = E h_{b+j} h_b* / E |h_b|²``, j = 0 … B − 1; each lag is a mean over its B − j pairs, all antennas
        and pilot symbols, at most 1 in modulus, and ρ[0] = 1.

    Notes
    -----
    Uncorrelated scattering makes the correlation a function of the distance alone (Bello, IEEE Trans. Commun. Syst.
    11(4), 1963), so averaging along diagonals only takes noise away.
    """
    return correlation_over(channel, noise).astype(np.complex64)
