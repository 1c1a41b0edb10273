"""Coordinates: what xarray shows along every dimension, without taking part in shards, digests or arrays."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tests.helpers_data import write_recipe
from wbench import generate
from wbench.channel.synthesis import Grid
from wbench.dataset.coordinates import coordinates, dimension_names
from wbench.dataset.schema import ArraySpec, channel_spec, standard
from wbench.dataset.verify import verify_dataset

xarray = pytest.importorskip("xarray")

BANDS = {
    "channel": {"subcarriers": 4, "spacing_hz": 30e3, "first_hz": -60e3},
    "channel_480khz": {"subcarriers": 8, "spacing_hz": 480e3, "first_hz": -1920e3},
    "channel_copy": {"subcarriers": 4, "spacing_hz": 30e3, "first_hz": -60e3},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("xarray")
    extra = "bands.channel_480khz = {subcarriers = 6, spacing_hz = 480e3}\n"
    return generate(write_recipe(folder, extra=extra), size="tiny", out=folder / "two.zarr").open()


@pytest.fixture(scope="module")
def opened(made):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return xarray.open_zarr(made.path)


def test_every_dimension_but_the_sample_has_a_coordinate_with_a_unit(opened):
    assert set(opened.coords) == {"time", "rx", "tx", "subcarrier", "subcarrier_480khz", "xyz"}
    assert set(opened.dims) == {"sample", *opened.coords}
    assert {name: opened[name].attrs["units"] for name in ("time", "subcarrier", "tx")} == {
        "time": "s",
        "subcarrier": "Hz",
        "tx": "1",
    }
    assert all(opened[name].attrs["long_name"] for name in opened.coords)
    np.testing.assert_array_equal(opened["subcarrier"], Grid.centred(4, 120e3).frequencies())
    np.testing.assert_array_equal(opened["tx"], range(4))


def test_bands_on_different_grids_open_together(made, opened):
    assert opened["channel"].dims == ("sample", "time", "rx", "tx", "subcarrier")
    assert opened["channel_480khz"].dims == ("sample", "time", "rx", "tx", "subcarrier_480khz")
    np.testing.assert_array_equal(opened["subcarrier_480khz"], Grid.centred(6, 480e3).frequencies())
    np.testing.assert_array_equal(opened["channel_480khz"], made.read("channel_480khz", range(40)))


def test_selecting_by_label(made, opened):
    np.testing.assert_array_equal(opened["ue_position"].sel(xyz="z"), made.read("ue_position", range(40))[:, 2])
    np.testing.assert_array_equal(opened["channel"].sel(subcarrier=0), made.read("channel", range(40))[..., 2])


def test_coordinates_are_no_arrays_of_the_dataset(made, opened):
    assert set(made.array_names) == set(opened.data_vars)
    assert set(made.stored_names) == set(made.array_names) == set(made.entries[0]["arrays"])
    assert verify_dataset(made) == []


def test_names_of_dimensions():
    radio = {"bands": BANDS, "time_steps": 1, "time_step_s": 0.0}
    specs = {name: channel_spec(name, 1, 1, 2, band["subcarriers"]) for name, band in BANDS.items()}
    assert dimension_names(specs["channel"], radio)[-1] == "subcarrier"
    assert dimension_names(specs["channel_480khz"], radio)[-1] == "subcarrier_480khz"
    assert dimension_names(specs["channel_copy"], radio)[-1] == "subcarrier"  # the same grid may share it
    assert dimension_names(specs["channel"], {})[-1] == "subcarrier"  # ingested: nothing is known of the grid


def test_times_and_labels_of_what_is_known():
    radio = {"bands": {"channel": BANDS["channel"]}, "time_steps": 3, "time_step_s": 5e-4}
    arrays = [channel_spec("channel", 3, 2, 2, 4), *standard("ue_position", "tx_orientation")]
    found = {c.name: c for c in coordinates(arrays, radio)}
    np.testing.assert_array_equal(found["time"].values, [0, 5e-4, 1e-3])
    assert found["euler"].values.tolist() == ["bearing", "downtilt", "slant"]
    assert found["rx"].values.tolist() == [0, 1]
    assert set(found) == {"time", "rx", "tx", "subcarrier", "xyz", "euler"}


def test_what_is_unknown_or_ambiguous_gets_none():
    assert {c.name for c in coordinates([channel_spec("channel", 3, 2, 2, 4)], {})} == {"rx", "tx"}
    odd = ArraySpec("odd", ("tx", "ray"), (5, 7), "float32", "1", "another size of tx")
    assert {c.name for c in coordinates([channel_spec("channel", 3, 2, 2, 4), odd], {})} == {"rx"}
    taken = ArraySpec("rx", (), (), "int32", "1", "an array of that name")
    assert {c.name for c in coordinates([channel_spec("channel", 3, 2, 2, 4), taken], {})} == {"tx"}
