"""Layouts: which variables a file holds, under which names, in which order of dimensions.

Every foreign layout is one channel variable that public code reads unchanged, and beside it ``sample`` (ids), ``scale``
(multiply by it to get the amplitude gain back) and ``los``, which that code does not look at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import SpecError

__all__ = ["CSINET_SIDE", "FORMATS", "LAYOUTS", "Layout", "complex_to_csinet", "csinet_to_complex"]

Complex = npt.NDArray[np.complex64]
Shape = tuple[int, int, int, int]

#: File formats and their suffixes.
FORMATS = {"hdf5": ".h5", "mat": ".mat", "npz": ".npz"}
#: CsiNet's image: 32 angles by 32 delays.
CSINET_SIDE = 32


@dataclass(frozen=True)
class Layout:
    """How a channel lies in a file.

    Attributes
    ----------
    name, summary : str
        Registry name and one line.
    formats : tuple of str
        File formats it may be written in; the first is what its public loader opens.
    variable : str
        Name of the channel variable; empty for our own layout of all arrays.
    dims : tuple of str
        Dimension names of that variable.
    normalise : {"none", "sample"}
        Default scaling: amplitude gains as they are, or every sample to unit rms.
    gain : float
        Factor on amplitude gains that are not normalised.
    shape : callable
        Output shape after ``sample`` of a channel (time, rx, tx, subcarrier); raises :class:`SpecError` where the
        channel does not fit.
    convert : callable
        Complex [n, time, rx, tx, subcarrier] to complex [n, *shape]. Not used by CsiNet, whose image is real.
    scipy_only : bool
        The loader reads MATLAB files by SciPy, hence no v7.3.
    """

    name: str
    summary: str
    formats: tuple[str, ...]
    variable: str = ""
    dims: tuple[str, ...] = ()
    normalise: str = "none"
    gain: float = 1.0
    shape: Callable[[Shape], tuple[int, ...]] = lambda shape: shape
    convert: Callable[[Complex], npt.NDArray[Any]] = lambda channel: channel
    scipy_only: bool = False


def _refuse(layout: str, why: str, next_step: str) -> SpecError:
    return SpecError(f"The channel does not fit the layout {layout!r}.", why=why, next_step=next_step)


def _single(layout: str, what: str, size: int, option: str) -> None:
    if size != 1:
        raise _refuse(
            layout,
            f"it holds {size} {what}, the layout has room for one",
            f"choose one with --{option} 0 … {size - 1}, or a dataset with one",
        )


def _wifo(shape: Shape) -> tuple[int, ...]:
    time, rx, tx, subcarriers = shape
    _single("wifo", "receive antennas", rx, "rx")
    return time, tx, subcarriers


def _matrix(layout: str, shape: Shape) -> tuple[int, int]:
    time, rx, tx, subcarriers = shape
    _single(layout, "snapshots", time, "time")
    _single(layout, "receive antennas", rx, "rx")
    return tx, subcarriers


def _contrawimae(shape: Shape) -> tuple[int, ...]:
    return 1, *_matrix("contrawimae", shape)


def _lwm(shape: Shape) -> tuple[int, ...]:
    size = _matrix("lwm", shape)
    if size != (32, 32):
        why = f"it has {size[0]} antennas × {size[1]} subcarriers, the model reads 32 × 32"
        raise _refuse("lwm", why, "choose a recipe of that shape (snap-umi), or another band with --array")
    return size


def _csinet(shape: Shape) -> tuple[int, ...]:
    tx, subcarriers = _matrix("csinet", shape)
    if tx != CSINET_SIDE or subcarriers < CSINET_SIDE:
        why = f"it has {tx} antennas and {subcarriers} subcarriers, the image needs 32 antennas and at least 32 delays"
        raise _refuse("csinet", why, "choose a recipe of that shape (fb-umi), or another band with --array")
    return (2 * CSINET_SIDE**2,)


def complex_to_csinet(image: Complex) -> npt.NDArray[np.float32]:
    """Angular-delay images in |Re|, |Im| ≤ ½ to CsiNet's rows.

    Parameters
    ----------
    image : complex64 ndarray [n, delay, angle]
        32 × 32.

    Returns
    -------
    float32 ndarray [n, 2048]
        Real part, then imaginary part, each 32 angles × 32 delays with the delay running fastest, moved by ½ into
        [0, 1]: the order in which CsiNet's public code reshapes ``HT`` and pads its last axis to 257 delays.
    """
    turned = np.swapaxes(image, 1, 2)
    parts = np.stack([turned.real, turned.imag], axis=1) + np.float32(0.5)
    return np.clip(parts.reshape(len(image), -1), 0.0, 1.0).astype(np.float32)


def csinet_to_complex(rows: npt.NDArray[Any]) -> Complex:
    """CsiNet's rows [n, 2048] to complex64 [n, delay, angle]: the inverse of :func:`complex_to_csinet`."""
    parts = np.asarray(rows, dtype=np.float64).reshape(len(rows), 2, CSINET_SIDE, CSINET_SIDE) - 0.5
    return np.swapaxes(parts[:, 0] + 1j * parts[:, 1], 1, 2).astype(np.complex64)


LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("wbench", "every array of the dataset, under its own name", ("hdf5", "mat", "npz")),
        Layout(
            "wifo",
            "WiFo: X_val, complex [N, T, antenna, K]",
            ("mat", "hdf5", "npz"),
            "X_val",
            ("sample", "time", "tx", "subcarrier"),
            "sample",
            shape=_wifo,
            convert=lambda channel: channel[:, :, 0],
        ),
        Layout(
            "csinet",
            "CsiNet: HT, real [N, 2048] in [0, 1]",
            ("mat", "hdf5", "npz"),
            "HT",
            ("sample", "part_angle_delay"),
            "sample",
            shape=_csinet,
            scipy_only=True,
        ),
        Layout(
            "contrawimae",
            "WiMAE and ContraWiMAE: channels, complex [N, 1, antenna, subcarrier]",
            ("npz", "mat", "hdf5"),
            "channels",
            ("sample", "rx", "tx", "subcarrier"),
            shape=_contrawimae,
            convert=lambda channel: channel[:, 0],
        ),
        Layout(
            "lwm",
            "LWM: channels, complex [N, 32 antennas, 32 subcarriers], times 1e6 as its tokenizer expects",
            ("npz", "mat", "hdf5"),
            "channels",
            ("sample", "tx", "subcarrier"),
            gain=1e6,
            shape=_lwm,
            convert=lambda channel: channel[:, 0, 0],
        ),
    )
}
