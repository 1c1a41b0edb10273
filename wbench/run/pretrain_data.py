"""Samples to pre-train on: the training sides of tasks, in memory or memory-mapped, with a record of what they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wbench import registry
from wbench.dataset.cache import machine_memory
from wbench.dataset.loader import MEMORY_SHARE, mapped_rows, rows_in_order
from wbench.digest import array_digest
from wbench.errors import SpecError, WBenchError
from wbench.run.plan import load_task
from wbench.run.pretrain_config import SourceConfig
from wbench.seeding import keyed_permutation
from wbench.task.base import Task
from wbench.task.spec import load_spec

__all__ = ["Pool", "Source", "load_pool", "unclean_tasks"]

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """Samples of one dataset.

    Attributes
    ----------
    task : Task
        Whose training side they are of.
    ids : int64 ndarray [n]
        Sample ids, sorted.
    avoided : int
        Training samples that were left out because a twin's validation or test part holds them.
    arrays : dict of str to ndarray
        Arrays [n, …].
    """

    task: Task
    ids: Ids
    avoided: int
    arrays: dict[str, npt.NDArray[Any]]

    def record(self) -> dict[str, Any]:
        """What was used: names, digests, counts."""
        task = self.task
        dataset = task.dataset("train")
        return {
            "task": task.spec.name,
            "recipe": dataset.spec.recipe,
            "size": dataset.spec.size,
            "generator": dataset.spec.generator,
            "side": "train",
            "spec_digest": dataset.spec.digest,
            "content_digest": dataset.content_digest,
            "split_digest": task.split_digest(task.spec.views["train"].recipe),
            "samples": len(self.ids),
            "avoided": self.avoided,
            "ids_digest": array_digest(self.ids),
        }


class Pool:
    """All sources one after another: a row is a sample of one of them."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)
        self._ends = np.cumsum([len(source.ids) for source in self.sources])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def take(self, rows: Ids) -> Iterator[dict[str, npt.NDArray[Any]]]:
        """Arrays of these rows, source by source: samples of different shapes never share an array."""
        rows = np.sort(rows)
        owner = np.searchsorted(self._ends, rows, side="right")
        for index in np.unique(owner).tolist():
            source = self.sources[index]
            local = rows[owner == index] - (int(self._ends[index]) - len(source.ids))
            yield {name: values[local] for name, values in source.arrays.items()}


def load_pool(
    configs: Sequence[SourceConfig],
    reads: Literal["channel", "inputs"],
    *,
    size: str = "standard",
    data: str | Path | None = None,
) -> Pool:
    """Read the sources.

    Raises
    ------
    SpecError
        A source is left with no sample, or its task has no single channel per sample.
    DatasetNotFoundError, DatasetError
        A dataset has not been generated, is incomplete or damaged.
    """
    chosen = []
    for config in configs:
        task = load_task(config.task, size=size, data=data)
        if reads == "channel" and task.links != 1:
            why = f"a sample has {task.links} of them"
            raise SpecError("Pre-training on channels needs one channel per sample.", where=config.task, why=why)
        chosen.append((task, *_ids(task, config, size, data)))
    names = {task.spec.name for task, _, _ in chosen}
    if len(names) < len(chosen):
        raise SpecError("A task is a source once.", why=", ".join(c.task for c in configs))
    room = MEMORY_SHARE * machine_memory()
    sources = []
    for task, ids, avoided in chosen:
        arrays = _channels(task, ids, room) if reads == "channel" else _inputs(task, ids)
        room -= sum(values.nbytes for values in arrays.values() if not isinstance(values, np.memmap))
        sources.append(Source(task, ids, avoided, arrays))
    return Pool(sources)


def _ids(task: Task, config: SourceConfig, size: str, data: str | Path | None) -> tuple[Ids, int]:
    ids, avoided = task.ids("train"), 0
    for name in config.avoid:
        twin = load_task(name, size=size, data=data)
        if len(twin.dataset("test")) != len(task.dataset("train")):
            why = f"{config.task} has {len(task.dataset('train'))} samples, {name} {len(twin.dataset('test'))}"
            raise SpecError("Only tasks on a twin dataset can be avoided: the same users by id.", where=name, why=why)
        keep = ~np.isin(ids, np.concatenate([twin.ids("val"), twin.ids("test")]))
        avoided += int((~keep).sum())
        ids = ids[keep]
    if config.samples is not None and config.samples < len(ids):
        order = keyed_permutation(len(ids), task.dataset("train").spec.digest, "pre-training")
        ids = np.sort(ids[order[: config.samples]])
    if not len(ids):
        raise SpecError("A source has no sample to train on.", where=config.task)
    return np.array(ids, dtype=np.int64), avoided


def _channels(task: Task, ids: Ids, room: float) -> dict[str, npt.NDArray[Any]]:
    dataset, name = task.dataset("train"), task.spec.channel
    array = dataset.array(name)
    shape = (len(ids), *array.shape[1:])
    if np.prod(shape, dtype=np.int64) * np.dtype(array.dtype).itemsize > room:
        return {"H": mapped_rows(dataset, name, ids)}
    out = np.empty(shape, dtype=array.dtype)
    start = 0
    for piece in rows_in_order(dataset, name, ids):
        out[start : start + len(piece)] = piece
        start += len(piece)
    return {"H": out}


def _inputs(task: Task, ids: Ids) -> dict[str, npt.NDArray[Any]]:
    parts = [batch.x for batch in task.batches("train", ids)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "observed"}


def unclean_tasks(pool: Pool) -> list[str]:
    """Registered tasks whose test part may hold samples of the pool: another cut of the same dataset.

    Twin datasets of another name are not found by this: they are the config's to avoid.
    """
    used: dict[str, set[str]] = {}  # a recipe may be a source by several splits
    for source in pool.sources:
        used.setdefault(source.task.dataset("train").spec.recipe, set()).add(source.task.spec.split.digest)
    found = []
    for name in registry.registry().names("task"):
        try:
            spec = load_spec(name)
        except WBenchError:  # another provider's broken file is not this run's concern
            continue
        view = spec.views["test"]
        if view.recipe in used and (view.side != "test" or used[view.recipe] != {spec.split.digest}):
            found.append(name)
    return found
