"""What a shard's distributions should be: expectations with a tolerance that knows how many samples there are.

An expectation is a range. ``los_share`` is that of the LoS probability; ``NAME_pQQ`` is that of the QQ-th percentile of
a quantity: a scalar float array of the dataset, or ``late_energy``, the share of a sample's energy that arrives after
the cyclic prefix. Ranges are about the population, a shard is a draw from it: it is refused only where a draw so far
outside has a probability below :data:`SIGNIFICANCE`, by the exact binomial test of the number of samples beyond the
range. Nothing is assumed of the distribution. Samples of one site are not independent, so sites are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.errors import SimulationError, SpecError

__all__ = ["DEFAULT", "SIGNIFICANCE", "check_expectations", "describe", "require_known"]

#: Holds for every dataset unless its recipe says otherwise. Three quarters of the samples keep 99 % of their energy
#: within the cyclic prefix; TR 38.901 UMa at 30 kHz, the longest of the shipped recipes, has four fifths.
DEFAULT: Final[Mapping[str, tuple[float, float]]] = {"late_energy_p75": (0.0, 0.01)}
#: One false alarm in a billion tests of a true expectation: less than one shard of the largest dataset.
SIGNIFICANCE: Final = 1e-9

_QUANTILE = re.compile(r"(.+)_p(\d\d)")


def require_known(expect: Mapping[str, tuple[float, float]], quantities: Iterable[str]) -> None:
    """Refuse expectations of what no shard has, before anything is simulated.

    Parameters
    ----------
    expect : mapping of str to (float, float)
        The recipe's table.
    quantities : iterable of str
        Names of the dataset's scalar float arrays.

    Raises
    ------
    SpecError
        An unknown quantity, or an empty range.
    """
    known = {*quantities, "late_energy"}
    for key, (low, high) in expect.items():
        match = _QUANTILE.fullmatch(key)
        if key != "los_share" and (match is None or match[1] not in known):
            why = f"there are los_share and, with _p01 to _p99, {', '.join(sorted(known))}"
            raise SpecError(f"There is no quantity {key!r} to expect.", where="[expect]", why=why)
        if not low <= high:
            raise SpecError(f"The range of {key!r} is empty.", where="[expect]", why=f"[{low}, {high}]")


def check_expectations(
    expect: Mapping[str, tuple[float, float]],
    quantities: Mapping[str, npt.NDArray[Any]],
    los: npt.NDArray[Any] | None,
    site: npt.NDArray[Any] | None,
    where: str,
) -> None:
    """Hold a shard against the default and the recipe's expectations.

    Parameters
    ----------
    expect : mapping of str to (float, float)
        The recipe's ranges; they replace the default of the same name.
    quantities : mapping of str to ndarray [n]
        Values by sample; not finite ones (no path, no LoS) do not count.
    los, site : ndarray [n], optional
        The arrays of that name.
    where : str
        The shard, for the message.

    Raises
    ------
    SimulationError
        Names the quantity, what was expected, and what the shard has.
    """
    for key, (low, high) in {**DEFAULT, **expect}.items():
        match = _QUANTILE.fullmatch(key)
        if match is None:
            if los is None:
                continue
            values, share = (los[los >= 0] == 1).astype(np.float64), None
        elif match[1] in quantities:
            values, share = np.asarray(quantities[match[1]], dtype=np.float64), int(match[2]) / 100
        else:
            continue  # the default, in a dataset without rays or without a 3GPP numerology
        finite = np.isfinite(values)
        values = values[finite]
        if len(values):
            # Where the rows of `los` were cut above, the number of sites is that of all rows: never too few.
            units = len(values) if site is None else min(len(values), len(np.unique(site)))
            _check_range(key, values, share, (low, high), units, where)


def _check_range(
    key: str, values: npt.NDArray[np.float64], share: float | None, span: tuple[float, float], units: int, where: str
) -> None:
    low, high = span
    if share is None:  # a probability
        found, above, below = values.mean(), values.mean(), 1 - values.mean()
        limits = (high, 1 - low)
    else:  # a percentile: at most 1 − share of the samples lie above it, at most share below
        found, above, below = np.quantile(values, share), np.mean(values > high), np.mean(values < low)
        limits = (1 - share, share)
    chance = min(_tail(above, units, limits[0]), _tail(below, units, limits[1]))
    if chance < SIGNIFICANCE:
        raise SimulationError(
            f"{key} is not what the recipe expects.",
            where=where,
            why=f"{found:.4g} instead of {low:.4g} to {high:.4g} in {len(values)} samples; by chance with "
            f"probability {chance:.0e}",
            next_step="correct the generator, or the recipe's [expect] table",
        )


def _tail(share: float, units: int, probability: float) -> float:
    """P(at least share · units of ``units`` independent draws), each true with ``probability``."""
    from scipy.special import betainc

    hits = share * units
    if hits <= 0 or probability >= 1:
        return 1.0
    return float(betainc(hits, units - hits + 1, probability)) if probability > 0 else 0.0


def describe(
    quantities: Mapping[str, npt.NDArray[Any]], los: npt.NDArray[Any] | None, samples: int | None
) -> dict[str, Any]:
    """Statistics of a shard as plain JSON, six significant digits: small, and the same wherever it was made.

    Parameters
    ----------
    quantities : mapping of str to ndarray [n]
        Values by sample.
    los : ndarray [n], optional
        Link states.
    samples : int, optional
        Number of samples, where it is to be stored.

    Returns
    -------
    dict
        ``samples``, ``los_share`` and for each quantity ``{n, min, p10, p50, p90, max, mean}`` of its finite values.
    """
    out: dict[str, Any] = {} if samples is None else {"samples": samples}
    if los is not None and np.any(los >= 0):
        out["los_share"] = _short(np.mean(los[los >= 0] == 1))
    for name, array in sorted(quantities.items()):
        values = np.asarray(array, dtype=np.float64)
        values = values[np.isfinite(values)]
        if len(values):
            low, p10, p50, p90, high = np.quantile(values, [0, 0.1, 0.5, 0.9, 1])
            five = {"min": low, "p10": p10, "p50": p50, "p90": p90, "max": high, "mean": values.mean()}
            out[name] = {"n": len(values), **{key: _short(value) for key, value in five.items()}}
    return out


def _short(value: Any) -> float:
    return float(f"{float(value):.6g}")
