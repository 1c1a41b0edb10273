"""Sionna RT's paths → the core's :class:`~wbench.channel.rays.Rays`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.rays import Rays
from wbench.dataset.schema import ArraySpec
from wbench.generator import Arrays
from wbench_generators.sionna_rt.solver import TracedPaths

__all__ = ["first_delay", "groups_by_size", "ray_specs", "stored_rays", "to_rays"]

#: Links that are handled together; neighbours in the number of paths, so that little padding is summed.
GROUP = 16


def first_delay(paths: TracedPaths) -> npt.NDArray[np.float64]:
    """Delay of the first path in s: float64 [n], NaN without a path."""
    first = np.full(len(paths.count), np.nan)
    there = paths.count > 0
    first[there] = paths.tau[paths.start[there]]
    return first


def groups_by_size(paths: TracedPaths) -> Iterator[npt.NDArray[np.int64]]:
    """All links in groups of similar numbers of paths."""
    order = np.argsort(paths.count, kind="stable")
    for start in range(0, len(order), GROUP):
        yield order[start : start + GROUP]


def to_rays(paths: TracedPaths, links: npt.NDArray[np.int64] | None = None, *, absolute: bool) -> Rays:
    """One tap per path; ``g = a · exp(−j2πf_cτ)`` with the phase in double precision.

    Parameters
    ----------
    paths : TracedPaths
        Paths at one carrier. Their gains lack the carrier phase (Sionna RT adds it in ``cir`` and ``cfr``).
    links : int64 ndarray [B], optional
        Which links; all without it.
    absolute : bool
        Keep absolute delays. Otherwise delays count from the first path; the carrier phase stays that of the whole
        way, so both channels differ by ``exp(j2πfτ_1)`` in baseband only.

    Returns
    -------
    Rays
        B links, as many rays as the largest number of paths among them, the others padded.
    """
    count = paths.count if links is None else paths.count[links]
    size, ends = max(1, int(count.max(initial=0))), np.cumsum(count)
    column = np.arange(count.sum()) - np.repeat(ends - count, count)
    place = np.repeat(np.arange(len(count)) * size, count) + column
    chosen = slice(None) if links is None else np.repeat(paths.start[links], count) + column

    def padded(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        rows = values.reshape(-1, values.shape[-1])
        out = np.zeros((len(rows), len(count) * size), dtype=values.dtype)
        for target, row in zip(out, rows, strict=True):
            target[place] = row[chosen]
        return out.reshape(*values.shape[:-1], len(count), size)

    tau = paths.tau.astype(np.float64)
    if not absolute:
        tau = tau - np.repeat(first_delay(paths), paths.count)
    aod, zod, aoa, zoa = padded(paths.angles)
    return Rays(
        paths.carrier_hz, padded(tau), (1,) * size, aod, zod, aoa, zoa, padded(paths.gain), padded(paths.doppler)
    )


def ray_specs(count: int, depth: int) -> tuple[ArraySpec, ...]:
    """Specs of :func:`stored_rays`."""

    def spec(name: str, dtype: str, unit: str, text: str, *dims: tuple[str, int]) -> ArraySpec:
        every = (*dims, ("ray", count))
        return ArraySpec(name, tuple(d for d, _ in every), tuple(size for _, size in every), dtype, unit, text)

    both = (("rx_field", 2), ("tx_field", 2))
    kinds = "interactions in order: 0 none, 1 specular, 2 scattering, 4 refraction, 8 diffraction"
    gain = "amplitude per Rx and Tx field component (theta, phi), path loss and carrier phase included"
    return (
        spec("ray_tau", "float64", "s", "delay of each ray, absolute"),
        spec("ray_aod", "float32", "rad", "azimuth of departure"),
        spec("ray_zod", "float32", "rad", "zenith of departure"),
        spec("ray_aoa", "float32", "rad", "azimuth of arrival"),
        spec("ray_zoa", "float32", "rad", "zenith of arrival"),
        spec("ray_nu", "float32", "Hz", "Doppler shift, > 0 approaching"),
        spec("ray_g", "complex64", "1", gain, *both),
        spec("ray_interactions", "uint8", "1", kinds, ("interaction", max(1, depth))),
    )


def stored_rays(paths: TracedPaths, count: int) -> Arrays:
    """The strongest rays of each link by power, sorted by delay, padded with zeros; delays are absolute."""
    n, total = len(paths.count), len(paths.tau)
    link = np.repeat(np.arange(n), paths.count)
    power = (np.abs(paths.a.astype(np.complex128)) ** 2).sum(axis=(0, 1))
    rank = np.empty(total, dtype=np.int64)
    rank[np.lexsort((np.arange(total), -power, link))] = np.arange(total) - np.repeat(paths.start, paths.count)
    keep = rank < count
    kept = TracedPaths(
        paths.carrier_hz, np.minimum(paths.count, count), paths.a[..., keep], paths.tau[keep], paths.angles[:, keep],
        paths.doppler[keep], paths.interactions[:, keep], paths.together,
    )  # fmt: skip
    rays = to_rays(kept, absolute=True)
    room = count - rays.rays
    valid = np.arange(count) < kept.count[:, None]
    kinds = np.zeros((n, len(paths.interactions), count), dtype=np.uint8)
    np.moveaxis(kinds, 1, 0)[:, valid] = kept.interactions
    arrays: Arrays = {
        f"ray_{name}": np.pad(getattr(rays, name), [(0, 0), (0, room)])
        for name in ("tau", "aod", "zod", "aoa", "zoa", "nu")
    }
    g = np.pad(np.moveaxis(rays.g, 2, 0), [(0, 0), (0, 0), (0, 0), (0, room)])
    return {**arrays, "ray_g": np.ascontiguousarray(g), "ray_interactions": kinds}
