"""Submissions over time: what is published stays, what the maintainers found out is shown, and the page stays safe."""

from __future__ import annotations

import hashlib
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.helpers_submission import TASK, edit, lay, make, result_file, seal
from tests.hostile_corpus import XSS
from tests.hostile_mutations import Tally, fuzz
from tests.leaderboard_factory import HOSTILE
from wbench.errors import ResultError, UsageError
from wbench.result import Result
from wbench_leaderboard import build_site
from wbench_leaderboard.cli import leaderboard
from wbench_leaderboard.entries import collect
from wbench_leaderboard.freshness import current_editions
from wbench_leaderboard.rank import rank_boards
from wbench_leaderboard.submission import layout
from wbench_leaderboard.submission.check import check_submissions
from wbench_leaderboard.submission.evidence import read_evidence, read_status
from wbench_leaderboard.submission.report import Report


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Two published models."""
    lay(tmp_path / "base", make())
    lay(tmp_path / "base", make("zoo/beast", seed=1))
    return tmp_path / "base"


@pytest.fixture
def head(base: Path, tmp_path: Path) -> Path:
    """A branch of it."""
    return Path(shutil.copytree(base, tmp_path / "head"))


def check(head: Path, base: Path, **options: bool) -> Report:
    return check_submissions(head, base=base, data=head / "none", **options)


def status(root: Path, level: str, model: str = "lab/net", revision: str = "1", **more: str) -> None:
    content = (root / layout.folder_of(model, revision) / layout.MANIFEST).read_bytes()
    fields = {"submission": f"sha256:{hashlib.sha256(content).hexdigest()}", **more}
    lines = ["[[status]]", f'model = "{model}"', f'revision = "{revision}"', f'status = "{level}"']
    lines += [f'{key} = "{value}"' for key, value in fields.items()]
    with (root / layout.STATUS).open("a") as stream:
        stream.write("\n".join(lines) + "\n")


def test_nothing_new_needs_no_check(head: Path, base: Path) -> None:
    report = check(head, base)
    assert report.ok
    assert not report.counts


def test_a_new_model_a_new_revision_and_a_new_result_are_welcome(head: Path, base: Path) -> None:
    lay(head, make("new/one", seed=2))
    lay(head, make("lab/net", "2", seed=3), supersedes="1")
    folder = head / "zoo__beast" / "1"
    more = make("zoo/beast", seed=4, size="tiny")
    place = folder / layout.result_folder(more.result)
    lay(head / "aside", more)
    shutil.move(head / "aside" / "zoo__beast" / "1" / layout.result_folder(more.result), place)
    shutil.rmtree(head / "aside")
    seal(folder)
    report = check(head, base)
    assert report.ok, report.text()
    assert report.counts["submissions"] == 3


def test_what_is_published_never_changes(head: Path, base: Path) -> None:
    edit(head / "lab__net" / "1", lambda table: table["cost"].update(predict_s=0.1))
    assert any("published, and changed" in finding.what for finding in check(head, base).errors)
    assert check_submissions(head, data=head / "none").ok  # only the base can tell


def test_what_is_published_never_disappears(head: Path, base: Path) -> None:
    shutil.rmtree(head / "lab__net")
    assert any("removed here" in finding.what for finding in check(head, base, maintainer=True).errors)


def test_a_published_result_cannot_be_taken_out(head: Path, base: Path) -> None:
    folder = head / "lab__net" / "1"
    shutil.rmtree(result_file(folder).parent)
    seal(folder)
    assert any("removed here" in finding.what for finding in check(head, base).errors)


def test_a_published_folder_cannot_become_another(head: Path, base: Path) -> None:
    seal(head / "lab__net" / "1", supersedes="0")
    assert any("published and stay" in finding.what for finding in check(head, base).errors)


def test_the_status_file_is_the_maintainers(head: Path, base: Path) -> None:
    status(head, "reproduced")
    assert any("kept by the maintainers" in finding.what for finding in check(head, base).errors)
    assert check(head, base, maintainer=True).ok


def test_a_copy_of_a_published_model(head: Path, base: Path) -> None:
    lay(head, make("aaa/copy", seed=1))  # sorts before the original
    report = check(head, base)
    assert [finding.where.split("/")[0] for finding in report.errors] == ["aaa__copy"]
    assert "identical to another model" in report.errors[0].what
    assert check(head, base, maintainer=True).ok


def test_what_grew_old_is_no_fault_of_the_published(head: Path, base: Path) -> None:
    edit(head / "lab__net" / "1", lambda table: table["task"].update(digest="sha256:" + "0" * 64))
    assert any("stale" in finding.what for finding in check_submissions(head, data=head / "none").errors)
    report = check_submissions(head, data=head / "none", maintainer=True)
    assert report.ok
    assert any(finding.level == "warning" and "stale" in finding.what for finding in report.findings)


def test_one_submission_of_the_folder(head: Path) -> None:
    (head / "zoo__beast" / "1" / layout.CARD).write_text("changed")
    assert check_submissions(head / "lab__net" / "1", data=head / "none").ok
    assert not check_submissions(head, data=head / "none").ok


def test_no_such_folder(tmp_path: Path, head: Path) -> None:
    with pytest.raises(UsageError):
        check_submissions(tmp_path / "absent")
    with pytest.raises(UsageError):
        check_submissions(head, base=tmp_path / "absent")


# --- evidence ---------------------------------------------------------------------------------------------------------
def results(root: Path) -> list[Result]:
    from wbench_leaderboard.load import load_results

    return load_results([root])


def test_evidence_follows_from_the_files(base: Path) -> None:
    assert read_evidence([base])["lab/net", "1"].status == "self-reported"
    status(base, "recomputed", note="all of it")
    assert read_evidence([base])["lab/net", "1"].status == "recomputed"
    seal(base / "lab__net" / "1", supersedes="0")  # something was added since somebody looked
    assert read_evidence([base])["lab/net", "1"].status == "self-reported"
    assert read_evidence([base / "absent"]) == {}


@pytest.mark.parametrize(
    "text",
    ["a = 1", "[[status]]\nmodel = 1", "x", '[[status]]\nmodel="a/b"\nrevision="1"\nstatus="recomputed"', "status = 1",
     '[[status]]\nmodel="a/b"\nrevision="1"\nstatus="stale"'],
)  # fmt: skip
def test_a_status_file_that_is_not_one(base: Path, text: str) -> None:
    (base / layout.STATUS).write_text(text)
    with pytest.raises(ResultError, match="not valid"):
        read_status(base)


def test_what_is_withdrawn_or_replaced_is_listed_and_not_ranked(base: Path, tmp_path: Path) -> None:
    lay(base, make("zoo/beast", "2", seed=5), supersedes="1")
    status(base, "withdrawn", note="wrong labels")
    found, evidence = results(base), read_evidence([base])
    (board,) = rank_boards(collect(found, evidence), current_editions(found))
    assert [(e.model.name, e.model.revision) for e in board.entries] == [("zoo/beast", "2")]
    reasons = {(e.model.name, e.model.revision): e.left_out for e in board.stale}
    assert reasons["lab/net", "1"] == "withdrawn: wrong labels"
    assert "revision 2" in reasons["zoo/beast", "1"]
    page = build_site(found, tmp_path / "site", evidence=evidence).parent / "tasks" / f"{TASK}.standard.html"
    assert "withdrawn: wrong labels" in page.read_text()


def test_a_withdrawn_revision_replaces_nothing(base: Path) -> None:
    lay(base, make("zoo/beast", "2", seed=5), supersedes="1")
    lay(base, make("zoo/beast", "3", seed=6), supersedes="2")
    (base / layout.STATUS).write_text('[[status]]\nmodel = "zoo/beast"\nrevision = "2"\nstatus = "withdrawn"\n')
    assert {r: e.superseded_by for (m, r), e in read_evidence([base]).items() if m == "zoo/beast"} == {
        "1": "3",
        "2": "3",
        "3": None,
    }
    lines = [f'[[status]]\nmodel = "zoo/beast"\nrevision = "{r}"\nstatus = "withdrawn"\n' for r in "23"]
    (base / layout.STATUS).write_text("".join(lines))
    assert read_evidence([base])["zoo/beast", "1"].superseded_by is None
    seal(base / "zoo__beast" / "1", supersedes="3")  # a ring, by later additions
    assert read_evidence([base])["zoo/beast", "1"].superseded_by is None


def test_a_task_of_which_nothing_is_current_has_a_page_without_a_ranking(base: Path, tmp_path: Path) -> None:
    old = [r.model_copy(update={"task": r.task.model_copy(update={"version": 0})}) for r in results(base)]
    current = current_editions(old)
    (board,) = rank_boards(collect(old), current)
    assert not board.entries
    assert not board.groups
    assert len(board.stale) == 2
    build_site(old, tmp_path / "site", current=current)
    assert "task version 0, current is 1" in (tmp_path / "site" / "tasks" / f"{TASK}.standard.html").read_text()
    assert len(rank_boards(collect(old))[0].entries) == 2  # without the installed task they tell of themselves


def test_evidence_and_overlap_are_shown(base: Path, tmp_path: Path) -> None:
    lay(base, make("new/seen", seed=6, model_kind="foundation", model_pretraining=("snap-umi, train side",)))
    status(base, "reproduced")
    run = CliRunner().invoke(leaderboard, ["build", str(base), "--out", str(tmp_path / "site")])
    assert run.exit_code == 0, run.output
    page = (tmp_path / "site" / "tasks" / f"{TASK}.standard.html").read_text()
    assert ">reproduced<" in page
    assert ">self-reported<" in page
    assert "in-domain" in page
    assert ">reproduced<" in (tmp_path / "site" / "models" / "lab__net.html").read_text()
    table = json.loads((tmp_path / "site" / "data" / "results.json").read_text())["results"]
    assert {(r["model"]["name"], r["evidence"]) for r in table} >= {
        ("lab/net", "reproduced"),
        ("new/seen", "self-reported"),
    }


# --- the fuzzer, and the page -----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def tally(tmp_path_factory: pytest.TempPathFactory) -> Tally:
    return fuzz(tmp_path_factory.mktemp("fuzz"), 1000)


def test_a_thousand_mutations(tally: Tally) -> None:
    assert tally.unforeseen == []
    assert tally.refused > 800
    assert tally.slowest_s < 10


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


def test_nothing_reaches_a_page_unescaped(tally: Tally, tmp_path: Path) -> None:
    """What was accepted, and what never should be: the page does not rely on the check."""
    hostile = [
        XSS,
        HOSTILE,
        "{{ 7*7 }}",
        "javascript:alert(1)",
        "' onmouseover='alert(1)",
        "</style><b>",
        "\u202ex",
        "=cmd()",
    ]
    shown = [result.model_copy(update={"seed": 100 + i}) for i, result in enumerate(tally.accepted)]
    for index, text in enumerate(hostile):
        fields = {name: text for name in ("revision", "summary", "source", "licence", "overlap", "kind")}
        made = make(seed=index).result
        model = made.model.model_copy(update={**fields, "name": f"x{index}/{text}", "pretraining": (text,)})
        changes = {"model": model, "regime": "head", "head": text, "provenance": {text: text}}
        cost = made.cost.model_copy(update={"device": text})
        shown.append(made.model_copy(update={**changes, "cost": cost}))
    build_site(shown, tmp_path / "site", title=XSS)
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(hostile)
    for page in pages:
        tags = Tags()
        tags.feed(page.read_text())
        scripts = [dict(attrs).get("src", "").rpartition("/")[2] for tag, attrs in tags.found if tag == "script"]
        assert scripts[0] == "site.js"
        assert set(scripts[1:]) <= {"index.js", "compare.js"}
        names = {name for _, attrs in tags.found for name, _ in attrs}
        assert not {name for name in names if name.startswith("on") or name == "style"}
        assert not [tag for tag, _ in tags.found if tag in ("img", "iframe", "object", "embed", "b")]
        assert not [v for _, attrs in tags.found for n, v in attrs if n == "href" and "javascript" in (v or "")[:12]]
        assert "49" not in page.name
    inside = {path.resolve() for path in (tmp_path / "site").rglob("*")}
    assert all(path.is_relative_to((tmp_path / "site").resolve()) for path in inside)
