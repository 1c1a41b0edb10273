"""Arrays as plain bytes: NumPy's own format in the one form that we write, read without evaluating its header.

An archive (``.npz``) is read only if it is, byte for byte, what :func:`pack_archive` would write: nothing compressed,
nothing overlapping, nothing hidden between or behind its members.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ResultError
from wbench_leaderboard.submission.files import read_bytes
from wbench_leaderboard.submission.limits import MAX_DIMENSIONS

__all__ = ["pack_archive", "pack_array", "read_archive", "read_array"]

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([<|][a-z][0-9])', 'fortran_order': False, 'shape': \(((?:[0-9]{1,15}, )*[0-9]{1,15},?)\), \} *\n"
)
_LONGEST_HEADER = 512


def pack_array(array: npt.NDArray[Any]) -> bytes:
    """An array as the bytes of a ``.npy`` file, little-endian, rows first."""
    stream = io.BytesIO()
    data = np.ascontiguousarray(array)
    plain = data.astype(data.dtype.newbyteorder("<"))
    np.lib.format.write_array(stream, plain, (1, 0), allow_pickle=False)  # type: ignore[no-untyped-call]
    return stream.getvalue()


def read_array(content: bytes | Path, dtypes: Sequence[str], *, limit: int, name: str) -> npt.NDArray[Any]:
    """An array of one of the given dtypes.

    Parameters
    ----------
    content : bytes or Path
        A ``.npy`` file.
    dtypes : sequence of str
        What is allowed, as in the header: ``"<f4"``.
    limit : int
        Largest size in bytes.
    name : str
        What it is, for messages.

    Raises
    ------
    ResultError
        If the header is not exactly NumPy's, the dtype another one, the size not that of the shape, or a number is not
        finite.
    """
    data = read_bytes(content, limit) if isinstance(content, Path) else content
    dtype, shape, start = _header(data[: _LONGEST_HEADER + 10], name)
    if dtype not in dtypes:
        raise _refuse(name, f"its numbers are {dtype}, not {' or '.join(dtypes)}")
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    if expected != len(data) - start:
        raise _refuse(name, f"its header tells of {expected} bytes, there are {len(data) - start}")
    array = np.frombuffer(data, dtype=dtype, offset=start).reshape(shape)
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        raise _refuse(name, "it has NaN or infinity")
    return array


def _header(data: bytes, name: str) -> tuple[str, tuple[int, ...], int]:
    if not data.startswith(_MAGIC) or len(data) < 10:
        raise _refuse(name, "it is not a NumPy array of format 1.0")
    length = int.from_bytes(data[8:10], "little")
    match = _HEADER.fullmatch(data[10 : 10 + length]) if length <= _LONGEST_HEADER else None
    if match is None:
        raise _refuse(name, "its header is not one that numpy.save writes for a plain array")
    shape = tuple(int(part) for part in match[2].decode().split(",") if part.strip())
    if len(shape) > MAX_DIMENSIONS:
        raise _refuse(name, f"it has {len(shape)} dimensions, the limit is {MAX_DIMENSIONS}")
    return match[1].decode(), shape, 10 + length


def _refuse(name: str, why: str) -> ResultError:
    return ResultError(f"{name} is not an array that can be read.", where=name, why=why)


def pack_archive(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Arrays as the bytes of an ``.npz`` file: sorted by name, not compressed, without times."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name in sorted(arrays):
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system, member.external_attr = 3, 0o100644 << 16
            archive.writestr(member, pack_array(arrays[name]))
    return stream.getvalue()


def read_archive(content: bytes, dtypes: Mapping[str, Sequence[str]], *, name: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an archive.

    Parameters
    ----------
    content : bytes
        An ``.npz`` file, bounded by whoever read it.
    dtypes : mapping of str to sequence of str
        Exactly the members that must be there, with their allowed dtypes.
    name : str
        What it is, for messages.

    Raises
    ------
    ResultError
        If a member is missing, unknown, compressed or not an array, or the archive is not ours byte for byte.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if [member.filename for member in members] != [f"{key}.npy" for key in sorted(dtypes)]:
                raise _archive(name, f"its members are not {', '.join(sorted(dtypes))}")
            # Before anything is unpacked: stored members cannot be larger than the file that holds them.
            if any(m.compress_type != zipfile.ZIP_STORED or m.file_size > len(content) for m in members):
                raise _archive(name, "a member is compressed")
            data = {member.filename[:-4]: archive.read(member) for member in members}
    except (zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, ResultError):
            raise
        raise _archive(name, str(error)) from error
    except Exception as error:  # struct.error, EOFError, UnicodeError …: the archive reader's own ways to fail
        raise _archive(name, f"{type(error).__name__}: {error}") from error
    arrays = {
        key: read_array(values, dtypes[key], limit=len(content), name=f"{name}, {key}") for key, values in data.items()
    }
    if pack_archive(arrays) != content:
        raise _archive(name, "its bytes are not those that wbench submit writes")
    return arrays


def _archive(name: str, why: str) -> ResultError:
    return ResultError(f"{name} is not an archive that can be read.", where=name, why=why)
