"""Reading a dataset: rows of any ids, in whole chunks, never sample by sample."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from wbench import registry
from wbench.dataset.direct import read_rows
from wbench.dataset.encoding import DecodedArray, decode
from wbench.dataset.entries import Entries
from wbench.dataset.loader import Batches, can_map, mapped_rows
from wbench.dataset.manifest import content_digest, read_entries
from wbench.dataset.migrate import migrate
from wbench.dataset.place import ROOT_KEY, Location, Place, place_of
from wbench.dataset.spec import DatasetSpec
from wbench.dataset.writer import read_attributes
from wbench.digest import array_digest
from wbench.errors import DatasetError, DatasetNotFoundError, UnknownNameError, UsageError, WBenchError

__all__ = ["Dataset", "open_dataset"]

#: Arrays up to this size are kept in memory after the first read.
RAM_LIMIT_BYTES = 2 << 30
#: A larger array goes to the memory-mapped cache once this many times its chunks were read: rows in random order.
REREADS = 2


class Dataset:
    """A generated dataset, read-only.

    Attributes
    ----------
    place : Place
        Where it lies.
    spec : DatasetSpec
        What was asked for.
    attributes : dict
        All group attributes: arrays and numerology, definitions, provenance.
    """

    def __init__(self, place: Place, spec: DatasetSpec, attributes: dict[str, Any]) -> None:
        self.place = place
        self.spec = spec
        self.attributes = attributes
        self._cache: dict[str, npt.NDArray[Any]] = {}
        self._chunk: dict[str, tuple[int, npt.NDArray[Any]]] = {}  # last chunk of each array too large for that
        self._chunks_read: dict[str, float] = {}

    def __len__(self) -> int:
        return self.spec.samples

    @property
    def path(self) -> Path | str:
        """Its folder, or its URL."""
        return self.place.path

    @cached_property
    def _group(self) -> Any:
        import zarr

        return zarr.open_group(self.place.store(), mode="r")

    @cached_property
    def entries(self) -> Entries:
        """Manifest entries by shard."""
        return read_entries(self.place, self.spec)

    @cached_property
    def missing_shards(self) -> list[int]:
        """Shards that have not been written yet."""
        return [shard for shard in range(self.spec.shards) if shard not in self.entries]

    @cached_property
    def content_digest(self) -> str:
        """Digest of the bits of a complete dataset.

        Raises
        ------
        DatasetError
            If shards are missing.
        """
        self.require_complete()
        return content_digest(self.entries)

    def require_complete(self) -> None:
        """Raise :class:`DatasetError` if shards are missing."""
        if self.missing_shards:
            raise DatasetError(
                f"The dataset is incomplete: {len(self.missing_shards)} of {self.spec.shards} shards are missing.",
                where=str(self.path),
                next_step=self._command(),
            )

    def _command(self) -> str:
        """The command that makes the missing shards."""
        spec = self.spec
        if spec.recipe in registry.registry().entries["recipe"]:
            storage = "" if spec.storage == "lossless" else f" --storage {spec.storage}"
            return f"wbench generate {spec.recipe} --size {spec.size} {spec.seed_option}{storage} --out {self.path}"
        return f"wbench verify {self.path} --repair"  # from the spec inside; the recipe's file lies we know not where

    @cached_property
    def array_names(self) -> tuple[str, ...]:
        """Names of all arrays."""
        return tuple(sorted(name for name, array in self._stored.items() if "scale_of" not in array.attrs))

    def array(self, name: str) -> Any:
        """The ``zarr.Array`` of that name, or what decodes it where its storage is lossy."""
        if name not in self.array_names:
            raise UnknownNameError("array", name, self.array_names, next_step=f"wbench inspect {self.path}")
        scale = self._stored[name].attrs.get("scale_array")
        return self._stored[name] if scale is None else DecodedArray(self._stored[name], self._stored[scale])

    @cached_property
    def _stored(self) -> dict[str, Any]:
        # The other arrays of the group are coordinates: they belong to no shard.
        return {n: a for n, a in self._group.arrays() if (a.metadata.dimension_names or ("",))[0] == "sample"}

    @property
    def stored_names(self) -> tuple[str, ...]:
        """Names of the arrays as they lie in the store: those that the manifest has digests of."""
        return tuple(sorted(self._stored))

    def stored(self, name: str) -> Any:
        """The ``zarr.Array`` as it lies in the store, not decoded."""
        return self._stored[name]

    def read_shard(self, name: str, shard: int) -> npt.NDArray[Any]:
        """One whole shard of an array, decoded; what is stored is checked against the manifest entry first.

        Raises
        ------
        DatasetError
            If the shard is missing or damaged.
        """
        ids, array = self.spec.shard_range(shard), self.array(name)
        if shard in self.missing_shards:
            self.require_complete()
        parts = [name, array.scale_name] if isinstance(array, DecodedArray) else [name]
        try:
            values = [read_rows(self._stored[part], ids.start, ids.stop) for part in parts]
            digests = self.entries[shard]["arrays"]
            sound = all(array_digest(v) == digests.get(part) for part, v in zip(parts, values, strict=True))
            problem = "" if sound else "its bits differ"
        except WBenchError:
            raise  # the storage does not answer, or the manifest entry is damaged and says so
        except Exception as error:  # whatever a damaged store makes zarr raise, the shard is damaged
            problem = f"{type(error).__name__}: {error}"
        if problem:
            raise DatasetError(
                f"Shard {shard} is damaged.",
                where=f"{self.path}/{name}",
                why=problem,
                next_step=f"wbench verify {self.path} --repair",
            )
        return decode(*values) if isinstance(array, DecodedArray) else values[0]

    def batches(
        self,
        ids: npt.ArrayLike,
        size: int,
        shuffle_seed: int | None = None,
        *,
        arrays: tuple[str, ...] = ("channel",),
        memory: int | None = None,
    ) -> Batches:
        """Batches of some samples, as fast as the split's size allows.

        Parameters
        ----------
        ids : array_like of int [n]
            Sample ids of the split.
        size : int
            Samples of a batch; the last one may have fewer.
        shuffle_seed : int, optional
            Shuffle, anew in every epoch; without it the order is that of ``ids``.
        arrays : tuple of str
            Arrays to read.
        memory : int, optional
            Bytes that the split may take in memory; default 40 % of the machine's.

        Returns
        -------
        Batches
            Each iteration is the next epoch and yields dicts of ``sample`` (the ids) and the arrays. ``strategy`` says
            where they come from; memory and memory map serve the same order.

        Raises
        ------
        UsageError, UnknownNameError
            Ids outside the dataset, no such array, or a size below 1.
        DatasetError
            If shards are missing; while iterating, if one is damaged.
        """
        self.require_complete()
        return Batches(self, ids, size, arrays, shuffle_seed=shuffle_seed, memory=memory)

    def read(self, name: str, ids: npt.ArrayLike) -> npt.NDArray[Any]:
        """Rows of an array.

        Parameters
        ----------
        name : str
            Array name.
        ids : array_like of int [n]
            Sample ids, any order; sorted ids of a large array read every chunk once.

        Returns
        -------
        ndarray [n, …]

        Raises
        ------
        UsageError
            If the ids are not whole numbers of the dataset (a mask is not a list of ids).
        DatasetError
            If one of them lies in a shard that has not been written.
        """
        rows = self.check_ids(name, ids)
        cached = self._cache.get(name)
        if cached is None:
            source = self.array(name)
            if source.nbytes > RAM_LIMIT_BYTES:
                return self._read_chunks(name, source, rows)
            cached = self._cache[name] = np.asarray(source[:])
        return cached[rows]

    def check_ids(self, name: str, ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The ids as int64 [n]; raises like :meth:`read`."""
        given = np.asarray(ids)
        if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
            why = f"got {given.dtype} {given.shape}"
            raise UsageError("Sample ids are a list of whole numbers.", where=f"{self.path}/{name}", why=why)
        rows = given.astype(np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise UsageError(f"Sample ids must lie in [0, {len(self)}).", where=f"{self.path}/{name}")
        if self.missing_shards and np.isin(rows // self.spec.shard_samples, self.missing_shards).any():
            self.require_complete()
        return rows

    def _read_chunks(self, name: str, source: Any, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        size = source.chunks[0]
        out = np.empty((len(rows), *source.shape[1:]), dtype=source.dtype)
        order = np.argsort(rows, kind="stable")
        chunks, starts = np.unique(rows[order] // size, return_index=True)
        if self._chunks_read.get(name, 0) > REREADS * -(-len(self) // size) and not self.missing_shards:
            self._chunks_read[name] = -np.inf  # asked once
            everything = np.arange(len(self))
            if can_map(self, (name,), everything):
                self._cache[name] = mapped_rows(self, name, everything)
                return self._cache[name][rows]
        for chunk, picked in zip(chunks.tolist(), np.split(order, starts[1:]), strict=False):
            last, values = self._chunk.get(name, (-1, out))
            if last != chunk:
                values = read_rows(source, chunk * size, (chunk + 1) * size)
                self._chunks_read[name] = self._chunks_read.get(name, 0) + 1
                self._chunk[name] = (chunk, values)
            out[picked] = values[rows[picked] - chunk * size]
        return out


def open_dataset(path: Location | Place, storage_options: Mapping[str, Any] | None = None) -> Dataset:
    """Open a generated dataset.

    Parameters
    ----------
    path : path or str
        Its folder, or a URL of any storage that fsspec knows (``s3://bucket/name.zarr``).
    storage_options : mapping, optional
        Arguments of that storage; its own configuration and environment variables hold as well.

    Raises
    ------
    DatasetNotFoundError
        If there is nothing.
    DatasetError
        If it is not a wbench dataset, or of a newer schema version, or the storage refuses access.
    MissingError
        If the storage does not answer, or its package is not installed.
    """
    place = place_of(path, storage_options)
    if not place.exists(ROOT_KEY) and not place.found():
        raise DatasetNotFoundError("There is no dataset here.", where=str(place), next_step="wbench generate RECIPE")
    attributes = migrate(read_attributes(place), str(place))
    try:
        spec = DatasetSpec.model_validate(attributes["spec"])
    except (KeyError, ValidationError) as error:
        raise DatasetError("This is not a wbench dataset.", where=str(place), why=str(error)) from error
    if spec.digest != attributes.get("spec_digest"):
        raise DatasetError("The dataset's spec does not match its digest.", where=str(place), why="it was edited")
    return Dataset(place, spec, attributes)
