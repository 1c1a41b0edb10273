"""From names to specs and places: which dataset a recipe and a size mean, and where it lies."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wbench import registry
from wbench.dataset.place import is_url
from wbench.dataset.reader import Dataset, open_dataset
from wbench.dataset.spec import SEASON, DatasetSpec, check_size, check_storage, explain_validation, load_recipe
from wbench.errors import DatasetError, DatasetNotFoundError, PluginError, SpecError, UnknownNameError, UsageError
from wbench.generator import Generator, GeneratorParams
from wbench.seeding import SeasonSeed
from wbench.task.base import Task, family_class
from wbench.task.spec import TaskSpec, View, load_spec

__all__ = ["build_spec", "data_root", "dataset_path", "find_dataset", "load_generator", "load_task", "season_spec"]


def data_root(data: str | Path | None = None) -> Path:
    """The data folder: the argument, ``$WBENCH_DATA``, or ``./data``.

    Raises
    ------
    UsageError
        If it is a URL: tasks look for their datasets in a folder.
    """
    found = data or os.environ.get("WBENCH_DATA") or "data"
    if is_url(found):
        raise UsageError(
            "The data folder is a folder of this machine.",
            why=f"got {found}",
            next_step="name one dataset elsewhere by its URL: wbench generate RECIPE --out s3://bucket/name.zarr",
        )
    return Path(found)


def load_generator(name: str, *, ready: bool = True) -> Generator:
    """Construct a registered generator (this does not import its simulator).

    Parameters
    ----------
    name : str
        Registry name.
    ready : bool
        Check that its simulator is installed; False where its datasets are only read.

    Raises
    ------
    UnknownNameError, MissingDependencyError
        No such generator, or its simulator is not installed.
    PluginError
        The code cannot be used.
    """
    found = registry.load("generator", name, ready=ready)
    try:
        generator = found()
    except Exception as error:
        raise PluginError(f"Generator {name!r} cannot be constructed.", where=str(found), why=repr(error)) from error
    if not isinstance(generator, Generator):
        raise PluginError(f"Generator {name!r} is not a wbench.Generator.", where=str(found))
    params = getattr(generator, "Params", None)
    if not isinstance(getattr(generator, "version", None), int) or not (
        isinstance(params, type) and issubclass(params, GeneratorParams)
    ):
        why = "it needs a whole number `version`, and `Params`, a subclass of wbench.generator.GeneratorParams"
        raise PluginError(f"Generator {name!r} breaks its contract.", where=str(found), why=why)
    return generator


def build_spec(
    recipe: str | Path,
    size: str = "standard",
    seed: int | None = None,
    *,
    storage: str | None = None,
    season: SeasonSeed | None = None,
    ready: bool = True,
) -> tuple[DatasetSpec, Generator, Any, str]:
    """Resolve a recipe: its dataset spec, generator, checked parameters and data licence.

    A seed and a storage replace those of the recipe. A season's secret makes it the spec of the hidden dataset: its
    root seed is a keyed digest of the published dataset's spec digest.

    Raises
    ------
    UnknownNameError, SpecError
        Unknown recipe, size, storage or generator; a wrong parameter; a seed and a season.
    MissingDependencyError
        The simulator is not installed, and ``ready`` asks for it.
    """
    table = load_recipe(recipe)
    checked = check_size(size)
    if checked not in table.sizes:
        raise UnknownNameError("size", size, table.sizes, next_step=f"wbench generate {table.name} --size …")
    if seed is not None and seed < 0:
        raise SpecError(f"A seed is a whole number from 0 on, not {seed}.", next_step="--seed 1")
    if seed is not None and season is not None:
        raise SpecError("A season gives the root seed.", next_step="leave --seed or --season-seed out")
    generator = load_generator(table.generator, ready=ready)
    try:
        params = generator.Params.model_validate(table.params)
    except ValidationError as error:
        why = explain_validation(error)
        raise SpecError("The recipe is not valid.", where=f"{recipe} [params]", why=why) from error
    spec = DatasetSpec(
        recipe=table.name,
        recipe_version=table.version,
        generator=table.generator,
        generator_version=generator.version,
        seed=table.seed if seed is None else seed,
        samples=table.sizes[checked].samples,
        block=table.block,
        shard_blocks=table.sizes[checked].shard_blocks,
        params=params.model_dump(mode="json"),
        size=checked,
        storage=table.storage,
    )
    if season is not None:
        spec = spec.replaced(seed=season.root(spec.digest), season=season.name)
    if storage is not None:  # last: how the channels are stored does not change which they are
        spec = spec.replaced(storage=check_storage(storage))
    return spec, generator, params, table.licence


def dataset_path(
    recipe: str,
    size: str,
    seed: int | None = None,
    data: str | Path | None = None,
    storage: str | None = None,
    season: str = "",
) -> Path:
    """Where a recipe's dataset lies by default: ``DATA/RECIPE-SIZE[-sSEED][-seasonNAME][-STORAGE].zarr``."""
    suffix = ("" if seed is None else f"-s{seed}") + (f"-season{season}" if season else "")
    return data_root(data) / f"{recipe}-{size}{suffix}{'' if storage is None else f'-{storage}'}.zarr"


def find_dataset(recipe: str, size: str, data: str | Path | None = None, season: str = "") -> Dataset:
    """Open a recipe's complete dataset for evaluation; with the name of a season its hidden one.

    Raises
    ------
    DatasetNotFoundError
        If it has not been generated; the message has the command.
    DatasetError
        If it is incomplete or was made from another version of the recipe or generator.
    """
    spec, *_ = build_spec(recipe, size, ready=False)  # data are read where their simulator need not be
    if not re.fullmatch(SEASON, season):
        raise SpecError("A season is named by 12 hexadecimal digits.", next_step="wbench generate prints the name")
    path = dataset_path(spec.recipe, size, data=data, season=season)
    hidden = "--season-seed FILE " if season else ""
    command = f"wbench generate {recipe} --size {size} {hidden}--out {path}"
    if not path.exists():
        raise DatasetNotFoundError(f"The dataset {recipe!r} ({size}) is not here.", where=str(path), next_step=command)
    dataset = open_dataset(path)
    if season:  # the secret gave its root seed, and is not needed to read it
        spec = spec.replaced(season=season, seed=dataset.spec.seed)
    if dataset.spec.digest != spec.digest:
        raise DatasetError(
            f"The dataset {recipe!r} ({size}) was made from another version of its recipe or generator.",
            where=str(path),
            why=f"its spec digest is {dataset.spec.digest}, current is {spec.digest}",
            next_step=f"move {path} away, then: {command}",
        )
    dataset.require_complete()
    return dataset


def load_task(name: str | Path, *, size: str = "standard", data: str | Path | None = None, season: str = "") -> Task:
    """Construct a task on its generated datasets.

    Parameters
    ----------
    name : str or Path
        Registry name of the instance, or a ``.toml`` file.
    size : {"tiny", "standard", "large"}
        Size of the datasets; ``tiny`` is never ranked.
    data : path, optional
        Data folder; default ``$WBENCH_DATA`` or ``./data``.
    season : str
        Public name of a season (split rule S6): the test part is the whole hidden dataset, training and validation
        stay what they are. Empty for the published test part.

    Raises
    ------
    UnknownNameError, SpecError
        No such task or size, or a wrong field; a season of a task whose users share fixed streets.
    DatasetNotFoundError
        A dataset has not been generated; the message has the command.
    """
    spec = load_spec(name)
    family = family_class(spec)
    check_size(size)
    if not season:
        return family(spec, {recipe: find_dataset(recipe, size, data) for recipe in spec.recipes})
    if spec.split.spatial:
        why = "its scenes stay what they are, so a new user may stand beside one of training"
        raise SpecError("A task with a split by place has no hidden season.", where=spec.name, why=why)
    hidden = find_dataset(spec.views["test"].recipe, size, data, season)
    published, spec = spec.digest, season_spec(spec, hidden.spec.season)
    test = spec.views["test"].recipe
    shown = {recipe: find_dataset(recipe, size, data) for recipe in spec.recipes if recipe != test}
    task = family(spec, {**shown, test: hidden})
    task.drawn_by = published
    return task


def season_spec(spec: TaskSpec, season: str) -> TaskSpec:
    """The instance with a season's whole hidden dataset as its test part: another digest, so another edition."""
    if not season:
        return spec
    recipe = load_recipe(spec.views["test"].recipe).name  # the view may name a file
    view = View(recipe=f"{recipe}-season{season}", side="all")
    return TaskSpec.model_validate({**spec.model_dump(), "views": {**spec.views, "test": view}})
