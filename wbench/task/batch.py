"""What a model sees: a batch of observations with the metadata that the protocol allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ArrayMeta", "Batch", "ChannelMeta", "Truth"]

#: Targets by name, first dimension the sample: ``label``, ``rsrp``, ``H`` …
Truth = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class ArrayMeta:
    """Geometry of an antenna array as observed: rows × columns, spacing in wavelengths, polarisations."""

    rows: int
    cols: int
    dv: float = 0.5
    dh: float = 0.5
    polarisations: int = 1

    @property
    def ports(self) -> int:
        """Number of ports; port index = pol·rows·cols + col·rows + row."""
        return self.rows * self.cols * self.polarisations


@dataclass(frozen=True, slots=True)
class ChannelMeta:
    """The metadata a task may show (protocol: "What a model sees"). The same for all samples of a part.

    Attributes
    ----------
    shape : tuple of int
        Shape of one sample of ``batch.x["H"]``.
    dims : tuple of str
        Names of its dimensions.
    carrier_hz, subcarrier_spacing_hz, time_step_s : float
        Numerology; ``time_step_s`` is 0 for snapshots.
    tx, rx : ArrayMeta
        Arrays as observed (of a sub-array where the task shows a sub-array).
    classes : int or None
        Number of classes of a ``classify`` task.
    outputs : int or None
        Number of outputs of a ``regress`` task.
    """

    shape: tuple[int, ...]
    dims: tuple[str, ...]
    carrier_hz: float
    subcarrier_spacing_hz: float
    time_step_s: float
    tx: ArrayMeta
    rx: ArrayMeta
    classes: int | None = None
    outputs: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Observations of ``n`` samples.

    Attributes
    ----------
    ids : ndarray of int64 [n]
        Opaque sample ids.
    x : dict of str to ndarray
        ``"H"`` complex64 [n, *meta.shape], scaled to unit rms over its observed part before noise; in ``reconstruct``
        tasks ``"observed"`` bool [*meta.shape], and unobserved entries of ``"H"`` are 0. Some tasks add inputs of
        their own, which their family documents: ``"rsrp"``, ``"bs_position"`` …
    noise_power : ndarray of float32 [n] or None
        Noise variance per observed element, relative to unit rms; None where the task adds no noise.
    meta : ChannelMeta
        Numerology and arrays.
    """

    ids: npt.NDArray[np.int64]
    x: dict[str, npt.NDArray[Any]]
    noise_power: npt.NDArray[np.float32] | None
    meta: ChannelMeta

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, index: Any) -> Batch:
        """Batch of some of the samples, in the order given; the mask of what is observed is the same for all."""
        x = {name: values if name == "observed" else values[index] for name, values in self.x.items()}
        noise = None if self.noise_power is None else self.noise_power[index]
        return Batch(self.ids[index], x, noise, self.meta)

    def copy(self) -> Batch:
        """Copy whose arrays can be changed without touching this batch."""
        noise = None if self.noise_power is None else self.noise_power.copy()
        return Batch(self.ids.copy(), {k: v.copy() for k, v in self.x.items()}, noise, self.meta)
