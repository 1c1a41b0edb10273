"""The session of ``sionna-38901``: bits, labels, threads, and what is missing."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

pytest.importorskip("sionna.phy")

from wbench.errors import MissingDependencyError
from wbench.generator import Block
from wbench_generators.sionna_38901 import Sionna38901

SIZE = 24


def params(**changes):
    table = {
        "scenario": "umi",
        "carrier_hz": 3.5e9,
        "distance_m": (20.0, 150.0),
        "bs": {"rows": 2, "cols": 4},
        "bands": {"channel": {"subcarriers": 8, "spacing_hz": 30e3}},
        "speed_kmh": (3.0, 60.0),
        "time_steps": 2,
        "time_step_s": 1e-3,
        **changes,
    }
    return Sionna38901.Params(**table)


def block(index: int, size: int = SIZE) -> Block:
    return Block(index, range(index * SIZE, index * SIZE + size), root=77)


def digest(result) -> str:
    rays, arrays = result
    state = hashlib.sha256()
    for value in (rays.tau, rays.aod, rays.zod, rays.aoa, rays.zoa, rays.g, rays.nu, *arrays.values()):
        state.update(np.ascontiguousarray(value).tobytes())
    return state.hexdigest()


def test_bits_of_a_block_alone_in_any_order_and_beside_a_shorter_one() -> None:
    with Sionna38901().open(params()) as session:
        alone = digest(session.simulate(block(1)))
        again = digest(session.simulate(block(1)))
    with Sionna38901().open(params()) as session:
        others = [digest(session.simulate(b)) for b in (block(5, size=7), block(2), block(0))]
        later = digest(session.simulate(block(1)))
    assert alone == again == later
    assert alone not in others


@pytest.mark.parametrize("scenario", ["uma", "rma", "inh-open"])
def test_bits_do_not_depend_on_other_draws_in_the_process(scenario: str) -> None:
    import torch

    p = params(scenario=scenario)
    with Sionna38901().open(p) as session:
        first = digest(session.simulate(block(0)))
        torch.manual_seed(1)
        torch.rand(5)
        np.random.default_rng(0).random()
        session.simulate(block(3))
        assert digest(session.simulate(block(0))) == first


def test_bits_in_another_process_with_other_thread_settings() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import torch; torch.set_num_threads(2)\n"
        "import test_sionna_session as t\n"
        "with t.Sionna38901().open(t.params(scenario='uma')) as s: print(t.digest(s.simulate(t.block(4))))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(Path(__file__).parent)]
    other = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.strip()
    with Sionna38901().open(params(scenario="uma")) as session:
        assert digest(session.simulate(block(4))) == other


def test_arrays_are_the_layouts_and_rays_can_be_stored() -> None:
    p = params(store_rays=True)
    with Sionna38901().open(p) as session:
        rays, arrays = session.simulate(block(2))
    rays.check()
    layout = Sionna38901().layout(p)
    assert {spec.name for spec in layout.arrays} == set(arrays)
    for spec in layout.arrays:
        assert arrays[spec.name].shape == (SIZE, *spec.shape), spec.name
        assert arrays[spec.name].dtype == np.dtype(spec.dtype), spec.name
    np.testing.assert_array_equal(arrays["ue_id"], np.arange(2 * SIZE, 3 * SIZE))
    np.testing.assert_array_equal(arrays["site"], arrays["ue_id"])


@pytest.mark.parametrize("scenario", ["umi", "uma", "rma", "inh-mixed"])
def test_labels_follow_from_the_rays(scenario: str) -> None:
    p = params(scenario=scenario, los=0.5, distance_m=(20.0, 90.0), carrier_hz=6e9)
    with Sionna38901().open(p) as session:
        rays, arrays = session.simulate(block(0, size=200))
    los = arrays["los"] == 1
    assert 60 < los.sum() < 140
    # Ray power is the path gain: cluster powers add up to 1 but for the clusters dropped at -25 dB.
    power = abs(rays.g[0, 0].astype(complex)) ** 2
    residual = 10 * np.log10(power.sum(1)) - arrays["path_gain_db"]
    assert residual.max() < 1e-3
    assert residual.min() > -0.3
    ratio = 10 * np.log10(power[los, 0] / power[los, 1:].sum(1)) - arrays["k_factor_db"][los]
    assert ratio.min() > -1e-3
    assert ratio.max() < 0.3
    assert not power[~los, 0].any()
    assert np.isnan(arrays["k_factor_db"][~los]).all()
    # Delays start at 0, none is Sionna's mark of an empty cluster; the direct ray closes in with the UE.
    assert rays.tau.min() == 0
    assert rays.tau.max() < 1e-3
    link = arrays["ue_position"].astype(float) - arrays["bs_position"]
    closing = -(link * arrays["ue_velocity"]).sum(1) / np.linalg.norm(link, axis=1)
    np.testing.assert_allclose(rays.nu[:, 0], closing * p.carrier_hz / 299792458.0, atol=0.02)


def test_geometry_is_sionnas() -> None:
    with Sionna38901().open(params(bs={"cols": 4, "bearing_deg": 120.0})) as session:
        rays, arrays = session.simulate(block(0))
        scenario = session._scenario
        for name in ("aod", "zod", "aoa", "zoa"):
            theirs = np.radians(getattr(scenario, f"los_{name}")[:, 0, 0].numpy())
            turn = np.angle(np.exp(1j * (getattr(rays, name)[:, 0] - theirs)))
            assert np.abs(turn).max() < 1e-5
        np.testing.assert_array_equal(scenario.los[:, 0, 0].numpy(), arrays["los"] == 1)
        distance = np.linalg.norm(arrays["ue_position"] - arrays["bs_position"], axis=1)
        np.testing.assert_allclose(scenario.distance_3d[:, 0, 0].numpy(), distance, rtol=1e-5)


def test_threads_are_given_back() -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Sionna38901().open(params()):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_without_sionna_the_install_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sionna.phy", None)
    with pytest.raises(MissingDependencyError, match="pip install") as caught, Sionna38901().open(params()):
        pass
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"scenario": "indoor"},
        {"los": "sometimes"},
        {"los": 1.5},
        {"carrier_hz": 200e9},
        {"strata_share": 0.5},
        {"ue_height_m": 12.0},
        {"distance_m": (150.0, 20.0)},
        {"time_step_s": 0.0},
    ],
)
def test_impossible_parameters_are_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        params(**wrong)
