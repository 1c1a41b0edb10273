"""Verification: every shard's decoded bits against its manifest entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wbench.dataset.manifest import entry_path, scan_entries
from wbench.dataset.reader import Dataset
from wbench.digest import array_digest

__all__ = ["ShardProblem", "forget_shards", "verify_dataset"]


@dataclass(frozen=True)
class ShardProblem:
    """A shard that is not what its manifest entry says."""

    shard: int
    problem: str


def verify_dataset(dataset: Dataset, advance: Callable[[int], None] | None = None) -> list[ShardProblem]:
    """Check every shard; an empty list means that all bits are as written.

    Parameters
    ----------
    dataset : Dataset
        What to check; it may be incomplete or damaged.
    advance : callable, optional
        Called with the number of samples after each shard, for a progress bar.
    """
    entries, unusable = scan_entries(dataset.path, dataset.spec)
    found = dict(unusable)
    for shard in range(dataset.spec.shards):
        if shard in entries:
            problem = _check(dataset, shard, entries[shard])
            if problem:
                found[shard] = problem
        else:
            found.setdefault(shard, "missing: it has not been written")
        if advance is not None:
            advance(len(dataset.spec.shard_range(shard)))
    return [ShardProblem(shard, found[shard]) for shard in sorted(found)]


def _check(dataset: Dataset, shard: int, entry: dict[str, Any]) -> str | None:
    ids = dataset.spec.shard_range(shard)
    if set(entry["arrays"]) != set(dataset.array_names):
        return "foreign: its arrays are not those of the dataset"
    for name, expected in entry["arrays"].items():
        try:
            values = np.asarray(dataset.array(name)[ids.start : ids.stop])
        except Exception as error:  # whatever a damaged store makes zarr raise, the shard is damaged
            return f"damaged: {name} cannot be decoded ({type(error).__name__}: {error})"
        if array_digest(values) != expected:
            return f"damaged: {name} has other bits than were written"
    return None


def forget_shards(root: Path, shards: Iterable[int]) -> None:
    """Remove the manifest entries of these shards: they do not exist any more."""
    for shard in shards:
        entry_path(root, shard).unlink(missing_ok=True)
