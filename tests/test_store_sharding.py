"""Raw shards, byte for byte against Zarr's own writer."""

from __future__ import annotations

import json

import numpy as np
import pytest
import zarr

from wbench.dataset.sharding import raw_shard

DTYPES = ("complex64", "float64", "float32", "float16", "int32", "int8", "uint8", "bool")


def zarr_objects(tmp_path, values, samples, block, blocks, **options):
    """What Zarr writes, and its metadata."""
    with zarr.config.set({"array.write_empty_chunks": True}):
        array = zarr.create_array(
            tmp_path / "x",
            shape=(samples, *values.shape[1:]),
            dtype=values.dtype,
            chunks=(block, *values.shape[1:]),
            shards=(block * blocks, *values.shape[1:]) if blocks > 1 else None,
            **{"compressors": None, "filters": None, "overwrite": True, **options},
        )
        array[: len(values)] = values
    place = tmp_path / "x"
    files = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    return files, json.loads(files.pop("zarr.json"))


def draw(dtype, *shape):
    rng = np.random.default_rng(1)
    data = rng.integers(0, 2 if dtype == "bool" else 256, (*shape, np.dtype(dtype).itemsize), dtype=np.uint8)
    return data.view(dtype)[..., 0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 1, 4, 5)])
@pytest.mark.parametrize(("block", "blocks"), [(4, 1), (4, 6), (1, 3)])
def test_the_bytes_are_those_of_zarr(dtype, shape, block, blocks, tmp_path):
    rows = block * blocks
    values = draw(dtype, 2 * rows, *shape)
    files, metadata = zarr_objects(tmp_path, values, 2 * rows, block, blocks)
    made = dict(raw_shard(metadata, shard, values[shard * rows : (shard + 1) * rows]) for shard in (0, 1))
    assert made == files


def test_a_last_shard_of_whole_blocks(tmp_path):
    values = draw("float32", 4 * 8, 3)
    files, metadata = zarr_objects(tmp_path, values, 4 * 8, 4, 5)
    assert dict(raw_shard(metadata, shard, values[shard * 20 : (shard + 1) * 20]) for shard in (0, 1)) == files


def test_a_view_that_is_not_contiguous(tmp_path):
    values = draw("complex64", 24, 3, 5).transpose(0, 2, 1)
    files, metadata = zarr_objects(tmp_path, values, 24, 4, 6)
    assert dict([raw_shard(metadata, 0, values)]) == files


@pytest.mark.parametrize(
    "options",
    [
        {"compressors": zarr.codecs.ZstdCodec()},
        {"serializer": zarr.codecs.BytesCodec(endian="big")},
        {"filters": [zarr.codecs.TransposeCodec(order=(1, 0))]},
        {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    ],
)
@pytest.mark.parametrize("blocks", [1, 3])
def test_any_other_layout_is_left_to_zarr(options, blocks, tmp_path):
    values = draw("float32", 4 * blocks, 3)
    _, metadata = zarr_objects(tmp_path, values, 4 * blocks, 4, blocks, **options)
    assert raw_shard(metadata, 0, values) is None


def test_other_values_are_left_to_zarr(tmp_path):
    values = draw("float32", 12, 3)
    _, metadata = zarr_objects(tmp_path, values, 14, 4, 3)
    assert raw_shard(metadata, 0, values) is not None
    assert raw_shard(metadata, 0, values.astype(np.float64)) is None
    assert raw_shard(metadata, 0, values.astype(">f4")) is None
    assert raw_shard(metadata, 0, values[:, :2]) is None
    assert raw_shard(metadata, 1, values[:2]) is None  # a chunk that is not full
    _, metadata = zarr_objects(tmp_path, values[:4], 6, 4, 1)
    assert raw_shard(metadata, 1, values[:2]) is None
