"""Angle of a path at a uniform linear array, as the cosine to the array's axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["axis_cosine"]

F64 = npt.NDArray[np.float64]
#: Grid points per element: the maximum is then within the bow of the main lobe that Newton's steps climb.
OVERSAMPLING = 16
STEPS = 6


def axis_cosine(snapshot: npt.NDArray[np.complexfloating[Any, Any]], spacing: float) -> F64:
    """Cosine between a path and the axis of a uniform linear array, by maximum likelihood for one path in white noise.

    The maximum of the periodogram is searched on a grid and refined by Newton's method. An array in the y-z plane with
    its axis along local +y, as :class:`wbench.channel.array.Array` has it, answers sin(zenith)·sin(azimuth); front and
    back give the same.

    Parameters
    ----------
    snapshot : complex ndarray [..., antenna]
        Phases grow with the element number by 2π·spacing·cosine.
    spacing : float
        Element spacing in wavelengths.

    Returns
    -------
    float64 ndarray [...]
        In [−1, 1].

    References
    ----------
    Rife and Boorstyn, IEEE Trans. Inf. Theory 20(5), 1974.
    """
    elements = snapshot.shape[-1]
    rows = snapshot.reshape(-1, elements).astype(np.complex128)
    points = elements * OVERSAMPLING
    spectrum = np.abs(np.fft.fft(rows, n=points, axis=1)) ** 2
    # A spacing under half a wavelength has grid points for which there is no direction.
    phase = 2 * np.pi * np.fft.fftfreq(points)
    spectrum[:, np.abs(phase) > 2 * np.pi * spacing * (1 + 1e-9)] = -1.0
    best = phase[spectrum.argmax(axis=1)]
    n = np.arange(elements)
    for _ in range(STEPS):
        turned = rows * np.exp(-1j * best[:, None] * n)
        s0, s1, s2 = turned.sum(axis=1), (n * turned).sum(axis=1), (n * n * turned).sum(axis=1)
        slope = 2 * (s1 * s0.conj()).imag  # d|s0|²/dφ
        bend = 2 * (np.abs(s1) ** 2 - (s2 * s0.conj()).real)
        step = np.divide(-slope, bend, out=np.zeros(len(rows)), where=bend < 0)
        best = best + np.clip(step, -np.pi / points, np.pi / points)
    return np.asarray(np.clip(best / (2 * np.pi * spacing), -1.0, 1.0).reshape(snapshot.shape[:-1]))
