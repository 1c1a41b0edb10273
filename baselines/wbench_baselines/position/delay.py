"""Delay of the first path from a channel frequency response, finer than a sample of the bandwidth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FirstPath", "first_path"]

F64 = npt.NDArray[np.float64]
C64 = npt.NDArray[np.complexfloating[Any, Any]]

#: Points of the delay axis per 1/(K·Δf): finer than that a windowed pulse is a parabola in dB around its peak.
OVERSAMPLING = 4
#: Side lobes of the Dolph-Chebyshev window in dB. The −13 dB of no window would pass for early paths.
SIDE_LOBES_DB = 60.0
#: A path counts if it is within so many dB of the strongest one; the side lobes are well below.
REACH_DB = 30.0
#: Probability that noise alone makes an early path in one channel.
FALSE_ALARM = 1e-3
#: Share of the unambiguous span 1/Δf, at its end, that is read as negative delays: a fast clock. It is 160 ns, three
#: standard deviations of 50 ns, at 390.625 kHz.
NEGATIVE = 1 / 16
#: Where the rising edge is timed, below its peak.
EDGE_DB = 3.0
CHUNK = 256


@dataclass(frozen=True, slots=True)
class FirstPath:
    """First paths of some links.

    Attributes
    ----------
    delay_s : float64 ndarray [...]
        Delay in s from −1/(16·Δf) to 15/(16·Δf); what is outside wraps around.
    snapshot : complex ndarray [..., antenna]
        The antennas' taps at the peak of that path.
    """

    delay_s: F64
    snapshot: C64


def first_path(channel: C64, spacing_hz: float, noise_power: npt.ArrayLike | None = None) -> FirstPath:
    """Find the first path of each link by its rising edge.

    The power over delay is that of the windowed and zero-padded inverse FFT, summed over antennas. The first path is
    its first peak within 30 dB of the strongest and above what noise alone reaches with a probability of 0.1 %. It is
    timed where its rising edge is 3 dB below its peak, plus the half width that an undisturbed pulse has there: later
    paths in the same pulse move a peak more than an edge.

    Parameters
    ----------
    channel : complex ndarray [..., antenna, K]
        Channel frequency responses.
    spacing_hz : float
        Tone spacing Δf in Hz.
    noise_power : array_like, optional
        Noise variance per element, broadcast over the links [...].

    Returns
    -------
    FirstPath
        Links without any energy have delay 0.

    References
    ----------
    Guvenc and Sahinoglu, ICU 2005 (threshold-based estimation of the time of arrival).
    """
    links, (antennas, tones) = channel.shape[:-2], channel.shape[-2:]
    rows = channel.reshape(-1, antennas, tones)
    noise = np.zeros(len(rows))
    if noise_power is not None:
        noise = np.broadcast_to(np.asarray(noise_power, np.float64), links).reshape(-1)
    found = [
        _first(rows[start : start + CHUNK], noise[start : start + CHUNK], spacing_hz)
        for start in range(0, max(len(rows), 1), CHUNK)
    ]
    delay, snapshot = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return FirstPath(delay.reshape(links), snapshot.reshape(*links, antennas))


def _first(rows: C64, noise: F64, spacing_hz: float) -> tuple[F64, C64]:
    antennas, tones = rows.shape[1:]
    window = _window(tones)
    points = tones * OVERSAMPLING
    taps = np.fft.ifft(rows.astype(np.complex128) * window, n=points, axis=-1) * (points / window.sum())
    before = int(NEGATIVE * points)
    taps = np.roll(taps, before, axis=-1)
    power = (taps.real**2 + taps.imag**2).sum(axis=1)
    level = np.maximum(power.max(axis=1) * 10 ** (-REACH_DB / 10), _noise_level(antennas, window) * noise)
    peak = (power >= np.roll(power, 1, axis=1)) & (power > np.roll(power, -1, axis=1)) & (power >= level[:, None])
    # A noise level above all peaks leaves the strongest point, which is what such a link has to say.
    at = np.where(peak.any(axis=1), peak.argmax(axis=1), power.argmax(axis=1))
    db = 10 * np.log10(np.maximum(power, np.finfo(np.float64).tiny))
    time = (_edge(db, at) + _half_width(tones) - before) / (points * spacing_hz)
    energy = power.max(axis=1) > 0
    return np.where(energy, time, 0.0), taps[np.arange(len(rows)), :, at]


def _window(tones: int) -> F64:
    from scipy.signal.windows import chebwin

    return np.asarray(chebwin(tones, SIDE_LOBES_DB)) if tones > 2 else np.ones(tones)


def _noise_level(antennas: int, window: F64) -> float:
    """Power that noise of unit variance exceeds anywhere on the delay axis with the probability of a false alarm."""
    from scipy.stats import gamma

    tap = float((window**2).sum() / window.sum() ** 2)
    return tap * float(gamma.isf(FALSE_ALARM / len(window), antennas))


def _half_width(tones: int) -> float:
    """Points from the edge to the peak of an undisturbed pulse."""
    fine = 64
    window = _window(tones)
    pulse = np.abs(np.fft.ifft(window, n=tones * OVERSAMPLING * fine)) ** 2
    db = 10 * np.log10(np.maximum(pulse / pulse[0], np.finfo(np.float64).tiny))
    after = int(np.argmax(db < -EDGE_DB))
    return float((after - 1 + (db[after - 1] + EDGE_DB) / (db[after - 1] - db[after])) / fine)


def _edge(db: F64, at: npt.NDArray[np.intp]) -> F64:
    """Point, in fractions, where the edge that rises to the peak ``at`` is 3 dB below it."""
    rows = np.arange(len(db))
    points = db.shape[1]
    before, peak, after = db[rows, at - 1], db[rows, at], db[rows, (at + 1) % points]
    bend = before - 2 * peak + after
    shift = np.divide(0.5 * (before - after), bend, out=np.zeros(len(db)), where=bend < 0)
    level = peak - 0.25 * (before - after) * shift - EDGE_DB  # of the parabola's own peak
    back = np.stack([db[rows, at - step] for step in range(3 * OVERSAMPLING)], axis=1)
    below = back < level[:, None]
    last = np.where(below.any(axis=1), below.argmax(axis=1), back.shape[1] - 1)
    low, high = back[rows, last], back[rows, last - 1]
    part = np.clip((level - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    return np.asarray(at - last + part)
