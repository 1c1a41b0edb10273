"""DeepMIMO's paths → the core's rays, and DeepMIMO's own conventions.

What the files hold differs from :class:`~wbench.channel.rays.Rays` in three ways. Amplitudes are scalars (vertical to
vertical). The converter for Sionna stores the phase of Sionna's ``a``, which lacks the carrier phase e^{−j2πf_cτ}; each
path is right alone, their sum is not. And ``compute_channels`` divides by √(subcarriers), takes the corner element
as phase centre and starts its grid on the carrier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.array import Array, rotation
from wbench.channel.rays import Rays
from wbench_generators.common import SPEED_OF_LIGHT
from wbench_generators.deepmimo.params import CarrierPhase, Convention

__all__ = ["PathConversion", "adds_carrier_phase", "corner_phase", "deepmimo_ports", "los_state", "valid_paths"]

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Matrices = Mapping[str, F32]


def valid_paths(matrices: Matrices) -> npt.NDArray[np.bool_]:
    """Paths whose numbers are all there: bool [n, P]."""
    valid = np.isfinite(matrices["power"])
    for name in ("phase", "delay", "aoa_az", "aoa_el", "aod_az", "aod_el", "inter"):
        valid &= np.isfinite(matrices[name])
    return valid


def los_state(inter: F32, valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.int8]:
    """LoS state: 1 where *any* path has no interaction, 0 with others only, −1 without a path: int8 [n].

    DeepMIMO's own ``los`` looks at path 0 only, which is the strongest and need not be the direct one.
    """
    direct = (valid & (inter == 0)).any(axis=1)
    return np.where(direct, 1, np.where(valid.any(axis=1), 0, -1)).astype(np.int8)


def adds_carrier_phase(mode: CarrierPhase, convention: Convention, raytracer: str) -> bool:
    """Whether e^{−j2πf_cτ} is to be multiplied: in ``auto`` for scenarios that Sionna traced, as in ``wbench``."""
    if mode == "auto":
        return convention == "wbench" and raytracer.lower().startswith("sionna")  # not "wbench sionna-…"
    return mode != "stored"


def deepmimo_ports(array: Array) -> npt.NDArray[np.int64]:
    """Ports in DeepMIMO's order: ``h[..., deepmimo_ports(array)]`` has row · columns + column, the lowest row first."""
    ports = np.arange(array.elements).reshape(array.cols, array.rows)  # wbench: column · rows + row, row 0 on top
    return np.ascontiguousarray(ports[:, ::-1].T).reshape(-1)


def corner_phase(array: Array, azimuth: F64, zenith: F64) -> F64:
    """Phase in cycles that moves the phase centre from the middle to the corner (first column, lowest row)."""
    r = np.stack([np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)], axis=-1)
    local = r @ rotation(array.orient)
    return np.asarray((array.cols - 1) / 2 * array.dh * local[..., 1] + (array.rows - 1) / 2 * array.dv * local[..., 2])


@dataclass(frozen=True)
class PathConversion:
    """How the rows of a scenario's matrices become rays.

    Attributes
    ----------
    carrier_hz : float
        Carrier frequency in Hz.
    carrier_phase : {"auto", "add", "stored", "single"}
        See :class:`~wbench_generators.deepmimo.params.DeepMimoParams`.
    corner : (Array, Array) or None
        Tx and Rx array whose corner elements become the phase centres (DeepMIMO's convention).
    scale : float
        Factor of the amplitudes.
    """

    carrier_hz: float
    carrier_phase: CarrierPhase = "auto"
    corner: tuple[Array, Array] | None = None
    scale: float = 1.0

    def rays(
        self,
        paths: Matrices,
        valid: npt.NDArray[np.bool_],
        add_phase: npt.NDArray[np.bool_],
        velocity: Mapping[str, F32],
        width: int | None = None,
    ) -> Rays:
        """Rays of n links.

        Parameters
        ----------
        paths : mapping of str to float32 ndarray [n, P]
            Rows of the path matrices in DeepMIMO's units.
        valid : bool ndarray [n, P]
            From :func:`valid_paths`. Most places of the matrices hold no path: only those that do are computed.
        add_phase : bool ndarray [n]
            Links whose scenario lacks the carrier phase.
        velocity : mapping
            ``"tx"`` and ``"rx"``: float32 [n, 3] in m/s.
        width : int, optional
            Number of rays of the record; default what these links need.

        Returns
        -------
        Rays
            One ray per tap, valid paths first and in the files' order, padding behind.
        """
        counts = valid.sum(axis=1)
        size = max(1, int(counts.max(initial=0))) if width is None else width
        link, there = np.repeat(np.arange(len(valid)), counts), np.flatnonzero(valid)
        # Paths move up where there are holes before them.
        place = link * size + np.arange(len(there)) - np.repeat(np.cumsum(counts) - counts, counts)

        def padded(values: npt.NDArray[Any], dtype: type[np.generic] = np.float64) -> npt.NDArray[Any]:
            out = np.zeros(len(valid) * size, dtype)
            out[place] = values
            return out.reshape(len(valid), size)

        value = {name: array.reshape(-1)[there].astype(np.float64) for name, array in paths.items() if name != "inter"}
        angle = {name: np.radians(value[name]) for name in ("aod_az", "aod_el", "aoa_az", "aoa_el")}
        cycles = value["phase"] / 360.0 + add_phase[link] * self._carrier_cycles(value["delay"])
        amplitude = self.scale * 10.0 ** (value["power"] / 20.0)
        if self.corner is not None:
            cycles, amplitude = padded(cycles), padded(amplitude)
            for array, end in zip(self.corner, ("aod", "aoa"), strict=True):
                cycles += corner_phase(array, padded(angle[f"{end}_az"]), padded(angle[f"{end}_el"]))
        turn = 2 * np.pi * (cycles - np.rint(cycles))  # mod 1 in double precision: thousands of cycles lie behind
        g = np.zeros((2, 2, len(valid), size), np.complex64)
        parts = amplitude * np.cos(turn), amplitude * np.sin(turn)
        g[0, 0].real, g[0, 0].imag = parts if self.corner is not None else map(padded, parts)
        single = {
            "aod": angle["aod_az"],
            "zod": _zenith(angle["aod_el"]),
            "aoa": angle["aoa_az"],
            "zoa": _zenith(angle["aoa_el"]),
            "nu": self._doppler(angle, velocity, link),
        }
        return Rays(
            carrier_hz=self.carrier_hz,
            tau=padded(value["delay"]),
            seg=(1,) * size,
            g=g,
            **{name: padded(values, np.float32) for name, values in single.items()},
        )

    def _carrier_cycles(self, tau: F64) -> F64:
        """−f_c·τ in cycles, in ``single`` with the rounding of Sionna RT's ``Paths.cir``."""
        if self.carrier_phase != "single":
            return -self.carrier_hz * tau
        two_pi, one = np.float32(2 * np.pi), np.float32(1 / (2 * np.pi))
        phase = (-two_pi * np.float32(self.carrier_hz)) * tau.astype(np.float32)
        phase = phase - two_pi * np.floor(phase * one)
        return np.asarray(phase, dtype=np.float64) / (2 * np.pi)

    def _doppler(self, angle: Mapping[str, F64], velocity: Mapping[str, F32], link: npt.NDArray[np.int64]) -> F64:
        """Doppler shift ν = (r_tx·v_tx + r_rx·v_rx)/λ in Hz: moving along a direction away from one's end approaches.

        DeepMIMO 4.0's own ``doppler`` of moving receivers negates the spherical coordinates instead of the vector.
        """
        nu = np.zeros(len(angle["aod_az"]))
        for end, kind in (("tx", "aod"), ("rx", "aoa")):
            if velocity[end].any():
                v = velocity[end].astype(np.float64)[link]
                azimuth, zenith = angle[f"{kind}_az"], angle[f"{kind}_el"]
                horizontal = np.cos(azimuth) * v[..., 0] + np.sin(azimuth) * v[..., 1]
                nu += (np.sin(zenith) * horizontal + np.cos(zenith) * v[..., 2]) * self.carrier_hz / SPEED_OF_LIGHT
        return nu


def _zenith(angle: F64) -> F64:
    """Zenith in [0, π] against the rounding of degrees."""
    return np.clip(angle, 0.0, np.pi)
