"""Build the site: results in, a folder of files out. Either the whole new site stands there, or what was before."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wbench
from wbench.errors import OutputConflictError, ResultError
from wbench.result import Result
from wbench_leaderboard import glossary
from wbench_leaderboard.entries import Edition, collect
from wbench_leaderboard.exports import results_json, scores_csv, task_csv
from wbench_leaderboard.links import Links
from wbench_leaderboard.model_pages import model_pages
from wbench_leaderboard.overall import Overall, overall_tables
from wbench_leaderboard.pages import Card, OverallView, card, overall_view, task_page
from wbench_leaderboard.rank import Board, rank_boards
from wbench_leaderboard.render import Renderer
from wbench_leaderboard.submission.evidence import Evidence
from wbench_leaderboard.text import REGIME_LABELS
from wbench_leaderboard.views import REFERENCE_LABEL

__all__ = ["MARKER", "build_site"]

MARKER = ".wbench-site"


@dataclass(frozen=True)
class SizeView:
    """What the overview shows of one size."""

    size: str
    demonstration: bool
    cards: tuple[Card, ...]
    overall: tuple[OverallView, ...]


@dataclass(frozen=True)
class IndexPage:
    """What the overview prints."""

    tasks: int
    models: int
    sizes: tuple[SizeView, ...]
    kinds: tuple[str, ...]
    regimes: tuple[tuple[str, str], ...]


def build_site(
    results: Sequence[Result],
    out: Path,
    *,
    task_docs: Mapping[str, Mapping[str, Any]] | None = None,
    title: str = "wbench leaderboard",
    evidence: Mapping[tuple[str, str], Evidence] | None = None,
    current: Mapping[tuple[str, str], Edition] | None = None,
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
    boards = rank_boards(entries, current)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".tmp", dir=out.parent))
        try:
            _write(stage / "site", boards, task_docs or {}, title)
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


def _write(root: Path, boards: Sequence[Board], docs: Mapping[str, Mapping[str, Any]], title: str) -> None:
    entries = [entry for board in boards for entry in (*board.entries, *board.stale)]
    links = Links(
        [(board.edition.task, board.edition.size) for board in boards],
        [(entry.model.name, entry.model.revision) for entry in entries],
    )
    site = {
        "title": title,
        "version": wbench.__version__,
        "results": sum(len(entry.results) for entry in entries),
        "kinds": glossary.MODEL_KINDS,
        "overlaps": glossary.OVERLAPS,
        "evidence": glossary.EVIDENCE,
        "metrics": {
            name: glossary.METRICS.get(name, "")
            for name in sorted({score.metric for entry in entries for score in entry.scores})
        },
    }
    renderer = Renderer(root, site)
    renderer.text(MARKER, "A site of wbench leaderboard build; it may be replaced by another one.\n")
    renderer.static()
    tables = overall_tables(boards)
    renderer.page("index", "index.html", page=_index(boards, tables, docs, links))
    renderer.page("about", "about.html")
    for board in boards:
        page = task_page(board, docs.get(board.edition.task, {}), links)
        renderer.page("task", page.href, page=page, kinds=_kinds([board]), regimes=_regimes([board]))
        renderer.text(links.task_data(board.edition.task, board.edition.size), task_csv(board))
    for model in model_pages(boards, links):
        renderer.page("model", model.href, page=model)
    renderer.text("data/results.json", results_json(boards))
    renderer.text("data/scores.csv", scores_csv(entries))


def _index(
    boards: Sequence[Board], tables: Sequence[Overall], docs: Mapping[str, Mapping[str, Any]], links: Links
) -> IndexPage:
    sizes = []
    for size in dict.fromkeys(board.edition.size for board in boards):
        same_size = [board for board in boards if board.edition.size == size]
        sizes.append(
            SizeView(
                size=size,
                demonstration=not any(board.ranked for board in same_size),
                cards=tuple(card(board, docs.get(board.edition.task, {}), links) for board in same_size),
                overall=tuple(overall_view(table, links) for table in tables if table.size == size),
            )
        )
    return IndexPage(
        tasks=len({board.edition.task for board in boards}),
        models=len({entry.model.name for board in boards for entry in board.entries}),
        sizes=tuple(sizes),
        kinds=_kinds(boards),
        regimes=_regimes(boards),
    )


def _kinds(boards: Sequence[Board]) -> tuple[str, ...]:
    return tuple(sorted({entry.model.kind for board in boards for entry in board.entries}))


def _regimes(boards: Sequence[Board]) -> tuple[tuple[str, str], ...]:
    present = {group.key.regime for board in boards for group in board.groups}
    labels = {**REGIME_LABELS, "reference": REFERENCE_LABEL}
    return tuple((regime, label) for regime, label in labels.items() if regime in present)
