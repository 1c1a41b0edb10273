"""Leakage audit of a task: what its sides share, how far apart they are, how balanced, how many samples twice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.task.base import Task
from wbench.task.spec import Part
from wbench.task.splits import CODE, GUARD, blocks_of, nearest_distance

__all__ = ["Audit", "audit", "sample_sides"]

PARTS: tuple[Part, ...] = ("train", "val", "test")
#: Quantiles of the nearest train–test distance, in percent.
QUANTILES = (0, 5, 25, 50, 75, 95)
BATCH = 512


@dataclass(frozen=True)
class Audit:
    """Findings of :func:`audit`.

    Attributes
    ----------
    samples, units, clusters : dict of part to int
        Samples, split units and interval clusters of each part.
    left_out : int
        Samples of the datasets on no side: guard distance, or nothing to ask (no path, outage).
    nearest_m : dict of int to float
        Quantiles in percent of the distance on the ground from a test user to the nearest training user of the same
        scene, in m; empty where no scene is on both sides, or positions of two drops have nothing in common.
    balance : dict of part to dict
        Share of each label of a ``classify`` task that occurs.
    duplicates : int
        Test samples whose channel, bit by bit, is also one of training.
    violations : tuple of str
        What must not be: a unit on two sides, a guard distance not kept, a duplicate.
    """

    samples: dict[Part, int]
    units: dict[Part, int]
    clusters: dict[Part, int]
    left_out: int
    nearest_m: dict[int, float]
    balance: dict[Part, dict[int, float]]
    duplicates: int
    violations: tuple[str, ...] = field(default=())


def audit(task: Task) -> Audit:
    """Look for leakage between the parts of a task; reads every channel once."""
    ids = {part: task.ids(part) for part in PARTS}
    units = {part: _units(task, part, ids[part]) for part in PARTS}
    nearest = _nearest(task, ids)
    twice = _duplicates(task, ids)
    violations = _shared(task, units)
    if task.spec.split.spatial and nearest and min(nearest.values()) < task.spec.split.guard_m:
        violations.append(f"a test user is {min(nearest.values()):.1f} m from a training user")
    if twice:
        violations.append(f"{twice} test samples are, bit by bit, also training samples")
    total = sum(len(dataset) for dataset in task.datasets.values()) // task.links
    return Audit(
        samples={part: len(ids[part]) for part in PARTS},
        units={part: len(np.unique(units[part])) for part in PARTS},
        clusters={part: len(np.unique(task.clusters(part, ids[part]))) for part in PARTS},
        left_out=total - sum(map(len, ids.values())),
        nearest_m=nearest,
        balance=_balance(task, ids),
        duplicates=twice,
        violations=tuple(violations),
    )


def sample_sides(task: Task, recipe: str) -> npt.NDArray[np.int8]:
    """Side of every sample of one of the task's datasets: int8, coded as in :func:`wbench.task.splits.sides`.

    −1 is a sample that the task does not ask for: within the guard distance, without a path, or of another dataset's
    part. A sample of a task with several links is that many samples of the dataset.
    """
    found = np.full(len(task.datasets[recipe]), GUARD, dtype=np.int8)
    for part in PARTS:
        if task.spec.views[part].recipe == recipe:
            rows = task.ids(part)[:, None] + np.arange(task.links)
            found[rows.ravel()] = CODE[part]
    return found


def _units(task: Task, part: Part, ids: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    split, dataset = task.spec.split, task.dataset(part)
    if split.rule == "S0":
        return ids
    if split.held:
        return dataset.read("scene", ids)
    if split.spatial:
        return blocks_of(dataset.read("scene", ids), _ground(task, part, ids), split.block_m)
    return dataset.read(split.unit, ids)


def _ground(task: Task, part: Part, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return task.dataset(part).read("ue_position", ids)[:, :2].astype(np.float64)


def _shared(task: Task, units: dict[Part, npt.NDArray[Any]]) -> list[str]:
    """Pairs of parts of one dataset that have a unit in common; held-out scenes bind the test part only."""
    found = []
    pairs: tuple[tuple[Part, Part], ...] = (("train", "val"), ("train", "test"), ("val", "test"))
    for one, other in pairs:
        if task.dataset(one) is not task.dataset(other) or (task.spec.split.held and other == "val"):
            continue
        both = np.intersect1d(units[one], units[other])
        if len(both):
            what = "square" if task.spec.split.rule == "S1" else task.spec.split.unit
            found.append(f"{len(both)} units ({what}) are in {one} and {other}, the first is {both[0]}")
    return found


def _nearest(task: Task, ids: dict[Part, npt.NDArray[np.int64]]) -> dict[int, float]:
    dataset = task.dataset("test")
    if task.dataset("train") is not dataset or not {"scene", "ue_position"} <= set(dataset.array_names):
        return {}
    if task.spec.split.rule == "S2":  # every drop has a street of its own: a distance between two of them means nothing
        return {}
    both = np.concatenate([ids["test"], ids["train"]])
    rows = np.arange(len(both))
    of, to = rows[: len(ids["test"])], rows[len(ids["test"]) :]
    xy = dataset.read("ue_position", both)[:, :2].astype(np.float64)
    distance = nearest_distance(dataset.read("scene", both), xy, of, to)
    distance = distance[np.isfinite(distance)]
    if not len(distance):
        return {}
    return {q: float(v) for q, v in zip(QUANTILES, np.percentile(distance, QUANTILES), strict=True)}


def _balance(task: Task, ids: dict[Part, npt.NDArray[np.int64]]) -> dict[Part, dict[int, float]]:
    if task.spec.kind != "classify":
        return {}
    out: dict[Part, dict[int, float]] = {}
    for part in PARTS:
        labels, counts = np.unique(task.truth(part, ids[part])["label"], return_counts=True)
        out[part] = {int(label): float(count / len(ids[part])) for label, count in zip(labels, counts, strict=True)}
    return out


def _duplicates(task: Task, ids: dict[Part, npt.NDArray[np.int64]]) -> int:
    train = set(_channel_digests(task, "train", ids["train"]))
    return sum(digest in train for digest in _channel_digests(task, "test", ids["test"]))


def _channel_digests(task: Task, part: Part, ids: npt.NDArray[np.int64]) -> list[bytes]:
    found: list[bytes] = []
    for start in range(0, len(ids), BATCH):
        channel = np.ascontiguousarray(task.read(part, task.spec.channel, ids[start : start + BATCH]))
        found += [hashlib.blake2b(sample.tobytes(), digest_size=16).digest() for sample in channel]
    return found
