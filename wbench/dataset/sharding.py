"""Raw shards without detours: an uncompressed shard is its array's bytes and an index.

Zarr's own writer copies an array four times on the way and looks at every chunk: a tenth of the time of the simulation.
Whatever is not exactly the plain layout below is left to Zarr. Source: Zarr v3, codec ``sharding_indexed`` 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["raw_shard"]

_ENDIAN: Final = {"endian": "little"}
_INDEX_CODECS: Final = [{"name": "bytes", "configuration": _ENDIAN}, {"name": "crc32c"}]
#: Offset and length of a chunk that is not there.
_ABSENT: Final = 2**64 - 1


def raw_shard(metadata: Mapping[str, Any], shard: int, rows: npt.NDArray[Any]) -> tuple[str, bytes] | None:
    """Key below the array, and bytes, of a shard that covers the array's other dimensions whole.

    Parameters
    ----------
    metadata : mapping
        The array's metadata, ``zarr.json`` as plain JSON.
    shard : int
        Number of the shard along the first dimension.
    rows : ndarray [n, …]
        Its values; n is less than a whole shard at the end of the array only.

    Returns
    -------
    (str, bytes) or None
        None where this is not the plain layout: compressed, another dtype, another index, a chunk that is not full.
    """
    grid, names = metadata["chunk_grid"], metadata.get("chunk_key_encoding")
    if grid["name"] != "regular" or names != {"name": "default", "configuration": {"separator": "/"}}:
        return None
    outer, (codec, *others) = grid["configuration"]["chunk_shape"], metadata["codecs"]
    plain = rows.dtype.name == metadata["data_type"] and rows.dtype.byteorder in "=|<" and np.little_endian
    if others or not plain or list(rows.shape[1:]) != outer[1:] or metadata["shape"][1:] != outer[1:]:
        return None
    key = "/".join(["c", str(shard), *["0"] * len(outer[1:])])
    data = np.ascontiguousarray(rows)
    if _is_bytes(codec, rows.dtype):
        return (key, data.tobytes()) if len(rows) == outer[0] else None
    index = _index(codec, outer, data)
    return None if index is None else (key, b"".join([data.reshape(-1).view(np.uint8).data, index]))


def _is_bytes(codec: Mapping[str, Any], dtype: np.dtype[Any]) -> bool:
    return codec["name"] == "bytes" and (dtype.itemsize == 1 or codec.get("configuration") == _ENDIAN)


def _index(codec: Mapping[str, Any], outer: list[int], data: npt.NDArray[Any]) -> bytes | None:
    """Offsets and lengths of the chunks, and their checksum."""
    import google_crc32c

    if codec["name"] != "sharding_indexed":
        return None
    configuration = codec["configuration"]
    inner, (packed, *others) = configuration["chunk_shape"], configuration["codecs"]
    if others or not _is_bytes(packed, data.dtype) or configuration.get("index_location", "end") != "end":
        return None
    if configuration["index_codecs"] != _INDEX_CODECS or inner[1:] != outer[1:] or len(data) % inner[0]:
        return None
    table = np.full((outer[0] // inner[0], 2), _ABSENT, dtype="<u8")
    chunks = len(data) // inner[0]
    size = data[: inner[0]].nbytes
    table[:chunks, 0] = np.arange(chunks, dtype=np.uint64) * np.uint64(size)
    table[:chunks, 1] = size
    text = table.tobytes()
    return text + int(google_crc32c.value(text)).to_bytes(4, "little")
