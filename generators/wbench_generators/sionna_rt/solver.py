"""Runs Sionna RT's path solver: one candidate search for all carriers, to the same bits, and no silent overflow.

The solver works in three stages: it shoots rays and keeps candidates of paths, it corrects their vertices (image
method), and it computes fields and delays. Only the last depends on the carrier, and the first takes nine tenths of the
time. So the first two run once per set of users, and the last for each carrier: all carriers see the same paths. What a
candidate's sampling probability was is kept with it, which makes the power of scattered paths right at any carrier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import SimulationError
from wbench_generators.sionna_rt.llvm import require_llvm
from wbench_generators.sionna_rt.params import SolverParams

__all__ = ["PathTracer", "TracedPaths", "start_sionna_rt"]

VARIANT = "llvm_ad_mono_polarized"
_STAGES = ("_candidate_generator", "_image_method", "_field_calculator")


@dataclass(frozen=True, eq=False)
class TracedPaths:
    """Paths between one base station and n users at one carrier: N in all, user by user, sorted by delay.

    Attributes
    ----------
    carrier_hz : float
        Carrier frequency in Hz.
    count : int64 ndarray [n]
        Paths of each user; the sum is N.
    a : complex64 ndarray [2, 2, N]
        Gain without carrier phase: component of arrival, component of departure (e_θ, e_φ).
    tau : float32 ndarray [N]
        Delay in s.
    angles : float32 ndarray [4, N]
        Azimuth and zenith of departure, azimuth and zenith of arrival in rad.
    doppler : float32 ndarray [N]
        Doppler shift in Hz.
    interactions : uint8 ndarray [depth, N]
        Sionna RT's codes: 0 none, 1 specular reflection, 2 scattering, 4 refraction, 8 diffraction.
    together : int32 ndarray [n]
        How many users were solved together with this one.
    """

    carrier_hz: float
    count: npt.NDArray[np.int64]
    a: npt.NDArray[np.complex64]
    tau: npt.NDArray[np.float32]
    angles: npt.NDArray[np.float32]
    doppler: npt.NDArray[np.float32]
    interactions: npt.NDArray[np.uint8]
    together: npt.NDArray[np.int32]

    @property
    def start(self) -> npt.NDArray[np.int64]:
        """Number of each user's first path: int64 [n]."""
        return np.cumsum(self.count) - self.count

    @property
    def line_of_sight(self) -> npt.NDArray[np.bool_]:
        """Users with a path without interaction: bool [n]. It is their first path."""
        user = np.repeat(np.arange(len(self.count)), self.count)
        direct = (self.interactions == 0).all(axis=0)
        return np.asarray(np.bincount(user[direct], minlength=len(self.count)) > 0)

    @cached_property
    def gain(self) -> npt.NDArray[np.complex64]:
        """``a · exp(−j2πf_cτ)``, the phase in double precision: complex64 [2, 2, N]; groups of users share it."""
        cycles = self.tau.astype(np.float64) * self.carrier_hz
        turn = np.exp(-2j * np.pi * (cycles - np.rint(cycles))).astype(np.complex64)
        return np.asarray(self.a * turn)

    def keep(self, users: npt.NDArray[np.bool_]) -> TracedPaths:
        """The same users; those that are not marked lose their paths."""
        if users.all():
            return self
        i = np.repeat(users, self.count)
        return TracedPaths(
            self.carrier_hz, np.where(users, self.count, 0), self.a[..., i], self.tau[i], self.angles[:, i],
            self.doppler[i], self.interactions[:, i], self.together,
        )  # fmt: skip

    def take(self, users: npt.NDArray[np.int64]) -> TracedPaths:
        """Paths of some users, in that order."""
        count = self.count[users]
        first = np.repeat(self.start[users] - (np.cumsum(count) - count), count)
        i = first + np.arange(count.sum())
        return TracedPaths(
            self.carrier_hz, count, self.a[..., i], self.tau[i], self.angles[:, i], self.doppler[i],
            self.interactions[:, i], self.together[users],
        )  # fmt: skip


def start_sionna_rt() -> None:
    """Check LLVM in another process, choose the CPU backend and give Dr.Jit one thread.

    With one thread the solver fills its buffers in a fixed order, so that the same block has the same bits. Processes
    are what uses several cores.

    Raises
    ------
    MissingDependencyError
        No LLVM library that works.
    SimulationError
        Mitsuba is already in use with another backend in this process.
    """
    require_llvm()
    import drjit
    import mitsuba

    if mitsuba.variant() is None:
        mitsuba.set_variant(VARIANT)
    if mitsuba.variant() != VARIANT:
        raise SimulationError(
            "Mitsuba already runs with another backend in this process.",
            where="sionna-rt",
            why=f"{mitsuba.variant()} instead of {VARIANT}",
            next_step="generate in a process of its own: wbench generate",
        )
    drjit.set_thread_count(1)


class PathTracer:
    """The path solver with its settings.

    Parameters
    ----------
    params : SolverParams
        Its settings.

    Notes
    -----
    The search for candidates shares its buffer and its random numbers between the users of a solve, so paths depend
    on who is solved together: the caller keeps to fixed groups.
    """

    def __init__(self, params: SolverParams) -> None:
        import sionna.rt as rt

        self._rt, self._params = rt, params
        self._solver = rt.PathSolver()
        missing = [name for name in _STAGES if not hasattr(self._solver, name)]
        if missing:
            raise SimulationError(
                "This Sionna RT has other solver stages than those that wbench knows.",
                where="sionna-rt",
                why=f"PathSolver has no {', '.join(missing)} in version {rt.__version__}",
                next_step="pip install 'sionna-rt>=2.2,<2.3'",
            )
        self._stages = _SharedStages(*(getattr(self._solver, name) for name in _STAGES[:2]))
        self._solver._candidate_generator = self._stages.candidates
        self._solver._image_method = self._stages.images
        self._element = rt.PlanarArray(num_rows=1, num_cols=1, pattern="iso", polarization="VH")

    def trace(
        self,
        scene: Any,
        bs: npt.NDArray[np.float32],
        users: npt.NDArray[np.float32],
        velocity: npt.NDArray[np.float32],
        carriers: Sequence[float],
        seed: int,
    ) -> list[TracedPaths]:
        """Paths from a base station to users, for each carrier.

        Parameters
        ----------
        scene : sionna.rt.Scene
            A loaded scene.
        bs : float32 ndarray [3]
            Position of the base station in m.
        users, velocity : float32 ndarray [n, 3]
            Positions in m and velocities in m/s.
        carriers : sequence of float
            Carrier frequencies in Hz. Candidates are sampled with the materials at the first.
        seed : int
            Seed of the solver.

        Returns
        -------
        list of TracedPaths
            One per carrier.

        Raises
        ------
        SimulationError
            The buffer is too small even for a single user.

        Notes
        -----
        Where the buffer overflows, the first half of the users (rounded up) and the rest are solved on their own.
        """
        found = self._solve(scene, bs, users, velocity, carriers, seed)
        if found is not None:
            return found
        n = len(users)
        if n == 1:
            raise SimulationError(
                "The path solver's buffer is too small for a single user.",
                where=f"max_paths = {self._params.max_paths}",
                next_step="raise max_paths or lower samples in the recipe's [params.solver]",
            )
        half = (n + 1) // 2
        parts = [
            self.trace(scene, bs, users[part], velocity[part], carriers, seed)
            for part in (slice(0, half), slice(half, n))
        ]
        return [join(pair) for pair in zip(*parts, strict=True)]

    def _solve(
        self,
        scene: Any,
        bs: npt.NDArray[np.float32],
        users: npt.NDArray[np.float32],
        velocity: npt.NDArray[np.float32],
        carriers: Sequence[float],
        seed: int,
    ) -> list[TracedPaths] | None:
        """One search for candidates; None where the buffer overflowed."""
        p = self._params
        self._set_devices(scene, bs, users, velocity)
        self._stages.start(len(carriers))
        found = []
        for carrier in carriers:
            scene.frequency = carrier
            paths = self._solver(
                scene,
                max_depth=p.max_depth,
                max_num_paths_per_src=p.max_paths,
                samples_per_src=p.samples,
                specular_reflection=p.specular,
                diffuse_reflection=p.scattering > 0,
                refraction=p.refraction,
                diffraction=p.diffraction,
                seed=seed,
            )
            if self._stages.overflowed:
                return None
            found.append(read_paths(paths, carrier, p.max_depth))
        return found

    def _set_devices(
        self,
        scene: Any,
        bs: npt.NDArray[np.float32],
        users: npt.NDArray[np.float32],
        velocity: npt.NDArray[np.float32],
    ) -> None:
        """One transmitter and n receivers.

        The scene asks its devices one by one, which costs more than the tracing of few users. Here it is given the
        arrays it would build from them; the devices themselves only have to be as many.
        """
        import mitsuba as mi

        rt, n = self._rt, len(users)
        scene.tx_array = scene.rx_array = self._element
        if "bs" not in scene.transmitters:
            scene.add(rt.Transmitter("bs", position=[0.0, 0.0, 0.0]))
        scene.get("bs").position = [float(value) for value in bs]
        for i in range(len(scene.receivers), n):
            scene.add(rt.Receiver(f"ue{i}", position=[0.0, 0.0, 0.0]))
        for i in range(n, len(scene.receivers)):
            scene.remove(f"ue{i}")
        still = np.zeros((3, n), np.float32)
        ends = mi.Point3f(users.T), mi.Point3f(still), mi.Point3f(still), mi.Vector3f(velocity.T)
        # synthetic_array and return_velocities are always on; a single element lies in the device's centre
        scene.targets = lambda synthetic_array, return_velocities: ends


class _SharedStages:
    """Stands in for the solver's first two stages and repeats their result for the further carriers of a solve."""

    def __init__(self, candidates: Any, images: Any) -> None:
        self._candidates, self._images = candidates, images
        self.start(1)

    def start(self, runs: int) -> None:
        """Forget the solve before; the next one has this many runs."""
        self._more = runs > 1
        self._geometry: Any = None
        self.overflowed = False

    def candidates(self, *args: Any, max_num_paths_per_src: int, **kwargs: Any) -> Any:
        if self._geometry is not None:
            return _copy(self._geometry)
        found = self._candidates(*args, max_num_paths_per_src=max_num_paths_per_src, **kwargs)
        # The solver shrinks the buffer to this number and would go on with what found room in it.
        self.overflowed = int(np.max(np.array(found.paths_counter))) >= max_num_paths_per_src
        return found

    def images(self, *args: Any, paths: Any, **kwargs: Any) -> Any:
        if self._geometry is not None:
            return paths  # the copy that `candidates` gave
        self._geometry = self._images(*args, paths=paths, **kwargs)
        # Later stages write into what they are given, so the first run of several has a copy too.
        return _copy(self._geometry) if self._more else self._geometry


def _copy(buffer: Any) -> Any:
    import drjit
    import mitsuba

    return buffer.gather(drjit.arange(mitsuba.UInt, buffer.buffer_size))


def read_paths(paths: Any, carrier_hz: float, depth: int) -> TracedPaths:
    """Sionna RT's ``Paths`` of one transmitter and single VH elements as arrays.

    The order by delay is stable, and the solver finds direct paths first: among equal delays they stay first.
    """
    valid = paths.valid.numpy()[:, 0].astype(bool)
    n, size = valid.shape
    where = np.flatnonzero(valid)
    tau = paths.tau.numpy()[:, 0].reshape(-1)[where].astype(np.float32)
    # By user, then delay: one stable sort of whole numbers, as delays are not negative and their bits then count up.
    order = np.argsort(where // max(1, size) << 32 | tau.view(np.uint32).astype(np.int64), kind="stable")
    where, tau = where[order], tau[order]
    user, place = where // max(1, size), where % max(1, size)

    def flat(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(values[:, 0].reshape(-1)[where], dtype=np.float32)

    a = np.empty((2, 2, len(where)), dtype=np.complex64)
    re, im = (part.numpy().reshape(-1) for part in paths.a)  # [n, 2, 1, 2, P]
    for i in (0, 1):
        for j in (0, 1):
            at = (4 * user + 2 * i + j) * size + place
            a[i, j].real, a[i, j].imag = re[at], im[at]
    kinds = np.zeros((max(1, depth), len(where)), dtype=np.uint8)
    for step, found in zip(kinds, paths.interactions.numpy(), strict=False):
        step[:] = found[:, 0].reshape(-1)[where]
    return TracedPaths(
        carrier_hz=carrier_hz,
        count=valid.sum(axis=1),
        a=a,
        tau=tau,
        angles=np.stack([flat(getattr(paths, name).numpy()) for name in ("phi_t", "theta_t", "phi_r", "theta_r")]),
        doppler=flat(paths.doppler.numpy()),
        interactions=kinds,
        together=np.full(n, n, dtype=np.int32),
    )


def join(parts: Sequence[TracedPaths]) -> TracedPaths:
    """Paths of several groups of users at one carrier as one record."""

    def together(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts], axis=-1)

    names = ("count", "a", "tau", "angles", "doppler", "interactions", "together")
    return TracedPaths(parts[0].carrier_hz, **{name: together(name) for name in names})
