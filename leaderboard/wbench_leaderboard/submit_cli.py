"""``wbench submit`` and ``wbench leaderboard check``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["check", "submit"]

_folder = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--out",
    type=_folder,
    default=Path("leaderboard/submissions"),
    show_default=True,
    help="Folder of submissions; the new one is <org>__<model>/<revision> in it.",
)
@click.option("--model", metavar="NAME", help="Which model, if the results are of several.")
@click.option("--data", type=_folder, help="Data folder [default: $WBENCH_DATA or ./data].")
@click.option("--card", type=click.Path(path_type=Path, dir_okay=False), help="Model card in Markdown [default: made].")
@click.option(
    "--predictions-url", metavar="URL", help="Where the files beyond 10 MB lie: https, commit or record in it."
)
@click.option("--upload", type=_folder, help="Where these files are put [default: upload/<org>__<model>/<revision>].")
@click.option("--supersedes", metavar="REVISION", help="Revision that this one replaces on the board.")
@click.option("--maintainer", is_flag=True, help="Allow models of the tree and reference lines.")
@click.option("--results-only", is_flag=True, help="Of models of the tree: leave columns and predictions out.")
def submit(results: tuple[Path, ...], out: Path, maintainer: bool, results_only: bool, **options: object) -> int:
    """Check RESULTS here and lay them out as one folder, ready for a pull request.

    RESULTS are result.json files or folders of one model. With the datasets at hand the scores are recomputed.
    """
    from wbench_leaderboard.submission.submit import submit as lay

    laid = lay(results, out=out, maintainer=maintainer, results_only=results_only, **options)  # type: ignore[arg-type]
    for remark in laid.remarks:
        click.echo(f"note: {remark}", err=True)
    click.echo(laid.report.text(), nl=False)
    if not laid.report.ok:
        click.secho("Nothing was written: mend what is refused, and run the command again.", fg="red", err=True)
        return 1
    click.echo(f"laid out: {laid.folder}")
    if laid.upload is not None:
        click.echo(f"its address must hold the files of: {laid.upload}")
    click.echo("next: commit that folder alone, and open a pull request")
    return 0


@click.command()
@click.argument("folder", metavar="DIR", type=_folder)
@click.option("--base", type=_folder, help="The published submissions: nothing of them may change or disappear.")
@click.option("--data", type=_folder, help="Data folder [default: $WBENCH_DATA or ./data].")
@click.option("--recompute", is_flag=True, help="Simulate the tasks' audit blocks anew and rescore them.")
@click.option("--outside", type=_folder, help="Downloaded files of addresses, laid out like DIR.")
@click.option("--maintainer", is_flag=True, help="Allow what only maintainers do.")
@click.option("--report", type=_folder, help="Write report.txt, report.json and report.md here.")
def check(folder: Path, report: Path | None, **options: object) -> int:
    """Check the submissions in DIR. Nothing in them is executed."""
    from wbench_leaderboard.submission.check import check_submissions

    found = check_submissions(folder, **options)  # type: ignore[arg-type]
    click.echo(found.text(), nl=False)
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)
        for name, text in (("txt", found.text()), ("json", found.json()), ("md", found.markdown())):
            (report / f"report.{name}").write_text(text, encoding="utf-8", newline="\n")
    return 0 if found.ok else 1
