"""The error tree. Every error says what happened, where, why, and what to do next.

::

    WBenchError                      exit code 1
    ├── UsageError                   ValueError         exit code 2: the request itself is wrong
    │   ├── SpecError                                   a recipe, task or parameter is not valid
    │   ├── UnknownNameError         LookupError        no such recipe, task, model …; suggests near names
    │   └── OutputConflictError      FileExistsError    the output holds something else; left untouched
    ├── MissingError                 exit code 3: something is not on this machine
    │   ├── MissingDependencyError   ImportError        an extra or a program; names the install command
    │   └── DatasetNotFoundError     FileNotFoundError  names the ``wbench generate`` command
    ├── DatasetError                 ValueError         a stored dataset is damaged or inconsistent
    ├── SimulationError              RuntimeError       a simulator failed or returned nonsense
    ├── PluginError                  ImportError        a provider, plug-in or model file cannot be used
    ├── ModelError                   RuntimeError       a model raised, or broke its contract
    └── ResultError                  ValueError         a result cannot be written, read or trusted
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterable

__all__ = [
    "LISTED",
    "TRACEBACK_STEP",
    "DatasetError",
    "DatasetNotFoundError",
    "MissingDependencyError",
    "MissingError",
    "ModelError",
    "OutputConflictError",
    "PluginError",
    "ResultError",
    "SimulationError",
    "SpecError",
    "UnknownNameError",
    "UsageError",
    "WBenchError",
    "near_names",
    "show_traceback",
]


class WBenchError(Exception):
    """Base of all errors that wbench raises on purpose.

    Parameters
    ----------
    what : str
        What happened, in one sentence.
    where : str, optional
        The file, array, task or model concerned.
    why : str, optional
        The cause.
    next_step : str, optional
        What to do: a command where there is one.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        why: str | None = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(what, where, why, next_step)
        self.what = what
        self.where = where
        self.why = why
        self.next_step = next_step

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments are lost by the default exception pickling, and errors cross process borders here.
        return (_rebuild, (type(self), self.what, self.where, self.why, self.next_step))

    def __str__(self) -> str:
        lines = [self.what]
        for label, text in (("where", self.where), ("why", self.why), ("next", self.next_step)):
            if text:
                lines.append(f"  {label}: {text}")
        return "\n".join(lines)


def _rebuild(
    kind: type[WBenchError], what: str, where: str | None, why: str | None, next_step: str | None
) -> WBenchError:
    # Not kind(…): subclasses may have other parameters. OSError has a memory layout and a constructor of its own.
    new = OSError.__new__ if issubclass(kind, OSError) else Exception.__new__
    error: WBenchError = new(kind)
    WBenchError.__init__(error, what, where=where, why=why, next_step=next_step)
    return error


class UsageError(WBenchError, ValueError):
    """The request itself is wrong."""

    exit_code = 2


class SpecError(UsageError):
    """A recipe, a task instance or a parameter is not valid."""


class UnknownNameError(UsageError, LookupError):
    """There is no recipe, task, model … of that name.

    Parameters
    ----------
    kind : str
        What was looked up, in the singular: ``"recipe"``, ``"task"``, ``"model"`` …
    name : str
        The name that was asked for.
    known : iterable of str
        The names that exist.
    next_step : str, optional
        Defaults to the ``wbench list`` command for the kinds that it lists.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], next_step: str | None = None) -> None:
        names = sorted(known)
        near = near_names(name, names)
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        there = f"there are: {', '.join(names[:LISTED]) or 'none'}{more}"
        why = f"did you mean {', '.join(near)}?" if near else there
        if next_step is None and kind in _LISTED:
            next_step = f"wbench list {kind}s"
        super().__init__(f"Unknown {kind} {name!r}.", why=why, next_step=next_step)


_LISTED = ("generator", "recipe", "task", "model", "suite")
#: Names that an error shows at most where none is near.
LISTED = 20


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Names that are spelt like ``name`` or contain it, whatever the case; the nearest first, six at most."""
    lower = {other.lower(): other for other in sorted(known)}
    near = [lower[n] for n in difflib.get_close_matches(name.lower(), list(lower), n=3, cutoff=0.5)]
    holding = [other for text, other in lower.items() if name and name.lower() in text and other not in near]
    return near + holding[:3]


class OutputConflictError(UsageError, FileExistsError):
    """The output place holds something else. It was left untouched."""


class MissingError(WBenchError):
    """Something that this command needs is not on this machine."""

    exit_code = 3


class MissingDependencyError(MissingError, ImportError):
    """A Python extra or a program is not installed."""


class DatasetNotFoundError(MissingError, FileNotFoundError):
    """A dataset has not been generated yet."""


class DatasetError(WBenchError, ValueError):
    """A stored dataset is damaged, incomplete or inconsistent."""


class SimulationError(WBenchError, RuntimeError):
    """A simulator failed or returned something unusable."""


class PluginError(WBenchError, ImportError):
    """A provider, plug-in or model file cannot be used."""


class ModelError(WBenchError, RuntimeError):
    """A model raised an exception or broke its contract."""


class ResultError(WBenchError, ValueError):
    """A result cannot be written, read or trusted."""


#: What an author whose code raised can do to see more than its line.
TRACEBACK_STEP = "correct the code; WBENCH_TRACEBACK=1 before the command shows the whole traceback"


def show_traceback(error: BaseException) -> None:
    """Log the traceback of an exception in other people's code, if ``$WBENCH_TRACEBACK`` asks for it.

    A message names the line; whoever wrote the code and wants the way there asks for it.
    """
    if os.environ.get("WBENCH_TRACEBACK", "0") not in ("", "0"):
        logging.getLogger(__name__).error("The whole traceback:", exc_info=error)
