"""Audit blocks: simulated anew from the recipe alone, so that a result can be rescored where no dataset is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.dataset.reader import Dataset
from wbench.errors import DatasetError
from wbench.generator import Arrays, Block
from wbench.run.executors import one_thread
from wbench.run.generate import generate, simulate_block
from wbench.run.plan import build_spec
from wbench.task.base import Task, family_class
from wbench.task.spec import Part, TaskSpec

__all__ = ["AuditedBlocks", "audit_task", "audited_blocks"]


class AuditedBlocks(Dataset):
    """A dataset of which only some blocks exist, in memory; everything else is as the recipe says.

    Parameters
    ----------
    empty : Dataset
        The dataset without any shard: its spec, attributes and arrays.
    blocks : mapping of int to arrays
        All arrays of the audit blocks.
    """

    def __init__(self, empty: Dataset, blocks: Mapping[int, Arrays]) -> None:
        super().__init__(empty.place, empty.spec, empty.attributes)
        self._blocks = blocks

    def holds(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which samples lie in an audit block: bool [n]."""
        return np.isin(ids // self.spec.block, list(self._blocks))

    def read(self, name: str, ids: npt.ArrayLike) -> npt.NDArray[Any]:
        """Rows of an array, of audited samples only."""
        rows = np.asarray(ids, dtype=np.int64)
        if not self.holds(rows).all():
            raise DatasetError("A sample lies in no audit block.", where=name)
        first = next(iter(self._blocks.values()))[name]
        out = np.empty((len(rows), *first.shape[1:]), dtype=first.dtype)
        for index, arrays in self._blocks.items():
            here = rows // self.spec.block == index
            out[here] = arrays[name][rows[here] - index * self.spec.block]
        return out


@contextmanager
def audited_blocks(recipe: str, size: str, indices: tuple[int, ...]) -> Iterator[AuditedBlocks]:
    """Simulate some blocks of a recipe's dataset, without writing them.

    Raises
    ------
    MissingDependencyError
        The simulator is not installed.
    SimulationError
        It failed.
    """
    spec, generator, params, _ = build_spec(recipe, size)
    layout = generator.layout(params)
    count = -(-spec.samples // spec.block)
    with tempfile.TemporaryDirectory(prefix="wbench-audit-") as folder, ExitStack() as stack:
        # A share that no shard belongs to: the dataset's description and nothing else.
        empty = generate(
            recipe, size=size, out=Path(folder) / "empty.zarr", shards=(spec.shards, spec.shards + 1)
        ).open()
        session = stack.enter_context(generator.open(params))
        stack.enter_context(one_thread())
        blocks = {}
        for index in sorted({index for index in indices if 0 <= index < count}):
            ids = range(index * spec.block, min((index + 1) * spec.block, spec.samples))
            blocks[index] = simulate_block(layout, session, Block(index, ids, spec.seed))
        yield AuditedBlocks(empty, blocks)


def audit_task(spec: TaskSpec, dataset: AuditedBlocks, ids: npt.NDArray[np.int64]) -> Task:
    """The task on audit blocks alone; its test part are the given ids, since the split needs the whole dataset."""
    family = family_class(spec)

    class Audited(family):  # type: ignore[misc, valid-type]
        def ids(self, part: Part) -> npt.NDArray[np.int64]:
            return ids

    task: Task = Audited(spec, {recipe: dataset for recipe in spec.recipes})
    return task
