"""The generator in the engine: conformance, recipes; and datasets exported as DeepMIMO v4 scenarios."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

import wbench_generators
from tests.helpers_deepmimo import BAND, DATA, arrays, golden, nmse_db, params, write_scenario
from wbench.channel.rays import Rays
from wbench.dataset.reader import Dataset
from wbench.errors import DatasetError, OutputConflictError, UsageError
from wbench.run.generate import generate
from wbench.testing import GeneratorSuite
from wbench_generators.deepmimo import DeepMimo
from wbench_generators.deepmimo.export import export_scenario, interaction_codes

RECIPES = Path(wbench_generators.__file__).parent / "recipes"
TWINS = ("lwm-cities", "lwm-cities-28", "contrawimae-columbus", "contrawimae-columbus-28")

RECIPE = """
name = "{name}"
version = 1
generator = "{generator}"
summary = "a test"
licence = "CC0-1.0"
seed = 3
block = 20

[sizes]
tiny = {{samples = {samples}, shard_blocks = 1}}

[params]
{params}
"""


def make(folder: Path, name: str, generator: str, samples: int, text: str) -> Dataset:
    recipe = folder / f"{name}.toml"
    recipe.write_text(RECIPE.format(name=name, generator=generator, samples=samples, params=text))
    report = generate(recipe, size="tiny", out=folder / f"{name}.zarr")
    assert not report.failures, report.failures
    return report.open()


class TestConformance(GeneratorSuite):
    generator = DeepMimo
    params = {
        "scenario": "deepmimo_munich",
        "carrier_hz": 3.5e9,
        "bs": {"rows": 2, "cols": 4},
        "bands": BAND,
        "speed_kmh": [3.0, 60.0],
        "time_steps": 2,
        "time_step_s": 1e-3,
    }

    @pytest.fixture(autouse=True)
    def _scenarios(self, monkeypatch):
        monkeypatch.setenv("WBENCH_DEEPMIMO", str(DATA))


def test_a_dataset_with_what_was_read_in_its_attributes(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("WBENCH_DEEPMIMO", str(DATA))
    text = 'scenario = "deepmimo_munich"\ncarrier_hz = 3.5e9\nstore_rays = true\nbs = {cols = 4}\n'
    text += "bands.channel = {subcarriers = 8, spacing_hz = 30e3}"
    data = make(tmp_path, "munich", "deepmimo", 100, text)
    (source,) = data.attributes["sources"]
    assert source["digest"].startswith("sha256:")
    assert source["raytracer"] == "Sionna Ray Tracing 2.2.0"
    assert source["carrier_phase"] == "added"
    assert source["users"] == 600
    assert data.attributes["radio"]["tx"]["cols"] == 4
    ids = np.arange(100)
    assert {-1, 0, 1} == set(data.read("los", ids).tolist())
    np.testing.assert_array_equal(data.read("ue_position", ids), golden("rx_pos")[data.read("ue_id", ids)])


@pytest.mark.parametrize("name", TWINS)
def test_twin_recipes_run_when_the_scenarios_are_there(name, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("WBENCH_DEEPMIMO", str(tmp_path))
    table = tomllib.loads((RECIPES / f"{name}.toml").read_text(encoding="utf-8"))
    wanted = DeepMimo.Params.model_validate(table["params"])
    assert table["name"] == name
    assert wanted.carrier_hz == (28e9 if name.endswith("28") else 3.5e9)
    for seed, city in enumerate(wanted.scenario):
        write_scenario(
            tmp_path,
            city.name,
            users=400,
            transmitters=((1, 1), (2, 1), (3, 1)),
            carrier_hz=wanted.carrier_hz,
            seed=seed,
        )
    generator = DeepMimo()
    plan = generator.layout(wanted).synthesis
    grid = plan.bands["channel"]
    assert (plan.tx.ports, plan.rx.ports, grid.subcarriers, grid.spacing_hz) == (32, 1, 32, 30e3)
    made = arrays(wanted, 400, root=table["seed"])
    assert len(np.unique(made["scene"])) == len(wanted.scenario)
    station = {"lwm": {0: 30, 1: 30}, "con": {}}[name[:3]]  # x of the base station: 10 m times its set
    np.testing.assert_array_equal(made["bs_position"][:, 0], [station.get(scene, 10) for scene in made["scene"]])
    assert (made["los"] == -1).any() == (wanted.links == "all")


def test_the_cross_band_twins_hold_the_same_users(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("WBENCH_DEEPMIMO", str(tmp_path))
    users = []
    for name in TWINS[2:]:
        table = tomllib.loads((RECIPES / f"{name}.toml").read_text(encoding="utf-8"))
        wanted = DeepMimo.Params.model_validate(table["params"])
        write_scenario(tmp_path, wanted.scenario[0].name, users=300, carrier_hz=wanted.carrier_hz)
        users.append(arrays(wanted, 200, root=table["seed"])["ue_id"])
    np.testing.assert_array_equal(*users)


@pytest.fixture(scope="module")
def plane_waves(tmp_path_factory) -> Dataset:
    """Rays of a drop model from Sionna's tables need torch; a self-made scenario with two base stations does not."""
    folder = tmp_path_factory.mktemp("waves")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WBENCH_DEEPMIMO", str(folder))
        write_scenario(folder, "made", users=30, transmitters=((1, 1), (2, 1)), raytracer="Sionna Ray Tracing")
        text = 'scenario = "made"\ncarrier_hz = 3.5e9\nstore_rays = true\nmax_paths = 8\nbs = {cols = 4}\n'
        return make(folder, "waves", "deepmimo", 60, text + "bands.channel = {subcarriers = 16, spacing_hz = 240e3}")


def channels(data: Dataset) -> np.ndarray:
    return data.read("channel", np.arange(len(data)))[:, 0, 0]


def test_export_and_read_back(plane_waves, tmp_path, monkeypatch) -> None:
    report = export_scenario(plane_waves, tmp_path, "again")
    assert (report.users, report.transmitters, report.missing_links) == (30, 2, 0)
    monkeypatch.setenv("WBENCH_DEEPMIMO", str(tmp_path))
    band = {"channel": {"subcarriers": 16, "spacing_hz": 240e3}}
    back = arrays(params("again", bs={"cols": 4}, bands=band), 60)
    place = {
        (int(u), tuple(b)): i
        for i, (u, b) in enumerate(
            zip(plane_waves.read("ue_id", np.arange(60)), plane_waves.read("bs_position", np.arange(60)), strict=True)
        )
    }
    order = [place[int(u), tuple(b)] for u, b in zip(back["ue_id"], back["bs_position"], strict=True)]
    truth = channels(plane_waves)[order]
    there = back["los"] != -1
    assert nmse_db(back["channel"][there, 0, 0], truth[there]).max() < -90
    np.testing.assert_array_equal(back["ue_position"], plane_waves.read("ue_position", np.array(order)))
    # Direct paths are found again where they are the earliest, as in every real scene.
    assert ((back["los"] == -1) == (plane_waves.read("los", np.array(order)) == -1)).all()
    assert ((back["los"] == 1) == (plane_waves.read("los", np.array(order)) == 1)).all()


@pytest.mark.filterwarnings("ignore")
def test_the_package_loads_the_export(plane_waves, tmp_path) -> None:
    dm = pytest.importorskip("deepmimo", reason="the extra [deepmimo] is not installed")
    export_scenario(plane_waves, tmp_path, "for_package")
    dm.config.set("scenarios_folder", str(tmp_path))
    dataset = dm.load("for_package", tx_sets={0: [1]}, max_paths=50)
    ch = dm.ChannelParameters()
    ch.bs_antenna.shape, ch.ue_antenna.shape = np.array([4, 1]), np.array([1, 1])
    ch.ofdm.subcarriers, ch.ofdm.bandwidth = 16, 16 * 240e3
    ch.ofdm.selected_subcarriers = np.arange(16)
    ch.num_paths = 50
    theirs = dataset.compute_channels(ch)[:, 0]

    at_station = plane_waves.read("bs_position", np.arange(60))[:, 0] == dataset.tx_pos.reshape(-1)[0]
    ids = np.flatnonzero(at_station)[np.argsort(plane_waves.read("ue_id", np.flatnonzero(at_station)))]
    names = ("tau", "seg", "aod", "zod", "aoa", "zoa", "nu", "g")
    rays = Rays.from_arrays({f"ray_{name}": plane_waves.read(f"ray_{name}", ids) for name in names}, 3.5e9)
    # Our rays summed in their convention: grid from the carrier up, amplitude over √16, phase centre in the corner.
    y = np.sin(rays.zod.astype(np.float64)) * np.sin(rays.aod.astype(np.float64))
    steering = np.exp(1j * np.pi * np.arange(4) * y[..., None])
    tones = np.exp(-2j * np.pi * 240e3 * np.arange(16) * rays.tau[..., None])
    ours = np.einsum("up,upa,upk->uak", rays.g[0, 0].astype(np.complex128), steering, tones) / 4
    there = plane_waves.read("los", ids) != -1
    assert there.sum() == 29
    assert nmse_db(theirs[there], ours[there]).max() < -90
    np.testing.assert_array_equal(np.asarray(dataset.los) == -1, ~there)
    np.testing.assert_array_equal(dataset.rx_pos, plane_waves.read("ue_position", ids))


def test_export_of_drops_with_many_rays_per_tap(tmp_path, monkeypatch) -> None:
    pytest.importorskip("sionna.phy", reason="Sionna is not installed")
    text = 'scenario = "umi"\ncarrier_hz = 3.5e9\ndistance_m = [20.0, 150.0]\nstore_rays = true\nbs = {cols = 4}\n'
    text += "bands.channel = {subcarriers = 8, spacing_hz = 480e3}"
    data = make(tmp_path, "drops", "sionna-38901", 20, text)
    report = export_scenario(data, tmp_path, "umi_drops")
    assert report.paths > 300
    monkeypatch.setenv("WBENCH_DEEPMIMO", str(tmp_path))
    band = {"channel": {"subcarriers": 8, "spacing_hz": 480e3}}
    back = arrays(params("umi_drops", bs={"cols": 4}, bands=band, max_paths=400), 20)
    assert nmse_db(back["channel"][:, 0, 0], channels(data)).max() < -90
    np.testing.assert_array_equal(back["los"], data.read("los", np.arange(20)))
    few = export_scenario(data, tmp_path, "few", max_paths=25)
    assert few.paths == 25


def test_interaction_codes() -> None:
    kinds = np.array([[[0, 1, 1, 8, 4], [0, 0, 2, 1, 4], [0, 0, 0, 0, 1]]], np.uint8)
    np.testing.assert_array_equal(interaction_codes(kinds), [[0, 1, 13, 21, 441]])


def test_export_of_a_ray_traced_street(tmp_path, monkeypatch) -> None:
    from tests.helpers_rt import need_sionna_rt

    need_sionna_rt()
    text = 'users = {distance_m = [10.0, 60.0], seen_by = "one"}\n'
    text += "solver = {samples = 4000, max_paths = 100000, max_depth = 3}\n"
    text += 'store_rays = 800\n[[params.scenes]]\nname = "simple_street_canyon"\nbase_stations = 1\n[params.bands]\n'
    text += "channel = {carrier_hz = 3.5e9, bs = {cols = 1}, subcarriers = 8, spacing_hz = 480e3}"
    data = make(tmp_path, "street", "sionna-rt", 20, text)
    ids = np.arange(20)
    assert (data.read("paths", ids) <= 800).all()  # all rays are stored
    export_scenario(data, tmp_path, "street")
    monkeypatch.setenv("WBENCH_DEEPMIMO", str(tmp_path))
    band = {"channel": {"subcarriers": 8, "spacing_hz": 480e3}}
    back = arrays(params("street", bs={}, bands=band, max_paths=800), 20)
    truth, los = channels(data), data.read("los", ids)
    there = los != -1
    # Channels may count delays from the first path; scenarios hold absolute ones: a common ramp over the subcarriers.
    first = data.read("first_delay_s", ids)[:, None] if "first_delay_s" in data.array_names else np.zeros((20, 1))
    ramp = np.exp(2j * np.pi * np.arange(-4, 4) * 480e3 * first)[:, None]
    relative = data.attributes["delay_reference"] != "absolute time of flight"
    assert nmse_db((back["channel"][:, 0, 0] * (ramp if relative else 1))[there], truth[there]).max() < -90
    np.testing.assert_array_equal(back["los"], los)


def test_export_refuses(plane_waves, tmp_path) -> None:
    with pytest.raises(UsageError, match="cannot name"):
        export_scenario(plane_waves, tmp_path, "Upper")
    with pytest.raises(UsageError, match="no scene 3"):
        export_scenario(plane_waves, tmp_path, "x", scene=3)
    export_scenario(plane_waves, tmp_path, "twice")
    with pytest.raises(OutputConflictError):
        export_scenario(plane_waves, tmp_path, "twice")
    text = "paths = 3\nbs = {cols = 2}\nbands.channel = {subcarriers = 4, spacing_hz = 120e3}"
    with pytest.raises(UsageError, match="does not hold its rays"):
        export_scenario(make(tmp_path, "norays", "plane-wave", 20, text), tmp_path, "x")


def test_export_of_links_that_are_missing(plane_waves, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("WBENCH_DEEPMIMO", str(tmp_path))
    write_scenario(tmp_path, "made", users=30, transmitters=((1, 1), (2, 1)))
    text = 'scenario = "made"\ncarrier_hz = 3.5e9\nlinks = "active"\nstore_rays = true\nbs = {cols = 2}\n'
    data = make(tmp_path, "part", "deepmimo", 55, text + "bands.channel = {subcarriers = 4, spacing_hz = 240e3}")
    with pytest.raises(DatasetError, match="not seen by every base station"):
        export_scenario(data, tmp_path, "part_a")
    assert not (tmp_path / "part_a").exists()
    report = export_scenario(data, tmp_path, "part_b", missing="no-path")
    assert report.missing_links == 2 * report.users - 55
    shutil.rmtree(tmp_path / "part_b")
