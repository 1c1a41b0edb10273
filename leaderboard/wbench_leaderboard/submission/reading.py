"""Files of a submission to checked values: bounded JSON, the list of files, results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wbench.dataset.spec import SEASON
from wbench.errors import ResultError
from wbench.result import RESULT_SCHEMA_VERSION, Result
from wbench_leaderboard.submission.files import read_bytes
from wbench_leaderboard.submission.layout import address_fault, model_fault, revision_fault
from wbench_leaderboard.submission.limits import (
    MAX_JSON_DEPTH,
    MAX_MANIFEST_BYTES,
    MAX_PROVENANCE_BYTES,
    MAX_RESULT_BYTES,
)
from wbench_leaderboard.submission.wording import value_fault

__all__ = ["FileRecord", "Manifest", "Outside", "read_json", "read_manifest", "read_submitted"]

SCHEMA: Final = 1
DIGEST: Final = r"^sha256:[0-9a-f]{64}$"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileRecord(_Record):
    """Digest and size of one file."""

    sha256: str = Field(pattern=DIGEST)
    bytes: int = Field(ge=0)


class Outside(_Record):
    """Files that are too large for git: each lies at ``url`` + ``/`` + its path."""

    url: str
    files: dict[str, FileRecord]


class Manifest(_Record):
    """``submission.json``: one model revision, and every file of it.

    ``supersedes`` names the revision of the same model that this one replaces on the board.
    """

    schema_version: Literal[1] = SCHEMA
    model: str
    revision: str
    supersedes: str | None = None
    files: dict[str, FileRecord]
    outside: Outside | None = None


def read_json(path: Path, limit: int) -> tuple[bytes, Any]:
    """A JSON file, as its bytes and as a value.

    Raises
    ------
    ResultError
        If it is too large, not UTF-8, nested too deep, has a key twice, NaN or infinity, or a text that hides.
    """
    content = read_bytes(path, limit)
    try:
        text = content.decode("utf-8")
        _check_depth(text)
        value = json.loads(text, object_pairs_hook=_table, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        why = str(error) or type(error).__name__
        raise ResultError(f"{path.name} is not JSON that can be read.", where=str(path), why=why) from error
    fault = value_fault(value)
    if fault:
        raise ResultError(f"{path.name} has a text or number that is refused.", where=str(path), why=fault)
    return content, value


# Strings are stepped over as a whole; what they hold opens nothing.
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]', re.DOTALL)


def _check_depth(text: str) -> None:
    depth = 0
    for token in _TOKENS.finditer(text):
        first = text[token.start()]
        if first in "[{":
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise ValueError(f"nested deeper than {MAX_JSON_DEPTH}")
        elif first in "]}":
            depth -= 1


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands there twice")
    return table


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def read_manifest(path: Path) -> Manifest:
    """Read ``submission.json``.

    Raises
    ------
    ResultError
        If it cannot be read, breaks the schema, or names what no submission may be called.
    """
    content, _ = read_json(path, MAX_MANIFEST_BYTES)
    manifest = _validated(Manifest, content, path)
    check_named(manifest.model, manifest.revision, path)
    if manifest.supersedes is not None and (
        revision_fault(manifest.supersedes) or manifest.supersedes == manifest.revision
    ):
        raise ResultError("supersedes must name another revision of the model.", where=str(path))
    if manifest.outside is not None:
        fault = address_fault(manifest.outside.url)
        if fault:
            raise ResultError("The address of the predictions is refused.", where=str(path), why=fault)
    return manifest


def check_named(model: str, revision: str, path: Path) -> None:
    """Refuse a name or a revision that the board cannot hold."""
    fault = model_fault(model) or revision_fault(revision)
    if fault:
        raise ResultError("The model's name or revision is refused.", where=str(path), why=fault)


def read_submitted(path: Path) -> Result:
    """Read one ``result.json`` of a submission, strictly: a text that looks like a number is not one.

    Raises
    ------
    ResultError
        If it cannot be read or breaks the schema.
    """
    content, value = read_json(path, MAX_RESULT_BYTES)
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version is not None and (type(version) is not int or not 1 <= version <= RESULT_SCHEMA_VERSION):
        why = f"there are versions 1 to {RESULT_SCHEMA_VERSION}"
        raise ResultError(f"{path.name} has a schema version that this wbench does not know.", where=str(path), why=why)
    result = _validated(Result, content, path)
    if len(json.dumps(result.provenance)) > MAX_PROVENANCE_BYTES:
        raise ResultError("The provenance is too long.", where=str(path), why=f"limit {MAX_PROVENANCE_BYTES} bytes")
    check_named(result.model.name, result.model.revision, path)
    if not re.fullmatch(SEASON, result.task.season):
        raise ResultError("The name of its season is not one.", where=str(path), why="it is 12 hexadecimal digits")
    return result


_Kind = TypeVar("_Kind", bound=BaseModel)


def _validated(kind: type[_Kind], content: bytes, path: Path) -> _Kind:
    try:
        return kind.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        why = f"{place}: {first['msg']}"
        raise ResultError(f"{path.name} breaks the schema.", where=str(path), why=why) from error
