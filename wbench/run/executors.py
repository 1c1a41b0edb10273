"""The executor seam: ``concurrent.futures``. One thread per process, spawned workers, the same bits everywhere."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from types import FrameType
from typing import Any, TypeVar

from wbench.errors import WBenchError

__all__ = ["cpu_count", "one_thread", "run_units", "worker_pool"]

#: Units that an executor has been given at most: a million futures would be gigabytes.
AHEAD = 512
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
Unit = TypeVar("Unit")
Value = TypeVar("Value")


def cpu_count() -> int:
    """Processors that this process may use; batch systems and containers often grant fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Pin native thread pools to one thread: more change last bits and are slower on small arrays.

    PyTorch keeps a count of its own; if it is imported meanwhile, it stays at one thread until told otherwise.
    """
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    count = torch.get_num_threads() if torch is not None else 0
    with threadpool_limits(limits=1), _environment(dict.fromkeys(_THREAD_VARIABLES, "1")):
        if torch is not None:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(count)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables, which libraries and children read when they are loaded, and put them back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@contextmanager
def worker_pool(workers: int) -> Iterator[Executor]:
    """Pool of spawned worker processes (fork does not survive OpenMP, Dr.Jit and Octave).

    On an interrupt or an error the workers are ended at once: their output is atomic, so nothing half-done stays.
    Workers end by themselves when their parent is killed.
    """
    others = set(multiprocessing.active_children())
    with _environment(dict.fromkeys(_THREAD_VARIABLES, "1")):
        pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker)
        try:
            yield pool
        except BaseException:
            for child in multiprocessing.active_children():
                if child not in others:
                    child.terminate()
            # Waits for the pool's own thread: left to the interpreter's exit, it may close its pipe just when that is
            # written to (Python up to 3.12), which ends in a traceback.
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            pool.shutdown()


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what it means
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    # A killed parent cannot say goodbye, and its workers would wait for it forever, or go on writing.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block, while workers are started and futures are touched.

    Workers inherit the mask, and print no traceback while they import. In the main thread the handler is put off too,
    for the mask is one thread's and another may take the signal: raised inside a future's condition, an interrupt
    leaves that locked, and the pool's own thread waits for it forever.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    main, caught = threading.current_thread() is threading.main_thread(), False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal caught
        caught = True

    handler = signal.signal(signal.SIGINT, note) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if caught:
            signal.raise_signal(signal.SIGINT)


def run_units(
    function: Callable[..., Value],
    units: Iterable[Unit],
    arguments: tuple[Any, ...],
    pool: Executor | None,
    *,
    ahead: int = AHEAD,
) -> Iterator[tuple[Unit, Value | Exception]]:
    """Run ``function(*arguments, unit)`` for each unit and yield (unit, value or exception) as they finish.

    A failed unit does not stop the others. Without a pool the units run here, one after the other. No more than
    ``ahead`` units are taken before they are finished.
    """
    if pool is None:
        with one_thread():
            for unit in units:
                try:
                    yield unit, function(*arguments, unit)
                except Exception as error:
                    yield unit, error
        return
    futures: dict[Future[Value], Unit] = {}
    done: queue.SimpleQueue[Future[Value]] = queue.SimpleQueue()  # not futures.wait: it cannot be interrupted safely
    rest = iter(units)
    while True:
        with _interrupts_held():
            for unit in islice(rest, ahead - len(futures)):
                future = _submit(pool, function, *arguments, unit)
                futures[future] = unit
                future.add_done_callback(done.put)
        if not futures:
            return
        future = done.get()
        yield futures.pop(future), _outcome(future)


def _submit(pool: Executor, function: Callable[..., Value], *arguments: Any) -> Future[Value]:
    try:
        return pool.submit(function, *arguments)
    except BrokenProcessPool as error:  # its units fail one by one, like those that it had
        future: Future[Value] = Future()
        future.set_exception(error)
        return future


def _outcome(future: Future[Any]) -> Any:
    try:
        failure = future.exception()
    except CancelledError as error:  # nobody here cancels
        raise WBenchError(
            "The scheduler was lost, and with it what it had been given.",
            why="it ended, or cannot be reached any more",
            next_step="start it again; the same command carries on, what is finished is kept",
        ) from error
    if failure is None:
        return future.result()
    if isinstance(failure, BrokenProcessPool):
        return _explain_broken(failure)
    if isinstance(failure, Exception):
        return failure
    raise failure


def _explain_broken(error: BrokenProcessPool) -> Exception:
    explained = WBenchError(
        "A worker process ended abruptly.",
        why="killed (out of memory?), crashed in native code, or started from a script without "
        "`if __name__ == '__main__':`",
        next_step="fewer workers (--workers 1) need less memory and show more",
    )
    explained.__cause__ = error
    return explained
