"""``wbench inspect`` and ``wbench verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wbench.cli.generate import show_failures
from wbench.cli.tables import format_option, show_table

__all__ = ["inspect_", "verify"]


@click.command("inspect")
@click.argument("path", type=click.Path(path_type=Path))
@format_option
def inspect_(path: Path, format_: str) -> None:
    """Summarise the dataset at PATH: what was asked for, its arrays, and their ranges."""
    import numpy as np

    from wbench.dataset.reader import open_dataset

    dataset = open_dataset(path)
    spec = dataset.spec
    if format_ == "table":
        click.secho(f"{spec.recipe} ({spec.size})", bold=True)
        click.echo(f"generator {spec.generator} v{spec.generator_version}, seed {spec.seed}, {spec.samples:,} samples")
        click.echo(f"{spec.shards - len(dataset.missing_shards)} of {spec.shards} shards, spec {spec.digest[:15]}…")
    rows = []
    for name in dataset.array_names:
        array = dataset.array(name)
        row: dict[str, Any] = {"array": name, "dims": ", ".join(array.metadata.dimension_names or ())}
        row |= {"shape": " × ".join(map(str, array.shape)), "dtype": str(array.dtype)}
        row["unit"] = array.attrs.get("units", "")
        row |= _range(np.asarray(array[: min(len(dataset), 4096)])) if not dataset.missing_shards else {}
        rows.append(row)
    show_table(rows, format_)


def _range(values: Any) -> dict[str, str]:
    import numpy as np

    size = np.abs(values) if np.iscomplexobj(values) else values.astype(np.float64)
    if not np.isfinite(size).any():
        return {"min": "–", "median": "–", "max": "–"}
    low, middle, high = np.nanmin(size), np.nanmedian(size), np.nanmax(size)
    return {"min": f"{low:.4g}", "median": f"{middle:.4g}", "max": f"{high:.4g}"}


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
