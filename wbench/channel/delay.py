"""How long channels are: rows that hold their energy, and energy that arrives after the cyclic prefix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.channel.angular_delay import subcarrier_to_delay
from wbench.channel.rays import Rays

__all__ = ["cyclic_prefix_s", "delay_profile", "energy_taps", "late_energy"]

F64 = npt.NDArray[np.float64]

#: Subcarrier spacings of 3GPP NR in Hz, 15 kHz · 2^µ (TS 38.211 Table 4.2-1 and its FR2-2 numerologies).
NR_SPACINGS_HZ: Final = tuple(15e3 * 2**mu for mu in range(7))
#: Normal cyclic prefix over the useful symbol (TS 38.211 §5.3.1, all symbols but the first of each half subframe).
NORMAL_PREFIX: Final = 144 / 2048


def cyclic_prefix_s(spacings_hz: Iterable[float]) -> float | None:
    """Normal cyclic prefix of the numerology behind some subcarrier grids.

    Parameters
    ----------
    spacings_hz : iterable of float
        Tone spacings of the grids in Hz. The finest one decides: the others sample the same carrier more coarsely.

    Returns
    -------
    float or None
        Seconds: 4.69 µs at 15 kHz, 2.34 µs at 30 kHz … A spacing of twelve NR subcarriers is one tone per resource
        block (180 kHz: 15 kHz). None for any other spacing: it belongs to no 3GPP numerology.
    """
    finest = min(spacings_hz, default=0.0)
    for spacing in (finest, finest / 12):
        if any(abs(spacing - known) < 1e-6 * known for known in NR_SPACINGS_HZ):
            return NORMAL_PREFIX / spacing
    return None


def late_energy(rays: Rays, limit_s: float) -> F64:
    """Share of a link's power that arrives more than ``limit_s`` after its first path.

    Parameters
    ----------
    rays : Rays
        B links.
    limit_s : float
        Excess delay in s; the receiver is taken to be in time with the first path that has power.

    Returns
    -------
    float64 ndarray [B]
        In [0, 1]; NaN without power.
    """
    power = np.add.reduceat(rays.power(), np.cumsum((0, *rays.seg[:-1])), axis=1)
    first = np.min(np.where(power > 0, rays.tau, np.inf), axis=1, keepdims=True)
    total = power.sum(axis=1)
    late = np.sum(power, axis=1, where=rays.tau - first > limit_s)
    return np.asarray(np.divide(late, total, out=np.full(len(total), np.nan), where=total > 0))


def delay_profile(channel: npt.NDArray[np.complexfloating[Any, Any]]) -> F64:
    """Power-delay profile of each sample: energy per delay row over all snapshots and antennas.

    Parameters
    ----------
    channel : complex ndarray [n, …, K]
        Channel frequency response.

    Returns
    -------
    float64 ndarray [n, K]
        Row d is the delay d/(K·Δf), wrapped. Sums to the sample's energy.
    """
    taps = subcarrier_to_delay(channel).reshape(len(channel), -1, channel.shape[-1])
    power = taps.real.astype(np.float64) ** 2
    power += taps.imag.astype(np.float64) ** 2
    return np.asarray(power.sum(axis=1))


def energy_taps(channel: npt.NDArray[np.complexfloating[Any, Any]], share: float = 0.95) -> npt.NDArray[np.int64]:
    """Smallest number of delay rows that together hold a share of the energy.

    Parameters
    ----------
    channel : complex ndarray [n, …, K]
        Channel frequency response.
    share : float
        In (0, 1].

    Returns
    -------
    int64 ndarray [n]
        0 for a zero channel.
    """
    profile = delay_profile(channel)
    held = np.cumsum(-np.sort(-profile, axis=1), axis=1)
    # Compared with the same sum, not with another one: at share 1 rounding must not ask for a row more.
    count = 1 + np.sum(held < share * held[:, -1:], axis=1)
    return np.where(held[:, -1] > 0, count, 0).astype(np.int64)
