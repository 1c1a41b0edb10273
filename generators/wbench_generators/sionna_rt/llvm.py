"""Finds an LLVM library that Dr.Jit can use, without ever risking this process.

Dr.Jit compiles its CPU kernels with an LLVM library of the system. With one that is too old it does not raise: the
first kernel ends the process (``LLVM ERROR: Cannot select``). So a small kernel with the instructions concerned is run
in another process first, once for each library until one works, and the result is kept for the life of the process.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from wbench.errors import MissingDependencyError

__all__ = ["VARIABLE", "libraries", "probe", "require_llvm", "try_library"]

#: Environment variable that names the library to Dr.Jit.
VARIABLE = "DRJIT_LIBLLVM_PATH"
#: Dr.Jit 1.5 needs at least this major version: its minimum of two floats is an instruction that older ones lack.
OLDEST = 17
INSTALL = (
    "apt-get install libllvm19    (elsewhere: any LLVM library from version 17 on, named by the environment "
    f"variable {VARIABLE})"
)
PLACES = (
    "/usr/lib/*-linux-gnu/libLLVM*.so*",
    "/usr/lib/llvm-*/lib/libLLVM*.so*",
    "/usr/lib64/libLLVM*.so*",
    "/usr/lib64/llvm*/lib*/libLLVM*.so*",
    "/usr/lib/libLLVM*.so*",
    "/usr/local/lib/libLLVM*.so*",
    "/opt/homebrew/opt/llvm*/lib/libLLVM*.dylib",
    "/usr/local/opt/llvm*/lib/libLLVM*.dylib",
)
#: A kernel with the float minimum that old versions cannot compile, and a check of its numbers.
KERNEL = """
import drjit
from drjit.llvm import Float, UInt32
drjit.set_thread_count(1)
i = Float(drjit.arange(UInt32, 8))
found = list(drjit.minimum(i * 0.5, drjit.sqrt(i + 1)))
assert found[:4] == [0.0, 0.5, 1.0, 1.5], found
"""
_SECONDS = 120


def libraries() -> list[Path]:
    """LLVM libraries in the usual places that are new enough by their names, the newest first."""
    found: dict[Path, int] = {}
    for path in _candidates():
        number = re.search(r"(\d+)", path.name.removeprefix("libLLVM")) or re.search(r"llvm@?-?(\d+)", str(path))
        version = int(number[1]) if number else 0
        if not number or version >= OLDEST:
            found.setdefault(path.resolve(), version)
    return sorted(found, key=lambda path: (-found[path], str(path)))


def _candidates() -> Iterator[Path]:
    root = Path("/")
    for pattern in (*PLACES, f"{sys.prefix}/lib/libLLVM*.so*"):
        yield from sorted(root.glob(pattern.removeprefix("/")))


def try_library(path: str | None) -> str:
    """Run the test kernel in another process.

    Parameters
    ----------
    path : str or None
        Library to use; None leaves the search to Dr.Jit.

    Returns
    -------
    str
        Empty where it works, else what happened.
    """
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if path is not None:
        environment[VARIABLE] = path
    environment["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
    try:
        done = subprocess.run(
            [sys.executable, "-c", KERNEL], env=environment, capture_output=True, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    telling = [line for line in lines if "LLVM ERROR" in line or "Error:" in line]
    ended = f"ended by signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    return f"{ended}: {(telling or lines or ['no message'])[-1].strip()[:200]}"


@cache
def require_llvm() -> str:
    """Make sure that Dr.Jit's CPU backend works here, and tell it which library to use.

    Returns
    -------
    str
        Path of the library; empty where Dr.Jit finds one by itself.

    Raises
    ------
    MissingDependencyError
        No LLVM library works. The message says what to install; this process is unharmed.
    """
    chosen = os.environ.get(VARIABLE)
    tried: list[str] = []
    for path in [chosen] if chosen else [None, *map(str, libraries())]:
        fault = try_library(path)
        if not fault:
            if path is not None:
                os.environ[VARIABLE] = path
            return path or ""
        if "No module named" in fault:
            raise MissingDependencyError(
                "The generator sionna-rt needs Sionna RT, which is not installed.",
                where="sionna-rt",
                why=fault,
                next_step="pip install 'wbench[rt]'",
            )
        tried.append(f"{path or 'the one that Dr.Jit finds'}: {fault}")
    raise MissingDependencyError(
        "Sionna RT needs an LLVM library, and none here works.",
        where=f"{VARIABLE}={chosen}" if chosen else "the usual places of the system",
        why="; ".join(tried),
        next_step=INSTALL,
    )


def probe() -> list[dict[str, str]]:
    """Row of ``wbench doctor``: whether Dr.Jit has an LLVM library that works, found by running a kernel elsewhere."""
    row = {"what": "LLVM for Dr.Jit", "for": "generator sionna-rt"}
    if importlib.util.find_spec("drjit") is None:
        return [{**row, "state": "not checked: no drjit", "install": "pip install 'wbench[rt]'"}]
    try:
        path = require_llvm()
    except MissingDependencyError as error:
        return [{**row, "state": f"missing: {error.why}", "install": error.next_step or INSTALL}]
    return [{**row, "state": path or "works", "install": ""}]
