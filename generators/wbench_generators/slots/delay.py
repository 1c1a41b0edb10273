"""Centre and length of the delay profile, from the correlation of the channel over resource blocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["LEAST_SHARE", "block_correlation", "correlation_over", "delay_moments", "profile_moments"]

C64 = npt.NDArray[np.complex64]
C128 = npt.NDArray[np.complex128]
F64 = npt.NDArray[np.float64]

#: Least share of the received power that is taken to be signal: noise compensation cannot turn a power negative.
LEAST_SHARE = 0.05
#: Times that the circle's cut is moved opposite to the centre found.
CENTRINGS = 4
#: Middle of the cyclic prefix in turns of the circle: 144 of 2048 samples, 12 subcarriers from pilot to pilot.
MIDDLE = 144 / 2048 * 12 / 2


def block_correlation(pilots: C64, noise: F64) -> C128:
    """Correlation of the channel over resource blocks.

    Parameters
    ----------
    pilots : complex64 ndarray [T, |S|, N_R, N_T, blocks]
        Channel estimates at the pilots.
    noise : float64 ndarray [T]
        Their mean noise power, taken off the received power.

    Returns
    -------
    complex128 ndarray [T, blocks // 2]
        At 1, 2 … blocks apart, modulus at most 1.
    """
    return correlation_over(pilots, noise)[:, 1 : pilots.shape[-1] // 2 + 1]


def correlation_over(channel: C64, noise: F64) -> C128:
    """Correlation over the last axis: complex128 [T, K], lag 0 … K − 1, each lag a mean over all pairs there are.

    Parameters
    ----------
    channel : complex64 ndarray [T, …, K]
        Channel estimates.
    noise : float64 ndarray [T]
        Noise power of an entry, taken off the received power.
    """
    count = channel.shape[-1]
    rows = channel.reshape(len(channel), -1, count)
    spectrum = np.abs(np.fft.fft(rows, 2 * count, axis=-1)) ** 2  # zero-padded: lags do not wrap around
    sums = np.fft.ifft(spectrum.sum(axis=1, dtype=np.float64), axis=-1)[:, :count]
    lags = sums / (rows.shape[1] * (count - np.arange(count)))
    power = lags[:, 0].real
    found = lags / np.maximum(power - noise, LEAST_SHARE * power)[:, None]
    found /= np.maximum(np.abs(found), 1.0)
    found[:, 0] = 1.0
    return np.asarray(found)


def delay_moments(correlation: C128, step_hz: float) -> tuple[F64, F64]:
    """Centre and length of the delay profile: its mean and standard deviation.

    Parameters
    ----------
    correlation : complex128 ndarray [T, J]
        :func:`block_correlation`.
    step_hz : float
        Distance Δ of two pilots of a port in Hz; delays are known on a circle of 1/Δ.

    Returns
    -------
    centre, length : float64 ndarray [T]
        s; the centre between −1/(4Δ) and 3/(4Δ).

    Notes
    -----
    The correlation over frequency is the characteristic function of the profile. On a circle cut opposite to the
    centre, ``φ = Σ_j 2(−1)^(j+1) sin(jφ)/j`` and ``φ² = Σ_j 4(−1)^(j+1) (1 − cos jφ)/j²``, so that mean and variance
    are sums over the lags j, here with Lanczos factors against the cut (C. Lanczos, Applied Analysis, 1956, Sec. 4.6).
    The first cut is opposite to the middle of the cyclic prefix, where no path is; the others opposite to the mean.
    """
    lag = np.arange(1, correlation.shape[1] + 1)
    factor = np.sinc(lag / (len(lag) + 1)) * np.where(lag % 2, 1.0, -1.0)
    phase = np.full(len(correlation), 2 * np.pi * MIDDLE)
    for _ in range(CENTRINGS):
        turned = correlation * np.exp(1j * lag * phase[:, None])
        phase = phase - turned.imag @ (2 * factor / lag)
    turned = correlation * np.exp(1j * lag * phase[:, None])
    variance = (1.0 - turned.real) @ (4 * factor / lag**2)
    turns = phase / (2 * np.pi)
    turns = (turns + 0.25) % 1.0 - 0.25
    return turns / step_hz, np.sqrt(np.maximum(variance, 0.0)) / (2 * np.pi * step_hz)


def profile_moments(gains: C64, tau: F64) -> tuple[F64, F64]:
    """True centre and length: mean and rms delay of the taps, by their power in the slot: float64 [T] both, in s.

    Parameters
    ----------
    gains : complex64 ndarray [T, |S|, N_R, N_T, L]
        Noise-free gains of the taps.
    tau : float64 ndarray [L]
        Their delays in s.
    """
    power = np.sum(np.abs(gains).astype(np.float64) ** 2, axis=(1, 2, 3))
    share = power / power.sum(axis=1, keepdims=True)
    centre = share @ tau
    return centre, np.sqrt(np.sum(share * (tau - centre[:, None]) ** 2, axis=1))
