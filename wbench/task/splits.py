"""Splits and budgets: keyed permutations with a digest, not index files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.digest import value_digest
from wbench.errors import SpecError
from wbench.seeding import keyed_permutation
from wbench.task.spec import Side, Split

__all__ = ["blocks_of", "budget_ids", "nearest_distance", "sides", "split_digest", "split_ids"]

Ids = npt.NDArray[np.int64]
Sides = npt.NDArray[np.int8]
CODE: dict[str, int] = {"train": 0, "val": 1, "test": 2}
#: Samples that no side has: within the guard distance of another side.
GUARD = -1
#: Squares per axis and scene that a block number can tell apart.
SPAN = 1 << 16


def split_ids(
    split: Split, spec_digest: str, columns: Mapping[str, npt.NDArray[Any]], side: Side, scenes: Sequence[str] = ()
) -> Ids:
    """Sample ids of one side; arguments as in :func:`sides`, with ``side`` as ``"all"`` for every sample.

    Returns
    -------
    int64 ndarray
        Sorted ids.
    """
    if side == "all":
        return np.arange(len(next(iter(columns.values()))), dtype=np.int64)
    return np.flatnonzero(sides(split, spec_digest, columns, scenes) == CODE[side]).astype(np.int64)


def sides(split: Split, spec_digest: str, columns: Mapping[str, npt.NDArray[Any]], scenes: Sequence[str] = ()) -> Sides:
    """Side of every sample.

    Parameters
    ----------
    split : Split
        The rule.
    spec_digest : str
        Spec digest of the dataset: another dataset is dealt otherwise.
    columns : mapping of str to ndarray [n, …]
        The dataset arrays :attr:`~wbench.task.spec.Split.arrays`; for ``S0`` any array of the samples.
    scenes : sequence of str
        Names of the scenes by number, for ``held``.

    Returns
    -------
    int8 ndarray [n]
        0 train, 1 validation, 2 test; −1 for a sample that the guard distance leaves out.

    Raises
    ------
    SpecError
        If a side would be empty, or there is no scene of a held-out name.
    """
    shares = [split.fractions["train"], split.fractions["val"], split.fractions["test"]]
    if split.rule == "S0":
        units: npt.NDArray[Any] = np.arange(len(next(iter(columns.values()))))
        dealt = _deal(units, shares, "sample", split, spec_digest)
    elif not split.spatial:
        dealt = _deal(columns[split.unit], shares, split.unit, split, spec_digest)
    else:
        dealt = _deal_squares(split, spec_digest, columns, scenes, shares)
    empty = [name for name, code in CODE.items() if not np.any(dealt == code)]
    if empty:
        why = f"guard distance {split.guard_m:g} m" if split.spatial else f"{len(dealt)} samples"
        raise SpecError(f"The split {split.rule} leaves a side empty.", where=empty[0], why=why)
    return dealt


def _deal(units: npt.NDArray[Any], shares: Sequence[float], unit: str, split: Split, spec_digest: str) -> Sides:
    """Deal whole units by a keyed permutation."""
    labels, inverse = np.unique(units, return_inverse=True)
    n = len(labels)
    first = round(n * shares[0])
    second = n if not shares[2] else first + round(n * shares[1])
    counts = [first, second - first, n - second]
    if any(count < 1 for count, share in zip(counts, shares, strict=True) if share):
        raise SpecError(f"The split {split.rule} leaves a side empty.", why=f"there are only {n} {unit} units")
    order = keyed_permutation(n, "split", split.digest, spec_digest)
    of_unit = np.empty(n, dtype=np.int8)
    of_unit[order] = np.repeat(np.arange(3, dtype=np.int8), counts)
    return np.asarray(of_unit[inverse.ravel()])


def _deal_squares(
    split: Split,
    spec_digest: str,
    columns: Mapping[str, npt.NDArray[Any]],
    scenes: Sequence[str],
    shares: Sequence[float],
) -> Sides:
    scene, xy = np.asarray(columns["scene"]), np.asarray(columns["ue_position"])[:, :2].astype(np.float64)
    unknown = [name for name in split.held if name not in scenes]
    if unknown:
        step = f"one of {', '.join(scenes)}"
        raise SpecError("There is no such scene to hold out.", where="split held", why=unknown[0], next_step=step)
    held = np.isin(scene, [scenes.index(name) for name in split.held])
    dealt = np.full(len(scene), CODE["test"], dtype=np.int8)
    if split.held:
        rest = shares[0] + shares[1]
        shares = [shares[0] / rest, shares[1] / rest, 0.0]
    dealt[~held] = _deal(blocks_of(scene, xy, split.block_m)[~held], shares, "square", split, spec_digest)
    # Test users all stay; validation users give way to them, and training users to both.
    for side, others in ((CODE["val"], (CODE["test"],)), (CODE["train"], (CODE["val"], CODE["test"]))):
        mine = np.flatnonzero(dealt == side)
        near = nearest_distance(scene, xy, mine, np.flatnonzero(np.isin(dealt, others))) < split.guard_m
        dealt[mine[near]] = GUARD
    return dealt


def blocks_of(scene: npt.NDArray[Any], xy: npt.NDArray[np.float64], block_m: float) -> Ids:
    """Number of the square, of side ``block_m``, that each user stands on; squares of two scenes differ: int64 [n]."""
    square = np.floor(xy / block_m).astype(np.int64) + SPAN // 2
    return (np.asarray(scene).astype(np.int64) * SPAN + square[:, 0]) * SPAN + square[:, 1]


def nearest_distance(scene: npt.NDArray[Any], xy: npt.NDArray[np.float64], of: Ids, to: Ids) -> npt.NDArray[np.float64]:
    """Distance in m of the samples ``of`` to the nearest of the samples ``to`` in the same scene; ∞ without one."""
    from scipy.spatial import cKDTree

    distance = np.full(len(of), np.inf)
    for one in np.unique(scene[of]):
        others = to[scene[to] == one]
        if len(others):
            rows = np.flatnonzero(scene[of] == one)
            distance[rows] = cKDTree(xy[others]).query(xy[of[rows]])[0]
    return distance


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
