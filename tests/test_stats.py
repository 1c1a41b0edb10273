"""Jackknife, paired comparisons, Holm and ranks against SciPy, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as sp

from wbench.errors import ResultError
from wbench.metric import get_metric
from wbench.stats import (
    Estimate,
    group_clusters,
    holm,
    jackknife,
    paired_difference,
    rank_ranges,
    seed_average,
    seed_spread,
)


def mean(table, weight):
    return float(weight @ table[:, 0] / weight.sum())


def test_groups_are_whole_clusters_and_the_same_for_every_order():
    g = np.random.default_rng(0)
    clusters = g.integers(0, 250, size=3000) * 7 - 3
    groups = group_clusters(clusters, "split")
    assert groups.dtype == np.int64
    assert set(groups) == set(range(100))
    for cluster in np.unique(clusters):
        assert len(set(groups[clusters == cluster])) == 1
    sizes = [len(set(clusters[groups == i])) for i in range(100)]
    assert max(sizes) - min(sizes) <= 1
    order = g.permutation(3000)
    np.testing.assert_array_equal(group_clusters(clusters[order], "split"), groups[order])
    assert np.any(group_clusters(clusters, "other") != groups)


def test_few_clusters_are_their_own_groups():
    groups = group_clusters(["b", "a", "b", "c"], "k")
    assert groups[0] == groups[2]
    assert sorted(set(groups)) == [0, 1, 2]
    with pytest.raises(ResultError):
        group_clusters([1], "k", most=0)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_jackknife_of_a_mean_is_the_t_interval(level):
    x = np.random.default_rng(0).normal(3, 2, size=23)
    result = jackknife(mean, x[:, None], np.arange(23), level)
    expected = sp.ttest_1samp(x, 0).confidence_interval(level)
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high))
    assert result.se == pytest.approx(sp.sem(x))
    assert result.groups == 23
    assert result.effective_groups == pytest.approx(23)
    assert result.interval is not None
    assert result.interval.level == level


def test_replicates_leave_one_group_out_and_weights_count():
    g = np.random.default_rng(1)
    table, groups, weight = g.normal(size=(60, 1)), g.integers(0, 7, size=60), g.exponential(size=60)
    result = jackknife(mean, table, groups, weight=weight)
    for group, replicate in enumerate(result.replicates):
        kept = groups != group
        assert replicate == pytest.approx(np.average(table[kept, 0], weights=weight[kept]))
    mass = np.bincount(groups, weight)
    assert result.effective_groups == pytest.approx(mass.sum() ** 2 / np.sum(mass**2))


def test_a_slice_counts_only_its_groups():
    table, groups = np.random.default_rng(0).normal(size=(60, 1)), np.arange(60) % 10
    inside = groups < 6
    whole = jackknife(mean, table, groups, weight=inside.astype(float))
    cut = jackknife(mean, table[inside], groups[inside])
    assert whole.groups == 6
    assert whole.replicates == pytest.approx(cut.replicates)
    assert (whole.low, whole.high) == pytest.approx((cut.low, cut.high))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_no_interval_below_five_groups(count):
    result = jackknife(mean, np.arange(20.0)[:, None], np.arange(20) % count)
    assert (result.se, result.low, result.high, result.interval) == (None, None, None, None)
    assert len(result.replicates) == (count if count > 1 else 0)
    assert "5 needed" in result.reason
    assert jackknife(mean, np.arange(20.0)[:, None], np.arange(20) % 5).interval is not None


def test_a_score_that_hangs_on_one_group_has_no_interval():
    metric = get_metric("auroc")
    table = np.column_stack([np.arange(40.0), np.arange(40) < 4])  # all positives in group 0
    result = jackknife(metric.reduce, table, np.arange(40) // 4)
    assert result.value == 0
    assert result.replicates == ()
    assert result.interval is None
    assert "without group 0" in result.reason
    with pytest.raises(ResultError):
        jackknife(metric.reduce, table, np.arange(40) // 4, weight=np.zeros(40))
    with pytest.raises(ResultError, match="one group and one weight"):
        jackknife(metric.reduce, table, np.arange(39))


def clusters_of(rng, count, size):
    cluster = np.repeat(np.arange(count), size)
    return cluster, rng.normal(size=count)[cluster], rng.normal(size=count * size)


def ratio_case(rng):
    """NMSE with a cluster effect on power and on error; E[error]/E[reference] = 0.1."""
    cluster, shared, own = clusters_of(rng, 40, 8)
    reference = rng.gamma(4, size=40)[cluster] * rng.gamma(4, size=len(cluster))
    return cluster, np.column_stack([0.1 * reference * (1 + 0.2 * shared + 0.3 * own) ** 2 / 1.13, reference])


def f1_case(rng):
    """Detection in clusters that are easy or hard as a whole; P(correct) = Φ(0.8) for either class."""
    cluster, shared, own = clusters_of(rng, 40, 8)
    label = (rng.random(len(cluster)) < 0.4).astype(int)
    margin = (2 * label - 1) * (0.8 + np.sqrt(0.2) * shared + np.sqrt(0.8) * own)
    return cluster, np.column_stack([np.eye(2)[(margin > 0).astype(int)], label])


def true_f1():
    prevalence, correct = 0.4, sp.norm.cdf(0.8)
    tp, tn = prevalence * correct, (1 - prevalence) * correct
    return 0.5 * (2 * tp / (2 * tp + 1 - correct) + 2 * tn / (2 * tn + 1 - correct))


@pytest.mark.parametrize(
    ("name", "case", "true"), [("nmse_ros_db", ratio_case, -10.0), ("f1_macro", f1_case, true_f1())]
)
def test_coverage_of_the_interval_by_simulation(name, case, true):
    """95 % intervals cover 93–97 %, where intervals that take samples for independent cover far less."""
    metric, runs = get_metric(name), 1000
    covered = naive = 0
    for run in range(runs):
        cluster, table = case(np.random.default_rng([7, run]))
        result = jackknife(metric.reduce, table, group_clusters(cluster, "k"))
        covered += result.low <= true <= result.high
        if run < 100:
            one = jackknife(metric.reduce, table, np.arange(len(table)) % 100)
            naive += one.low <= true <= one.high
    assert 0.93 <= covered / runs <= 0.97
    assert naive / 100 < 0.9


def test_paired_difference_of_means_is_the_paired_t_test():
    g = np.random.default_rng(0)
    shared = g.normal(size=30)
    a, b = shared + 0.1 * g.normal(size=30) + 0.05, shared + 0.1 * g.normal(size=30)
    result = paired_difference(*(jackknife(mean, x[:, None], np.arange(30)) for x in (a, b)))
    test = sp.ttest_rel(a, b)
    interval = test.confidence_interval()
    assert result.p_value == pytest.approx(test.pvalue)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))
    assert result.difference == pytest.approx(np.mean(a - b))


def test_paired_difference_edges():
    same = Estimate(0.5, (0.4, 0.5, 0.6, 0.5, 0.5))
    assert paired_difference(same, same).p_value == 1.0
    shifted = Estimate(0.75, tuple(r + 0.25 for r in same.replicates))
    assert paired_difference(same, shifted).p_value < 1e-12
    few = paired_difference(Estimate(1.0, (1.0, 2.0)), Estimate(0.0, (0.0, 1.0)))
    assert (few.difference, few.low, few.p_value) == (1.0, None, None)
    assert paired_difference(same, Estimate(0.0, ())).p_value is None
    with pytest.raises(ResultError, match="same groups"):
        paired_difference(same, Estimate(0.0, (0.0,) * 6))


def test_holm_by_hand_and_by_closed_testing():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    # Holm is closed testing with Bonferroni: adjusted p of i = max over all subsets with i of min(1, |S| min p).
    g = np.random.default_rng(0)
    for _ in range(50):
        p = g.random(5) ** 3
        closed = np.zeros(5)
        for code in range(1, 32):
            subset = [i for i in range(5) if code >> i & 1]
            closed[subset] = np.maximum(closed[subset], min(1.0, len(subset) * p[subset].min()))
        assert holm(p) == pytest.approx(closed)
    with pytest.raises(ResultError):
        holm([0.5, np.nan])


def test_rank_ranges():
    g = np.random.default_rng(0)
    shared = g.normal(size=40)
    samples = {
        "far": shared + 5,
        "near a": shared + 0.1 * g.normal(size=40),
        "near b": shared + 0.1 * g.normal(size=40),
    }
    samples["low"] = shared - 5 + 0.1 * g.normal(size=40)
    scores = {name: jackknife(mean, x[:, None], np.arange(40)) for name, x in samples.items()}
    ranks = {name: (r.best, r.worst) for name, r in rank_ranges(scores, True).items()}
    assert ranks == {"far": (1, 1), "near a": (2, 3), "near b": (2, 3), "low": (4, 4)}
    ranks = {name: (r.best, r.worst) for name, r in rank_ranges(scores, False).items()}
    assert ranks == {"far": (4, 4), "near a": (2, 3), "near b": (2, 3), "low": (1, 1)}
    # Who has no replicates is told apart from nobody.
    scores["new"] = Estimate(100.0, ())
    ranks = rank_ranges(scores, True)
    assert (ranks["new"].best, ranks["new"].worst) == (1, 5)
    assert (ranks["far"].best, ranks["far"].worst) == (1, 2)
    assert rank_ranges({}, True) == {}


def test_rank_ranges_keep_the_familywise_error():
    """Eight equal models: some are told apart in about 5 % of the runs, not in 28 pairs × 5 %."""
    g = np.random.default_rng(0)
    wrong = 0
    for _ in range(150):
        scores = {str(i): jackknife(mean, g.normal(size=(20, 1)), np.arange(20)) for i in range(8)}
        wrong += any(r.best > 1 for r in rank_ranges(scores, True).values())
    assert wrong / 150 < 0.1


def test_seed_average_and_spread():
    g = np.random.default_rng(0)
    seeds = [jackknife(mean, g.normal(size=(30, 1)), np.arange(30)) for _ in range(4)]
    values = [s.value for s in seeds]
    average = seed_average(seeds)
    assert average.value == pytest.approx(np.mean(values))
    assert average.replicates == pytest.approx(np.mean([s.replicates for s in seeds], axis=0))
    cluster = seed_average(seeds[:1]).se
    assert cluster == pytest.approx(seeds[0].se)
    se = Estimate(average.value, average.replicates).se
    assert average.se == pytest.approx(seed_spread(se, values))
    assert average.se == pytest.approx(np.hypot(se, sp.sem(values)))
    low, high = average.bounds()
    assert high - low == pytest.approx(2 * sp.t.ppf(0.975, 29) * average.se)
    assert paired_difference(average, seeds[0]).se > paired_difference(Estimate(0.0, average.replicates), seeds[0]).se


def test_seed_average_edges():
    with pytest.raises(ResultError, match="no seed"):
        seed_average([])
    with pytest.raises(ResultError, match="same groups"):
        seed_average([Estimate(0.0, (0.0,) * 6), Estimate(0.0, (0.0,) * 7)])
    bare = seed_average([Estimate(0.0, ()), Estimate(1.0, (0.0,) * 7)])
    assert (bare.value, bare.replicates, bare.se, bare.bounds()) == (0.5, (), None, None)
    with pytest.raises(ResultError, match="two seeds"):
        seed_spread(0.1, [0.5])


def test_seeds_of_one_draw_are_not_further_draws() -> None:
    """Three seeds that agree on each of two draws say nothing more of what another draw would give."""
    scores = [Estimate(value, ()) for value in (0.2, 0.2, 0.2, 0.6)]
    nested = seed_average(scores, [0, 0, 0, 1])
    assert nested.value == pytest.approx(0.4)
    assert nested.seed_variance == pytest.approx(0.08 / 2)
    assert seed_average(scores, [0, 0, 0, 0]) == seed_average(scores)
    assert seed_average(scores, [0, 1, 2, 3]) == seed_average(scores)
