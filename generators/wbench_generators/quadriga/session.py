"""Simulates blocks: users by wbench, parameters and rays by QuaDRiGa, channels where their powers are normalised."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.channel import statistics
from wbench.channel.rays import Rays
from wbench.generator import Arrays, Block, Session
from wbench_generators.common import grids
from wbench_generators.quadriga.adapter import DrawnRays, merge, to_rays
from wbench_generators.quadriga.bridge import Octave
from wbench_generators.quadriga.installed import require_copy
from wbench_generators.quadriga.params import CONFIGURATIONS, QuadrigaParams
from wbench_generators.quadriga.power import normalised_channels
from wbench_generators.sionna_38901.topology import Drops, draw_drops

__all__ = ["QuadrigaSession"]


class QuadrigaSession(Session):
    """QuaDRiGa in an Octave process of its own, which starts with the first block.

    Parameters
    ----------
    params : QuadrigaParams
        The dataset's parameters.

    Notes
    -----
    Users, speeds and LoS states are wbench's own draws and the same as those of ``sionna-38901`` with the same seed
    and block. QuaDRiGa draws the rest for all links of a block and state at once, from seeds of the block: a link's
    numbers depend on the block's other links, so the block is the unit of bits.
    """

    def __init__(self, params: QuadrigaParams) -> None:
        self._params = params
        self.octave = Octave(require_copy(params.copy_digest))

    def close(self) -> None:
        """End Octave."""
        self.octave.close()

    def simulate(self, block: Block) -> tuple[Rays | None, Arrays]:
        """Rays or channels, and labels, of a block; see :class:`wbench.generator.Session`."""
        p = self._params
        drops = draw_drops(p, block)
        drawn = self.draw(block, drops)
        rays = to_rays(drawn, drops, p.carrier_hz)
        arrays = _labels(block, drops, drawn)
        if p.power_norm == "none":
            return rays, arrays
        rays.check()
        arrays["delay_spread_s"] = statistics.delay_spread(rays).astype(np.float32)
        arrays["doppler_spread_hz"] = statistics.doppler_spread(rays).astype(np.float32)
        plan = p.bs.array(), p.ue.array(), grids(p.bands), p.time_steps, p.time_step_s
        return None, arrays | normalised_channels(rays, *plan, window=p.window)

    def draw(self, block: Block, drops: Drops) -> DrawnRays:
        """Large-scale parameters and rays of a block's links from QuaDRiGa."""
        parts = []
        for state, configuration in zip((True, False), CONFIGURATIONS[self._params.scenario], strict=True):
            rows = np.flatnonzero(drops.los == state)
            if len(rows):
                request = self.request(block, drops, rows, configuration)
                parts.append((rows, DrawnRays.from_answer(self.octave.call("wbench_qd_draw", request))))
        return merge(parts, len(block))

    def request(
        self, block: Block, drops: Drops, rows: npt.NDArray[np.int64], configuration: str
    ) -> dict[str, str | float | npt.NDArray[np.float64]]:
        """What ``wbench_qd_builder`` is asked for: links of one state."""
        return {
            "scenario": configuration,
            "carrier": self._params.carrier_hz,
            "bs": drops.bs[:1].T.astype(np.float64),
            "ue": np.ascontiguousarray(drops.ue[rows].T.astype(np.float64)),
            "seeds": block.seed(configuration).generate_state(2).astype(np.float64)[None],
        }


def _labels(block: Block, drops: Drops, drawn: DrawnRays) -> Arrays:
    ids = np.asarray(block.samples, dtype=np.int32)
    return {
        "los": drops.los.astype(np.int8),
        "ue_position": drops.ue,
        "bs_position": drops.bs,
        "ue_velocity": drops.velocity,
        "ue_id": ids,
        "scene": np.zeros(len(block), np.int32),
        "site": ids,
        "path_gain_db": (10.0 * np.log10(drawn.gain.sum(axis=1))).astype(np.float32),
        "k_factor_db": np.where(drops.los, 10.0 * np.log10(drawn.k_factor), np.nan).astype(np.float32),
    }
