"""How models of antenna × subcarrier maps see the channel of a task."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.task.batch import ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.neighbours import needs_channel

__all__ = ["LAST", "gives_features", "maps_of", "no_maps", "padded"]

#: What a map is made of.
LAST = ("tx", "subcarrier")


def gives_features(spec: TaskSpec) -> str | None:
    """Why an embedder of channels does not serve a task; None if it does."""
    if spec.kind in ("classify", "regress"):
        return needs_channel(spec)
    return f"gives features for a head; the task's kind is {spec.kind}"


def no_maps(meta: ChannelMeta) -> str | None:
    """Why a channel is no stack of antenna × subcarrier maps; None if it is."""
    if meta.dims[-2:] == LAST:
        return None
    return f"needs maps of transmit port × subcarrier; the task's dimensions are {', '.join(meta.dims)}"


def maps_of(channel: npt.NDArray[np.complex64], meta: ChannelMeta) -> npt.NDArray[np.complex64]:
    """All dimensions before the last two (time, receive port …) as one: [n, map, antenna, subcarrier]."""
    return channel.reshape(len(channel), -1, *meta.shape[-2:])


def padded(values: npt.NDArray[Any], axis: int, multiple: int) -> npt.NDArray[Any]:
    """Zeros at the end of an axis, up to a multiple."""
    widths = [(0, 0)] * values.ndim
    widths[axis] = (0, -values.shape[axis] % multiple)
    return np.pad(values, widths)
