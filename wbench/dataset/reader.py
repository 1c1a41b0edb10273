"""Reading a dataset: rows of any ids, in whole chunks, never sample by sample."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from wbench import registry
from wbench.dataset.manifest import content_digest, read_entries
from wbench.dataset.schema import SCHEMA_VERSION
from wbench.dataset.spec import DatasetSpec
from wbench.dataset.writer import read_attributes
from wbench.errors import DatasetError, DatasetNotFoundError, UnknownNameError, UsageError

__all__ = ["Dataset", "open_dataset"]

#: Arrays up to this size are kept in memory after the first read.
RAM_LIMIT_BYTES = 2 << 30


class Dataset:
    """A generated dataset, read-only.

    Attributes
    ----------
    path : Path
        Its folder.
    spec : DatasetSpec
        What was asked for.
    attributes : dict
        All group attributes: arrays and numerology, definitions, provenance.
    """

    def __init__(self, path: Path, spec: DatasetSpec, attributes: dict[str, Any]) -> None:
        self.path = path
        self.spec = spec
        self.attributes = attributes
        self._cache: dict[str, npt.NDArray[Any]] = {}
        self._chunk: dict[str, tuple[int, npt.NDArray[Any]]] = {}  # last chunk of each array too large for that

    def __len__(self) -> int:
        return self.spec.samples

    @cached_property
    def _group(self) -> Any:
        import zarr

        return zarr.open_group(self.path, mode="r")

    @cached_property
    def entries(self) -> dict[int, dict[str, Any]]:
        """Manifest entries by shard."""
        return read_entries(self.path, self.spec)

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
            return f"wbench generate {spec.recipe} --size {spec.size} --seed {spec.seed} --out {self.path}"
        return f"wbench verify {self.path} --repair"  # from the spec inside; the recipe's file lies we know not where

    @cached_property
    def array_names(self) -> tuple[str, ...]:
        """Names of all arrays."""
        return tuple(sorted(name for name, _ in self._group.arrays()))

    def array(self, name: str) -> Any:
        """The ``zarr.Array`` of that name."""
        if name not in self.array_names:
            raise UnknownNameError("array", name, self.array_names, next_step=f"wbench inspect {self.path}")
        return self._group[name]

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
        given = np.asarray(ids)
        if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
            why = f"got {given.dtype} {given.shape}"
            raise UsageError("Sample ids are a list of whole numbers.", where=f"{self.path}/{name}", why=why)
        rows = given.astype(np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise UsageError(f"Sample ids must lie in [0, {len(self)}).", where=f"{self.path}/{name}")
        if self.missing_shards and np.isin(rows // self.spec.shard_samples, self.missing_shards).any():
            self.require_complete()
        cached = self._cache.get(name)
        if cached is None:
            source = self.array(name)
            if source.nbytes > RAM_LIMIT_BYTES:
                return self._read_chunks(name, source, rows)
            cached = self._cache[name] = np.asarray(source[:])
        return cached[rows]

    def _read_chunks(self, name: str, source: Any, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        size = source.chunks[0]
        out = np.empty((len(rows), *source.shape[1:]), dtype=source.dtype)
        order = np.argsort(rows, kind="stable")
        chunks, starts = np.unique(rows[order] // size, return_index=True)
        for chunk, picked in zip(chunks.tolist(), np.split(order, starts[1:]), strict=False):
            last, values = self._chunk.get(name, (-1, out))
            if last != chunk:
                values = np.asarray(source[chunk * size : (chunk + 1) * size])
                self._chunk[name] = (chunk, values)
            out[picked] = values[rows[picked] - chunk * size]
        return out


def open_dataset(path: str | Path) -> Dataset:
    """Open a generated dataset.

    Raises
    ------
    DatasetNotFoundError
        If there is no such folder.
    DatasetError
        If the folder is not a wbench dataset, or of a newer schema version.
    """
    root = Path(path)
    if not root.exists():
        raise DatasetNotFoundError("There is no dataset here.", where=str(root), next_step="wbench generate RECIPE")
    attributes = read_attributes(root)
    version = attributes.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise DatasetError(
            f"The dataset has schema version {version}, this wbench reads up to {SCHEMA_VERSION}.",
            where=str(root),
            next_step="pip install --upgrade wbench",
        )
    try:
        spec = DatasetSpec.model_validate(attributes["spec"])
    except (KeyError, ValidationError) as error:
        raise DatasetError("The folder is not a wbench dataset.", where=str(root), why=str(error)) from error
    if spec.digest != attributes.get("spec_digest"):
        raise DatasetError("The dataset's spec does not match its digest.", where=str(root), why="it was edited")
    return Dataset(root, spec, attributes)
