"""``wbench generate``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wbench.cli.location import location

if TYPE_CHECKING:
    from wbench.run.generate import GenerationReport

__all__ = ["generate", "show_failures"]


@click.command()
@click.argument("recipe")
@click.option("--size", default="standard", show_default=True, help="tiny, standard or large.")
@click.option("--out", type=location, help="Folder or URL (s3://…) [default: $WBENCH_DATA/RECIPE-SIZE.zarr].")
@click.option("--seed", type=int, help="Root seed instead of the recipe's.")
@click.option(
    "--season-seed",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="For maintainers: the hidden dataset of the season whose secret is in FILE (64 hexadecimal digits).",
)
@click.option("--storage", help="lossless, rounded or float16 (NMSE at most -60 dB) [default: the recipe's].")
@click.option("--workers", type=click.IntRange(1), help="Worker processes [default: all processors; tiny: 1].")
@click.option("--dask", metavar="ADDRESS", help="Let the workers of this Dask scheduler do it (tcp://HOST:8786).")
@click.option("--shards", metavar="I/N", help="Make only the shards I, I + N, I + 2 N, …; I counts from 0.")
def generate(
    recipe: str,
    size: str,
    out: Path | str | None,
    seed: int | None,
    season_seed: Path | None,
    storage: str | None,
    workers: int | None,
    dask: str | None,
    shards: str | None,
) -> int:
    """Generate the dataset of RECIPE (a name of `wbench list recipes`, or a .toml file).

    Run the same command again to carry on after a stop, or at the same time to share the work. The bits do not depend
    on who makes them.
    """
    from wbench.errors import UsageError
    from wbench.run.executors import cpu_count
    from wbench.run.fill import parse_share
    from wbench.run.generate import generate as run
    from wbench.seeding import SeasonSeed

    if dask is not None and workers is not None:
        raise UsageError("With --dask the cluster's workers do the work.", next_step="leave --workers out")
    share = None if shards is None else parse_share(shards)
    if workers is None:
        workers = 1 if size == "tiny" else cpu_count()  # a simulator starts in seconds, tiny sets are made in fewer
    report = run(
        recipe,
        size=size,
        out=out,
        seed=seed,
        storage=storage,
        season=None if season_seed is None else SeasonSeed.read(season_seed),
        workers=workers,
        dask=dask,
        shards=share,
        show_progress=True,
    )
    if report.failures:
        given = {
            "--seed": seed,
            "--season-seed": season_seed,
            "--storage": storage,
            "--dask": dask,
            "--shards": shards,
        }
        again = [f"{text}" for option, value in given.items() if value is not None for text in (option, value)]
        _explain_failures(report, ["wbench", "generate", recipe, "--size", size, "--out", str(report.path), *again])
        return 1
    dataset = report.open()
    click.echo(f"{report.path}: {len(dataset):,} samples, {report.made} shards made, {report.kept} kept")
    click.echo(f"spec    {dataset.spec.digest}")
    if dataset.spec.season:
        click.echo(f"season  {dataset.spec.season}    (hidden: wbench evaluate … --season {dataset.spec.season})")
    if dataset.missing_shards:
        click.echo(
            f"{len(dataset.missing_shards):,} of {dataset.spec.shards:,} shards are missing: those of other shares"
        )
    else:
        click.echo(f"content {dataset.content_digest}")
    return 0


def _explain_failures(report: GenerationReport, again: list[str]) -> None:
    from wbench.run.validate import FAILED_FOLDER

    show_failures(report.failures)
    if report.place.list(FAILED_FOLDER):
        click.echo(f"What was refused is kept in {report.path}/{FAILED_FOLDER}", err=True)
    click.echo(
        f"{len(report.failures)} of {report.spec.shards} shards failed, the others are kept. Retry:\n"
        f"  {shlex.join(again)}",
        err=True,
    )


def show_failures(failures: dict[int, str]) -> None:
    """Name the failed shards on standard error, those of one cause together."""
    for reason in dict.fromkeys(failures.values()):
        shards = sorted(shard for shard, other in failures.items() if other == reason)
        names = ", ".join(map(str, shards[:10])) + (f" and {len(shards) - 10} more" if len(shards) > 10 else "")
        click.secho(f"shard {names} failed: {reason}", fg="red", err=True)
