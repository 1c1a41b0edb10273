"""Closed forms of path loss: free space, and the street canyon and macro cell of 3GPP TR 38.901 V19.2."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from wbench.errors import UnknownNameError

__all__ = ["SHADOW_DB", "free_space_db", "path_loss_db"]

F64 = npt.NDArray[np.float64]
SPEED_OF_LIGHT: Final = 299_792_458.0
#: The closed forms of Table 7.4.1-1 take c as 3·10⁸ m/s (its note 1).
ROUND_LIGHT: Final = 3.0e8
#: Standard deviation of the shadow fading in dB by scenario and line of sight, Table 7.4.1-1.
SHADOW_DB: Final = {("umi", True): 4.0, ("umi", False): 7.82, ("uma", True): 4.0, ("uma", False): 6.0}


def free_space_db(distance_m: npt.ArrayLike, carrier_hz: float) -> F64:
    """Friis: 20·log10(4π·d·f/c) in dB, for isotropic ends."""
    d = np.asarray(distance_m, dtype=np.float64)
    return np.asarray(20 * np.log10(4 * np.pi * d * carrier_hz / SPEED_OF_LIGHT))


def path_loss_db(
    scenario: str,
    los: bool,
    distance_2d: npt.ArrayLike,
    carrier_hz: float,
    bs_height: npt.ArrayLike,
    ue_height: npt.ArrayLike = 1.5,
) -> F64:
    """Median path loss of an outdoor user, Table 7.4.1-1.

    Parameters
    ----------
    scenario : {"umi", "uma"}
        Street canyon, urban macro.
    los : bool
        Whether there is a line of sight.
    distance_2d : array_like [...]
        Distance on the ground in m; the forms are for 10 m to 5 km, and go on as they are outside.
    carrier_hz : float
        Carrier in Hz, 0.5 to 100 GHz.
    bs_height, ue_height : array_like [...]
        Antenna heights in m. The effective environment is 1 m high (of UMa that holds below 13 m of user height).

    Returns
    -------
    float64 ndarray [...]
        dB.

    Raises
    ------
    UnknownNameError
        There is no such scenario.
    """
    if scenario not in ("umi", "uma"):
        raise UnknownNameError("scenario with a path loss of TR 38.901", scenario, ("umi", "uma"))
    d2, bs, ue = (np.asarray(values, dtype=np.float64) for values in (distance_2d, bs_height, ue_height))
    drop = bs - ue
    d3, ghz = np.sqrt(d2**2 + drop**2), carrier_hz / 1e9
    lg = np.log10(np.maximum(d3, 1e-3))
    breakpoint_m = 4 * (bs - 1) * (ue - 1) * carrier_hz / ROUND_LIGHT
    constant, slope, bend = (32.4, 21.0, 9.5) if scenario == "umi" else (28.0, 22.0, 9.0)
    near = constant + slope * lg + 20 * np.log10(ghz)
    far = constant + 40 * lg + 20 * np.log10(ghz) - bend * np.log10(breakpoint_m**2 + drop**2)
    seen = np.where(d2 <= breakpoint_m, near, far)
    if los:
        return np.asarray(seen)
    hidden = (
        22.4 + 35.3 * lg + 21.3 * np.log10(ghz) - 0.3 * (ue - 1.5)
        if scenario == "umi"
        else 13.54 + 39.08 * lg + 20 * np.log10(ghz) - 0.6 * (ue - 1.5)
    )
    return np.asarray(np.maximum(seen, hidden))
