"""COST 2100's multipath components -> the core's :class:`~wbench.channel.rays.Rays`.

COST 2100 gives azimuth and elevation of each component at both ends, seen away from the end, the absolute delay and
one complex amplitude; its channel is the sum of ``amplitude · exp(−j2πfτ)`` over the components at absolute
frequencies f (``create_IR_omni.m``). Elevation becomes zenith, and the carrier's part of the phase goes into ``g``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.rays import Rays
from wbench.errors import SimulationError

__all__ = ["to_rays"]

COLUMNS = 6


def to_rays(components: npt.NDArray[Any], count: npt.NDArray[np.int64], carrier_hz: float) -> Rays:
    """Rays of the users of an environment; each component is a tap of its own.

    Parameters
    ----------
    components : complex128 ndarray [sum(count), 6]
        Azimuth and elevation at the base station, the same at the user (rad), delay (s), amplitude; user by user. A
        line of sight comes first.
    count : int64 ndarray [n]
        Components of each user.
    carrier_hz : float
        Carrier frequency in Hz.

    Returns
    -------
    Rays
        n links, padded to the largest count; ``g`` is vertical to vertical only.

    Raises
    ------
    SimulationError
        The components are not ``sum(count)`` rows of six numbers.
    """
    if components.shape != (int(count.sum()), COLUMNS):
        why = f"{list(components.shape)} for {int(count.sum())} components"
        raise SimulationError("COST 2100's components have another shape.", where="rays", why=why)
    users, most = len(count), int(count.max(initial=1))
    live = np.arange(most) < count[:, None]

    def spread(values: npt.NDArray[Any], dtype: type[np.generic], padding: float = 0.0) -> npt.NDArray[Any]:
        out = np.full((users, most), padding, dtype=dtype)
        out[live] = values
        return out

    aod, el_bs, aoa, el_ms, delay = components[:, :5].real.T
    turns = carrier_hz * delay  # in double precision: a carrier phase has thousands of turns
    amplitude = components[:, 5] * np.exp(-2j * np.pi * (turns - np.floor(turns)))
    g = np.zeros((2, 2, users, most), dtype=np.complex64)
    g[0, 0] = spread(amplitude, np.complex64)
    upright = float(np.float32(np.pi / 2))
    return Rays(
        carrier_hz=carrier_hz,
        tau=spread(delay, np.float64),
        seg=(1,) * most,
        aod=spread(aod, np.float32),
        zod=spread(np.pi / 2 - el_bs, np.float32, upright),
        aoa=spread(aoa, np.float32),
        zoa=spread(np.pi / 2 - el_ms, np.float32, upright),
        g=g,
        nu=np.zeros((users, most), dtype=np.float32),
    )
