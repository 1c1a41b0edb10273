"""Where the users of a block are, how they move and whether they see the base station.

All draws are wbench's own (``block.rng``), so labels never depend on how Sionna spends its random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wbench.channel.tr38901 import los_probability
from wbench.generator import Block
from wbench_generators.sionna_38901.params import SionnaParams

__all__ = ["Drops", "draw_drops"]

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drops:
    """The links of a block: one base station and one UE each.

    Attributes
    ----------
    bs, ue : ndarray, float32 [B, 3]
        Positions in m.
    velocity : ndarray, float32 [B, 3]
        UE velocity in m/s.
    los : ndarray, bool [B]
        LoS state.
    """

    bs: F32
    ue: F32
    velocity: F32
    los: npt.NDArray[np.bool_]

    @property
    def link(self) -> F64:
        """Vector from base station to UE in m: float64 [B, 3]."""
        return self.ue.astype(np.float64) - self.bs

    @property
    def distance_3d(self) -> F64:
        """Distance of the two ends in m: float64 [B]."""
        return np.asarray(np.linalg.norm(self.link, axis=-1))


def draw_drops(params: SionnaParams, block: Block) -> Drops:
    """Draw one drop per sample of a block.

    Distances are uniform (not the positions: near users are as frequent as far ones), azimuths uniform in the
    sector, directions of movement uniform.

    Parameters
    ----------
    params : SionnaParams
        The dataset's parameters.
    block : Block
        The block; purposes ``"topology"``, ``"speed"`` and ``"los"`` are drawn from.
    """
    n = len(block)
    place = block.rng("topology")
    distance = place.uniform(*params.distance_m, n)
    azimuth = np.radians(params.bs.bearing_deg + place.uniform(-params.sector_deg, params.sector_deg, n))
    bs = np.tile(np.array([0.0, 0.0, params.bs_height], np.float32), (n, 1))
    ue = np.stack([distance * np.cos(azimuth), distance * np.sin(azimuth), np.full(n, params.ue_height_m)], -1)

    move = block.rng("speed")
    speed, heading = move.uniform(*params.speed_kmh, n), move.uniform(-np.pi, np.pi, n)
    if params.speed_strata_kmh:
        stratum = np.array(params.speed_strata_kmh)[move.integers(len(params.speed_strata_kmh), size=n)]
        speed = np.where(move.random(n) < params.strata_share, stratum, speed)
    speed /= 3.6
    velocity = np.stack([speed * np.cos(heading), speed * np.sin(heading), np.zeros(n)], -1)

    if params.los == "model":
        share: F64 | float = los_probability(params.scenario, distance, params.ue_height_m)
    else:
        share = {"los": 1.0, "nlos": 0.0}[params.los] if isinstance(params.los, str) else params.los
    los = block.rng("los").random(n) < share
    return Drops(bs, ue.astype(np.float32), velocity.astype(np.float32), los)
