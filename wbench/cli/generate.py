"""``wbench generate``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

__all__ = ["generate", "show_failures"]


@click.command()
@click.argument("recipe")
@click.option("--size", default="standard", show_default=True, help="tiny, standard or large.")
@click.option("--out", type=click.Path(path_type=Path), help="Dataset folder [default: $WBENCH_DATA/RECIPE-SIZE.zarr].")
@click.option("--seed", type=int, help="Root seed instead of the recipe's.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes [default: all processors; tiny: 1].")
def generate(recipe: str, size: str, out: Path | None, seed: int | None, workers: int | None) -> int:
    """Generate the dataset of RECIPE (a name of `wbench list recipes`, or a .toml file).

    Run the same command again to carry on after a stop. The bits do not depend on the number of workers.
    """
    from wbench.run.executors import cpu_count
    from wbench.run.generate import generate as run
    from wbench.run.validate import failed_path

    if workers is None:
        workers = 1 if size == "tiny" else cpu_count()  # a simulator starts in seconds, tiny sets are made in fewer
    report = run(recipe, size=size, out=out, seed=seed, workers=workers, show_progress=True)
    if report.failures:
        show_failures(report.failures)
        again = ["wbench", "generate", recipe, "--size", size, "--out", str(report.path)]
        again += [] if seed is None else ["--seed", str(seed)]
        if failed_path(report.path, 0).parent.is_dir():
            click.echo(f"What was refused is kept in {failed_path(report.path, 0).parent}", err=True)
        click.echo(
            f"{len(report.failures)} of {report.spec.shards} shards failed, the others are kept. Retry:\n"
            f"  {shlex.join(again)}",
            err=True,
        )
        return 1
    dataset = report.open()
    click.echo(f"{report.path}: {len(dataset):,} samples, {report.made} shards made, {report.kept} kept")
    click.echo(f"spec    {dataset.spec.digest}\ncontent {dataset.content_digest}")
    return 0


def show_failures(failures: dict[int, str]) -> None:
    """Name the failed shards on standard error, those of one cause together."""
    for reason in dict.fromkeys(failures.values()):
        shards = sorted(shard for shard, other in failures.items() if other == reason)
        names = ", ".join(map(str, shards[:10])) + (f" and {len(shards) - 10} more" if len(shards) > 10 else "")
        click.secho(f"shard {names} failed: {reason}", fg="red", err=True)
