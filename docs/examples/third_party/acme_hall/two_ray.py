"""The generator: a direct wave and, unless a forklift is in its way, one reflection on the floor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
from pydantic import Field

from wbench.channel.array import Array
from wbench.channel.rays import Rays
from wbench.channel.synthesis import Grid
from wbench.dataset.schema import ArraySpec, standard
from wbench.generator import Arrays, Block, Generator, GeneratorParams, Layout, Session, Synthesis

SPEED_OF_LIGHT = 299_792_458.0
BS_HEIGHT, UE_HEIGHT = 6.0, 1.5

#: What no standard array holds, a generator declares itself.
REFLECTION = ArraySpec("reflection", (), (), "int8", "1", "1 if the floor reflects, 0 if something is in the way")


class TwoRayParams(GeneratorParams):
    """The recipe's table ``[params]``: unknown fields and impossible values are refused before anything runs."""

    carrier_hz: float = Field(ge=1e9, le=3e11)
    subcarriers: int = Field(ge=2)
    spacing_hz: float = Field(gt=0)
    distance_m: tuple[float, float] = (5.0, 40.0)
    reflection_share: float = Field(default=0.5, ge=0, le=1)
    reflection_loss_db: tuple[float, float] = (3.0, 12.0)


class TwoRaySession(Session):
    """Makes any block from its own random streams: alone, in any order, in any process, to the same bits."""

    def __init__(self, params: TwoRayParams) -> None:
        self._params = params

    def simulate(self, block: Block) -> tuple[Rays, Arrays]:
        """Rays [n links, 2 rays] and labels; the engine turns the rays into channels."""
        p, n = self._params, len(block)
        places, floor = block.rng("places"), block.rng("floor")  # one stream per purpose
        distance, azimuth = places.uniform(*p.distance_m, n), places.uniform(-np.pi / 3, np.pi / 3, n)
        reflects = floor.random(n) < p.reflection_share
        loss = 10 ** (-floor.uniform(*p.reflection_loss_db, n) / 20)

        # The reflected wave is the direct one to the user's image below the floor.
        drop = np.stack([np.full(n, BS_HEIGHT - UE_HEIGHT), np.full(n, BS_HEIGHT + UE_HEIGHT)], -1)
        length = np.hypot(distance[:, None], drop)
        amplitude = SPEED_OF_LIGHT / (4 * np.pi * length * p.carrier_hz)
        amplitude[:, 1] *= loss * reflects
        tau = length / SPEED_OF_LIGHT
        g = np.zeros((2, 2, n, 2), dtype=np.complex64)
        # Vertical goes to vertical; free space turns the horizontal unit vector around. A floor flips the sign.
        g[0, 0] = amplitude * np.array([1.0, -1.0]) * np.exp(-2j * np.pi * ((tau * p.carrier_hz) % 1.0))
        g[1, 1] = -g[0, 0]
        zenith = np.pi - np.arctan2(distance[:, None], drop)  # down from the ceiling, towards user and image
        turned = np.repeat(azimuth[:, None], 2, axis=1)
        angles = {"aod": turned, "zod": zenith, "aoa": turned + np.pi, "zoa": np.pi - zenith}
        angles["zoa"][:, 1] = zenith[:, 1]  # and up from the floor
        rays = Rays(
            carrier_hz=p.carrier_hz,
            tau=tau - tau[:, :1],  # the direct wave arrives at 0
            seg=(1, 1),
            g=g,
            nu=np.zeros((n, 2), dtype=np.float32),
            **{name: values.astype(np.float32) for name, values in angles.items()},
        )
        user = np.stack([distance * np.cos(azimuth), distance * np.sin(azimuth), np.full(n, UE_HEIGHT)], -1)
        ids = np.asarray(block.samples, dtype=np.int32)
        return rays, {
            "los": np.ones(n, dtype=np.int8),
            "site": ids,  # every link stands in a hall of its own: the unit that a split never divides
            "ue_position": user.astype(np.float32),
            "bs_position": np.tile(np.float32([0.0, 0.0, BS_HEIGHT]), (n, 1)),
            "reflection": reflects.astype(np.int8),
        }


class TwoRay(Generator):
    """What the dataset holds (known without running anything), and how to start a session."""

    version: ClassVar[int] = 1
    Params: ClassVar[type[GeneratorParams]] = TwoRayParams

    def layout(self, params: TwoRayParams) -> Layout:
        """Labels of the session, and the channel that the engine makes of its rays."""
        return Layout(
            arrays=(*standard("los", "site", "ue_position", "bs_position"), REFLECTION),
            synthesis=Synthesis(
                tx=Array(rows=1, cols=4),
                rx=Array(rows=1, cols=1),
                bands={"channel": Grid.centred(params.subcarriers, params.spacing_hz)},
            ),
            attributes={
                "los_definition": "every link has a direct wave",
                "delay_reference": "the direct wave arrives at 0 s",
                "carrier_hz": params.carrier_hz,
            },
        )

    @contextmanager
    def open(self, params: TwoRayParams) -> Iterator[TwoRaySession]:
        """A real simulator is started here, and stopped when the context is left."""
        yield TwoRaySession(params)
