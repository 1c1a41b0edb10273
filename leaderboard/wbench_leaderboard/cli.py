"""``wbench leaderboard``: check submissions, build the static site."""

from __future__ import annotations

from pathlib import Path

import click

from wbench_leaderboard.submit_cli import check

__all__ = ["leaderboard"]


@click.group()
def leaderboard() -> None:
    """Check submissions, and build the static leaderboard."""


leaderboard.add_command(check)


@leaderboard.command()
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the site.")
@click.option("--title", default="wbench leaderboard", show_default=True, help="Name of the site.")
def build(results: tuple[Path, ...], out: Path, title: str) -> None:
    """Build the site from RESULTS: folders or result.json files, ./results by default.

    An earlier site at --out is replaced in one step; any other folder is left untouched.
    """
    from wbench_leaderboard.datasets import installed_datasets
    from wbench_leaderboard.freshness import current_editions
    from wbench_leaderboard.load import installed_suites, installed_task_docs, load_results
    from wbench_leaderboard.site import build_site
    from wbench_leaderboard.submission.evidence import read_evidence

    paths = results or (Path("results"),)
    loaded = load_results(paths)
    names = {result.task.name for result in loaded}
    index = build_site(
        loaded,
        out,
        task_docs=installed_task_docs(names),
        title=title,
        evidence=read_evidence(paths),
        current=current_editions(loaded),
        suites=installed_suites(names),
        datasets=installed_datasets(),
    )
    click.echo(f"{len(loaded)} results -> {index}")
