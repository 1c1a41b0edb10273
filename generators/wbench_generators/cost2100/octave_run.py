"""Runs COST 2100 in a GNU Octave process of its own: one process per block, arrays through MAT files.

Starting Octave takes 0.1 s, a block seconds. In return nothing is left over from one block to the next: neither state
of random generators nor a process that is hard to end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.errors import SimulationError
from wbench_generators.cost2100.installed import octave

__all__ = ["DRIVER", "call_octave"]

#: Our own Octave functions: the driver, and what COST 2100 needs beside a plain Octave.
DRIVER: Final = Path(__file__).parent / "octave"
#: Plain Octave: nothing of the user's start-up files may change a number.
OPTIONS: Final = ("--quiet", "--no-gui", "--no-history", "--no-init-file", "--no-site-file", "--no-window-system")
#: What every Octave 7 says at its end.
HARMLESS: Final = ("ignoring const execution_exception", "X11 DISPLAY")
#: Attempts: a process that was killed is started again, an error of Octave itself would only repeat.
ATTEMPTS: Final = 2


def call_octave(
    function: str, request: Mapping[str, Any], place: Path, *, timeout_s: float = 3600.0
) -> dict[str, npt.NDArray[Any]]:
    """Call one of :data:`DRIVER`'s functions ``function(request_file, answer_file)``.

    Parameters
    ----------
    function : str
        Its name.
    request : mapping
        Arrays and strings that it reads.
    place : Path
        Folder of COST 2100's functions.
    timeout_s : float
        Longest time in s.

    Returns
    -------
    dict of str to ndarray
        What it saved.

    Raises
    ------
    MissingDependencyError
        Octave is not installed.
    SimulationError
        Octave reported an error, was ended twice, did not end in time, or left no answer.
    """
    from scipy.io import loadmat, savemat
    from scipy.io.matlab import MatReadError

    program = octave()
    with tempfile.TemporaryDirectory(prefix="wbench-cost2100-") as scratch:
        asked, answer = Path(scratch, "request.mat"), Path(scratch, "answer.mat")
        savemat(asked, dict(request))
        code = (
            "warning('off', 'Octave:shadowed-function'); "
            f"addpath({_quoted(place)}); addpath({_quoted(DRIVER)}); {function}({_quoted(asked)}, {_quoted(answer)});"
        )
        _run([program, *OPTIONS, "--eval", code], timeout_s, where=f"{function} of {place}")
        try:
            found = loadmat(answer)
        except (OSError, ValueError, NotImplementedError, MatReadError, zlib.error) as error:
            why = f"{type(error).__name__}: {error}"
            raise SimulationError("Octave left no readable answer.", where=str(place), why=why) from error
    return {name: np.asarray(value) for name, value in found.items() if not name.startswith("__")}


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _run(command: list[str], timeout_s: float, where: str) -> None:
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    said = ""
    for _ in range(ATTEMPTS):
        try:
            done = subprocess.run(
                command, env=one_thread, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                check=False, timeout=timeout_s,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            why = f"it did not end within {timeout_s:g} s"
            raise SimulationError("Octave hangs.", where=where, why=why) from error
        said = _telling(done.stderr)
        if done.returncode == 0:
            return
        if done.returncode > 0:
            raise SimulationError(
                "COST 2100 failed in Octave.",
                where=where,
                why=said or f"exit code {done.returncode}, no message",
                next_step="generate again: finished shards are kept",
            )
        said = f"ended by signal {_signal_name(-done.returncode)}; {said or 'no message'}"
    raise SimulationError(
        f"Octave was ended {ATTEMPTS} times.",
        where=where,
        why=said,
        next_step="look for a lack of memory, then generate again: finished shards are kept",
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _telling(stderr: str) -> str:
    """The last lines of what Octave said, without those that it always says."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return " | ".join(line for line in lines if not any(word in line for word in HARMLESS))[-600:]
