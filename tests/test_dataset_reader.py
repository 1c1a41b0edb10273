"""The reader and the format: rows in any order, large arrays in chunks, xarray unchanged, honest errors."""

from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers_data import write_recipe
from wbench import generate, open_dataset
from wbench.dataset import reader
from wbench.dataset.manifest import entry_path
from wbench.errors import DatasetError, DatasetNotFoundError, UnknownNameError, UsageError

ARRAYS = ("channel", "ue_position", "los", "k_factor_db", "ue_id")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    recipe = write_recipe(folder, samples=43)  # the last block has three samples
    return generate(recipe, size="tiny", out=folder / "small.zarr").open()


@pytest.mark.parametrize("limit", [None, 0], ids=["memory", "chunks"])
@given(ids=st.lists(st.integers(0, 42), max_size=60))
@settings(max_examples=15, deadline=None)
def test_rows_in_any_order_and_twice(made, limit, ids):
    with pytest.MonkeyPatch.context() as patch:
        if limit is not None:
            patch.setattr(reader, "RAM_LIMIT_BYTES", limit)
        dataset = open_dataset(made.path)
        for name in ARRAYS:
            direct = zarr.open_array(made.path / name, mode="r")[:]
            rows = dataset.read(name, ids)
            assert rows.dtype == direct.dtype
            np.testing.assert_array_equal(rows, direct[np.array(ids, int)])
        assert bool(dataset._cache) == (limit is None)  # the chunk path keeps no whole array


def test_the_chunk_path_reads_sorted_ids_once_per_chunk(made, monkeypatch):
    monkeypatch.setattr(reader, "RAM_LIMIT_BYTES", 0)
    dataset = open_dataset(made.path)
    reads = []

    class Counting:
        def __init__(self, source):
            self.source = source

        def __getattr__(self, name):
            return getattr(self.source, name)

        def __getitem__(self, key):
            reads.append(key)
            return self.source[key]

    original = dataset.array
    monkeypatch.setattr(dataset, "array", lambda name: Counting(original(name)))
    for start in range(0, 43, 5):  # batches that do not fit the blocks of 8
        dataset.read("los", np.arange(start, min(start + 5, 43)))
    assert len(reads) == 6


@pytest.mark.parametrize("ids", [[-1], [43], [0.5], [True, False], [[0, 1]], 3])
def test_what_is_not_a_list_of_ids_is_refused(made, ids):
    with pytest.raises(UsageError):
        made.read("los", ids)


def test_unknown_array(made):
    with pytest.raises(UnknownNameError, match="channel"):
        made.read("chanel", [0])


def test_xarray_opens_the_folder_unchanged_and_without_a_warning(made):
    xarray = pytest.importorskip("xarray")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = xarray.open_zarr(made.path)
        assert opened["channel"].dims == ("sample", "time", "rx", "tx", "subcarrier")
        assert opened["ue_velocity"].attrs["units"] == "m/s"
        assert opened.attrs["spec_digest"] == made.spec.digest
        np.testing.assert_array_equal(opened["channel"].values, made.read("channel", range(43)))
        np.testing.assert_array_equal(opened["los"].values, made.read("los", range(43)))
        assert all(variable.dims[0] == "sample" and variable.sizes["sample"] == 43 for variable in opened.values())
        assert all("units" in variable.attrs and "long_name" in variable.attrs for variable in opened.values())


def test_attributes_carry_the_whole_provenance(made):
    attributes = made.attributes
    assert attributes["spec"]["params"]["bs"]["cols"] == 4
    assert attributes["licence"] == "CC0-1.0"
    assert {"wbench", "git", "packages", "machine", "command"} <= set(attributes["provenance"])
    assert attributes["radio"]["bands"]["channel"]["subcarriers"] == 4
    assert open_dataset(made.path).spec == made.spec


def _copy(made, tmp_path):
    shutil.copytree(made.path, tmp_path / "copy.zarr")
    return tmp_path / "copy.zarr"


def _change(path, **attributes):
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"].update(attributes)
    (path / "zarr.json").write_text(json.dumps(metadata))


def test_an_incomplete_dataset_names_the_command_and_reads_what_is_there(made, tmp_path):
    path = _copy(made, tmp_path)
    entry_path(path, 1).unlink()
    dataset = open_dataset(path)
    assert dataset.missing_shards == [1]
    np.testing.assert_array_equal(dataset.read("los", [0, 15, 32, 42]), made.read("los", [0, 15, 32, 42]))
    for use in (dataset.require_complete, lambda: dataset.read("los", [0, 16]), lambda: dataset.content_digest):
        with pytest.raises(DatasetError, match="1 of 3 shards are missing") as caught:
            use()
        assert caught.value.next_step == f"wbench verify {path} --repair"  # no installed recipe has that name
    registered = generate("plane-wave", size="tiny", out=tmp_path / "p.zarr")
    entry_path(registered.path, 0).unlink()
    with pytest.raises(DatasetError) as caught:
        open_dataset(registered.path).require_complete()
    assert caught.value.next_step.startswith("wbench generate plane-wave --size tiny --seed 2032 --out ")


def test_other_schema_versions_and_edited_specs(made, tmp_path):
    path = _copy(made, tmp_path)
    _change(path, schema_version=99)
    with pytest.raises(DatasetError, match="schema version 99") as caught:
        open_dataset(path)
    assert "pip install --upgrade wbench" in caught.value.next_step
    _change(path, schema_version=1, spec={**made.attributes["spec"], "seed": 12})
    with pytest.raises(DatasetError, match="does not match its digest"):
        open_dataset(path)
    _change(path, spec={"recipe": "x"})
    with pytest.raises(DatasetError, match="not a wbench dataset"):
        open_dataset(path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"attributes": 5}', '{"attributes": {}}', "\ufffd"])
def test_what_is_not_a_dataset(text, tmp_path):
    (tmp_path / "x.zarr").mkdir()
    (tmp_path / "x.zarr" / "zarr.json").write_text(text)
    with pytest.raises(DatasetError, match="not a wbench dataset"):
        open_dataset(tmp_path / "x.zarr")
    with pytest.raises(DatasetNotFoundError):
        open_dataset(tmp_path / "none.zarr")
