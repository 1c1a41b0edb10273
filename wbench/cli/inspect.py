"""``wbench inspect`` and ``wbench verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wbench.cli.generate import show_failures
from wbench.cli.location import location
from wbench.cli.tables import format_option, show_table
from wbench.errors import UsageError

if TYPE_CHECKING:
    from wbench.dataset.reader import Dataset
    from wbench.dataset.verdict import Verdict

__all__ = ["inspect_", "verify"]


@click.command("inspect")
@click.argument("path", type=location)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw one page: FILE.png, .pdf or .svg.", metavar="FILE")
@click.option("--scene", help="With --plot: draw this scene from above, with base stations, users and the split.")
@click.option("--task", help="With --scene: the split of this task [default: squares of 40 m, S1].")
@format_option
def inspect_(path: Path | str, plot: Path | None, scene: str | None, task: str | None, format_: str) -> None:
    """Summarise the dataset at PATH: what was asked for, what its channels are like, its arrays and their ranges."""
    from wbench.dataset.figure import plot_dataset, plot_scene
    from wbench.dataset.look import take_look
    from wbench.dataset.reader import open_dataset
    from wbench.dataset.summary import array_rows, summary_rows

    if (scene and plot is None) or (task and scene is None):
        raise UsageError(
            "--scene goes with --plot, and --task with --scene.", next_step="--plot map.png --scene munich"
        )
    dataset = open_dataset(path)
    spec, missing = dataset.spec, len(dataset.missing_shards)
    look = take_look(dataset) if missing < spec.shards else None
    if format_ == "table":
        click.secho(f"{spec.recipe} ({spec.size})", bold=True)
        for label, text in summary_rows(dataset, look):
            click.echo(f"  {label:<16}{text}")
        click.echo()
    show_table(array_rows(dataset, look), format_)
    if plot is not None:
        if scene is None:
            plot_dataset(dataset, plot)
        else:
            plot_scene(dataset, plot, scene, **_sides(dataset, task))
        click.echo(f"plot: {plot}", err=True)


def _sides(dataset: Dataset, task: str | None) -> dict[str, Any]:
    """Side of every sample in a task, or by squares of 40 m."""
    import numpy as np

    from wbench.task.audit import sample_sides
    from wbench.task.base import family_class
    from wbench.task.spec import Split, load_spec
    from wbench.task.splits import sides

    if task is None:
        split, every = Split(rule="S1"), np.arange(len(dataset))
        columns = {name: dataset.read(name, every) for name in split.arrays}
        return {"sides": sides(split, dataset.spec.digest, columns), "split": split.rule}
    spec, recipe = load_spec(task), dataset.spec.recipe
    if spec.recipes != (recipe,):
        why = f"it is on {', '.join(spec.recipes)}; this is {recipe}"
        raise UsageError(f"The task {task} is not one on this dataset alone.", why=why, next_step="wbench list tasks")
    return {"sides": sample_sides(family_class(spec)(spec, {recipe: dataset}), recipe), "split": task}


@click.command()
@click.argument("path", type=location)
@click.option(
    "--repair", is_flag=True, help="Make damaged and missing shards again, and only those; mend the description."
)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Worker processes of the repair.")
@click.option("--against", type=location, help="Compare with this dataset, sample by sample.")
def verify(path: Path | str, repair: bool, workers: int, against: Path | str | None) -> int:
    """Check every shard of the dataset at PATH against its manifest entry, and its metadata against their copy.

    Then say whether it is identical, equivalent (within a tolerance) or different: from the dataset that was published,
    by its fingerprint, or from another dataset.
    """
    from wbench.dataset.reader import open_dataset
    from wbench.dataset.verify import verify_dataset
    from wbench.run.progress import progress

    wrong = _mend(path, repair)
    dataset = open_dataset(path)
    with progress("verify", len(dataset), "samples") as advance:
        problems = verify_dataset(dataset, lambda n: advance(n, ""))
    for problem in problems:
        click.echo(f"shard {problem.shard}: {problem.problem}")
    if wrong and not problems:
        return 1
    if not problems:
        click.echo(f"{path}: all {dataset.spec.shards} shards are as written\ncontent {dataset.content_digest}")
        return _compare(dataset, against)
    spec = dataset.spec
    if not repair:
        click.echo(f"{len(problems)} of {spec.shards} shards. Make them again: wbench verify {path} --repair", err=True)
        return 1
    from wbench.run.generate import repair as run

    report = run(path, [problem.shard for problem in problems], workers=workers, show_progress=True)
    show_failures(report.failures)
    repaired = report.open()
    left = verify_dataset(repaired)
    click.echo(f"{report.made} shards made again, {len(left)} problems left")
    if left:
        return 1
    click.echo(f"content {repaired.content_digest}")
    return _compare(repaired, against)


def _mend(path: Path | str, repair: bool) -> bool:
    """Name what is wrong with objects that belong to no shard, mend it if asked; whether anything is left wrong."""
    from wbench.dataset.description import description_problems, mend_description, renew_description
    from wbench.dataset.place import place_of
    from wbench.dataset.reader import open_dataset

    place = place_of(path)
    problems = description_problems(place) if place.found() else {}
    for key, problem in sorted(problems.items()):
        click.echo(f"{key}: {problem}")
    if problems and repair:
        for key in mend_description(place):
            click.echo(f"{key}: written again")
        if renew_description(place, open_dataset(path).spec.digest):
            click.echo("the copy of the description: made anew from what is there")
        return False
    if problems:
        click.echo(f"The description is not as written. Mend it: wbench verify {path} --repair", err=True)
    return bool(problems)


def _compare(dataset: Dataset, against: Path | str | None) -> int:
    """Print the verdict on a sound dataset; 1 if it is different."""
    if against is None:
        from wbench.run.fingerprint import shipped_verdict

        verdict, reference = shipped_verdict(dataset), "the published dataset"
        if verdict is None:
            click.echo(f"no fingerprint of this spec is installed{_why_none(dataset)}")
            return 0
    else:
        verdict, reference = _verdict_against(dataset, against), str(against)
    click.echo(f"against {reference}: {verdict}")
    if verdict.kind != "different":
        return 0
    if against is None:
        click.echo(
            "Results on it cannot be ranked. The versions behind the published one: docs/reproducibility.md", err=True
        )
    return 1


def _why_none(dataset: Dataset) -> str:
    """Reason why none can be, where there is one."""
    from wbench.registry import registry
    from wbench.run.plan import load_generator

    name = dataset.spec.generator
    if name not in registry().names("generator") or load_generator(name, ready=False).portable:
        return ""
    return f": {name} makes other data on other kinds of processors (docs/reproducibility.md)"


def _verdict_against(dataset: Dataset, against: Path | str) -> Verdict:
    from wbench.dataset.compare import compare_datasets
    from wbench.dataset.reader import open_dataset
    from wbench.dataset.verify import verify_dataset
    from wbench.errors import DatasetError
    from wbench.run.progress import progress

    other = open_dataset(against)
    with progress("verify the other", len(other), "samples") as advance:
        problems = verify_dataset(other, lambda n: advance(n, ""))
    if problems:
        raise DatasetError(
            f"The dataset to compare with is damaged: {len(problems)} of {other.spec.shards} shards.",
            where=f"{against}, shard {problems[0].shard}",
            why=problems[0].problem,
            next_step=f"wbench verify {against} --repair",
        )
    mine, its = (one.spec.model_dump(mode="json") for one in (dataset, other))
    unlike = [name for name in mine if mine[name] != its.get(name)]
    if unlike:
        click.echo(f"note: the two were asked for with another {', '.join(unlike)}")
    with progress("compare", len(other), "samples") as advance:
        return compare_datasets(other, dataset, lambda n: advance(n, ""))
