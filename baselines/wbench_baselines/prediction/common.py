"""Which part of a prediction task is seen, which is open, and along which dimension."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec

__all__ = ["Steps", "axis_of", "evenly_spaced", "filled", "noise_powers", "only_prediction", "snapshots", "steps"]


class Steps(NamedTuple):
    """What is seen and what is open along the one dimension that is predicted.

    Attributes
    ----------
    seen, open : int64 ndarray
        Indices of the steps (snapshots, or subcarriers) that are seen and of those that are open, each rising.
    axis : int
        Dimension of a sample: 0 is the first.
    """

    seen: npt.NDArray[np.int64]
    open: npt.NDArray[np.int64]
    axis: int = 0


def axis_of(spec: TaskSpec) -> str:
    """The dimension that a task predicts: ``"time"`` or ``"frequency"``."""
    return str(spec.params.get("axis", "time"))


def only_prediction(spec: TaskSpec, axis: str | None = None) -> str | None:
    """Why a predictor (of one axis, if given) cannot do a task; None if it can."""
    if spec.kind != "reconstruct" or spec.family != "channel-prediction":
        return f"predicts later snapshots from earlier ones; the task is {spec.family}, {spec.kind}"
    if axis not in (None, axis_of(spec)):
        return f"predicts over {axis}; the task is over {axis_of(spec)}"
    return None


def steps(batch: Batch, model: str) -> Steps:
    """Seen and open snapshots, or subcarriers, of a batch.

    Raises
    ------
    ModelError
        Nothing is seen, or steps are seen in part along every dimension.
    """
    observed: npt.NDArray[np.bool_] = batch.x["observed"]
    why = "nothing is seen"
    for name in ("time", "subcarrier"):
        if name not in batch.meta.dims or not observed.any():
            continue
        axis = batch.meta.dims.index(name)
        flat = np.moveaxis(observed, axis, 0).reshape(observed.shape[axis], -1)
        seen, touched = np.asarray(flat.all(axis=1)), np.asarray(flat.any(axis=1))
        if np.array_equal(seen, touched):
            return Steps(np.flatnonzero(seen), np.flatnonzero(~seen), axis)
        why = f"{int(seen.sum())} of {len(seen)} are seen whole, {int((touched & ~seen).sum())} in part"
    raise ModelError(
        "This predictor needs snapshots or subcarriers that are seen whole or not at all.", where=model, why=why
    )


def evenly_spaced(at: Steps, model: str) -> int:
    """Distance of the seen steps, which has to be the same everywhere.

    Raises
    ------
    ModelError
        It is not.
    """
    gaps = set(np.diff(at.seen).tolist())
    if len(gaps) > 1:
        why = f"snapshots {at.seen}"
        raise ModelError("The snapshots that are seen are not evenly spaced.", where=model, why=why)
    return int(gaps.pop()) if gaps else 1


def snapshots(
    channel: npt.NDArray[np.complex64], rows: npt.NDArray[np.int64], axis: int = 0
) -> npt.NDArray[np.complex128]:
    """Some steps along one dimension in double precision, other dimensions flattened: complex128 [n, rows, elements].

    Normal equations of clean channels in single precision give unstable predictors, hence complex128.
    """
    part: npt.NDArray[np.complex128] = np.take(channel, rows, axis=axis + 1).astype(np.complex128)
    part = np.moveaxis(part, axis + 1, 1)
    return np.ascontiguousarray(part).reshape(*part.shape[:2], -1)


def filled(batch: Batch, at: Steps, x: npt.NDArray[Any]) -> npt.NDArray[np.complex64]:
    """Seen steps as they came, open ones predicted: ``x`` [n, open, elements] → complex64 [n, *shape]."""
    out: npt.NDArray[np.complex64] = batch.x["H"].copy()
    view = np.moveaxis(out, at.axis + 1, 1)
    view[:, at.open] = x.reshape(len(out), len(at.open), *view.shape[2:])
    return out


def noise_powers(batch: Batch) -> npt.NDArray[np.float64]:
    """Noise variance per element of each sample, 0 where the task adds none: float64 [n]."""
    return np.zeros(len(batch)) if batch.noise_power is None else batch.noise_power.astype(np.float64)
