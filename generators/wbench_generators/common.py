"""Parameter tables that several generators share: antenna arrays and frequency bands.

A generator that wants the same spelling in its recipes uses these models; nothing forces it to.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from wbench.channel.array import Array
from wbench.channel.synthesis import Grid
from wbench.generator import GeneratorParams

__all__ = ["SLANTS", "SPEED_OF_LIGHT", "ArrayParams", "BandParams", "Bands", "Interval", "grids"]

#: Speed of light in vacuum in m/s (exact, SI).
SPEED_OF_LIGHT = 299_792_458.0

#: Polarisation slant angles zeta in rad of each polarisation type, in port order (TR 38.901, 7.3.2).
SLANTS: dict[str, tuple[float, ...]] = {
    "V": (0.0,),
    "H": (math.pi / 2,),
    "VH": (0.0, math.pi / 2),
    "cross": (-math.pi / 4, math.pi / 4),
}


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    low, high = value
    if not 0 <= low <= high < math.inf:
        raise ValueError("must be [low, high] with 0 <= low <= high")
    return value


#: A closed interval of numbers that are not negative, ``[low, high]``; uniform draws come from it.
Interval = Annotated[tuple[float, float], AfterValidator(_ordered)]


class ArrayParams(GeneratorParams):
    """A uniform rectangular panel (TR 38.901, 7.3) and where it looks.

    Attributes
    ----------
    rows, cols : int
        Elements of a column and of a row; ``1 x 32`` is a horizontal ULA.
    vertical_spacing, horizontal_spacing : float
        Element spacing in wavelengths.
    polarisation : {"V", "H", "VH", "cross"}
        One port per element, or two co-located ones (0/90 degrees or -45/+45 degrees).
    pattern : {"omni", "38.901"}
        Element pattern (Table 7.3-1).
    bearing_deg, downtilt_deg : float
        Orientation alpha and beta in degrees: boresight is +x at 0, a positive downtilt looks to the ground.
    """

    rows: Annotated[int, Field(ge=1, le=256)] = 1
    cols: Annotated[int, Field(ge=1, le=256)] = 1
    vertical_spacing: Annotated[float, Field(gt=0, le=100)] = 0.5
    horizontal_spacing: Annotated[float, Field(gt=0, le=100)] = 0.5
    polarisation: Literal["V", "H", "VH", "cross"] = "V"
    pattern: Literal["omni", "38.901"] = "omni"
    bearing_deg: Annotated[float, Field(ge=-180, le=180)] = 0.0
    downtilt_deg: Annotated[float, Field(ge=-90, le=90)] = 0.0

    def array(self) -> Array:
        """The core's array: port = polarisation * elements + column * rows + row."""
        return Array(
            rows=self.rows,
            cols=self.cols,
            dv=self.vertical_spacing,
            dh=self.horizontal_spacing,
            slants=SLANTS[self.polarisation],
            pattern=self.pattern,
            orient=(math.radians(self.bearing_deg), math.radians(self.downtilt_deg), 0.0),
        )


class BandParams(GeneratorParams):
    """A centred grid of subcarriers around the carrier.

    Attributes
    ----------
    subcarriers : int
        Number of subcarriers K.
    spacing_hz : float
        Distance of two subcarriers in Hz.
    """

    subcarriers: Annotated[int, Field(ge=1, le=16384)]
    spacing_hz: Annotated[float, Field(gt=0, le=1e9)]


#: At least one band, by the name of its channel array (``"channel"``, ``"channel_480khz"`` ...).
Bands = Annotated[dict[str, BandParams], Field(min_length=1)]


def grids(bands: dict[str, BandParams]) -> dict[str, Grid]:
    """Subcarrier grids by the name of their channel array."""
    return {name: Grid.centred(band.subcarriers, band.spacing_hz) for name, band in bands.items()}
