"""Which snapshots a prediction task shows, and which it leaves open."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec

__all__ = ["Steps", "noise_powers", "only_prediction", "snapshots", "steps"]


class Steps(NamedTuple):
    """Indices of the snapshots that are seen and of those that are open, each int64 and rising."""

    seen: npt.NDArray[np.int64]
    open: npt.NDArray[np.int64]


def only_prediction(spec: TaskSpec) -> str | None:
    """Why a predictor of snapshots cannot do a task; None if it can."""
    if spec.kind == "reconstruct" and spec.family == "channel-prediction":
        return None
    return f"predicts later snapshots from earlier ones; the task is {spec.family}, {spec.kind}"


def steps(batch: Batch, model: str) -> Steps:
    """Seen and open snapshots of a batch.

    Raises
    ------
    ModelError
        Time is not the first dimension, no snapshot is seen, or one is seen in part only.
    """
    observed: npt.NDArray[np.bool_] = batch.x["observed"]
    if batch.meta.dims[0] != "time":
        raise ModelError("The first dimension is not time.", where=model, why=f"dimensions {batch.meta.dims}")
    flat = observed.reshape(len(observed), -1)
    seen: npt.NDArray[np.bool_] = np.asarray(flat.all(axis=1))
    touched: npt.NDArray[np.bool_] = np.asarray(flat.any(axis=1))
    if not seen.any() or (touched != seen).any():
        raise ModelError(
            "This predictor needs snapshots that are seen whole or not at all.",
            where=model,
            why=f"{int(seen.sum())} of {len(seen)} snapshots are seen whole, {int((touched & ~seen).sum())} in part",
        )
    return Steps(np.flatnonzero(seen), np.flatnonzero(~seen))


def snapshots(channel: npt.NDArray[np.complex64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.complex128]:
    """Snapshots of some time indices in double precision, elements flattened: complex128 [n, rows, elements].

    Normal equations of clean channels in single precision give unstable predictors, hence complex128.
    """
    part: npt.NDArray[np.complex128] = channel[:, rows].astype(np.complex128)
    return part.reshape(*part.shape[:2], -1)


def noise_powers(batch: Batch) -> npt.NDArray[np.float64]:
    """Noise variance per element of each sample, 0 where the task adds none: float64 [n]."""
    return np.zeros(len(batch)) if batch.noise_power is None else batch.noise_power.astype(np.float64)
