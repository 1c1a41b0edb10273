"""Skill and budget curves."""

from __future__ import annotations

import pytest

from wbench.curves import budget_curve, season_gaps, skill
from wbench.errors import ResultError
from wbench.metric import get_metric
from wbench.result import CostRecord, ModelRecord, PredictionsRecord, Result, Score, TaskRecord


@pytest.mark.parametrize(
    ("name", "value", "trivial", "expected"),
    [
        ("nmse_ros_db", -10.0, [0.0], 0.9),
        ("nmse_ros_db", -13.0103, [0.0, -10.0], 0.5),
        ("nmse_ros_db", 3.0103, [0.0], -1.0),
        ("top1", 0.75, [0.1, 0.5], 0.5),
        ("auroc", 1.0, [0.5], 1.0),
        ("auroc", 0.5, [0.5], 0.0),
        ("rsrp_loss_db", 0.0, [3.0], 1.0),
        ("rsrp_loss_db", 1.0, [1.0, 2.0], 0.0),
    ],
)
def test_skill_is_linear_and_against_the_best_trivial(name, value, trivial, expected):
    assert skill(get_metric(name), value, trivial) == pytest.approx(expected, abs=1e-6)


def test_skill_that_is_undefined():
    with pytest.raises(ResultError, match="trivial"):
        skill(get_metric("top1"), 0.5, [])
    with pytest.raises(ResultError, match="perfect"):
        skill(get_metric("top1"), 0.5, [0.3, 1.0])


def result(budget: float, value: float, seed: int = 0, **changes) -> Result:
    task = TaskRecord(name="t", version=1, digest="d", family="f", kind="classify", primary="top1", size="tiny")
    score = Score(metric="top1", metric_version=1, unit="", higher_is_better=True, slice="ranked", value=value, n=10)
    fields = {
        "task": task, "datasets": (), "model": ModelRecord(name="o/m", revision="1", kind="user"), "regime": "full",
        "budget_percent": budget, "draw": 0, "seed": seed, "n_train": 1, "n_val": 1, "n_test": 1, "scores": (score,),
        "cost": CostRecord(), "predictions": PredictionsRecord(path="p", digest="x", bytes=1), "provenance": {},
    }  # fmt: skip
    return Result(**{**fields, **changes})


def test_budget_curve_collects_draws_and_seeds():
    low, high = budget_curve([result(100, 0.9), result(10, 0.4), result(10, 0.6, seed=1)], "top1")
    assert (low.budget_percent, low.mean, low.low, low.high, low.runs) == (10, 0.5, 0.4, 0.6, 2)
    assert (high.budget_percent, high.mean, high.runs) == (100, 0.9, 1)


def test_budget_curve_never_mixes_regimes_and_misses_nothing():
    with pytest.raises(ResultError, match="one task, model, regime"):
        budget_curve([result(100, 0.9), result(10, 0.4, regime="head")], "top1")
    tuned = result(10, 0.4, regime="fine-tune", head="linear", layers=2)
    for other in ({"layers": None}, {"head_version": 2}, {"shots": 5}):
        with pytest.raises(ResultError, match="one task, model, regime"):
            budget_curve([tuned, tuned.model_copy(update={"budget_percent": 50.0, **other})], "top1")
    with pytest.raises(ResultError, match="no score"):
        budget_curve([result(100, 0.9)], "top3")


def shown(value: float, **changes) -> Result:
    return result(100, value, **changes)


def season(value: float, name: str = "0123456789ab", seed: int = 0, **changes) -> Result:
    shown = result(100, value, seed, **changes)
    return shown.model_copy(update={"task": shown.task.model_copy(update={"season": name, "digest": "hidden"})})


def with_groups(item: Result, deviations: list[float], **changes) -> Result:
    (score,) = item.scores
    replicates = tuple(score.value + each for each in deviations)
    return item.model_copy(update={"scores": (score.model_copy(update={"replicates": replicates, **changes}),)})


def test_season_gap_is_public_minus_hidden_over_draws_and_seeds():
    other = ModelRecord(name="o/other", revision="1", kind="user")
    results = [
        *(result(100, 0.9), result(100, 0.7, seed=1), season(0.6), season(0.5, "ffffffffffff")),
        *(result(10, 0.4), season(0.3, regime="head"), result(100, 0.2, model=other)),  # without a counterpart
    ]
    one, two = season_gaps(results, "top1")
    assert (one.season, one.public, one.hidden, one.public_runs, one.hidden_runs) == ("0123456789ab", 0.8, 0.6, 2, 1)
    assert one.gap == one.loss == pytest.approx(0.2)
    assert one.se is None  # no replicates
    assert (two.season, two.hidden) == ("ffffffffffff", 0.5)


def test_season_gap_has_a_spread_and_a_sign():
    a, b = [0.01, -0.01, 0.02, -0.02, 0.0], [0.03, -0.03, 0.0, 0.0, 0.0, 0.0]
    down = {"higher_is_better": False}
    (gap,) = season_gaps([with_groups(result(100, 3.0), a, **down), with_groups(season(5.0), b, **down)], "top1")
    # Delete-a-group jackknife: (G - 1)/G times the sum of squared deviations, on each side; then the sum of both.
    assert gap.se == pytest.approx((4 / 5 * 0.001 + 5 / 6 * 0.0018) ** 0.5)
    assert (gap.gap, gap.loss) == (-2.0, 2.0)  # an error that grew
    # Five groups on the smaller side: Student's t of four degrees of freedom, 2.776 at 95 %.
    assert gap.groups == 5
    assert gap.reach() == pytest.approx(2.776445 * gap.se)


def test_season_gaps_of_other_numbers_of_layers_are_apart():
    tuned = {"regime": "fine-tune", "head": "linear"}
    gaps = season_gaps(
        [make(value, layers=n, **tuned) for n in (1, 2) for make, value in ((shown, 0.1 * n), (season, 0.0))], "top1"
    )
    assert [(gap.layers, gap.gap) for gap in gaps] == [(1, 0.1), (2, 0.2)]
    assert gaps[0].reach() is None


def test_season_gap_needs_one_metric_version():
    with pytest.raises(ResultError, match="two versions"):
        season_gaps([result(100, 0.9), with_groups(season(0.5), [], metric_version=2)], "top1")
