"""COST 2100: components become channels as in its own functions; datasets look like the golden ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import ks_2samp

from tests.helpers_cost2100 import (
    BASE,
    GOLDEN,
    OUTDOOR,
    STEPS,
    Playback,
    components_of,
    needs_cost2100,
    own_channel,
    statistics_of,
)  # fmt: skip
from wbench.channel.array import Array
from wbench.channel.synthesis import Grid, synthesize
from wbench.errors import SimulationError
from wbench.generator import Block
from wbench_generators.cost2100 import CostParams
from wbench_generators.cost2100.adapter import to_rays
from wbench_generators.cost2100.installed import require_copy
from wbench_generators.cost2100.session import CostSession

LINKS = Playback().links
GRID = Grid(STEPS + 1, 20e6 / STEPS, -10e6)
#: COST 2100's second element lies at −x: bearing 90°. The middle of three elements has the phase of its first.
LINE = Array(1, 3, orient=(np.pi / 2, 0.0, 0.0))


def nmse_db(found, wanted) -> float:
    return float(10 * np.log10(np.sum(np.abs(found - wanted) ** 2) / np.sum(np.abs(wanted) ** 2)))


def flat(rays):
    """``create_IR_omni_MIMO`` counts azimuths only."""
    level = np.full_like(rays.zod, np.pi / 2)
    return dataclasses.replace(rays, zod=level, zoa=level)


def ours(rows, carrier_hz):
    """The 2 × 2 channel [frequency, Rx, Tx]."""
    rays = flat(to_rays(rows, np.array([len(rows)]), carrier_hz))
    return synthesize(rays, LINE, LINE, GRID)[0, 0, 1:, 1:].transpose(2, 0, 1)


@pytest.mark.parametrize("link", range(5))
def test_channel_is_cost2100s_own_on_recorded_components(link: int) -> None:
    player = Playback()
    assert nmse_db(ours(player.links[link], player.carrier_hz[link]), player.own[link]) < -100


@needs_cost2100
@pytest.mark.parametrize("table", [BASE, OUTDOOR], ids=["indoor", "outdoor"])
def test_channel_is_cost2100s_own_live(table) -> None:
    params = CostParams.model_validate({**table, "users_per_environment": 2})
    for rows in components_of(params, Block(0, range(2), 11), 2):
        assert nmse_db(ours(rows, params.carrier_hz), own_channel(rows, params.carrier_hz)) < -100


def test_ula_is_a_plain_sum_with_elevation() -> None:
    rows, carrier = LINKS[0], 5.3e9
    array, grid = Array(1, 32), Grid(48, 20e6 / 48, -10e6)
    found = synthesize(to_rays(rows, np.array([len(rows)]), carrier), array, Array(1, 1), grid)[0, 0, 0]
    az, el, _, _, tau = rows[:, :5].real.T
    n = np.arange(32) - 15.5
    f = carrier - 10e6 + np.arange(48) * 20e6 / 48
    steering = np.exp(1j * np.pi * n[:, None] * np.sin(az) * np.cos(el))
    wanted = steering @ (rows[:, 5, None] * np.exp(-2j * np.pi * f * tau[:, None]))
    assert nmse_db(found, wanted) < -100


def test_links_of_different_length_share_a_record() -> None:
    rays = to_rays(np.concatenate(LINKS[:2]), np.array([len(LINKS[0]), len(LINKS[1])]), 5.3e9)
    rays.check()
    short = min(len(LINKS[0]), len(LINKS[1]))
    assert rays.rays == max(len(LINKS[0]), len(LINKS[1]))
    one = len(LINKS[1]) == short
    assert not rays.g[:, :, int(one), short:].any()
    assert not rays.tau[int(one), short:].any()
    alone = synthesize(to_rays(LINKS[1], np.array([len(LINKS[1])]), 5.3e9), Array(1, 4), Array(1, 1), GRID)
    together = synthesize(rays, Array(1, 4), Array(1, 1), GRID)
    assert np.array_equal(together[1], alone[0])


def test_components_of_another_shape_are_refused() -> None:
    with pytest.raises(SimulationError, match="another shape"):
        to_rays(LINKS[0], np.array([len(LINKS[0]) + 1]), 5.3e9)


@needs_cost2100
def test_dataset_looks_like_one_of_cost2100_alone() -> None:
    """The golden channels come from its main function; here clusters that nobody sees are left out."""
    params = CostParams.model_validate({**BASE, "users_per_environment": 8})
    session = CostSession(params, require_copy())
    _, arrays = session.simulate(Block(0, range(80), 3))
    found = statistics_of(arrays["csi_delay_angle"])
    with np.load(GOLDEN) as golden:
        for name, values in found.items():
            assert ks_2samp(values, golden[name]).pvalue > 1e-3, name
    assert 0.05 < arrays["energy_cut"].mean() < 0.09  # the sinc tail of taps near delay 0, facts of the golden set
    assert not arrays["los"].any()  # the indoor hall was measured obstructed
