"""The arrays of a dataset: names, dimensions, dtypes, units.

First dimension of every array is ``sample``. The standard arrays are listed in :data:`STANDARD`; a generator may add
its own with :class:`ArraySpec`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["SCHEMA_VERSION", "STANDARD", "ArraySpec", "channel_spec", "standard"]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ArraySpec:
    """One array of a dataset.

    Attributes
    ----------
    name : str
        Array name.
    dims : tuple of str
        Dimension names after ``sample``.
    shape : tuple of int
        Sizes of those dimensions.
    dtype : str
        NumPy dtype name.
    unit : str
        SI unit, ``"1"`` where there is none.
    description : str
        One line for people.
    attributes : dict
        Further plain JSON attributes, e.g. the missing value.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    unit: str
    description: str
    attributes: dict[str, Any] = field(default_factory=dict)


def _scalar(name: str, dtype: str, unit: str, description: str, **attributes: Any) -> ArraySpec:
    return ArraySpec(name, (), (), dtype, unit, description, attributes)


def _vector(name: str, unit: str, description: str) -> ArraySpec:
    return ArraySpec(name, ("xyz",), (3,), "float32", unit, description)


STANDARD: dict[str, ArraySpec] = {
    spec.name: spec
    for spec in (
        _scalar("los", "int8", "1", "1 LoS, 0 NLoS, -1 no path (channel is 0)"),
        _vector("ue_position", "m", "position of the UE"),
        _vector("bs_position", "m", "position of the base station"),
        _vector("ue_velocity", "m/s", "velocity of the UE"),
        ArraySpec("tx_orientation", ("euler",), (3,), "float32", "rad", "Tx bearing, downtilt, slant"),
        ArraySpec("rx_orientation", ("euler",), (3,), "float32", "rad", "Rx bearing, downtilt, slant"),
        _scalar("ue_id", "int32", "1", "the user; several base stations may see it"),
        _scalar("scene", "int32", "1", "the scene"),
        _scalar("site", "int32", "1", "the interval cluster"),
        _scalar("path_gain_db", "float32", "dB", "path gain incl. shadow fading", missing="-inf without a path"),
        _scalar("delay_spread_s", "float32", "s", "rms delay spread of the rays", missing="NaN without a path"),
        _scalar("k_factor_db", "float32", "dB", "Ricean K factor", missing="NaN without LoS"),
        _scalar("doppler_spread_hz", "float32", "Hz", "rms Doppler spread of the rays", missing="NaN without a path"),
    )
}


def standard(*names: str) -> tuple[ArraySpec, ...]:
    """Specs of standard arrays by name."""
    return tuple(STANDARD[name] for name in names)


def channel_spec(name: str, time: int, rx: int, tx: int, subcarriers: int) -> ArraySpec:
    """Spec of a channel array: CFR, complex64 [sample, time, rx, tx, subcarrier], path loss included."""
    dims = ("time", "rx", "tx", "subcarrier")
    return ArraySpec(
        name, dims, (time, rx, tx, subcarriers), "complex64", "1", "CFR, amplitude gain, path loss included"
    )
