"""``wbench demo``: the whole way on small data, from the simulator to the page, in minutes."""

from __future__ import annotations

import time
from pathlib import Path

import click

__all__ = ["demo"]

SUITE = "demo"


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("wbench-demo"),
    show_default=True,
    help="Folder for data, results and site.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Worker processes; on sets as small as these, starting them costs more than they save.",
)
def demo(out: Path, workers: int) -> int:
    """Generate small datasets with the real simulator, score the baselines, build the board.

    The datasets are tiny: the numbers are real, but not ranked. Run it again to carry on after a stop.
    """
    from wbench import registry
    from wbench.cli.evaluate import result_rows
    from wbench.cli.tables import show_table
    from wbench.run.evaluate import evaluate
    from wbench.run.generate import generate
    from wbench.run.plan import dataset_path
    from wbench.task.spec import load_spec, load_suite
    from wbench_leaderboard.datasets import installed_datasets
    from wbench_leaderboard.load import installed_suites, installed_task_docs
    from wbench_leaderboard.site import build_site

    began = time.monotonic()
    data = out / "data"
    tasks = load_suite(SUITE).tasks
    recipes = list(dict.fromkeys(recipe for task in tasks for recipe in load_spec(task).recipes))
    _step(f"1/3  generate {len(recipes)} datasets with the real simulator", data)
    for recipe in recipes:
        path = dataset_path(recipe, "tiny", data=data)
        report = generate(recipe, size="tiny", out=path, workers=workers, show_progress=True)
        if report.failures:
            reason = next(iter(report.failures.values()))
            click.secho(f"{len(report.failures)} shards of {recipe} failed: {reason}", fg="red", err=True)
            return 1

    # A provider marks what is quick enough for the demo with `demo = true` in its manifest.
    models = [name for name, entry in sorted(registry.registry().entries["model"].items()) if entry.extra.get("demo")]
    _step(f"2/3  score {len(models)} models on {len(tasks)} tasks", out / "results")
    scored = evaluate(models, tasks, size="tiny", data=data, out=out / "results", show_progress=True)
    for task in tasks:
        show_table(result_rows([r for r in scored.results if r.task.name == task]), title=task)
    for cell in scored.failures:
        click.secho(f"failed: {cell.cell.model} on {cell.task}\n  {cell.reason}", fg="red", err=True)

    _step("3/3  build the board", out / "site")
    index = build_site(
        scored.results,
        out / "site",
        task_docs=installed_task_docs(set(tasks)),
        suites=installed_suites(tasks, demonstration=True),
        datasets=installed_datasets(recipes),
    )
    click.echo(f"Done in {time.monotonic() - began:.0f} s. Open the board in a browser:")
    click.secho(f"  {index.resolve().as_uri()}", bold=True)
    click.echo("Next, your own model:  wbench evaluate --model ./my_model.py:MyModel --task los-nlos-umi --size tiny")
    click.echo(f"                       (with --data {data}; wbench list tasks shows what there is)")
    return 1 if scored.failures else 0


def _step(what: str, where: Path) -> None:
    click.secho(f"\n{what}", bold=True, nl=False)
    click.echo(f"  → {where}")
