"""Claims on shards: byte-range locks on one file, byte N for shard N.

The system takes a lock back when its process ends, however it ends, so there are no stale claims to clean up. POSIX
record locks work between processes of one machine and, on file systems that forward them (NFS, Lustre with ``flock``,
GPFS), between machines. They belong to a process, not to a thread, hence the table of what this process holds.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wbench.errors import DatasetError

__all__ = ["EVERYTHING", "claimed"]

#: More shards than any dataset has.
EVERYTHING: Final = 1 << 40
#: A file system without locks: what is left is that every object is written whole, as in an object store.
_NO_LOCKS: Final = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}

_guard = threading.Lock()
_files: dict[str, tuple[int, set[range]]] = {}


@contextmanager
def claimed(path: Path, first: int, count: int) -> Iterator[bool]:
    """Claim shards ``first`` to ``first + count − 1`` if nobody has one of them; never waits.

    Parameters
    ----------
    path : Path
        The lock file; it exists and stays empty.
    first, count : int
        The shards.

    Yields
    ------
    bool
        Whether they are claimed.

    Raises
    ------
    DatasetError
        If the lock file cannot be opened for writing.
    """
    span, name = range(first, first + count), str(path.resolve())
    mine = _take(name, span)
    try:
        yield mine
    finally:
        if mine:
            _give(name, span)


def _take(name: str, span: range) -> bool:
    with _guard:
        # Closing any descriptor of a file drops all locks of the process on it, so there is one for all claims.
        descriptor, held = _files.get(name) or (_open(name), set())
        _files[name] = (descriptor, held)
        taken = not any(span.start < other.stop and other.start < span.stop for other in held)
        try:
            if taken:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, len(span), span.start)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                taken = False
            elif error.errno not in _NO_LOCKS:
                _close_unused(name)
                raise DatasetError("A shard cannot be claimed.", where=name, why=str(error)) from error
        if taken:
            held.add(span)
        _close_unused(name)
        return taken


def _open(name: str) -> int:
    try:
        return os.open(name, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise DatasetError("The dataset cannot be written.", where=name, why=str(error)) from error


def _give(name: str, span: range) -> None:
    with _guard:
        descriptor, held = _files[name]
        held.discard(span)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_UN, len(span), span.start)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        _close_unused(name)


def _close_unused(name: str) -> None:
    descriptor, held = _files[name]
    if not held:
        os.close(descriptor)
        del _files[name]
