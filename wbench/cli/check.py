"""``wbench check``: the conformance suite for a model, a task or a generator."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wbench import registry
from wbench.cli.tables import format_option, show_table
from wbench.errors import UsageError

if TYPE_CHECKING:
    from wbench.task.base import Task
    from wbench.testing import Suite

__all__ = ["check"]


@click.command()
@click.argument("plug_in")
@click.option("--task", help="Task to try a model on [default: each tiny dataset's first task that it serves].")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder [default: $WBENCH_DATA or ./data].")
@format_option
def check(plug_in: str, task: str | None, data: Path | None, format_: str) -> int:
    """Run the conformance suite on PLUG_IN.

    PLUG_IN is a model (registry name, module:Class or ./file.py:Class), a task instance, or a recipe (its generator).
    """
    with tempfile.TemporaryDirectory(prefix="wbench-check-") as scratch:
        suite = _suite(plug_in, task, data, Path(scratch))
        results = suite.run()
    rows = [
        {"test": r.name.replace("_", " "), "state": "failed" if r.failure else "ok", "checks": r.failure or r.checks}
        for r in results
    ]
    show_table(rows, format_, title=f"{type(suite).__name__}: {plug_in}")
    return 1 if any(r.failure for r in results) else 0


def _suite(plug_in: str, task: str | None, data: Path | None, scratch: Path) -> Suite:
    found = registry.registry()
    if plug_in in found.entries["task"] or (plug_in.endswith(".toml") and task is None and _is_task(plug_in)):
        from wbench.testing import TaskSuite

        suite = TaskSuite()
        suite.task = _tiny_task(plug_in, data, scratch)  # type: ignore[misc]
        return suite
    if plug_in in found.entries["recipe"] or plug_in.endswith(".toml"):
        return _generator_suite(plug_in)
    from wbench.testing import ModelSuite

    models = ModelSuite()
    models.reference = plug_in  # type: ignore[misc]
    models.task = _tiny_task(task or _first_task(plug_in), data, scratch)  # type: ignore[misc]
    return models


def _is_task(path: str) -> bool:
    import tomllib

    try:
        return "family" in tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return False


def _generator_suite(recipe: str) -> Suite:
    from wbench.dataset.spec import load_recipe
    from wbench.run.plan import load_generator
    from wbench.testing import GeneratorSuite

    table = load_recipe(recipe)
    suite = GeneratorSuite()
    suite.generator = type(load_generator(table.generator))  # type: ignore[misc]
    suite.params = table.params  # type: ignore[misc]
    return suite


def _first_task(reference: str) -> str:
    from wbench.model import Embedder, load_model
    from wbench.task.spec import load_spec

    model = load_model(reference)
    for name in registry.registry().names("task"):
        spec = load_spec(name)
        if isinstance(model, Embedder) and spec.kind not in ("classify", "regress"):
            continue
        if model.supports(spec) is None:
            return name
    raise UsageError("The model serves no installed task.", where=reference, next_step="wbench list tasks")


def _tiny_task(name: str, data: Path | None, scratch: Path) -> Task:
    """The task on its tiny datasets: those in the data folder, else generated for this check only."""
    from wbench.run.generate import generate
    from wbench.run.plan import dataset_path, load_task
    from wbench.task.spec import load_spec

    recipes = load_spec(name).recipes
    if all(dataset_path(recipe, "tiny", data=data).exists() for recipe in recipes):
        return load_task(name, size="tiny", data=data)
    for recipe in recipes:
        generate(recipe, size="tiny", out=dataset_path(recipe, "tiny", data=scratch), show_progress=True)
    return load_task(name, size="tiny", data=scratch)
