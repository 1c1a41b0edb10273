"""Foreign layouts, read back the way the public code reads them (written anew from what that code does)."""

from __future__ import annotations

import h5py
import hdf5storage
import numpy as np
import pytest
import scipy.io

from tests.helpers_export import SAMPLES, handmade
from wbench.dataset.export import LAYOUTS, export_dataset, mat
from wbench.errors import SpecError, UnknownNameError


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """16 snapshots, two receive antennas, 4 transmit antennas, 24 subcarriers."""
    return handmade(tmp_path_factory.mktemp("m") / "moving.zarr", time=16, rx=2, cols=4, subcarriers=24)


@pytest.fixture(scope="module")
def square(tmp_path_factory):
    """One snapshot, 32 antennas, 32 subcarriers."""
    return handmade(tmp_path_factory.mktemp("s") / "square.zarr")


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """One snapshot, 32 antennas, 48 subcarriers: 16 delay rows are cut."""
    return handmade(tmp_path_factory.mktemp("w") / "wide.zarr", subcarriers=48)


def rms(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(np.abs(values.reshape(len(values), -1).astype(complex)) ** 2, axis=1))


@pytest.mark.parametrize("limit", [2**31 - 1, 5000], ids=["level 5", "v7.3"])
def test_wifo_as_its_loader_opens_it(moving, tmp_path, monkeypatch, limit):
    dataset, arrays = moving
    monkeypatch.setattr(mat, "LEVEL5_LIMIT", limit)
    path = export_dataset(dataset, tmp_path / "X_test.mat", layout="wifo", rx=1).path
    loaded = hdf5storage.loadmat(str(path))
    found = np.array(loaded["X_val"], dtype=complex)
    assert found.shape == (SAMPLES, 16, 4, 24)  # [N, T, antenna, K]
    one = arrays["channel"][:, :, 1]
    np.testing.assert_allclose(loaded["scale"][:, 0], rms(one), rtol=1e-6)
    expected = one.astype(complex)
    np.testing.assert_allclose(found * loaded["scale"][:, 0, None, None, None], expected, rtol=1e-6)
    power = rms(found)
    np.testing.assert_allclose(power[np.arange(SAMPLES) != 5], 1.0, rtol=1e-6)
    assert power[5] == 0  # a link without a path stays zero, not NaN
    np.testing.assert_array_equal(loaded["los"][:, 0], arrays["los"])
    np.testing.assert_array_equal(loaded["sample"][:, 0], np.arange(SAMPLES))


def test_contrawimae_as_its_loader_opens_it(square, tmp_path):
    dataset, arrays = square
    path = export_dataset(dataset, tmp_path / "train_1.npz", layout="contrawimae").path
    with np.load(path) as data:
        assert len(data["channels"]) == SAMPLES
        assert data["channels"].dtype == np.complex64
        assert data["channels"].shape == (SAMPLES, 1, 32, 32)
        np.testing.assert_array_equal(data["channels"][:, 0, :, :], arrays["channel"][:, 0, 0])
        np.testing.assert_array_equal(data["scale"], 1.0)


def test_lwm_is_antenna_by_subcarrier_times_a_million(square, tmp_path):
    dataset, arrays = square
    path = export_dataset(dataset, tmp_path / "lwm.npz", layout="lwm").path
    with np.load(path) as data:
        channels, scale = data["channels"], data["scale"]
    assert channels.shape == (SAMPLES, 32, 32)
    np.testing.assert_allclose(channels, arrays["channel"][:, 0, 0] * 1e6, rtol=1e-6)
    np.testing.assert_allclose(channels * scale[:, None, None], arrays["channel"][:, 0, 0], rtol=1e-6)
    # Its tokenizer lays all real parts, then all imaginary parts, out in patches of 16 numbers.
    flat = channels.reshape(SAMPLES, -1).astype(np.csingle)
    tokens = np.hstack((flat.real, flat.imag)).reshape(SAMPLES, 128, 16)
    np.testing.assert_array_equal(tokens[4, 66], channels[4, 1, :16].imag)


def test_csinet_as_its_code_opens_it(wide, tmp_path):
    """HT → (2, angle, delay) → complex → FFT over zero-padded delays is the channel's angle spectrum, less the crop."""
    dataset, arrays = wide
    path = export_dataset(dataset, tmp_path / "DATA_Htrainin.mat", layout="csinet").path
    loaded = scipy.io.loadmat(path)
    x = np.reshape(loaded["HT"].astype("float32"), (SAMPLES, 2, 32, 32))
    assert loaded["HT"].shape == (SAMPLES, 2048)
    assert loaded["HT"].min() >= 0
    assert loaded["HT"].max() <= 1
    assert max(abs(loaded["HT"].min() - 0.5), abs(loaded["HT"].max() - 0.5)) == pytest.approx(0.5, abs=1e-6)
    image = x[:, 0].astype(float) - 0.5 + 1j * (x[:, 1].astype(float) - 0.5)
    padded = np.concatenate((image, np.zeros((SAMPLES, 32, 48 - 32))), axis=2)
    spectrum = np.fft.fft(padded, axis=2) / np.sqrt(48) * loaded["scale"][:, 0, None, None]
    # the reference: a DFT matrix over the antennas, written out
    n = np.arange(32)
    dft = np.exp(-2j * np.pi * np.outer(n, n) / 32) / np.sqrt(32)
    h = arrays["channel"][:, 0, 0].astype(complex)
    truth = np.einsum("mn,snk->smk", dft, h)
    total = np.sum(np.abs(truth) ** 2, axis=(1, 2))
    error = np.sum(np.abs(spectrum - truth) ** 2, axis=(1, 2))
    there = total > 0
    np.testing.assert_allclose(error[there] / total[there], loaded["energy_cut"][there, 0], rtol=1e-3)
    assert np.all(loaded["energy_cut"][there, 0] > 0.2)  # white channels lose about a third
    assert loaded["energy_cut"][5, 0] == 0
    np.testing.assert_array_equal(x[5], 0.5)  # no path


def test_csinet_without_a_crop_gives_the_channel_back(square, tmp_path):
    dataset, arrays = square
    path = export_dataset(dataset, tmp_path / "HT.mat", layout="csinet").path
    loaded = scipy.io.loadmat(path)
    np.testing.assert_allclose(loaded["energy_cut"], 0, atol=1e-6)
    parts = loaded["HT"].reshape(SAMPLES, 2, 32, 32).astype(float) - 0.5
    image = (parts[:, 0] + 1j * parts[:, 1]) * loaded["scale"][:, 0, None, None]
    back = np.fft.fft(np.fft.ifft(image, axis=1, norm="ortho"), axis=2, norm="ortho")
    truth = arrays["channel"][:, 0, 0]
    for sample in range(SAMPLES):
        assert np.linalg.norm(back[sample] - truth[sample]) <= 1e-5 * np.linalg.norm(truth[sample])


def test_normalisation_can_be_chosen(square, tmp_path):
    dataset, arrays = square
    raw = export_dataset(dataset, tmp_path / "raw.npz", layout="wifo", file_format="npz", normalise="none").path
    unit = export_dataset(dataset, tmp_path / "unit.npz", layout="lwm", normalise="sample").path
    with np.load(raw) as data:
        np.testing.assert_array_equal(data["X_val"], arrays["channel"][:, :, 0])
    with np.load(unit) as data:
        np.testing.assert_allclose(np.delete(rms(data["channels"]), 5), 1, rtol=1e-6)


def test_a_snapshot_can_be_chosen(moving, tmp_path):
    dataset, arrays = moving
    path = export_dataset(dataset, tmp_path / "a.npz", layout="contrawimae", time=15, rx=0, ids=[2, 9]).path
    with np.load(path) as data:
        np.testing.assert_array_equal(data["channels"][:, 0], arrays["channel"][[2, 9], 15, 0])


def test_hdf5_of_a_foreign_layout(square, tmp_path):
    path = export_dataset(square[0], tmp_path / "a.h5", layout="wifo", file_format="hdf5").path
    with h5py.File(path) as file:
        assert file["X_val"].shape == (SAMPLES, 1, 32, 32)
        assert file["X_val"].attrs["normalise"] == "sample"


# --- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "options", "why"),
    [
        ("wifo", {}, "2 receive antennas"),
        ("contrawimae", {}, "16 snapshots"),
        ("contrawimae", {"time": 0}, "2 receive antennas"),
        ("lwm", {"time": 0, "rx": 0}, "4 antennas × 24 subcarriers"),
        ("csinet", {"time": 0, "rx": 0}, "4 antennas and 24 subcarriers"),
        ("wifo", {"rx": 2}, "0 … 1 exist"),
        ("lwm", {"time": -1}, "0 … 15 exist"),
    ],
)
def test_a_channel_that_does_not_fit_is_refused(moving, tmp_path, layout, options, why):
    with pytest.raises(SpecError, match=why):
        export_dataset(moving[0], tmp_path / "a", layout=layout, **options)
    assert not any(tmp_path.iterdir())


def test_the_refusal_says_what_to_do(moving, tmp_path):
    with pytest.raises(SpecError) as caught:
        export_dataset(moving[0], tmp_path / "a", layout="lwm")
    assert "--time 0 … 15" in str(caught.value)


def test_an_array_that_is_no_channel(moving, tmp_path):
    with pytest.raises(SpecError, match="float32 with 2 dimensions"):
        export_dataset(moving[0], tmp_path / "a", layout="wifo", array="ue_position")


def test_an_unknown_normalisation(square, tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean sample"):
        export_dataset(square[0], tmp_path / "a", layout="wifo", normalise="sampel")


def test_csinet_beyond_what_scipy_reads_is_refused(square, tmp_path, monkeypatch):
    monkeypatch.setattr(mat, "LEVEL5_LIMIT", 5000)
    with pytest.raises(SpecError, match="2 GiB"):
        export_dataset(square[0], tmp_path / "a.mat", layout="csinet")
    assert not any(tmp_path.iterdir())


def test_every_layout_names_its_loaders_format_first():
    assert {name: layout.formats[0] for name, layout in LAYOUTS.items()} == {
        "wbench": "hdf5",
        "wifo": "mat",
        "csinet": "mat",
        "contrawimae": "npz",
        "lwm": "npz",
    }
