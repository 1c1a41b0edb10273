"""What the pages say beyond one ranking: suites, seasons, published numbers, datasets, bounds, comparisons."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.leaderboard_factory import SEASON, docs, full_board, more_board, replicates_around, result
from tests.test_leaderboard_site import Page
from wbench import stats
from wbench.result import Result
from wbench_leaderboard import build_site
from wbench_leaderboard.bootstrap import Sampled, sampled_ranges
from wbench_leaderboard.compare import rank_ranges
from wbench_leaderboard.datasets import ArrayInfo, DatasetInfo, SizeInfo
from wbench_leaderboard.entries import collect
from wbench_leaderboard.forest import Scale
from wbench_leaderboard.links import Links
from wbench_leaderboard.model_pages import entries_by_model, model_page
from wbench_leaderboard.overall import family_tables, overall_tables, suite_boards
from wbench_leaderboard.overview import model_lines
from wbench_leaderboard.rank import rank_boards
from wbench_leaderboard.references import bibtex, paper_rows, papers
from wbench_leaderboard.render import MAX_PAGE_BYTES
from wbench_leaderboard.submission.evidence import Evidence
from wbench_leaderboard.suites import SuiteInfo
from wbench_leaderboard.task_pages import task_page

LOS, CSI = "los-nlos-umi", "csi-feedback-bits"
RNG = np.random.default_rng(0)
SNAP = DatasetInfo(
    name="snap-umi", summary="UMi street canyon", licence="CC-BY-4.0", version=1, generator="sionna-38901",
    generator_version=3, generator_summary="3GPP TR 38.901", install="", seed=2026, block=200,
    sizes=(SizeInfo("standard", 50_000, 13, "sha256:ab", "sha256:cd", True),),
    params=(("carrier_hz", "3500000000"),), expect=(("los_share", "0.3 to 0.4"),),
    arrays=(ArrayInfo("channel", (32, 32), "complex64"),), sampled="standard",
    values={"los": np.arange(64) % 2, "path_gain_db": RNG.normal(-95, 10, 64),
            "k_factor_db": np.where(np.arange(64) % 2 == 1, RNG.normal(9, 3, 64), np.nan)},
)  # fmt: skip
UNUSED = DatasetInfo("plane-wave", "closed form", "CC0-1.0", 1, "plane-wave", 1, "", "", 1, 10, (), ())
SUITES = (SuiteInfo("2026.1", "Suite 2026.1", "draft", "ranked tasks", (LOS, CSI, "csi-feedback-ratio", "missing")),)


def board_site(out: Path, made: Sequence[Result]) -> Path:
    build_site(made, out, task_docs=docs(), suites=SUITES, datasets={"snap-umi": SNAP, "plane-wave": UNUSED})
    return out


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return board_site(tmp_path_factory.mktemp("pages") / "site", [*full_board(), *more_board()])


def page(site: Path, name: str) -> Page:
    return Page(site / name)


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


# --- statistics -------------------------------------------------------------------------------------------------------
def test_rank_ranges_of_all_pairs_at_once_are_those_of_the_core() -> None:
    rng = np.random.default_rng(5)
    made = [
        result(LOS, f"m{i}", 0.6 + 0.01 * rng.integers(0, 9), kind="user", groups=30, spread=0.1) for i in range(14)
    ]
    made += [result(LOS, "bare", 0.61, kind="user", groups=0)]
    made += [result(LOS, "seeds", 0.63 + s / 100, kind="user", groups=30, seed=s) for s in range(3)]
    for higher in (True, False):
        entries = [e for e in collect(made) if e.primary.higher_is_better]
        if not higher:
            entries = collect([r.model_copy(update={"scores": tuple(
                s.model_copy(update={"higher_is_better": False}) for s in r.scores)}) for r in made])  # fmt: skip
        expected = stats.rank_ranges({str(i): e.primary.estimate for i, e in enumerate(entries)}, higher)
        found = rank_ranges(entries)
        assert [None if len(e.primary.estimate.replicates) < 5 else (expected[str(i)].best, expected[str(i)].worst)
                for i, e in enumerate(entries)] == found  # fmt: skip
    assert len({spread for spread in found if spread}) > 4  # otherwise the test above says nothing


def test_overall_ranges_by_resampling_agree_with_the_normal_theory() -> None:
    """Two models on one task: the share of draws in which the better one leads is Φ(d/σ) of the paired difference."""
    groups, rng = 80, np.random.default_rng(2)
    own = rng.normal(size=(groups, 2))
    influence = own - own.mean(axis=0)
    sigma = float(np.sqrt(np.sum((influence[:, 0] - influence[:, 1]) ** 2)) / groups)

    def ranges(z: float) -> list[tuple[int, int]]:
        task = Sampled("task", np.array([z * sigma, 0.0]), influence, np.zeros(2))
        return [by_skill for by_skill, _ in sampled_ranges([[task]], draws=4000)]

    assert ranges(1.6) == [(1, 2), (1, 2)]  # Φ(1.6) = 0.945: both orders are within 95 %
    assert ranges(2.4) == [(1, 1), (2, 2)]  # Φ(2.4) = 0.992
    seeds = Sampled("task", np.array([2.4 * sigma, 0.0]), influence, np.full(2, 2 * sigma))
    assert [r for r, _ in sampled_ranges([[seeds]], draws=4000)] == [(1, 2), (1, 2)]  # the training seeds count too


def test_a_family_of_many_tasks_weighs_as_much_as_another() -> None:
    made = []
    for task, values in (
        (LOS, (0.8, 0.6)),
        ("csinet-compat-in-4", (-6.0, -3.0)),
        ("csinet-compat-in-16", (-6.0, -3.0)),
    ):
        made.append(result(task, "t", 0.5 if task == LOS else 0.0, kind="trivial"))
        made += [result(task, name, value, kind="user") for name, value in zip("ab", values, strict=True)]
    made.append(result(LOS, "los only", 0.99, kind="user"))
    boards = rank_boards(collect(made))
    whole = SuiteInfo("s", "S", "", "", (LOS, "csinet-compat-in-16", "csinet-compat-in-4"))
    members = suite_boards(boards, whole, "standard")
    assert [b.edition.task for b in members] == list(whole.tasks)
    whole_table = next(t for t in overall_tables(members) if t.key.regime == "none")
    assert [(c.label, len(c.tasks)) for c in whole_table.columns] == [("los-nlos", 1), ("csi-feedback-ratio", 2)]
    rows = {row.model: row for row in whole_table.rows}
    ratio = 1 - 10 ** (-0.6)
    assert rows["a"].mean_skill == pytest.approx((0.6 + ratio) / 2)  # not (0.6 + 2·ratio) / 3
    assert (rows["a"].position, rows["a"].spread) == (1, (1, 1))
    assert (rows["los only"].complete, rows["los only"].skills[0]) == (False, pytest.approx(0.98))
    family = next(t for t in family_tables(members[1:]) if t.key.regime == "none")
    assert [c.label for c in family.columns] == ["csinet-compat-in-16", "csinet-compat-in-4"]
    assert "los only" not in {row.model for row in family.rows}


def test_a_scale_leaves_the_worst_beyond_its_end() -> None:
    made = [result(LOS, f"m{i}", 0.9 - i / 100) for i in range(9)] + [result(LOS, "bad", 0.01)]
    made.append(result(LOS, "t", 0.5, kind="trivial"))
    (group,) = rank_boards(collect(made))[0].groups
    entries = [s.entry for s in group.standings]
    scale = Scale.of(LOS, entries, group)
    glyphs = {e.model.name: scale.glyph(e) for e in entries}
    assert (glyphs["bad"].beyond, glyphs["t"].beyond, glyphs["m0"].beyond) == (-1, 0, 0)
    assert 0.2 < scale.left < 0.5
    assert float(glyphs["m0"].at) > float(glyphs["m1"].at) > float(glyphs["t"].at) >= 0
    assert [name for name, _ in scale.lines] == ["c", "t"]


# --- published numbers ------------------------------------------------------------------------------------------------
def test_published_rows_are_those_of_the_papers() -> None:
    (csinet,) = [row for row in paper_rows("csinet-compat-in-4") if row.model == "CsiNet"]
    assert csinet.values == {"nmse_mor_db": (-17.36, "dB"), "rho": (0.99, "")}
    assert (csinet.paper.cited, csinet.table) == ("Wen et al. 2018", "Table I")
    (wifo,) = [row for row in paper_rows("wifo-compat-time-d3") if row.model == "WiFo-Base"]
    assert wifo.in_unit("nmse_mor_db") == pytest.approx(10 * math.log10(0.016))
    assert paper_rows("wifo-compat-time-d17") == ()  # held out, without a number in the table
    assert len(paper_rows("beam-prediction-a-16")) == 4 * 7 + 4 * 2 * 4
    assert {row.paper.comparable for row in paper_rows("los-nlos-city")} == {False}
    assert paper_rows(LOS) == ()
    text = bibtex(list(papers().values()))
    assert text.count("@") == len(papers())
    assert "author = {Chao-Kai Wen and Wan-Ting Shih and Shi Jin}" in text


def test_published_rows_stand_on_the_page_unranked_and_marked(site: Path) -> None:
    found = page(site, "tasks/csinet-compat-in-4.standard.html")
    assert "from-paper" in found.text
    assert "CS-CsiNet" in found.text
    assert "ref-p" in (site / "tasks/csinet-compat-in-4.standard.html").read_text()  # the best one as a line
    rows = table(site / "data" / "csinet-compat-in-4.standard.csv")
    assert not [row for row in rows if "CsiNet" in row["model"]]
    assert "@article{wen-2018," in (site / "data" / "wbench.bib").read_text()
    assert "Published numbers" not in page(site, f"tasks/{CSI}.standard.html").text


# --- seasons ----------------------------------------------------------------------------------------------------------
def test_a_hidden_season_is_kept_apart_and_shows_the_gap(site: Path) -> None:
    found = page(site, f"tasks/{LOS}.standard.html").text
    hidden = found[
        found.index("Hidden seasons kept") if "Hidden seasons kept" in found else found.rindex(SEASON) - 200 :
    ]
    assert SEASON in found
    assert "lab/only-hidden" in hidden
    assert "no public result" in found
    assert "0.200" in hidden  # 0.7 in public, 0.5 hidden
    rows = table(site / "data" / f"{LOS}.standard.csv")
    assert "lab/only-hidden" not in {row["model"] for row in rows}
    assert [row["value"] for row in rows if row["model"] == "lab/zero"] == ["0.7"]
    assert f"hidden season {SEASON}" in page(site, "models/lab__only-hidden.html").text


def test_seasons_stay_out_of_the_ranking() -> None:
    made = [result(LOS, "a", 0.7), result(LOS, "b", 0.6), result(LOS, "a", 0.99, task_season=SEASON)]
    made.append(result(LOS, "c", 0.9, task_season="ffffffffffff", task_version=2))
    (board,) = rank_boards(collect(made))
    assert [(e.model.name, e.primary.value) for e in board.entries] == [("a", 0.7), ("b", 0.6)]
    assert [(e.model.name, e.edition.season) for e in board.hidden] == [("a", SEASON)]
    assert [e.model.name for e in board.stale] == ["c"]  # another version of the task


def test_the_gap_of_each_number_of_layers_is_its_own() -> None:
    how = {"kind": "network", "regime": "fine-tune", "head": "mlp"}
    made = [result(LOS, "a", 0.9, layers=n, **how) for n in (1, 2)]
    made += [result(LOS, "a", 0.9 - 0.1 * n, layers=n, task_season=SEASON, **how) for n in (1, 2)]
    (board,) = rank_boards(collect(made))
    recipes = [record.recipe for one in made for record in one.datasets]
    rows = task_page(board, {}, Links([(LOS, "standard")], [("a", "1")], recipes)).hidden
    assert [(row.hidden.text, pytest.approx(row.gap.sort)) for row in rows] == [("0.800", 0.1), ("0.700", 0.2)]


@pytest.mark.parametrize("tasks", [(LOS, CSI), (CSI, LOS)])
def test_a_model_is_what_competes_now(tasks: tuple[str, str]) -> None:
    made = [result(task, "a", 0.7, model_revision="1", model_summary="old") for task in tasks]
    made.append(result(tasks[1], "a", 0.6, model_revision="2", model_summary="new"))
    evidence = {("a", "1"): Evidence("reproduced", superseded_by="2")}
    boards = rank_boards(collect(made, evidence))
    links = Links([(task, "standard") for task in tasks], [("a", "1"), ("a", "2")])
    (line,) = model_lines(boards, links)
    assert (line.summary, line.evidence) == ("new", "self-reported")
    assert model_page("a", entries_by_model(boards)["a"], {}, links).summary == "new"


def test_models_with_the_same_answers_share_their_positions() -> None:
    influence = np.random.default_rng(0).normal(size=(20, 1)) * np.ones((1, 3)) * 0.01
    task = Sampled("k", np.array([0.5, 0.5, 0.1]), influence, np.zeros(3))
    assert sampled_ranges([[task]]) == [((1, 1), (1, 1)), ((1, 1), (1, 1)), ((3, 3), (3, 3))]


# --- pages ------------------------------------------------------------------------------------------------------------
def test_a_suite_has_its_tasks_and_says_what_is_missing(site: Path) -> None:
    found = page(site, "suites/2026.1.standard.html")
    assert "1 task without a current result" in found.text
    assert "missing" in found.text
    assert "channel-prediction-time" not in found.text
    assert "The rule." in found.text
    rows = table(site / "data" / "suite-2026.1.standard.csv")
    assert {row["family"] for row in rows} == {"los-nlos", "csi-feedback-bits", "csi-feedback-ratio"}
    assert not (site / "suites" / "2026.1.standard.csi-feedback-ratio.html").exists()  # one task: its page is enough
    assert "not in a suite" in page(site, "tasks/channel-prediction-time.standard.html").text
    assert "not in a suite" not in page(site, f"tasks/{LOS}.standard.html").text


def test_a_dataset_has_a_page_without_any_data(site: Path) -> None:
    found = page(site, "datasets/snap-umi.html")
    for text in ("UMi street canyon", "CC-BY-4.0", "sha256:ab", "wbench generate snap-umi", "50 % of 64 samples",
                 "carrier_hz", "los_share", "complex64", "8.19 kB", LOS):  # fmt: skip
        assert text in found.text, text
    charts = [svg for svg in found.all("svg") if svg.get("role") == "img"]
    assert len(charts) == 2
    assert "closed form" in page(site, "datasets/plane-wave.html").text
    assert "not installed" in page(site, "datasets/mob-uma.html").text  # known from results only
    listed = page(site, "datasets.html").text
    assert all(name in listed for name in ("snap-umi", "plane-wave", "mob-uma"))


def test_curves_over_budget_bits_and_cost(site: Path) -> None:
    los, csi = page(site, f"tasks/{LOS}.standard.html"), page(site, "tasks/csinet-compat-in-4.standard.html")
    assert {"budget", "cost-size"} <= set(los.ids)
    assert "Score against payload" in csi.text
    assert (
        "csinet-compat-in-4, csinet-compat-in-16" in csi.text or "csinet-compat-in-16, csinet-compat-in-4" in csi.text
    )
    assert "bits" not in los.ids


def test_in_domain_models_are_marked(site: Path) -> None:
    assert "in-domain" in page(site, f"tasks/{LOS}.standard.html").text
    assert "in-domain" in page(site, "models/lab__radio-foundation-base.html").text
    assert "in-domain" not in page(site, "models/lab__zero.html").text


def test_no_page_is_too_large_and_the_data_have_every_row(tmp_path: Path) -> None:
    made = [result(LOS, "t", 0.5, kind="trivial", groups=8), result(LOS, "wbench/knn", 0.6, groups=8)]
    made += [result(LOS, f"lab/model-{i:04}", 0.6 + i / 4000, kind="user", groups=8, model_summary="x" * 200)
             for i in range(500)]  # fmt: skip
    build_site(made, tmp_path / "site", task_docs=docs())
    sizes = {p.name: p.stat().st_size for p in (tmp_path / "site").rglob("*.html")}
    assert max(sizes.values()) <= MAX_PAGE_BYTES
    text = Page(tmp_path / "site" / "tasks" / f"{LOS}.standard.html").text
    assert "more models are in the data files" in text
    assert "lab/model-0499" in text  # the best ones are there
    rows = table(tmp_path / "site" / "data" / f"{LOS}.standard.csv")
    assert len(rows) == 502
    assert {"models.html", "models-2.html", "models-3.html"} <= set(sizes)


def test_data_of_the_comparison_are_the_scores_and_replicates(site: Path) -> None:
    text = (site / "data" / "models" / "lab__zero.js").read_text()
    assert text.count("<") == 0
    data = json.loads(text[text.index("add(") + 4 : text.rindex(")")])
    row = next(row for row in data["rows"] if row[0] == LOS)
    original = next(r for r in full_board() if r.task.name == LOS and r.model.name == "lab/zero").primary()
    assert row[10] == original.value
    found = [original.value + row[12] * step for step in row[13]]
    spread = max(abs(r - original.value) for r in original.replicates)
    np.testing.assert_allclose(found, original.replicates, atol=spread / 20_000)
    assert len(replicates_around(0.7, "x", 40, 1.0)) == len(row[13])
    index = (site / "data" / "index.js").read_text()
    pages = json.loads(index[index.index("})(") + 3 : index.rindex(")")])["pages"]
    assert all((site / href.partition("#")[0]).is_file() for _, _, href, _ in pages)
    assert {kind for kind, *_ in pages} == {"page", "suite", "task", "model", "dataset"}
