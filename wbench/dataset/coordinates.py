"""Names and values along the dimensions of a dataset: what xarray shows as coordinates.

A coordinate is a one-dimensional array beside the data arrays, named like its dimension. It is written when the dataset
is created and belongs to no shard. There is none for ``sample``: a sample's id is its position, and xarray would load
such an array whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.dataset.schema import ArraySpec

__all__ = ["Coordinate", "coordinates", "dimension_names"]

#: Labels of dimensions that count named things.
LABELS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "xyz": (("x", "y", "z"), "Cartesian axis"),
    "euler": (("bearing", "downtilt", "slant"), "rotation about z, y and x"),
    "part": (("real", "imag"), "part of a complex number"),
}
_PORTS: Final = {"tx": "Tx port: polarisation · N + column · rows + row", "rx": "Rx port, numbered like the Tx ports"}


@dataclass(frozen=True)
class Coordinate:
    """Values along one dimension.

    Attributes
    ----------
    name : str
        The dimension, and the array's name.
    values : ndarray [size]
        Numbers or labels.
    unit : str
        SI unit, ``"1"`` where there is none.
    description : str
        One line for people.
    """

    name: str
    values: npt.NDArray[Any]
    unit: str
    description: str


def dimension_names(array: ArraySpec, radio: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of all dimensions of an array, ``sample`` first.

    Parameters
    ----------
    array : ArraySpec
        The array.
    radio : mapping
        The dataset's attribute of that name: its bands and snapshots.

    Notes
    -----
    Bands on different grids must not share a dimension: xarray could not tell their frequencies, or not even open them.
    The first band keeps ``subcarrier``; another grid counts along ``subcarrier_BAND``.
    """
    bands = radio.get("bands", {})
    own = f"subcarrier_{array.name.removeprefix('channel_')}"
    if array.name in bands and bands[array.name] != bands[_first(bands)]:
        return ("sample", *(own if dim == "subcarrier" else dim for dim in array.dims))
    return ("sample", *array.dims)


def _first(bands: Mapping[str, Any]) -> str:
    return "channel" if "channel" in bands else min(bands)


def coordinates(arrays: Iterable[ArraySpec], radio: Mapping[str, Any]) -> list[Coordinate]:
    """Coordinates of the arrays' dimensions, as far as the dataset knows them.

    Parameters
    ----------
    arrays : iterable of ArraySpec
        All arrays of the dataset.
    radio : mapping
        The dataset's attribute of that name.

    Returns
    -------
    list of Coordinate
        ``time`` in s, ``subcarrier`` in Hz relative to the carrier, port numbers, labels; sorted by name. A dimension
        whose name is an array's already, or that has several sizes, gets none.
    """
    arrays = list(arrays)
    sizes: dict[str, set[int]] = {}
    grids: dict[str, Mapping[str, Any]] = {}
    for array in arrays:
        dims = dimension_names(array, radio)[1:]
        for dim, size in zip(dims, array.shape, strict=True):
            sizes.setdefault(dim, set()).add(size)
        if array.name in radio.get("bands", {}):
            grids |= {dim: radio["bands"][array.name] for dim in dims if dim.startswith("subcarrier")}
    taken = {array.name for array in arrays}
    found = [_coordinate(dim, size.pop(), radio, grids) for dim, size in sorted(sizes.items()) if len(size) == 1]
    return [c for c in found if c is not None and c.name not in taken]


def _coordinate(
    dim: str, size: int, radio: Mapping[str, Any], grids: Mapping[str, Mapping[str, Any]]
) -> Coordinate | None:
    if dim in LABELS and len(LABELS[dim][0]) == size:
        return Coordinate(dim, np.array(LABELS[dim][0]), "1", LABELS[dim][1])
    if dim in _PORTS:
        return Coordinate(dim, np.arange(size, dtype=np.int32), "1", _PORTS[dim])
    if dim == "time" and radio.get("time_steps") == size:
        return Coordinate(dim, radio["time_step_s"] * np.arange(size, dtype=np.float64), "s", "time of the snapshot")
    grid = grids.get(dim)
    if grid is not None and grid["subcarriers"] == size:
        tones = grid["first_hz"] + grid["spacing_hz"] * np.arange(size, dtype=np.float64)
        return Coordinate(dim, tones, "Hz", "frequency of the subcarrier relative to the carrier")
    return None
