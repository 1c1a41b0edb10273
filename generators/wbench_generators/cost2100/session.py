"""Simulates blocks: environments of COST 2100, their users, rays, labels and truncated channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.channel import statistics
from wbench.channel.angular_delay import angular_delay
from wbench.channel.array import Array
from wbench.channel.rays import Rays
from wbench.channel.synthesis import synthesize
from wbench.errors import SimulationError
from wbench.generator import Arrays, Block, Session
from wbench_generators.cost2100.adapter import to_rays
from wbench_generators.cost2100.octave_run import call_octave
from wbench_generators.cost2100.params import IMAGE, CostParams

__all__ = ["CANDIDATES", "CostSession", "request"]

#: Positions that are drawn for each user; the first where a cluster is seen is taken. Even in the sparsest environment
#: (one cluster on average in the core of a visibility region) one position in twelve is blind.
CANDIDATES: Final = 16
#: Arrays of a request that Octave answers with one number per user and environment.
PER_USER: Final = ("count", "los", "chosen", "clusters")
#: The core's path gain is the mean over two transmitted polarisations; COST 2100 has one amplitude.
ONE_POLARISATION_DB: Final = float(10 * np.log10(2.0))


class CostSession(Session):
    """COST 2100 in Octave.

    Parameters
    ----------
    params : CostParams
        The dataset's parameters.
    place : Path
        Folder of COST 2100's functions.
    """

    def __init__(self, params: CostParams, place: Path) -> None:
        self._params = params
        self._place = place

    def simulate(self, block: Block) -> tuple[Rays | None, Arrays]:
        """Environments of a block, whole: an environment's bits do not depend on how it is cut into blocks."""
        p, users = self._params, self._params.users_per_environment
        environments = range(block.samples.start // users, (block.samples.stop - 1) // users + 1)
        asked = request(p, block, environments)
        found = call_octave("wb_run", asked, self._place)
        numbers = {name: _per_user(found, name, (users, len(environments))) for name in PER_USER}
        rows = np.split(found["rays"], np.cumsum(numbers["count"].sum(axis=0))[:-1])
        made = [
            self._environment(rows[e], {name: value[:, e] for name, value in numbers.items()}, asked["users"][..., e])
            for e in range(len(environments))
        ]
        first = block.samples.start - environments.start * users
        mine = slice(first, first + len(block))
        arrays = {name: np.concatenate([part[name] for part in made])[mine] for name in made[0]}
        arrays["ue_id"] = np.arange(block.samples.start, block.samples.stop, dtype=np.int32)
        arrays["site"] = (arrays["ue_id"] // users).astype(np.int32)
        if p.delay_rows:
            return None, arrays
        return to_rays(found["rays"], numbers["count"].T.reshape(-1), p.carrier_hz).select(mine), arrays

    def _environment(
        self,
        rows: npt.NDArray[Any],
        numbers: dict[str, npt.NDArray[np.int64]],
        candidates: npt.NDArray[np.float64],
    ) -> Arrays:
        """Labels and, where it is asked for, the truncated channels of one environment's users."""
        p, users = self._params, len(candidates)
        rays = to_rays(rows, numbers["count"], p.carrier_hz)
        rays.check()
        los = numbers["los"] == 1
        position = np.zeros((users, 3), dtype=np.float32)
        position[:, :2] = candidates[np.arange(users), :, numbers["chosen"] - 1]
        arrays: Arrays = {
            "los": los.astype(np.int8),
            "ue_position": position,
            "bs_position": np.zeros((users, 3), dtype=np.float32),
            "path_gain_db": (statistics.path_gain_db(rays) + ONE_POLARISATION_DB).astype(np.float32),
            "delay_spread_s": statistics.delay_spread(rays).astype(np.float32),
            "k_factor_db": statistics.k_factor_db(rays, los).astype(np.float32),
            "redraws": (numbers["chosen"] - 1).astype(np.int32),
            "clusters": numbers["clusters"].astype(np.int32),
        }
        return arrays | _truncated(rays, p.bs.array(), p) if p.delay_rows else arrays


def request(p: CostParams, block: Block, environments: range) -> dict[str, Any]:
    """What Octave is asked: everything random is seeded by the environment alone.

    Returns
    -------
    dict
        ``users`` float64 [users, 2, candidates, environments] in m, ``seeds`` float64 [8, 3, environments] (whole
        numbers below 2^32), and the parameters.
    """
    half, shape = p.square_m / 2, (p.users_per_environment, 2, CANDIDATES)
    # Positions are rounded to float32 first: those that are stored are those that were simulated.
    users = [block.rng("users", e).uniform(-half, half, shape).astype(np.float32) for e in environments]
    seeds = [block.seed("environment", e).generate_state(24).reshape(3, 8).T for e in environments]
    return {
        "network": p.network,
        "scenario": p.scenario,
        "band": np.array([p.band_hz]),
        "bs": np.zeros((1, 3)),
        "users": np.stack(users, axis=-1).astype(np.float64),
        "seeds": np.stack(seeds, axis=-1).astype(np.float64),
    }


def _per_user(found: dict[str, npt.NDArray[Any]], name: str, shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    """An answer of one whole number per user and environment: int64 [users, environments]."""
    if name not in found or found[name].size != shape[0] * shape[1]:
        raise SimulationError("Octave's answer is incomplete.", where=name, why=f"it has {sorted(found)}")
    return np.asarray(found[name].reshape(shape), dtype=np.int64)


def _truncated(rays: Rays, tx: Array, p: CostParams) -> Arrays:
    """The first delay rows of the angular-delay channel, and the share of the energy in the others."""
    cfr = synthesize(rays, tx, Array(1, 1), p.grid)[:, 0, 0]
    image = angular_delay(cfr, tx, p.delay_rows)
    whole, kept = _energy(cfr), _energy(image)
    return {IMAGE: image, "energy_cut": np.maximum(1.0 - kept / whole, 0.0).astype(np.float32)}


def _energy(values: npt.NDArray[np.complex64]) -> npt.NDArray[np.float64]:
    flat = values.reshape(len(values), -1).astype(np.complex128)
    return np.asarray(np.sum(flat.real**2 + flat.imag**2, axis=1))
