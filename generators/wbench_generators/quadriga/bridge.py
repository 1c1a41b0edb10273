"""One Octave process for one Python process: started when needed, started again when it dies.

Requests and answers are structures of arrays; oct2py hands them over as MAT files in memory-backed folders where the
system has one. An error that Octave reports would only repeat and is raised; a process that ends is another matter (no
memory, a stray signal): it is started anew and asked once more.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.errors import MissingDependencyError, SimulationError
from wbench_generators.quadriga.installed import octave

__all__ = ["FUNCTIONS", "Octave"]

#: Our own Octave functions.
FUNCTIONS: Final = Path(__file__).parent / "octave"
#: Longest call in s. A block takes tenths of a second.
TIMEOUT_S: Final = 900.0
#: Threads change last bits; no start-up file of the user may change any.
_SETTINGS: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_OPTIONS: Final = "--no-site-file --no-window-system"
#: Octave would leave its variables in the user's current folder when it is ended.
_NO_DUMPS: Final = " ".join(f"{event}_dumps_octave_core(false);" for event in ("crash", "sighup", "sigterm"))
_ATTEMPTS: Final = 2
#: How oct2py words what Octave itself reports.
_REPORTED: Final = "Octave evaluation error:"


class Octave:
    """An Octave process with QuaDRiGa on its path.

    Parameters
    ----------
    sources : Path
        QuaDRiGa's source folder.
    folders : tuple of Path
        Further folders of functions.
    """

    def __init__(self, sources: Path, folders: tuple[Path, ...] = (FUNCTIONS,)) -> None:
        self._program = octave()
        self._sources, self._folders = sources, folders
        self._session: Any = None

    @property
    def pid(self) -> int | None:
        """Process id of the running Octave; None before the first call."""
        return None if self._session is None else int(self._session._engine.repl.child.pid)

    def call(self, function: str, request: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
        """Call a function of one structure that returns one.

        Parameters
        ----------
        function : str
            Name of the function.
        request : mapping
            Strings, floats and float arrays of two dimensions.

        Returns
        -------
        dict of str to ndarray
            Fields of the answer in Octave's shapes: two dimensions at least, trailing ones of length 1 are dropped from
            the third on; [] for a scalar.

        Raises
        ------
        MissingDependencyError
            oct2py is not installed.
        SimulationError
            Octave reported an error, or ended twice.
        """
        said = ""
        for _ in range(_ATTEMPTS):
            try:
                session = self._running()
                answer = session.feval(function, dict(request), nout=1, timeout=TIMEOUT_S)
                return {str(name): np.asarray(value) for name, value in answer.items()}
            except MissingDependencyError:
                raise
            except Exception as error:  # of oct2py, pexpect or the system: what counts is who reported it
                self.close()
                said = _telling(str(error))
                if str(error).startswith(_REPORTED):
                    raise SimulationError("QuaDRiGa failed in Octave.", where=function, why=said) from error
        raise SimulationError(
            "Octave ended twice in the same call.",
            where=function,
            why=said,
            next_step="look for a lack of memory, then generate again: finished shards are kept",
        )

    def close(self) -> None:
        """End the process; the next call starts another one."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(Exception):  # it may be dead already
                session.exit()

    def _running(self) -> Any:
        if self._session is None:
            self._session = _start(self._program)
            for folder in (self._sources, *self._folders):
                self._session.addpath(str(folder))
        return self._session


def _start(program: str) -> Any:
    """A new session of oct2py."""
    with _start_up(program):
        try:
            loaded = "oct2py" in sys.modules
            import oct2py
        except ImportError as error:
            raise MissingDependencyError(
                "The generator quadriga needs oct2py, which is not installed.",
                why=str(error),
                next_step="pip install 'wbench[quadriga]'",
            ) from error
        if not loaded:  # importing it starts a session that nobody asked for
            oct2py.octave.eval(_NO_DUMPS)
            oct2py.octave.exit()
        session = oct2py.Oct2Py(
            logger=logging.getLogger("wbench.octave"),
            executable=program,
            backend="disable",
            load_octaverc=False,
            extra_cli_options=_OPTIONS,
        )
        session.eval(_NO_DUMPS)
        return session


@contextmanager
def _start_up(program: str) -> Iterator[None]:
    """Environment and silence of a start.

    Octave inherits the environment, and oct2py has no way to say which; it also leaves changes of its own behind. It
    asks for Octave's version in a process that says "error: ignoring const execution_exception&" at its end: true of
    every Octave 7, and no error.
    """
    before = dict(os.environ)
    os.environ.update({**_SETTINGS, "OCTAVE_EXECUTABLE": program})
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _telling(message: str) -> str:
    """The message's own words on one line: neither oct2py's heading nor the dump of a terminal session."""
    lines = [line.strip() for line in message.removeprefix(_REPORTED).splitlines() if line.strip()]
    return " | ".join(lines[:8])[:800]
