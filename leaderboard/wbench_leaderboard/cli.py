"""``wbench leaderboard``: build the static site."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["leaderboard"]


@click.group()
def leaderboard() -> None:
    """Build the static leaderboard from results."""


@leaderboard.command()
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the site.")
@click.option("--title", default="wbench leaderboard", show_default=True, help="Name of the site.")
def build(results: tuple[Path, ...], out: Path, title: str) -> None:
    """Build the site from RESULTS: folders or result.json files, ./results by default.

    An earlier site at --out is replaced in one step; any other folder is left untouched.
    """
    from wbench_leaderboard.load import installed_task_docs, load_results
    from wbench_leaderboard.site import build_site

    loaded = load_results(results or (Path("results"),))
    docs = installed_task_docs({result.task.name for result in loaded})
    index = build_site(loaded, out, task_docs=docs, title=title)
    click.echo(f"{len(loaded)} results -> {index}")
