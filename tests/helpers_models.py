"""Small tasks, batches and training parts, built by hand, for the tests of models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.model import Model
from wbench.task.batch import ArrayMeta, Batch, ChannelMeta, Truth
from wbench.task.spec import Kind, Limit, Split, TaskSpec, View

DIMS = ("time", "rx", "tx", "subcarrier")


def make_spec(
    family: str, kind: Kind, params: dict[str, Any] | None = None, limit: Limit | None = None, primary: str = "m"
) -> TaskSpec:
    views: Any = {part: View(recipe="fake", side=part) for part in ("train", "val", "test")}
    return TaskSpec(
        name=f"{family}-fake",
        version=1,
        family=family,
        kind=kind,
        summary="By hand.",
        views=views,
        split=Split(rule="S2"),
        params=params or {},
        primary=primary,
        metrics=(primary,),
        trivial=(),
        limit=limit,
    )


def make_meta(
    shape: tuple[int, ...],
    tx: ArrayMeta | None = None,
    rx: ArrayMeta | None = None,
    dims: tuple[str, ...] = DIMS,
    time_step_s: float = 0.0,
    classes: int | None = None,
) -> ChannelMeta:
    tx, rx = tx or ArrayMeta(1, shape[-2]), rx or ArrayMeta(1, 1)
    return ChannelMeta(shape, dims, 3.5e9, 30e3, time_step_s, tx, rx, classes)


def make_batch(
    channel: npt.NDArray[Any],
    meta: ChannelMeta | None = None,
    noise_power: npt.ArrayLike | None = None,
    observed: npt.NDArray[np.bool_] | None = None,
) -> Batch:
    """Batch of complex channels [n, *shape]; one noise power for all or one each."""
    x = {"H": channel.astype(np.complex64)}
    if observed is not None:
        x["observed"] = observed
    n = len(channel)
    noise = None if noise_power is None else np.broadcast_to(np.asarray(noise_power, np.float32), (n,)).copy()
    return Batch(np.arange(n, dtype=np.int64), x, noise, meta or make_meta(channel.shape[1:]))


def take(batch: Batch, rows: Any) -> Batch:
    """Rows of a batch, in the order given."""
    x = {name: (array if name == "observed" else array[rows]) for name, array in batch.x.items()}
    noise = None if batch.noise_power is None else batch.noise_power[rows]
    return Batch(batch.ids[rows], x, noise, batch.meta)


@dataclass
class FakePart:
    """A :class:`wbench.model.TrainingData` that holds its arrays."""

    batch: Batch
    truth: Truth

    @property
    def meta(self) -> ChannelMeta:
        return self.batch.meta

    def __len__(self) -> int:
        return len(self.batch)

    def batches(self, size: int = 256, rng: np.random.Generator | None = None) -> Iterator[tuple[Batch, Truth]]:
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        for start in range(0, len(self), size):
            rows = order[start : start + size]
            yield take(self.batch, rows), {name: array[rows] for name, array in self.truth.items()}

    def load(self) -> tuple[Batch, Truth]:
        return self.batch, self.truth


def complex_normal(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.complex128]:
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def same_whatever_the_batch(
    answer: Callable[[Batch], npt.NDArray[Any]], batch: Batch, rtol: float = 0.0, atol: float = 0.0
) -> npt.NDArray[Any]:
    """Check that answers depend on the sample alone, are finite, and that the batch is left as it was."""
    before = batch.copy()
    whole = answer(batch)
    cuts = np.split(np.arange(len(batch)), [1, 4, len(batch) // 2])
    np.testing.assert_allclose(np.concatenate([answer(take(batch, rows)) for rows in cuts]), whole, rtol, atol)
    order = np.random.default_rng(5).permutation(len(batch))
    np.testing.assert_allclose(answer(take(batch, order)), whole[order], rtol, atol)
    assert np.isfinite(whole).all()
    assert len(whole) == len(batch)
    for name, array in before.x.items():
        np.testing.assert_array_equal(batch.x[name], array)
    if before.noise_power is not None:
        np.testing.assert_array_equal(batch.noise_power, before.noise_power)
    return whole


def ready(model: Model, spec: TaskSpec, train: FakePart, val: FakePart | None = None, seed: int = 0) -> Any:
    """The model after its life up to prediction, as the harness leads it."""
    assert model.supports(spec) is None
    model.setup(spec, train.meta)
    if model.info.trains:
        model.fit(train, train if val is None else val, seed)
    return model
