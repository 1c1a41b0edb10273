"""Simulators that are not ours to ship: where a user's copy lies, what it is, and how it gets there.

``wbench setup NAME`` brings a copy; the generator of that name finds it by :func:`folder`. Whatever else a copy holds,
its *digest* over the sources says whether it is the one that was tested.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbench.digest import value_digest
from wbench.errors import MissingDependencyError, OutputConflictError, SpecError, UsageError

__all__ = [
    "OCTAVE_INSTALL", "RECORD", "Program", "data_folder", "find_octave", "folder", "install", "octave", "record",
    "tree_digest",
]  # fmt: skip

OCTAVE_INSTALL: Final = "apt-get install octave    (elsewhere: https://octave.org/download)"

#: File in an installed copy that says where it came from.
RECORD: Final = "wbench-setup.json"
_SECONDS = 1800


@dataclass(frozen=True)
class Program:
    """A program that a user brings along.

    Attributes
    ----------
    name : str
        Its generator's name, and that of its folder.
    variable : str
        Environment variable that names a copy elsewhere.
    source : str
        Git URL of the original.
    commit : str
        The commit that was tested; taken where the source has it.
    paths : tuple of str
        What is needed of the repository, licence text included.
    licence, terms : str
        File with the licence, and what a user has to accept, in a sentence or two.
    sources : str
        Folder whose source files make the digest.
    suffixes : tuple of str
        Which files those are.
    digest : str
        Digest of the copy that was tested.
    """

    name: str
    variable: str
    source: str
    commit: str
    paths: tuple[str, ...]
    licence: str
    terms: str
    sources: str
    suffixes: tuple[str, ...]
    digest: str


def data_folder() -> Path:
    """Wbench's folder among the user's data, as the system has it."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "wbench"


def folder(program: Program) -> Path:
    """Where a copy is looked for: the program's variable, else its folder in :func:`data_folder`."""
    named = os.environ.get(program.variable)
    return Path(named).expanduser() if named else data_folder() / program.name


def find_octave() -> str | None:
    """Path of GNU Octave's command line program, None where there is none."""
    return shutil.which("octave-cli") or shutil.which("octave")


def octave(generator: str) -> str:
    """Path of GNU Octave's command line program, which a generator needs.

    Raises
    ------
    MissingDependencyError
        Octave is not installed.
    """
    found = find_octave()
    if found is None:
        what = f"The generator {generator} needs GNU Octave, which is not installed."
        raise MissingDependencyError(what, where="PATH", next_step=OCTAVE_INSTALL)
    return found


def tree_digest(root: Path, suffixes: Iterable[str]) -> str:
    """``sha256:…`` of names and contents of the source files below ``root``; line ends do not count.

    Files that git does not convert have the same digest everywhere, and so have those that it does.
    """
    wanted = tuple(suffixes)
    files = sorted(path for path in root.rglob("*") if path.suffix in wanted and path.is_file())
    return value_digest(
        {
            path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
            for path in files
        }
    )


def record(place: Path) -> dict[str, str]:
    """Where an installed copy came from: ``source``, ``commit``, ``digest``; of a git checkout its commit only."""
    for root in (place, place.parent):
        try:
            found = json.loads((root / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return {str(key): str(value) for key, value in found.items()}
    return {"commit": _git(place, "rev-parse", "HEAD", check=False)}


def install(program: Program, source: str | None = None, *, accepted: bool) -> Path:
    """Bring a copy of a program into :func:`data_folder`.

    Parameters
    ----------
    program : Program
        Which one.
    source : str, optional
        A folder or any URL that git can clone, instead of the original.
    accepted : bool
        Whether the user has accepted the licence.

    Returns
    -------
    Path
        The copy. One that was there before is replaced once the new one is complete.

    Raises
    ------
    UsageError
        The licence is not accepted, or the source is not that program.
    SpecError
        The source holds another version, or a modified one.
    MissingDependencyError
        git is not installed.
    OutputConflictError
        The program's variable names a copy: wbench would go on using that one.
    """
    if not accepted:
        raise UsageError(
            f"The licence of {program.name} is not accepted.",
            why=program.terms,
            next_step=f"wbench setup {program.name} --accept-licence",
        )
    if os.environ.get(program.variable):
        raise OutputConflictError(
            f"{program.variable} names a copy already.",
            where=os.environ[program.variable],
            next_step=f"unset {program.variable}, or use that copy",
        )
    goal = data_folder() / program.name
    goal.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{program.name}-", dir=goal.parent) as scratch:
        copy = Path(scratch) / program.name
        origin = program.source if source is None else source
        commit = _bring(program, origin, copy)
        if not (copy / program.sources).is_dir():
            raise UsageError(f"This is not {program.name}.", where=origin, why=f"it has no folder {program.sources}")
        digest = tree_digest(copy / program.sources, program.suffixes)
        if digest != program.digest:
            raise SpecError(
                f"This copy of {program.name} is modified, or of another version.",
                where=origin,
                why=f"its digest is {digest} instead of {program.digest}",
                next_step=f"take commit {program.commit} of {program.source}; a copy of your own is used by setting "
                f"{program.variable} and copy_digest in a recipe of yours",
            )
        about = {"source": origin, "commit": commit, "digest": digest, "licence": program.licence}
        (copy / RECORD).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(goal, ignore_errors=True)
        copy.rename(goal)
    return goal


def _bring(program: Program, origin: str, copy: Path) -> str:
    """Copy or clone what is needed of ``origin``; the commit, empty where it is no repository."""
    here = Path(origin).expanduser()
    if here.is_dir() and not _git(here, "rev-parse", "--git-dir", check=False):
        copy.mkdir()
        for name in program.paths:
            part = here / name
            if part.is_dir():
                shutil.copytree(part, copy / name)
            elif part.is_file():
                shutil.copy2(part, copy / name)
        return ""
    # Neither history nor documents are needed: the commit's tree, and of that the named paths only.
    lazy = ["--filter=blob:none"] if "://" in origin and not origin.startswith("file:") else []
    _git(None, "clone", "--quiet", "--no-checkout", *lazy, "--", str(here) if here.is_dir() else origin, str(copy))
    known = _git(copy, "rev-parse", "--verify", "--quiet", f"{program.commit}^{{commit}}", check=False)
    commit = known or _git(copy, "rev-parse", "HEAD")
    _git(copy, "checkout", "--quiet", commit, "--", *program.paths)
    shutil.rmtree(copy / ".git")
    return commit


def _git(place: Path | None, *arguments: str, check: bool = True) -> str:
    """Output of git; empty where it fails and that is not to be checked."""
    if shutil.which("git") is None:
        if not check:
            return ""
        raise MissingDependencyError("git is not installed.", next_step="apt-get install git")
    command = ["git", *(["-C", str(place)] if place is not None else []), *arguments]
    # No prompt for a password: a question that nobody sees would look like a hang.
    quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS, env=quiet)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError("git did not come to an end.", where=" ".join(command), why=str(error)) from error
    if done.returncode and check:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UsageError("git cannot get the source.", where=" ".join(command), why=why)
    return "" if done.returncode else done.stdout.strip()
