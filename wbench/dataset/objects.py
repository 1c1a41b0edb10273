"""A place for the objects of a dataset: what a folder and an object store have in common.

A dataset is a set of objects named by keys, ``channel/c/3/0/0/0/0`` or ``.wbench/shard-000003.json``. Every object is
written whole or not at all, so a reader never sees half of one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["MANIFEST", "ROOT_KEY", "Place"]

#: Folder of what is ours and not Zarr's; the leading dot keeps it out of Zarr's own listing.
MANIFEST: Final = ".wbench"
#: Metadata of the whole group. It is written last: a dataset without it does not exist.
ROOT_KEY: Final = "zarr.json"


class Place(ABC):
    """Objects below one root. Implementations hold no open files and can be pickled."""

    #: Whether claims hold: two processes cannot write one shard at the same time.
    exclusive: bool = False

    @property
    @abstractmethod
    def path(self) -> Path | str:
        """The folder, or the URL."""

    @property
    def name(self) -> str:
        """Last part of the path."""
        return str(self.path).rstrip("/").rpartition("/")[2]

    def __str__(self) -> str:
        return str(self.path)

    @abstractmethod
    def read(self, key: str, start: int | None = None, stop: int | None = None) -> bytes:
        """Bytes of an object, or some of them.

        Raises
        ------
        FileNotFoundError
            If there is no such object.
        """

    @abstractmethod
    def read_many(self, keys: Iterable[str]) -> dict[str, bytes | Exception]:
        """Several objects; those that are not there are left out, those that cannot be read are exceptions."""

    @abstractmethod
    def write(self, key: str, data: bytes) -> None:
        """Write one object, whole or not at all; when it returns, the bytes outlive a power failure."""

    @abstractmethod
    def write_many(self, objects: Mapping[str, bytes]) -> None:
        """Write several objects, each whole or not at all."""

    @abstractmethod
    def create(self, objects: Mapping[str, bytes]) -> None:
        """Write the first objects of a new dataset; the root's metadata become visible last.

        Raises
        ------
        OutputConflictError
            If something else is there. It is left untouched.
        """

    @abstractmethod
    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are no error."""

    @abstractmethod
    def remove_folder(self, folder: str) -> None:
        """Remove everything below a folder."""

    @abstractmethod
    def list(self, folder: str = "") -> dict[str, int | None]:
        """Names directly in a folder, with the size in bytes of objects; empty if there is no such folder."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is such an object."""

    @abstractmethod
    def found(self) -> bool:
        """Whether there is anything at all, a dataset or not."""

    @abstractmethod
    def store(self) -> Any:
        """Read-only ``zarr.abc.store.Store`` of the objects."""

    @abstractmethod
    def claim(self, first: int, count: int) -> Any:
        """Context manager: claim ``count`` shards from ``first`` on; True if no other writer has one of them."""

    @abstractmethod
    def clean(self) -> None:
        """Remove what killed writers left half-written, unless somebody writes right now.

        Raises
        ------
        DatasetError
            If nothing can be written here.
        """
