"""DeepMIMO reader: finding scenarios, what a sample is, labels, dynamic scenarios, and errors that say what to do."""

from __future__ import annotations

import builtins
import json

import numpy as np
import pytest
from pydantic import ValidationError

from tests.helpers_deepmimo import DATA, arrays, draw_paths, golden, params, write_scenario
from wbench.errors import DatasetError, DatasetNotFoundError, SpecError
from wbench_generators.deepmimo import DeepMimo
from wbench_generators.deepmimo.params import ScenarioParams
from wbench_generators.deepmimo.scenario import open_scenario

TWO_BANDS = {name: {"subcarriers": 4, "spacing_hz": 1e5} for name in ("channel", "channel_b")}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WBENCH_DEEPMIMO", str(tmp_path))
    return tmp_path


def layout(*args, **changes):
    return DeepMimo().layout(params(*args, **changes))


def test_a_missing_scenario_says_how_to_get_it(folder, monkeypatch) -> None:
    def no_prompt(*_):
        raise AssertionError("asked a question")

    monkeypatch.setattr(builtins, "input", no_prompt)
    write_scenario(folder, "city_18_denver_28")
    with pytest.raises(DatasetNotFoundError) as caught:
        layout("City_18_Denver_3p5")
    error = caught.value
    assert error.exit_code == 3
    assert "city_18_denver_28" in error.why
    assert "pip install 'wbench[deepmimo]'" in error.next_step
    assert "dm.download('city_18_denver_3p5')" in error.next_step
    assert f"dm.config.set('scenarios_folder', '{folder}')" in error.next_step
    assert f"export WBENCH_DEEPMIMO='{folder}'" in error.next_step
    with pytest.raises(DatasetNotFoundError, match="nowhere"):
        layout(str(folder / "nowhere" / "x"))


def test_names_in_any_case_and_paths(folder, monkeypatch) -> None:
    made = write_scenario(folder, "o1_60")
    for name in ("o1_60", "O1_60", str(made), str(folder / "O1_60")):
        assert layout(name).attributes["sources"][0]["scenario"] == "o1_60"
    write_scenario(folder, "MixedCase")  # self-made, never lower-cased
    assert layout("mixedcase").attributes["sources"][0]["scenario"] == "MixedCase"
    monkeypatch.delenv("WBENCH_DEEPMIMO")
    monkeypatch.chdir(folder)
    write_scenario(folder / "deepmimo_scenarios", "here")  # where the package puts its downloads
    assert layout("here").attributes["sources"][0]["scenario"] == "here"


def test_digest_follows_the_numbers_not_the_packing(folder) -> None:
    plain = open_scenario(ScenarioParams(name=str(write_scenario(folder, "a")))).digest()
    assert open_scenario(ScenarioParams(name=str(write_scenario(folder / "mat", "a", ending="mat")))).digest() == plain
    other = write_scenario(folder / "other", "a")
    file = other / "phase_t001_tx000_r000.npz"
    with np.load(file) as archive:
        changed = archive["phase"]
    changed[0, 0] += 1
    np.savez_compressed(file, phase=changed)
    assert open_scenario(ScenarioParams(name=str(other))).digest() != plain
    checked = {"name": str(other), "digest": plain}
    with pytest.raises(SpecError, match="not those that the recipe was made for"):
        layout(checked)
    layout({"name": "a", "digest": plain})
    assert layout("a").attributes["sources"][0]["digest"] == plain


def test_matlab_files_hold_the_same(folder) -> None:
    write_scenario(folder, "npz")
    write_scenario(folder, "mat", ending="mat")
    one, two = (arrays(params(name), 12) for name in ("npz", "mat"))
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])


def test_los_is_any_path_and_users_without_a_path_stay(folder) -> None:
    write_scenario(folder, "made")
    made = arrays(params("made"), 12)
    stored = draw_paths(12, 5, 10)
    there = np.isfinite(stored["power"])
    assert made["los"][1] == -1
    assert not made["channel"][1].any()
    assert np.isneginf(made["path_gain_db"][1])
    assert np.isnan(made["k_factor_db"][1])
    assert made["los"][3] == 1  # its direct path is the last and weakest; DeepMIMO's own flag says 0
    assert (made["los"][[0, 2, *range(4, 12)]] == 0).all()
    power = np.where(there, 10 ** (stored["power"].astype(np.float64) / 10), 0)
    np.testing.assert_allclose(10 ** (made["path_gain_db"] / 10), power.sum(1), rtol=1e-5)
    np.testing.assert_allclose(made["k_factor_db"][3], 10 * np.log10(power[3, 4] / power[3, :4].sum()), rtol=1e-5)
    # Every user of the golden scenario as the converter's interaction codes have it.
    golden_los = arrays(params(str(DATA / "deepmimo_munich")), 600)["los"]
    assert {int(v): int((golden_los == v).sum()) for v in (-1, 0, 1)} == {-1: 302, 0: 80, 1: 218}


def test_a_hole_among_the_paths_moves_nothing(folder) -> None:
    target = write_scenario(folder, "made")
    before = arrays(params("made"), 12)
    suffix = "t001_tx000_r000"
    for file in target.glob(f"*_{suffix}.npz"):
        key = file.name.removesuffix(f"_{suffix}.npz")
        with np.load(file) as archive:
            array = archive[key]
        if array.shape == (12, 5):  # a column of nothing before the others
            array = np.concatenate([np.full((12, 1), np.nan, np.float32), array], 1)
        np.savez(file, **{key: array})
    after = arrays(params("made"), 12)
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name])


def test_sets_points_and_order(folder) -> None:
    write_scenario(folder, "made", users=20, transmitters=((1, 2), (2, 1)), rx_set=4)
    made = arrays(params("made"), 60)
    np.testing.assert_array_equal(made["ue_id"], np.repeat(np.arange(20), 3))
    np.testing.assert_array_equal(made["bs_id"], np.tile([0, 1, 2], 20))
    np.testing.assert_array_equal(np.unique(made["bs_position"], axis=0), [[10, 0, 20], [10, 5, 20], [20, 0, 20]])
    assert (made["ue_position"].reshape(20, 3, 3) == made["ue_position"][::3, None]).all()
    assert (made["site"].reshape(20, 3) == made["site"][::3, None]).all()  # one cluster, whichever base station
    one = arrays(params({"name": "made", "tx_sets": [1], "tx_points": [1]}), 20)
    np.testing.assert_array_equal(one["channel"], made["channel"][1::3])
    only = arrays(params({"name": "made", "tx_sets": [2]}, links="active"), 19)
    assert (only["los"] >= 0).all()
    assert 1 not in only["ue_id"]

    first, again, other = (arrays(params("made", order="shuffled"), 30, root=root) for root in (5, 5, 6))
    np.testing.assert_array_equal(first["channel"], again["channel"])
    assert (first["ue_id"] != other["ue_id"]).any()
    assert len(set(first["ue_id"].tolist())) == 10  # whole users, all base stations of each
    by_user = {(u, b): h for u, b, h in zip(made["ue_id"], made["bs_id"], made["channel"], strict=True)}
    for u, b, h in zip(first["ue_id"], first["bs_id"], first["channel"], strict=True):
        # The record is as wide as its block needs; the padding may move the last bit.
        np.testing.assert_allclose(h, by_user[u, b], atol=1e-6 * abs(h).max())


def test_several_scenarios_are_scenes(folder) -> None:
    write_scenario(folder, "one", users=6)
    write_scenario(folder, "two", users=4, seed=1, paths=3)
    made = arrays(params(["one", {"name": "two"}]), 10)
    np.testing.assert_array_equal(made["scene"], [0] * 6 + [1] * 4)
    np.testing.assert_array_equal(made["ue_id"], np.arange(10))
    assert not set(made["site"][:6]) & set(made["site"][6:])
    alone = arrays(params("two"), 4)
    np.testing.assert_allclose(made["channel"][6:], alone["channel"], atol=1e-6 * abs(alone["channel"]).max())


def test_dynamic_scenarios(folder) -> None:
    names = tuple(f"scene_{i}" for i in (0, 1, 2, 10))  # in text order 10 comes before 2
    write_scenario(folder, "moving", users=5, snapshots=names)
    made = arrays(params("moving", snapshot_s=0.5), 20)
    np.testing.assert_array_equal(made["snapshot"], np.tile([0, 1, 2, 3], 5))
    moved = made["ue_position"].reshape(5, 4, 3) - made["ue_position"].reshape(5, 4, 3)[:, :1]
    np.testing.assert_allclose(moved[0, :, 0], [0, 2, 4, 20], atol=1e-4)  # written as 2 m per scene number
    np.testing.assert_allclose(made["ue_velocity"].reshape(5, 4, 3)[2, :2], [[4, -2, 0]] * 2, atol=1e-3)
    assert (made["site"].reshape(5, 4) == made["site"].reshape(5, 4)[:, :1]).all()  # a track is one cluster
    assert np.nanmax(made["doppler_spread_hz"]) > 1
    assert not arrays(params("moving"), 20)["ue_velocity"].any()  # no time between the scenes: nothing to derive from
    (folder / "moving" / "scene_10").rename(folder / "elsewhere")
    with pytest.raises(DatasetError, match="incomplete"):
        layout("moving")


def test_too_many_samples(folder) -> None:
    write_scenario(folder, "made")
    with pytest.raises(SpecError, match="has 12 links only") as caught:
        arrays(params("made"), 13)
    assert "12 or fewer" in caught.value.next_step


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"scenario": {"name": "made", "tx_sets": [7]}}, SpecError, "no transmitter set 7"),
        ({"scenario": {"name": "made", "rx_sets": [9]}}, SpecError, "no receiver set 9"),
        ({"scenario": {"name": "made", "tx_points": [3]}}, SpecError, "no point 3"),
        ({"carrier_hz": 28e9}, SpecError, "3.5 GHz instead of 28 GHz"),
    ],
)
def test_what_the_scenario_does_not_have(folder, change, error, match) -> None:
    write_scenario(folder, "made")
    with pytest.raises(error, match=match):
        layout(**{"scenario": "made", **change})


def test_damaged_and_foreign_folders(folder) -> None:
    old = folder / "o1_3p5"
    old.mkdir()
    (old / "O1_3p5.params.mat").touch()
    with pytest.raises(SpecError, match="v2 or v3"):
        layout("o1_3p5")
    made = write_scenario(folder, "made")
    (made / "delay_t001_tx000_r000.npz").write_bytes(b"PK not a zip")
    with pytest.raises(DatasetError, match="cannot be read"):
        layout("made")
    (made / "delay_t001_tx000_r000.npz").unlink()
    with pytest.raises(DatasetError, match="delay_t001_tx000_r000"):
        layout("made")
    np.savez(made / "delay_t001_tx000_r000.npz", delay=np.zeros((3, 2)))
    with pytest.raises(DatasetError, match="do not fit together"):
        layout("made")
    (made / "params.json").write_text(json.dumps({"rt_params": {}}))
    with pytest.raises(DatasetError, match="parameters cannot be read"):
        layout("made")


@pytest.mark.parametrize(
    "wrong",
    [
        {"bs": {"polarisation": "cross"}},
        {"ue": {"downtilt_deg": 10.0}},
        {"time_steps": 2},
        {"convention": "deepmimo", "bands": TWO_BANDS},
        {"total_subcarriers": 64},
        {"snapshot_s": 1.0, "speed_kmh": (3.0, 30.0)},
        {"scenario": []},
        {"scenario": {"name": "x", "digest": "abc"}},
    ],
)
def test_impossible_parameters_are_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        params(**wrong)


def test_golden_positions() -> None:
    made = arrays(params(str(DATA / "deepmimo_munich")), 600)
    np.testing.assert_array_equal(made["ue_position"], golden("rx_pos"))
    assert (made["bs_position"] == golden("tx_pos")).all()
    corner = np.floor((made["ue_position"][:, :2] - made["ue_position"][:, :2].min(0)) / 40.0)
    _, cell = np.unique(corner, axis=0, return_inverse=True)
    _, site = np.unique(made["site"], return_inverse=True)
    assert len(np.unique(np.stack([cell.reshape(-1), site]), axis=1).T) == site.max() + 1  # the same partition
