"""Verification: every shard's decoded bits against its manifest entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wbench.dataset.manifest import scan_entries
from wbench.dataset.reader import Dataset
from wbench.digest import array_digest
from wbench.errors import DatasetError, WBenchError

__all__ = ["ShardProblem", "verify_dataset"]


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
    entries, unusable = scan_entries(dataset.place, dataset.spec)
    found = dict(unusable)
    for shard in range(dataset.spec.shards):
        if shard in entries:
            problem = _check(dataset, shard, entries)
            if problem:
                found[shard] = problem
        else:
            found.setdefault(shard, "missing: it has not been written")
        if advance is not None:
            advance(len(dataset.spec.shard_range(shard)))
    return [ShardProblem(shard, found[shard]) for shard in sorted(found)]


def _check(dataset: Dataset, shard: int, entries: Mapping[int, dict[str, Any]]) -> str | None:
    ids = dataset.spec.shard_range(shard)
    try:
        entry = entries[shard]
    except DatasetError as error:
        return f"its manifest entry is damaged ({error.why})"
    if set(entry["arrays"]) != set(dataset.stored_names):
        return "foreign: its arrays are not those of the dataset"
    for name, expected in entry["arrays"].items():
        try:
            values = np.asarray(dataset.stored(name)[ids.start : ids.stop])
        except WBenchError:
            raise  # the storage does not answer: that says nothing about the shard
        except Exception as error:  # whatever a damaged store makes zarr raise, the shard is damaged
            return f"damaged: {name} cannot be decoded ({type(error).__name__}: {error})"
        if array_digest(values) != expected:
            return f"damaged: {name} has other bits than were written"
    return None
