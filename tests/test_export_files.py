"""Exporting every array: HDF5, both MATLAB formats and NPZ, read back by readers that are not ours."""

from __future__ import annotations

import errno
import json
import os
import resource

import h5py
import hdf5storage
import numpy as np
import pytest
import scipy.io

from tests.helpers_export import SAMPLES, handmade
from wbench.dataset.export import engine as export_engine
from wbench.dataset.export import export_dataset, mat
from wbench.dataset.manifest import entry_path
from wbench.dataset.reader import open_dataset
from wbench.dataset.schema import ArraySpec
from wbench.errors import DatasetError, OutputConflictError, UnknownNameError, UsageError

EVERY_TYPE = tuple(
    ArraySpec(f"extra_{name}", ("a", "b"), (3, 2), name, "1", "every type")
    for name in ("bool", "int16", "int64", "uint8", "uint16", "uint32", "uint64", "float64", "complex128")
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return handmade(tmp_path_factory.mktemp("export") / "a.zarr", time=3, rx=2, cols=4, subcarriers=5, extra=EVERY_TYPE)


def same(found, arrays, ids=slice(None), column=False):
    assert set(arrays) <= set(found)
    for name, values in arrays.items():
        expected = values[ids]
        expected = expected[:, None] if column and expected.ndim == 1 else expected
        if column and expected.dtype == bool:
            expected = expected.astype(np.uint8)  # MATLAB's logical is a class of its own; numbers are kept as numbers
        assert found[name].dtype.newbyteorder("=") == expected.dtype, name
        np.testing.assert_array_equal(found[name], expected, err_msg=name)


def test_npz_holds_every_array(made, tmp_path):
    dataset, arrays = made
    report = export_dataset(dataset, tmp_path / "a.npz", file_format="npz")
    assert report.samples == SAMPLES
    assert report.format == "npz"
    with np.load(report.path) as file:  # allow_pickle is off
        same(file, arrays)
        about = json.loads(str(file["wbench"]))
    assert about["spec_digest"] == dataset.spec.digest
    assert about["content_digest"] == dataset.content_digest


def test_hdf5_holds_every_array_with_dimensions_and_units(made, tmp_path):
    dataset, arrays = made
    report = export_dataset(dataset, tmp_path / "a.h5")
    assert report.format == "hdf5"
    with h5py.File(report.path) as file:
        same({name: file[name][()] for name in arrays}, arrays)
        assert [d.label for d in file["channel"].dims] == ["sample", "time", "rx", "tx", "subcarrier"]
        assert file["ue_position"].attrs["units"] == "m"
        assert file.attrs["los_definition"] == "drawn by hand"
        assert json.loads(file.attrs["spec"])["recipe"] == "handmade"


def test_matlab_level_5_read_by_scipy(made, tmp_path):
    dataset, arrays = made
    report = export_dataset(dataset, tmp_path / "a.mat", file_format="mat")
    assert report.format == "mat (level 5)"
    found = scipy.io.loadmat(report.path)
    same(found, arrays, column=True)
    assert json.loads(found["wbench"][0])["spec_digest"] == dataset.spec.digest
    names = [name for name, *_ in scipy.io.whosmat(report.path)]
    assert names[0] == "wbench"
    assert set(names) == {"wbench", *arrays}


def test_matlab_v73_where_a_variable_is_too_large_read_by_hdf5storage_and_h5py(made, tmp_path, monkeypatch):
    dataset, arrays = made
    monkeypatch.setattr(mat, "LEVEL5_LIMIT", 5000)
    report = export_dataset(dataset, tmp_path / "a.mat", file_format="mat")
    assert report.format == "mat (v7.3)"
    same(hdf5storage.loadmat(str(report.path)), arrays, column=True)
    assert report.path.read_bytes()[:20] == b"MATLAB 7.3 MAT-file,"
    with h5py.File(report.path) as file:
        assert file["channel"].shape == (5, 4, 2, 3, SAMPLES)  # MATLAB's order, seen from C
        assert file["channel"].attrs["MATLAB_class"] == b"single"


def test_scipy_writes_what_our_level_5_writer_writes(made, tmp_path):
    """SciPy's own writer is a second reading of the format: both files hold equal variables under the same classes."""
    dataset, arrays = made
    ours = export_dataset(dataset, tmp_path / "ours.mat", file_format="mat").path
    columns = {n: v.astype(np.uint8) if v.dtype == bool else v for n, v in arrays.items()}
    scipy.io.savemat(tmp_path / "scipy.mat", columns, oned_as="column")
    classes = {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(ours) if name != "wbench"}
    assert classes == {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(tmp_path / "scipy.mat")}


@pytest.mark.parametrize("kind", ["npz", "hdf5", "mat"])
def test_some_samples_in_ascending_order_with_their_ids(made, tmp_path, kind):
    dataset, arrays = made
    ids = [22, 3, 8, 7]
    report = export_dataset(dataset, tmp_path / "some", file_format=kind, ids=ids)
    assert report.samples == 4
    if kind == "hdf5":
        with h5py.File(report.path) as file:
            found = {name: file[name][()] for name in file}
    else:
        found = dict(np.load(report.path)) if kind == "npz" else scipy.io.loadmat(report.path)
    same(found, {**arrays, "sample": np.arange(SAMPLES)}, sorted(ids), column=kind == "mat")


@pytest.mark.parametrize("kind", ["npz", "hdf5", "mat"])
def test_the_same_export_is_the_same_file(made, tmp_path, kind):
    dataset, _ = made
    one, two = (export_dataset(dataset, tmp_path / name, file_format=kind).path for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_memory_holds_a_shard_not_an_array(made, tmp_path):
    dataset, arrays = made
    seen = []
    export_dataset(
        dataset, tmp_path / "a.npz", file_format="npz", advance=lambda rows, total: seen.append((rows, total))
    )
    assert max(rows for rows, _ in seen) == dataset.spec.shard_samples
    assert sum(rows for rows, _ in seen) == seen[0][1] == SAMPLES * len(arrays)


# --- bad input -----------------------------------------------------------------------------------------------------


def test_mistyped_names_suggest_near_ones(made, tmp_path):
    dataset, _ = made
    with pytest.raises(UnknownNameError, match="did you mean contrawimae"):
        export_dataset(dataset, tmp_path / "x", layout="contrawimea")
    with pytest.raises(UnknownNameError, match="did you mean hdf5"):
        export_dataset(dataset, tmp_path / "x", file_format="hdf")
    with pytest.raises(UnknownNameError, match="did you mean channel"):
        export_dataset(dataset, tmp_path / "x", layout="wifo", array="chanel")
    assert not any(tmp_path.iterdir())


def test_an_existing_file_is_left_untouched(made, tmp_path):
    dataset, _ = made
    out = tmp_path / "a.npz"
    out.write_text("mine")
    with pytest.raises(OutputConflictError, match="left untouched"):
        export_dataset(dataset, out, file_format="npz")
    assert out.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_a_file_that_appears_meanwhile_is_left_untouched(made, tmp_path):
    dataset, _ = made
    out = tmp_path / "a.npz"
    with pytest.raises(OutputConflictError):
        export_dataset(dataset, out, file_format="npz", advance=lambda *_: out.write_text("mine"))
    assert out.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize(
    ("kind", "module", "writer"),
    [("npz", export_engine, "write_npz"), ("hdf5", export_engine, "write_hdf5"), ("mat", mat, "_reserve")],
)
def test_a_full_disk_leaves_nothing_behind(made, tmp_path, monkeypatch, kind, module, writer):
    def full(first, *_):
        if kind != "mat":
            first.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, writer, full)
    with pytest.raises(DatasetError, match="No space left") as caught:
        export_dataset(made[0], tmp_path / "a", file_format=kind)
    assert "free some space" in str(caught.value)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("limit", [100, 3000, 20_000, 29_000])
@pytest.mark.parametrize("kind", ["npz", "hdf5", "mat", "mat73"])
def test_a_real_limit_in_mid_file_leaves_nothing_behind(made, tmp_path, monkeypatch, kind, limit):
    """The operating system refuses to let files grow beyond a limit: all libraries meet a real write error."""
    if kind == "mat73":
        kind = "mat"
        monkeypatch.setattr(mat, "LEVEL5_LIMIT", 5000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(DatasetError, match="cannot be written"):
            export_dataset(made[0], tmp_path / "a", file_format=kind)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not any(tmp_path.iterdir())


def test_no_such_folder(made, tmp_path):
    with pytest.raises(DatasetError, match="cannot be written"):
        export_dataset(made[0], tmp_path / "nowhere" / "a.h5")


def test_an_incomplete_dataset_is_refused(tmp_path):
    dataset, _ = handmade(tmp_path / "a.zarr", cols=2, subcarriers=2)
    entry_path(dataset.path, 1).unlink()
    with pytest.raises(DatasetError, match="1 of 3 shards are missing"):
        export_dataset(dataset.path, tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize("damage", ["flip", "lost", "cut"])
def test_a_damaged_shard_never_becomes_numbers(tmp_path, damage):
    dataset, _ = handmade(tmp_path / "a.zarr", cols=2, subcarriers=2)
    (chunk,) = (p for p in (dataset.path / "channel" / "c" / "1").rglob("*") if p.is_file())
    if damage == "flip":
        data = bytearray(chunk.read_bytes())
        data[3] ^= 1
        chunk.write_bytes(data)
    elif damage == "cut":
        chunk.write_bytes(chunk.read_bytes()[:20])
    else:
        chunk.unlink()
    with pytest.raises(DatasetError, match="Shard 1 is damaged") as caught:
        export_dataset(open_dataset(dataset.path), tmp_path / "a.h5")
    assert "wbench verify" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize("ids", [[], [0.5], [[1]], [-1], [SAMPLES], [2, 2]])
def test_wrong_sample_ids(made, tmp_path, ids):
    with pytest.raises(UsageError):
        export_dataset(made[0], tmp_path / "a.h5", ids=ids)


def test_options_of_foreign_layouts_do_not_fit_ours(made, tmp_path):
    with pytest.raises(UsageError, match="every array as it is"):
        export_dataset(made[0], tmp_path / "a.h5", time=1)
