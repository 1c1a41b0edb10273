"""Lossy storage: the stated error holds, what is stored is decoded everywhere, lossless stays what it was."""

from __future__ import annotations

import json
import shutil

import h5py
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers_data import cli, write_recipe
from wbench import generate, open_dataset
from wbench.dataset import encoding
from wbench.dataset.encoding import achieved, decode, encode
from wbench.dataset.spec import DatasetSpec
from wbench.dataset.verify import verify_dataset
from wbench.errors import SimulationError, UnknownNameError
from wbench.run.plan import build_spec

LOSSY = ("rounded", "float16")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoding")
    recipe = write_recipe(folder, samples=40, subcarriers=16)
    kinds = {"lossless": None, **dict.fromkeys(LOSSY)}
    kinds = {kind: generate(recipe, size="tiny", out=folder / f"{kind}.zarr", storage=kind).open() for kind in kinds}
    return kinds | {"recipe": recipe}


def draw(seed, n=6, exponent=0.0):
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((n, 2, 5, 2)).astype(np.float32).view(np.complex64)[..., 0]
    return (h * np.float32(10.0) ** rng.uniform(-exponent, exponent, (n, 1, 1)).astype(np.float32)).astype(np.complex64)


def nmse(h, kept):
    axes = tuple(range(1, h.ndim))
    lost = (np.abs(kept.astype(np.complex128) - h) ** 2).sum(axis=axes)
    return lost / (np.abs(h.astype(np.complex128)) ** 2).sum(axis=axes)


def test_rounding_is_that_of_numcodecs():
    h = draw(1, n=500, exponent=6)
    reference = numcodecs.BitRound(keepbits=9).encode(h.view(np.float32).copy()).view(np.float32)
    stored, _ = encode("rounded", {"channel": h})
    np.testing.assert_array_equal(stored["channel"].view(np.float32).ravel(), reference.ravel())


def test_halves_are_those_of_numpy_after_an_exact_scale():
    h = draw(2, exponent=8)
    h[3] = 0
    stored, _ = encode("float16", {"channel": h})
    scale = stored["channel_scale"]
    assert np.all(np.log2(scale) % 1 == 0)
    assert scale[3] == 1
    parts = h.view(np.float32).reshape(*h.shape, 2)
    np.testing.assert_array_equal(
        stored["channel"], (parts.astype(np.float64) / scale[:, None, None, None]).astype("f2")
    )
    back = decode(stored["channel"], scale)
    exact = stored["channel"].astype(np.float64) * scale[:, None, None, None].astype(np.float64)
    np.testing.assert_array_equal(back, exact[..., 0] + 1j * exact[..., 1])
    assert not back[3].any()


@pytest.mark.parametrize("storage", LOSSY)
@given(seed=st.integers(0, 2**32), exponent=st.sampled_from([0.0, 3.0, 12.0, 30.0]))
@settings(max_examples=25, deadline=None)
def test_no_sample_loses_more_than_the_limit_at_any_level(storage, seed, exponent):
    h = draw(seed, exponent=exponent)
    stored, errors = encode(storage, {"channel": h, "los": np.zeros(6, np.int8)})
    kept = stored["channel"] if storage == "rounded" else decode(stored["channel"], stored["channel_scale"])
    lost = 10 * np.log10(nmse(h, kept))
    assert lost.max() <= -60
    assert errors["channel"]["nmse_worst_db"] == pytest.approx(lost.max(), abs=0.01)
    assert errors["channel"]["nmse_db"] == pytest.approx(10 * np.log10(nmse(h, kept).mean()), abs=0.01)
    assert set(errors) == {"channel"}
    assert stored["los"].dtype == np.int8


def test_the_worst_case_of_rounding_still_holds():
    """Every part half a step above 1, the largest relative error there is."""
    h = np.full((1, 4), np.float32(1 + 2.0**-10) * (1 + 1j), np.complex64)
    _, errors = encode("rounded", {"channel": h})
    assert -60.3 < errors["channel"]["nmse_worst_db"] <= -60.2


def test_zero_and_exact_channels_lose_nothing():
    for h in (np.zeros((2, 3), np.complex64), np.ones((2, 3), np.complex64)):
        for storage in LOSSY:
            stored, errors = encode(storage, {"channel": h})
            kept = stored["channel"] if storage == "rounded" else decode(stored["channel"], stored["channel_scale"])
            np.testing.assert_array_equal(kept, h)
            assert errors["channel"]["nmse_db"] is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e-42])  # 1e-42: subnormal numbers have no nine bits to keep
def test_what_cannot_keep_the_limit_is_refused(bad):
    h = np.full((2, 3), bad, np.complex64)
    with np.errstate(all="ignore"), pytest.raises(SimulationError, match="loses too much") as caught:
        encode("rounded", {"channel": h})
    assert caught.value.next_step == "--storage lossless"


def test_a_shard_that_loses_too_much_does_not_exist(made, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "MANTISSA_BITS", 5)
    report = generate(made["recipe"], size="tiny", out=tmp_path / "coarse.zarr", storage="rounded")
    assert len(report.failures) == 3
    assert "the limit is -60 dB" in report.failures[0]
    assert not report.open().entries


@pytest.mark.parametrize("storage", LOSSY)
def test_a_lossy_dataset_reads_as_complex64_within_the_limit(made, storage):
    lossless, lossy = made["lossless"], made[storage]
    assert lossy.array_names == lossless.array_names
    ids = np.array([39, 3, 3, 17])
    h, kept = lossless.read("channel", ids), lossy.read("channel", ids)
    assert kept.dtype == np.complex64
    assert (kept != h).any()
    assert nmse(h, kept).max() <= 1e-6
    np.testing.assert_array_equal(lossy.read("los", ids), lossless.read("los", ids))
    for shard in range(3):
        whole = lossy.spec.shard_range(shard)
        np.testing.assert_array_equal(lossy.read_shard("channel", shard), lossy.read("channel", whole))
    array = lossy.array("channel")
    assert (array.shape, array.nbytes, array.chunks[0]) == ((40, 1, 1, 4, 16), 40 * 64 * 8, 8)
    assert array.metadata.dimension_names == ("sample", "time", "rx", "tx", "subcarrier")
    assert array.attrs["long_name"] == lossless.array("channel").attrs["long_name"]


def test_metadata_state_error_and_size(made):
    assert "storage" not in made["lossless"].attributes
    assert achieved(made["lossless"].entries) == {}
    h = made["lossless"].read("channel", range(40))
    for storage in LOSSY:
        lossy = made[storage]
        assert lossy.attributes["storage"]["kind"] == storage
        assert lossy.attributes["storage"]["nmse_limit_db"] == -60
        found = achieved(lossy.entries)["channel"]
        ratios = nmse(h, lossy.read("channel", range(40)))
        assert found["nmse_db"] == pytest.approx(10 * np.log10(ratios.mean()), abs=0.05)
        assert found["nmse_worst_db"] == pytest.approx(10 * np.log10(ratios.max()), abs=0.05)
        files = [path for path in (lossy.path / "channel" / "c").rglob("*") if path.is_file()]
        assert found["bytes"] == pytest.approx(sum(path.stat().st_size for path in files) / 40)
    whole = sum(p.stat().st_size for p in (made["lossless"].path / "channel" / "c").rglob("*") if p.is_file()) / 40
    assert achieved(made["rounded"].entries)["channel"]["bytes"] < 0.75 * whole  # tiny chunks compress badly
    assert achieved(made["float16"].entries)["channel"]["bytes"] < 0.6 * whole


def test_storage_is_part_of_the_spec_and_its_absence_changes_no_digest(made):
    digests = {made[kind].spec.digest for kind in ("lossless", *LOSSY)}
    assert len(digests) == 3
    assert "storage" not in made["lossless"].attributes["spec"]
    # Computed before this field existed.
    spec, *_ = build_spec("plane-wave", "tiny", ready=False)
    assert spec.digest == "sha256:010e99f93259c757647a85f6afdc8b27936f5837263b7075da1fc7bdf0f8c92f"
    assert DatasetSpec.model_validate(made["rounded"].attributes["spec"]).storage == "rounded"


@pytest.mark.parametrize("storage", LOSSY)
def test_digests_are_of_the_stored_bits(made, storage, tmp_path):
    again = generate(made["recipe"], size="tiny", out=tmp_path / "again.zarr", storage=storage).open()
    assert again.content_digest == made[storage].content_digest
    assert set(again.entries[0]["arrays"]) == set(again.stored_names)
    assert verify_dataset(again) == []
    name = again.stored_names[
        again.stored_names.index("channel") + (storage == "float16")
    ]  # the scale, where there is one
    array = zarr.open_group(again.path, mode="r+")[name]
    array[20] = array[20] * 2
    assert [problem.shard for problem in verify_dataset(open_dataset(again.path))] == [1]


def test_xarray_sees_parts_and_scale(made):
    xarray = pytest.importorskip("xarray")
    data = xarray.open_zarr(made["float16"].path)
    assert data["channel"].dims[-1] == "part"
    parts = data["channel"].astype("float32")
    h = (parts.sel(part="real") + 1j * parts.sel(part="imag")) * data["channel_scale"]
    np.testing.assert_array_equal(h.values, made["float16"].read("channel", range(40)))
    rounded = xarray.open_zarr(made["rounded"].path)["channel"]
    np.testing.assert_array_equal(rounded.values, made["rounded"].read("channel", range(40)))


def test_the_command_line_writes_shows_and_exports_it(made, tmp_path, capsys):
    out = tmp_path / "half.zarr"
    code, text, _ = cli(capsys, "generate", made["recipe"], "--size", "tiny", "--out", out, "--storage", "float16")
    assert code == 0
    assert made["float16"].content_digest in text
    code, text, _ = cli(capsys, "inspect", out)
    assert code == 0
    assert "float16: NMSE" in " ".join(text.split())
    code, text, _ = cli(capsys, "card", out)
    assert code == 0
    assert "float16: NMSE" in text
    assert "--seed 11 --storage float16 --out half.zarr" in text
    code, _, err = cli(capsys, "export", out, "--format", "hdf5", "--out", tmp_path / "half.h5")
    assert code == 0, err
    with h5py.File(tmp_path / "half.h5") as file:
        np.testing.assert_array_equal(file["channel"][:], made["float16"].read("channel", range(40)))
        assert "channel_scale" not in file
    # Another storage is another dataset.
    code, _, err = cli(capsys, "generate", made["recipe"], "--size", "tiny", "--out", out)
    assert code == 2
    assert "another dataset" in err
    code, _, err = cli(capsys, "generate", made["recipe"], "--size", "tiny", "--out", out, "--storage", "float61")
    assert code == 2
    assert "float16" in err


def test_a_recipe_may_ask_for_it(made, tmp_path):
    text = made["recipe"].read_text()
    recipe = tmp_path / "small.toml"
    recipe.write_text(text.replace("seed = 11", 'seed = 11\nstorage = "rounded"'))
    assert generate(recipe, size="tiny", out=tmp_path / "r.zarr").spec == made["rounded"].spec
    with pytest.raises(UnknownNameError, match="storage"):
        build_spec(recipe, "tiny", storage="raw")


def test_a_damaged_lossy_shard_is_repaired(made, tmp_path, capsys):
    path = tmp_path / "copy.zarr"
    shutil.copytree(made["rounded"].path, path)
    victim = next(file for file in (path / "channel" / "c" / "1").rglob("*") if file.is_file())
    victim.write_bytes(victim.read_bytes()[:-9])
    code, out, _ = cli(capsys, "verify", path, "--repair")
    assert code == 0, out
    assert open_dataset(path).content_digest == made["rounded"].content_digest
    assert json.loads((path / "zarr.json").read_text())["attributes"]["storage"]["kind"] == "rounded"
