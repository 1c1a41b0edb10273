"""Sionna's rays as the core's :class:`~wbench.channel.rays.Rays`: TR 38.901, 7.5, steps 10 to 12 without antennas.

Sionna hands over clusters x 20 rays with normalised powers. The record wants one complex 2 x 2 amplitude per ray that
holds power, path loss, shadowing, K factor, cross-polarisation and initial phases, and rays sorted by tap:

====  ==========================================  ====================================================
tap   rays                                        delay
====  ==========================================  ====================================================
0     1: line of sight (amplitude 0 in NLoS)      0
1-6   10, 10, 6, 6, 4, 4: the two strongest       cluster delay + {0, 1.28, 2.56} cDS (Table 7.5-5)
      clusters, split in three sub-clusters
7-    20 each: other clusters by falling power    cluster delay; 0 where the cluster is empty
====  ==========================================  ====================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from wbench.channel.rays import Rays
from wbench.dataset.schema import ArraySpec
from wbench_generators.common import SPEED_OF_LIGHT
from wbench_generators.sionna_38901.topology import Drops

__all__ = ["RAYS_PER_CLUSTER", "ClusterRays", "ray_arrays", "ray_order", "segments", "to_rays"]

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

RAYS_PER_CLUSTER = 20

#: Rays of the three sub-clusters of a strong cluster and their delays in units of cDS (TR 38.901, Table 7.5-5).
SUB_CLUSTERS = ((0, 1, 2, 3, 4, 5, 6, 7, 18, 19), (8, 9, 10, 11, 16, 17), (12, 13, 14, 15))
SUB_CLUSTER_DELAYS = (0.0, 1.28, 2.56)

GAIN = "amplitude per Rx and Tx field component (theta, phi), path loss and carrier phase included"

#: Links handled at a time: temporaries stay in the cache. Changes no bit.
CHUNK = 32


@dataclass(frozen=True)
class ClusterRays:
    """What Sionna's public stages return for B links, as NumPy arrays without the BS and UT axes.

    Attributes
    ----------
    delays, powers : ndarray, float32 [B, C]
        Cluster delays in s and normalised powers (0: empty or 25 dB below the strongest).
    strongest : ndarray, int64 [B, 2]
        The two strongest clusters.
    aod, zod, aoa, zoa, xpr : ndarray, float32 [B, C, 20]
        Ray angles in rad and cross-polarisation power ratios (linear).
    cluster_ds : ndarray, float64 [B]
        Cluster delay spread cDS in s.
    k_factor : ndarray, float64 [B]
        Ricean K factor, linear; used in LoS.
    path_gain_db : ndarray, float64 [B]
        -path loss + shadow fading in dB.
    """

    delays: F32
    powers: F32
    strongest: npt.NDArray[np.int64]
    aod: F32
    zod: F32
    aoa: F32
    zoa: F32
    xpr: F32
    cluster_ds: F64
    k_factor: F64
    path_gain_db: F64


def segments(clusters: int) -> tuple[int, ...]:
    """Rays per tap, line of sight first; 1 + 20 ``clusters`` rays in all."""
    split = tuple(len(rays) for rays in SUB_CLUSTERS for _ in range(2))
    return (1, *split, *(RAYS_PER_CLUSTER,) * (clusters - 2))


def ray_order(stage: ClusterRays) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sort clusters and rays in the order of the record.

    Returns
    -------
    order : ndarray, int64 [B, C]
        Cluster of each rank: the two strongest, then by falling power (ties by index).
    index : ndarray, int64 [B, 20 C]
        Flat ``cluster * 20 + ray`` of each ray of the record after the line of sight.
    """
    clusters = stage.powers.shape[1]
    key = -stage.powers
    np.put_along_axis(key, stage.strongest, np.array([[-np.inf, -2.0]], np.float32), axis=1)  # powers are <= 1
    order = np.argsort(key, axis=1, kind="stable")
    ranks, rays = _layout(clusters)
    return order, order[:, ranks] * RAYS_PER_CLUSTER + rays


@cache
def _layout(clusters: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Cluster rank and ray number of each ray of the record after the line of sight: int64 [20 C] both."""
    pairs = [(rank, ray) for rays in SUB_CLUSTERS for rank in (0, 1) for ray in rays]
    pairs += [(rank, ray) for rank in range(2, clusters) for ray in range(RAYS_PER_CLUSTER)]
    ranks, rays = np.array(pairs, np.int64).T
    return ranks, rays


def to_rays(stage: ClusterRays, drops: Drops, carrier_hz: float, phases: F32) -> Rays:
    """Build the ray record of a block.

    Parameters
    ----------
    stage : ClusterRays
        Rays of B links.
    drops : Drops
        Positions, velocities and LoS states of the same links.
    carrier_hz : float
        Carrier frequency in Hz.
    phases : ndarray, float32 [4, B, 20 C]
        Initial phases in rad of theta-theta, theta-phi, phi-theta, phi-phi (step 10), in the record's ray order.

    Returns
    -------
    Rays
        Record with ``1 + 20 C`` rays in ``C + 5`` taps.

    Notes
    -----
    Scattered rays: TR 38.901 V19.2, (7.5-22), (7.5-28); line of sight: (7.5-29), its phase taken modulo one turn in
    float64 because single precision leaves errors of -36 dB at rural distances; mixture (7.5-30).
    """
    n, clusters = stage.powers.shape
    order, index = ray_order(stage)
    index += np.arange(n)[:, None] * (clusters * RAYS_PER_CLUSTER)

    total = 1 + clusters * RAYS_PER_CLUSTER
    angles = {name: np.empty((n, total), np.float32) for name in ("aod", "zod", "aoa", "zoa")}
    for name, los in _line_of_sight_angles(drops).items():
        angles[name][:, 0] = los
        angles[name][:, 1:] = getattr(stage, name).reshape(-1)[index]
    gain = 10.0 ** (stage.path_gain_db / 20.0)
    scattered = gain * np.where(drops.los, 1.0 / np.sqrt(stage.k_factor + 1.0), 1.0)
    power = np.take_along_axis(stage.powers, order, axis=1)
    rank = _layout(clusters)[0]
    amplitude = (np.sqrt(power / RAYS_PER_CLUSTER) * scattered[:, None]).astype(np.float32)[:, rank]
    cross = stage.xpr.reshape(-1)[index]
    np.divide(amplitude, np.sqrt(cross, out=cross), out=cross)

    g = np.zeros((2, 2, n, total), np.complex64)
    for pair in range(4):
        _polar(amplitude if pair in (0, 3) else cross, phases[pair], g[pair // 2, pair % 2, :, 1:])
    g[0, 0, :, 0] = _line_of_sight(stage, drops, carrier_hz, gain)
    g[1, 1, :, 0] = -g[0, 0, :, 0]
    return Rays(
        carrier_hz=carrier_hz,
        tau=_tap_delays(stage, order, power),
        seg=segments(clusters),
        g=g,
        nu=_doppler(angles["aoa"], angles["zoa"], drops.velocity, carrier_hz),
        **angles,
    )


def _line_of_sight_angles(drops: Drops) -> dict[str, F64]:
    """Angles in rad of the direct path; each end looks at the other."""
    x, y, z = drops.link.T
    zenith = np.arccos(z / drops.distance_3d)
    return {"aod": np.arctan2(y, x), "zod": zenith, "aoa": np.arctan2(-y, -x), "zoa": np.pi - zenith}


def _line_of_sight(stage: ClusterRays, drops: Drops, carrier_hz: float, gain: F64) -> npt.NDArray[np.complex128]:
    """Amplitude of the direct path, theta to theta; 0 in NLoS: complex128 [B]."""
    turns = (drops.distance_3d * (carrier_hz / SPEED_OF_LIGHT)) % 1.0
    amplitude = np.where(drops.los, gain * np.sqrt(stage.k_factor / (stage.k_factor + 1.0)), 0.0)
    return np.asarray(amplitude * np.exp(-2j * np.pi * turns))


def _tap_delays(stage: ClusterRays, order: npt.NDArray[np.int64], power: F32) -> F64:
    """Delay of each tap in s: float64 [B, C + 5]."""
    delays = np.take_along_axis(stage.delays, order, axis=1).astype(np.float64)
    delays[power == 0] = 0.0  # Sionna parks empty clusters at 1 s
    split = [delays[:, :2] + factor * stage.cluster_ds[:, None] for factor in SUB_CLUSTER_DELAYS]
    return np.concatenate([np.zeros((len(delays), 1)), *split, delays[:, 2:]], axis=1)


def _polar(amplitude: F32, phase: F32, out: npt.NDArray[np.complex64]) -> None:
    """Write amplitude * exp(j phase); real sine and cosine are far cheaper than a complex exponential."""
    scratch = np.empty((CHUNK, amplitude.shape[1]), np.float32)
    for start in range(0, len(amplitude), CHUNK):
        part = slice(start, start + CHUNK)
        trig = scratch[: len(amplitude[part])]
        np.multiply(amplitude[part], np.cos(phase[part], out=trig), out=out.real[part])
        np.multiply(amplitude[part], np.sin(phase[part], out=trig), out=out.imag[part])


def _doppler(aoa: F32, zoa: F32, velocity: F32, carrier_hz: float) -> F32:
    """Doppler shift in Hz of each ray, positive when the UE approaches it (7.5-22): float32 [B, P]."""
    out = np.zeros_like(aoa)
    if not velocity.any():
        return out
    vx, vy, vz = (velocity * np.float32(carrier_hz / SPEED_OF_LIGHT)).T[:, :, None]
    for start in range(0, len(aoa), CHUNK):
        part = slice(start, start + CHUNK)
        a, z = aoa[part], zoa[part]
        out[part] = np.sin(z) * (np.cos(a) * vx[part] + np.sin(a) * vy[part]) + np.cos(z) * vz[part]
    return out


def ray_arrays(clusters: int) -> tuple[ArraySpec, ...]:
    """Specs of the stored rays (:meth:`Rays.to_arrays`), for ``store_rays = true``."""
    seg = segments(clusters)
    taps, rays = len(seg), sum(seg)
    angle = [
        ArraySpec(f"ray_{name}", ("ray",), (rays,), "float32", "rad", text)
        for name, text in (
            ("aod", "azimuth of departure"),
            ("zod", "zenith of departure"),
            ("aoa", "azimuth of arrival"),
            ("zoa", "zenith of arrival"),
        )
    ]
    return (
        ArraySpec("ray_tau", ("tap",), (taps,), "float64", "s", "delay of each tap"),
        ArraySpec("ray_seg", ("tap",), (taps,), "int32", "1", "rays of each tap, consecutive in the ray arrays"),
        *angle,
        ArraySpec("ray_nu", ("ray",), (rays,), "float32", "Hz", "Doppler shift, > 0 approaching"),
        ArraySpec("ray_g", ("rx_field", "tx_field", "ray"), (2, 2, rays), "complex64", "1", GAIN),
    )
