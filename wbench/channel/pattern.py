"""Element patterns: gain in dBi over the element's local elevation and azimuth."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import UnknownNameError

__all__ = ["ISOTROPIC", "PATTERNS", "Pattern", "amplitude", "lookup", "omni", "tr38901"]

Floats = npt.NDArray[np.floating[Any]]
#: ``gain(elevation, azimuth) -> dBi`` with local angles in rad, elevation = 90° − θ'. Must keep its input's dtype.
Pattern = Callable[[Floats, Floats], Floats]


def omni(elevation: Floats, azimuth: Floats) -> Floats:
    """Isotropic element: 0 dBi everywhere.

    Parameters
    ----------
    elevation, azimuth : float ndarray [...]
        Local angles in rad.

    Returns
    -------
    float ndarray [...]
        Gain in dBi.
    """
    return np.zeros(np.broadcast_shapes(elevation.shape, azimuth.shape), dtype=elevation.dtype)


def tr38901(elevation: Floats, azimuth: Floats) -> Floats:
    """Directional element of 3GPP TR 38.901 Table 7.3-1: 65° beamwidth, 30 dB front-to-back, 8 dBi.

    Parameters
    ----------
    elevation : float ndarray [...]
        90° − θ' in rad.
    azimuth : float ndarray [...]
        φ' in rad, in [−π, π].

    Returns
    -------
    float ndarray [...]
        Gain in dBi, of the dtype of the input.
    """
    slope = 12.0 / math.radians(65.0) ** 2
    # Python floats keep float32 input in float32 (NEP 50).
    vertical = np.minimum(slope * (elevation * elevation), 30.0)
    horizontal = np.minimum(slope * (azimuth * azimuth), 30.0)
    return np.asarray(8.0 - np.minimum(vertical + horizontal, 30.0))


PATTERNS: dict[str, Pattern] = {"omni": omni, "38.901": tr38901}
#: Patterns of constant 0 dBi, for which no local angle has to be computed.
ISOTROPIC = frozenset({"omni"})


def lookup(name: str) -> Pattern:
    """Pattern of that name; :class:`~wbench.errors.UnknownNameError` otherwise."""
    try:
        return PATTERNS[name]
    except KeyError:
        raise UnknownNameError(
            "pattern", name, PATTERNS, next_step="use one of wbench.channel.pattern.PATTERNS, or add yours to it"
        ) from None


def amplitude(name: str, elevation: Floats, azimuth: Floats) -> Floats:
    """Field amplitude 10^(G/20) of a named pattern.

    Parameters
    ----------
    name : str
        Key of :data:`PATTERNS`.
    elevation, azimuth : float ndarray [...]
        Local angles in rad.

    Returns
    -------
    float ndarray [...]
        Amplitude, linear, of the dtype of the input.
    """
    gain = lookup(name)(elevation, azimuth)
    return np.asarray(np.exp(gain * (math.log(10.0) / 20.0)))
