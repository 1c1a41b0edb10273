"""The generator quadriga against QuaDRiGa's own channel: golden data everywhere, a live run where there is a copy."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from tests.helpers_quadriga import REFERENCE, Golden, block, need_quadriga, quadriga_params, worst_nmse_db
from wbench.channel.array import Array
from wbench.channel.synthesis import Grid, synthesize
from wbench_generators.quadriga.adapter import to_rays
from wbench_generators.quadriga.bridge import FUNCTIONS, Octave
from wbench_generators.quadriga.params import CONFIGURATIONS
from wbench_generators.quadriga.power import normalised_channels
from wbench_generators.quadriga.session import QuadrigaSession
from wbench_generators.sionna_38901.topology import draw_drops

CROSS, BOTH = (-math.pi / 4, math.pi / 4), (0.0, math.pi / 2)
LINKS, STEPS, STEP_S, GRID = 3, 4, 1e-3, Grid(16, 180e3)


@pytest.mark.parametrize("name", ["d1", "d4"])
def test_golden_channel_with_its_normalisation(name: str) -> None:
    golden = Golden(name)
    plan = {"channel": golden.grid}, golden.steps, golden.step_s
    ours = normalised_channels(golden.rays(), golden.tx, golden.rx, *plan, window=golden.steps)["channel"]
    assert ours.shape == golden.channel.shape
    assert worst_nmse_db(ours, golden.channel) < -115


@pytest.mark.parametrize("name", ["d1", "d4"])
def test_without_it_the_channel_is_another_one(name: str) -> None:
    """The parity above is not blind to the normalisation: the plain sum of rays is far away."""
    golden = Golden(name)
    plain = synthesize(golden.rays(), golden.tx, golden.rx, golden.grid, golden.steps, golden.step_s)
    assert worst_nmse_db(plain, golden.channel) > -15


@pytest.fixture(scope="module")
def live() -> Iterator[Octave]:
    octave = Octave(need_quadriga(), (FUNCTIONS, REFERENCE))
    yield octave
    octave.close()


def both(octave: Octave, scenario: str, los: bool, tx: Array, rx: Array) -> tuple[np.ndarray, np.ndarray]:
    """Our channel of a block and QuaDRiGa's own."""
    height = {"bs_height_m": 8.0} if scenario.startswith("inf") else {}
    p = quadriga_params(scenario=scenario, los="los" if los else "nlos", distance_m=(20.0, 100.0), **height)
    session = QuadrigaSession(p)
    session.octave = octave
    part = block(size=LINKS)
    drops = draw_drops(p, part)
    rays = to_rays(session.draw(part, drops), drops, p.carrier_hz)
    ours = normalised_channels(rays, tx, rx, {"h": GRID}, STEPS, STEP_S, STEPS)["h"]
    request = session.request(part, drops, np.arange(LINKS), CONFIGURATIONS[scenario][0 if los else 1])
    shapes = {
        name: {
            "rows": float(array.rows),
            "columns": float(array.cols),
            "slants": np.array([array.slants]),
            "directive": float(array.pattern == "38.901"),
        }
        for name, array in (("tx", tx), ("rx", rx))
    }
    asked = request | shapes | {
        "velocity": drops.velocity.T.astype(np.float64), "steps": float(STEPS), "step": STEP_S,
        "carriers": float(GRID.subcarriers), "spacing": GRID.spacing_hz, "turn": np.array([tx.orient[:2]]),
    }  # fmt: skip
    theirs = octave.call("wbench_qd_reference", asked)["H"].reshape(LINKS, STEPS, GRID.subcarriers, rx.ports, tx.ports)
    return ours, np.moveaxis(theirs, 2, 4)


@pytest.mark.parametrize("scenario", ["umi", "uma", "rma", "inh-open", "inf-dh"])
@pytest.mark.parametrize("los", [True, False])
def test_live_channel_of_every_scenario(live: Octave, scenario: str, los: bool) -> None:
    ours, theirs = both(live, scenario, los, Array(2, 4), Array(1, 1))
    assert worst_nmse_db(ours, theirs) < -110


@pytest.mark.parametrize("orient", [(0.0, 0.0, 0.0), (0.3, 0.2, 0.0)])
def test_live_polarisation_and_tilt(live: Octave, orient: tuple[float, float, float]) -> None:
    ours, theirs = both(live, "umi", False, Array(2, 2, slants=CROSS, orient=orient), Array(1, 1, slants=BOTH))
    assert worst_nmse_db(ours, theirs) < -110


def test_live_element_of_tr38901(live: Octave) -> None:
    """QuaDRiGa interpolates patterns between samples one degree apart; ours is the formula."""
    ours, theirs = both(live, "umi", True, Array(2, 2, pattern="38.901", orient=(0.0, 0.1, 0.0)), Array(1, 1))
    assert worst_nmse_db(ours, theirs) < -60
