"""MATLAB files, written piece by piece: level 5 while every variable is below 2 GiB, else v7.3.

Level 5 is what ``scipy.io.loadmat`` and any MATLAB read; v7.3 is HDF5 behind a 512-byte user block, which MATLAB, h5py
and hdf5storage read. Both store column-major arrays, so a sample's numbers are scattered over the whole variable; the
file is therefore filled through a memory map (level 5) or in chunks along the sample dimension (v7.3).

Source: MathWorks, "MAT-File Format" (level 5); MATLAB's documentation of ``save -v7.3`` for the HDF5 one.
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from wbench.dataset.export.hdf5 import hdf5_file
from wbench.dataset.export.variable import Variable
from wbench.errors import SpecError

__all__ = ["LEVEL5_LIMIT", "fits_level5", "write_level5", "write_v73"]

#: Bytes of one variable in a level 5 file: sizes are counted in 31 bits.
LEVEL5_LIMIT = 2**31 - 1
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")

_MI_INT8, _MI_UINT16, _MI_INT32, _MI_UINT32, _MI_MATRIX, _MI_UTF8 = 1, 4, 5, 6, 14, 16
_CHAR_CLASS, _COMPLEX_FLAG = 4, 0x0800
# NumPy dtype of the parts -> (array class, data type, MATLAB's name)
_TYPES = {
    "f8": (6, 9, "double"),
    "f4": (7, 7, "single"),
    "i1": (8, 1, "int8"),
    "u1": (9, 2, "uint8"),
    "i2": (10, 3, "int16"),
    "u2": (11, 4, "uint16"),
    "i4": (12, 5, "int32"),
    "u4": (13, 6, "uint32"),
    "i8": (14, 12, "int64"),
    "u8": (15, 13, "uint64"),
}

Advance = Callable[[int], None]


def _part(variable: Variable) -> np.dtype[Any]:
    """Dtype of the real (and imaginary) part, checked to be one that MATLAB has."""
    dtype = variable.dtype
    part = np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype
    part = np.dtype("u1") if dtype.kind == "b" else part
    if part.str[1:] not in _TYPES or not _NAME.fullmatch(variable.name):
        why = f"{variable.name!r} of type {dtype} has no counterpart in MATLAB"
        raise SpecError("The variable cannot be written to a MATLAB file.", where=variable.name, why=why)
    return part.newbyteorder("<")


def _matlab_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    # MATLAB knows no vectors: one number per sample is a column.
    return shape if len(shape) >= 2 else (*shape, 1)


def fits_level5(variables: Sequence[Variable]) -> bool:
    """Whether every variable is small enough for a level 5 file."""
    return all(variable.nbytes + 4096 < LEVEL5_LIMIT for variable in variables)


# --- level 5 -------------------------------------------------------------------------------------------------------


def _element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def _head(name: str, shape: tuple[int, ...], array_class: int, flags: int = 0) -> bytes:
    dims = struct.pack(f"<{len(shape)}i", *shape)
    return (
        _element(_MI_UINT32, struct.pack("<II", array_class | flags, 0))
        + _element(_MI_INT32, dims)
        + _element(_MI_INT8, name.encode())
    )


def write_level5(path: Path, variables: Sequence[Variable], text: str, advance: Advance) -> None:
    """Write a level 5 MAT-file; ``text`` (ASCII) becomes the character variable ``wbench``."""
    parts = [_part(variable) for variable in variables]
    with path.open("w+b") as stream:
        stream.write(b"MATLAB 5.0 MAT-file, written by wbench".ljust(124) + struct.pack("<H", 0x0100) + b"IM")
        body = _head("wbench", (1, len(text)), _CHAR_CLASS) + _element(_MI_UTF8, text.encode("ascii"))
        stream.write(_element(_MI_MATRIX, body))
        for variable, part in zip(variables, parts, strict=True):
            _write_matrix(stream, path, variable, part, advance)


def _write_matrix(stream: BinaryIO, path: Path, variable: Variable, part: np.dtype[Any], advance: Advance) -> None:
    """One numeric variable: its head, then the space of its parts, then the values through a map of that space."""
    shape = _matlab_shape(variable.shape)
    array_class, kind, _ = _TYPES[part.str[1:]]
    both = variable.dtype.kind == "c"
    head = _head(variable.name, shape, array_class, _COMPLEX_FLAG if both else 0)
    size = math.prod(shape) * part.itemsize
    padded = size + -size % 8
    places = (2 if both else 1) * (8 + padded)
    stream.write(struct.pack("<II", _MI_MATRIX, len(head) + places) + head)
    start = stream.tell()
    if places:
        stream.flush()
        _reserve(stream, start, places)
    offsets = [start + index * (8 + padded) for index in range(2 if both else 1)]
    for offset in offsets:
        stream.seek(offset)
        stream.write(struct.pack("<II", kind, size))
    stream.flush()
    if size:
        maps: list[npt.NDArray[Any]] = [
            np.memmap(path, dtype=part, mode="r+", offset=offset + 8, shape=shape, order="F") for offset in offsets
        ]
        for row, piece in variable.rows():
            values = piece.reshape(len(piece), *shape[1:])
            maps[0][row : row + len(piece)] = values.real if both else values
            if both:
                maps[1][row : row + len(piece)] = values.imag
            advance(len(piece))
    stream.seek(start + places)


def _reserve(stream: BinaryIO, start: int, size: int) -> None:
    """Take the space now: on a full disk this is an error, while a later write to a map would kill the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(stream.fileno(), start, size)
        return
    stream.seek(start)
    for done in range(0, size, 1 << 20):
        stream.write(bytes(min(1 << 20, size - done)))
    stream.flush()


# --- v7.3 ----------------------------------------------------------------------------------------------------------


def write_v73(path: Path, variables: Sequence[Variable], text: str, advance: Advance) -> None:
    """Write a v7.3 MAT-file; ``text`` becomes the character variable ``wbench``."""
    parts = [_part(variable) for variable in variables]
    with hdf5_file(path, userblock=512) as (file, check):
        letters = file.create_dataset("wbench", data=np.frombuffer(text.encode("utf-16-le"), "<u2").reshape(-1, 1))
        letters.attrs["MATLAB_class"] = np.bytes_("char")
        letters.attrs["MATLAB_int_decode"] = np.int32(2)
        for variable, part in zip(variables, parts, strict=True):
            _write_v73_variable(file, variable, part, check, advance)
    with path.open("r+b") as stream:  # the user block, which HDF5 leaves alone
        stream.write(b"MATLAB 7.3 MAT-file, written by wbench".ljust(124) + struct.pack("<H", 0x0200) + b"IM")


def _write_v73_variable(
    file: Any, variable: Variable, part: np.dtype[Any], check: Callable[[], None], advance: Advance
) -> None:
    shape = _matlab_shape(variable.shape)
    both = variable.dtype.kind == "c"
    dtype = np.dtype([("real", part), ("imag", part)]) if both else part
    # HDF5 lists MATLAB's dimensions backwards, so the samples come last.
    chunks = (*shape[:0:-1], max(1, min(shape[0], (4 << 20) // max(1, math.prod(shape[1:]) * dtype.itemsize))))
    target = file.create_dataset(variable.name, shape=shape[::-1], dtype=dtype, chunks=chunks)
    target.attrs["MATLAB_class"] = np.bytes_(_TYPES[part.str[1:]][2])
    for row, piece in variable.rows():
        values = np.ascontiguousarray(piece.reshape(len(piece), *shape[1:]).T).astype(
            variable.dtype.newbyteorder("<") if both else part, copy=False
        )
        target[..., row : row + len(piece)] = values.view(dtype) if both else values
        check()
        advance(len(piece))
