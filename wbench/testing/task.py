"""Conformance of tasks: disjoint sides, clean scaling, and samples that are the same in every batch."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from wbench.metric.catalogue import get_metric
from wbench.task.audit import audit
from wbench.task.base import Task
from wbench.task.spec import Part
from wbench.task.splits import budget_ids
from wbench.testing.suite import Suite, require, same

__all__ = ["TaskSuite"]

PARTS: tuple[Part, ...] = ("train", "val", "test")


class TaskSuite(Suite):
    """Subclass it and set ``task``.

    Attributes
    ----------
    task : Task
        The task on its datasets, small ones.
    """

    task: ClassVar[Task]

    def test_sides_are_disjoint(self) -> None:
        """No split unit is on two sides of the same dataset, no side is empty, guard distances are kept."""
        for part in PARTS:
            require(len(self.task.ids(part)) > 0, f"the {part} side is empty")
        for finding in audit(self.task).violations:
            require(False, finding)

    def test_sample_is_the_same_in_every_batch(self) -> None:
        """Observation and target of a sample depend on its id only."""
        ids = self.task.ids("test")[:10]
        whole = next(self.task.pairs("test", ids, len(ids)))
        for i in (0, len(ids) // 2, len(ids) - 1):
            alone = next(self.task.pairs("test", ids[i : i + 1], 1))
            for name, values in alone[0].x.items():
                seen = whole[0].x[name] if name == "observed" else whole[0].x[name][i : i + 1]
                require(same(seen, values, 1e-6), f"the observation {name} of sample {ids[i]} varies")
            for name, values in alone[1].items():
                require(same(whole[1][name][i : i + 1], values, 1e-6), f"{name} of sample {ids[i]} varies")

    def test_shapes_and_scale(self) -> None:
        """Declared shape and dtype; clean observed parts have unit rms; nothing hidden is seen."""
        batch, truth = next(self.task.pairs("train", self.task.ids("train")[:32], 32))
        require(all(len(values) == len(batch) for values in truth.values()), "a target has a wrong length")
        if "H" not in batch.x:  # a family that shows features instead of channels
            return
        h = batch.x["H"]
        require(h.shape[1:] == self.task.meta.shape, f"H is {h.shape[1:]}, meta says {self.task.meta.shape}")
        require(h.dtype == np.complex64, f"H is {h.dtype}, not complex64")
        observed = batch.x.get("observed")
        if observed is not None:
            require(not np.any(h[:, ~observed]), "H is not zero where nothing is observed")
            if self.task.scale:
                clean = truth["H"][:, observed]
                rms = np.sqrt(np.mean(np.abs(clean.reshape(len(clean), -1)) ** 2, axis=1))
                require(bool(np.allclose(rms, 1, atol=1e-4)), "the clean observed part does not have unit rms")

    def test_budgets_are_nested(self) -> None:
        """A smaller budget of the same draw is part of the larger one."""
        ids = self.task.ids("train")
        small, large = (set(budget_ids(ids, percent, 0, "check").tolist()) for percent in (20, 60))
        require(small < large < set(ids.tolist()), "budgets are not nested")

    def test_metrics_exist(self) -> None:
        """Every metric of the instance is registered."""
        for name in self.task.spec.metrics:
            get_metric(name)
