"""DFT beam codebooks and the received power per beam.

A column f of a codebook is a *transmit* vector: the received signal is h·f = Σ_n h[n] f[n], and a plane wave towards
direction cosine u has h ∝ a(u), a(n) = e^{+j2πn·d·u}. The beam that points there is the conjugate steering vector,
f = a*(u)/√N. Beam b of an N-element, B-beam codebook points to the spatial frequency d·u = b/B (wrapped to [−½, ½)),
so that with half-wavelength spacing a wave from azimuth φ at the horizon picks beam round(B/2·sin φ) mod B.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.array import Array
from wbench.errors import SpecError

__all__ = ["beam_directions", "beam_rsrp", "best_beam", "dft_codebook", "planar_codebook", "steered_codebook"]

C64 = npt.NDArray[np.complex64]


def beam_directions(beams: int) -> npt.NDArray[np.float64]:
    """Spatial frequency d·u of each beam, in cycles per element: float64 [beams], b/B wrapped to [−½, ½)."""
    frequency = np.arange(beams) / beams
    return np.asarray((frequency + 0.5) % 1.0 - 0.5)


def dft_codebook(elements: int, beams: int) -> C64:
    """DFT codebook of a uniform linear array, uniform in sin-space, oversampled where beams > elements.

    Parameters
    ----------
    elements, beams : int
        N and B.

    Returns
    -------
    complex64 ndarray [N, B]
        ``e^{−j2πnb/B}/√N``: unit-norm columns; see the module's notes on the sign.
    """
    if elements < 1 or beams < 1:
        raise SpecError("A codebook needs elements and beams.", where="dft_codebook", why=f"{elements}, {beams}")
    phase = np.outer(np.arange(elements), np.arange(beams)) % beams / beams
    return np.asarray(np.exp(-2j * np.pi * phase) / np.sqrt(elements), dtype=np.complex64)


def planar_codebook(array: Array, column_beams: int, row_beams: int) -> C64:
    """Kronecker product of two DFT codebooks in the port order of an array.

    Parameters
    ----------
    array : Array
        Its polarisations get the same beams (a beam uses one polarisation: 2·B beams for a dual-polarised array).
    column_beams, row_beams : int
        Beams along the columns (azimuth) and along the rows. Rows count downwards, so that row beam b points to
        −d·z' = b/B, wrapped: beams with a small positive b point below the horizon.

    Returns
    -------
    complex64 ndarray [ports, polarisations · column_beams · row_beams]
        Unit-norm columns; beam pol·B + column beam · row_beams + row beam.
    """
    one = np.kron(dft_codebook(array.cols, column_beams), dft_codebook(array.rows, row_beams))
    return np.kron(np.eye(array.polarisations), one).astype(np.complex64)


def steered_codebook(array: Array, azimuth: npt.ArrayLike, zenith: npt.ArrayLike) -> C64:
    """Beams towards given global directions (a grid of beams as in TR 38.843), one polarisation.

    Parameters
    ----------
    array : Array
        Orientation included.
    azimuth, zenith : array_like [beams]
        Directions in rad.

    Returns
    -------
    complex64 ndarray [N, beams]
        Conjugate steering vectors of unit norm.
    """
    steering = array.steering(azimuth, zenith)
    return np.ascontiguousarray(steering.conj().T / np.sqrt(array.elements)).astype(np.complex64)


def beam_rsrp(channel: npt.NDArray[np.complexfloating[Any, Any]], codebook: C64) -> npt.NDArray[np.float64]:
    """Received power per beam, mean over snapshots, Rx ports and subcarriers.

    Parameters
    ----------
    channel : complex ndarray [n, T, Rx, Tx, K]
        Channel frequency response.
    codebook : complex64 ndarray [Tx, beams]
        One beam per column.

    Returns
    -------
    float64 ndarray [n, beams]
        mean |Σ_tx H[…, tx, …] f[tx, b]|².

    Raises
    ------
    SpecError
        The codebook is for another number of ports.
    """
    if channel.ndim != 5 or channel.shape[3] != codebook.shape[0]:
        raise SpecError(
            "The codebook does not fit the channel's transmit ports.", where="beam_rsrp",
            why=f"channel {list(channel.shape)}, codebook {list(codebook.shape)}",
        )  # fmt: skip
    n, _, _, _, subcarriers = channel.shape
    power = np.empty((n, codebook.shape[1]), dtype=np.float64)
    beams = np.ascontiguousarray(codebook.T)
    for i, sample in enumerate(channel):  # one product per sample: its bits cannot depend on the batch
        received = beams @ sample
        squares = received.real.astype(np.float64) ** 2 + received.imag.astype(np.float64) ** 2
        power[i] = squares.sum(axis=(0, 1, 3))
    return power / (channel.shape[1] * channel.shape[2] * subcarriers)


def best_beam(rsrp: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Strongest beam per sample, the lowest number on ties: int64 [n] from float64 [n, beams]."""
    return np.asarray(np.argmax(rsrp, axis=-1), dtype=np.int64)
