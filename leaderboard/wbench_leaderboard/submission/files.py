"""The files of a folder that a stranger filled: only plain files, no link is followed, every read has a limit."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from wbench.errors import ResultError
from wbench_leaderboard.submission.limits import MAX_FILES, MAX_FOLDER_BYTES

__all__ = ["folders", "read_bytes", "walk"]

DEPTH = 6


def folders(root: Path, report_other: list[str]) -> list[str]:
    """Names of the folders directly in a folder, sorted; everything else is added to ``report_other``."""
    found = []
    for entry in _entries(root):
        if entry.is_dir(follow_symlinks=False):
            found.append(entry.name)
        else:
            report_other.append(entry.name)
    return sorted(found)


def walk(root: Path) -> dict[str, int]:
    """Size in bytes of every file below a folder, by its path with ``/``, sorted.

    Raises
    ------
    ResultError
        If there is anything but folders and plain files, if they are too many, too deep or too large together, or if
        two names differ only in their case.
    """
    found: dict[str, int] = {}
    _walk(root, "", found, 0)
    if sum(found.values()) > MAX_FOLDER_BYTES:
        raise ResultError("The files are too large together.", why=f"the limit is {MAX_FOLDER_BYTES} bytes")
    return dict(sorted(found.items()))


def _walk(root: Path, prefix: str, found: dict[str, int], depth: int) -> None:
    if depth > DEPTH:
        raise ResultError("The folders are nested too deep.", where=prefix)
    seen: dict[str, str] = {}
    for entry in _entries(root / prefix):
        path = f"{prefix}{entry.name}"
        other = seen.setdefault(entry.name.casefold(), entry.name)
        if other != entry.name:
            raise ResultError("Two names differ only in their case.", where=path, why=f"{other} and {entry.name}")
        if entry.is_dir(follow_symlinks=False):
            _walk(root, f"{path}/", found, depth + 1)
            continue
        found[path] = _size(entry.stat(follow_symlinks=False), path)
        if len(found) > MAX_FILES:
            raise ResultError(f"There are more than {MAX_FILES} files.", where=prefix)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Entries of a folder; listing stops at the limit."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found.append(entry)
                if len(found) > MAX_FILES:
                    raise ResultError(f"A folder has more than {MAX_FILES} entries.", where=str(folder))
    except OSError as error:
        raise ResultError("The folder cannot be read.", where=str(folder), why=str(error)) from error
    return sorted(found, key=lambda entry: os.fsencode(entry.name))


def _size(status: os.stat_result, path: str) -> int:
    if stat.S_ISLNK(status.st_mode):
        raise ResultError("A symbolic link is not a file.", where=path, why=f"{path} is one")
    if not stat.S_ISREG(status.st_mode):
        raise ResultError("There is something that is not a file.", where=path, why=path)
    return status.st_size


def read_bytes(path: Path, limit: int) -> bytes:
    """The bytes of a plain file.

    Raises
    ------
    ResultError
        If it is larger than ``limit``, is not a plain file, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            size = _size(os.fstat(descriptor), path.name)
            if size > limit:
                raise ResultError(f"{path.name} is too large.", where=str(path), why=f"{size} bytes, limit {limit}")
            content = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, ResultError):
            raise
        raise ResultError(f"{path.name} cannot be read.", where=str(path), why=str(error)) from error
    if len(content) != size:
        raise ResultError(f"{path.name} changed while it was read.", where=str(path))
    return content
