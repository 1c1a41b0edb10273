"""Zarr's own store of a URL, with our errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest
from zarr.storage import FsspecStore, WrapperStore

__all__ = ["open_store"]


class _ClearStore(WrapperStore[FsspecStore]):
    """Reads like the wrapped store; what the storage raises becomes one clear error."""

    def __init__(self, store: FsspecStore, clear: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__(store)
        self._clear = clear

    def _with_store(self, store: FsspecStore) -> _ClearStore:
        return type(self)(store, self._clear)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        with self._clear():
            return await self._store.get(key, prototype, byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        with self._clear():
            return await self._store.get_partial_values(prototype, key_ranges)


def open_store(
    url: str, options: Mapping[str, Any], clear: Callable[[], AbstractContextManager[None]]
) -> WrapperStore[FsspecStore]:
    """Read-only store of a URL.

    Parameters
    ----------
    url : str
        Where the group lies.
    options : mapping
        Arguments of its file system.
    clear : callable
        Returns a context manager that turns the storage's exceptions into ours.
    """
    return _ClearStore(FsspecStore.from_url(url, storage_options=dict(options), read_only=True), clear)
