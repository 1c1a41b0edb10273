"""Second-order statistics of channels: from rays, and from the frequency response alone."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from wbench.channel.rays import Rays
from wbench.errors import SpecError

__all__ = [
    "LOS_STATISTICS",
    "angular_spread",
    "delay_spread",
    "doppler_spread",
    "k_factor_db",
    "los_statistics",
    "path_gain_db",
    "strongest_ray_db",
]

C64 = npt.NDArray[np.complex64]
F64 = npt.NDArray[np.float64]

#: Columns of :func:`los_statistics`.
LOS_STATISTICS: Final = (
    "eigenvalue_ratio",
    "peak_angular_fraction",
    "angular_concentration",
    "peak_angle_delay_fraction",
    "max_tap_fraction",
    "k_factor",
    "delay_spread",
    "first_tap_fraction",
)
K_FACTOR_LIMIT: Final = 1000.0  # 30 dB: a constant envelope has no finite K
CHUNK = 256


def delay_spread(rays: Rays) -> F64:
    """Rms delay spread, power-weighted over the taps (TR 38.901 §7.7.3): float64 [B] in s, NaN without power."""
    taps = np.add.reduceat(rays.power(), np.cumsum((0, *rays.seg[:-1])), axis=1)
    return _weighted_std(rays.tau, taps)


def doppler_spread(rays: Rays) -> F64:
    """Rms Doppler spread, power-weighted over the rays: float64 [B] in Hz, NaN without power."""
    return _weighted_std(rays.nu.astype(np.float64), rays.power())


def _weighted_std(values: F64, weights: F64) -> F64:
    with np.errstate(invalid="ignore"):  # 0/0 is the documented NaN
        share = weights / weights.sum(axis=1, keepdims=True)
        mean = (share * values).sum(axis=1, keepdims=True)
        return np.asarray(np.sqrt((share * (values - mean) ** 2).sum(axis=1)))


def angular_spread(rays: Rays, angle: Literal["aod", "zod", "aoa", "zoa"]) -> F64:
    """Circular angular spread, ``sqrt(−2 ln|Σ P e^{jφ} / Σ P|)`` (TR 38.901 Annex A).

    Parameters
    ----------
    rays : Rays
        B links.
    angle : str
        Which of the four angles.

    Returns
    -------
    float64 ndarray [B]
        Spread in rad; 0 for a single direction, NaN without power.
    """
    if angle not in ("aod", "zod", "aoa", "zoa"):
        raise SpecError("There is no such angle.", where="angular_spread", why=f"{angle!r} not in aod, zod, aoa, zoa")
    power = rays.power()
    phi = getattr(rays, angle).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        resultant = np.hypot((power * np.cos(phi)).sum(axis=1), (power * np.sin(phi)).sum(axis=1)) / power.sum(axis=1)
        return np.asarray(np.sqrt(-2.0 * np.log(np.minimum(resultant, 1.0))))


def path_gain_db(rays: Rays) -> F64:
    """Path gain between isotropic, ideally dual-polarised ends, mean over the transmitted polarisation.

    Parameters
    ----------
    rays : Rays
        B links.

    Returns
    -------
    float64 ndarray [B]
        ``10 log10(½ Σ_p ‖g_p‖_F²)`` in dB, −∞ without power. Rays add in power: small-scale fading is averaged out.
    """
    return _decibel(0.5 * rays.power().sum(axis=1))


def k_factor_db(rays: Rays, los: npt.NDArray[np.bool_], ray: int = 0) -> F64:
    """Rician K factor: power of the line-of-sight ray over the power of all others.

    Parameters
    ----------
    rays : Rays
        B links.
    los : bool ndarray [B]
        Whether the link has a line of sight.
    ray : int
        Number of the line-of-sight ray (0 in the 38.901 record).

    Returns
    -------
    float64 ndarray [B]
        dB; NaN without line of sight, +∞ where it is the only ray.
    """
    power = rays.power()
    return np.asarray(np.where(los, _ratio_db(power[:, ray], power.sum(axis=1)), np.nan))


def strongest_ray_db(rays: Rays) -> F64:
    """Strongest ray against the sum of all others: float64 [B] in dB, NaN without power, +∞ for a single ray."""
    power = rays.power()
    return _ratio_db(power.max(axis=1), power.sum(axis=1))


def _ratio_db(part: F64, total: F64) -> F64:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(10.0 * np.log10(part / np.maximum(total - part, 0.0)))


def _decibel(power: F64) -> F64:
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(power))


def los_statistics(channel: C64, rows: int, cols: int) -> F64:
    """Eight scale- and phase-free statistics that tell LoS from NLoS, from the frequency response alone.

    Parameters
    ----------
    channel : complex64 ndarray [n, T, Rx, Tx, K]
        Finite channel frequency response; Tx = polarisations · rows · cols, in the port order of ``Array``.
    rows, cols : int
        Transmit array.

    Returns
    -------
    float64 ndarray [n, 8]
        Columns as :data:`LOS_STATISTICS`, always finite, all zeros for a zero channel:

        - second over first eigenvalue of the transmit covariance Σ h hᴴ over T, Rx, polarisation and K;
        - strongest angle bin over the sum, of the power per bin of the (2-D) spatial DFT;
        - Σ P² / (Σ P)² of the same power: 1 for one direction, 1/N for a flat spectrum;
        - strongest bin over the sum, of the power per (angle, delay);
        - strongest delay row over the sum, of the power-delay profile (unitary inverse DFT over K);
        - K factor by moments, ``√(G²−V)/(G−√(G²−V))`` with G = E|h|², V = var|h|² over all entries (Greenstein et
          al., IEEE Commun. Lett. 3(6), 1999); 0 where V ≥ G², at most 1000;
        - rms delay spread of the profile in rows (1/(K·Δf)), delays wrapped around the strongest row;
        - power in delay row 0 over the sum.

    Raises
    ------
    SpecError
        The array does not fit the transmit ports.
    """
    n_ports = channel.shape[3] if channel.ndim == 5 else -1
    if rows < 1 or cols < 1 or n_ports < 1 or n_ports % (rows * cols):
        raise SpecError(
            "The array does not fit the channel.", where="los_statistics",
            why=f"channel {list(channel.shape)}, expected [n, T, Rx, m·{rows}·{cols}, K]",
        )  # fmt: skip
    out = np.empty((len(channel), len(LOS_STATISTICS)), dtype=np.float64)
    for start in range(0, len(channel), CHUNK):
        out[start : start + CHUNK] = _los_chunk(channel[start : start + CHUNK], rows, cols)
    return out


def _los_chunk(channel: C64, rows: int, cols: int) -> F64:
    n, subcarriers = len(channel), channel.shape[-1]
    rms = np.sqrt(_power(channel).reshape(n, -1).mean(axis=1))
    live = rms > 0
    scale = np.divide(1.0, rms, out=np.zeros(n), where=live)
    # [n, snapshot (T, Rx, polarisation), col, row, K], unit mean power: nothing can under- or overflow below.
    h = channel.reshape(n, -1, cols, rows, subcarriers) * scale.reshape(n, 1, 1, 1, 1).astype(np.float32)
    delay_angle = np.fft.fft2(np.fft.ifft(h, axis=-1, norm="ortho"), axes=(2, 3), norm="ortho")
    image = _power(delay_angle).sum(axis=1).reshape(n, -1, subcarriers)
    angles, delays = image.sum(axis=2), image.sum(axis=1)
    total = np.where(live, delays.sum(axis=1), 1.0)
    columns = (
        _eigenvalue_ratio(h.transpose(0, 2, 3, 1, 4).reshape(n, rows * cols, -1)),
        angles.max(axis=1) / total,
        (angles**2).sum(axis=1) / total**2,
        image.reshape(n, -1).max(axis=1) / total,
        delays.max(axis=1) / total,
        _moment_k(_power(h).reshape(n, -1)),
        _profile_spread(delays / total[:, None]),
        delays[:, 0] / total,
    )
    return np.asarray(np.where(live[:, None], np.stack(columns, axis=1), 0.0))


def _power(values: npt.NDArray[np.complexfloating[Any, Any]]) -> F64:
    return np.asarray(values.real.astype(np.float64) ** 2 + values.imag.astype(np.float64) ** 2)


def _eigenvalue_ratio(h: C64) -> F64:
    """λ2/λ1 of h hᴴ, [n, N, snapshots]; 0 where there is only one dimension."""
    if 1 in h.shape[1:]:
        return np.zeros(len(h))
    if h.shape[1] > h.shape[2]:  # the smaller Gram matrix has the same non-zero eigenvalues
        h = h.transpose(0, 2, 1)
    values = np.linalg.eigvalsh((h @ h.conj().transpose(0, 2, 1)).astype(np.complex128))
    largest = values[:, -1]
    ratio = np.divide(values[:, -2], largest, out=np.zeros(len(h)), where=largest > 0)
    return np.asarray(np.clip(ratio, 0.0, 1.0))


def _moment_k(power: F64) -> F64:
    mean, variance = power.mean(axis=1), power.var(axis=1)
    root = np.sqrt(np.maximum(mean**2 - variance, 0.0))
    spread = mean - root
    k = np.divide(root, spread, out=np.full(len(power), K_FACTOR_LIMIT), where=spread > root / K_FACTOR_LIMIT)
    return np.asarray(np.minimum(k, K_FACTOR_LIMIT))


def _profile_spread(profile: F64) -> F64:
    """Rms width in rows of a normalised power-delay profile [n, K], delays wrapped around the strongest row."""
    length = profile.shape[1]
    offset = np.arange(length) - profile.argmax(axis=1)[:, None]
    delay = (offset + length // 2) % length - length // 2
    mean = (profile * delay).sum(axis=1, keepdims=True)
    return np.asarray(np.sqrt((profile * (delay - mean) ** 2).sum(axis=1)))
