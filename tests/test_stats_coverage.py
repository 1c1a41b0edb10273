"""What 95 % intervals cover, by simulation, for scores that are neither means nor ratios: AUROC and percentiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats as sp

from wbench.metric import get_metric
from wbench.stats import group_clusters, jackknife


def auroc_case(rng: Any, clusters: int, size: int) -> Any:
    """Scores in clusters that are easy or hard as a whole; AUROC = Φ(0.8 · √2)."""
    cluster = np.repeat(np.arange(clusters), size)
    label = (rng.random(len(cluster)) < 0.4).astype(int)
    shared, own = rng.normal(size=clusters)[cluster], rng.normal(size=len(cluster))
    margin = (2 * label - 1) * (0.8 + np.sqrt(0.2) * shared) + np.sqrt(0.8) * own
    return cluster, np.column_stack([margin, label])


def true_auroc() -> float:
    # The margin of positives is N(0.8, 1), of negatives N(-0.8, 1); pairs of different clusters are independent.
    return float(sp.norm.cdf(1.6 / np.sqrt(2)))


def position_case(rng: Any, clusters: int, size: int) -> Any:
    """Rayleigh errors whose logarithm has a part in common in each cluster."""
    cluster = np.repeat(np.arange(clusters), size)
    scale = np.exp(0.3 * rng.normal(size=clusters))[cluster]
    return cluster, (scale * rng.rayleigh(size=len(cluster)))[:, None]


def true_position(level: float) -> float:
    u, w = np.polynomial.hermite_e.hermegauss(64)

    def share(x: float) -> float:
        return float(np.sum(w * -np.expm1(-0.5 * (x / np.exp(0.3 * u)) ** 2)) / np.sum(w))

    low, high = 0.0, 20.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if share(middle) < level else (low, middle)
    return low


@pytest.mark.parametrize(
    ("name", "case", "true", "shape", "least"),
    [
        ("auroc", auroc_case, true_auroc(), (40, 8), 0.92),
        ("cdf50_m", position_case, true_position(0.5), (25, 30), 0.90),
        ("cdf90_m", position_case, true_position(0.9), (25, 30), 0.90),
    ],
)
def test_coverage_by_simulation(name: str, case: Any, true: float, shape: tuple[int, int], least: float) -> None:
    metric, runs = get_metric(name), 250
    covered = naive = 0
    for run in range(runs):
        cluster, table = case(np.random.default_rng([11, run]), *shape)
        found = jackknife(metric.reduce, table, group_clusters(cluster, "k"))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= true <= found.high
        if run < 80:
            one = jackknife(metric.reduce, table, np.arange(len(table)) % shape[0])
            assert one.low is not None
            assert one.high is not None
            naive += one.low <= true <= one.high
    # Two standard errors of 250 runs are 3 %.
    assert least <= covered / runs <= 0.99
    assert naive / 80 < covered / runs - 0.03
