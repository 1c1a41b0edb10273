"""Intervals, comparisons and ranks: one delete-a-group jackknife for every metric.

Samples of one cluster (a site, a drop, a scene) are alike, so clusters are the independent units, not samples. They
are dealt to at most 100 groups, the same for every model; leaving one group out at a time gives *replicates* of the
score. The spread of the replicates is the standard error of any smooth score (ratio of sums, F1, AUROC), and the
spread of their differences that of a paired comparison.

Sources: Quenouille, Biometrika 1956; Shao and Tu, The Jackknife and Bootstrap, 1995, section 2.3; Holm, Scand. J.
Statist. 1979.
"""

from __future__ import annotations

from wbench.stats.compare import PairedDifference, RankRange, holm, paired_difference, rank_ranges
from wbench.stats.jackknife import MIN_GROUPS, JackknifeResult, group_clusters, jackknife
from wbench.stats.seeds import Estimate, Replicated, seed_average, seed_spread

__all__ = [
    "MIN_GROUPS",
    "Estimate",
    "JackknifeResult",
    "PairedDifference",
    "RankRange",
    "Replicated",
    "group_clusters",
    "holm",
    "jackknife",
    "paired_difference",
    "rank_ranges",
    "seed_average",
    "seed_spread",
]
