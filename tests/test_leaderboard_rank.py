"""The ranking rule against numbers worked out by hand and against a ranking made in another way."""

from __future__ import annotations

import itertools
import math

import pytest
from scipy.stats import t as student_t
from scipy.stats import ttest_rel

from tests.leaderboard_factory import digest, full_board, replicates_around, result
from wbench.errors import ResultError
from wbench.result import Score
from wbench_leaderboard.entries import collect
from wbench_leaderboard.overall import overall_tables
from wbench_leaderboard.rank import Group, rank_boards

LOS, CSI, TIME = "los-nlos-umi", "csi-feedback-bits", "channel-prediction-time"


def group(results: list, regime: str, task: str = LOS) -> Group:
    board = next(b for b in rank_boards(collect(results)) if b.edition.task == task)
    return next(g for g in board.groups if g.key.regime == regime)


def names(group: Group) -> list[str]:
    return [s.entry.model.name for s in group.standings]


def test_best_first_in_both_directions() -> None:
    high = [result(LOS, name, value) for name, value in (("a", 0.5), ("b", 0.9), ("c", 0.7))]
    low = [result(TIME, name, value) for name, value in (("a", -5.0), ("b", -20.0), ("c", -9.0))]
    assert names(group(high, "reference")) == ["b", "c", "a"]
    assert names(group(low, "reference", TIME)) == ["b", "c", "a"]
    assert [s.rank for s in group(low, "reference", TIME).standings] == [1, 2, 3]


def test_equal_scores_share_the_rank_and_the_next_one_is_skipped() -> None:
    made = [result(LOS, name, value) for name, value in (("a", 0.8), ("b", 0.9), ("c", 0.8), ("d", 0.1))]
    found = {s.entry.model.name: s.rank for s in group(made, "reference").standings}
    assert found == {"b": 1, "a": 2, "c": 2, "d": 4}


def test_regimes_heads_and_budgets_never_meet_and_references_stand_beside_all() -> None:
    made = [
        result(LOS, "zero", 0.9, kind="foundation"),
        result(LOS, "linear", 0.8, kind="foundation", regime="head", head="linear"),
        result(LOS, "knn-head", 0.7, kind="foundation", regime="head", head="knn"),
        result(LOS, "few", 0.6, kind="foundation", regime="head", head="linear", budget=1.0),
        result(LOS, "classical", 0.5, regime="full"),
        result(LOS, "untrained", 0.4),
        result(LOS, "trivial", 0.3, kind="trivial"),
    ]
    (board,) = rank_boards(collect(made))
    contestants = {
        (g.key.regime, g.key.head, g.key.budget_percent): [s.entry.model.name for s in g.contestants]
        for g in board.groups
    }
    assert contestants == {
        ("none", None, 100.0): ["zero"],
        ("head", "knn", 100.0): ["knn-head"],
        ("head", "linear", 100.0): ["linear"],
        ("head", "linear", 1.0): ["few"],
        ("reference", None, 100.0): ["classical", "untrained", "trivial"],
    }
    for g in board.groups:
        # What was fitted on all the data is no reference for a model that saw one percent of it.
        beside = {"untrained", "trivial"} | ({"classical"} if g.key.budget_percent == 100 else set())
        assert {n for n in names(g) if n in {"classical", "untrained", "trivial"}} == beside
        assert all(s.rank is None for s in g.standings if s.reference)


def test_skill_is_one_minus_the_ratio_of_linear_errors() -> None:
    made = [result(TIME, "zeros", 0.0, kind="trivial"), result(TIME, "hold", -3.0, kind="trivial")]
    made += [result(TIME, "wiener", -13.0), result(TIME, "bad", 7.0)]
    skills = {s.entry.model.name: s.skill for s in group(made, "reference", TIME).standings}
    assert skills["hold"] == pytest.approx(0.0)
    assert skills["wiener"] == pytest.approx(0.9)  # 10 dB below the best trivial model
    assert skills["bad"] == pytest.approx(-9.0)
    made = [result(CSI, "fixed", 0.6, kind="trivial"), result(CSI, "codebook", 0.9)]
    assert group(made, "reference", CSI).standings[0].skill == pytest.approx(0.75)


def test_no_trivial_model_no_skill() -> None:
    assert group([result(LOS, "a", 0.5)], "reference").standings[0].skill is None


def test_rank_range_is_open_for_a_tie_and_closed_for_a_clear_winner() -> None:
    made = [result(LOS, "winner", 0.95, kind="user"), result(LOS, "x", 0.600, kind="user")]
    made += [result(LOS, "y", 0.601, kind="user"), result(LOS, "z", 0.602, kind="user")]
    ranges = {s.entry.model.name: s.rank_range for s in group(made, "none").standings}
    assert ranges == {"winner": (1, 1), "x": (2, 4), "y": (2, 4), "z": (2, 4)}


def test_rank_ranges_agree_with_a_t_test_on_pseudo_values() -> None:
    values = {"a": 0.62, "b": 0.66, "c": 0.70, "d": 0.745}
    made = [result(LOS, name, value, kind="user", groups=30) for name, value in values.items()]
    # For a jackknife of G groups, t of the pseudo-values θ·G − (G−1)·θ_(g) is the jackknife's own t (Tukey 1958).
    pseudo = {}
    for one in made:
        value, left_out = one.primary().value, one.primary().replicates
        pseudo[one.model.name] = [30 * value - 29 * r for r in left_out]
    pairs = list(itertools.combinations(values, 2))
    p = [ttest_rel(pseudo[a], pseudo[b]).pvalue for a, b in pairs]
    order = sorted(range(len(p)), key=p.__getitem__)
    rejected = set()
    for step, index in enumerate(order):
        if p[index] * (len(p) - step) > 0.05:
            break
        rejected.add(pairs[index])
    expected = {
        name: (
            1 + sum((name, o) in rejected or (o, name) in rejected for o in values if values[o] > values[name]),
            4 - sum((name, o) in rejected or (o, name) in rejected for o in values if values[o] < values[name]),
        )
        for name in values
    }
    assert {s.entry.model.name: s.rank_range for s in group(made, "none").standings} == expected
    assert 0 < len(rejected) < len(pairs)  # otherwise the test above says nothing


def test_seeds_are_averaged_and_their_spread_widens_the_interval() -> None:
    made = [result(LOS, "net", value, kind="network", regime="full", seed=s) for s, value in enumerate((0.7, 0.8, 0.9))]
    (entry,) = collect(made)
    primary = entry.primary
    assert (primary.value, primary.best) == (pytest.approx(0.8), 0.9)
    assert primary.spread == pytest.approx(0.1)
    columns = [r.primary().replicates for r in made]
    mean = [sum(c) / 3 for c in zip(*columns, strict=True)]
    centre = sum(mean) / len(mean)
    cluster = (len(mean) - 1) / len(mean) * sum((m - centre) ** 2 for m in mean)
    half = student_t.ppf(0.975, len(mean) - 1) * math.sqrt(cluster + 0.1**2 / 3)
    assert primary.interval is not None
    assert primary.interval.high - primary.interval.low == pytest.approx(2 * half)


def test_an_older_task_version_or_other_data_is_stale_and_unranked() -> None:
    made = [result(LOS, "new", 0.7, task_version=2), result(LOS, "old", 0.99)]
    made.append(result(LOS, "other-metric", 0.98, task_version=2))
    changed: Score = made[-1].primary().model_copy(update={"metric_version": 0})
    made[-1] = made[-1].model_copy(update={"scores": (changed,)})
    other = result(LOS, "other-split", 0.97, task_version=2)
    data = other.datasets[0].model_copy(update={"split_digest": digest("another")})
    made += [other.model_copy(update={"datasets": (data,)}), result(LOS, "new-too", 0.6, task_version=2)]
    (board,) = rank_boards(collect(made))
    assert [e.model.name for e in board.entries] == ["new", "new-too"]
    assert sorted(e.model.name for e in board.stale) == ["old", "other-metric", "other-split"]


def test_tiny_is_ordered_and_never_ranked() -> None:
    made = [result(LOS, "a", 0.5, size="tiny"), result(LOS, "b", 0.9, size="tiny")]
    found = group(made, "reference")
    assert names(found) == ["b", "a"]
    assert [(s.rank, s.rank_range) for s in found.standings] == [(None, None)] * 2
    assert all(
        row.position is None and row.mean_rank is None for row in overall_tables(rank_boards(collect(made)))[0].rows
    )


def test_overall_means_exist_for_complete_models_only() -> None:
    made = [result(LOS, "t", 0.5, kind="trivial"), result(CSI, "t", 0.6, kind="trivial")]
    made += [result(LOS, "whole", 0.75, kind="user"), result(CSI, "whole", 0.9, kind="user")]
    made += [result(LOS, "second", 0.8, kind="user"), result(CSI, "second", 0.7, kind="user")]
    made.append(result(LOS, "part", 0.99, kind="user"))
    table = next(t for t in overall_tables(rank_boards(collect(made))) if t.key.regime == "none")
    rows = {row.model: row for row in table.rows}
    assert [row.model for row in table.rows] == ["whole", "second", "part"]
    assert rows["whole"].mean_skill == pytest.approx((0.5 + 0.75) / 2)
    assert rows["second"].mean_skill == pytest.approx((0.6 + 0.25) / 2)
    # On the first task the two cannot be told apart behind "part": both have the middle of 2 and 3.
    assert (rows["whole"].mean_rank, rows["second"].mean_rank) == (pytest.approx(1.75), pytest.approx(2.25))
    assert (rows["part"].complete, rows["part"].mean_skill, rows["part"].position) == (False, None, None)
    assert (rows["whole"].position, rows["second"].position) == (1, 2)


def test_order_of_input_changes_nothing_and_a_copy_is_one_result() -> None:
    made = full_board()
    assert collect(made) == collect([*reversed(made), *made[:7]])


def test_two_results_for_one_cell_are_refused_by_name() -> None:
    with pytest.raises(ResultError, match=r"same cell[\s\S]*org/m"):
        collect([result(LOS, "org/m", 0.5), result(LOS, "org/m", 0.6)])


def test_results_on_other_groups_are_refused() -> None:
    with pytest.raises(ResultError, match="same groups"):
        rank_boards(collect([result(LOS, "a", 0.5, groups=40), result(LOS, "b", 0.6, groups=20)]))


def test_no_results_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ResultError, match="wbench evaluate"):
        collect([])


def test_the_factory_has_real_replicates() -> None:
    assert len(replicates_around(0.5, "task|m", 40, 0.2)) == 40


def test_data_that_are_different_from_the_published_set_are_not_ranked() -> None:
    made = [result(LOS, "a", 0.7), result(LOS, "b", 0.6)]
    for index in range(3):  # more models on foreign data do not make them the rule
        other = result(LOS, f"foreign-{index}", 0.9 + index / 100)
        data = other.datasets[0].model_copy(update={"verdict": "different", "worst_db": -3.0})
        made.append(other.model_copy(update={"datasets": (data,)}))
    (board,) = rank_boards(collect(made))
    assert [e.model.name for e in board.entries] == ["a", "b"]
    assert sorted(e.model.name for e in board.stale) == ["foreign-0", "foreign-1", "foreign-2"]
    (alone,) = rank_boards(collect(made[2:]))
    assert not alone.ranked


def test_an_interval_over_repeats_ends_where_the_metric_ends() -> None:
    (entry,) = collect([result("los-nlos-umi", "a", value, seed=seed) for seed, value in enumerate((0.99, 0.8, 1.0))])
    assert entry.primary.estimate.bounds()[1] > 1.0
    assert entry.primary.interval is not None
    assert entry.primary.interval.high == 1.0
