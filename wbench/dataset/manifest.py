"""One manifest entry per shard, written after the shard's data: a shard without an entry does not exist."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.dataset.spec import DatasetSpec
from wbench.digest import array_digest, value_digest
from wbench.errors import DatasetError

__all__ = [
    "MANIFEST",
    "content_digest",
    "entry_path",
    "read_entries",
    "remove_leftovers",
    "scan_entries",
    "sync",
    "write_entry",
]

#: Folder of the entries inside the dataset folder; the leading dot keeps it out of Zarr's own listing.
MANIFEST = ".wbench"

_ENTRY_NAME = re.compile(r"shard-(\d{6,})\.json")


def entry_path(root: Path, shard: int) -> Path:
    """File of a shard's entry."""
    return root / MANIFEST / f"shard-{shard:06d}.json"


def write_entry(
    root: Path,
    spec: DatasetSpec,
    shard: int,
    arrays: Mapping[str, npt.NDArray[Any]],
    statistics: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the entry of a shard atomically: the digests of its decoded arrays, and statistics for people."""
    ids = spec.shard_range(shard)
    entry: dict[str, Any] = {
        "spec": spec.digest,
        "shard": shard,
        "samples": [ids.start, ids.stop],
        "arrays": {name: array_digest(np.asarray(array)) for name, array in sorted(arrays.items())},
    }
    if statistics:
        entry["statistics"] = dict(statistics)
    path = entry_path(root, shard)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(entry, indent=1, sort_keys=True), encoding="utf-8")
    sync(temporary)
    temporary.replace(path)
    return entry


def sync(path: Path) -> None:
    """Wait until a file lies on the disk: an entry must not outlive a power failure that its data did not."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def scan_entries(root: Path, spec: DatasetSpec) -> tuple[dict[int, dict[str, Any]], dict[int, str]]:
    """Entries by shard, and by shard what is wrong with those that cannot be used."""
    entries: dict[int, dict[str, Any]] = {}
    problems: dict[int, str] = {}
    for path in sorted((root / MANIFEST).glob("shard-*.json")):
        name = _ENTRY_NAME.fullmatch(path.name)
        if name is None or path != entry_path(root, shard := int(name[1])):
            continue  # not a file of ours
        try:
            entries[shard] = _checked(json.loads(path.read_text(encoding="utf-8")), spec, shard)
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems[shard] = f"its manifest entry is damaged ({type(error).__name__}: {error})"
        except DatasetError as error:
            problems[shard] = error.what
    return entries, problems


def _checked(entry: Any, spec: DatasetSpec, shard: int) -> dict[str, Any]:
    ids = spec.shard_range(shard)
    if entry["spec"] != spec.digest or shard >= spec.shards:
        raise DatasetError("its manifest entry belongs to another dataset")
    arrays = entry["arrays"]
    sound = isinstance(arrays, dict) and all(isinstance(digest, str) for digest in arrays.values())
    if entry["shard"] != shard or entry["samples"] != [ids.start, ids.stop] or not sound:
        raise ValueError("wrong fields")
    return dict(entry)


def read_entries(root: Path, spec: DatasetSpec) -> dict[int, dict[str, Any]]:
    """Entries that exist, by shard.

    Raises
    ------
    DatasetError
        If an entry belongs to another spec or is not a manifest entry.
    """
    entries, problems = scan_entries(root, spec)
    for shard, problem in problems.items():
        raise DatasetError(
            f"Shard {shard} cannot be used: {problem}.",
            where=str(entry_path(root, shard)),
            next_step=f"wbench verify {root} --repair",
        )
    return entries


def remove_leftovers(root: Path) -> None:
    """Remove half-written files of killed processes; only for the one writer of a dataset."""
    for pattern in ("*/c/**/*.partial", f"{MANIFEST}/.shard-*.tmp"):
        for path in root.glob(pattern):
            path.unlink(missing_ok=True)


def content_digest(entries: Mapping[int, Mapping[str, Any]]) -> str:
    """Digest of the bits: of all shards' array digests, in order."""
    return value_digest([[shard, entries[shard]["arrays"]] for shard in sorted(entries)])
