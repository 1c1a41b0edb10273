"""Finds Octave and the user's copy of QuaDRiGa, and makes sure that it is the one that was asked for.

QuaDRiGa is Fraunhofer HHI's, for non-commercial use. Nothing of it is part of wbench.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from wbench.errors import MissingDependencyError, SpecError
from wbench_generators import external

__all__ = ["QUADRIGA", "locate", "octave", "probe", "require_copy"]

QUADRIGA: Final = external.Program(
    name="quadriga",
    variable="WBENCH_QUADRIGA",
    source="https://github.com/fraunhoferhhi/QuaDRiGa.git",
    commit="277866650eb115adb5b3e8ac252b0d1df073596d",
    paths=("quadriga_src", "QuaDRiGa_License.txt"),
    licence="QuaDRiGa_License.txt",
    terms=(
        "QuaDRiGa (Fraunhofer HHI) may be used for non-commercial purposes only, for instance science, education and "
        "standardisation; no patent licence is granted; its full licence text comes with it"
    ),
    sources="quadriga_src",
    suffixes=(".m", ".conf"),
    digest="sha256:9941b4374b2cf98e4920f987b23be54a37db0867f1e9249759c071ccb4fd0152",
)
VERSION: Final = "2.8.1"


def locate() -> Path | None:
    """QuaDRiGa's source folder, or None where there is no copy."""
    root = external.folder(QUADRIGA)
    return next((place for place in (root / "quadriga_src", root) if (place / "@qd_builder").is_dir()), None)


def require_copy(wanted: str = QUADRIGA.digest) -> Path:
    """QuaDRiGa's source folder, checked.

    Raises
    ------
    MissingDependencyError
        There is no copy.
    SpecError
        It is not the copy that was asked for: its numbers would be others.
    """
    place = locate()
    if place is None:
        named = os.environ.get(QUADRIGA.variable)
        raise MissingDependencyError(
            "QuaDRiGa is not on this machine.",
            where=str(external.folder(QUADRIGA)),
            why=f"no folder @qd_builder there ({QUADRIGA.variable} is {'set' if named else 'not set'})",
            next_step=f"wbench setup quadriga    (or set {QUADRIGA.variable} to your copy)",
        )
    found = external.tree_digest(place, QUADRIGA.suffixes)
    if found != wanted:
        raise SpecError(
            "This copy of QuaDRiGa is modified, or of another version.",
            where=str(place),
            why=f"its digest is {found} instead of {wanted}",
            next_step=f"get version {VERSION}: wbench setup quadriga; or accept yours in a recipe of your own: "
            f'copy_digest = "{found}"',
        )
    return place


def octave() -> str:
    """Path of GNU Octave's command line program; raises like :func:`wbench_generators.external.octave`."""
    return external.octave(QUADRIGA.name)


def probe() -> list[dict[str, str]]:
    """Row of ``wbench doctor``: whether QuaDRiGa is here, and which."""
    place, install = locate(), "wbench setup quadriga"
    if place is None:
        state = "missing"
    elif external.tree_digest(place, QUADRIGA.suffixes) != QUADRIGA.digest:
        state = f"modified, or not {VERSION}: {place}"
    else:
        commit = external.record(place).get("commit", "")
        state, install = f"{VERSION}{f' (commit {commit[:7]})' if commit else ''}", ""
    return [{"what": "QuaDRiGa", "state": state, "for": "generator quadriga", "install": install}]
