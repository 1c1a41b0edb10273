"""How far a result is to be believed: what the maintainers found out, and what follows from the submissions themselves.

``status.toml`` lies beside the submissions and only maintainers change it::

    [[status]]
    model = "lab/net"
    revision = "1"
    status = "recomputed"            # or reproduced, from-paper, withdrawn
    submission = "sha256:…"          # digest of the submission.json that was looked at
    note = "all 12 results, 2026-05-01"

Without a line a submission is *self-reported*. A line counts for the ``submission.json`` it names: results that came
later are self-reported again until somebody looks. A withdrawal always counts.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wbench.errors import ResultError
from wbench_leaderboard.submission import layout
from wbench_leaderboard.submission.files import folders, read_bytes
from wbench_leaderboard.submission.limits import MAX_MANIFEST_BYTES, MAX_STATUS_BYTES
from wbench_leaderboard.submission.reading import DIGEST, read_manifest
from wbench_leaderboard.submission.wording import value_fault

__all__ = ["Evidence", "Status", "read_evidence", "read_status", "status_faults"]

Level = Literal["self-reported", "recomputed", "reproduced", "from-paper", "withdrawn"]


class Status(BaseModel):
    """One line of ``status.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    revision: str
    status: Literal["recomputed", "reproduced", "from-paper", "withdrawn"]
    submission: str | None = Field(default=None, pattern=DIGEST)
    note: str = ""


@dataclass(frozen=True)
class Evidence:
    """What is known of one model revision: its status, why, and the revision that replaces it on the board."""

    status: Level = "self-reported"
    note: str = ""
    superseded_by: str | None = None


def read_status(root: Path) -> list[Status]:
    """The maintainers' lines; none if there is no file.

    Raises
    ------
    ResultError
        If the file cannot be read, a line is not valid, or a model revision has two.
    """
    path = root / layout.STATUS
    if not (path.exists() or path.is_symlink()):
        return []
    content = read_bytes(path, MAX_STATUS_BYTES)
    try:
        table: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
        if set(table) - {"status"} or not isinstance(table.get("status", []), list):
            raise ValueError("there are only [[status]] tables")
        lines = [Status.model_validate(line) for line in table.get("status", [])]
        fault = value_fault([line.model_dump() for line in lines])
        if fault:
            raise ValueError(fault)
        seen = [(line.model, line.revision) for line in lines]
        if len(set(seen)) < len(seen):
            raise ValueError("a model revision has two lines")
        for line in lines:
            if line.status in ("recomputed", "reproduced") and line.submission is None:
                raise ValueError(f"{line.model} is {line.status}, but the line does not say which submission.json")
    except (ValueError, ValidationError, RecursionError) as error:
        raise ResultError(f"{layout.STATUS} is not valid.", where=str(path), why=str(error)) from error
    return lines


def read_evidence(roots: Iterable[Path]) -> dict[tuple[str, str], Evidence]:
    """Evidence of every submission below some folders, by (model, revision).

    Folders that hold plain results have none: what is not a submission is self-reported.

    Raises
    ------
    ResultError
        If a status file or a list of files is not valid.
    """
    found: dict[tuple[str, str], Evidence] = {}
    for root in roots:
        if not root.is_dir():
            continue
        lines = {(line.model, line.revision): line for line in read_status(root)}
        manifests = list(_manifests(root))
        replaces: dict[tuple[str, str], list[str]] = {}
        for manifest, _ in manifests:
            if manifest.supersedes is not None:
                replaces.setdefault((manifest.model, manifest.supersedes), []).append(manifest.revision)
        withdrawn = {key for key, line in lines.items() if line.status == "withdrawn"}
        for manifest, digest in manifests:
            key = (manifest.model, manifest.revision)
            line = lines.get(key)
            counts = line is not None and (line.submission in (None, digest) or line.status == "withdrawn")
            status = Evidence(line.status, line.note) if line is not None and counts else Evidence()
            found[key] = Evidence(status.status, status.note, _successor(key, replaces, withdrawn))
    return found


def _successor(
    key: tuple[str, str], replaces: Mapping[tuple[str, str], Sequence[str]], withdrawn: Collection[tuple[str, str]]
) -> str | None:
    """The revision that stands for this one: of a withdrawn successor its own one, None if there is none left."""
    model, revision = key
    ahead, seen = list(replaces.get(key, ())), {revision}
    while ahead:
        candidate = ahead.pop(0)
        if candidate in seen:  # two revisions can name each other
            continue
        if (model, candidate) not in withdrawn:
            return candidate
        seen.add(candidate)
        ahead += replaces.get((model, candidate), ())
    return None


def status_faults(root: Path) -> tuple[list[str], list[str]]:
    """Lines of the status file that are about nothing, and those that no longer count, in words.

    Raises
    ------
    ResultError
        If the status file is not valid.
    """
    nothing, outgrown = [], []
    for line in read_status(root):
        name = f"{line.model} revision {line.revision}"
        known = layout.model_fault(line.model) is None and layout.revision_fault(line.revision) is None
        path = root / layout.folder_of(line.model, line.revision) / layout.MANIFEST if known else None
        if path is None or not path.is_file():
            nothing.append(f"{name} is {line.status}, and is not there")
        elif line.status != "withdrawn" and line.submission is not None and line.submission != _digest(path):
            outgrown.append(f"{name} was {line.status}, and has changed since: it is self-reported")
    return nothing, outgrown


def _digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(read_bytes(path, MAX_MANIFEST_BYTES)).hexdigest()}"


def _manifests(root: Path) -> Iterable[tuple[Any, str]]:
    ignored: list[str] = []
    for model in folders(root, ignored):
        if layout.model_of(model) is None:
            continue
        for revision in folders(root / model, ignored):
            path = root / model / revision / layout.MANIFEST
            if path.is_file() and not path.is_symlink():
                yield read_manifest(path), _digest(path)
