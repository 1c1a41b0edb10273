"""Splits and budgets: keyed permutations with a digest, not index files."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.digest import value_digest
from wbench.errors import SpecError
from wbench.seeding import keyed_permutation
from wbench.task.spec import Part, Split

__all__ = ["budget_ids", "split_digest", "split_ids"]

Ids = npt.NDArray[np.int64]


def split_ids(split: Split, spec_digest: str, units: npt.NDArray[Any], side: Part) -> Ids:
    """Sample ids of one side.

    Parameters
    ----------
    split : Split
        The rule.
    spec_digest : str
        Spec digest of the dataset: another dataset is dealt otherwise.
    units : ndarray [n]
        The split unit of each sample (drop, block, scene). A unit is never divided; ``S0`` ignores it.
    side : {"train", "val", "test"}
        Which side.

    Returns
    -------
    int64 ndarray
        Sorted ids.

    Raises
    ------
    SpecError
        If a side would be empty.
    """
    labels, inverse = np.unique(units, return_inverse=True) if split.rule != "S0" else (None, np.arange(len(units)))
    n = len(units) if labels is None else len(labels)
    order = keyed_permutation(n, "split", split.digest, spec_digest)
    first = round(n * split.fractions["train"])
    second = first + round(n * split.fractions["val"])
    bounds = {"train": (0, first), "val": (first, second), "test": (second, n)}
    if min(stop - start for start, stop in bounds.values()) < 1:
        raise SpecError(f"The split {split.rule} leaves a side empty.", why=f"there are only {n} {split.unit} units")
    start, stop = bounds[side]
    mine = np.zeros(n, dtype=bool)
    mine[order[start:stop]] = True
    return np.flatnonzero(mine[inverse]).astype(np.int64)


def split_digest(split: Split, spec_digest: str) -> str:
    """Digest that fixes which samples are on which side."""
    return value_digest([split.digest, spec_digest])


def budget_ids(ids: Ids, percent: float, draw: int, *key: str) -> Ids:
    """Training ids of a budget: the first share of a keyed permutation, so budgets of one draw are nested."""
    if not 0 < percent <= 100:
        raise SpecError(f"A budget is a percentage in (0, 100], not {percent}.", next_step="--budget 10")
    if percent == 100:
        return ids
    count = max(1, math.ceil(len(ids) * percent / 100))
    order = keyed_permutation(len(ids), "budget", str(draw), *key)
    return np.sort(ids[order[:count]])
