"""The Zarr group of a new dataset: attributes, data arrays at full size, coordinates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from wbench.dataset.coordinates import coordinates, dimension_names
from wbench.dataset.encoding import about, compressors, stored_specs
from wbench.dataset.schema import ArraySpec
from wbench.dataset.spec import DatasetSpec

__all__ = ["fill_group"]


def fill_group(group: Any, spec: DatasetSpec, arrays: Iterable[ArraySpec], attributes: Mapping[str, Any]) -> None:
    """Declare everything in an empty group; the data arrays are left to the shards' writers.

    Parameters
    ----------
    group : zarr.Group
        An empty group, open for writing.
    spec : DatasetSpec
        What was asked for.
    arrays : iterable of ArraySpec
        The arrays as they will be read.
    attributes : mapping
        Group attributes.
    """
    arrays, radio = list(arrays), attributes.get("radio", {})
    group.attrs.update({**attributes, **about(spec.storage)})
    for array in stored_specs(spec.storage, arrays):
        chunk = min(spec.block, spec.samples)
        shard = chunk * spec.shard_blocks
        group.create_array(
            array.name,
            shape=(spec.samples, *array.shape),
            dtype=array.dtype,
            chunks=(chunk, *array.shape),
            shards=(shard, *array.shape) if spec.shard_blocks > 1 else None,
            # Floats of CSI hardly compress (0.88 to 0.92), and raw chunks read several times faster.
            compressors=compressors(spec.storage, array),
            filters=None,
            dimension_names=dimension_names(array, radio),
            attributes={"units": array.unit, "long_name": array.description, **array.attributes},
            fill_value=_fill_value(np.dtype(array.dtype)),
        )
    for coordinate in coordinates(stored_specs(spec.storage, arrays), radio):
        values = coordinate.values
        made = group.create_array(
            coordinate.name,
            shape=values.shape,
            dtype=str if values.dtype.kind == "U" else values.dtype,  # fixed-length text is not settled in Zarr v3
            chunks=values.shape,
            compressors=None,
            filters=None,
            dimension_names=(coordinate.name,),
            attributes={"units": coordinate.unit, "long_name": coordinate.description},
        )
        made[:] = values


def _fill_value(dtype: np.dtype[Any]) -> Any:
    """What never written shards read as: "missing" rather than zeros, as far as the dtype can say so."""
    if dtype.kind in "fc":
        return np.nan
    if dtype.kind == "i":
        return -128
    return np.iinfo(dtype).max if dtype.kind == "u" else np.zeros((), dtype).item()
