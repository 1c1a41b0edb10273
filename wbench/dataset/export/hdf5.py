"""HDF5 files, written piece by piece, with write errors that arrive as one clear error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from wbench.dataset.export.variable import Variable
from wbench.digest import canonical_json

__all__ = ["hdf5_file", "write_hdf5"]


class _Sink:
    """A file for HDF5 that remembers the first write error instead of raising it.

    HDF5 writes when it likes, also while it closes. An error there leaves its objects half closed, and they go on
    complaining until the process ends. So the library is told that all is well, and the error is raised after it.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        while len(left) and self.error is None:
            try:
                left = left[self._stream.write(left) :]
            except OSError as error:
                self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._stream.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def readinto(self, buffer: Any) -> int:
        target = memoryview(buffer).cast("B")
        data = self._stream.read(len(target))
        target[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def flush(self) -> None:
        self._stream.flush()

    def check(self) -> None:
        """Raise the error, if there was one."""
        if self.error is not None:
            raise self.error


@contextmanager
def hdf5_file(path: Path, userblock: int = 0) -> Iterator[tuple[Any, Callable[[], None]]]:
    """Create an HDF5 file: yields the ``h5py.File`` and a function that raises a write error that has happened.

    Raises
    ------
    OSError
        If something could not be written, be it at the very end.
    """
    import h5py

    with path.open("w+b", buffering=0) as stream:
        sink = _Sink(stream)
        try:
            with h5py.File(sink, "w", userblock_size=userblock) as file:
                yield file, sink.check
        except Exception:
            sink.check()  # what HDF5 makes of a file that cannot be written says less than the first error
            raise
        sink.check()


def _attribute(value: Any) -> Any:
    """Scalars as they are, everything else as JSON text."""
    return value if isinstance(value, (bool, int, float, str)) else canonical_json(value)


def write_hdf5(
    path: Path, variables: Sequence[Variable], attributes: Mapping[str, Any], advance: Callable[[int], None]
) -> None:
    """Write one HDF5 file: a dataset per variable with named dimensions, attributes on file and datasets."""
    with hdf5_file(path) as (file, check):
        for key, value in sorted(attributes.items()):
            file.attrs[key] = _attribute(value)
        for variable in variables:
            target = file.create_dataset(variable.name, shape=variable.shape, dtype=variable.dtype)
            for axis, name in enumerate(variable.dims):
                target.dims[axis].label = name
            for key, value in sorted(variable.attributes.items()):
                target.attrs[key] = _attribute(value)
            for row, piece in variable.rows():
                target[row : row + len(piece)] = piece
                check()
                advance(len(piece))
