"""``wbench inspect`` and ``wbench verify``."""

from __future__ import annotations

from pathlib import Path

import click

from wbench.cli.generate import show_failures
from wbench.cli.tables import format_option, show_table

__all__ = ["inspect_", "verify"]


@click.command("inspect")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path), help="Draw one page: FILE.png, .pdf or .svg.", metavar="FILE")
@format_option
def inspect_(path: Path, plot: Path | None, format_: str) -> None:
    """Summarise the dataset at PATH: what was asked for, what its channels are like, its arrays and their ranges."""
    from wbench.dataset.figure import plot_dataset
    from wbench.dataset.look import take_look
    from wbench.dataset.reader import open_dataset
    from wbench.dataset.summary import array_rows, summary_rows

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
        plot_dataset(dataset, plot)
        click.echo(f"plot: {plot}", err=True)


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--repair", is_flag=True, help="Make damaged and missing shards again, and only those.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Worker processes of the repair.")
def verify(path: Path, repair: bool, workers: int) -> int:
    """Check every shard of the dataset at PATH against its manifest entry."""
    from wbench.dataset.reader import open_dataset
    from wbench.dataset.verify import verify_dataset
    from wbench.run.progress import progress

    dataset = open_dataset(path)
    with progress("verify", len(dataset), "samples") as advance:
        problems = verify_dataset(dataset, lambda n: advance(n, ""))
    for problem in problems:
        click.echo(f"shard {problem.shard}: {problem.problem}")
    if not problems:
        click.echo(f"{path}: all {dataset.spec.shards} shards are as written\ncontent {dataset.content_digest}")
        return 0
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
    if not left:
        click.echo(f"content {repaired.content_digest}")
    return 1 if left else 0
