"""The room of a decoder: a process that starts from what was frozen before the first sample, and gets payloads only.

What it has: the frozen decoder, the module path, a few environment variables, a new empty folder as the current and the
temporary one, and no open files but its pipes. What it is refused, by an audit hook (PEP 578): files that were changed
after the freezing, the datasets, other processes' ``/proc``, sockets, and starting processes.

That is a guard rail against mistakes and temptation, not a sandbox. Code that does not go through Python's own calls
(``ctypes``, a C extension) is not seen by the hook, nor are ``os.stat`` and the names and times of files, nor memory
that is shared by name. Whoever must be sure runs the decoder on another machine.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import re
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench import registry
from wbench.errors import ModelError
from wbench.run.guard import cause_of

__all__ = ["Room", "decode_in", "open_room"]

TIMEOUT_S = 24 * 3600
#: ``-P`` keeps the working directory off the path: a file there named like a module must not be imported.
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from wbench.run import room; room._serve()"
#: Environment variables that programs need to find their libraries, devices, language and caches; no others pass.
_PASS = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|LD_LIBRARY_PATH|DYLD_\w+|SYSTEMROOT|WINDIR|VIRTUAL_ENV|CONDA_\w+|"
    r"PYTHON(HASHSEED|HOME|UTF8|WARNINGS|DONTWRITEBYTECODE)|CUDA_\w+|NVIDIA_\w+|ROCM_\w+|HIP_\w+|TORCH\w*|KERAS_\w+|"
    r"TF_\w+|XDG_\w+|USERPROFILE|APPDATA|LOCALAPPDATA|SYSTEMDRIVE|HF_\w+|MKL_\w+|OMP_\w+|OPENBLAS_\w+|KMP_\w+|COVERAGE_\w+"
)
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
#: Audit events that lead out of the process.
_OUT = {
    "socket.bind": "open a socket", "socket.connect": "open a connection", "socket.sendto": "send to a socket",
    "socket.sendmsg": "send to a socket", "subprocess.Popen": "start a process", "os.system": "start a process",
    "os.exec": "start a process", "os.posix_spawn": "start a process", "os.spawn": "start a process",
    "os.fork": "start a process", "os.forkpty": "start a process",
}  # fmt: skip
_OTHER_PROCESS = re.compile(r"/proc/(\d+)(/|$)")


@dataclass(frozen=True)
class Room:
    """All that a decoder's process starts from, as it was before the first sample was encoded.

    Attributes
    ----------
    decoder : bytes
        Pickled.
    files : tuple of str
        User files whose classes the decoder is made of.
    environment : mapping
        Environment variables.
    path : list of str
        Module path.
    since_ns : int
        When it was frozen.
    closed : tuple of str
        Folders that stay closed.
    """

    decoder: bytes
    files: tuple[str, ...]
    environment: Mapping[str, str]
    path: list[str]
    since_ns: int
    closed: tuple[str, ...]


def open_room(decoder: Any, closed: Sequence[Path] = ()) -> Room:
    """Freeze a decoder.

    Parameters
    ----------
    decoder : callable
        From payloads to reconstructions.
    closed : sequence of Path
        Folders that it may not read: the datasets.

    Raises
    ------
    ModelError
        It does not pickle.
    """
    try:
        frozen = pickle.dumps(decoder)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
        step = "make it a module-level class with __call__, or functools.partial of a module-level function"
        raise ModelError("The decoder cannot be pickled for its own process.", why=why, next_step=step) from error
    # A pickle names the modules of its classes; those of files are not found by name in another process.
    modules = [(name, module) for name, module in sys.modules.items() if name.startswith("wbench_file_")]
    files = tuple(str(module.__file__) for name, module in modules if name.encode() in frozen)
    environment = {name: value for name, value in os.environ.items() if _PASS.fullmatch(name)} | _THREADS
    path = [str(Path(place).absolute()) for place in sys.path]  # its working directory is another one
    return Room(frozen, files, environment, path, time.time_ns(), tuple(str(folder.resolve()) for folder in closed))


def decode_in(room: Room, chunks: Sequence[Sequence[Any]], name: str) -> npt.NDArray[Any]:
    """Decode chunks of payloads, one call each, in a fresh process; ``name`` is whose decoder it is.

    Raises
    ------
    ModelError
        The decoder raises, dies, or does not return one array row per payload.
    """
    with tempfile.TemporaryDirectory(prefix="wbench-decoder-") as folder:
        rules = {"folder": os.path.realpath(folder), "since_ns": room.since_ns, "closed": room.closed}
        work = pickle.dumps((rules, room.files, room.decoder, chunks))
        done = subprocess.run(
            [sys.executable, "-P", "-c", _BOOT, json.dumps(room.path)],
            input=work,
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
            env={**room.environment, "TMPDIR": folder, "TEMP": folder, "TMP": folder},
            cwd=folder,
            close_fds=True,
        )
    if done.returncode < 0:
        why = f"its process was ended by signal {-done.returncode} (9: most likely out of memory)"
        raise ModelError("The decoder failed in its own process.", where=name, why=why)
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()
        raise ModelError("The decoder failed in its own process.", where=name, why=last[-1] if last else "no message")
    return np.asarray(np.load(io.BytesIO(done.stdout), allow_pickle=False))


# --- in the decoder's process -----------------------------------------------------------------------------------------


def _serve() -> None:
    """Rebuild the decoder, decode the payloads chunk by chunk, write the array."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the decoder or a library under it prints must not corrupt the answer
    rules, files, frozen, chunks = pickle.load(sys.stdin.buffer)
    decode: Any = None
    try:
        with contextlib.redirect_stdout(sys.stderr):
            sys.addaudithook(_hook(**rules))
            for file in files:
                registry.import_file(Path(file))
            decode = pickle.loads(frozen)
            parts = [_one_each(decode(chunk), len(chunk)) for chunk in chunks]
            answer = np.concatenate(parts)
    except (Exception, SystemExit) as error:
        sys.stderr.write(f"\n{cause_of(error, decode)}\n")
        sys.exit(1)
    buffer = io.BytesIO()
    np.save(buffer, answer, allow_pickle=False)
    with out:
        out.write(buffer.getvalue())


def _one_each(answer: Any, count: int) -> npt.NDArray[Any]:
    rows = np.asarray(answer)
    if rows.shape[:1] != (count,) or rows.dtype.kind not in "fciu":
        raise ModelError(f"it returned {rows.dtype} {rows.shape} for {count} payloads")
    return rows


def _hook(folder: str, since_ns: int, closed: Sequence[str]) -> Callable[[str, tuple[Any, ...]], None]:
    """Audit hook that refuses what leads out of the room."""
    kernel = {os.stat(place).st_dev for place in ("/proc", "/sys") if os.path.isdir(place)}

    def check_file(given: Any) -> None:
        if isinstance(given, int) or given is None:
            return  # open already
        path = os.path.realpath(os.fsdecode(given))
        other = _OTHER_PROCESS.match(path)
        if other is not None and int(other[1]) != os.getpid():
            raise PermissionError(f"a decoder may not look into another process: {path}")
        if _within(path, folder):
            return
        if any(_within(path, place) for place in closed):
            raise PermissionError(f"a decoder may not read the dataset: {path}")
        try:
            found = os.stat(path)
        except OSError:
            return  # it is not there, and what is opened says so itself
        plain = stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)
        if plain and found.st_dev not in kernel and found.st_ctime_ns > since_ns:
            raise PermissionError(f"a decoder may not open what changed after the encoder had started: {path}")

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            check_file(args[0])
        elif event in _OUT:
            raise PermissionError(f"a decoder may not {_OUT[event]}")

    return hook


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
