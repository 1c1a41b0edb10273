"""One array as the synthesis needs it for a chunk of links: pattern, polarisation and steering per ray.

Everything is float32 or complex64 and *component first* ([component, link, ray]): NumPy then runs long contiguous
inner loops, and ``np.matmul`` reads the result without a copy. A complex exponential costs 40 times a float32 sine and
cosine, so exponentials are built from one sine and cosine per ray and powers of that number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.channel import pattern as patterns
from wbench.channel.array import Array, rotation

__all__ = ["Front", "Workspace", "cis", "look"]

F32 = npt.NDArray[np.float32]
C64 = npt.NDArray[np.complex64]
Field = tuple[tuple[F32 | float, F32 | float], ...]
TWO_PI: Final = 2.0 * math.pi


class Workspace:
    """Named buffers that live for one synthesis: fresh large temporaries would be page-faulted in for every chunk."""

    def __init__(self) -> None:
        self._buffers: dict[str, npt.NDArray[np.uint8]] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
        """Uninitialised array over the buffer of that name, which grows when needed."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size, dtype=np.uint8)
        return np.ndarray(shape, dtype, buffer)

    def f32(self, name: str, shape: tuple[int, ...]) -> F32:
        """Buffer of float32."""
        return self.take(name, shape, np.float32)

    def c64(self, name: str, shape: tuple[int, ...]) -> C64:
        """Buffer of complex64."""
        return self.take(name, shape, np.complex64)


def cis(phase: F32, out: C64) -> C64:
    """exp(j·phase) into ``out``, by float32 sine and cosine."""
    np.cos(phase, out=out.real)
    np.sin(phase, out=out.imag)
    return out


@dataclass(frozen=True)
class Front:
    """What one array does to the rays of n links.

    Attributes
    ----------
    gain : float32 ndarray [n, P] or None
        Field amplitude of the element pattern; None for isotropic elements.
    field : tuple of (theta, phi) per polarisation
        Unit polarisation vector, each component a float32 ndarray [n, P] or a float that holds for all rays.
    left, right : complex64 ndarray [a, n, P], [b, n, P], or None
        Steering vector as a product: element ``i·b + k`` is ``left[i] · right[k]``. None stands for a single 1.
    """

    gain: F32 | None
    field: Field
    left: C64 | None
    right: C64 | None


def look(
    array: Array,
    azimuth: F32,
    zenith: F32,
    orientation: F32 | None,
    work: Workspace,
    name: str,
    rays: npt.NDArray[np.int64] | None = None,
) -> Front:
    """Evaluate an array in the directions of the rays.

    Parameters
    ----------
    array : Array
        The array; its ``orient`` holds where ``orientation`` is None.
    azimuth, zenith : float32 ndarray [n, P]
        Directions in rad, global.
    orientation : float32 ndarray [n, 3] or None
        (α, β, γ) per link in rad.
    work : Workspace
        Buffers; the result lies in them.
    name : str
        Prefix of the buffers, so that two ends do not share them.
    rays : int64 ndarray [links], optional
        How many rays each link has, where all stand in one row: the directions are [1, sum] then, and the
        orientations one per link.

    Returns
    -------
    Front
    """
    turned = orientation is not None or any(array.orient)
    tilted = orientation is not None or any(array.orient[1:])
    directive = array.pattern not in patterns.ISOTROPIC
    field: Field = tuple((math.cos(slant), math.sin(slant)) for slant in array.slants)
    if array.elements == 1 and not directive and not tilted:
        return Front(None, field, None, None)

    def buffer(label: str) -> F32:
        return work.f32(f"{name}.{label}", azimuth.shape)

    sin_az, cos_az = np.sin(azimuth, out=buffer("sa")), np.cos(azimuth, out=buffer("ca"))
    sin_zen, z = np.sin(zenith, out=buffer("sz")), np.cos(zenith, out=buffer("z"))
    x, y = np.multiply(sin_zen, cos_az, out=buffer("x")), np.multiply(sin_zen, sin_az, out=buffer("y"))
    horizon = sin_zen
    if turned:
        angles = array.orient if orientation is None else orientation[:, None, :]
        turn = rotation(angles).astype(np.float32)
        if rays is not None and orientation is not None:
            turn = _per_ray(turn[:, 0], rays)
        cos_zen = z
        x, y, z = (_combine(turn[..., :, i], (x, y, z), buffer(f"turned{i}"), buffer("t")) for i in range(3))
        if tilted:
            field, horizon = _tilted_field(turn[..., :, 2], array.slants, (sin_az, cos_az, sin_zen, cos_zen), buffer)
    gain = None
    if directive:
        # atan2 keeps its accuracy near the poles, where arcsin(z') loses half of the digits.
        gain = patterns.amplitude(array.pattern, np.arctan2(z, horizon), np.arctan2(y, x))
    left, right = _steering(array, y, z, work, name)
    return Front(gain, field, left, right)


def _per_ray(turn: F32, rays: npt.NDArray[np.int64]) -> F32:
    """The links' rotations [n, 3, 3] for each of their rays, [1, R, 3, 3] with the rays side by side in memory."""
    return np.moveaxis(np.repeat(np.moveaxis(turn, 0, -1), rays, axis=-1), -1, 0)[None]


def _combine(weights: F32, terms: tuple[F32, F32, F32], out: F32, scratch: F32) -> F32:
    """Weighted sum of three [n, P] arrays; weights [..., 3]."""
    np.multiply(weights[..., 0], terms[0], out=out)
    for i in (1, 2):
        out += np.multiply(weights[..., i], terms[i], out=scratch)
    return out


def _tilted_field(
    axis: F32, slants: tuple[float, ...], trig: tuple[F32, F32, F32, F32], buffer: Callable[[str], F32]
) -> tuple[Field, F32]:
    """Polarise along a local z axis ``axis``: unit vectors e^{j(ψ+ζ)}, and sin θ'.

    ψ = atan2(−e_φ·z', −e_θ·z'): its cosine and sine are the two projections divided by their length, sin θ'.
    """
    sin_az, cos_az, sin_zen, cos_zen = trig
    zx, zy, zz = axis[..., 0], axis[..., 1], axis[..., 2]
    scratch, cos_psi, sin_psi = buffer("t"), buffer("cpsi"), buffer("spsi")
    np.multiply(zx, cos_az, out=cos_psi)
    cos_psi += np.multiply(zy, sin_az, out=scratch)
    cos_psi *= cos_zen
    np.subtract(np.multiply(zz, sin_zen, out=scratch), cos_psi, out=cos_psi)
    np.multiply(zx, sin_az, out=sin_psi)
    sin_psi -= np.multiply(zy, cos_az, out=scratch)
    horizon = buffer("hor")
    np.multiply(cos_psi, cos_psi, out=horizon)
    horizon += np.multiply(sin_psi, sin_psi, out=scratch)
    np.sqrt(horizon, out=horizon)
    # A ray along the array's own z axis has no defined ψ; any value is right, NaN is not.
    inverse = np.divide(1.0, np.maximum(horizon, np.float32(1e-20), out=scratch), out=scratch)
    cos_psi *= inverse
    sin_psi *= inverse
    field: list[tuple[F32, F32]] = []
    for slant in slants:
        if slant == 0.0:
            field.append((cos_psi, sin_psi))
        else:
            c, s = math.cos(slant), math.sin(slant)
            field.append((cos_psi * c - sin_psi * s, sin_psi * c + cos_psi * s))
    return tuple(field), horizon


def _steering(array: Array, y: F32, z: F32, work: Workspace, name: str) -> tuple[C64 | None, C64 | None]:
    """Steering vector as a product of two factors: columns × rows, or coarse × fine steps of a linear array."""
    if array.elements == 1:
        return None, None
    if array.rows > 1 and array.cols > 1:
        left = _powers(y, array.dh, array.cols, work, f"{name}.left")
        right = _powers(z, -array.dv, array.rows, work, f"{name}.right")
        return left, right
    direction, spacing = (y, array.dh) if array.rows == 1 else (z, -array.dv)
    fine = _fine(array.elements)
    coarse = _powers(direction, spacing * fine, array.elements // fine, work, f"{name}.left")
    return coarse, _powers(direction, spacing, fine, work, f"{name}.right") if fine > 1 else None


def _fine(elements: int) -> int:
    """Largest divisor that is not above the square root: the inner length of a linear array's two factors."""
    return next(d for d in range(math.isqrt(elements), 0, -1) if elements % d == 0)


def _powers(direction: F32, spacing: float, count: int, work: Workspace, name: str) -> C64:
    """exp(j2π·spacing·(i − (count−1)/2)·direction) for i < count: complex64 [count, n, P].

    One sine and cosine of the half step; then doubling, so that rounding grows with log2(count); negative positions
    are conjugates.
    """
    out = work.c64(name, (count, *direction.shape))
    half, odd = divmod(count, 2)
    step = work.c64("powers.step", direction.shape)
    phase = np.multiply(direction, np.float32(math.pi * spacing * (1 + odd)), out=work.f32("powers", direction.shape))
    positive = out[half:]
    if odd:
        positive[0] = 1.0
        cis(phase, step)
    else:
        cis(phase, positive[0])
        np.multiply(positive[0], positive[0], out=step)
    done = 1
    while done < len(positive):
        more = min(done, len(positive) - done)
        np.multiply(positive[:more], step, out=positive[done : done + more])
        done += more
        if done < len(positive):
            np.multiply(step, step, out=step)
    np.conjugate(positive[: odd - 1 : -1] if odd else positive[::-1], out=out[:half])
    return out
