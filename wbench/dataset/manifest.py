"""One manifest entry per shard, written after the shard's data: a shard without an entry does not exist."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.dataset.spec import DatasetSpec
from wbench.digest import array_digest, value_digest
from wbench.errors import DatasetError

__all__ = ["MANIFEST", "content_digest", "entry_path", "read_entries", "write_entry"]

#: Folder of the entries inside the dataset folder; the leading dot keeps it out of Zarr's own listing.
MANIFEST = ".wbench"


def entry_path(root: Path, shard: int) -> Path:
    """File of a shard's entry."""
    return root / MANIFEST / f"shard-{shard:06d}.json"


def write_entry(root: Path, spec: DatasetSpec, shard: int, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """Write the entry of a shard atomically, with the digests of its decoded arrays."""
    ids = spec.shard_range(shard)
    entry: dict[str, Any] = {
        "spec": spec.digest,
        "shard": shard,
        "samples": [ids.start, ids.stop],
        "arrays": {name: array_digest(np.asarray(array)) for name, array in sorted(arrays.items())},
    }
    path = entry_path(root, shard)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(entry, stream, indent=1, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    return entry


def read_entries(root: Path, spec: DatasetSpec) -> dict[int, dict[str, Any]]:
    """Entries that exist, by shard.

    Raises
    ------
    DatasetError
        If an entry belongs to another spec or is not a manifest entry.
    """
    entries = {}
    for path in sorted((root / MANIFEST).glob("shard-*.json")):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            shard = int(entry["shard"])
            foreign = entry["spec"] != spec.digest or path != entry_path(root, shard) or not 0 <= shard < spec.shards
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                "A manifest entry is damaged.", where=str(path), why=str(error), next_step=f"wbench verify {root}"
            ) from error
        if foreign:
            raise DatasetError(
                "A manifest entry belongs to another dataset.", where=str(path), next_step=f"wbench verify {root}"
            )
        entries[shard] = entry
    return entries


def content_digest(entries: Mapping[int, Mapping[str, Any]]) -> str:
    """Digest of the bits: of all shards' array digests, in order."""
    return value_digest([[shard, entries[shard]["arrays"]] for shard in sorted(entries)])
