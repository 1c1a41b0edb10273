"""Memory-mapped copies of dataset rows on the local disk: ``.npy`` files that name the bits they hold.

The folder is ``$WBENCH_CACHE``, else ``$XDG_CACHE_HOME/wbench``, else ``~/.cache/wbench``. A file is named after the
dataset's content digest, the array and the rows, so it never goes stale; any of them may be deleted at any time.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.digest import array_digest
from wbench.errors import DatasetError

__all__ = ["cache_path", "cache_root", "has_room", "machine_memory", "map_rows"]

#: Disk space that is left to others.
RESERVE_BYTES: Final = 1 << 30
_CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


def cache_root() -> Path:
    """The cache folder; it need not exist."""
    given = os.environ.get("WBENCH_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wbench"


def cache_path(content: str, name: str, ids: npt.NDArray[np.int64]) -> Path:
    """File of some rows of an array.

    Parameters
    ----------
    content : str
        Content digest of the dataset.
    name : str
        Array name.
    ids : int64 ndarray [n]
        Sample ids in the file's order.
    """
    short = [digest.removeprefix("sha256:")[:20] for digest in (content, array_digest(ids))]
    return cache_root() / short[0] / f"{name}-{short[1]}.npy"


def has_room(nbytes: int) -> bool:
    """Whether the disk of the cache folder has room for so much more."""
    place = cache_root().absolute()
    while not place.exists():
        place = place.parent
    return os.access(place, os.W_OK) and shutil.disk_usage(place).free >= nbytes + RESERVE_BYTES


def machine_memory() -> int:
    """Memory of this machine, or of the control group that this process may use, in bytes."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(total, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no control groups, or "max"
        return total


def map_rows(
    path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike, pieces: Iterable[npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    """Rows from the cache, made first if they are not there.

    Parameters
    ----------
    path : Path
        Result of :func:`cache_path`.
    shape, dtype
        Of the whole file.
    pieces : iterable of ndarray
        Consecutive rows; taken only if the file has to be made. Of several processes one makes it, the others wait.

    Returns
    -------
    ndarray
        Read-only and mapped: pages are shared by all processes and given back when memory is short.

    Raises
    ------
    DatasetError
        The cache cannot be written, e.g. because the disk is full. Nothing half-made is left.
    """
    expected = np.dtype(dtype)
    try:
        found = _open(path, shape, expected)
        if found is not None:
            return found
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path):
            if _open(path, shape, expected) is None:
                _make(path, shape, expected, pieces)
    except OSError as error:
        raise DatasetError(
            "The cache of dataset rows cannot be written.",
            where=str(path),
            why=str(error),
            next_step="set WBENCH_CACHE to a folder with room, or delete what is not needed in it",
        ) from error
    made = _open(path, shape, expected)
    if made is None:
        raise DatasetError("The cache of dataset rows cannot be read back.", where=str(path))
    return made


def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any] | None:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not there, or cut short
        return None
    return found.view(np.ndarray) if found.shape == shape and found.dtype == dtype else None


def _make(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], pieces: Iterable[npt.NDArray[Any]]) -> None:
    temporary = path.with_suffix(".tmp")  # ours alone: the lock is held
    try:
        # Written, not mapped: a full disk is an error message here, and a bus error there.
        with temporary.open("wb") as stream:
            header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_2_0(stream, header)  # type: ignore[no-untyped-call]
            rows = 0
            for piece in pieces:
                stream.write(np.ascontiguousarray(piece, dtype=dtype).data)
                rows += len(piece)
            stream.flush()
            os.fsync(stream.fileno())
        if rows != shape[0]:
            raise DatasetError("The dataset's array is too short.", where=str(path), why=f"{rows} of {shape[0]} rows")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.with_suffix(".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
