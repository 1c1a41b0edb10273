"""Progress: a ``rich`` bar with rate and time left on a terminal, one plain line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["Advance", "progress"]

#: Called with the number of finished units, and optionally what is being done.
Advance = Callable[[int, str], None]

PLAIN_INTERVAL_S = 60.0


@contextmanager
def progress(label: str, total: int, unit: str = "", *, done: int = 0, show: bool = True) -> Iterator[Advance]:
    """Show the progress of ``total`` units on standard error.

    Parameters
    ----------
    label, unit : str
        What is being done, and what is counted.
    total, done : int
        Units in all, and units that were there before (not counted in the rate).
    show : bool
        False shows nothing.
    """
    stream = sys.stderr
    if not show:
        yield _silent
    elif stream.isatty():
        with _rich(label, total, unit, done) as advance:
            yield advance
    else:
        yield _plain(label, total, unit, done, stream)


def _silent(n: int, what: str = "") -> None:
    """Show nothing."""


@contextmanager
def _rich(label: str, total: int, unit: str, done: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[what]}"),
        console=Console(stderr=True),
    )
    began = time.monotonic()
    finished = 0
    with bar:
        task = bar.add_task(label, total=total, completed=done, rate="", what="")

        def advance(n: int, what: str = "") -> None:
            nonlocal finished
            finished += n
            rate = finished / max(time.monotonic() - began, 1e-9)
            bar.update(task, advance=n, what=what, rate=f"{rate:,.1f}/s" if finished else "")

        yield advance


def _plain(label: str, total: int, unit: str, done: int, stream: TextIO) -> Advance:
    began = last = time.monotonic()
    finished = 0

    def advance(n: int, what: str = "") -> None:
        nonlocal last, finished
        finished += n
        now = time.monotonic()
        complete = done + finished >= total and n > 0
        if not complete and now - last < PLAIN_INTERVAL_S:
            return
        last = now
        rate = finished / max(now - began, 1e-9)
        left = (total - done - finished) / rate if rate else 0.0
        stream.write(f"{label}: {done + finished}/{total} {unit}, {rate:,.1f}/s, {left:,.0f} s left\n")
        stream.flush()

    return advance
