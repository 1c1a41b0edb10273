"""Creating a dataset and writing whole shards. One writer per shard; nothing is ever appended or half-declared."""

from __future__ import annotations

import glob
import json
import os
import platform
import shutil
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.dataset.manifest import MANIFEST, entry_path, sync, write_entry
from wbench.dataset.schema import ArraySpec
from wbench.dataset.spec import DatasetSpec
from wbench.errors import DatasetError, OutputConflictError

__all__ = ["create_dataset", "read_attributes", "write_shard"]


def create_dataset(root: Path, spec: DatasetSpec, arrays: Iterable[ArraySpec], attributes: Mapping[str, Any]) -> None:
    """Create the group with all arrays at full size, or accept an existing one of the same spec.

    The folder is made under a temporary name and renamed, so it is either absent or complete in its metadata.

    Raises
    ------
    OutputConflictError
        If the folder holds something else. It is left untouched.
    DatasetError
        If the folder cannot be made.
    """
    root = root.resolve()  # a link to an empty folder: the folder it names is replaced, not the link
    stem = f".{root.name}.{platform.node() or 'host'}"
    temporary = root.with_name(f"{stem}-{os.getpid()}.tmp")
    try:
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            _check_same(root, spec)
            return
        root.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(root.parent, stem)
        _create_group(temporary, spec, arrays, attributes)
        if root.exists():
            root.rmdir()
        temporary.rename(root)
    except OutputConflictError:
        raise
    except OSError as error:
        if (root / "zarr.json").exists():  # another process was first; its metadata are the same or refused here
            _check_same(root, spec)
            return
        raise DatasetError("The dataset cannot be created.", where=str(root), why=str(error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_stale(parent: Path, stem: str) -> None:
    """Remove what killed processes of this machine left half created."""
    for path in parent.glob(f"{glob.escape(stem)}-*.tmp"):
        pid = path.name.removeprefix(f"{stem}-").removesuffix(".tmp")
        if pid.isdigit() and (int(pid) == os.getpid() or not _alive(int(pid))):
            shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _check_same(root: Path, spec: DatasetSpec) -> None:
    try:
        found = read_attributes(root).get("spec_digest")
    except DatasetError:
        found = None
    if found == spec.digest:
        return
    what = "another dataset" if found else "something that is not a wbench dataset"
    raise OutputConflictError(
        f"The output folder holds {what}. It was left untouched.",
        where=str(root),
        why=f"its spec digest is {found}, asked for is {spec.digest}" if found else None,
        next_step="choose another folder with --out, or move that one away",
    )


def _create_group(path: Path, spec: DatasetSpec, arrays: Iterable[ArraySpec], attributes: Mapping[str, Any]) -> None:
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.attrs.update(attributes)
    for array in arrays:
        chunk = min(spec.block, spec.samples)
        shard = chunk * spec.shard_blocks
        group.create_array(
            array.name,
            shape=(spec.samples, *array.shape),
            dtype=array.dtype,
            chunks=(chunk, *array.shape),
            shards=(shard, *array.shape) if spec.shard_blocks > 1 else None,
            # Floats of CSI hardly compress (0.88 to 0.92), and raw chunks read several times faster.
            compressors=None,
            filters=None,
            dimension_names=("sample", *array.dims),
            attributes={"units": array.unit, "long_name": array.description, **array.attributes},
            fill_value=_fill_value(np.dtype(array.dtype)),
        )
    with warnings.catch_warnings():
        # Consolidated metadata are an extension of Zarr v3 that zarr-python and xarray both read; the metadata
        # never change after this point, so they cannot go stale.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(path, zarr_format=3)
    (path / MANIFEST).mkdir()


def _fill_value(dtype: np.dtype[Any]) -> Any:
    """What never written shards read as: "missing" rather than zeros, as far as the dtype can say so."""
    if dtype.kind in "fc":
        return np.nan
    if dtype.kind == "i":
        return -128
    return np.iinfo(dtype).max if dtype.kind == "u" else np.zeros((), dtype).item()


def write_shard(
    root: Path,
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
    """
    import zarr

    ids = spec.shard_range(shard)
    entry_path(root, shard).unlink(missing_ok=True)  # while the data change, the shard does not exist
    # Chunks that hold nothing but "missing" are written too: NaN has many bit patterns, and digests are of bits.
    with zarr.config.set({"array.write_empty_chunks": True}):
        group = zarr.open_group(root, mode="r+")
        for name, values in arrays.items():
            target = group.get(name)
            if not isinstance(target, zarr.Array):
                raise DatasetError(
                    f"The dataset has no array {name!r}, which its generator makes now.",
                    where=str(root),
                    why="the generator's layout changed, and its version did not",
                    next_step="raise the generator's version, and generate into another folder",
                )
            for path in _shard_files(root, name, shard):
                path.unlink()  # zarr reads what is there before it writes a shard, and a damaged one cannot be read
            target[ids.start : ids.stop] = values
            for path in _shard_files(root, name, shard):
                sync(path)
    return write_entry(root, spec, shard, arrays, statistics)


def _shard_files(root: Path, name: str, shard: int) -> list[Path]:
    # One outer chunk per shard and array: a file, or a chain of folders with one file, by the number of dimensions.
    place = root / name / "c" / str(shard)
    return [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]


def read_attributes(root: Path) -> dict[str, Any]:
    """Group attributes of a dataset, without importing zarr.

    Raises
    ------
    DatasetError
        If the folder is not a Zarr v3 group.
    """
    try:
        metadata = json.loads((root / "zarr.json").read_text(encoding="utf-8"))
        return dict(metadata["attributes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise DatasetError("The folder is not a wbench dataset.", where=str(root), why=why) from error
