"""Skill and budget curves."""

from __future__ import annotations

import pytest

from wbench.curves import budget_curve, skill
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
    with pytest.raises(ResultError, match="no score"):
        budget_curve([result(100, 0.9)], "top3")
