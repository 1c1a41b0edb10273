"""The site as files: complete, safe, reproducible, and never half written."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from click.testing import CliRunner

from tests.leaderboard_factory import HOSTILE, docs, full_board, result
from wbench.errors import OutputConflictError, ResultError
from wbench.result import write_result
from wbench_leaderboard import build_site
from wbench_leaderboard.cli import leaderboard
from wbench_leaderboard.links import Links, outside_link
from wbench_leaderboard.text import Slugs, count, number, seconds, slice_positions

VOID = {"meta", "link", "input", "br", "img", "hr", "wbr"}


class Page(HTMLParser):
    """The facts of one page that the tests ask for."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("board") / "site"
    made = [*full_board(), *full_board("tiny"), result("los-nlos-umi", "old/model", 0.5, kind="user", task_version=0)]
    assert build_site(made, out, task_docs=docs()) == out / "index.html"
    return out


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {path.relative_to(site).as_posix(): Page(path) for path in sorted(site.rglob("*.html"))}


def hashes(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_kind_of_page_is_there_and_well_formed(pages: dict[str, Page]) -> None:
    fixed = {f"{name}.html" for name in ("index", "about", "submit", "compare", "search", "models", "datasets")}
    tasks = {"tasks/los-nlos-umi.standard.html", "tasks/los-nlos-umi.tiny.html", "suites/all.standard.html"}
    models = {"models/lab__radio-foundation-base.html", "models/old__model.html", "datasets/snap-umi.html"}
    assert fixed | tasks | models <= set(pages)
    for page in pages.values():
        assert page.open == []
        assert len(page.ids) == len(set(page.ids))
        assert len(page.all("h1")) == 1
        assert page.all("html")[0]["lang"] == "en"


def test_same_results_same_bytes_in_any_order(tmp_path: Path) -> None:
    made = full_board()
    build_site(made, tmp_path / "a", task_docs=docs())
    build_site(list(reversed(made)), tmp_path / "elsewhere" / "b", task_docs=docs())
    assert hashes(tmp_path / "a") == hashes(tmp_path / "elsewhere" / "b")


def test_all_links_lead_somewhere_inside_the_site(site: Path, pages: dict[str, Page]) -> None:
    checked = 0
    for href, page in pages.items():
        for tag, attribute in (("a", "href"), ("link", "href"), ("script", "src"), ("img", "src")):
            for attrs in page.all(tag):
                parts = urlsplit(attrs[attribute] or "")
                if parts.scheme:
                    assert (tag, parts.scheme, parts.netloc) == ("a", "https", "example.org")
                    continue
                assert not parts.path.startswith("/"), "a site under a sub-path needs relative links"
                target = (site / href).parent / unquote(parts.path) if parts.path else site / href
                assert target.resolve().is_file(), (href, attrs)
                assert target.resolve().is_relative_to(site.resolve())
                if parts.fragment and "=" not in parts.fragment and target.suffix == ".html":
                    assert parts.fragment in pages[target.resolve().relative_to(site.resolve()).as_posix()].ids
                checked += 1
    assert checked > 300


def test_hostile_text_stays_text(site: Path, pages: dict[str, Page]) -> None:
    for page in pages.values():
        names = [(script["src"] or "").removeprefix("../") for script in page.all("script")]
        assert names[0] == "static/site.js"
        assert set(names[1:]) <= {"data/index.js", "static/compare.js"}
        assert not [attrs for _, attrs in page.tags if any(name.startswith("on") or name == "style" for name in attrs)]
        assert not [attrs for _, attrs in page.tags if (attrs.get("href") or "").lower().startswith("javascript")]
    hostile = next(page for href, page in pages.items() if "script" in href)
    assert HOSTILE in hostile.text
    assert "javascript:alert(1)" in hostile.text
    with (site / "data" / "scores.csv").open(encoding="utf-8") as stream:
        assert {row["model"] for row in csv.DictReader(stream)} >= {"Org With Spaces/" + HOSTILE}


def test_strict_policy_and_no_outside_resource(pages: dict[str, Page]) -> None:
    for page in pages.values():
        policy = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
        assert len(policy) == 1
        assert (policy[0] or "").startswith(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:"
        )
        assert page.all("style") == []


def test_no_private_path_of_the_command_line_is_published(site: Path) -> None:
    assert not [p for p in site.rglob("*") if p.is_file() and "/home/someone" in p.read_text(encoding="utf-8")]


def test_tiny_has_the_banner_and_no_ranks(pages: dict[str, Page]) -> None:
    banner = "Demonstration data (tiny): not ranked."
    tiny, standard = pages["tasks/los-nlos-umi.tiny.html"].text, pages["tasks/los-nlos-umi.standard.html"].text
    assert banner in tiny
    assert "Rank range" not in tiny
    assert banner not in standard
    assert "Rank range" in standard
    assert banner in pages["suites/all.tiny.html"].text
    assert banner not in pages["index.html"].text  # it shows the ranked suite


def test_numbers_on_the_page_are_the_numbers_of_the_results(pages: dict[str, Page]) -> None:
    text = pages["tasks/csi-feedback-bits.standard.html"].text
    one = next(r for r in full_board() if r.task.name == "csi-feedback-bits" and r.model.name == "wbench/wiener")
    interval = one.primary().interval
    assert interval is not None
    assert f"{one.primary().value:.3f}[{interval.low:.3f}, {interval.high:.3f}]" in text.replace(" ", "").replace(
        ",", ", "
    )
    assert "94.5 (max 96)" in text


def test_every_chart_has_a_name_a_description_and_a_table(pages: dict[str, Page]) -> None:
    page = pages["tasks/beam-prediction-b.standard.html"]
    charts = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(charts) >= 4
    drawn = [svg for svg in page.all("svg") if svg.get("class") == "fx"]
    assert len(drawn) > 15
    assert all(svg["aria-hidden"] == "true" for svg in drawn)  # the same numbers stand beside it
    for chart in charts:
        assert set((chart["aria-labelledby"] or "").split()) <= set(page.ids)
    assert len(page.all("figure")) <= len(page.all("table"))
    for table_head in page.all("th"):
        assert table_head["scope"] in {"col", "row", "rowgroup"}


def test_data_files_hold_all_results(site: Path) -> None:
    data = json.loads((site / "data" / "results.json").read_text(encoding="utf-8"))["results"]
    assert len(data) == 2 * len(full_board()) + 1
    assert [r["model"]["name"] for r in data if r["stale"]] == ["old/model"]
    assert all(r["ranked"] == (r["task"]["size"] != "tiny" and not r["stale"]) for r in data)
    whole = json.loads((site / "data" / "los-nlos-umi.standard.json").read_text(encoding="utf-8"))["results"]
    assert len(whole) == sum((r["task"]["name"], r["task"]["size"]) == ("los-nlos-umi", "standard") for r in data)
    assert {score["slice"] for r in whole for score in r["scores"]} >= {"ranked", "all"}
    assert all("replicates" not in score for r in whole for score in r["scores"])
    assert all("command" not in r["provenance"] for r in whole)
    with (site / "data" / "los-nlos-umi.standard.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["table"] for row in rows} == {"none", "head", "full", "reference"}
    best = [row["model"] for row in rows if row["rank"] == "1" and row["table"] == "head"]
    assert best == ["lab/radio-foundation-base", "lab/radio-foundation-small"]  # they cannot be told apart


def test_a_folder_that_is_no_site_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("ten years")
    with pytest.raises(OutputConflictError, match="not a leaderboard site"):
        build_site(full_board(), out)
    assert hashes(out).keys() == {"thesis.txt"}
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_a_new_site_replaces_the_old_one_whole(tmp_path: Path) -> None:
    build_site(full_board(), tmp_path / "site")
    build_site([result("csi-feedback-bits", "only/one", 0.8)], tmp_path / "site")
    assert sorted(p.name for p in (tmp_path / "site" / "models").iterdir()) == ["only__one.html"]
    assert [p.name for p in tmp_path.iterdir()] == ["site"]


def test_a_failure_in_the_middle_leaves_the_old_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_site(full_board(), tmp_path / "site")
    before = hashes(tmp_path / "site")

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wbench_leaderboard.exports.scores_csv", full)
    with pytest.raises(ResultError, match="No space left"):
        build_site([result("csi-feedback-bits", "only/one", 0.8)], tmp_path / "site")
    assert hashes(tmp_path / "site") == before
    assert [p.name for p in tmp_path.iterdir()] == ["site"]


def test_slugs_are_safe_and_never_meet() -> None:
    names = ["org/model", "org__model", "Org/Model", "../../etc/passwd", "", "…", "a" * 300, "con:a\\b", "..", "über/x"]
    slugs = Slugs(names)
    made = [slugs[name] for name in names]
    assert len(set(made)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9._-]{1,90}", slug) and not slug.startswith(".") for slug in made)
    assert Slugs(["org/model"])["org/model"] == "org__model"
    assert [Slugs(reversed(names))[name] for name in names] == made
    # A name that looks like another one's distinguished slug must not take its file either.
    tricky = ["org/model", "Org/Model", made[0], made[2]]
    assert len({Slugs(tricky)[name] for name in tricky}) == 4


def test_only_plain_web_addresses_are_linked() -> None:
    assert outside_link("https://arxiv.org/abs/1712.08919") == "https://arxiv.org/abs/1712.08919"
    for text in ("javascript:alert(1)", "data:text/html,x", "see https://x.org", "//x.org", "http://", "https://[", ""):
        assert outside_link(text) is None
    assert Links.up("tasks/a.html") == "../"


def test_number_formats() -> None:
    assert [number(v) for v in (0.81234, -0.5, 12.345, -0.0001)] == ["0.812", "−0.500", "12.35", "0.000"]
    assert [number(v, "dB") for v in (-16.789, 0.0)] == ["−16.79", "0.00"]
    assert [count(v) for v in (0, 950, 4_200, 86_000_000)] == ["0", "950", "4.2\xa0k", "86\xa0M"]
    assert [seconds(v) for v in (0, 2.5, 0.0032, 4e-6)] == ["0\xa0s", "2.5\xa0s", "3.2\xa0ms", "4\xa0µs"]


def test_command_builds_from_a_results_folder(tmp_path: Path) -> None:
    for index, one in enumerate(full_board()[:12]):
        write_result(one, tmp_path / "results" / str(index) / "result.json")
    run = CliRunner().invoke(leaderboard, ["build", str(tmp_path / "results"), "--out", str(tmp_path / "site")])
    assert run.exit_code == 0, run.output
    assert "12 results" in run.output
    assert (tmp_path / "site" / "index.html").is_file()


def test_command_without_results_says_what_to_do(tmp_path: Path) -> None:
    run = CliRunner().invoke(leaderboard, ["build", str(tmp_path / "none"), "--out", str(tmp_path / "site")])
    assert isinstance(run.exception, ResultError)
    assert not (tmp_path / "site").exists()


def test_slices_stand_in_the_order_of_their_numbers() -> None:
    assert slice_positions(["10", "-10", "0"]) == {"-10": (-10, "−10"), "0": (0, "0"), "10": (10, "10")}
    ranges = slice_positions(["20-45", "6.5-20", "0-6.5", "-5-0"])
    assert ranges == {"-5-0": (0, "−5–0"), "0-6.5": (1, "0–6.5"), "6.5-20": (2, "6.5–20"), "20-45": (3, "20–45")}
    assert slice_positions(["LoS", "NLoS"]) is None
