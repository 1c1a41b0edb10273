"""Between the harness and other people's code: whose fault it was, and whether an answer stands on its own."""

from __future__ import annotations

import inspect
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import TRACEBACK_STEP, ModelError, WBenchError, show_traceback
from wbench.machine import out_of_memory
from wbench.seeding import keyed_permutation

__all__ = ["blaming", "cause_of", "check_independence", "probe_rows"]

#: Samples that are answered a second time, alone.
PROBES = 8
#: Batched linear algebra may take another path for another batch size; more than this share of the rms is no rounding.
TOLERANCE = 1e-2

_OTHERS = (*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), str(Path(__file__).resolve().parents[1]))


def cause_of(error: BaseException, code: Any = None) -> str:
    """One line: the exception, and where in the user's code it came from.

    Parameters
    ----------
    error : BaseException
        What was raised.
    code : object, optional
        The model or decoder; a line of its own file is preferred to one inside a library that it called.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = _source(code)
    mine = [frame for frame in frames if frame.filename == own]
    mine = mine or [frame for frame in frames if not frame.filename.startswith((*_OTHERS, "<"))] or list(frames)
    line = f"line {mine[-1].lineno} of {Path(mine[-1].filename).name}: " if mine else ""
    text = " ".join(str(error).split())
    return f"{line}{type(error).__name__}: {text}" if text else f"{line}{type(error).__name__}"


def _source(code: Any) -> str | None:
    try:
        return inspect.getsourcefile(code if inspect.isroutine(code) else type(code))
    except (OSError, TypeError):
        return None


@contextmanager
def blaming(name: str, doing: str, code: Any = None) -> Iterator[None]:
    """Turn whatever a model raises into one clear error that names its line.

    ``exit()`` in a model counts as a failure of the model; Ctrl-C passes.
    """
    try:
        yield
    except WBenchError as error:
        if isinstance(error, ModelError) and error.where is None:
            error.where = f"{name}, {doing}"
        raise
    except (Exception, SystemExit) as error:
        show_traceback(error)
        # contextlib lets a StopIteration through if a RuntimeError, which ModelError is, has it as its cause.
        cause = None if isinstance(error, StopIteration) else error
        if out_of_memory(error):
            why = cause_of(error, code)
            step = "smaller batches in the model, a smaller --budget, or a machine with more memory"
            raise ModelError(f"The model ran out of memory in {doing}.", where=name, why=why, next_step=step) from cause
        what, why = f"The model raised an exception in {doing}.", cause_of(error, code)
        raise ModelError(what, where=name, why=why, next_step=TRACEBACK_STEP) from cause


def probe_rows(count: int, *key: str) -> npt.NDArray[np.int64]:
    """Rows of the samples that are answered a second time, by keyed draw."""
    return keyed_permutation(count, "probe", *key)[:PROBES]


def check_independence(together: npt.NDArray[Any], alone: npt.NDArray[Any], what: str) -> None:
    """Check that samples get the same answer alone as among others (protocol: "What a model sees").

    One sample in four may differ: a rounding error can flip a tie or a quantiser, but not often.

    Parameters
    ----------
    together, alone : ndarray [n, …]
        Answers for the same samples.
    what : str
        Whose answer it is, for the message.

    Raises
    ------
    ModelError
        If more of them differ.
    """
    deviation = np.abs(together - alone).reshape(len(together), -1).max(axis=1, initial=0.0)
    scale = float(np.sqrt(np.mean(np.abs(together) ** 2)))
    if np.count_nonzero(deviation > TOLERANCE * scale) > len(together) // 4:
        raise ModelError(
            f"{what} depends on the other samples of its batch, or on what came before.",
            why="samples that were answered a second time, alone, got another answer",
            next_step="use no statistics of the batch and no state; seed random numbers by batch.ids",
        )
