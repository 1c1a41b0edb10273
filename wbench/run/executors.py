"""The executor seam: ``concurrent.futures``. One thread per process, spawned workers, the same bits everywhere."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = ["one_thread", "run_units", "worker_pool"]

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
Unit = TypeVar("Unit")
Value = TypeVar("Value")


@contextmanager
def one_thread() -> Iterator[None]:
    """Pin native thread pools to one thread: more change last bits and are slower on small arrays."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


@contextmanager
def worker_pool(workers: int) -> Iterator[Executor]:
    """Pool of spawned worker processes (fork does not survive OpenMP, Dr.Jit and Octave).

    On an interrupt pending work is dropped, work in progress ends by itself: its output is atomic.
    """
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))  # read when the child loads its libraries
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_ignore_interrupt)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    finally:
        pool.shutdown()
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _ignore_interrupt() -> None:
    # Ctrl-C reaches the whole process group; only the parent decides what it means.
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_units(
    function: Callable[..., Value], units: Iterable[Unit], arguments: tuple[Any, ...], pool: Executor | None
) -> Iterator[tuple[Unit, Value | Exception]]:
    """Run ``function(*arguments, unit)`` for each unit and yield (unit, value or exception) as they finish.

    A failed unit does not stop the others. Without a pool the units run here, one after the other.
    """
    if pool is None:
        with one_thread():
            for unit in units:
                try:
                    yield unit, function(*arguments, unit)
                except Exception as error:
                    yield unit, error
        return
    futures: dict[Future[Value], Unit] = {pool.submit(function, *arguments, unit): unit for unit in units}
    for future in as_completed(futures):
        error = future.exception()
        if error is None:
            yield futures[future], future.result()
        elif isinstance(error, Exception):
            yield futures[future], error
        else:
            raise error
