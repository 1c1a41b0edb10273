"""Digests: canonical JSON for values, decoded bytes for arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["array_digest", "arrays_digest", "canonical_json", "file_digest", "value_digest"]


def canonical_json(value: Any) -> str:
    """Serialise a plain value as JSON with sorted keys and no spaces; NaN and infinity are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def value_digest(value: Any) -> str:
    """``sha256:…`` of the canonical JSON of a plain value."""
    return "sha256:" + hashlib.sha256(canonical_json(value).encode()).hexdigest()


def array_digest(array: npt.NDArray[Any]) -> str:
    """``sha256:…`` of dtype, shape and little-endian bytes of an array: re-compression does not change it."""
    import numpy as np  # here, so that `wbench list` digests specs without it

    data = np.asarray(array, order="C")
    if data.dtype.byteorder == ">":
        data = data.astype(data.dtype.newbyteorder("<"))
    head = f"{data.dtype.str.lstrip('<|=')} {data.shape}".encode()
    state = hashlib.sha256(head)
    state.update(data.reshape(-1).view(np.uint8).data)
    return "sha256:" + state.hexdigest()


def arrays_digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """Digest of several named arrays."""
    return value_digest({name: array_digest(array) for name, array in arrays.items()})


def file_digest(path: Path) -> str:
    """``sha256:…`` of a file's bytes."""
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
