"""What must not be refused: honest cards, sources and repeats. And how near two models' answers may be."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from tests.helpers_submission import Made, lay, make
from wbench_leaderboard.charts import Chart, Series, draw
from wbench_leaderboard.submission.card import model_card
from wbench_leaderboard.submission.check import check_submissions
from wbench_leaderboard.submission.checks import Options, Submission, open_submission
from wbench_leaderboard.submission.claims import gaps
from wbench_leaderboard.submission.layout import source_fault
from wbench_leaderboard.submission.report import Report
from wbench_leaderboard.submission.together import check_answers
from wbench_leaderboard.submission.wording import card_fault

TRAINED = {"regime": "full", "n_train": 100, "model_trains": True}


@pytest.mark.parametrize(
    "text",
    [
        "Training data: snap-umi. x < 3, R & D, AT&T; see <https://example.org/a> and [b](https://example.org/b)",
        "| file | bytes |\n|---|---|\n| weights | 3 |",
        r"an escaped \<b> and \&amp; stay what they are",
        "for a > b: `a -> b`; me@example.org",
    ],
)
def test_plain_cards_are_welcome(text: str) -> None:
    assert card_fault(text) is None


def test_the_card_that_we_make_is_welcome_whatever_the_model_says() -> None:
    text = "<script>alert(1)</script> [x](y) &amp; `code` | cell"
    assert card_fault(model_card([make(model_summary=text, model_licence="<b>").result])) is None


@pytest.mark.parametrize(
    "text",
    ["", "https://example.org/net", "http://example.org", "arXiv:1712.08919", "doi:10.1109/5.771073",
     "3GPP TS 38.214 §5.2.2.2.5; bits: TS 38.212 §6.3.2.1.2", "No method; the score of an answer without information",
     "Wen et al., 2018: Deep learning for CSI feedback"],
)  # fmt: skip
def test_citations_and_addresses_are_sources(text: str) -> None:
    assert source_fault(text) is None


def test_all_seeds_and_draws_from_zero_on_are_no_choice() -> None:
    made = [make(seed_=seed, draw=draw, budget_percent=10.0, **TRAINED) for seed in range(3) for draw in range(5)]
    assert not list(gaps(one.result for one in made))
    assert list(gaps(one.result for one in made if one.result.draw != 2))
    assert list(gaps(one.result for one in made if one.result.seed != 0))


def test_three_seeds_are_one_submission(tmp_path: Path) -> None:
    lay(tmp_path / "s", *(make(seed=seed, seed_=seed, **TRAINED) for seed in range(3)))
    report = check_submissions(tmp_path / "s", data=tmp_path)
    assert report.ok, report.text()


def opened(root: Path, made: Made) -> Submission:
    lay(root, made)
    found = open_submission(root, f"{made.result.model.name.replace('/', '__')}/1", Report())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("apart", "model", "level"),
    [(0.0, "zoo/b", "error"), (1e-9, "zoo/b", "error"), (1e-5, "zoo/b", "warning"), (1e-2, "zoo/b", None),
     (1e-9, "lab/b", "warning"), (1e-9, "lab/net", None)],
)  # fmt: skip
def test_how_near_answers_may_be(tmp_path: Path, apart: float, model: str, level: str | None) -> None:
    """By the replicates of the primary score: predictions with some bits changed have others in their last digits."""
    first, second = opened(tmp_path / "a", make()), opened(tmp_path / "b", make(model, seed=1))
    (place, result), (_, other) = *second.results.items(), *first.results.items()
    score = other.scores[0]
    moved = {"value": score.value * (1 + apart), "replicates": tuple(one * (1 + apart) for one in score.replicates)}
    second.results[place] = result.model_copy(update={"scores": (score.model_copy(update=moved), *result.scores[1:])})
    if model == "lab/net":
        second.name = "lab__net/2"
    report = Report()
    check_answers([first, second], {second.name}, Options(), report)
    assert [finding.level for finding in report.findings] == ([] if level is None else [level])
    assert not report.findings or "same answers as lab__net/1" in report.findings[0].what


def test_the_same_finding_in_many_places_is_told_of_a_few() -> None:
    report = Report()
    for index in range(300):
        report.add("warning", f"place {index}", "something")
    report.error("here", "wrong")
    assert report.lines()[0] == "error: here: wrong"
    assert len(report.lines()) == 1 + 3 + 1 + 1
    assert "297 more places: something" in report.text()


def test_names_in_a_chart_do_not_cover_one_another() -> None:
    notes = tuple((0.01 * index, 0.5 + 0.001 * index, f"organisation/model-{index}") for index in range(6))
    points = tuple((x, y, None, None) for x, y, _ in notes)
    chart = Chart(
        "t", "d", "x", "y", (Series("one", ((1.0, 0.9, None, None), *points)),), ((0.0, "0"), (1.0, "1")), notes
    )
    drawn = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="\w+" class="note"', str(draw(chart, "u", "wide")))
    assert drawn
    # All of them begin at nearly the same place, or end there: only their heights can keep them apart.
    for side in {float(x) < 100 for x, _ in drawn}:
        rows = sorted(float(y) for x, y in drawn if (float(x) < 100) == side)
        assert all(b - a >= 10 for a, b in itertools.pairwise(rows)), rows
