"""Where a dataset lies: a folder, or whatever fsspec can reach (``s3://…``, ``memory://…``).

An object of a folder is a temporary file, ``fsync`` and a rename; an object store writes whole objects by itself.
"""

from __future__ import annotations

import glob
import os
import platform
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

from wbench.dataset.objects import MANIFEST, ROOT_KEY, Place
from wbench.errors import DatasetError, OutputConflictError

__all__ = ["MANIFEST", "ROOT_KEY", "FolderPlace", "Location", "Place", "is_url", "place_of"]

#: What a user names: a folder, or a URL of fsspec.
Location: TypeAlias = "str | os.PathLike[str]"

_TEMPORARY: Final = f"{MANIFEST}/tmp"
_LOCK: Final = f"{MANIFEST}/lock"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*(://|::)")
#: Objects of one shard that are written at the same time: they wait for the disk or the network, not for each other.
_WRITERS: Final = 8


class FolderPlace(Place):
    """A folder of this machine, or one that several machines mount."""

    exclusive = True

    def __init__(self, root: Location) -> None:
        self._root = Path(root)

    @property
    def path(self) -> Path:
        """The folder."""
        return self._root

    def read(self, key: str, start: int | None = None, stop: int | None = None) -> bytes:
        """See :meth:`Place.read`."""
        if start is None and stop is None:
            return (self._root / key).read_bytes()
        with (self._root / key).open("rb") as stream:
            stream.seek(start or 0)
            return stream.read(-1 if stop is None else stop - (start or 0))

    def read_many(self, keys: Iterable[str]) -> dict[str, bytes | Exception]:
        """See :meth:`Place.read_many`."""
        found: dict[str, bytes | Exception] = {}
        for key in keys:
            try:
                found[key] = (self._root / key).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                found[key] = error
        return found

    def write(self, key: str, data: bytes) -> None:
        """See :meth:`Place.write`."""
        path = self._root / key
        temporary = self._root / _TEMPORARY / uuid.uuid4().hex
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            for last in (False, False, True):
                try:
                    temporary.parent.mkdir(parents=True, exist_ok=True)
                    _write_durably(temporary, data)
                    temporary.replace(path)
                    return
                except FileNotFoundError:  # somebody cleaned up, see clean()
                    if last:
                        raise
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise

    def write_many(self, objects: Mapping[str, bytes]) -> None:
        """See :meth:`Place.write_many`."""
        _in_threads(self.write, objects)

    def create(self, objects: Mapping[str, bytes]) -> None:
        """Make the folder under a temporary name and rename it: it is absent, or complete in its metadata."""
        root = self._root.resolve()  # a link to an empty folder: the folder it names is replaced, not the link
        stem = f".{root.name}.{platform.node() or 'host'}"
        temporary = root.with_name(f"{stem}-{os.getpid()}.tmp")
        try:
            if root.exists() and (not root.is_dir() or any(root.iterdir())):
                raise _something_else(self)
            root.parent.mkdir(parents=True, exist_ok=True)
            _remove_stale(root.parent, stem)
            (temporary / MANIFEST).mkdir(parents=True)
            _write_all(temporary, objects)
            if root.exists():
                root.rmdir()
            temporary.rename(root)
        except OSError as error:
            if isinstance(error, OutputConflictError):
                raise
            if (root / ROOT_KEY).exists():
                raise _something_else(self) from error  # another process was first: the caller looks what it made
            raise DatasetError("The dataset cannot be created.", where=str(root), why=str(error)) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def remove(self, keys: Iterable[str]) -> None:
        """See :meth:`Place.remove`."""
        for key in keys:
            (self._root / key).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        """See :meth:`Place.remove_folder`."""
        shutil.rmtree(self._root / folder, ignore_errors=True)

    def list(self, folder: str = "") -> dict[str, int | None]:
        """See :meth:`Place.list`."""
        found: dict[str, int | None] = {}
        try:
            with os.scandir(self._root / folder) as items:
                for item in items:
                    with suppress(FileNotFoundError):  # removed since
                        found[item.name] = None if item.is_dir() else item.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return {}
        return found

    def exists(self, key: str) -> bool:
        """See :meth:`Place.exists`."""
        return (self._root / key).exists()

    def found(self) -> bool:
        """See :meth:`Place.found`."""
        return self._root.exists()

    def store(self) -> Any:
        """See :meth:`Place.store`."""
        from zarr.storage import LocalStore

        return LocalStore(self._root, read_only=True)

    @contextmanager
    def claim(self, first: int, count: int) -> Iterator[bool]:
        """See :meth:`Place.claim`: a byte-range lock, which the system takes back when a process dies."""
        from wbench.dataset.claims import claimed

        with claimed(self._lock_file(), first, count) as mine:
            yield mine

    def clean(self) -> None:
        """See :meth:`Place.clean`."""
        from wbench.dataset.claims import EVERYTHING, claimed

        with claimed(self._lock_file(), 0, EVERYTHING) as alone:
            if alone:
                self.remove_folder(_TEMPORARY)

    def _lock_file(self) -> Path:
        path = self._root / _LOCK
        try:
            path.parent.mkdir(exist_ok=True)
            path.touch()
        except OSError as error:
            raise DatasetError("The dataset cannot be written.", where=str(path), why=str(error)) from error
        return path


def _something_else(place: Place) -> OutputConflictError:
    return OutputConflictError(
        "The output place holds something that is not a wbench dataset. It was left untouched.",
        where=str(place),
        next_step="choose another place with --out, or move that one away",
    )


def _in_threads(write: Callable[[str, bytes], None], objects: Mapping[str, bytes]) -> None:
    with ThreadPoolExecutor(min(_WRITERS, max(1, len(objects)))) as pool:
        for _ in pool.map(write, objects.keys(), objects.values()):
            pass  # raises what the first of them raised


def _write_all(folder: Path, objects: Mapping[str, bytes]) -> None:
    for path in {(folder / key).parent for key in objects}:
        path.mkdir(parents=True, exist_ok=True)
    _in_threads(lambda key, data: _write_durably(folder / key, data), objects)


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())  # a manifest entry must not outlive a power failure that its data did not


def _remove_stale(parent: Path, stem: str) -> None:
    """Remove what killed processes of this machine left half created."""
    for path in parent.glob(f"{glob.escape(stem)}-*.tmp"):
        pid = path.name.removeprefix(f"{stem}-").removesuffix(".tmp")
        if pid.isdigit() and (int(pid) == os.getpid() or not _alive(int(pid))):
            shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_url(location: Location | Place) -> bool:
    """Whether a location is one for fsspec rather than a path."""
    return isinstance(location, str) and _URL.match(location) is not None


def place_of(location: Location | Place, storage_options: Mapping[str, Any] | None = None) -> Place:
    """The place that a path or URL means; a place is returned as it is.

    Parameters
    ----------
    location : path, str or Place
        A folder, or a URL with the protocol of an fsspec file system.
    storage_options : mapping, optional
        Arguments of that file system; its own configuration and environment variables hold as well.

    Raises
    ------
    UsageError
        No such protocol.
    MissingDependencyError
        The protocol's package is not installed.
    """
    if isinstance(location, Place):
        return location
    if isinstance(location, str) and is_url(location):
        if location.startswith("file://"):
            return FolderPlace(location.removeprefix("file://"))
        from wbench.dataset.remote import RemotePlace

        return RemotePlace(location, storage_options)
    return FolderPlace(location)
