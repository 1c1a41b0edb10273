"""Verification: every shard's decoded bits against its manifest entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wbench.dataset.manifest import entry_path
from wbench.dataset.reader import Dataset
from wbench.digest import array_digest

__all__ = ["ShardProblem", "verify_dataset"]


@dataclass(frozen=True)
class ShardProblem:
    """A shard that is not what its manifest entry says."""

    shard: int
    problem: str


def verify_dataset(dataset: Dataset) -> list[ShardProblem]:
    """Check every shard; an empty list means that all bits are as written."""
    problems = []
    for shard in range(dataset.spec.shards):
        entry = dataset.entries.get(shard)
        problem = "missing: it has not been written" if entry is None else _check(dataset, shard, entry)
        if problem:
            problems.append(ShardProblem(shard, problem))
    return problems


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


def forget_shards(dataset: Dataset, shards: list[int]) -> None:
    """Remove the manifest entries of these shards, so that the next ``generate`` makes them again."""
    for shard in shards:
        entry_path(dataset.path, shard).unlink(missing_ok=True)
