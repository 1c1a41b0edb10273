"""Ingesting released files: written by SciPy and hdf5storage as their authors did, read back by zarr and xarray."""

from __future__ import annotations

import json
import shutil
import warnings

import h5py
import hdf5storage
import numpy as np
import pytest
import scipy.io
import xarray
import zarr

from wbench.dataset.export import export_dataset
from wbench.dataset.ingest import engine, ingest
from wbench.dataset.manifest import entry_path
from wbench.dataset.reader import open_dataset
from wbench.dataset.verify import verify_dataset
from wbench.digest import file_digest
from wbench.errors import (
    DatasetError,
    DatasetNotFoundError,
    OutputConflictError,
    SpecError,
    UnknownNameError,
)

N = 21


@pytest.fixture(scope="module")
def csi():
    rng = np.random.default_rng(3)
    values = rng.standard_normal((N, 6, 4, 8)) + 1j * rng.standard_normal((N, 6, 4, 8))  # [N, T, antenna, K]
    values[7] = 0
    return values


@pytest.fixture(scope="module")
def ht():
    return np.random.default_rng(4).uniform(0.3, 0.7, (N, 2048))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(engine, "BLOCK_BYTES", 2 * 6 * 8 * 4 * 8)  # two WiFo samples a block, eight a shard


def save_v5(path, variables):
    scipy.io.savemat(path, variables, do_compression=True)


def save_v73(path, variables):
    hdf5storage.savemat(str(path), variables, format="7.3", store_python_metadata=False, matlab_compatible=True)


@pytest.mark.parametrize("save", [save_v5, save_v73])
def test_wifo(tmp_path, csi, save):
    save(tmp_path / "X_test.mat", {"X_val": csi})
    report = ingest("wifo", tmp_path / "X_test.mat", tmp_path / "d1.zarr")
    assert (report.made, report.kept) == (3, 0)
    group = zarr.open_group(report.path, mode="r")
    channel = group["channel"]
    assert channel.metadata.dimension_names == ("sample", "time", "rx", "tx", "subcarrier")
    assert channel.shape == (N, 6, 1, 4, 8)
    np.testing.assert_array_equal(channel[:], csi[:, :, None].astype(np.complex64))
    los = group["los"][:]
    assert los[7] == -1  # zero channel ⇔ −1, as the engine has it
    assert set(np.delete(los, 7)) == {-128}
    assert verify_dataset(report.open()) == []


def test_what_is_unknown_is_said_and_nothing_is_made_up(tmp_path, csi):
    source = tmp_path / "X_test.mat"
    save_v5(source, {"X_val": csi})
    dataset = ingest("wifo", source, tmp_path / "d1.zarr", licence="Apache-2.0").open()
    assert dataset.array_names == ("channel", "los")
    unknown = dataset.attributes["unknown"]
    assert {"los", "site", "ue_position", "carrier_hz", "radio", "delay_spread_s"} <= set(unknown)
    assert dataset.attributes["source"] == {
        "kind": "wifo",
        "file": "X_test.mat",
        "digest": file_digest(source),
        "variable": "X_val",
    }
    assert dataset.spec.params["source"] == file_digest(source)
    assert dataset.attributes["licence"] == "Apache-2.0"
    assert dataset.array("los").attrs["unknown"] == -128
    assert "carrier_hz" not in dataset.attributes
    assert dataset.attributes["radio"] == {}


@pytest.mark.parametrize("save", [save_v5, save_v73])
def test_csinet(tmp_path, ht, save):
    save(tmp_path / "DATA_Htestin.mat", {"HT": ht})
    dataset = ingest("csinet", tmp_path / "DATA_Htestin.mat", tmp_path / "in.zarr").open()
    assert dataset.array_names == ("csi_delay_angle", "energy_cut", "los")
    assert dataset.array("csi_delay_angle").metadata.dimension_names == ("sample", "delay", "antenna")
    image = dataset.read("csi_delay_angle", np.arange(N))
    parts = ht.reshape(N, 2, 32, 32)  # as the public code reshapes it: part, angle, delay
    for sample, delay, angle in ((0, 0, 0), (3, 31, 0), (3, 0, 31), (20, 5, 17)):
        expected = parts[sample, 0, angle, delay] - 0.5 + 1j * (parts[sample, 1, angle, delay] - 0.5)
        assert image[sample, delay, angle] == pytest.approx(expected, abs=1e-7)
    assert np.isnan(dataset.read("energy_cut", np.arange(N))).all()
    assert "energy_cut" in dataset.attributes["unknown"]


def test_csinet_there_and_back(tmp_path, ht):
    save_v5(tmp_path / "a.mat", {"HT": ht})
    dataset = ingest("csinet", tmp_path / "a.mat", tmp_path / "a.zarr").open()
    out = export_dataset(dataset, tmp_path / "b.mat", layout="csinet", normalise="none").path
    loaded = scipy.io.loadmat(out)
    np.testing.assert_allclose((loaded["HT"] - 0.5) * loaded["scale"], ht - 0.5, atol=1e-7)
    assert "energy_cut" not in loaded


def test_wifo_there_and_back(tmp_path, csi):
    save_v5(tmp_path / "a.mat", {"X_val": csi})
    dataset = ingest("wifo", tmp_path / "a.mat", tmp_path / "a.zarr").open()
    out = export_dataset(dataset, tmp_path / "b.mat", layout="wifo", normalise="none").path
    np.testing.assert_array_equal(hdf5storage.loadmat(str(out))["X_val"], csi.astype(np.complex64))


def test_xarray_opens_an_ingested_dataset(tmp_path, csi):
    save_v5(tmp_path / "a.mat", {"X_val": csi})
    path = ingest("wifo", tmp_path / "a.mat", tmp_path / "a.zarr").path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's own, about parts of the format that are not settled
        data = xarray.open_zarr(path)
    assert data["channel"].dims == ("sample", "time", "rx", "tx", "subcarrier")
    np.testing.assert_array_equal(data["channel"].values[2, :, 0], csi[2].astype(np.complex64))
    assert data.attrs["unknown"]


def test_the_same_command_carries_on(tmp_path, csi):
    save_v73(tmp_path / "a.mat", {"X_val": csi})
    first = ingest("wifo", tmp_path / "a.mat", tmp_path / "a.zarr").open().content_digest
    entry_path(tmp_path / "a.zarr", 1).unlink()
    seen = []
    report = ingest("wifo", tmp_path / "a.mat", tmp_path / "a.zarr", advance=lambda done, total: seen.append(done))
    assert (report.made, report.kept) == (1, 2)
    assert report.open().content_digest == first
    assert sum(seen) == N


def test_the_file_is_known_by_its_bytes_not_its_name(tmp_path, csi):
    save_v5(tmp_path / "a.mat", {"X_val": csi})
    shutil.copy(tmp_path / "a.mat", tmp_path / "b.mat")
    save_v5(tmp_path / "c.mat", {"X_val": csi[:20]})
    one = ingest("wifo", tmp_path / "a.mat", tmp_path / "a.zarr")
    assert ingest("wifo", tmp_path / "b.mat", tmp_path / "a.zarr").kept == 3
    with pytest.raises(OutputConflictError, match="another dataset"):
        ingest("wifo", tmp_path / "c.mat", tmp_path / "a.zarr")
    assert verify_dataset(one.open()) == []


def test_one_of_several_variables_by_name(tmp_path, csi):
    save_v5(tmp_path / "a.mat", {"X_val": csi, "X_train": csi[:4]})
    with pytest.raises(SpecError, match="more than one"):
        ingest("wifo", tmp_path / "a.mat", tmp_path / "a.zarr")
    assert len(ingest("wifo", tmp_path / "a.mat", tmp_path / "a.zarr", variable="X_train").open()) == 4
    with pytest.raises(UnknownNameError, match="did you mean X_val"):
        ingest("wifo", tmp_path / "a.mat", tmp_path / "b.zarr", variable="X_vla")


def test_plain_hdf5_is_not_turned(tmp_path, csi):
    """Only MATLAB's mark means MATLAB's order of dimensions."""
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["X_val"] = csi
    dataset = ingest("wifo", tmp_path / "a.mat", tmp_path / "a.zarr").open()
    np.testing.assert_array_equal(dataset.read("channel", [3])[0, 2, 0, 1], csi[3, 2, 1].astype(np.complex64))


# --- bad input -----------------------------------------------------------------------------------------------------


def refuse(error, match, kind, tmp_path, variables=None, **options):
    if variables is not None:
        save_v5(tmp_path / "a.mat", variables)
    with pytest.raises(error, match=match):
        ingest(kind, tmp_path / "a.mat", tmp_path / "out.zarr", **options)


@pytest.mark.parametrize(
    ("kind", "variables", "error", "match"),
    [
        ("wifo", {"HT": np.zeros((3, 2048))}, SpecError, "holds HT"),
        ("csinet", {"HF_all": np.zeros((3, 4000))}, SpecError, "holds HF_all"),
        ("csinet", {"HT": np.zeros((3, 1024))}, SpecError, r"\[3, 1024\] instead of \[N, 2048\]"),
        ("wifo", {"X_val": np.zeros((3, 4, 5), complex)}, SpecError, "instead of"),
        ("wifo", {"X_val": np.ones((3, 4, 5, 2))}, SpecError, "complex"),
        ("csinet", {"HT": np.ones((3, 2048)) * 1j}, SpecError, "real"),
        ("csinet", {"HT": np.full((3, 2048), -0.5)}, SpecError, r"\[0, 1\]"),
        ("csinet", {"HT": np.full((3, 2048), np.nan)}, DatasetError, "not finite"),
        ("wifo", {"X_val": np.full((3, 4, 5, 2), 1j * np.inf)}, DatasetError, "not finite"),
    ],
)
def test_other_files_are_refused(tmp_path, kind, variables, error, match):
    refuse(error, match, kind, tmp_path, variables)
    out = tmp_path / "out.zarr"
    assert not out.exists() or open_dataset(out).missing_shards  # never a dataset that looks complete


def test_a_mistyped_kind(tmp_path):
    refuse(UnknownNameError, "did you mean csinet", "csi-net", tmp_path)


def test_no_such_file(tmp_path):
    refuse(DatasetNotFoundError, "no such file", "wifo", tmp_path)


@pytest.mark.parametrize("save", [save_v5, save_v73])
def test_a_cut_file(tmp_path, csi, save):
    save(tmp_path / "whole.mat", {"X_val": csi})
    data = (tmp_path / "whole.mat").read_bytes()
    (tmp_path / "a.mat").write_bytes(data[: len(data) // 2])
    refuse(DatasetError, "cannot be read as a MATLAB file", "wifo", tmp_path)


def test_no_matlab_file_at_all(tmp_path):
    (tmp_path / "a.mat").write_text(json.dumps({"X_val": 1}))
    refuse(DatasetError, "cannot be read as a MATLAB file", "wifo", tmp_path)


def test_a_foreign_folder_is_left_untouched(tmp_path, csi):
    (tmp_path / "out.zarr").mkdir()
    (tmp_path / "out.zarr" / "thesis.tex").write_text("mine")
    refuse(OutputConflictError, "left untouched", "wifo", tmp_path, {"X_val": csi})
    assert [p.name for p in (tmp_path / "out.zarr").iterdir()] == ["thesis.tex"]


def test_two_writers(tmp_path, csi):
    save_v5(tmp_path / "a.mat", {"X_val": csi})
    place = ingest("wifo", tmp_path / "a.mat", tmp_path / "out.zarr").place
    with place.claim(0, 1) as mine:
        assert mine
        refuse(OutputConflictError, "Another process", "wifo", tmp_path)


def test_a_full_disk(tmp_path, csi, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine, "write_shard", full)
    refuse(DatasetError, "No space left", "wifo", tmp_path, {"X_val": csi})
    monkeypatch.undo()
    assert ingest("wifo", tmp_path / "a.mat", tmp_path / "again.zarr").open().missing_shards == []
