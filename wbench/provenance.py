"""Where a number comes from: versions, commit, machine, command."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["package_versions", "provenance"]

_PACKAGES = ("numpy", "scipy", "torch", "zarr", "scikit-learn", "sionna-no-rt", "sionna", "sionna-rt")


def package_versions(names: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Versions of the installed packages among ``names``; absent ones are left out."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _git() -> dict[str, Any]:
    # Only a checkout of wbench itself counts: the user's own repository says nothing about our code.
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return {}

    def run(*command: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *command], capture_output=True, text=True, check=False, timeout=20
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit, dirty = run("rev-parse", "HEAD"), bool(run("status", "--porcelain"))
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return {"commit": commit, "dirty": dirty} if commit else {}


def machine() -> dict[str, str]:
    """Kind of machine: what can change last bits."""
    return {"system": platform.system(), "machine": platform.machine(), "python": platform.python_version()}


def provenance() -> dict[str, Any]:
    """Plain JSON record: wbench version, git state, package versions, kind of machine, command."""
    command = [os.path.basename(sys.argv[0]), *sys.argv[1:]] if sys.argv and sys.argv[0] else []
    return {
        "wbench": package_versions(["wbench"]).get("wbench", "unknown"),
        "git": _git(),
        "packages": package_versions(),
        "machine": machine(),
        "command": command,
    }
