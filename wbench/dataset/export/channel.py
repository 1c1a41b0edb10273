"""The channel variable of a foreign layout: chosen, normalised, turned and streamed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.angular_delay import angular_delay
from wbench.channel.array import Array
from wbench.dataset.export.layouts import CSINET_SIDE, Layout, Shape, complex_to_csinet
from wbench.dataset.export.variable import Variable, ids_variable, pieces, stored
from wbench.dataset.reader import Dataset
from wbench.errors import DatasetError, SpecError

__all__ = ["Selection", "foreign_variables"]

Ids = npt.NDArray[np.int64]
Complex = npt.NDArray[np.complex64]
Values = npt.NDArray[Any]
#: Where a source has only CsiNet's truncated domain.
IMAGE = "csi_delay_angle"


@dataclass(frozen=True)
class Selection:
    """Which part of a dataset goes into a foreign layout.

    Attributes
    ----------
    array : str
        The channel array.
    time, rx : int or None
        One snapshot, one receive antenna; None keeps all.
    normalise : {"none", "sample"}
        Amplitude gains, or every sample at unit rms.
    """

    array: str = "channel"
    time: int | None = None
    rx: int | None = None
    normalise: str = "none"


@dataclass(frozen=True)
class _Statistics:
    """What has to be known of all samples before the first can be written."""

    scale: npt.NDArray[np.float64]
    energy_cut: npt.NDArray[np.float32]
    peak: float


class _Source:
    """The chosen channel of a dataset, piece by piece in the layout's shape, before CsiNet's common scale."""

    def __init__(self, dataset: Dataset, layout: Layout, ids: Ids, chosen: Selection) -> None:
        self.dataset, self.layout, self.ids, self.chosen = dataset, layout, ids, chosen
        names = dataset.array_names
        only_image = layout.name == "csinet" and chosen.array == "channel" and "channel" not in names and IMAGE in names
        self.name = IMAGE if only_image else chosen.array
        self.image = layout.name == "csinet" and self.name == IMAGE
        array = dataset.array(self.name)
        if self.image:
            self.shape: tuple[int, ...] = self._image_shape(array.shape[1:])
        else:
            self.shape = layout.shape(self._channel_shape(array.shape[1:], np.dtype(array.dtype)))

    def _image_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape != (CSINET_SIDE, CSINET_SIDE):
            raise SpecError("The image does not fit the layout 'csinet'.", where=IMAGE, why=f"{shape}, not (32, 32)")
        return (2 * CSINET_SIDE**2,)

    def _channel_shape(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Shape:
        if len(shape) != 4 or dtype.kind != "c":
            raise SpecError(
                f"The layout {self.layout.name!r} is for channels [sample, time, rx, tx, subcarrier].",
                where=f"{self.dataset.path}/{self.name}",
                why=f"this array is {dtype} with {len(shape) + 1} dimensions",
                next_step=f"wbench inspect {self.dataset.path}",
            )
        out = list(shape)
        for axis, (option, index) in enumerate((("time", self.chosen.time), ("rx", self.chosen.rx))):
            if index is not None and not 0 <= index < shape[axis]:
                raise SpecError(f"There is no index {index}.", where=f"--{option}", why=f"0 … {shape[axis] - 1} exist")
            out[axis] = shape[axis] if index is None else 1
        return out[0], out[1], out[2], out[3]

    def raw(self) -> Iterator[Complex]:
        """Complex pieces: the chosen channel [n, time, rx, tx, subcarrier], or the image [n, delay, angle]."""
        for piece in pieces(self.dataset, self.name, self.ids):
            if not self.image:
                time, rx = self.chosen.time, self.chosen.rx
                piece = piece if time is None else piece[:, time : time + 1]
                piece = piece if rx is None else piece[:, :, rx : rx + 1]
            yield piece

    @cached_property
    def statistics(self) -> _Statistics:
        """One pass over the channel: scale, largest part and share of the energy that is cut."""
        scales: list[npt.NDArray[np.float64]] = []
        cuts: list[npt.NDArray[np.float32]] = []
        peak = 0.0
        for piece in self.raw():
            values, whole = self._domain(piece), _energy(piece)
            if self.chosen.normalise == "sample":
                scale = np.sqrt(whole / max(1, int(np.prod(piece.shape[1:]))))
            else:
                scale = np.full(len(piece), 1.0 / self.layout.gain)
            scales.append(scale)
            share = np.divide(whole - _energy(values), whole, out=np.zeros_like(whole), where=whole > 0)
            cuts.append(np.clip(share, 0.0, 1.0).astype(np.float32))
            parts = _divided(values, scale).view(np.float32)
            peak = max(peak, float(np.abs(parts).max(initial=0.0)))
        return _Statistics(np.concatenate(scales), np.concatenate(cuts), peak or 1.0)

    def _domain(self, piece: Complex) -> Complex:
        if not self.real:
            return np.ascontiguousarray(self.layout.convert(piece))
        return piece if self.image else angular_delay(piece[:, 0, 0], self.tx, CSINET_SIDE)

    @cached_property
    def tx(self) -> Array:
        """The transmit array that the angles belong to."""
        try:
            tx = self.dataset.attributes["radio"]["tx"]
            return Array(tx["rows"], tx["cols"], tx["dv"], tx["dh"], tuple(tx["slants"]))
        except (KeyError, TypeError) as error:
            raise DatasetError(
                "The dataset does not describe its transmit array, which the angles are counted in.",
                where=str(self.dataset.path),
                why=f"missing {error}",
            ) from error

    def values(self) -> Iterator[Values]:
        """Pieces as they go into the file."""
        found, row = self.statistics, 0
        for piece in self.raw():
            values = _divided(self._domain(piece), found.scale[row : row + len(piece)])
            row += len(piece)
            yield complex_to_csinet(values * np.float32(0.5 / found.peak)) if self.real else values

    @property
    def real(self) -> bool:
        """Whether the file holds CsiNet's real image."""
        return self.layout.name == "csinet"

    @property
    def scale(self) -> npt.NDArray[np.float64]:
        """Scale of each sample: amplitude gain = scale · value (CsiNet: of the value moved back by ½)."""
        return self.statistics.scale * (2.0 * self.statistics.peak if self.real else 1.0)


def _energy(values: Complex) -> npt.NDArray[np.float64]:
    flat = values.reshape(len(values), -1)
    power: npt.NDArray[np.float64] = np.sum(
        flat.real.astype(np.float64) ** 2 + flat.imag.astype(np.float64) ** 2, axis=1
    )
    return power


def _divided(values: Complex, scale: npt.NDArray[np.float64]) -> Complex:
    # A sample without a path is zero in any scale.
    factor = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0).astype(np.float32)
    return np.ascontiguousarray(values * factor.reshape(-1, *(1,) * (values.ndim - 1)), dtype=np.complex64)


def foreign_variables(dataset: Dataset, layout: Layout, ids: Ids, chosen: Selection) -> list[Variable]:
    """Variables of a foreign layout: the channel, ``sample``, ``scale``, and ``los`` where the dataset has it.

    Raises
    ------
    SpecError, UnknownNameError, DatasetError
        The dataset has no such array, or its shape does not fit.
    """
    source = _Source(dataset, layout, ids, chosen)
    n = len(ids)
    real = source.real
    about = {"units": "1", "long_name": layout.summary, "array": source.name, "normalise": chosen.normalise}
    dtype = np.dtype(np.float32 if real else np.complex64)
    scale_about = {"units": "1", "long_name": "amplitude gain = scale * (value - 0.5)" if real else "gain / value"}
    variables = [
        Variable(layout.variable, (n, *source.shape), dtype, source.values, layout.dims, about),
        ids_variable(ids),
        Variable("scale", (n,), np.dtype(np.float64), lambda: iter([source.scale]), ("sample",), scale_about),
    ]
    if real and not source.image:
        cut = {"units": "1", "long_name": "share of the energy beyond the 32 delay rows"}
        dtype = np.dtype(np.float32)
        variables.append(
            Variable("energy_cut", (n,), dtype, lambda: iter([source.statistics.energy_cut]), ("sample",), cut)
        )
    if "los" in dataset.array_names:
        variables.append(stored(dataset, "los", ids))
    return variables
