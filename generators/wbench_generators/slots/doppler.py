"""Doppler width from the loss of correlation over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wbench_generators.slots.delay import LEAST_SHARE

__all__ = ["LEAST_LOSS", "autocorrelation", "doppler_width", "ray_width"]

C64 = npt.NDArray[np.complex64]
F64 = npt.NDArray[np.float64]

#: Lags count up to the first whose loss -2 ln|ρ| is this, or ten times its error by noise where that is more. Near 0
#: the loss is a parabola; further on it is not, and with a line of sight it soon saturates.
LEAST_LOSS, MOST_LOSS, ERRORS = 0.005, 0.5, 10.0


def autocorrelation(channel: C64, noise: F64, times: F64, slot_s: float, window: int) -> tuple[F64, F64, F64]:
    """Modulus of the autocorrelation over time, from the last ``window`` slots of each slot.

    Parameters
    ----------
    channel : complex64 ndarray [T, |S|, N_R, N_T, B]
        Channel of the subcarrier groups.
    noise : float64 ndarray [T]
        Its noise power, taken off the received power.
    times : float64 ndarray [|S|]
        Times of the pilot symbols within a slot in s.
    slot_s : float
        Duration of a slot in s.
    window : int
        Slots that are looked at, the newest included.

    Returns
    -------
    lags : float64 ndarray [m]
        In s, increasing: the distances of pilot symbols of one slot, and 1 … window/2 slots.
    correlation : float64 ndarray [T − window + 1, m]
        At most 1.
    error : float64 ndarray [T − window + 1]
        Standard deviation of −2 ln|ρ| at |ρ| = 1 by noise, about: that of the power over the averaged estimates.
    """
    rows = channel.reshape(*channel.shape[:2], -1)
    own = rows @ rows.conj().swapaxes(1, 2) / rows.shape[2]
    power = _last(np.diagonal(own, axis1=1, axis2=2).real.mean(axis=1), window)
    found: dict[float, list[npt.NDArray[Any]]] = {}
    for i in range(len(times)):
        for j in range(i):
            lag = round(float(times[i] - times[j]), 12)
            found.setdefault(lag, []).append(_last(own[:, i, j], window))
    across = sum(rows[:, s] @ rows[:, s].conj().T for s in range(len(times))) / (rows.shape[1] * rows.shape[2])
    for slots in range(1, window // 2 + 1):
        pairs = np.diagonal(across, -slots)  # newest slot first, the one `slots` before it second
        found[round(slots * slot_s, 12)] = [_last(pairs, window - slots)]
    lags = sorted(found)
    noise = _last(noise, window)
    signal = np.maximum(power - noise, LEAST_SHARE * power)
    error = 2.0 * noise / signal / np.sqrt(window * rows[0].size)
    table = np.stack([np.abs(sum(found[lag])) / len(found[lag]) / signal for lag in lags], axis=1)
    return np.array(lags), np.asarray(np.minimum(table, 1.0), dtype=np.float64), error


def _last(values: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """Mean over the last ``count`` values at each place that has so many: [n − count + 1]."""
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, count).mean(axis=-1))


def doppler_width(lags: F64, correlation: F64, error: F64) -> F64:
    """Rms Doppler spread in Hz: float64 [n].

    Parameters
    ----------
    lags : float64 ndarray [m]
        In s, increasing.
    correlation : float64 ndarray [n, m]
        Modulus of the autocorrelation at the lags.
    error : float64 ndarray [n]
        That of −2 ln|ρ| by noise; all three as :func:`autocorrelation` gives them.

    Notes
    -----
    ``|ρ(τ)| ≈ exp(−(2πστ)²/2)`` for small τ, whatever the spectrum: its second derivative is the variance of the
    Doppler shift (W. C. Jakes, Microwave Mobile Communications, 1974, 1.3). σ² is the least-squares fit of −2 ln|ρ|
    over the shortest lags that noise leaves usable. The mean shift is no part of it.
    """
    loss = -2.0 * np.log(np.clip(correlation, 1e-3, 1.0))
    enough = loss >= np.clip(ERRORS * error, LEAST_LOSS, MOST_LOSS)[:, None]
    usable: npt.NDArray[np.bool_] = (
        np.cumsum(enough, axis=1) - enough == 0
    )  # up to the first that is enough, that one included
    square = (2 * np.pi * lags) ** 2
    variance = np.sum(usable * loss * square, axis=1) / np.sum(usable * square**2, axis=1)
    return np.asarray(np.sqrt(variance))


def ray_width(nu: npt.NDArray[np.float32], power: F64) -> float:
    """True width: standard deviation in Hz of the rays' Doppler shifts [P], by their power [P]."""
    share = power / power.sum()
    shift = nu.astype(np.float64)
    return float(np.sqrt(np.sum(share * (shift - share @ shift) ** 2)))
