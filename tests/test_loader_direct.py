"""Rows straight from the files are what Zarr reads; what is not plain or not whole is left to Zarr."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers_data import write_recipe
from wbench import generate
from wbench.dataset import direct
from wbench.dataset.direct import read_rows

N, CHUNK = 45, 4
KINDS = {
    "chunks": {},
    "shards": {"shards": (12, 3, 2)},
    "one-shard": {"shards": (48, 3, 2)},
    "zstd": {"shards": (12, 3, 2), "compressors": zarr.codecs.BloscCodec(cname="zstd")},
    "big-endian": {"serializer": zarr.codecs.BytesCodec(endian="big")},
    "inner": {"chunks": (CHUNK, 1, 2)},
}
PLAIN = ("chunks", "shards", "one-shard")


def make(store, dtype="complex64", **options):
    options = {"chunks": (CHUNK, 3, 2), "compressors": None, "filters": None, "fill_value": 0, **options}
    group = zarr.open_group(store, mode="w", zarr_format=3)
    array = group.create_array("a", shape=(N, 3, 2), dtype=dtype, **options)
    array[:] = np.random.default_rng(0).standard_normal((N, 3, 2, 2)).astype("f4").view("c8")[..., 0].astype(dtype)
    return zarr.open_group(store, mode="r")["a"]


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    folder = tmp_path_factory.mktemp("direct")
    return {kind: make(folder / f"{kind}.zarr", **options) for kind, options in KINDS.items()}


@pytest.mark.parametrize("kind", KINDS)
@given(start=st.integers(0, N), length=st.integers(0, N + 5))
@settings(max_examples=25, deadline=None)
def test_any_range_is_that_of_zarr(arrays, kind, start, length):
    expected = arrays[kind][start : start + length]
    found = read_rows(arrays[kind], start, start + length)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)


def test_plain_arrays_do_not_go_through_zarr_and_others_do(arrays, monkeypatch):
    for kind in KINDS:
        assert (direct._plain_folder(arrays[kind]) is not None) == (kind in PLAIN)
    monkeypatch.setattr(zarr.Array, "__getitem__", lambda *_: pytest.fail("zarr was asked"))
    for kind in PLAIN:
        assert len(read_rows(arrays[kind], 3, 30)) == 27


def test_our_own_datasets_are_plain(tmp_path, monkeypatch):
    dataset = generate(write_recipe(tmp_path), size="tiny", out=tmp_path / "small.zarr").open()
    assert all(direct._plain_folder(dataset.array(name)) is not None for name in dataset.array_names)
    expected = dataset.array("channel")[16:32]
    monkeypatch.setattr(zarr.Array, "__getitem__", lambda *_: pytest.fail("zarr was asked"))
    np.testing.assert_array_equal(dataset.read_shard("channel", 1), expected)


@pytest.mark.parametrize("dtype", ["int8", "float16", "float32", "bool"])
def test_other_dtypes(tmp_path, dtype):
    group = zarr.open_group(tmp_path / "y.zarr", mode="w", zarr_format=3)
    values = (np.arange(N) % 7).astype(dtype)
    array = group.create_array("v", data=values, chunks=(CHUNK,), shards=(12,), compressors=None, filters=None)
    assert direct._plain_folder(array) is not None
    np.testing.assert_array_equal(read_rows(array, 2, 44), values[2:44])


def test_another_store_is_read_by_zarr():
    array = make(zarr.storage.MemoryStore())
    assert direct._plain_folder(array) is None
    np.testing.assert_array_equal(read_rows(array, 5, 9), array[5:9])


@pytest.mark.parametrize("kind", ["chunks", "shards"])
def test_what_was_never_written_reads_as_missing(tmp_path, kind):
    group = zarr.open_group(tmp_path / "x.zarr", mode="w", zarr_format=3)
    options = {"compressors": None, "filters": None, "fill_value": np.nan, **KINDS[kind]}
    array = group.create_array("a", shape=(N, 3, 2), dtype="complex64", chunks=(CHUNK, 3, 2), **options)
    array[0:4] = 1
    found = read_rows(array, 0, 12)
    assert (found[:4] == 1).all()
    assert np.isnan(found[4:]).all()
    assert np.isnan(read_rows(array, 30, 40)).all()


def _file(array):
    return next(path for path in (array.store.root / "a" / "c" / "1").rglob("*") if path.is_file())


@pytest.mark.parametrize("damage", [lambda data: data[:50], lambda data: data[:-30] + b"\xff" * 30])
def test_a_damaged_shard_is_refused_as_zarr_refuses_it(tmp_path, damage):
    array = make(tmp_path / "x.zarr", **KINDS["shards"])
    _file(array).write_bytes(damage(_file(array).read_bytes()))
    with pytest.raises(Exception) as expected:  # noqa: PT011 - whatever zarr raises
        array[12:24]
    with pytest.raises(type(expected.value)):
        read_rows(array, 12, 24)
    np.testing.assert_array_equal(read_rows(array, 0, 12), array[0:12])


def test_an_empty_file_is_a_missing_shard_for_both(tmp_path):
    array = make(tmp_path / "x.zarr", fill_value=np.nan, **KINDS["shards"])
    _file(array).write_bytes(b"")
    assert np.isnan(array[12:24]).all()
    assert np.isnan(read_rows(array, 12, 24)).all()
