"""``wbench generate``."""

from __future__ import annotations

import os
from pathlib import Path

import click

__all__ = ["generate"]


@click.command()
@click.argument("recipe")
@click.option("--size", default="standard", show_default=True, help="tiny, standard or large.")
@click.option("--out", type=click.Path(path_type=Path), help="Dataset folder [default: $WBENCH_DATA/RECIPE-SIZE.zarr].")
@click.option("--seed", type=int, help="Root seed instead of the recipe's.")
@click.option("--workers", type=click.IntRange(1), default=lambda: os.cpu_count() or 1, help="Worker processes.")
def generate(recipe: str, size: str, out: Path | None, seed: int | None, workers: int) -> int:
    """Generate the dataset of RECIPE (a name of `wbench list recipes`, or a .toml file).

    Run the same command again to carry on after a stop. The bits do not depend on the number of workers.
    """
    from wbench.run.generate import generate as run

    report = run(recipe, size=size, out=out, seed=seed, workers=workers, show_progress=True)
    if report.failures:
        for shard, reason in sorted(report.failures.items()):
            click.secho(f"shard {shard} failed: {reason}", fg="red", err=True)
        click.echo(
            f"{len(report.failures)} of {report.spec.shards} shards failed, the others are kept. Retry:\n"
            f"  wbench generate {recipe} --size {size} --out {report.path}",
            err=True,
        )
        return 1
    dataset = report.open()
    click.echo(f"{report.path}: {len(dataset):,} samples, {report.made} shards made, {report.kept} kept")
    click.echo(f"spec    {dataset.spec.digest}\ncontent {dataset.content_digest}")
    return 0
