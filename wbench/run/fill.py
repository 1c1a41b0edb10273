"""Filling a dataset: which shards are to be made, by whom, and what to do about those that others are making.

Several processes may fill one dataset at the same time, on one machine or on many. A shard is claimed while it is made;
who finds it claimed takes another one and looks again later. In an object store there are no claims: two writers of
one shard write the same bits, so ``--shards I/N`` is what keeps them from doing the work twice.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from wbench.dataset.manifest import GROUP, compact, forget_shards, full_groups, has_entry, scan_entries
from wbench.dataset.place import Place
from wbench.dataset.spec import DatasetSpec
from wbench.errors import OutputConflictError, UsageError, WBenchError
from wbench.run.executors import run_units, worker_pool
from wbench.run.progress import progress

__all__ = ["Filled", "Share", "check_share", "fill", "parse_share"]

#: Makes one shard of a place: a pure function, importable in workers.
Make: TypeAlias = Callable[[Place, DatasetSpec, int], Any]
#: (I, N): the shards whose number is I modulo N.
Share: TypeAlias = tuple[int, int]

#: How long nobody may finish a shard that others have claimed before this process stops waiting for them.
PATIENCE_S = 900.0
_POLL_S: Final = (0.1, 2.0)
_MADE, _KEPT, _BUSY = "made", "kept", "busy"

# A session belongs to its process, and a Dask worker may have several threads.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Filled:
    """Shards made now, shards that were there or that others made meanwhile, and the causes of failures."""

    made: int
    kept: int
    failures: dict[int, str]


def parse_share(text: str) -> Share:
    """``"I/N"`` as numbers.

    Raises
    ------
    UsageError
        Unless 0 ≤ I < N.
    """
    index, _, count = text.partition("/")
    try:
        share = int(index), int(count)
    except ValueError:
        share = 0, 0
    return check_share(share, text)


def check_share(share: Share, text: str = "") -> Share:
    """The share, if 0 ≤ I < N."""
    if not 0 <= share[0] < share[1]:
        why = f"got {text or share}; I counts from 0"
        raise UsageError("A share of the shards is I/N with 0 <= I < N.", why=why, next_step="--shards 0/8 … 7/8")
    return share


def fill(
    place: Place,
    spec: DatasetSpec,
    make: Make,
    *,
    again: frozenset[int] = frozenset(),
    share: Share | None = None,
    workers: int = 1,
    dask: str | None = None,
    show_progress: bool = False,
) -> Filled:
    """Make all shards of a share that have no usable manifest entry, and those of ``again``.

    Parameters
    ----------
    place : Place
        A dataset that has been created.
    spec : DatasetSpec
        Its spec.
    make : callable
        Makes and writes one shard.
    again : frozenset of int
        Shards that exist and are made again.
    share : (int, int), optional
        (I, N): only shards whose number is I modulo N.
    workers : int
        Worker processes; 1 works here.
    dask : str, optional
        Address of a Dask scheduler, instead of worker processes.
    show_progress : bool
        Show a progress bar on standard error.

    Raises
    ------
    OutputConflictError
        Another process holds shards and finishes none of them.
    MissingError
        What would make every shard fail alike: no simulator, no storage, no scheduler.
    """
    mine = range(spec.shards) if share is None else range(share[0], spec.shards, share[1])
    there, unusable = scan_entries(place, spec)
    gone = {shard for shard in {*unusable, *again} if shard in mine or shard >= spec.shards}
    todo = [shard for shard in mine if shard not in there or shard in again]
    if todo or gone:
        place.clean()
        forget_shards(place, spec, gone)
    done = Filled(0, len(mine) - len(todo), {})
    if todo:
        counts = Counter(shard // GROUP for shard in there if shard not in again) if spec.shards >= GROUP else Counter()
        done = _run(place, spec, make, todo, done, counts, _pool(workers, len(todo), dask), show_progress)
    for group in full_groups(place, spec) if spec.shards >= GROUP else ():
        _tidy(place, spec, group)
    return done


def _tidy(place: Place, spec: DatasetSpec, group: int) -> None:
    with suppress(OSError):  # housekeeping: a full disk here loses nothing, and the next run does it
        compact(place, spec, group)


def _pool(workers: int, units: int, dask: str | None) -> AbstractContextManager[Executor | None]:
    if dask is not None:
        from wbench.run.dask import dask_pool

        return dask_pool(dask)
    return worker_pool(min(workers, units)) if workers > 1 and units > 1 else nullcontext()


def _run(
    place: Place,
    spec: DatasetSpec,
    make: Make,
    todo: list[int],
    before: Filled,
    counts: Counter[int],
    pool_context: AbstractContextManager[Executor | None],
    show_progress: bool,
) -> Filled:
    found: Counter[str] = Counter({_KEPT: before.kept})
    failures: dict[int, str] = {}
    left = sum(len(spec.shard_range(shard)) for shard in todo)
    label, total = f"{spec.recipe} ({spec.size})", left + before.kept * spec.shard_samples
    with (
        progress(label, total, "samples", done=total - left, show=show_progress) as advance,
        pool_context as pool,
        _waiting(place) as wait,
    ):
        while todo:
            busy = []
            for shard, value in run_units(_make_claimed, todo, (make, place, spec), pool):
                if value == _BUSY:
                    busy.append(shard)
                    continue
                if isinstance(value, Exception):
                    failures[shard] = _cause(value)
                else:
                    found[value] += 1
                    counts[shard // GROUP] += 1
                    if counts[shard // GROUP] == GROUP:
                        _tidy(place, spec, shard // GROUP)
                advance(len(spec.shard_range(shard)), "")
            if busy:
                wait(busy)
            todo = busy
    return Filled(found[_MADE], found[_KEPT], failures)


def _cause(error: Exception) -> str:
    if isinstance(error, WBenchError) and error.exit_code == 3:
        raise error  # a missing simulator or storage fails every shard alike
    return str(error) if isinstance(error, WBenchError) else f"{type(error).__name__}: {error}"


@contextmanager
def _waiting(place: Place) -> Iterator[Callable[[list[int]], None]]:
    """Wait a little between looks at what others are making, and give up when they make nothing."""
    last, since, pause = -1, time.monotonic(), _POLL_S[0]

    def wait(busy: list[int]) -> None:
        nonlocal last, since, pause
        if len(busy) != last:
            last, since, pause = len(busy), time.monotonic(), _POLL_S[0]
        if time.monotonic() - since > PATIENCE_S:
            some = ", ".join(map(str, busy[:10]))
            raise OutputConflictError(
                "Another process is writing this dataset. All other shards have been made.",
                where=str(place),
                why=f"it claims shard {some} and has finished none in {PATIENCE_S:.0f} s",
                next_step="wait for it, or stop it and run the same command again",
            )
        time.sleep(pause)
        pause = min(_POLL_S[1], 1.5 * pause)

    yield wait


def _make_claimed(make: Make, place: Place, spec: DatasetSpec, shard: int) -> str:
    """In the worker: make a shard unless somebody else makes it now or has just made it."""
    with _one_at_a_time, place.claim(shard, 1) as mine:
        if not mine:
            return _BUSY
        if has_entry(place, spec, shard):
            return _KEPT
        make(place, spec, shard)
        return _MADE
