"""What must not be refused: honest cards, sources and repeats. And how near two models' answers may be."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from tests.helpers_submission import TASK, Made, lay, make
from wbench.heads import FineTuned
from wbench.result import CostRecord, Score
from wbench_leaderboard.charts import Chart, Series, draw
from wbench_leaderboard.submission.card import model_card
from wbench_leaderboard.submission.check import check_submissions
from wbench_leaderboard.submission.checks import Options, Submission, open_submission
from wbench_leaderboard.submission.claims import false_claims, gaps, split_cards
from wbench_leaderboard.submission.current import current
from wbench_leaderboard.submission.report import Report
from wbench_leaderboard.submission.together import check_answers
from wbench_leaderboard.submission.wording import card_fault, source_fault

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
     "Wen et al., 2018: Deep learning for CSI feedback", "Paper: https://example.org/a, code: https://example.org/b",
     "Wen et al. (https://example.org/a)", "hf:lab/net", "DeepMIMO:O1_60", "city_6_miami (train)"],
)  # fmt: skip
def test_citations_and_addresses_are_sources(text: str) -> None:
    assert source_fault(text) is None


def test_a_payload_is_at_least_a_bit_of_one_sample() -> None:
    """The axis of payloads is logarithmic: a mean of next to nothing would push everybody else to its end."""
    for mean, told in ((0.0, 0), (1 / 40, 0), (96.0, 0), (1e-3, 1), (5e-324, 1)):
        made = make(cost=CostRecord(predict_samples=40, payload_bits_mean=mean, payload_bits_max=96))
        found = [text for text in false_claims(made.result, current(TASK, "standard")) if "mean payload" in text]
        assert len(found) == told, (mean, found)


def test_all_seeds_and_draws_from_zero_on_are_no_choice() -> None:
    made = [make(seed_=seed, draw=draw, budget_percent=10.0, **TRAINED) for seed in range(3) for draw in range(5)]
    assert not list(gaps(one.result for one in made))
    assert list(gaps(one.result for one in made if one.result.draw != 2))
    assert list(gaps(one.result for one in made if one.result.seed != 0))


def test_three_seeds_are_one_submission(tmp_path: Path) -> None:
    lay(tmp_path / "s", *(make(seed=seed, seed_=seed, **TRAINED) for seed in range(3)))
    report = check_submissions(tmp_path / "s", data=tmp_path)
    assert report.ok, report.text()


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": 2, "head": "linear", "head_version": 1, "regime": "head", "budget_percent": 5.0},
        {"schema_version": 2, "datasets": {"verdict": None, "worst_db": None}},  # from before the fingerprint
        {"datasets": {"verdict": "identical", "worst_db": None}},
        {"datasets": {"verdict": "equivalent", "worst_db": None}},  # the fingerprint's samples are the same bits
        {"head": "mlp", "head_version": FineTuned.version, "regime": "fine-tune", "layers": 2, "shots": 10, "draw": 9},
        {"head": "resnet1d-wide", "head_version": 1, "budget_percent": 10.0, "draw": 4, "seed_": 2},
        {"calibration": {"auroc": {}, "f1_macro": {"threshold": 0.1, "calibrated": 1.0}}, "scores": ()},
    ],
    ids=["schema 2", "no fingerprint", "identical", "equivalent", "last layers", "from scratch", "undefined scores"],
)
def test_honest_results_are_true(changes: dict[str, Any]) -> None:
    changes = dict(changes)
    record, scores = changes.pop("datasets", {}), changes.pop("scores", None)
    changes.get("calibration", {}).pop("auroc", None)
    result = make(**{**TRAINED, "cost": CostRecord(predict_samples=40, device="cuda:0"), **changes}).result
    result = result.model_copy(update={"datasets": tuple(d.model_copy(update=record) for d in result.datasets)})
    result = result if scores is None else result.model_copy(update={"scores": scores})
    assert list(false_claims(result, current(TASK, "standard"))) == []


def test_the_version_of_fine_tuning_is_not_that_of_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FineTuned, "version", 7)
    for regime, version, true in (("head", 1, True), ("head", 7, False), ("fine-tune", 7, True),
                                  ("fine-tune", 1, False), ("full", 1, True), ("full", 7, True)):  # fmt: skip
        made = make(**{**TRAINED, "regime": regime}, head="linear", head_version=version)
        assert (not list(false_claims(made.result, current(TASK, "standard")))) == true, (regime, version)


def test_an_embedder_from_scratch_has_seen_nothing() -> None:
    """As :class:`wbench.heads.FineTuned` says of it; the other results of the revision say what they have seen."""
    seen: dict[str, Any] = {"model_pretraining": ("snap-uma",), "model_overlap": "scenario", "head": "linear"}
    tuned = make(**{**TRAINED, "regime": "fine-tune"}, **seen).result
    scratch = make(**TRAINED, head="linear").result
    assert not list(split_cards([tuned, scratch, tuned]))
    assert not list(split_cards([scratch, tuned, scratch]))
    assert not list(split_cards([tuned, make(**TRAINED, model_pretraining_samples=9, head="linear").result]))
    assert list(split_cards([tuned, make(**{**TRAINED, "regime": "fine-tune"}, head="linear").result]))
    assert list(split_cards([make(**TRAINED, model_pretraining=("a",)).result, make(**TRAINED).result]))


def opened(root: Path, made: Made) -> Submission:
    lay(root, made)
    found = open_submission(root, f"{made.result.model.name.replace('/', '__')}/1", Report())
    assert found is not None
    return found


def moved(score: Score, apart: float) -> Score:
    replicates = tuple(one * (1 + apart) for one in score.replicates)
    return score.model_copy(update={"value": score.value * (1 + apart), "replicates": replicates})


@pytest.mark.parametrize(
    ("apart", "model", "level"),
    [(0.0, "zoo/b", "error"), (1e-9, "zoo/b", "error"), (1e-5, "zoo/b", "warning"), (1e-2, "zoo/b", None),
     (1e-9, "lab/b", "warning"), (1e-9, "lab/net", None)],
)  # fmt: skip
def test_how_near_answers_may_be(tmp_path: Path, apart: float, model: str, level: str | None) -> None:
    """By the replicates of the primary score: predictions with some bits changed have others in their last digits."""
    first, second = opened(tmp_path / "a", make()), opened(tmp_path / "b", make(model, seed=1))
    (place, result), (_, other) = *second.results.items(), *first.results.items()
    second.results[place] = result.model_copy(update={"scores": tuple(moved(one, apart) for one in other.scores)})
    if model == "lab/net":
        second.name = "lab__net/2"
    report = Report()
    check_answers([first, second], {second.name}, Options(), report)
    assert [finding.level for finding in report.findings] == ([] if level is None else [level])
    assert not report.findings or "same answers as lab__net/1" in report.findings[0].what


def test_decisions_alone_often_agree(tmp_path: Path) -> None:
    """The F1 score of another model is the same, the area under its curve is not."""
    first, second = opened(tmp_path / "a", make()), opened(tmp_path / "b", make("zoo/b", seed=1))
    (place, result), (_, other) = *second.results.items(), *first.results.items()
    same = tuple(b if b.metric.startswith("f1") else a for a, b in zip(result.scores, other.scores, strict=True))
    second.results[place] = result.model_copy(update={"scores": same})
    report = Report()
    check_answers([first, second], {second.name}, Options(), report)
    assert not report.findings


def test_no_better_than_a_trivial_model_is_no_theft(tmp_path: Path) -> None:
    """A network that collapsed gives the answers of others that did, and of the baseline: a person looks."""
    names = {"lab/net": "user", "wbench/majority": "trivial", "zoo/b": "user"}
    found = [opened(tmp_path / kind, make(name, model_kind=kind)) for name, kind in names.items()]
    report = Report()
    check_answers(found, {"zoo__b/1"}, Options(), report)
    assert [finding.level for finding in report.findings] == ["warning"]
    assert "the same answers as wbench__majority/1" in report.findings[0].what


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
