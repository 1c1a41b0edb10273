"""COST 2100: blocks, environments, labels and the same bits, with recorded components in place of Octave."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers_cost2100 import BASE, Playback, needs_cost2100, play, session
from wbench.channel.angular_delay import angular_delay
from wbench.channel.array import Array
from wbench.errors import SimulationError, SpecError
from wbench.generator import Block
from wbench.run.generate import array_specs, generate, simulate_block
from wbench.run.plan import build_spec
from wbench.run.validate import check_block
from wbench_generators.cost2100 import Cost2100, CostParams
from wbench_generators.cost2100.session import request

RECIPE = """
name = "mini"
version = 1
generator = "cost2100"
summary = "a test"
licence = "CC0-1.0"
seed = 5
block = {block}

[sizes]
tiny = {{samples = 8, shard_blocks = 1}}

[params]
network = "IndoorHall_5GHz"
carrier_hz = 5.3e9
subcarriers = 64
square_m = 20.0
users_per_environment = 2
bs = {{rows = 1, cols = 4}}
delay_rows = 8
"""


@pytest.fixture
def playback(monkeypatch: pytest.MonkeyPatch) -> Playback:
    return play(monkeypatch)


def test_block_is_what_the_layout_says(playback: Playback) -> None:
    one = session()
    _, arrays = one.simulate(Block(1, range(8, 16), 1))
    check_block(array_specs(Cost2100().layout(one._params)), arrays, Block(1, range(8, 16), 1))
    assert playback.calls == 1  # two environments, one process
    assert arrays["site"].tolist() == [2] * 4 + [3] * 4
    assert arrays["ue_id"].tolist() == list(range(8, 16))
    assert (np.abs(arrays["ue_position"][:, :2]) <= 10).all()
    assert len(np.unique(arrays["ue_position"], axis=0)) == 8


def test_bits_do_not_depend_on_the_cut_into_blocks(playback: Playback) -> None:
    one = session()
    _, whole = one.simulate(Block(0, range(10), 1))
    parts = [one.simulate(Block(i, part, 1))[1] for i, part in enumerate([range(3), range(3, 9), range(9, 10)])]
    for name, values in whole.items():
        joined = np.concatenate([part[name] for part in parts])
        assert np.array_equal(values, joined, equal_nan=values.dtype.kind == "f"), name
    _, other = one.simulate(Block(0, range(10), 2))
    assert not np.any(other["csi_delay_angle"] == whole["csi_delay_angle"])


@pytest.mark.parametrize("users", [1, 3])
def test_whole_channel_and_truncated_image_agree(playback: Playback, users: int) -> None:
    block = Block(0, range(5), 1)
    _, image = session(users_per_environment=users).simulate(block)
    whole = session(users_per_environment=users, delay_rows=0)
    arrays = simulate_block(Cost2100().layout(whole._params), whole, block)
    cfr, array = arrays["channel"][:, 0, 0], Array(1, 32)
    wanted = angular_delay(cfr, array)
    np.testing.assert_allclose(image["csi_delay_angle"], wanted[:, :32], atol=2e-6 * np.abs(wanted).max())
    energy = np.sum(np.abs(wanted.astype(np.complex128)) ** 2, axis=2)
    np.testing.assert_allclose(image["energy_cut"], energy[:, 32:].sum(axis=1) / energy.sum(axis=1), atol=1e-5)
    np.testing.assert_array_equal(image["path_gain_db"], arrays["path_gain_db"])


def test_labels_follow_from_the_components(playback: Playback) -> None:
    _, arrays = session().simulate(Block(0, range(4), 1))
    asked = request(session()._params, Block(0, range(4), 1), range(1))
    found = playback("wb_run", asked, None)
    rows = np.split(found["rays"], np.cumsum(found["count"][:, 0]).astype(int)[:-1])
    for i, link in enumerate(rows):
        power, tau = np.abs(link[:, 5]) ** 2, link[:, 4].real
        mean = np.sum(power * tau) / power.sum()
        spread = np.sqrt(np.sum(power * (tau - mean) ** 2) / power.sum())
        assert arrays["path_gain_db"][i] == pytest.approx(10 * np.log10(power.sum()), abs=1e-4)
        assert arrays["delay_spread_s"][i] == pytest.approx(spread, rel=1e-4)
        assert arrays["k_factor_db"][i] == pytest.approx(10 * np.log10(power[0] / power[1:].sum()), abs=1e-3)
    assert (arrays["los"] == 1).all()  # the playback says so


def test_seeds_are_keyed_by_environment_only() -> None:
    params = session()._params
    both = request(params, Block(0, range(8), 1), range(2))
    second = request(params, Block(9, range(4, 8), 1), range(1, 2))
    assert np.array_equal(both["seeds"][..., 1:], second["seeds"])
    assert np.array_equal(both["users"][..., 1:], second["users"])
    assert len(np.unique(both["seeds"])) == both["seeds"].size
    assert both["seeds"].max() < 2**32
    assert both["seeds"].min() >= 0
    half = params.square_m / 2
    assert np.abs(both["users"]).max() <= half


def test_incomplete_answer_is_an_error(playback: Playback, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_count(*arguments):
        return {name: value for name, value in playback(*arguments).items() if name != "count"}

    monkeypatch.setattr("wbench_generators.cost2100.session.call_octave", without_count)
    with pytest.raises(SimulationError, match="incomplete"):
        session().simulate(Block(0, range(4), 1))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"scenario": "NLOS"}, "LOS"),
        ({"bs": {"polarisation": "cross"}}, "polarisation"),
        ({"delay_rows": 65}, "delay_rows"),
        ({"network": "Mars"}, "network"),
        ({"bandwidth_hz": 20e9}, "bandwidth"),
        ({"users_per_environment": 0}, "users_per_environment"),
        ({"copy_digest": "sha256:1"}, "copy_digest"),
    ],
)
def test_parameters_that_cannot_be(change, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        CostParams.model_validate({**BASE, "subcarriers": 64, **change})


@pytest.mark.parametrize(("name", "carrier_hz", "square_m"), [("csinet-in", 5.3e9, 20), ("csinet-out", 300e6, 400)])
def test_recipes_are_the_protocols(name: str, carrier_hz: float, square_m: float) -> None:
    for size, samples in (("tiny", 300), ("standard", 20_000), ("large", 150_000)):
        spec, generator, params, _ = build_spec(name, size)
        assert spec.samples == samples
        assert spec.block % params.users_per_environment == 0  # no environment is simulated twice
    assert (params.carrier_hz, params.square_m, params.bandwidth_hz, params.subcarriers) == (
        carrier_hz, square_m, 20e6, 1024,
    )  # fmt: skip
    shapes = {array.name: array.shape for array in generator.layout(params).arrays}
    assert shapes["csi_delay_angle"] == (32, 32)
    assert params.band_hz == (carrier_hz - 10e6, carrier_hz + 10e6)
    assert params.grid.frequencies()[0] == -10e6


def test_recipe_with_a_wrong_value_is_refused(tmp_path) -> None:
    path = tmp_path / "mini.toml"
    path.write_text(RECIPE.format(block=4).replace("delay_rows = 8", "delay_rows = 80"))
    with pytest.raises(SpecError, match="delay_rows"):
        build_spec(path, "tiny")


@needs_cost2100
def test_same_bits_for_any_number_of_workers_and_block_size(tmp_path) -> None:
    """Live: two processes, blocks that cut environments, and a second run."""
    contents = []
    for block, workers in ((2, 1), (2, 2), (3, 1)):
        path = tmp_path / "mini.toml"
        path.write_text(RECIPE.format(block=block).replace("samples = 8", "samples = 4"))
        made = generate(path, size="tiny", out=tmp_path / f"{block}-{workers}.zarr", workers=workers)
        assert not made.failures
        dataset = made.open()
        ids = np.arange(4)
        contents.append({name: dataset.read(name, ids) for name in ("csi_delay_angle", "ue_position", "redraws")})
        assert dataset.attributes["simulator"]["cost2100"].startswith("version 3.1")
    for other in contents[1:]:
        for name, values in contents[0].items():
            assert np.array_equal(values, other[name]), name


@needs_cost2100
def test_blind_positions_are_redrawn_and_recorded() -> None:
    """Few regions in a wide hall: some first positions see no cluster, and the position stored is the one used."""
    from wbench_generators.cost2100.installed import require_copy
    from wbench_generators.cost2100.session import CostSession

    params = CostParams.model_validate({**BASE, "square_m": 58.0, "users_per_environment": 40, "subcarriers": 64})
    block = Block(0, range(40), 5)
    _, arrays = CostSession(params, require_copy()).simulate(block)
    asked = request(params, block, range(1))
    assert arrays["redraws"].max() >= 1
    wanted = asked["users"][np.arange(40), :, arrays["redraws"], 0]
    assert np.array_equal(arrays["ue_position"][:, :2], wanted.astype(np.float32))
    assert (arrays["clusters"] >= 1).all()
