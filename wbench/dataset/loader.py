"""Batches at full speed: the split in memory, in a memory-mapped cache, or shuffled block by block; by its size.

Samples are never fetched one by one. Whole shards are read, checked against their digests, and kept where the split
fits; where it fits nowhere, whole shards (or chunks) are read in random order and shuffled in a window. All three are
deterministic: the order depends on the ids, the seed and the epoch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from wbench import seeding
from wbench.dataset.cache import cache_path, has_room, machine_memory, map_rows
from wbench.dataset.direct import read_rows
from wbench.dataset.spec import DatasetSpec
from wbench.errors import UsageError

__all__ = ["WINDOW_BYTES", "Batches", "Source", "Strategy", "can_map", "choose", "mapped_rows", "rows_in_order"]

Ids = npt.NDArray[np.int64]
Values = npt.NDArray[Any]
Strategy = Literal["memory", "memory-map", "blocks"]

#: Shares of the machine's memory: what a split may take of it, and what the page cache holds of a mapped one.
MEMORY_SHARE: Final = 0.4
MAP_SHARE: Final = 0.8
#: Samples that are shuffled together by "blocks". Not a share of the memory, so that the order is the same everywhere.
WINDOW_BYTES: Final = 256 << 20

_log = logging.getLogger(__name__)


class Source(Protocol):
    """What the loader needs of a :class:`~wbench.dataset.reader.Dataset`."""

    @property
    def path(self) -> object:
        """Folder or address, for messages."""

    @property
    def spec(self) -> DatasetSpec:
        """What was asked for."""

    @property
    def content_digest(self) -> str:
        """Digest of the bits."""

    def array(self, name: str) -> Any:
        """Shape, dtype, chunks, and rows by slice."""

    def read_shard(self, name: str, shard: int) -> Values:
        """A whole shard, checked."""

    def check_ids(self, name: str, ids: npt.ArrayLike) -> Ids:
        """The ids as int64, or an error."""


def choose(nbytes: int, memory: int, workers: int, mappable: bool) -> Strategy:
    """Where a shuffled split goes.

    Parameters
    ----------
    nbytes : int
        Size of the split.
    memory : int
        Memory that it may take, of all worker processes together.
    workers : int
        Processes that read it.
    mappable : bool
        Whether the cache's disk has room, and the page cache could hold it.

    Returns
    -------
    {"memory", "memory-map", "blocks"}
        ``memory`` if each process can hold a copy; else ``memory-map`` where possible; else ``blocks``.
    """
    if nbytes * max(1, workers) <= memory:
        return "memory"
    return "memory-map" if mappable else "blocks"


def can_map(source: Source, names: tuple[str, ...], ids: Ids) -> bool:
    """Whether the cache can take rows of sorted ids: its disk has room for them, and the page cache could hold them."""
    row_bytes = {name: _row_bytes(source.array(name)) for name in names}
    if len(ids) * sum(row_bytes.values()) > MAP_SHARE * machine_memory():
        return False
    missing = [name for name in names if not cache_path(source.content_digest, name, ids).exists()]
    return has_room(len(ids) * sum(row_bytes[name] for name in missing))


class Batches:
    """The batches of an epoch, again and again; see :meth:`wbench.dataset.reader.Dataset.batches`.

    Attributes
    ----------
    strategy : {"memory", "memory-map", "blocks"}
        How they are made.
    nbytes : int
        Size of the split in bytes, decoded.
    ids : int64 ndarray [n]
        The ids as they were given.
    epoch : int
        The next epoch; each iteration takes one.
    """

    def __init__(
        self,
        source: Source,
        ids: npt.ArrayLike,
        size: int,
        arrays: tuple[str, ...] = ("channel",),
        *,
        shuffle_seed: int | None = None,
        memory: int | None = None,
        share: tuple[int, int] = (0, 1),
        mappable: bool | None = None,
    ) -> None:
        if size < 1 or not arrays or (shuffle_seed is not None and shuffle_seed < 0):
            why = f"size {size}, arrays {arrays}, shuffle_seed {shuffle_seed}"
            raise UsageError("Batches need a size from 1 on, an array, and a seed from 0 on or none.", why=why)
        self._source, self._size, self._arrays, self._seed, self._share = source, size, arrays, shuffle_seed, share
        self.ids = source.check_ids(arrays[0], ids)
        order = np.argsort(self.ids, kind="stable")
        self._sorted = self.ids[order]  # rows are kept and cached in this order
        self._row = np.empty_like(order)
        self._row[order] = np.arange(len(order))
        self._row_bytes = sum(_row_bytes(source.array(name)) for name in arrays)
        self.nbytes = self._row_bytes * len(order)
        self._memory = int(MEMORY_SHARE * machine_memory()) if memory is None else memory
        if mappable is None:
            mappable = can_map(source, arrays, self._sorted)
        # In order, streaming whole chunks is as fast as it gets: nothing is gained by a copy on the disk.
        self.strategy = choose(self.nbytes, self._memory, share[1], mappable and shuffle_seed is not None)
        self.epoch = 0
        self._held: dict[str, Values] | None = None
        if share[0] == 0:
            text = "%s: %d samples of %s, %.3g GB: %s"
            _log.info(text, source.path, len(order), ", ".join(arrays), self.nbytes / 1e9, self.strategy)

    def __len__(self) -> int:
        """Batches of an epoch, of all processes together."""
        return -(-len(self._sorted) // self._size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the next epoch: its order depends on its number, not on how many there were before."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[dict[str, Values]]:
        """Batches of the next epoch: ``sample`` (the ids, int64 [n]) and the arrays [n, …], copies."""
        epoch = self.epoch
        self.epoch += 1
        return self._windows(epoch) if self.strategy == "blocks" else self._whole(epoch)

    # --- the split in memory, or mapped ------------------------------------------------------------------------------

    def _whole(self, epoch: int) -> Iterator[dict[str, Values]]:
        held = self._hold()
        rows = self._row if self._seed is None else self._rng(epoch).permutation(len(self._sorted))
        worker, workers = self._share
        # Every process draws the whole order and serves every W-th batch: together they serve what one would.
        for start in range(worker * self._size, len(rows), workers * self._size):
            picked = rows[start : start + self._size]
            yield {"sample": self._sorted[picked], **{name: np.take(a, picked, axis=0) for name, a in held.items()}}

    def _hold(self) -> dict[str, Values]:
        if self._held is None:
            if self.strategy == "memory-map":
                self._held = {name: mapped_rows(self._source, name, self._sorted) for name in self._arrays}
            else:
                self._held = {name: _filled(self._source, name, self._sorted) for name in self._arrays}
        return self._held

    def _rng(self, epoch: int) -> np.random.Generator:
        return seeding.rng(self._seed or 0, "batches", epoch)

    # --- block by block ----------------------------------------------------------------------------------------------

    def _windows(self, epoch: int) -> Iterator[dict[str, Values]]:
        held: dict[str, Values] = {}  # one buffer for all windows: fresh memory costs as much as the reading
        left = 0
        worker, workers = self._share
        for number, ids in enumerate(self._window_ids(epoch)):
            if number % workers != worker:
                continue
            count = left + len(ids)
            if not held or len(held["sample"]) < count:
                held = self._grown(held, count + count // 8, left)
            held["sample"][left:count] = ids
            for name in self._arrays:
                _pick(self._source, name, ids, held[name][left:count])
            whole = count // self._size * self._size
            for start in range(0, whole, self._size):
                yield {name: values[start : start + self._size].copy() for name, values in held.items()}
            left = count - whole
            for values in held.values():
                values[:left] = values[whole:count].copy() if left > whole else values[whole:count]
        if left:
            yield {name: values[:left].copy() for name, values in held.items()}

    def _grown(self, held: dict[str, Values], rows: int, left: int) -> dict[str, Values]:
        shapes = {"sample": ((), np.dtype(np.int64))}
        shapes |= {n: (a.shape[1:], a.dtype) for n in self._arrays for a in (self._source.array(n),)}
        grown: dict[str, Values] = {
            name: np.empty((rows, *shape), dtype=dtype) for name, (shape, dtype) in shapes.items()
        }
        for name in held:
            grown[name][:left] = held[name][:left]
        return grown

    def _window_ids(self, epoch: int) -> Iterator[Ids]:
        """Ids of each window in the order in which they are served."""
        _, workers = self._share
        # Half of the memory: while a window is served, the next one is not there yet, but zarr's own buffers are.
        budget = min(WINDOW_BYTES, self._memory // (2 * max(1, workers)))
        count = max(1, self._size, budget // max(1, self._row_bytes))
        if self._seed is None:
            yield from np.split(self.ids, range(count, len(self.ids), count))
            return
        rng = self._rng(epoch)
        unit = self._unit(count)
        starts = np.flatnonzero(np.diff(self._sorted // unit, prepend=-1))
        runs = np.split(self._sorted, starts[1:])
        window: list[Ids] = []
        for i in rng.permutation(len(runs)):
            window.append(runs[i])
            if sum(map(len, window)) >= count:
                yield rng.permutation(np.concatenate(window))
                window = []
        if window:
            yield rng.permutation(np.concatenate(window))

    def _unit(self, count: int) -> int:
        """Samples that are read together: a shard where a window mixes at least eight of them, else a chunk."""
        shard = self._source.spec.shard_samples
        share = len(self._sorted) / max(1, self._source.spec.samples)
        chunk = int(self._source.array(self._arrays[0]).chunks[0])
        return int(shard) if 8 * shard * share <= count else chunk


def _row_bytes(array: Any) -> int:
    return int(np.prod(array.shape[1:], dtype=np.int64) * np.dtype(array.dtype).itemsize)


def mapped_rows(source: Source, name: str, ids: Ids) -> Values:
    """Rows of sorted ids from the memory-mapped cache, made first if they are not there: [n, …], read-only.

    Raises
    ------
    DatasetError
        The dataset is incomplete or damaged, or the cache cannot be written.
    """
    array = source.array(name)
    path = cache_path(source.content_digest, name, ids)
    return map_rows(path, (len(ids), *array.shape[1:]), array.dtype, rows_in_order(source, name, ids))


def rows_in_order(source: Source, name: str, ids: Ids) -> Iterator[Values]:
    """Rows of sorted ids, shard by shard; every shard is checked against its digest.

    Raises
    ------
    DatasetError
        If a shard is damaged: a lost chunk must not turn into numbers to train on.
    """
    shards, starts = np.unique(ids // source.spec.shard_samples, return_index=True)
    for shard, rows in zip(shards.tolist(), np.split(ids, starts[1:]), strict=False):
        yield source.read_shard(name, shard)[rows - source.spec.shard_range(shard).start]


def _filled(source: Source, name: str, ids: Ids) -> Values:
    array = source.array(name)
    out = np.empty((len(ids), *array.shape[1:]), dtype=array.dtype)
    start = 0
    for piece in rows_in_order(source, name, ids):
        out[start : start + len(piece)] = piece
        start += len(piece)
    return out


def _pick(source: Source, name: str, ids: Ids, out: Values) -> None:
    """Rows of ids in any order; neighbouring chunks are read together, each once."""
    array = source.array(name)
    size, shard = array.chunks[0], source.spec.shard_samples
    order = np.argsort(ids, kind="stable")
    chunks = ids[order] // size
    # A read goes on while the next chunk follows in the same shard.
    new = (np.diff(chunks, prepend=-2) > 1) | (np.diff(chunks * size // shard, prepend=-1) != 0)
    starts = np.flatnonzero(new)
    for positions in np.split(order, starts[1:]):
        if len(positions):
            first = int(ids[positions[0]] // size) * size
            last = (int(ids[positions[-1]] // size) + 1) * size
            out[positions] = read_rows(array, first, last)[ids[positions] - first]
