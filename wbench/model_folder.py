"""A model as a folder: ``model.toml`` says which code, which weights, which parameters, and what it declares.

::

    api = 1
    object = "./net.py:Net"            # or "package.module:Class"; or, instead, model = "wbench/NAME" of the registry
    weights = "model.safetensors"      # optional; beside model.toml, handed to the class as weights=Path

    [params]                           # optional: further keyword arguments of the class
    width = 64

    [info]                             # optional: what the class does not declare itself, field by field
    name = "me/net-64"
    licence = "Apache-2.0"
    pretraining = ["snap-umi"]
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wbench import registry
from wbench.dataset.spec import explain_validation
from wbench.digest import file_digest, value_digest
from wbench.errors import MissingError, SpecError, UsageError

__all__ = ["FolderInfo", "ModelFile", "ModelFolder", "find_folder", "paths_digest", "read_folder"]

FILE = "model.toml"
API = 1
#: The smallest one, for errors.
_STEP = 'it needs api = 1 and object = "./file.py:Class"; weights, [params] and [info] are optional (docs: models)'


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FolderInfo(_Table):
    """Fields of :class:`wbench.ModelInfo` that the folder declares; the others are the class's own."""

    name: str | None = None
    revision: str | None = None
    kind: Literal["trivial", "classical", "control", "network", "foundation", "user"] | None = None
    summary: str | None = None
    source: str | None = None
    licence: str | None = None
    trains: bool | None = None
    stochastic: bool | None = None
    parameters: int | None = Field(default=None, ge=0)
    pretraining: tuple[str, ...] | None = None
    pretraining_samples: int | None = Field(default=None, ge=0)
    overlap: Literal["none", "generator", "scenario", "dataset"] | None = None


class ModelFile(_Table):
    """The tables of ``model.toml``."""

    api: int
    object: str = ""
    model: str = ""
    weights: str = ""
    params: dict[str, Any] = {}
    info: FolderInfo = FolderInfo()

    @model_validator(mode="after")
    def _one(self) -> ModelFile:
        if bool(self.object) == bool(self.model):
            raise ValueError("it needs either object = 'module:Class' or model = 'organisation/name'")
        if "weights" in self.params:
            raise ValueError("weights go to the top level, not into [params]")
        return self


@dataclass(frozen=True)
class ModelFolder:
    """A checked model folder.

    Attributes
    ----------
    path : Path
        The folder.
    table : ModelFile
        What ``model.toml`` says.
    weights : Path or None
        The file or folder of weights; it exists.
    """

    path: Path
    table: ModelFile
    weights: Path | None

    @property
    def reference(self) -> str:
        """The class as for ``--model``, a file as seen from the folder."""
        target, colon, name = self.table.object.rpartition(":")
        if colon and target.endswith(".py"):
            return f"{self.path / Path(target).expanduser()}:{name}"
        return self.table.object or self.table.model

    @property
    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the class."""
        return self.table.params | ({} if self.weights is None else {"weights": self.weights})

    def revision(self, code: str, files: Sequence[Path] = ()) -> str:
        """12 digits of the digest of code, parameters and weights.

        Parameters
        ----------
        code : str
            What stands for the code: the class's own revision, or the digest of its source.
        files : sequence of Path
            Further files that the model hangs on.
        """
        named = [] if self.weights is None else [self.weights]
        weights = paths_digest([*named, *(path for path in files if path not in named)])
        return value_digest([code, self.table.params, weights])[7:19]


def find_folder(reference: str) -> Path | None:
    """The folder that a ``--model`` names, None if it names something else; registry names come first.

    Raises
    ------
    UsageError
        It is a folder without ``model.toml``.
    """
    if reference in registry.registry().entries["model"]:
        return None
    path = Path(reference).expanduser()
    if path.name == FILE and path.is_file():
        return path.parent
    if (path / FILE).is_file():
        return path
    if path.is_dir():
        step = "write one (docs: models), or name the class: ./file.py:Class"
        raise UsageError(f"The folder has no {FILE}.", where=reference, next_step=step)
    return None


def read_folder(folder: Path) -> ModelFolder:
    """Read and check a model folder.

    Raises
    ------
    SpecError
        ``model.toml`` is no TOML, has unknown or wrong fields, or is for another version of wbench.
    MissingError
        The weights are not there.
    """
    folder = folder.resolve()
    where = str(folder / FILE)
    try:
        values = tomllib.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # not UTF-8 and not TOML are both ValueErrors
        step = f"correct it; {_STEP}"
        raise SpecError(f"{FILE} cannot be read.", where=where, why=str(error), next_step=step) from error
    if values.get("api", API) != API:
        why = f"it has api = {values['api']!r}, this wbench reads api = {API}"
        raise SpecError(f"{FILE} is for another version of wbench.", where=where, why=why, next_step="set api = 1")
    try:
        table = ModelFile.model_validate(values)
    except ValidationError as error:
        why = explain_validation(error)
        raise SpecError(f"{FILE} is not valid.", where=where, why=why, next_step=_STEP) from error
    weights = folder / Path(table.weights).expanduser() if table.weights else None
    if weights is not None and not weights.exists():
        step = f"put the file there, or change weights in {FILE}"
        raise MissingError("The weights are not there.", where=str(weights), why=f"{where} names them", next_step=step)
    return ModelFolder(folder, table, weights)


def paths_digest(paths: list[Path]) -> str:
    """``sha256:…`` of files, and of all files in folders with their names there."""
    found: list[tuple[str, str]] = []
    for path in paths:
        if path.is_dir():
            files = sorted(one for one in path.rglob("*") if one.is_file())
            found += [(one.relative_to(path).as_posix(), file_digest(one)) for one in files]
        else:
            found.append(("", file_digest(path)))
    return value_digest(found)
