"""Recipes and dataset specs: what to generate, checked and digested."""

from __future__ import annotations

import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from wbench import registry
from wbench.dataset.schema import SCHEMA_VERSION
from wbench.digest import value_digest
from wbench.errors import SpecError, UnknownNameError

__all__ = [
    "SIZES",
    "STORAGES",
    "DatasetSpec",
    "Recipe",
    "Size",
    "Storage",
    "check_size",
    "check_storage",
    "explain_validation",
    "load_recipe",
]

Size = Literal["tiny", "standard", "large"]
SIZES: tuple[Size, ...] = get_args(Size)
#: How channels lie in the store (:mod:`wbench.dataset.encoding`).
Storage = Literal["lossless", "rounded", "float16"]
STORAGES: tuple[Storage, ...] = get_args(Storage)
#: Public name of a season; it becomes part of a folder's name.
SEASON = r"^([0-9a-f]{12})?$"


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SizeSpec(_Frozen):
    """How many samples, and how many blocks make a shard."""

    samples: int = Field(gt=0)
    shard_blocks: int = Field(gt=0)


class Recipe(_Frozen):
    """One recipe file: a generator, its parameters, and three sizes."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")  # it becomes part of a folder's name
    version: int = Field(ge=1)
    generator: str
    summary: str
    licence: str
    seed: int = Field(ge=0)
    block: int = Field(gt=0)
    sizes: dict[Size, SizeSpec]
    storage: Storage = "lossless"
    params: dict[str, Any] = {}
    #: Ranges that every shard is held against (:mod:`wbench.run.expect`). They refuse shards and change none, so they
    #: are not part of the spec and its digest.
    expect: dict[str, tuple[float, float]] = {}


class DatasetSpec(_Frozen):
    """Everything that fixes the bits of a dataset.

    The *spec digest* names what was asked for. Tasks, splits and noise hang on it, not on the bits, because another
    processor may change the last ones.

    ``season`` is the public name of the season of a hidden dataset (split rule S6), empty of a published one. Its
    ``seed`` is a keyed digest that only the season's secret can give (:class:`wbench.seeding.SeasonSeed`).
    """

    recipe: str
    recipe_version: int
    generator: str
    generator_version: int
    seed: int
    samples: int
    block: int
    shard_blocks: int
    params: dict[str, Any]
    size: Size
    schema_version: int = SCHEMA_VERSION
    storage: Storage = "lossless"
    season: str = Field(default="", pattern=SEASON)

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A field that came later is left out at its default, so that digests of earlier datasets stay what they are.
        fields: dict[str, Any] = handler(self)
        added = {"storage": "lossless", "season": ""}
        return {name: value for name, value in fields.items() if name not in added or value != added[name]}

    @cached_property
    def digest(self) -> str:
        """Spec digest."""
        return value_digest(self.model_dump(mode="json"))

    def replaced(self, **changes: Any) -> DatasetSpec:
        """The spec with other values of some fields, checked, and with a digest of its own."""
        return DatasetSpec.model_validate({**self.model_dump(), **changes})

    @property
    def seed_option(self) -> str:
        """The option of ``wbench generate`` that gives this root seed; that of a season is a maintainer's file."""
        return "--season-seed FILE" if self.season else f"--seed {self.seed}"

    @property
    def shard_samples(self) -> int:
        """Samples of a full shard."""
        return self.block * self.shard_blocks

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.samples // self.shard_samples)

    def shard_range(self, shard: int) -> range:
        """Sample ids of a shard."""
        start = shard * self.shard_samples
        return range(start, min(start + self.shard_samples, self.samples))

    def blocks_of(self, shard: int) -> list[tuple[int, range]]:
        """(block index, sample ids) of each block of a shard; only the dataset's last block may be shorter."""
        ids = self.shard_range(shard)
        starts = range(ids.start, ids.stop, self.block)
        return [(start // self.block, range(start, min(start + self.block, ids.stop))) for start in starts]


def check_size(size: str) -> Size:
    """Return the size, or raise :class:`UnknownNameError`."""
    if size not in SIZES:
        raise UnknownNameError("size", size, SIZES, next_step="--size tiny|standard|large")
    return size


def check_storage(storage: str) -> Storage:
    """Return the storage, or raise :class:`UnknownNameError`."""
    if storage not in STORAGES:
        raise UnknownNameError("storage", storage, STORAGES, next_step="--storage lossless|rounded|float16")
    return storage


def explain_validation(error: ValidationError) -> str:
    """One line for each thing that pydantic found wrong."""
    parts = []
    for item in error.errors():
        place = ".".join(str(p) for p in item["loc"]) or "(top level)"
        message = "unknown field" if item["type"] == "extra_forbidden" else item["msg"]
        parts.append(f"{place}: {message}")
    return "; ".join(parts)


def load_recipe(name: str | Path) -> Recipe:
    """Read a recipe by registry name or from a ``.toml`` file.

    Raises
    ------
    UnknownNameError
        No recipe of that name.
    SpecError
        The file cannot be read, a field is wrong or unknown, or an installed recipe is not named like its file.
    """
    path = Path(name)
    registered = path.suffix != ".toml"
    if registered:
        found = registry.registry().get("recipe", str(name)).path
        path = found if found is not None else path
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # not there, not UTF-8, not TOML
        raise SpecError("The recipe cannot be read.", where=str(path), why=str(error)) from error
    try:
        recipe = Recipe.model_validate(table)
    except ValidationError as error:
        raise SpecError("The recipe is not valid.", where=str(path), why=explain_validation(error)) from error
    if registered and recipe.name != name:
        why = f"its name is {recipe.name!r}, the file's is {str(name)!r}"
        raise SpecError("The recipe is not named like its file.", where=str(path), why=why)
    return recipe
