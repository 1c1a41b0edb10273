"""Unitary DFTs between subcarrier and delay, and between antenna and angle.

Conventions. The CFR has H(f) = Σ g e^{−j2πfτ} over subcarriers and a steering vector a(n) = e^{+j2πn·u·d}. Hence

* delay:  h[d] = (1/√K) Σ_k H[k] e^{+j2πkd/K} (an inverse DFT): a path of delay τ peaks at row d = τ·K·Δf;
* angle:  Ĥ[m] = (1/√N) Σ_n H[n] e^{−j2πnm/N} (a forward DFT): a plane wave of direction cosine u peaks at m = N·d·u.

Both wrap: negative delays and directions are the last rows. All transforms keep the sum of squared magnitudes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.array import Array
from wbench.errors import SpecError

__all__ = [
    "angle_to_antenna",
    "angle_to_port",
    "angular_delay",
    "antenna_to_angle",
    "delay_rows",
    "delay_to_subcarrier",
    "inverse_angular_delay",
    "port_to_angle",
    "subcarrier_to_delay",
]

C64 = npt.NDArray[np.complex64]
Complex = npt.NDArray[np.complexfloating[Any, Any]]


def delay_rows(rows: range | int | None, subcarriers: int) -> npt.NDArray[np.int64]:
    """Row numbers modulo K of a range of delays.

    Parameters
    ----------
    rows : range, int or None
        Delay rows, negative ones allowed (``range(-4, 28)``); an int means ``range(rows)``, None all K.
    subcarriers : int
        K.

    Returns
    -------
    int64 ndarray [len(rows)]

    Raises
    ------
    SpecError
        More rows than subcarriers.
    """
    wanted = range(subcarriers) if rows is None else range(rows) if isinstance(rows, int) else rows
    if not 1 <= len(wanted) <= subcarriers:
        raise SpecError("The delay rows do not fit the subcarriers.", where="rows", why=f"{wanted} of {subcarriers}")
    return np.asarray(wanted, dtype=np.int64) % subcarriers


def subcarrier_to_delay(cfr: Complex, rows: range | int | None = None) -> C64:
    """Subcarriers → delay rows, unitary inverse DFT along the last axis.

    Parameters
    ----------
    cfr : complex ndarray [..., K]
        Channel frequency response.
    rows : range, int or None
        Rows to keep, in this order; see :func:`delay_rows`. Truncation drops the energy of the others.

    Returns
    -------
    complex64 ndarray [..., rows]
    """
    # NumPy's own FFT keeps complex64 in single precision.
    taps = np.fft.ifft(cfr, axis=-1, norm="ortho")
    kept = taps if rows is None else taps[..., delay_rows(rows, cfr.shape[-1])]
    return kept.astype(np.complex64, copy=False)


def delay_to_subcarrier(taps: Complex, subcarriers: int, rows: range | int | None = None) -> C64:
    """Delay rows → subcarriers, inverse of :func:`subcarrier_to_delay` (rows that are not given are zero).

    Parameters
    ----------
    taps : complex ndarray [..., rows]
        Delay rows.
    subcarriers : int
        K.
    rows : range, int or None
        Which rows ``taps`` holds; None means rows 0 … .

    Returns
    -------
    complex64 ndarray [..., K]
    """
    where = delay_rows(taps.shape[-1] if rows is None else rows, subcarriers)
    if len(where) != taps.shape[-1]:
        raise SpecError(
            "Taps and rows differ in number.", where="rows", why=f"{taps.shape[-1]} taps, {len(where)} rows"
        )
    full = np.zeros((*taps.shape[:-1], subcarriers), dtype=np.complex64)
    full[..., where] = taps
    return np.fft.fft(full, axis=-1, norm="ortho").astype(np.complex64, copy=False)


def antenna_to_angle(channel: Complex, axis: int = -1) -> C64:
    """Antennas of a uniform linear array → angles, unitary DFT along one axis: complex64, shape of ``channel``."""
    return np.fft.fft(channel, axis=axis, norm="ortho").astype(np.complex64, copy=False)


def angle_to_antenna(angles: Complex, axis: int = -1) -> C64:
    """Angles → antennas of a uniform linear array, inverse of :func:`antenna_to_angle`."""
    return np.fft.ifft(angles, axis=axis, norm="ortho").astype(np.complex64, copy=False)


def port_to_angle(channel: Complex, array: Array, axis: int = -1) -> C64:
    """Ports of any array → angles, unitary DFT over columns and rows of each polarisation.

    Parameters
    ----------
    channel : complex ndarray [..., ports, ...]
        Ports of ``array`` along ``axis``.
    array : Array
        Its port order pol·N + col·rows + row is kept in the angle domain: pol·N + m_col·rows + m_row. Polarisations
        are never mixed. Column m_col is the direction cosine y' = m_col/(cols·dh), wrapped; rows count downwards (row
        0 is on top), so that m_row stands for −z' = m_row/(rows·dv), wrapped.
    axis : int
        Axis of the ports.

    Returns
    -------
    complex64 ndarray, shape of ``channel``

    Raises
    ------
    SpecError
        The axis does not have the array's ports.
    """
    return _spatial(channel, array, axis, antenna_to_angle)


def angle_to_port(angles: Complex, array: Array, axis: int = -1) -> C64:
    """Angles → ports of any array, inverse of :func:`port_to_angle`."""
    return _spatial(angles, array, axis, angle_to_antenna)


def _spatial(channel: Complex, array: Array, axis: int, transform: Callable[[Complex, int], C64]) -> C64:
    moved = np.moveaxis(channel, axis, -1)
    if moved.shape[-1] != array.ports:
        raise SpecError("The axis is not this array's ports.", where="axis", why=f"{moved.shape[-1]} ≠ {array.ports}")
    grid = moved.reshape(*moved.shape[:-1], array.polarisations, array.cols, array.rows)
    for dimension, length in ((-2, array.cols), (-1, array.rows)):
        if length > 1:
            grid = transform(grid, dimension)
    return np.moveaxis(grid.reshape(moved.shape), -1, axis).astype(np.complex64, copy=False)


def angular_delay(cfr: Complex, array: Array, rows: range | int | None = None) -> C64:
    """CFR → angular-delay domain.

    Parameters
    ----------
    cfr : complex ndarray [..., Tx, K]
        Channel frequency response.
    array : Array
        Transmit array.
    rows : range, int or None
        Delay rows to keep (``range(-4, 28)``, 32, None).

    Returns
    -------
    complex64 ndarray [..., delay, angle]
    """
    return port_to_angle(np.swapaxes(subcarrier_to_delay(cfr, rows), -1, -2), array)


def inverse_angular_delay(image: Complex, array: Array, subcarriers: int, rows: range | int | None = None) -> C64:
    """Angular-delay domain → CFR; rows that were cut are zero.

    Parameters
    ----------
    image : complex ndarray [..., delay, angle]
        As :func:`angular_delay` returns it.
    array : Array
        Transmit array.
    subcarriers : int
        K.
    rows : range, int or None
        Which delay rows the image holds.

    Returns
    -------
    complex64 ndarray [..., Tx, K]
    """
    return delay_to_subcarrier(np.swapaxes(angle_to_port(image, array), -1, -2), subcarriers, rows)
