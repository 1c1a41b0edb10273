"""NPZ files, written piece by piece."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wbench.dataset.export.variable import Variable

__all__ = ["write_npz"]

_npy: Any = np.lib.format  # NumPy ships no types for this module


def write_npz(path: Path, variables: Sequence[Variable], text: str, advance: Callable[[int], None]) -> None:
    """Write one uncompressed NPZ file; ``text`` becomes the 0-d string array ``wbench``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open(_member("wbench"), "w") as stream:
            buffer = io.BytesIO()
            _npy.write_array(buffer, np.array(text), allow_pickle=False)
            stream.write(buffer.getvalue())
        for variable in variables:
            with archive.open(_member(variable.name), "w", force_zip64=True) as stream:
                header = {
                    "descr": _npy.dtype_to_descr(variable.dtype),
                    "fortran_order": False,
                    "shape": variable.shape,
                }
                _npy.write_array_header_2_0(stream, header)
                for _, piece in variable.rows():
                    stream.write(np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)
                    advance(len(piece))


def _member(name: str) -> zipfile.ZipInfo:
    # A fixed date: the same export is the same file.
    return zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
