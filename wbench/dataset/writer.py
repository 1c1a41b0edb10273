"""Creating a dataset and writing whole shards. One writer per shard; nothing is ever appended or half-declared."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.dataset.description import DESCRIPTION, mend_description, pack, renew_description
from wbench.dataset.encoding import encode
from wbench.dataset.group import fill_group
from wbench.dataset.manifest import forget_shards, write_entry
from wbench.dataset.place import ROOT_KEY, Location, Place, place_of
from wbench.dataset.schema import ArraySpec
from wbench.dataset.sharding import raw_shard
from wbench.dataset.spec import DatasetSpec
from wbench.digest import array_digest
from wbench.errors import DatasetError, OutputConflictError

__all__ = ["create_dataset", "read_attributes", "write_shard"]


def create_dataset(
    root: Location | Place,
    spec: DatasetSpec,
    arrays: Iterable[ArraySpec],
    attributes: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
) -> None:
    """Create the group with all arrays at full size, or accept an existing one of the same spec.

    The metadata become visible at once, so the dataset is either absent or complete in them.

    Parameters
    ----------
    root : path, URL or Place
        Where.
    spec : DatasetSpec
        What was asked for.
    arrays : iterable of ArraySpec
        Its arrays.
    attributes : mapping, or callable that returns one
        Group attributes; the callable is called only if there is no dataset yet.

    Raises
    ------
    OutputConflictError
        If the place holds something else. It is left untouched.
    DatasetError, MissingError
        If the dataset cannot be made, or the storage does not answer.
    """
    place = place_of(root)
    # What lies there is mended only where its own copy says that it is this dataset.
    mend_description(place, spec.digest)
    if place.exists(ROOT_KEY):
        _check_same(place, spec)
        renew_description(place, spec.digest)
        return
    objects = _describe(spec, arrays, attributes() if callable(attributes) else attributes)
    try:
        place.create({**objects, DESCRIPTION: pack(spec.digest, objects)})
    except OutputConflictError:
        if not place.exists(ROOT_KEY):
            raise
    _check_same(place, spec)  # another process may have been first


def _check_same(place: Place, spec: DatasetSpec) -> None:
    try:
        found = read_attributes(place).get("spec_digest")
    except DatasetError as error:
        if isinstance(error.__cause__, OSError):
            raise
        found = None
    if found == spec.digest:
        return
    what = "another dataset" if found else "something that is not a wbench dataset"
    raise OutputConflictError(
        f"The output place holds {what}. It was left untouched.",
        where=str(place),
        why=f"its spec digest is {found}, asked for is {spec.digest}" if found else None,
        next_step="choose another place with --out, or move that one away",
    )


def _describe(spec: DatasetSpec, arrays: Iterable[ArraySpec], attributes: Mapping[str, Any]) -> dict[str, bytes]:
    """All objects of a dataset without shards."""
    import zarr
    from zarr.storage import MemoryStore

    objects: dict[str, Any] = {}
    group = zarr.open_group(MemoryStore(objects), mode="w", zarr_format=3)
    fill_group(group, spec, arrays, attributes)
    with warnings.catch_warnings():
        # Consolidated metadata are an extension of Zarr v3 that zarr-python and xarray both read; the metadata
        # never change after this point, so they cannot go stale.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(group.store, zarr_format=3)
    return {key: data.to_bytes() for key, data in objects.items()}


def write_shard(
    root: Location | Place,
    spec: DatasetSpec,
    shard: int,
    arrays: Mapping[str, npt.NDArray[Any]],
    statistics: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write one whole shard, then its manifest entry, with statistics of the shard; returns the entry.

    Raises
    ------
    DatasetError
        If the dataset has no array of that name.
    SimulationError
        If the dataset's lossy storage loses too much of a sample.
    """
    place = place_of(root)
    stored, errors = encode(spec.storage, arrays)
    with ThreadPoolExecutor(1) as pool:
        digests = pool.submit(_digests, stored)  # while the disk or the network is what is waited for
        objects = _chunks(place, spec, shard, stored)
        forget_shards(place, spec, [shard])  # while the data change, the shard does not exist
        place.write_many(objects)
    for name, error in errors.items():
        error["bytes"] = sum(len(data) for key, data in objects.items() if key.startswith(f"{name}/"))
    return write_entry(
        place, spec, shard, digests.result(), {**(statistics or {}), **({"lossy": errors} if errors else {})}
    )


def _digests(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, str]:
    return {name: array_digest(np.asarray(array)) for name, array in arrays.items()}


def _chunks(place: Place, spec: DatasetSpec, shard: int, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, bytes]:
    """The objects of a shard."""
    raw = place.read(ROOT_KEY)
    known = json.loads(raw)["consolidated_metadata"]["metadata"]
    objects: dict[str, bytes] = {}
    others: dict[str, npt.NDArray[Any]] = {}
    for name, values in arrays.items():
        if known.get(name, {}).get("node_type") != "array":
            raise DatasetError(
                f"The dataset has no array {name!r}, which its generator makes now.",
                where=str(place),
                why="the generator's layout changed, and its version did not",
                next_step="raise the generator's version, and generate into another folder",
            )
        plain = raw_shard(known[name], shard, values)
        if plain is None:
            others[name] = values
        else:
            objects[f"{name}/{plain[0]}"] = plain[1]
    return objects | (_zarr_chunks(raw, spec.shard_range(shard), others) if others else {})


def _zarr_chunks(raw: bytes, ids: range, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, bytes]:
    """Zarr encodes into memory: it would read what lies in the store, damaged or not, first."""
    import zarr
    from zarr.buffer.cpu import Buffer
    from zarr.storage import MemoryStore

    objects: dict[str, Any] = {ROOT_KEY: Buffer.from_bytes(raw)}
    group = zarr.open_group(MemoryStore(objects), mode="r+", zarr_format=3)
    # Chunks that hold nothing but "missing" are written too: NaN has many bit patterns, and digests are of bits.
    with zarr.config.set({"array.write_empty_chunks": True}):
        for name, values in arrays.items():
            array: Any = group[name]
            array[ids.start : ids.stop] = values
    return {key: data.to_bytes() for key, data in objects.items() if key != ROOT_KEY}


def read_attributes(root: Location | Place) -> dict[str, Any]:
    """Group attributes of a dataset, without importing zarr.

    Raises
    ------
    DatasetError
        If it is not a Zarr v3 group.
    """
    place = place_of(root)
    try:
        metadata = json.loads(place.read(ROOT_KEY))
        return dict(metadata["attributes"])
    except DatasetError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise DatasetError("This is not a wbench dataset.", where=str(place), why=why) from error
