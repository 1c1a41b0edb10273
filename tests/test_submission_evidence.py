"""How far a result is believed, and when it grows old: what the design says of each status, held against the board."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers_submission import TASK, Made, lay, make, seal
from tests.test_submission_board import base, check, head, results, status
from wbench.result import Result
from wbench.run.plan import season_spec
from wbench.task.spec import load_spec
from wbench_leaderboard import build_site
from wbench_leaderboard.entries import collect
from wbench_leaderboard.freshness import current_editions
from wbench_leaderboard.rank import Board, rank_boards
from wbench_leaderboard.submission import layout
from wbench_leaderboard.submission.check import check_submissions
from wbench_leaderboard.submission.evidence import read_evidence
from wbench_leaderboard.task_pages import stale_reason

__all__ = ["base", "head"]  # fixtures

SEASON = "0123456789ab"


def board_of(found: list[Result], root: Path) -> Board:
    (board,) = rank_boards(collect(found, read_evidence([root])), current_editions(found))
    return board


# --- status -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("level", "ranked"), [("recomputed", True), ("reproduced", True), ("from-paper", False), ("withdrawn", False)]
)
def test_a_status_is_the_maintainers_to_give(base: Path, head: Path, level: str, ranked: bool) -> None:
    before = board_of(results(head), head).groups[0].contestants
    status(head, level)
    assert any("kept by the maintainers" in finding.what for finding in check(head, base).errors)
    assert check(head, base, maintainer=True).ok
    board = board_of(results(head), head)
    after = board.groups[0].contestants
    assert ("lab/net" in {standing.entry.model.name for standing in after}) == ranked
    assert ("lab/net" in {entry.model.name for entry in board.stale}) != ranked
    shown = {entry.model.name: entry.evidence.status for entry in board.all}
    assert shown == {"lab/net": level, "zoo/beast": "self-reported"}
    if ranked:  # what is known of a row moves no rank
        assert [(s.entry.model.name, s.rank_range) for s in after] == [
            (s.entry.model.name, s.rank_range) for s in before
        ]


def test_a_line_about_nothing_is_refused_and_an_outgrown_one_is_told(base: Path) -> None:
    status(base, "recomputed")
    assert check_submissions(base, data=base / "none", maintainer=True).ok
    lay(base / "aside", make(size="tiny"))
    more = base / "aside" / "lab__net" / "1" / "results"
    place = base / "lab__net" / "1" / "results" / f"{TASK}-v1" / "tiny"
    next(more.rglob("tiny")).rename(place)
    for path in sorted((base / "aside").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (base / "aside").rmdir()
    seal(base / "lab__net" / "1")
    report = check_submissions(base, data=base / "none", maintainer=True)
    assert report.ok, report.text()
    assert any("has changed since" in finding.what for finding in report.findings)
    assert read_evidence([base])["lab/net", "1"].status == "self-reported"
    with (base / layout.STATUS).open("a") as stream:
        stream.write('[[status]]\nmodel = "lab/gone"\nrevision = "7"\nstatus = "withdrawn"\n')
        stream.write('[[status]]\nmodel = "../../x"\nrevision = "7"\nstatus = "withdrawn"\n')
    errors = [finding.what for finding in check_submissions(base, data=base / "none", maintainer=True).errors]
    assert errors == [
        "lab/gone revision 7 is withdrawn, and is not there",
        "../../x revision 7 is withdrawn, and is not there",
    ]


def test_a_note_of_the_maintainers_is_text(base: Path, tmp_path: Path) -> None:
    status(base, "withdrawn", note="<script>alert(1)</script>")
    found = results(base)
    site = build_site(found, tmp_path / "site", evidence=read_evidence([base])).parent
    for page in site.rglob("*.html"):
        assert "<script>alert" not in page.read_text()


# --- stale, by itself -------------------------------------------------------------------------------------------------
def old(part: str, **changes: Any) -> Made:
    """A result of yesterday: a part of it is no longer the current one."""
    made = make("old/net", seed=9)
    table = made.result
    if part == "datasets":
        table = table.model_copy(update={"datasets": (table.datasets[0].model_copy(update=changes),)})
    elif part == "task":
        table = table.model_copy(update={"task": table.task.model_copy(update=changes)})
    else:
        table = table.model_copy(update={"scores": tuple(s.model_copy(update=changes) for s in table.scores)})
    return replace(made, result=table)


ZERO = "sha256:" + "0" * 64
CHANGES: dict[str, tuple[Made, str]] = {
    "task version": (old("task", version=0), "task version 0"),
    "task digest": (old("task", digest=ZERO), "task digest"),
    "metric version": (old("scores", metric_version=0), "version 0 of the metric"),
    "dataset": (old("datasets", spec_digest=ZERO), "other data"),
    "split": (old("datasets", split_digest=ZERO), "other data"),
    "recipe": (old("datasets", recipe="snap-uma"), "other data"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_result_grows_old_by_itself(what: str, base: Path, tmp_path: Path) -> None:
    made, reason = CHANGES[what]
    lay(base, made)
    assert any("stale" in f.what for f in check_submissions(base, data=base / "none").errors)
    assert check_submissions(base, data=base / "none", maintainer=True).ok  # nobody has to take it away
    found = results(base)
    board = board_of(found, base)
    assert [entry.model.name for entry in board.stale] == ["old/net"]
    assert {s.entry.model.name for group in board.groups for s in group.standings} == {"lab/net", "zoo/beast"}
    site = build_site(found, tmp_path / "site", current=current_editions(found)).parent
    page = (site / "tasks" / f"{TASK}.standard.html").read_text()
    assert reason in page[page.index("Stale and withdrawn results") :]
    assert reason in (site / "models" / "old__net.html").read_text()


def test_the_newest_version_wins_only_where_the_task_is_not_installed(base: Path) -> None:
    """A stranger cannot make everybody stale by a result of a task version that does not exist."""
    lay(base, old("task", version=9))
    board = board_of(results(base), base)
    assert {entry.model.name for entry in board.entries} == {"lab/net", "zoo/beast"}


# --- hidden seasons ---------------------------------------------------------------------------------------------------
def hidden(model: str, seed: int, **task: Any) -> Made:
    """A result on a season's test part, as `wbench evaluate --season` writes it."""
    made = make(model, seed=seed, season=SEASON)
    record = made.result.task.model_copy(update=task)
    return replace(made, result=made.result.model_copy(update={"task": record}))


def test_the_instance_of_a_season_is_another_one() -> None:
    spec = load_spec(TASK)
    hidden = season_spec(spec, SEASON)
    assert hidden.digest not in (spec.digest, season_spec(spec, "ffffffffffff").digest)
    assert {part: hidden.views[part] for part in ("train", "val")} == {p: spec.views[p] for p in ("train", "val")}
    assert season_spec(spec, "") == spec


def test_results_on_a_season_stand_apart_with_their_gap(base: Path, tmp_path: Path) -> None:
    found = [*results(base), hidden("lab/net", 5).result, hidden("new/net", 6).result]
    board = board_of(found, base)
    assert [entry.model.name for entry in board.hidden] == ["lab/net", "new/net"]
    assert not board.stale
    assert {entry.model.name for entry in board.entries} == {"lab/net", "zoo/beast"}
    site = build_site(found, tmp_path / "site", current=current_editions(found)).parent
    page = (site / "tasks" / f"{TASK}.standard.html").read_text()
    part = page[page.index('id="hidden"') :]
    assert "≈ not separable" in part or "▼ worse" in part or "▲ better" in part
    assert "no public result" in part  # of the model that has none


@pytest.mark.parametrize(("changes", "reason"), [({"digest": ZERO}, "task digest"), ({"version": 0}, "task version 0")])
def test_a_season_of_another_instance_is_stale(base: Path, changes: dict[str, Any], reason: str) -> None:
    board = board_of([*results(base), hidden("lab/net", 5, **changes).result], base)
    assert not board.hidden
    (entry,) = board.stale
    assert stale_reason(entry, board).startswith(reason)


def test_seasons_come_from_the_maintainers(tmp_path: Path) -> None:
    lay(tmp_path / "s", hidden("lab/net", 5))
    assert any("season" in finding.what for finding in check_submissions(tmp_path / "s", data=tmp_path).errors)
    assert check_submissions(tmp_path / "s", data=tmp_path, maintainer=True).ok
