"""Antenna arrays: port order, polarisation slants, orientation, steering vectors and field pattern.

The array lies in its local y–z plane, boresight is local +x. Port number = pol·N + col·rows + row with row 0 on top
and the phase centre in the middle (the order of Sionna PHY and Sionna RT).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wbench.channel import pattern as patterns
from wbench.errors import SpecError

__all__ = ["Array", "rotation"]

Floats = npt.NDArray[np.floating[Any]]


def rotation(orientation: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Rotation from local to global coordinates, R = Rz(α) Ry(β) Rx(γ) (TR 38.901 eq. 7.1-4).

    Parameters
    ----------
    orientation : array_like [..., 3]
        Bearing α, downtilt β and slant γ in rad.

    Returns
    -------
    float64 ndarray [..., 3, 3]
        The columns are the local axes in global coordinates.
    """
    angles = np.asarray(orientation, dtype=np.float64)
    (ca, cb, cc), (sa, sb, sc) = np.moveaxis(np.cos(angles), -1, 0), np.moveaxis(np.sin(angles), -1, 0)
    rows = [
        [ca * cb, ca * sb * sc - sa * cc, ca * sb * cc + sa * sc],
        [sa * cb, sa * sb * sc + ca * cc, sa * sb * cc - ca * sc],
        [-sb, cb * sc, cb * cc],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


@dataclass(frozen=True)
class Array:
    """A uniform planar array, shared by all links of a dataset.

    Attributes
    ----------
    rows, cols : int
        Elements along local z (row 0 on top) and along local y.
    dv, dh : float
        Row and column spacing in wavelengths.
    slants : tuple of float
        Polarisation slant ζ of each polarisation in rad: 0 is vertical, π/2 horizontal.
    pattern : str
        Element pattern, a name of :data:`wbench.channel.pattern.PATTERNS`.
    orient : tuple of float
        Bearing α, downtilt β, slant γ in rad; R = Rz(α) Ry(β) Rx(γ).

    Raises
    ------
    SpecError
        A number is out of range.
    UnknownNameError
        There is no such pattern.
    """

    rows: int
    cols: int
    dv: float = 0.5
    dh: float = 0.5
    slants: tuple[float, ...] = (0.0,)
    pattern: str = "omni"
    orient: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "slants", tuple(float(slant) for slant in self.slants))
        object.__setattr__(self, "orient", tuple(float(angle) for angle in self.orient))
        if self.rows < 1 or self.cols < 1:
            raise SpecError("An array needs rows and columns.", where="Array", why=f"{self.rows} × {self.cols}")
        if not (self.dv > 0 and self.dh > 0):
            raise SpecError("Element spacings must be positive.", where="Array", why=f"dv = {self.dv}, dh = {self.dh}")
        if not 1 <= len(self.slants) <= 2:
            raise SpecError("An array has one or two polarisations.", where="Array.slants", why=f"{self.slants}")
        if len(self.orient) != 3 or not all(map(math.isfinite, (*self.orient, *self.slants))):
            raise SpecError("An orientation is three finite angles.", where="Array.orient", why=f"{self.orient}")
        patterns.lookup(self.pattern)

    @classmethod
    def ula(cls, elements: int, spacing: float = 0.5, **kwargs: Any) -> Array:
        """Horizontal uniform linear array: one row."""
        return cls(1, elements, dh=spacing, **kwargs)

    @classmethod
    def upa(cls, rows: int, cols: int, **kwargs: Any) -> Array:
        """Uniform planar array, vertically polarised unless ``slants`` says otherwise."""
        return cls(rows, cols, **kwargs)

    @classmethod
    def dual_polarised(cls, rows: int, cols: int, kind: Literal["cross", "VH"] = "cross", **kwargs: Any) -> Array:
        """Planar array of dual-polarised elements: slants −45°, +45° (``cross``) or 0°, 90° (``VH``)."""
        slants = {"cross": (-math.pi / 4, math.pi / 4), "VH": (0.0, math.pi / 2)}
        if kind not in slants:
            raise SpecError(
                "Unknown kind of polarisation.", where="Array.dual_polarised", why=f"{kind!r}, not {[*slants]}"
            )
        return cls(rows, cols, slants=slants[kind], **kwargs)

    @property
    def elements(self) -> int:
        """Number of elements per polarisation, N = rows · cols."""
        return self.rows * self.cols

    @property
    def polarisations(self) -> int:
        """Number of polarisations, 1 or 2."""
        return len(self.slants)

    @property
    def ports(self) -> int:
        """Number of antenna ports, polarisations · N."""
        return self.polarisations * self.elements

    def positions(self) -> npt.NDArray[np.float64]:
        """Local (y, z) of every element in wavelengths, centred: float64 [N, 2], in port order."""
        y = self.dh * (np.arange(self.cols) - (self.cols - 1) / 2)
        z = -self.dv * (np.arange(self.rows) - (self.rows - 1) / 2)
        return np.stack([np.repeat(y, self.rows), np.tile(z, self.cols)], axis=-1)

    def steering(self, azimuth: npt.ArrayLike, zenith: npt.ArrayLike) -> npt.NDArray[np.complex128]:
        """Array response of a plane wave in a global direction that looks away from the array, exp(+j2π d·r').

        Parameters
        ----------
        azimuth, zenith : array_like [...]
            Direction in rad.

        Returns
        -------
        complex128 ndarray [..., N]
            Unit-modulus response in port order (of one polarisation, without element pattern).
        """
        az, zen = np.broadcast_arrays(np.asarray(azimuth, np.float64), np.asarray(zenith, np.float64))
        r = np.stack([np.sin(zen) * np.cos(az), np.sin(zen) * np.sin(az), np.cos(zen)], axis=-1)
        local = r @ rotation(self.orient)
        return np.asarray(np.exp(2j * np.pi * (local[..., 1:] @ self.positions().T)))
