"""Files that are either absent or whole, whatever stops the process that writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wbench.errors import ResultError

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path, what: str) -> Iterator[Path]:
    """Give a temporary file beside ``path`` to write to; when that is done it takes the name.

    Parameters
    ----------
    path : Path
        What is written; its folder is made.
    what : str
        For the message: "The result".

    Raises
    ------
    ResultError
        If it cannot be written. A failed save is an error, never a warning.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ResultError(f"{what} could not be saved.", where=str(path), why=str(error)) from error
    finally:  # also on Ctrl-C
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
