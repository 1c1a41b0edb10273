"""Finds the user's copy of COST 2100 and makes sure that it is the one that was asked for.

COST 2100 is GPL-3.0-or-later and runs as a program of its own, in Octave. Nothing of it is part of wbench.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Final

from wbench.digest import value_digest
from wbench.errors import MissingDependencyError
from wbench_generators import external
from wbench_generators.cost2100.params import KNOWN_COPY

__all__ = [
    "COST2100", "FUNCTIONS", "VARIABLE", "copy_digest", "folder", "locate", "octave", "probe", "require_copy", "state",
]  # fmt: skip

#: The functions of COST 2100 that wbench calls, directly or not.
FUNCTIONS: Final = (
    "calc_dist", "calc_pathloss", "get_BS_VR_para", "get_MS_VR", "get_VRLOS", "get_VRtable", "get_channel",
    "get_channel_los", "get_cluster", "get_cluster_local", "get_mpc", "get_para", "lognrnd_own", "mexprnd_own",
    "poissrnd_own", "rotate_matrix",
)  # fmt: skip
#: What ``wbench setup`` needs to know.
COST2100: Final = external.Program(
    name="cost2100",
    variable="WBENCH_COST2100",
    source="https://github.com/cost2100/cost2100.git",
    commit="bafca0b84faa2aa0441cb3f03f9dbd65771f43b3",
    paths=("matlab",),
    licence="matlab/GPL.txt",
    terms="COST 2100 is free software under the GNU General Public License, version 3 or later",
    sources="matlab",
    suffixes=(".m",),
    digest="sha256:5020358d7aa78caf741c096a0944e2b64928e8980b9b48998c898a309242deca",
)
#: Environment variable: the folder of a checkout of COST 2100, or its ``matlab`` folder.
VARIABLE: Final = COST2100.variable
VERSION: Final = "3.1"
SETUP: Final = "wbench setup cost2100"


def folder() -> Path:
    """Where a copy is looked for: ``$WBENCH_COST2100``, else ``cost2100`` in wbench's folder of the user's data."""
    return external.folder(COST2100)


def locate() -> Path | None:
    """Folder of COST 2100's functions (``get_channel.m`` …), or None where there is no copy."""
    root = folder()
    return next((place for place in (root / "matlab", root) if (place / "get_channel.m").is_file()), None)


def copy_digest(place: Path) -> str:
    """``sha256:…`` of the :data:`FUNCTIONS` of a copy; line ends do not count, so that git may convert them.

    Raises
    ------
    MissingDependencyError
        A function is missing.
    """
    digests = {}
    for name in FUNCTIONS:
        try:
            code = (place / f"{name}.m").read_bytes()
        except OSError as error:
            raise MissingDependencyError(
                "This is not a whole copy of COST 2100.",
                where=str(place),
                why=f"{name}.m cannot be read: {error.strerror}",
                next_step=SETUP,
            ) from error
        digests[name] = hashlib.sha256(code.replace(b"\r\n", b"\n")).hexdigest()
    return value_digest(digests)


def require_copy(wanted: str = KNOWN_COPY) -> Path:
    """Folder of COST 2100's functions, checked.

    Raises
    ------
    MissingDependencyError
        There is no copy, or another one than was asked for: its numbers would be others.
    """
    place = locate()
    if place is None:
        raise MissingDependencyError(
            "COST 2100 is not on this machine.",
            where=str(folder()),
            why=f"no get_channel.m there ({VARIABLE} is {'set' if os.environ.get(VARIABLE) else 'not set'})",
            next_step=f"{SETUP}    (or set {VARIABLE} to your copy)",
        )
    found = copy_digest(place)
    if found != wanted:
        raise MissingDependencyError(
            "This copy of COST 2100 is modified, or of another version.",
            where=str(place),
            why=f"its digest is {found} instead of {wanted}",
            next_step=f'get the original: {SETUP}; or accept yours in a recipe of your own: copy_digest = "{found}"',
        )
    return place


def octave() -> str:
    """Path of GNU Octave's command line program; raises like :func:`wbench_generators.external.octave`."""
    return external.octave(COST2100.name)


def state() -> dict[str, str]:
    """What is on this machine, in words, without raising: ``octave``, ``place``, ``copy`` and ``commit``."""
    place, found = locate(), {"octave": _octave_version(), "place": str(folder())}
    if place is None:
        return {**found, "copy": "missing", "commit": ""}
    try:
        digest = copy_digest(place)
    except MissingDependencyError as error:
        return {**found, "place": str(place), "copy": f"incomplete: {error.why}", "commit": ""}
    known = f"version {VERSION}" if digest == KNOWN_COPY else "modified or of another version"
    commit = external.record(place).get("commit", "")
    return {**found, "place": str(place), "copy": f"{known} ({digest})", "commit": commit}


def probe() -> list[dict[str, str]]:
    """Row of ``wbench doctor``: whether COST 2100 is here, and which."""
    found = state()
    commit = f" (commit {found['commit'][:7]})" if found["commit"] else ""
    known = found["copy"].startswith("version")
    state_ = f"{VERSION}{commit}" if known else found["copy"].partition(" (sha256")[0]
    install = "" if known else SETUP
    return [{"what": "COST 2100", "state": state_, "for": "generator cost2100", "install": install}]


def _octave_version() -> str:
    program = external.find_octave()
    if program is None:
        return ""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout.strip().splitlines() or [""])[0]
