"""How often a 95 % interval covers the truth: a jackknife over clusters, and one over samples taken as independent.

    python benchmarks/coverage.py --runs 400

Simulated clusters with a part in common, where the true score is known in closed form. Writes the table of
``docs/statistics.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from wbench.metric import get_metric
from wbench.stats import group_clusters, jackknife

PAGE = Path(__file__).resolve().parent.parent / "docs" / "statistics.md"
BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"

Case = Callable[[np.random.Generator, int, int], tuple[Any, Any]]


def auroc_case(rng: np.random.Generator, clusters: int, size: int) -> tuple[Any, Any]:
    """Labels and scores; whole clusters are easy or hard. AUROC = Φ(0.8 √2)."""
    cluster = np.repeat(np.arange(clusters), size)
    label = (rng.random(len(cluster)) < 0.4).astype(int)
    margin = 0.8 + np.sqrt(0.2) * rng.normal(size=clusters)[cluster]
    return cluster, np.column_stack([(2 * label - 1) * margin + np.sqrt(0.8) * rng.normal(size=len(cluster)), label])


def ratio_case(rng: np.random.Generator, clusters: int, size: int) -> tuple[Any, Any]:
    """Error and power of each sample; errors of a cluster share a factor whose mean is 1. Ratio of sums = 0.1."""
    cluster = np.repeat(np.arange(clusters), size)
    factor = np.exp(0.6 * rng.normal(size=clusters) - 0.18)[cluster]
    power = rng.gamma(4.0, 0.25, size=len(cluster))
    return cluster, np.column_stack([0.1 * factor * power * rng.gamma(4.0, 0.25, size=len(cluster)), power])


def position_case(rng: np.random.Generator, clusters: int, size: int) -> tuple[Any, Any]:
    """Rayleigh errors whose logarithm has a part in common in a cluster; percentiles by quadrature."""
    cluster = np.repeat(np.arange(clusters), size)
    scale = np.exp(0.3 * rng.normal(size=clusters))[cluster]
    return cluster, (scale * rng.rayleigh(size=len(cluster)))[:, None]


def true_percentile(level: float) -> float:
    """Percentile of :func:`position_case`, by Gauss–Hermite quadrature and bisection."""
    u, w = np.polynomial.hermite_e.hermegauss(64)
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        share = np.sum(w * -np.expm1(-0.5 * (middle / np.exp(0.3 * u)) ** 2)) / np.sum(w)
        low, high = (middle, high) if share < level else (low, middle)
    return low


CASES: tuple[tuple[str, str, Case, float, int, int], ...] = (
    ("NMSE, ratio of sums", "nmse_ros_db", ratio_case, -10.0, 30, 40),
    ("AUROC", "auroc", auroc_case, float(norm.cdf(0.8 * np.sqrt(2))), 40, 40),
    ("median error", "cdf50_m", position_case, true_percentile(0.5), 25, 40),
    ("90th percentile of the error", "cdf90_m", position_case, true_percentile(0.9), 25, 40),
)


def main() -> None:
    """Simulate, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    runs = parser.parse_args().runs
    lines = [
        f"{runs} simulated datasets each; one standard error of a share is {50 / np.sqrt(runs):.1f} points at most.",
        "",
        "| score | clusters × samples | over clusters | samples taken as independent |",
        "|---|--:|--:|--:|",
    ]
    for title, name, case, true, clusters, size in CASES:
        metric = get_metric(name)
        hit = np.zeros(2)
        for run in range(runs):
            cluster, table = case(np.random.default_rng([17, run]), clusters, size)
            # Dealing single samples to as many groups is what ignoring the clusters means.
            for i, group in enumerate((group_clusters(cluster, "k"), np.arange(len(table)) % clusters)):
                found = jackknife(metric.reduce, table, group)
                hit[i] += found.low is not None and found.high is not None and found.low <= true <= found.high
        lines.append(f"| {title} | {clusters} × {size} | {hit[0] / runs:.1%} | {hit[1] / runs:.1%} |")
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
