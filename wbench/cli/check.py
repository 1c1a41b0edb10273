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
    from wbench.testing import ModelSuite, Suite, TaskSuite

__all__ = ["check"]


#: Tasks whose shapes are looked at for a model that names none; those without data would have to be generated.
TRIED = 6


@click.command()
@click.argument("plug_in")
@click.option("--task", help="Task to try a model on [default: each tiny dataset's first task that it serves].")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder [default: $WBENCH_DATA or ./data].")
@click.option("--size", default="tiny", show_default=True, help="Size of a task's datasets; others must be there.")
@format_option
def check(plug_in: str, task: str | None, data: Path | None, size: str, format_: str) -> int:
    """Run the conformance suite on PLUG_IN.

    PLUG_IN is a model (registry name, module:Class, ./file.py:Class or a folder with model.toml), two halves of a codec
    ("./encoder.py:A -> ./decoder.py:B"), a task instance, or a recipe (its generator). Of a model its cost here is
    shown too, of a task the leakage audit: what its sides share, how far apart they are, how balanced.
    """
    with tempfile.TemporaryDirectory(prefix="wbench-check-") as scratch:
        suite = _suite(plug_in, task, data, size, Path(scratch))
        results = suite.run()
        findings = _audit_rows(suite.task) if isinstance(suite, _task_suite()) else []
        costs = _cost_rows(suite) if not any(r.failure for r in results) else []
    rows = [
        {"test": r.name.replace("_", " "), "state": r.state, "checks": r.failure or r.skipped or r.checks}
        for r in results
    ]
    about = f" on {suite.task.spec.name} ({size})" if isinstance(suite, _model_suite()) else ""
    show_table(rows, format_, title=f"{type(suite).__name__}: {plug_in}{about}")
    if findings:
        show_table(findings, format_, title=f"Audit: {plug_in} ({size})")
    if costs:
        show_table(costs, format_, title=f"Cost: {plug_in}{about}")
    return 1 if any(r.failure for r in results) else 0


def _model_suite() -> type[ModelSuite]:
    from wbench.testing import ModelSuite

    return ModelSuite


def _cost_rows(suite: Suite) -> list[dict[str, str]]:
    if not isinstance(suite, _model_suite()):
        return []
    return [{"cost": name, "value": value} for name, value in suite.cost().items()]


def _task_suite() -> type[TaskSuite]:
    from wbench.testing import TaskSuite

    return TaskSuite


def _audit_rows(task: Task) -> list[dict[str, str]]:
    from wbench.task.audit import audit

    found = audit(task)
    split = task.spec.split
    unit = f"square of {split.block_m:g} m" if split.rule == "S1" else split.unit
    rows = [("split", f"{split.rule}, unit {unit}")]
    for part, samples in found.samples.items():
        counts = f"{samples:,}, {found.units[part]:,}, {found.clusters[part]:,}"
        rows.append((f"{part}: samples, units, clusters", counts))
    rows.append(("on no side (guard, no path)", f"{found.left_out:,}"))
    rows.append(("test samples also in training", str(found.duplicates)))
    if found.nearest_m:
        quantiles = ", ".join(f"{q} %: {metres:.1f}" for q, metres in found.nearest_m.items())
        rows.append(("test user to nearest training user (m)", quantiles))
    else:
        rows.append(("test user to nearest training user (m)", "no scene in common: i.i.d. drops, or held out"))
    for part, shares in found.balance.items():
        top = sorted(shares.items(), key=lambda item: -item[1])[:4]
        more = f" … {len(shares)} classes" if len(shares) > 4 else ""
        rows.append((f"{part}: labels", ", ".join(f"{label}: {share:.1%}" for label, share in top) + more))
    rows += [("violation", text) for text in found.violations]
    return [{"finding": name, "value": value} for name, value in rows]


def _suite(plug_in: str, task: str | None, data: Path | None, size: str, scratch: Path) -> Suite:
    found = registry.registry()
    if plug_in in found.entries["task"] or (plug_in.endswith(".toml") and task is None and _is_task(plug_in)):
        suite = _task_suite()()
        suite.task = _task_of(plug_in, data, size, scratch)  # type: ignore[misc]
        return suite
    if plug_in in found.entries["recipe"] or plug_in.endswith(".toml"):
        return _generator_suite(plug_in)
    models = _model_suite()()
    models.reference = plug_in  # type: ignore[misc]
    models.task = (  # type: ignore[misc]
        _first_served(plug_in, data, size, scratch) if task is None else _task_of(task, data, size, scratch)
    )
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


def _first_served(reference: str, data: Path | None, size: str, scratch: Path) -> Task:
    """The first installed task that the model serves, of those whose datasets are here if there is one."""
    from wbench.model import Embedder
    from wbench.run.guard import blaming
    from wbench.run.plan import dataset_path
    from wbench.task.spec import load_spec
    from wbench.two_sided import load

    model = load(reference)
    specs = [load_spec(name) for name in registry.registry().names("task")]
    if isinstance(model, Embedder):
        specs = [spec for spec in specs if spec.kind in ("classify", "regress")]
    with blaming(reference, "supports", model):
        answers = {spec.name: model.supports(spec) for spec in specs}
    served = [spec for spec in specs if answers[spec.name] is None]
    here = [s for s in served if all(dataset_path(recipe, size, data=data).exists() for recipe in s.recipes)]
    others = [spec for spec in served if spec not in here]
    reasons: dict[str, list[str]] = {}
    for spec in [*here, *others[:TRIED]]:
        found = _task_of(spec.name, data, size, scratch)
        with blaming(reference, "accepts", model):
            reason = model.accepts(found.meta)
        if reason is None:
            return found
        reasons.setdefault(reason, []).append(spec.name)
    why = "; ".join(f"{', '.join(names[:3])}{' …' * (len(names) > 3)}: {text}" for text, names in reasons.items())
    step = "--task NAME, one that it is made for (wbench list tasks)"
    what = "The model serves no installed task." if not others[TRIED:] else "No task was found that the model serves."
    refusals = "; ".join(list(dict.fromkeys(filter(None, answers.values())))[:5])
    raise UsageError(what, where=reference, why=why or refusals, next_step=step)


def _task_of(name: str, data: Path | None, size: str, scratch: Path) -> Task:
    """The task on its datasets: those in the data folder; tiny ones are else generated for this check only."""
    from wbench.run.generate import generate
    from wbench.run.plan import dataset_path, load_task
    from wbench.task.spec import load_spec

    recipes = load_spec(name).recipes
    if size != "tiny" or all(dataset_path(recipe, "tiny", data=data).exists() for recipe in recipes):
        return load_task(name, size=size, data=data)
    for recipe in recipes:
        generate(recipe, size="tiny", out=dataset_path(recipe, "tiny", data=scratch), show_progress=True)
    return load_task(name, size="tiny", data=scratch)
