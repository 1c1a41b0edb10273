"""Cache of embeddings: arrays that a frozen embedder made, on disk, mapped, checked by digest, bounded in bytes.

An entry is an ``.npy`` file and a sidecar of the same name, which holds the whole key, the file's digest and what it
cost. The sidecar is written last: without it the array does not exist. A file whose bytes are not those of its sidecar
is removed and made again. Everything in the folder may be deleted at any time.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.digest import canonical_json, file_digest, value_digest

__all__ = ["DEFAULT_LIMIT_BYTES", "EmbeddingCache", "Stored", "embeddings_folder"]

DEFAULT_LIMIT_BYTES: Final = 10 << 30
#: Disk space that is left to others.
RESERVE_BYTES: Final = 1 << 30
#: Temporary files of processes that were killed are removed after so long.
STALE_S: Final = 24 * 3600.0
#: Errors of file systems without locks; two processes then do the same work, and both leave a whole file.
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

Key = Mapping[str, Any]
_log = logging.getLogger(__name__)
#: Files whose bytes this process has read and compared: path → (inode, modification time, size).
_verified: dict[Path, tuple[int, int, int]] = {}


def embeddings_folder(out: str | Path) -> Path:
    """``$WBENCH_CACHE/embeddings``, or ``OUT/.cache/embeddings`` beside the results. It need not exist."""
    given = os.environ.get("WBENCH_CACHE")
    return (Path(given) if given else Path(out) / ".cache") / "embeddings"


@dataclass(frozen=True)
class Stored:
    """An array and what it cost: the time, and what is known of single calls.

    ``array`` is mapped copy-on-write: pages are shared by all processes, and writing into it reaches no file.
    """

    array: npt.NDArray[Any]
    seconds: float
    calls: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class EmbeddingCache:
    """A folder of arrays that several processes may use at the same time.

    Parameters
    ----------
    folder : Path
        Made when the first array is stored.
    limit_bytes : int
        Arrays that were not used for the longest time are removed to stay below it.
    """

    folder: Path
    limit_bytes: int = DEFAULT_LIMIT_BYTES

    def get(self, key: Key) -> Stored | None:
        """The array of a key, None if it is not there; a damaged one is removed."""
        path = self._path(key)
        try:
            facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            facts = {}
        try:
            if facts["key"] != json.loads(canonical_json(key)) or not _whole(path, facts["sha256"], facts["bytes"]):
                raise ValueError("not the bytes that its sidecar names")
            array = np.load(path, mmap_mode="c", allow_pickle=False)
            found = Stored(array.view(np.ndarray), float(facts["seconds"]), facts.get("calls", {}))
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            _log.warning("The embeddings in %s are damaged and are made again: %s", path, error)
            self._remove(path)
            return None
        with suppress(OSError):  # of a read-only cache
            os.utime(path.with_suffix(".json"))  # last used now
        return found

    def put(
        self, key: Key, array: npt.NDArray[Any], seconds: float, calls: Mapping[str, float | None] | None = None
    ) -> bool:
        """Store an array; False, with a warning in the log, where there is no room for it."""
        path = self._path(key)
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.{threading.get_ident()}.tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room(array.nbytes)
            if array.nbytes > self.limit_bytes or shutil.disk_usage(self.folder).free < array.nbytes + RESERVE_BYTES:
                raise OSError(errno.ENOSPC, "no room")
            self._write(temporary, lambda stream: np.save(stream, array, allow_pickle=False))
            facts = {"key": dict(key), "sha256": file_digest(temporary), "bytes": temporary.stat().st_size}
            temporary.replace(path)
            text = canonical_json({**facts, "seconds": seconds, "calls": dict(calls or {})}).encode()
            self._write(temporary, lambda stream: stream.write(text))
            temporary.replace(path.with_suffix(".json"))
        except OSError as error:
            _log.warning("Embeddings are not kept, they will be made again: %s: %s", self.folder, error)
            return False
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        return True

    @contextmanager
    def making(self, key: Key) -> Iterator[None]:
        """Hold the key: others that want to make the same array wait, and then find it."""
        with ExitStack() as stack:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                stream = stack.enter_context(self._path(key).with_suffix(".lock").open("w"))
                fcntl.flock(stream, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in (*_NO_LOCKS, errno.EACCES, errno.EROFS, errno.ENOSPC):
                    raise
            yield

    def _path(self, key: Key) -> Path:
        return self.folder / f"{value_digest(dict(key))[7:39]}.npy"

    @staticmethod
    def _write(path: Path, write: Callable[[Any], Any]) -> None:
        with path.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())

    def _remove(self, path: Path) -> None:
        _verified.pop(path, None)
        for suffix in (".json", ".npy", ".lock"):  # the sidecar first: without it the array does not exist
            with suppress(OSError):
                path.with_suffix(suffix).unlink(missing_ok=True)

    def _make_room(self, nbytes: int) -> None:
        """Remove what was not used for the longest time until so many bytes fit below the limit."""
        found: list[tuple[float, int, Path]] = []
        now = time.time()
        for path in self.folder.glob("*.npy"):
            with suppress(OSError):  # another process removed it meanwhile
                sidecar = path.with_suffix(".json")
                used = sidecar.stat().st_mtime if sidecar.exists() else path.stat().st_mtime
                found.append((used, path.stat().st_size, path))
        for path in self.folder.glob(".*.tmp"):
            with suppress(OSError):
                if now - path.stat().st_mtime > STALE_S:
                    path.unlink()
        total = nbytes + sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.limit_bytes:
                return
            self._remove(path)
            total -= size


def _whole(path: Path, digest: str, size: int) -> bool:
    """Whether the file is what its sidecar says; its bytes are read once per process."""
    stat = path.stat()
    seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
    if stat.st_size != size:
        return False
    if _verified.get(path) != seen:
        if file_digest(path) != digest:
            return False
        _verified[path] = seen
    return True
