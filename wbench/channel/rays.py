"""The record every simulator ends in: rays with a 2 × 2 polarimetric amplitude, four angles, delay and Doppler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import SimulationError, SpecError

__all__ = ["Rays"]

ANGLES = ("aod", "zod", "aoa", "zoa")


@dataclass(frozen=True, eq=False)
class Rays:
    """Rays of B links: L taps (a delay each), P rays; the rays of a tap are consecutive.

    Attributes
    ----------
    carrier_hz : float
        Carrier frequency in Hz.
    tau : float64 ndarray [B, L]
        Delay per tap in s.
    seg : tuple of int, length L
        Number of rays per tap, the same for all links of the record; the sum is P.
    aod, zod, aoa, zoa : float32 ndarray [B, P]
        Azimuth and zenith of departure and arrival in rad, global coordinates: zenith in [0, π] from +z, azimuth
        from +x to +y. Both ends look *away* from their own array.
    g : complex64 ndarray [2, 2, B, P]
        ``g[i, j]``: Rx component i, Tx component j, both in (e_θ, e_φ). Holds sqrt(power), path loss, shadowing,
        Rician K, cross-polarisation, initial phase *and* carrier phase (so that it is H at baseband frequency 0);
        no antenna pattern and no array phase. Padding rays have g = 0 (and tau = 0).
    nu : float32 ndarray [B, P]
        Doppler shift in Hz; positive when the ends approach.

    Raises
    ------
    SimulationError
        A shape or dtype is not as above: the simulator's adapter returned something else.

    Notes
    -----
    Labels (LoS, path loss, delay spread, K) are not rays; they travel beside the record.
    """

    carrier_hz: float
    tau: npt.NDArray[np.float64]
    seg: tuple[int, ...]
    aod: npt.NDArray[np.float32]
    zod: npt.NDArray[np.float32]
    aoa: npt.NDArray[np.float32]
    zoa: npt.NDArray[np.float32]
    g: npt.NDArray[np.complex64]
    nu: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if not self.carrier_hz > 0:
            why = f"carrier_hz = {self.carrier_hz}"
            raise SpecError("The carrier frequency must be positive.", where="Rays.carrier_hz", why=why)
        if type(self.seg) is not tuple or set(map(type, self.seg)) != {int}:  # thousands of rays need not be converted
            object.__setattr__(self, "seg", tuple(int(size) for size in self.seg))
        if not self.seg or min(self.seg) < 1:
            raise SimulationError("Every tap needs at least one ray.", where="Rays.seg", why=f"seg = {self.seg}")
        links, rays = self.aod.shape[0] if self.aod.ndim else 0, sum(self.seg)
        self._expect("tau", (links, len(self.seg)), np.float64)
        for name in (*ANGLES, "nu"):
            self._expect(name, (links, rays), np.float32)
        self._expect("g", (2, 2, links, rays), np.complex64)

    def _expect(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
        array = getattr(self, name)
        if array.shape != shape or array.dtype != dtype:
            raise SimulationError(
                f"Rays.{name} has the wrong shape or dtype.",
                where=f"Rays.{name}",
                why=f"{array.dtype} {list(array.shape)} instead of {np.dtype(dtype)} {list(shape)} (seg sums to P)",
                next_step="correct the generator's adapter; dtypes are not cast silently",
            )

    @property
    def links(self) -> int:
        """Number of links B."""
        return int(self.tau.shape[0])

    @property
    def taps(self) -> int:
        """Number of taps L."""
        return len(self.seg)

    @property
    def rays(self) -> int:
        """Number of rays P."""
        return int(self.aod.shape[1])

    def ray_tau(self) -> npt.NDArray[np.float64]:
        """Delay of every ray in s: float64 [B, P]."""
        return np.repeat(self.tau, self.seg, axis=1)

    def power(self) -> npt.NDArray[np.float64]:
        """Power of every ray, summed over the 2 × 2 polarisations: float64 [B, P], read-only; computed once."""
        known: npt.NDArray[np.float64] | None = self.__dict__.get("_power")
        if known is not None:  # several statistics of a block ask for it, and it costs as much as they do
            return known
        power = np.zeros(self.g.shape[2:], dtype=np.float64)
        for row in self.g.reshape(4, *self.g.shape[2:]):
            power += row.real.astype(np.float64) ** 2
            power += row.imag.astype(np.float64) ** 2
        power.setflags(write=False)
        object.__setattr__(self, "_power", power)
        return power

    def reverse(self) -> Rays:
        """Rays of the reverse link: angle pairs swapped, amplitudes transposed (reciprocity)."""
        return Rays(
            self.carrier_hz, self.tau, self.seg, self.aoa, self.zoa, self.aod, self.zod,
            np.swapaxes(self.g, 0, 1), self.nu,
        )  # fmt: skip

    def select(self, links: slice | npt.NDArray[np.integer[Any]] | npt.NDArray[np.bool_]) -> Rays:
        """Rays of some links (a slice, link numbers or a mask)."""
        return Rays(
            self.carrier_hz, self.tau[links], self.seg, self.aod[links], self.zod[links], self.aoa[links],
            self.zoa[links], self.g[:, :, links], self.nu[links],
        )  # fmt: skip

    def check(self) -> None:
        """Refuse values no channel can have: not finite, zenith outside [0, π], negative delay of a live tap.

        Raises
        ------
        SimulationError
            Names the array and the first link concerned.
        """
        for name in ("tau", *ANGLES, "g", "nu"):
            array = np.ascontiguousarray(getattr(self, name))
            if not np.isfinite(array.view(array.real.dtype)).all():
                finite = np.isfinite(array).reshape(-1, self.links, array.shape[-1])
                self._refuse(~finite.all(axis=(0, 2)), name, "not finite")
        for name, limit, why in (
            *((name, np.float32(np.pi), "zenith outside [0, pi]") for name in ("zod", "zoa")),
            ("tau", np.inf, "negative delay"),
        ):
            array = getattr(self, name)
            if array.min(initial=0) < 0 or array.max(initial=0) > limit:
                self._refuse(((array < 0) | (array > limit)).any(axis=1), name, why)

    def _refuse(self, bad: npt.ArrayLike, name: str, why: str) -> None:
        links = np.flatnonzero(bad)
        if links.size:
            raise SimulationError(
                f"Rays.{name}: {why}.", where=f"link {links[0]}, {links.size} of {self.links} links",
                why="the simulator or its adapter returned a value that no channel can have",
            )  # fmt: skip

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays for storage, link first.

        Returns
        -------
        dict of str to ndarray
            ``ray_tau`` float64 [B, L], ``ray_seg`` int32 [B, L], ``ray_aod`` … ``ray_zoa``, ``ray_nu`` float32 [B, P],
            ``ray_g`` complex64 [B, 2, 2, P].
        """
        arrays: dict[str, npt.NDArray[Any]] = {f"ray_{name}": getattr(self, name) for name in ("tau", *ANGLES, "nu")}
        arrays["ray_seg"] = np.broadcast_to(np.array(self.seg, dtype=np.int32), self.tau.shape).copy()
        arrays["ray_g"] = np.ascontiguousarray(np.moveaxis(self.g, 2, 0))
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], carrier_hz: float) -> Rays:
        """Inverse of :meth:`to_arrays`.

        Raises
        ------
        SimulationError
            The links do not share one ``ray_seg``.
        """
        seg = np.asarray(arrays["ray_seg"])
        if len(seg) == 0 or (seg != seg[:1]).any():
            raise SimulationError(
                "These links do not share one number of rays per tap.", where="ray_seg",
                next_step="read the links of one block at a time",
            )  # fmt: skip
        plain = {name: np.asarray(arrays[f"ray_{name}"]) for name in ("tau", *ANGLES, "nu")}
        g = np.ascontiguousarray(np.moveaxis(np.asarray(arrays["ray_g"]), 0, 2))
        return cls(carrier_hz=carrier_hz, seg=tuple(int(size) for size in seg[0]), g=g, **plain)
