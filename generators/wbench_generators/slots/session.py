"""Simulates whole runs: Sionna's rays, the receiver chain, the features of every slot."""

from __future__ import annotations

from typing import Any

import numpy as np

from wbench.errors import SpecError
from wbench.generator import Arrays, Block, Session
from wbench_generators.common import ArrayParams, BandParams
from wbench_generators.sionna_38901.adapter import RAYS_PER_CLUSTER, to_rays
from wbench_generators.sionna_38901.params import SionnaParams
from wbench_generators.sionna_38901.session import SionnaSession
from wbench_generators.sionna_38901.topology import draw_drops
from wbench_generators.slots.chain import interfered_noise, pilot_channel, receive, tap_gains, within_prefix
from wbench_generators.slots.features import estimated, masks, packed, true_values
from wbench_generators.slots.link import Link, draw_link
from wbench_generators.slots.params import SlotsParams

__all__ = ["SlotsSession"]


class SlotsSession(Session):
    """Runs of slots, each one link of TR 38.901 on Sionna's public stages.

    Parameters
    ----------
    params : SlotsParams
        The dataset's parameters.

    Notes
    -----
    A run depends on its number and the root seed only, so the bits are the same whatever the blocks are.
    """

    def __init__(self, params: SlotsParams) -> None:
        self._params = params
        self._sionna: dict[tuple[str, float], SionnaSession] = {}

    def close(self) -> None:
        """Close the simulator; it was opened for each scenario and carrier when first needed."""
        while self._sionna:
            self._sionna.popitem()[1].close()  # the last one first: each gives torch the threads back that it found

    def simulate(self, block: Block) -> tuple[None, Arrays]:
        """Features and labels of the slots of a block; see :class:`wbench.generator.Session`."""
        slots = self._params.slots
        first, last = block.samples.start, block.samples.stop
        if first % slots or last % slots:
            why = f"samples {first} to {last - 1}, runs of {slots} slots"
            raise SpecError("A block must be whole runs.", where=f"block {block.index}", why=why)
        runs = [self._run(block, run) for run in range(first // slots, last // slots)]
        return None, {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}

    def _run(self, block: Block, run: int) -> Arrays:
        p = self._params
        link = draw_link(p, block, run)
        rays, labels = self._rays(link, Block(run, range(run, run + 1), block.root))
        rays = within_prefix(rays, link.prefix_s)
        # Slots before the first, so that its Doppler width has a history as long as that of the others.
        before = link.window(p.doppler_window_s) - 1
        gains = tap_gains(rays, link, p.slots + before, before)
        channel = pilot_channel(gains, rays.tau[0], link)
        scale = np.float32(1.0 / np.sqrt(np.mean(np.abs(channel).astype(np.float64) ** 2)))
        channel *= scale
        noise = block.rng("noise", run)
        covariance = interfered_noise(link, noise)
        found = estimated(receive(channel, covariance, noise), link, p.slots)
        truth = true_values(channel, gains, rays, covariance, link, p.slots)
        arrays = {**packed(found, link, ""), **packed(truth, link, "_true"), **masks(link, p.slots)}
        return {
            **arrays,
            **{name: np.repeat(value, p.slots, axis=0) for name, value in labels.items()},
            **_of_slots(run, p.slots),
        }

    def _rays(self, link: Link, run: Block) -> tuple[Any, Arrays]:
        session, params = self._session(link)
        drops = draw_drops(params.model_copy(update={"speed_kmh": (link.speed_kmh, link.speed_kmh)}), run)
        stage = session.stage(run, drops)
        shape = (4, 1, stage.powers.shape[1] * RAYS_PER_CLUSTER)
        phases = run.rng("phases").random(shape, dtype=np.float32) * np.float32(2 * np.pi)
        rays = to_rays(stage, drops, link.carrier_hz, phases)
        rays.check()
        return rays, {
            "los": drops.los.astype(np.int8),
            "ue_position": drops.ue,
            "bs_position": drops.bs,
            "ue_velocity": drops.velocity,
            "path_gain_db": stage.path_gain_db.astype(np.float32),
            "scenario": np.array([self._params.scenarios.index(link.scenario)], np.int8),
            "carrier_hz": np.array([link.carrier_hz], np.float32),
            "subcarrier_spacing_hz": np.array([link.spacing_hz], np.float32),
            "snr_db": np.array([link.snr_db], np.float32),
            "interference_db": np.array([link.interference_db], np.float32),
            "speed_kmh": np.array([link.speed_kmh], np.float32),
            "group_size": np.array([link.group_size], np.int16),
            "pilot_set": np.array([link.pilot_set], np.int8),
        }

    def _session(self, link: Link) -> tuple[SionnaSession, SionnaParams]:
        params = SionnaParams(
            scenario=link.scenario,  # type: ignore[arg-type]
            carrier_hz=link.carrier_hz,
            bs=ArrayParams(),
            bands={"channel": BandParams(subcarriers=1, spacing_hz=link.spacing_hz)},
            distance_m=self._params.distance_m[link.scenario],  # type: ignore[index]
        )
        key = link.scenario, link.carrier_hz
        if key not in self._sionna:
            self._sionna[key] = SionnaSession(params)
        return self._sionna[key], params


def _of_slots(run: int, slots: int) -> Arrays:
    whole = np.full(slots, run, np.int32)
    return {
        "site": whole,
        "ue_id": whole.copy(),
        "scene": np.zeros(slots, np.int32),
        "slot": np.arange(slots, dtype=np.int32),
    }
