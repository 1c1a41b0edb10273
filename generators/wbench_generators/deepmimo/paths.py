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
    direct = (np.where(valid, inter, 1) == 0).any(axis=1)
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
        self, paths: Matrices, add_phase: npt.NDArray[np.bool_], velocity: Mapping[str, F32], width: int | None = None
    ) -> Rays:
        """Rays of n links.

        Parameters
        ----------
        paths : mapping of str to float32 ndarray [n, P]
            Rows of the path matrices in DeepMIMO's units.
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
        valid = valid_paths(paths)
        counts = valid.sum(axis=1)
        size = max(1, int(counts.max(initial=0))) if width is None else width
        if (valid[:, 1:] > valid[:, :-1]).any():  # holes: paths move up
            order = np.argsort(~valid, axis=1, kind="stable")
            paths = {name: np.take_along_axis(value, order, axis=1) for name, value in paths.items()}
        valid = np.arange(size) < counts[:, None]
        value = {name: _padded(array, valid) for name, array in paths.items()}

        tau = value["delay"]
        angle = {name: np.radians(value[name]) for name in ("aod_az", "aod_el", "aoa_az", "aoa_el")}
        cycles = value["phase"] / 360.0 + add_phase[:, None] * self._carrier_cycles(tau)
        if self.corner is not None:
            cycles += corner_phase(self.corner[0], angle["aod_az"], angle["aod_el"])
            cycles += corner_phase(self.corner[1], angle["aoa_az"], angle["aoa_el"])
        turn = 2 * np.pi * (cycles - np.rint(cycles))  # mod 1 in double precision: thousands of cycles lie behind
        amplitude = np.where(valid, self.scale * 10.0 ** (value["power"] / 20.0), 0.0)
        g = np.zeros((2, 2, *valid.shape), np.complex64)
        g[0, 0].real, g[0, 0].imag = amplitude * np.cos(turn), amplitude * np.sin(turn)

        nu = self._doppler(angle, velocity, valid)
        single = {
            "aod": angle["aod_az"],
            "zod": _zenith(angle["aod_el"]),
            "aoa": angle["aoa_az"],
            "zoa": _zenith(angle["aoa_el"]),
            "nu": nu,
        }
        return Rays(
            carrier_hz=self.carrier_hz,
            tau=tau,
            seg=(1,) * size,
            g=g,
            **{name: array.astype(np.float32) for name, array in single.items()},
        )

    def _carrier_cycles(self, tau: F64) -> F64:
        """−f_c·τ in cycles, in ``single`` with the rounding of Sionna RT's ``Paths.cir``."""
        if self.carrier_phase != "single":
            return -self.carrier_hz * tau
        two_pi, one = np.float32(2 * np.pi), np.float32(1 / (2 * np.pi))
        phase = (-two_pi * np.float32(self.carrier_hz)) * tau.astype(np.float32)
        phase = phase - two_pi * np.floor(phase * one)
        return np.asarray(phase, dtype=np.float64) / (2 * np.pi)

    def _doppler(self, angle: Mapping[str, F64], velocity: Mapping[str, F32], valid: npt.NDArray[np.bool_]) -> F64:
        """Doppler shift ν = (r_tx·v_tx + r_rx·v_rx)/λ in Hz: moving along a direction away from one's end approaches.

        DeepMIMO 4.0's own ``doppler`` of moving receivers negates the spherical coordinates instead of the vector.
        """
        nu = np.zeros(valid.shape)
        for end, kind in (("tx", "aod"), ("rx", "aoa")):
            v = velocity[end].astype(np.float64)[:, None]
            if v.any():
                azimuth, zenith = angle[f"{kind}_az"], angle[f"{kind}_el"]
                horizontal = np.cos(azimuth) * v[..., 0] + np.sin(azimuth) * v[..., 1]
                nu += (np.sin(zenith) * horizontal + np.cos(zenith) * v[..., 2]) * self.carrier_hz / SPEED_OF_LIGHT
        return np.where(valid, nu, 0.0)


def _padded(array: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> F64:
    """The first columns in double precision, 0 where there is no path."""
    out = np.zeros(valid.shape)
    width = min(array.shape[1], valid.shape[1])
    np.copyto(out[:, :width], array[:, :width], where=valid[:, :width])
    return out


def _zenith(angle: F64) -> F64:
    """Zenith in [0, π] against the rounding of degrees; padding included."""
    return np.clip(angle, 0.0, np.pi)
