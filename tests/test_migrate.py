"""Other schema versions: migrated on reading, or refused with a reason; a dataset of the first one is kept for ever."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.helpers_data import cli
from wbench import open_dataset
from wbench.dataset import migrate as module
from wbench.dataset.migrate import migrate
from wbench.dataset.verify import verify_dataset
from wbench.digest import array_digest
from wbench.errors import DatasetError

#: Made once by the first version: 24 plane-wave samples in three shards. Never made again.
GOLDEN = Path(__file__).parent / "data" / "golden_v1.zarr"


@pytest.fixture(scope="module")
def golden():
    return open_dataset(GOLDEN)


def test_the_current_version_passes_untouched():
    attributes = {"schema_version": 1, "spec": {"a": [1]}}
    assert migrate(attributes, "x") == attributes


@pytest.mark.parametrize("version", [None, "1", True, 1.0])
def test_what_has_no_version_is_not_a_dataset(version):
    with pytest.raises(DatasetError, match="not a wbench dataset") as caught:
        migrate({"schema_version": version}, "x.zarr")
    assert caught.value.where == "x.zarr"


def test_a_newer_version_names_the_way_out():
    with pytest.raises(DatasetError, match="schema version 2, this wbench reads up to 1") as caught:
        migrate({"schema_version": 2}, "x")
    assert "upgrade" in caught.value.next_step


@pytest.mark.parametrize("version", [0, -1])
def test_a_version_without_a_migration_is_refused(version):
    with pytest.raises(DatasetError, match=f"schema version {version}") as caught:
        migrate({"schema_version": version}, "x")
    assert "reads 1 on" in caught.value.why


def test_migrations_run_in_a_row_on_a_copy(monkeypatch):
    """There is no version before 1: the steps are made up, the mechanism is not."""

    def first(old):
        old["radio"] = old.pop("numerology")
        return old

    monkeypatch.setattr(module, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(module, "MIGRATIONS", {1: first, 2: lambda old: {**old, "licence": "unknown"}})
    attributes = {"schema_version": 1, "numerology": {"bands": {}}}
    assert migrate(attributes, "x") == {"schema_version": 3, "radio": {"bands": {}}, "licence": "unknown"}
    assert attributes == {"schema_version": 1, "numerology": {"bands": {}}}
    assert migrate({"schema_version": 2}, "x") == {"schema_version": 3, "licence": "unknown"}
    with pytest.raises(DatasetError, match="attributes are damaged") as caught:
        migrate({"schema_version": 1}, "x")
    assert "numerology" in caught.value.why


def test_a_dataset_of_an_earlier_version_opens_and_keeps_its_digests(golden, tmp_path, monkeypatch):
    """Reading goes through the migrations; the spec and the files stay as they were written."""
    path = tmp_path / "old.zarr"
    shutil.copytree(GOLDEN, path)
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"]["numerology"] = metadata["attributes"].pop("radio")
    (path / "zarr.json").write_text(json.dumps(metadata))
    monkeypatch.setattr(module, "SCHEMA_VERSION", 2)
    monkeypatch.setattr(module, "MIGRATIONS", {1: lambda old: {**old, "radio": old["numerology"]}})
    before = (path / "zarr.json").read_bytes()
    dataset = open_dataset(path)
    assert dataset.attributes["schema_version"] == 2
    assert dataset.attributes["radio"] == golden.attributes["radio"]
    assert dataset.spec.schema_version == 1
    assert (dataset.spec.digest, dataset.content_digest) == (golden.spec.digest, golden.content_digest)
    assert (path / "zarr.json").read_bytes() == before


# --- the first version, as it was written --------------------------------------------------------------------------

SPEC = "sha256:a0ae4697d9c854f37d4298b6203f7c47a79c1ed12e7f16a8fd62748d77328626"
CONTENT = "sha256:a792a7270a52344f76721204b752c1067c8ab402cff28facf783e64dcbb141c7"
ARRAYS = {
    "bs_position": "cc0c12c9480c4088",
    "channel": "bb09774f7d887877",
    "delay_spread_s": "9c983cd485e981b2",
    "doppler_spread_hz": "dc17e03f26d511ca",
    "k_factor_db": "dbcd5e8a2dc6380e",
    "los": "1b40b16c0c318250",
    "path_gain_db": "6b2611902fc5ac0d",
    "scene": "6723cc14ff40cf18",
    "site": "9a8e4c36a6ad16f6",
    "ue_id": "9a8e4c36a6ad16f6",
    "ue_position": "90782a58c7cc3386",
    "ue_velocity": "d3dc458fdafb16b9",
}
CHANNEL = [-2.1943747e-06 + 7.0515554e-08j, 8.8918468e-06 - 4.6061788e-05j]
LOS = [0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 0, 1, 1]


def test_golden_digests(golden):
    assert golden.spec.digest == SPEC
    assert golden.content_digest == CONTENT
    assert verify_dataset(golden) == []
    found = {name: array_digest(golden.read(name, range(24))) for name in golden.array_names}
    assert {name: digest.removeprefix("sha256:")[:16] for name, digest in found.items()} == ARRAYS


def test_golden_attributes(golden):
    attributes = golden.attributes
    assert attributes["schema_version"] == 1
    assert attributes["licence"] == "CC0-1.0"
    assert golden.spec.recipe == "golden"
    assert golden.spec.params["bands"]["channel"] == {"subcarriers": 4, "spacing_hz": 120e3}
    assert attributes["radio"]["tx"]["cols"] == 4
    assert attributes["radio"]["bands"]["channel"] == {"subcarriers": 4, "spacing_hz": 120e3, "first_hz": -240e3}
    assert {"wbench", "packages", "command"} <= set(attributes["provenance"])
    units = {name: golden.array(name).attrs["units"] for name in ("channel", "ue_position", "delay_spread_s")}
    assert units == {"channel": "1", "ue_position": "m", "delay_spread_s": "s"}
    assert golden.array("channel").metadata.dimension_names == ("sample", "time", "rx", "tx", "subcarrier")


def test_golden_numbers(golden):
    """A few numbers as they were printed on the day."""
    channel = golden.read("channel", [0, 23])
    np.testing.assert_allclose(channel[:, 0, 0, 0, 0], CHANNEL, rtol=1e-6)
    assert golden.read("los", range(24)).tolist() == LOS


def test_golden_opens_in_xarray_and_on_the_command_line(golden, capsys):
    xarray = pytest.importorskip("xarray")
    data = xarray.open_zarr(GOLDEN)
    np.testing.assert_array_equal(data["channel"].values, golden.read("channel", range(24)))
    np.testing.assert_array_equal(data["subcarrier"], [-240e3, -120e3, 0, 120e3])
    assert cli(capsys, "inspect", GOLDEN)[0] == 0
    code, out, _ = cli(capsys, "verify", GOLDEN)
    assert code == 0
    assert CONTENT in out


def test_golden_is_small():
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) < 100_000
