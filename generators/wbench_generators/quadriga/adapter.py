"""QuaDRiGa's clusters and rays as the core's :class:`~wbench.channel.rays.Rays`.

QuaDRiGa counts elevation from the horizon; its vertical and horizontal field components turn with an array like e_theta
and e_phi. A tap's power is split evenly among its rays. The line of sight is tap 0 in NLoS, too, with a power of
nothing (a K factor of -100 dB).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.rays import Rays
from wbench_generators.common import SPEED_OF_LIGHT
from wbench_generators.sionna_38901.topology import Drops

__all__ = ["DrawnRays", "merge", "to_rays"]

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DrawnRays:
    """What QuaDRiGa's builder drew for n links: L taps, P rays, the rays of a tap together.

    Attributes
    ----------
    seg : tuple of int
        Rays of each tap.
    delay : ndarray, float64 [n, L]
        Delays in s.
    gain : ndarray, float64 [n, L]
        Power gains of the taps, path loss and shadow fading included.
    phase : ndarray, float [n, P]
        Initial phases in rad.
    aod, eod, aoa, eoa : ndarray, float64 [n, P]
        Azimuths and elevations in rad; both ends look away from their own array.
    xpr : ndarray, complex [4, n, P]
        Polarisation matrix in (theta, phi), column-major: entry ``i + 2 j`` is Rx component i, Tx component j.
    k_factor : ndarray, float64 [n]
        Ricean K factor, linear.
    delay_spread : ndarray, float64 [n]
        Delay spread in s that QuaDRiGa drew.
    """

    seg: tuple[int, ...]
    delay: F64
    gain: F64
    phase: npt.NDArray[np.floating[Any]]
    aod: F64
    eod: F64
    aoa: F64
    eoa: F64
    xpr: npt.NDArray[np.complexfloating[Any, Any]]
    k_factor: F64
    delay_spread: F64

    @classmethod
    def from_answer(cls, answer: Mapping[str, npt.NDArray[Any]]) -> DrawnRays:
        """Fields of ``wbench_qd_draw`` (see there) in this order of dimensions."""
        links = len(answer["delay"])
        angles = {name: np.ascontiguousarray(answer[name].T) for name in ("aod", "eod", "aoa", "eoa")}
        xpr = answer["xpr"].reshape(4, -1, links)  # Octave drops the last dimension of a single link
        return cls(
            seg=tuple(int(size) for size in answer["rays"].ravel()),
            delay=answer["delay"],
            gain=answer["gain"],
            phase=answer["phase"],
            xpr=np.ascontiguousarray(np.moveaxis(xpr, 2, 1)),
            k_factor=answer["kf"].ravel(),
            delay_spread=answer["ds"].ravel(),
            **angles,
        )


def merge(parts: list[tuple[npt.NDArray[np.int64], DrawnRays]], links: int) -> DrawnRays:
    """One record of links in several states; taps and rays that a state does not have are padding.

    Parameters
    ----------
    parts : list of (int64 ndarray [m], DrawnRays)
        Positions in the block and what was drawn for them.
    links : int
        Links in the block.
    """
    if len(parts) == 1:
        return parts[0][1]
    taps = max(len(part.seg) for _, part in parts)
    seg = np.max([np.pad(part.seg, (0, taps - len(part.seg))) for _, part in parts], axis=0)
    start, total = np.cumsum(seg) - seg, int(seg.sum())
    wide = {name: np.zeros((links, taps)) for name in ("delay", "gain")}
    wide |= {name: np.zeros((links, total)) for name in ("phase", "aod", "eod", "aoa", "eoa")}
    single = {name: np.zeros(links) for name in ("k_factor", "delay_spread")}
    xpr = np.zeros((4, links, total), np.complex64)
    for rows, part in parts:
        column = np.concatenate([first + np.arange(size) for first, size in zip(start, part.seg, strict=False)])
        for name in ("delay", "gain"):
            wide[name][rows, : len(part.seg)] = getattr(part, name)
        for name in ("phase", "aod", "eod", "aoa", "eoa"):
            wide[name][rows[:, None], column] = getattr(part, name)
        for name in single:
            single[name][rows] = getattr(part, name)
        xpr[:, rows[:, None], column] = part.xpr
    return DrawnRays(seg=tuple(seg.tolist()), xpr=xpr, **wide, **single)


def to_rays(drawn: DrawnRays, drops: Drops, carrier_hz: float) -> Rays:
    """Build the ray record of a block.

    Parameters
    ----------
    drawn : DrawnRays
        Rays of n links.
    drops : Drops
        Positions and velocities of the same links.
    carrier_hz : float
        Carrier frequency in Hz.

    Returns
    -------
    Rays
        Delays count from the line of sight; phases of the carrier hold its time of flight, modulo one turn in float64.

    Notes
    -----
    Scattered rays: TR 38.901, (7.5-22); the initial phase is one per ray here, with the polarisation matrix random
    besides, where the report has four phases.
    """
    size = np.asarray(drawn.seg)
    turns = (drops.distance_3d * (carrier_hz / SPEED_OF_LIGHT))[:, None] % 1.0 + (carrier_hz * drawn.delay) % 1.0
    phase = np.repeat(turns % 1.0, size, axis=1) * (-2.0 * np.pi) - drawn.phase
    amplitude = np.repeat(np.sqrt(drawn.gain / size), size, axis=1)
    carrier = np.empty(phase.shape, np.complex64)
    np.multiply(amplitude, np.cos(phase), out=carrier.real, casting="same_kind")
    np.multiply(amplitude, np.sin(phase), out=carrier.imag, casting="same_kind")
    g = np.empty((2, 2, *phase.shape), np.complex64)
    for entry in range(4):
        np.multiply(carrier, drawn.xpr[entry], out=g[entry % 2, entry // 2], casting="same_kind")
    aod, zod = _direction(drawn.aod, drawn.eod)
    aoa, zoa = _direction(drawn.aoa, drawn.eoa)
    return Rays(
        carrier_hz=carrier_hz,
        tau=np.where(drawn.gain > 0, drawn.delay, 0.0),
        seg=drawn.seg,
        aod=aod,
        zod=zod,
        aoa=aoa,
        zoa=zoa,
        g=g,
        nu=_doppler(drawn.aoa, drawn.eoa, drops.velocity, carrier_hz),
    )


def _direction(azimuth: F64, elevation: F64) -> tuple[F32, F32]:
    """Azimuth in [-pi, pi] and zenith in [0, pi]; a ray offset may lead across a pole, to the other side."""
    zenith = np.mod(np.pi / 2 - elevation, 2 * np.pi)
    across = zenith > np.pi
    turned = np.where(across, azimuth + np.pi, azimuth)
    wrapped = np.mod(turned + np.pi, 2 * np.pi) - np.pi
    folded = np.where(across, 2 * np.pi - zenith, zenith)
    return wrapped.astype(np.float32), np.minimum(folded.astype(np.float32), np.float32(np.pi))


def _doppler(azimuth: F64, elevation: F64, velocity: F32, carrier_hz: float) -> F32:
    """Doppler shift in Hz of each ray, positive when the UE approaches it (7.5-22): float32 [n, P]."""
    vx, vy, vz = (velocity.astype(np.float64) * (carrier_hz / SPEED_OF_LIGHT)).T[:, :, None]
    flat = np.cos(azimuth) * vx + np.sin(azimuth) * vy
    return np.asarray(np.cos(elevation) * flat + np.sin(elevation) * vz, np.float32)
