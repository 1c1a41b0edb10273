"""Additive noise whose numbers belong to the sample id, whatever batch the sample is served in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wbench.errors import SpecError
from wbench.seeding import KeyedStream

__all__ = ["add_noise", "draw_snr_db", "noise_power", "random_phase"]

C64 = npt.NDArray[np.complex64]
F64 = npt.NDArray[np.float64]
Ids = Sequence[int] | npt.NDArray[np.int64]


def add_noise(channel: C64, power: npt.ArrayLike, stream: KeyedStream, ids: Ids) -> C64:
    """Add circular complex Gaussian noise.

    Parameters
    ----------
    channel : complex64 ndarray [n, ...]
        Clean samples; not modified.
    power : float array_like [n] or scalar
        Noise power per element, E|w|², linear.
    stream : KeyedStream
        Keyed by spec digest and purpose.
    ids : sequence of int, length n
        Sample ids.

    Returns
    -------
    complex64 ndarray [n, ...]
        A sample's noise depends on its id and shape only.

    Raises
    ------
    SpecError
        The ids do not match the samples, or a power is negative or not finite.
    """
    n = _expect_ids(channel, ids)
    scale = np.broadcast_to(np.asarray(power, dtype=np.float64), (n,))
    if not (np.isfinite(scale) & (scale >= 0)).all():
        raise SpecError("Noise power must be finite and not negative.", where="add_noise", why=f"{scale.min()}")
    noise = stream.complex_normal([int(i) for i in ids], channel.shape[1:])
    noise *= np.sqrt(scale).astype(np.float32).reshape(-1, *(1,) * (channel.ndim - 1))
    noise += channel
    return noise


def noise_power(snr_db: npt.ArrayLike, signal_power: npt.ArrayLike = 1.0) -> F64:
    """Noise power for an SNR per element: signal_power · 10^(−SNR/10); SNR = +∞ gives 0. float64, linear."""
    return np.asarray(np.asarray(signal_power, np.float64) * 10.0 ** (-np.asarray(snr_db, np.float64) / 10.0))


def draw_snr_db(snrs_db: Sequence[float], stream: KeyedStream, ids: Ids) -> F64:
    """One SNR per sample, uniform over a list.

    Parameters
    ----------
    snrs_db : sequence of float
        The task's SNRs in dB.
    stream : KeyedStream
        Keyed by spec digest and purpose.
    ids : sequence of int
        Sample ids.

    Returns
    -------
    float64 ndarray [n]
        SNR in dB.
    """
    if not snrs_db:
        raise SpecError("There is no SNR to draw from.", where="draw_snr_db")
    return np.asarray(snrs_db, dtype=np.float64)[stream.integers([int(i) for i in ids], len(snrs_db))]


def random_phase(stream: KeyedStream, ids: Ids) -> C64:
    """One factor e^{jφ} per sample, φ uniform over [0, 2π): complex64 [n], to multiply input and target alike."""
    return np.asarray(np.exp(2j * np.pi * stream.uniform([int(i) for i in ids])), dtype=np.complex64)


def _expect_ids(channel: C64, ids: Ids) -> int:
    if channel.ndim < 1 or len(ids) != len(channel):
        raise SpecError("There must be one id per sample.", where="ids", why=f"{len(ids)} ids, channel {channel.shape}")
    return len(channel)
