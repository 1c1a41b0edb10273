"""Closed forms of 3GPP TR 38.901 V19.2 that datasets are held against: LoS probability, delay spread, K factor.

They are references, not a simulator: what a link-level drop should look like on average. Scenario names are those of
the recipes: ``umi``, ``uma``, ``rma``, ``inh-open``, ``inh-mixed``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from wbench.errors import UnknownNameError

__all__ = ["SCENARIOS", "Normal", "delay_spread_lg", "k_factor_db", "los_probability"]

F64 = npt.NDArray[np.float64]

SCENARIOS: Final = ("umi", "uma", "rma", "inh-open", "inh-mixed")


@dataclass(frozen=True)
class Normal:
    """A normal distribution, of a decibel value or of a decadic logarithm.

    Attributes
    ----------
    mean, deviation : float
        μ and σ.
    """

    mean: float
    deviation: float

    def cdf(self, value: npt.ArrayLike) -> F64:
        """Probability of at most ``value``: float64, shape of ``value``."""
        scaled = (np.asarray(value, dtype=np.float64) - self.mean) / (self.deviation * math.sqrt(2.0))
        return np.asarray(0.5 * (1.0 + np.vectorize(math.erf, otypes=[np.float64])(scaled)))


def los_probability(scenario: str, distance_2d: npt.ArrayLike, ue_height: float = 1.5) -> F64:
    """LoS probability of an outdoor user (InH: indoor), TR 38.901 Table 7.4.2-1.

    Parameters
    ----------
    scenario : str
        One of :data:`SCENARIOS`.
    distance_2d : array_like of float
        Horizontal distance in m.
    ue_height : float
        Height of the UE in m; it matters in UMa above 13 m only.

    Returns
    -------
    float64 ndarray, shape of ``distance_2d``

    Raises
    ------
    UnknownNameError
        There is no such scenario.
    """
    _known(scenario)
    d = np.maximum(np.asarray(distance_2d, dtype=np.float64), 1e-3)
    if scenario == "umi":
        return np.where(d <= 18, 1.0, 18 / d + np.exp(-d / 36) * (1 - 18 / d))
    if scenario == "uma":
        height = max(0.0, (ue_height - 13) / 10) ** 1.5
        high = 1 + height * 1.25 * (d / 100) ** 3 * np.exp(-d / 150)
        return np.where(d <= 18, 1.0, (18 / d + np.exp(-d / 63) * (1 - 18 / d)) * high)
    if scenario == "rma":
        return np.where(d <= 10, 1.0, np.exp(-(d - 10) / 1000))
    if scenario == "inh-open":
        return _two_slopes(d, (5.0, 70.8), (49.0, 211.7), 0.54)
    # Here 6.5 m itself belongs to the far slope; in the open office 49 m belongs to the near one.
    return np.where(d == 6.5, 0.32, _two_slopes(d, (1.2, 4.7), (6.5, 32.6), 0.32))


def _two_slopes(d: F64, near: tuple[float, float], far: tuple[float, float], share: float) -> F64:
    """Indoor offices: certain up to the first break, then two exponential slopes of (start, decay) in m."""
    first, second = np.exp(-(d - near[0]) / near[1]), share * np.exp(-(d - far[0]) / far[1])
    return np.where(d <= near[0], 1.0, np.where(d <= far[0], first, second))


def delay_spread_lg(scenario: str, carrier_hz: float, los: bool) -> Normal:
    """Distribution of lg(DS / 1 s), the large-scale parameter of Table 7.5-6.

    Parameters
    ----------
    scenario : str
        One of :data:`SCENARIOS`.
    carrier_hz : float
        Carrier in Hz. Below 2 GHz (UMi) and 6 GHz (UMa, InH) the table asks for the values of those frequencies.
    los : bool
        Link state.

    Returns
    -------
    Normal
        Of the decadic logarithm of the delay spread in seconds.

    Raises
    ------
    UnknownNameError
        There is no such scenario.

    Notes
    -----
    The spread of the rays that are drawn from it scatters around it: a few clusters of random power follow.
    """
    _known(scenario)
    f = max(carrier_hz / 1e9, {"umi": 2.0, "uma": 6.0, "rma": 0.0}.get(scenario, 6.0))
    lg, lg1 = math.log10(f), math.log10(1.0 + f)
    if scenario == "umi":
        return Normal(-0.18 * lg1 - 7.28, 0.39) if los else Normal(-0.22 * lg1 - 6.87, 0.19 * lg1 + 0.22)
    if scenario == "uma":
        return Normal(-0.0794 * lg - 7.067, 0.026 * lg + 0.57) if los else Normal(-0.134 * lg - 6.47, 0.39)
    if scenario == "rma":
        return Normal(-7.49, 0.55) if los else Normal(-7.43, 0.48)
    return Normal(-0.01 * lg1 - 7.692, 0.18) if los else Normal(-0.28 * lg1 - 7.173, 0.10 * lg1 + 0.055)


def k_factor_db(scenario: str) -> Normal:
    """Distribution of the Ricean K factor of a LoS link in dB, Table 7.5-6.

    Raises
    ------
    UnknownNameError
        There is no such scenario.
    """
    _known(scenario)
    table = {"umi": (9.0, 5.0), "uma": (9.0, 3.5)}
    return Normal(*table.get(scenario, (7.0, 4.0)))


def _known(scenario: str) -> None:
    if scenario not in SCENARIOS:
        raise UnknownNameError("scenario of TR 38.901", scenario, SCENARIOS)
