"""How far ranges and angles are off, learned from training users: first paths are late, or come round corners."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wbench_baselines.position.links import Links, expected

__all__ = ["LinkErrors"]

F64 = npt.NDArray[np.float64]
#: Median absolute deviation to standard deviation of a normal distribution.
NORMAL = 1.4826
BINS = 16
LEAST_PER_BIN = 20
#: Least spreads: below them the first path's own estimate (a tenth of a tap, a hundredth of a beam) is what is off.
LEAST_RANGE_M = 0.3
LEAST_COSINE = 0.005


@dataclass(frozen=True, slots=True)
class LinkErrors:
    """Bias and spread of a link's range, and spread of its axis cosine, by its loss beyond free space.

    Attributes
    ----------
    excess_db : float64 ndarray [m]
        Knots: median excess loss of a bin of training links. Between knots everything is interpolated.
    bias_m : float64 ndarray [m]
        Median range error.
    early_m, late_m : float64 ndarray [m]
        Spread of the ranges below and above that median, from the 16 % and 84 % quantiles: a first path can be late by
        any detour, but early by the clock only.
    spread_cosine : float64 ndarray [m]
        Scaled median absolute deviation of the cosine (Huber, Robust Statistics, 1981).
    """

    excess_db: F64
    bias_m: F64
    early_m: F64
    late_m: F64
    spread_cosine: F64

    @classmethod
    def learn(cls, links: Links, place: F64) -> LinkErrors:
        """Learn from training users at ``place``, float64 [n, 2] in m.

        Bins hold equal numbers of links, at least 20 where there are as many.
        """
        distance, cosine = expected(place[:, None], links.station, links.bearing)
        late = (links.range_m - distance)[links.heard]
        turned = (links.cosine - cosine)[links.heard]
        excess = links.excess_db[links.heard]
        order = np.argsort(excess, kind="stable")
        bins = np.array_split(order, int(np.clip(len(order) // LEAST_PER_BIN, 1, BINS)))
        bias = np.array([np.median(late[rows]) for rows in bins])
        low, high = (np.array([np.quantile(late[rows], share) for rows in bins]) for share in (0.1587, 0.8413))
        spread_cosine = [NORMAL * np.median(np.abs(turned[rows])) for rows in bins]
        return cls(
            np.array([np.median(excess[rows]) for rows in bins]),
            bias,
            np.maximum(bias - low, LEAST_RANGE_M),
            np.maximum(high - bias, LEAST_RANGE_M),
            np.maximum(spread_cosine, LEAST_COSINE),
        )

    def of(self, links: Links) -> tuple[F64, F64, F64, F64]:
        """Bias, early and late spread in m and spread of the cosine for each link: float64 [n, b] each."""
        bias, early, late, cosine = (
            np.interp(links.excess_db, self.excess_db, values)
            for values in (self.bias_m, self.early_m, self.late_m, self.spread_cosine)
        )
        return bias, early, late, cosine
