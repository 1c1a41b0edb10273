"""A closed-form multipath channel: a few plane waves per link. The example to copy for a new generator.

A generator is three things, and nothing else:

1. ``Params`` — a pydantic model of the recipe's ``[params]`` table. Unknown or impossible values are refused before
   anything runs.
2. ``layout(params)`` — what the dataset will hold. It is asked for without running the simulator, so it must not
   import one.
3. ``open(params)`` — a context that starts the simulator and yields a ``Session``; ``Session.simulate(block)`` turns
   a block of sample ids into rays (or channels) and labels. It may use the block's own random streams only:
   ``block.rng("what for")``. Then any block can be made alone, in any order, by any process, to the same bits.

The engine synthesises ``channel`` from the rays, derives delay and Doppler spread, validates, writes and resumes.
Register the class in the provider's ``provider.toml`` and add a recipe; that is all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from wbench.channel.rays import Rays
from wbench.dataset.schema import standard
from wbench.generator import Arrays, Block, Generator, GeneratorParams, Layout, Session, Synthesis
from wbench_generators.common import SPEED_OF_LIGHT, ArrayParams, Bands, Interval, grids

__all__ = ["PlaneWave", "PlaneWaveParams", "PlaneWaveSession"]


class PlaneWaveParams(GeneratorParams):
    """Parameters of the plane-wave generator.

    Attributes
    ----------
    paths : int
        Scattered plane waves per link, besides the line-of-sight wave.
    bs, ue : ArrayParams
        Transmit and receive array.
    carrier_hz : float
        Carrier frequency in Hz.
    bands : dict of str to BandParams
        Subcarrier grids by channel array name; one of them is ``channel``.
    time_steps, time_step_s : int, float
        Snapshots per sample and their distance in s.
    speed_kmh : (float, float)
        Speed of the UE in km/h, uniform.
    distance_m : (float, float)
        2-D distance of the UE in m, uniform.
    los_share : float
        Probability of a line-of-sight wave.
    k_factor_db : float
        Ricean K factor in dB where there is line of sight.
    delay_spread_s : float
        Mean of the exponential excess delays in s; wave powers fall with the delay at the same rate.
    """

    paths: Annotated[int, Field(ge=1, le=1000)] = 12
    bs: ArrayParams = ArrayParams(cols=8)
    ue: ArrayParams = ArrayParams()
    carrier_hz: Annotated[float, Field(ge=1e8, le=1e12)] = 3.5e9
    bands: Bands
    time_steps: Annotated[int, Field(ge=1, le=10_000)] = 1
    time_step_s: Annotated[float, Field(ge=0)] = 0.0
    speed_kmh: Interval = (0.0, 0.0)
    distance_m: Interval = (20.0, 150.0)
    los_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    k_factor_db: float = 9.0
    delay_spread_s: Annotated[float, Field(gt=0, le=1e-3)] = 100e-9

    @model_validator(mode="after")
    def _possible(self) -> PlaneWaveParams:
        if self.distance_m[0] <= 0:
            raise ValueError("distance_m must be positive")
        if self.time_steps > 1 and self.time_step_s <= 0:
            raise ValueError("time_step_s must be positive where time_steps > 1")
        return self


#: Standard arrays that the session returns itself.
LABELS = ("los", "ue_position", "bs_position", "ue_velocity", "ue_id", "scene", "site", "path_gain_db", "k_factor_db")

#: Heights of the two ends in m.
BS_HEIGHT, UE_HEIGHT = 10.0, 1.5


class PlaneWaveSession(Session):
    """Draws plane waves. It holds no simulator, only the parameters."""

    def __init__(self, params: PlaneWaveParams) -> None:
        self._params = params

    def simulate(self, block: Block) -> tuple[Rays, Arrays]:
        """Draw the waves and labels of a block; see :class:`wbench.generator.Session`."""
        p, n = self._params, len(block)
        # One stream per purpose: a later change of one draw leaves the others as they are.
        geometry, waves = block.rng("geometry"), block.rng("waves")

        distance = geometry.uniform(*p.distance_m, n)
        azimuth = np.radians(p.bs.bearing_deg) + geometry.uniform(-np.pi / 3, np.pi / 3, n)
        bs = np.tile([0.0, 0.0, BS_HEIGHT], (n, 1)).astype(np.float32)
        ue = np.stack([distance * np.cos(azimuth), distance * np.sin(azimuth), np.full(n, UE_HEIGHT)], -1)
        ue = ue.astype(np.float32)
        speed, heading = geometry.uniform(*p.speed_kmh, n) / 3.6, geometry.uniform(-np.pi, np.pi, n)
        velocity = np.stack([speed * np.cos(heading), speed * np.sin(heading), np.zeros(n)], -1).astype(np.float32)
        los = geometry.random(n) < p.los_share

        # Rays start from the stored (rounded) positions, so that the dataset is consistent with itself.
        link = ue.astype(np.float64) - bs
        range_m = np.linalg.norm(link, axis=-1)
        gain = SPEED_OF_LIGHT / (4 * np.pi * range_m * p.carrier_hz)  # Friis, isotropic ends
        rays = self._rays(waves, link, range_m, gain, los, velocity)
        ids = np.asarray(block.samples, dtype=np.int32)
        return rays, {
            "los": los.astype(np.int8),
            "ue_position": ue,
            "bs_position": bs,
            "ue_velocity": velocity,
            "ue_id": ids,
            "scene": np.zeros(n, np.int32),
            "site": ids,
            "path_gain_db": (20 * np.log10(gain)).astype(np.float32),
            "k_factor_db": np.where(los, p.k_factor_db, np.nan).astype(np.float32),
        }

    def _rays(
        self,
        rng: np.random.Generator,
        link: npt.NDArray[np.float64],
        range_m: npt.NDArray[np.float64],
        gain: npt.NDArray[np.float64],
        los: npt.NDArray[np.bool_],
        velocity: npt.NDArray[np.float32],
    ) -> Rays:
        """Ray 0 is the line of sight (amplitude 0 without), the others are scattered waves, one tap each."""
        p = self._params
        n, total = len(los), p.paths + 1
        aod, zod, aoa, zoa = (np.empty((n, total)) for _ in range(4))
        aod[:, 0], zod[:, 0] = np.arctan2(link[:, 1], link[:, 0]), np.arccos(link[:, 2] / range_m)
        aoa[:, 0], zoa[:, 0] = np.arctan2(-link[:, 1], -link[:, 0]), np.pi - zod[:, 0]  # looks back to the BS
        aod[:, 1:] = aod[:, :1] + rng.uniform(-np.pi / 3, np.pi / 3, (n, p.paths))
        zod[:, 1:] = rng.uniform(np.pi / 3, 2 * np.pi / 3, (n, p.paths))
        aoa[:, 1:] = rng.uniform(-np.pi, np.pi, (n, p.paths))
        zoa[:, 1:] = rng.uniform(np.pi / 3, 2 * np.pi / 3, (n, p.paths))

        tau = np.zeros((n, total))
        tau[:, 1:] = rng.exponential(p.delay_spread_s, (n, p.paths))  # excess delay: the direct path arrives at 0
        scattered = np.exp(-tau[:, 1:] / p.delay_spread_s)
        scattered /= scattered.sum(-1, keepdims=True)
        k = np.where(los, 10 ** (p.k_factor_db / 10), 0.0)
        power = np.concatenate([(k / (k + 1))[:, None], scattered / (k + 1)[:, None]], -1)
        phase = rng.uniform(-np.pi, np.pi, (2, 2, n, total))
        phase[..., 0] = -2 * np.pi * ((range_m * p.carrier_hz / SPEED_OF_LIGHT) % 1.0)  # mod 1 before it grows large
        # Co-polar waves keep the full power, cross-polar ones are 9 dB down; free space has none and flips e_phi.
        scale = np.sqrt(np.array([[1.0, 0.125], [0.125, 1.0]]))[:, :, None, None] * np.ones(total)
        scale[..., 0] = np.array([[1.0, 0.0], [0.0, -1.0]])[:, :, None]
        g = gain[:, None] * np.sqrt(power) * scale * np.exp(1j * phase)

        arrival = np.stack([np.sin(zoa) * np.cos(aoa), np.sin(zoa) * np.sin(aoa), np.cos(zoa)], -1)
        nu = np.einsum("bpx,bx->bp", arrival, velocity) * p.carrier_hz / SPEED_OF_LIGHT  # > 0: approaching
        single = {"aod": aod, "zod": zod, "aoa": aoa, "zoa": zoa, "nu": nu}
        return Rays(
            carrier_hz=p.carrier_hz,
            tau=tau,
            seg=(1,) * total,
            g=g.astype(np.complex64),
            **{name: value.astype(np.float32) for name, value in single.items()},
        )


class PlaneWave(Generator):
    """A few plane waves per link, drawn in closed form."""

    version: ClassVar[int] = 1
    Params: ClassVar[type[GeneratorParams]] = PlaneWaveParams

    def layout(self, params: PlaneWaveParams) -> Layout:
        """Arrays and grids of the dataset; see :class:`wbench.generator.Generator`."""
        return Layout(
            arrays=standard(*LABELS),
            synthesis=Synthesis(
                tx=params.bs.array(),
                rx=params.ue.array(),
                bands=grids(params.bands),
                time_steps=params.time_steps,
                time_step_s=params.time_step_s,
            ),
            attributes={
                "los_definition": "1 where the link has a direct wave, drawn with probability los_share",
                "delay_reference": "the direct path arrives at 0 s",
                "carrier_hz": params.carrier_hz,
            },
        )

    @contextmanager
    def open(self, params: PlaneWaveParams) -> Iterator[PlaneWaveSession]:
        """Nothing to start and nothing to stop here; a simulator would be started before and closed after."""
        yield PlaneWaveSession(params)
