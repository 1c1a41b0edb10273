"""Build the site: results in, a folder of files out. Either the whole new site stands there, or what was before."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wbench.errors import OutputConflictError, ResultError
from wbench.result import Result
from wbench_leaderboard.content import Content, write_content
from wbench_leaderboard.datasets import DatasetInfo
from wbench_leaderboard.entries import Edition, collect
from wbench_leaderboard.rank import rank_boards
from wbench_leaderboard.submission.evidence import Evidence
from wbench_leaderboard.suites import SuiteInfo

__all__ = ["MARKER", "build_site"]

MARKER = ".wbench-site"


def build_site(
    results: Sequence[Result],
    out: Path,
    *,
    task_docs: Mapping[str, Mapping[str, Any]] | None = None,
    title: str = "wbench leaderboard",
    evidence: Mapping[tuple[str, str], Evidence] | None = None,
    current: Mapping[tuple[str, str], Edition] | None = None,
    suites: Sequence[SuiteInfo] = (),
    datasets: Mapping[str, DatasetInfo] | None = None,
) -> Path:
    """Build the static leaderboard.

    The same results give the same bytes, in whatever order they come. The site is made beside ``out`` and swapped in
    when it is complete.

    Parameters
    ----------
    results : sequence of Result
        Everything that the board shows.
    out : Path
        Folder of the site: absent, empty, or an earlier site, which is replaced.
    task_docs : mapping of str to mapping, optional
        For each task name what its page says beyond the results: ``summary``, ``input``, ``target`` (str), ``inputs``
        (list of str), ``views`` (mapping of part to str), ``facts`` (mapping of label to str).
    title : str
        Name of the site.
    evidence : mapping of (model, revision) to Evidence, optional
        What is known beyond the results; self-reported without.
    current : mapping of (task, size) to Edition, optional
        What is current where it is known; results of other editions are stale.
    suites : sequence of SuiteInfo, optional
        What is ranked together, the newest first; without any, all tasks of a size.
    datasets : mapping of str to DatasetInfo, optional
        Recipes that get a page, also those without a result; recipes of results have one anyway.

    Returns
    -------
    Path
        The overview, ``out/index.html``.

    Raises
    ------
    ResultError
        If there is no result, two results claim the same cell, or the site cannot be written.
    OutputConflictError
        If ``out`` holds something that is not a site. It is left untouched.
    """
    entries = collect(results, evidence)
    out = Path(out).absolute()
    _check_free(out)
    content = Content(rank_boards(entries, current), task_docs or {}, title, suites, datasets or {})
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".tmp", dir=out.parent))
        try:
            write_content(content, stage / "site", MARKER)
            _swap(stage, out)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    except OSError as error:
        raise ResultError("The site could not be written.", where=str(out), why=str(error)) from error
    return out / "index.html"


def _check_free(out: Path) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if out.is_dir() and not out.is_symlink() and ((out / MARKER).is_file() or not any(out.iterdir())):
        return
    raise OutputConflictError(
        "The output folder holds something that is not a leaderboard site.",
        where=str(out),
        why=f"it has no file {MARKER}",
        next_step="name another folder with --out, or remove this one",
    )


def _swap(stage: Path, out: Path) -> None:
    # Two renames on one file system; should the second one fail, the old site goes back to its place.
    old = stage / "old"
    if out.exists():
        out.rename(old)
    try:
        (stage / "site").rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
