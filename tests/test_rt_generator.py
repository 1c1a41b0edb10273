"""The generator ``sionna-rt``: determinism, overflow of the path buffer, labels, several carriers and base stations."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tests.helpers_data import environment
from tests.helpers_rt import CHANNEL, block, need_sionna_rt, rt_params, worst_nmse_db
from wbench.channel.rays import Rays
from wbench.channel.synthesis import Grid, synthesize
from wbench.generator import Arrays
from wbench.run.executors import one_thread
from wbench.run.generate import simulate_block
from wbench.testing import GeneratorSuite
from wbench_generators.sionna_rt import RtParams, SionnaRt

HIGH = {"carrier_hz": 28e9, "bs": {"cols": 16}, "subcarriers": 16, "spacing_hz": 480e3}
TWO_CARRIERS = {"channel": CHANNEL, "channel_28ghz": HIGH}


def simulate(p: RtParams, *blocks: Any) -> list[Arrays]:
    generator = SionnaRt()
    with generator.open(p) as session, one_thread():
        return [simulate_block(generator.layout(p), session, part) for part in blocks]


def digest(arrays: Arrays) -> str:
    return hashlib.sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays))).hexdigest()


class TestSuite(GeneratorSuite):
    generator = SionnaRt
    params = rt_params(bands=TWO_CARRIERS, solver={"samples": 1500}).model_dump()
    block = 6

    @pytest.fixture(autouse=True)
    def _possible(self) -> None:
        need_sionna_rt()


def test_another_process_and_another_order_make_the_same_bits() -> None:
    need_sionna_rt()
    p = rt_params()
    code = (
        "import sys; from wbench_generators.sionna_rt import SionnaRt, RtParams;"
        "from tests.test_rt_generator import block, digest, simulate;"
        "print(digest(simulate(RtParams.model_validate_json(sys.argv[1]), block(1))[0]))"
    )
    command = [sys.executable, "-c", code, p.model_dump_json()]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert digest(simulate(p, block(0), block(2), block(1))[2]) == done.stdout.strip()


def test_overflow_halves_the_users_by_a_fixed_rule() -> None:
    need_sionna_rt()
    plenty, few = rt_params(), rt_params(solver={"max_paths": 700})
    whole, halved = simulate(plenty, block(0))[0], simulate(few, block(0))[0]
    assert (whole["solved_together"] == 8).all()
    assert (halved["solved_together"] < 8).all()
    assert digest(halved) == digest(simulate(few, block(0))[0])
    # The groups are consecutive, and each is a solve of its own that a buffer of this size can hold.
    sizes = halved["solved_together"]
    start = 0
    while start < len(sizes):
        assert (sizes[start : start + sizes[start]] == sizes[start]).all()
        start += int(sizes[start])
    assert start == len(sizes)
    np.testing.assert_array_equal(whole["los"] == 1, halved["los"] == 1)
    np.testing.assert_array_equal(whole["ue_position"], halved["ue_position"])
    both = (whole["los"] >= 0) & (halved["los"] >= 0)
    assert np.abs(whole["path_gain_db"] - halved["path_gain_db"])[both].max() < 3.0  # not cut off


def test_overflow_of_a_single_user_says_what_to_change() -> None:
    need_sionna_rt()
    with pytest.raises(Exception, match="too small for a single user") as caught:
        simulate(rt_params(solver={"max_paths": 16}), block(0))
    assert "max_paths" in str(caught.value)


def test_labels_follow_geometry() -> None:
    need_sionna_rt()
    p = rt_params(delays="absolute", solver={"max_depth": 1, "scattering": 0.0, "diffraction": False})
    many = simulate(p, *(block(i) for i in range(4)))
    a = {name: np.concatenate([part[name] for part in many]) for name in many[0]}
    los, there = a["los"] == 1, a["los"] >= 0
    assert los.sum() > 4
    assert (~there).sum() > 1
    distance = np.linalg.norm(a["ue_position"].astype(np.float64) - a["bs_position"], axis=1)
    np.testing.assert_allclose(a["first_delay_s"][los] * 299_792_458.0, distance[los], rtol=1e-5)
    assert (a["first_delay_s"][there & ~los] * 299_792_458.0 > distance[there & ~los]).all()
    assert np.isneginf(a["path_gain_db"][~there]).all()
    for name in ("first_delay_s", "delay_spread_s", "k_factor_db"):
        assert np.isnan(a[name][~there]).all()
    assert (np.abs(a["channel"][~there]) == 0).all()
    np.testing.assert_array_equal(np.isfinite(a["k_factor_db"]) | np.isposinf(a["k_factor_db"]), los)
    # Free space is a bound from below where there is a line of sight: other paths only add power.
    free = 20 * np.log10(299_792_458.0 / (4 * np.pi * distance * 3.5e9))
    assert (a["path_gain_db"][los] > free[los] - 0.01).all()
    assert (a["path_gain_db"][los] < free[los] + 6.1).all()
    single = los & np.isposinf(a["k_factor_db"])
    np.testing.assert_allclose(a["path_gain_db"][single], free[single], atol=0.01)
    # site: one number per square of 40 m.
    square = np.floor(a["ue_position"][:, :2] / 40).astype(int)
    for one, other in ((0, 1), (2, 9), (5, 20)):
        assert (a["site"][one] == a["site"][other]) == bool((square[one] == square[other]).all())


def test_two_carriers_see_the_same_users_and_free_space_is_exact() -> None:
    need_sionna_rt()
    p = rt_params(bands=TWO_CARRIERS, solver={"max_depth": 0})
    a = simulate(p, block(0, 24))[0]
    los = a["los"] == 1
    assert los.sum() > 4
    gap = a["path_gain_db"][los] - a["path_gain_db_28ghz"][los]
    np.testing.assert_allclose(gap, 20 * np.log10(8), atol=1e-3)
    assert a["channel_28ghz"].shape == (24, 1, 1, 16, 16)


def test_numerology_of_every_band_is_in_the_attributes() -> None:
    p = rt_params(bands=TWO_CARRIERS)
    layout = SionnaRt().layout(p)
    radio = layout.attributes["radio"]
    json.dumps(layout.attributes)
    assert layout.synthesis is None
    assert radio["bands"]["channel_28ghz"]["carrier_hz"] == 28e9
    assert radio["bands"]["channel_28ghz"]["tx"]["cols"] == 16
    assert radio["tx"] == radio["bands"]["channel"]["tx"]
    assert (radio["tx"]["rows"], radio["tx"]["cols"]) == (2, 4)
    assert SionnaRt().layout(rt_params()).synthesis is not None  # one carrier, one pair of arrays: the engine's


def test_one_band_is_the_same_through_engine_and_session() -> None:
    need_sionna_rt()
    alone, beside = simulate(rt_params(), block(0))[0], simulate(rt_params(bands=TWO_CARRIERS), block(0))[0]
    assert worst_nmse_db(beside["channel"], alone["channel"]) <= -110.0
    for name in ("delay_spread_s", "doppler_spread_hz", "path_gain_db", "los", "tx_orientation"):
        np.testing.assert_allclose(alone[name], beside[name], rtol=1e-6)


def test_every_base_station_sees_every_user() -> None:
    need_sionna_rt()
    scene = {"name": "simple_street_canyon", "base_stations": 3}
    a = simulate(rt_params(scenes=[scene], users={"seen_by": "all"}), block(2, 12))[0]
    np.testing.assert_array_equal(a["ue_id"], np.repeat(np.arange(8, 12), 3))
    np.testing.assert_array_equal(a["bs_id"], np.tile(np.arange(3), 4))
    for name in ("ue_position", "site", "ue_velocity"):
        np.testing.assert_array_equal(a[name][::3], a[name][2::3])
    assert len(np.unique(a["bs_position"], axis=0)) == 3
    # Samples are in the order of users and base stations: a path is at least as long as the way between the two.
    there = a["los"] >= 0
    distance = np.linalg.norm(a["ue_position"].astype(np.float64) - a["bs_position"], axis=1)
    assert (a["first_delay_s"][there] * 299_792_458.0 > distance[there] * (1 - 1e-5)).all()
    np.testing.assert_allclose((a["first_delay_s"] * 299_792_458.0 / distance)[a["los"] == 1], 1, rtol=1e-5)


def test_delay_reference_is_a_phase_ramp() -> None:
    need_sionna_rt()
    relative, absolute = simulate(rt_params(), block(0))[0], simulate(rt_params(delays="absolute"), block(0))[0]
    f = Grid.centred(16, 480e3).frequencies()
    ramp = np.exp(-2j * np.pi * f * np.nan_to_num(relative["first_delay_s"])[:, None])
    assert worst_nmse_db(absolute["channel"], relative["channel"] * ramp[:, None, None, None]) <= -100.0


def test_stored_rays_make_the_channel() -> None:
    need_sionna_rt()
    solver = {"scattering": 0.0, "max_depth": 2}
    p = rt_params(store_rays=60, delays="absolute", bearing="array", solver=solver)
    a = simulate(p, block(0))[0]
    assert a["paths"].max() <= 60
    rays = Rays.from_arrays({**a, "ray_seg": np.ones((8, 60), np.int32)}, 3.5e9)
    h = synthesize(rays, p.main.bs.array(), p.main.ue.array(), Grid.centred(16, 480e3))
    assert worst_nmse_db(h, a["channel"]) <= -110.0
    direct = (a["ray_interactions"] == 0).all(axis=1) & (np.abs(a["ray_g"]).sum(axis=(1, 2)) > 0)
    np.testing.assert_array_equal(direct.any(axis=1), a["los"] == 1)
    strongest = simulate(rt_params(store_rays=2, solver=solver), block(0))[0]
    power, kept = (np.sort((np.abs(x["ray_g"]) ** 2).sum(axis=(1, 2)))[:, -2:] for x in (a, strongest))
    np.testing.assert_allclose(kept, power, rtol=1e-5)


def test_paths_of_a_moving_user_shift_by_its_speed() -> None:
    need_sionna_rt()
    users = {"distance_m": (10.0, 60.0), "speed_kmh": (36.0, 36.0)}
    a = simulate(rt_params(users=users, store_rays=1, solver={"max_depth": 0}), block(0, 24))[0]
    los = a["los"] == 1
    to_bs = a["bs_position"].astype(np.float64) - a["ue_position"]
    to_bs /= np.linalg.norm(to_bs, axis=1, keepdims=True)
    expected = (to_bs * a["ue_velocity"]).sum(axis=1) * 3.5e9 / 299_792_458.0
    np.testing.assert_allclose(a["ray_nu"][los, 0], expected[los], atol=0.05)
