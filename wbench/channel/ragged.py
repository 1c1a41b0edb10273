"""Links with few rays and much padding behind them, as ray-traced ones are: their rays in one row, without the padding.

All but the last step of the synthesis goes ray by ray, so rays of many links stand side by side there, whatever their
links' numbers of rays. The matrix products over the rays of a link take links of one width at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.front import C64, F32, Workspace
from wbench.channel.rays import Rays

__all__ = ["RayRow", "Run", "ray_rows", "widths"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

#: Rays in a row: enough to amortise Python's calls, few enough for the second-level cache.
ROW_RAYS = 4000
ROW_BYTES = 1 << 20


@dataclass(frozen=True)
class Run:
    """Neighbours in a row that have one width.

    Attributes
    ----------
    links : int64 ndarray [n]
        Their numbers in the record.
    first : int
        Where the first ray of the first of them is.
    width : int
        Rays of each.
    """

    links: I64
    first: int
    width: int

    def of_rays(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Their part of an array [m, R] as a view [m, n, width]."""
        count = len(self.links)
        return array[:, self.first : self.first + count * self.width].reshape(len(array), count, self.width)


@dataclass(frozen=True, eq=False)
class RayRow:
    """Rays of several links, one link after the other: the fields of :class:`~wbench.channel.rays.Rays`, B = 1.

    Attributes
    ----------
    tau : float64 ndarray [1, R]
        Delay in s.
    aod, zod, aoa, zoa, nu : float32 ndarray [1, R]
        Angles in rad, Doppler shift in Hz.
    g : complex64 ndarray [2, 2, 1, R]
        Gains.
    links, width : int64 ndarray [n]
        The links' numbers in the record, and how many rays each has here; ascending width.
    """

    tau: F64
    aod: F32
    zod: F32
    aoa: F32
    zoa: F32
    nu: F32
    g: C64
    links: I64
    width: I64

    def runs(self) -> Iterator[Run]:
        """The links by width."""
        first = 0
        bounds = [0, *(np.flatnonzero(np.diff(self.width)) + 1).tolist(), len(self.width)]
        for start, stop in pairwise(bounds):
            width = int(self.width[start])
            yield Run(self.links[start:stop], first, width)
            first += width * (stop - start)


def widths(rays: Rays) -> I64 | None:
    """Rays of each link up to the last that is not padding, rounded up to a power of two: int64 [B].

    Only the link itself decides on its width: rounding must not depend on its neighbours. None where there is nothing
    to cut.
    """
    if rays.taps != rays.rays or rays.links == 0:
        return None
    # A complex number as the two floats that it is: comparing those is five times faster.
    parts = np.ascontiguousarray(rays.g).reshape(4, rays.links, rays.rays).view(np.float32) != 0
    live = parts.view(np.uint16).any(axis=0) if parts.any() else np.zeros(rays.aod.shape, bool)
    count = (live * np.arange(1, rays.rays + 1, dtype=np.int32)).max(axis=1)
    # From 2 on: NumPy takes another way, which rounds differently, through products over a single ray.
    levels = np.array([0, *(2**i for i in range(1, rays.rays.bit_length())), rays.rays])
    found = np.asarray(levels[np.searchsorted(levels, count)])
    return None if (found == rays.rays).all() else found


def ray_rows(rays: Rays, width: I64, ray_bytes: int, work: Workspace) -> Iterator[RayRow]:
    """The links that have rays, by ascending width, some at a time.

    Parameters
    ----------
    rays : Rays
        A record of one ray per tap.
    width : int64 ndarray [B]
        From :func:`widths`.
    ray_bytes : int
        Bytes that the synthesis needs for a ray: rows keep to :data:`ROW_BYTES`, unless a single link is more.
    work : Workspace
        Buffers; a row lies in them until the next one is asked for.
    """
    links = np.argsort(width, kind="stable")[np.count_nonzero(width == 0) :]
    width, limit = width[links], max(1, min(ROW_RAYS, ROW_BYTES // ray_bytes))
    ends = np.cumsum(width)
    ray = np.repeat(links * rays.rays - (ends - width), width) + np.arange(ends[-1] if len(ends) else 0)
    plain = {name: getattr(rays, name).reshape(1, -1) for name in ("tau", "aod", "zod", "aoa", "zoa", "nu")}
    g = rays.g.reshape(4, -1)
    start = first = 0
    while start < len(links):
        stop = max(start + 1, int(np.searchsorted(ends, first + limit, side="right")))
        chosen = ray[first : ends[stop - 1]]

        def take(name: str, array: npt.NDArray[Any], chosen: I64 = chosen) -> npt.NDArray[Any]:
            out = work.take(f"row.{name}", (len(array), len(chosen)), array.dtype.type)
            return np.take(array, chosen, axis=1, out=out, mode="clip")  # the default mode would copy `out`

        fields = {name: take(name, array) for name, array in plain.items()}
        yield RayRow(**fields, g=take("g", g).reshape(2, 2, 1, -1), links=links[start:stop], width=width[start:stop])
        start, first = stop, int(ends[stop - 1])
