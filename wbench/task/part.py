"""Training and validation data as a model sees them: cut to a budget and a draw, test targets out of reach."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from wbench.errors import SpecError
from wbench.task.base import Task
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.shots import shot_ids
from wbench.task.spec import Part
from wbench.task.splits import budget_ids
from wbench.task.store import Samples

__all__ = ["TaskData", "concatenate"]


def concatenate(parts: list[tuple[Batch, Truth]]) -> tuple[Batch, Truth]:
    """Join batches and their targets."""
    batches, truths = zip(*parts, strict=True)
    first = batches[0]
    x = {
        name: value if name == "observed" else np.concatenate([batch.x[name] for batch in batches])
        for name, value in first.x.items()
    }
    noise = None if first.noise_power is None else np.concatenate([batch.noise_power for batch in batches])
    joined = Batch(np.concatenate([batch.ids for batch in batches]), x, noise, first.meta)
    return joined, {name: np.concatenate([truth[name] for truth in truths]) for name in truths[0]}


class TaskData:
    """The training or validation side of a task (a :class:`wbench.model.TrainingData`).

    Parameters
    ----------
    task : Task
        The task.
    part : {"train", "val"}
        Which side. The test side is refused: its targets are the harness's.
    percent, draw : float, int
        Budget and draw; validation shrinks with the budget.
    shots : int, optional
        So many samples of every class instead of a percentage; in validation as well, as far as there are so many.
    """

    def __init__(self, task: Task, part: Part, percent: float = 100.0, draw: int = 0, shots: int | None = None) -> None:
        if part == "test":
            raise SpecError("The test part is not training data.", where=task.spec.name)
        self._task = task
        self._part = part
        digest = task.dataset(part).spec.digest
        self.ids: npt.NDArray[np.int64]
        if shots is None:
            self.ids = budget_ids(task.ids(part), percent, draw, task.drawn_by, digest, part)
            return
        if task.meta.classes is None:
            raise SpecError("Shots are samples of a class.", where=task.spec.name, why=f"it is a {task.spec.kind} task")
        key = (str(draw), task.drawn_by, digest, part)
        self.ids = shot_ids(task.ids(part), self._labels, task.meta.classes, shots, *key, fewer=part == "val")

    def _labels(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.asarray(self._task.truth(self._part, ids)["label"], dtype=np.int64)

    @property
    def meta(self) -> ChannelMeta:
        """Numerology, arrays and shapes."""
        return self._task.meta

    def __len__(self) -> int:
        return len(self.ids)

    def batches(self, size: int = 256, rng: np.random.Generator | None = None) -> Iterator[tuple[Batch, Truth]]:
        """Observations and targets in batches, read-only, shuffled if a generator is given."""
        ids = self.ids if rng is None else rng.permutation(self.ids)
        return self._task.pairs(self._part, ids, size)

    def load(self) -> tuple[Batch, Truth]:
        """All observations and targets at once, read-only."""
        samples: Samples | None = None
        start = 0
        for batch, truth in self.batches():
            # Filled in place: joining a list of batches would need the memory twice.
            samples = samples or Samples(len(self), (batch, truth))
            samples.write(slice(start, start + len(batch)), batch, truth)
            start += len(batch)
        if samples is None:
            raise SpecError(f"The {self._part} part is empty.", where=self._task.spec.name)
        return samples.read(slice(None))
