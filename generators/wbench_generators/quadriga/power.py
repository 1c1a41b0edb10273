"""QuaDRiGa's power normalisation: the power of each cluster on each antenna, averaged over snapshots, is nominal.

The channel of a cluster between two ports is a sum of rays. Its power depends on how the rays happen to add up, and so
on place and time: fading. QuaDRiGa divides by the mean power over the snapshots of the track. On a track of some
wavelengths this changes little; on one that is much shorter it takes the fading out, separately at every antenna,
and since later snapshots enter the mean, earlier ones depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.array import Array
from wbench.channel.front import Workspace, look
from wbench.channel.rays import Rays
from wbench.channel.synthesis import Grid, synthesize

__all__ = ["normalised_channels"]

C64 = npt.NDArray[np.complex64]
F64 = npt.NDArray[np.float64]

#: One subcarrier at the carrier: what is left is the sum of a tap's rays.
_CARRIER = Grid(1, 1.0)


def normalised_channels(
    rays: Rays, tx: Array, rx: Array, bands: Mapping[str, Grid], time_steps: int, time_step_s: float, window: int
) -> dict[str, C64]:
    """Channel frequency responses with normalised cluster powers.

    Parameters
    ----------
    rays : Rays
        n links with L taps.
    tx, rx : Array
        Antenna arrays of the two ends.
    bands : mapping of str to Grid
        Subcarrier grids by the name of their channel array.
    time_steps, time_step_s : int, float
        T snapshots and their distance in s.
    window : int
        The mean is taken over the first ``window`` snapshots: T is QuaDRiGa's own way; with less, these snapshots do
        not depend on later ones, whose mean power may then be another.

    Returns
    -------
    dict of str to complex64 ndarray [n, T, Rx ports, Tx ports, K]
    """
    clusters = _clusters(rays, tx, rx, time_steps, time_step_s)
    nominal = _nominal_power(rays, tx, rx)
    found = (np.abs(clusters[:, :window]) ** 2).mean(axis=1, dtype=np.float64)
    # A tap without power (padding, or an element's null) stays without.
    scale = np.sqrt(np.divide(nominal, found, out=np.zeros_like(found), where=found > 0))
    clusters *= scale.astype(np.float32)[:, None]
    n, t, r, s, taps = clusters.shape
    result = {}
    for name, grid in bands.items():
        turns = np.mod(rays.tau[:, :, None] * grid.frequencies(), 1.0) * (-2.0 * np.pi)
        delays = np.empty(turns.shape, np.complex64)
        np.cos(turns, out=delays.real, casting="same_kind")
        np.sin(turns, out=delays.imag, casting="same_kind")
        result[name] = np.matmul(clusters.reshape(n, t * r * s, taps), delays).reshape(n, t, r, s, -1)
    return result


def _clusters(rays: Rays, tx: Array, rx: Array, time_steps: int, time_step_s: float) -> C64:
    """Sums of each tap's rays by the core's synthesis, one tap at a time: complex64 [n, T, Rx, Tx, L]."""
    out = np.empty((rays.links, time_steps, rx.ports, tx.ports, rays.taps), np.complex64)
    start = 0
    for tap, size in enumerate(rays.seg):
        part = slice(start, start + size)
        alone = Rays(
            rays.carrier_hz, np.zeros((rays.links, 1)), (size,), rays.aod[:, part], rays.zod[:, part],
            rays.aoa[:, part], rays.zoa[:, part], rays.g[..., part], rays.nu[:, part],
        )  # fmt: skip
        out[..., tap] = synthesize(alone, tx, rx, _CARRIER, time_steps, time_step_s)[..., 0]
        start += size
    return out


def _nominal_power(rays: Rays, tx: Array, rx: Array) -> F64:
    """Sum of the powers of each tap's rays between two ports, patterns included: float64 [n, Rx, Tx, L]."""
    ends = [
        (array, *_fields(array, azimuth, zenith))
        for array, azimuth, zenith in ((rx, rays.aoa, rays.zoa), (tx, rays.aod, rays.zod))
    ]
    (_, rx_gain, rx_field), (_, tx_gain, tx_field) = ends
    first = np.cumsum((0, *rays.seg[:-1]))
    power = np.empty((rays.links, rx.polarisations, tx.polarisations, rays.taps))
    for i, f in enumerate(rx_field):
        for j, h in enumerate(tx_field):
            response = sum(f[a] * rays.g[a, b] * h[b] for a in (0, 1) for b in (0, 1))
            each = np.abs(np.asarray(response)).astype(np.float64) ** 2 * rx_gain * tx_gain
            power[:, i, j] = np.add.reduceat(each, first, axis=1)
    return power.repeat(rx.elements, axis=1).repeat(tx.elements, axis=2)


def _fields(array: Array, azimuth: npt.NDArray[np.float32], zenith: npt.NDArray[np.float32]) -> tuple[Any, Any]:
    """Power gain of an array's element and its unit field vectors, one per polarisation, in the rays' directions."""
    element = Array(1, 1, slants=array.slants, pattern=array.pattern, orient=array.orient)
    front = look(element, azimuth, zenith, None, Workspace(), "element")
    gain = 1.0 if front.gain is None else front.gain.astype(np.float64) ** 2
    return gain, front.field
