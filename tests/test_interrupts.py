"""Ctrl-C between any two lines of the executor seam: no lock stays behind that the pool's own thread waits for."""

from __future__ import annotations

import signal
import sys
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

from wbench.run.executors import run_units

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows: the mask is POSIX")


class InterruptedWhileSubmitting(Executor):
    """Meets Ctrl-C in the middle of ``submit``, taken by another thread, as the operating system may choose."""

    def __init__(self) -> None:
        self.asked, self.given, self.submitted = threading.Event(), threading.Event(), 0
        self.thread = threading.Thread(target=self._interrupt)  # made now: a thread inherits the mask
        self.thread.start()

    def _interrupt(self) -> None:
        self.asked.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        self.given.set()

    def submit(self, function, /, *arguments, **keywords):
        self.asked.set()
        self.given.wait()
        future: Future = Future()
        future.set_result(function(*arguments, **keywords))
        self.submitted += 1
        return future


def test_an_interrupt_taken_by_another_thread_waits_until_all_is_submitted():
    handler, pool = signal.getsignal(signal.SIGINT), InterruptedWhileSubmitting()
    with pytest.raises(KeyboardInterrupt):
        next(run_units(abs, [-1, -2, -3], (), pool))
    pool.thread.join()
    assert pool.submitted == 3
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_unfinished_future_is_never_locked_while_an_interrupt_can_be_raised():
    given, unsafe, handler = [], [], signal.getsignal(signal.SIGINT)
    leave = threading.Event()

    class Pool(ThreadPoolExecutor):
        def submit(self, function, /, *arguments, **keywords):
            given.append(super().submit(function, *arguments, **keywords))
            return given[-1]

    def watch(frame, event, argument):
        if signal.getsignal(signal.SIGINT) is handler:
            # The lock's own test for "mine": what an interrupt would leave locked.
            locked = [future for future in given if future._condition._is_owned() and not future.done()]
            unsafe.extend(frame.f_code.co_name for _ in locked)
        return watch

    def unit(number: int) -> int:
        if number == 3:
            leave.wait(10)  # the others finish, and are waited for, while this one does not
        return number

    with Pool(2) as pool:
        results = run_units(unit, range(8), (), pool, ahead=4)
        sys.settrace(watch)
        try:
            first = [value for _, value in (next(results) for _ in range(3))]
        finally:
            sys.settrace(None)
            leave.set()
        assert sorted(first + [value for _, value in results]) == list(range(8))
    assert not unsafe
