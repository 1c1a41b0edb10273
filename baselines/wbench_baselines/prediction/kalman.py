"""Kalman prediction with an autoregressive state, collapsed to one matrix per class of motion and noise power."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from wbench.model import ModelInfo
from wbench_baselines.prediction.bank import WienerBank
from wbench_baselines.prediction.common import Steps
from wbench_baselines.prediction.wiener import Complex, Design

__all__ = ["KalmanBank", "kalman_filters", "yule_walker"]

#: Loading of the Yule-Walker equations: a clean Doppler spectrum has no energy outside of its band.
LOADING = 1e-6


def yule_walker(correlation: Complex, order: int) -> tuple[Complex, float]:
    """Autoregressive model of a correlation sequence.

    Parameters
    ----------
    correlation : complex128 ndarray [lags]
        r[l] = E[h_{t+l} h_t*] for l = 0 … at least ``order``.
    order : int
        Order p.

    Returns
    -------
    a : complex128 ndarray [p]
        Coefficients of h_t = Σ_i a_i h_{t-i} + w_t.
    variance : float
        Of the innovation w.

    Notes
    -----
    The diagonal is loaded as in K. E. Baddour and N. C. Beaulieu, IEEE Trans. Wireless Commun. 4(4), 2005, section II.
    """
    loaded = correlation[: order + 1].astype(np.complex128)
    loaded[0] *= 1 + LOADING
    lags = np.subtract.outer(np.arange(order), np.arange(order))
    matrix = np.where(lags >= 0, loaded[np.abs(lags)], loaded[np.abs(lags)].conj())
    a = np.linalg.solve(matrix, loaded[1:])
    return np.asarray(a, dtype=np.complex128), float(max((loaded[0] - np.sum(a * loaded[1:].conj())).real, 0.0))


def kalman_filters(covariance: Complex, at: Steps, noise: npt.NDArray[np.float64], order: int) -> Complex:
    """What a Kalman filter does to the seen steps on its way to the open ones, as one matrix per noise power.

    Gains do not depend on data, and the model is common to all elements of a class: so the Riccati recursion runs once,
    and predicting costs no more than with a Wiener filter. An open step is predicted from the seen ones *before* it.

    Parameters
    ----------
    covariance : complex128 ndarray [time, time]
        E[h h^H] of the clean channel; averaged along its diagonals to the correlation of a stationary process.
    at : Steps
        Seen and open steps.
    noise : float64 ndarray [u]
        Noise variances of the seen steps.
    order : int
        Order p of the autoregressive model.

    Returns
    -------
    complex128 ndarray [u, open, seen]
        Filters W of x̂ = W y.

    Notes
    -----
    B. D. O. Anderson and J. B. Moore, Optimal Filtering, 1979, section 3.1, with the state (h_t, …, h_{t-p+1}).
    """
    size = len(covariance)
    p = max(1, min(order, size - 1))
    r = np.array([np.trace(covariance, -lag) / (size - lag) for lag in range(p + 1)])
    a, variance = yule_walker(r, p)
    step = np.eye(p, k=-1, dtype=np.complex128)
    step[0] = a
    lags = np.subtract.outer(np.arange(p), np.arange(p))
    # The state holds the newest value first: E[h_{t-i} h_{t-j}*] = r[j - i].
    start = np.where(lags <= 0, r[np.abs(lags)], r[np.abs(lags)].conj())
    seen, opened = ({int(t): i for i, t in enumerate(part)} for part in (at.seen, at.open))
    out = np.zeros((len(noise), len(at.open), len(at.seen)), dtype=np.complex128)
    spread: Complex = np.broadcast_to(start, (len(noise), p, p)).copy()
    weight: Complex = np.zeros((len(noise), p, len(at.seen)), dtype=np.complex128)  # state estimate = weight @ y
    for t in range(int(max(at.seen.max(), at.open.max(initial=0))) + 1):
        if t:
            weight = step @ weight
            spread = step @ spread @ step.conj().T
            spread[:, 0, 0] += variance
        if t in opened:
            out[:, opened[t]] = weight[:, 0]
        if t in seen:
            gain = spread[:, :, 0] / (spread[:, 0, 0].real + noise + LOADING * r[0].real)[:, None]
            weight = weight - gain[:, :, None] * weight[:, None, 0]
            weight[:, :, seen[t]] += gain
            spread = spread - gain[:, :, None] * spread[:, None, 0]
            spread = (spread + spread.conj().swapaxes(1, 2)) / 2
    return out


class KalmanBank(WienerBank):
    """Kalman predictors with autoregressive states, for the classes of motion of the Wiener bank.

    Mean Doppler shift, classes and covariances are those of :class:`~wbench_baselines.prediction.bank.WienerBank`. The
    difference is the model: a stationary autoregression fitted to the covariance, instead of the covariance itself. Its
    order and the number of classes are chosen on validation by NMSE, 24 combinations.
    """

    info = ModelInfo(
        name="wbench/kalman",
        revision="1",
        kind="classical",
        summary="Kalman predictors with autoregressive states by temporal correlation, mean Doppler removed",
        source="Anderson and Moore 1979, section 3.1; Yule-Walker: Baddour and Beaulieu, IEEE TWC 4(4), 2005",
        licence="Apache-2.0",
        trains=True,
    )
    options: ClassVar[tuple[int, ...]] = (2, 4, 8, 15)
    option_name: ClassVar[str] = "order"

    def design(self, option: int) -> Design:
        """Filters of a class from its covariance with the autoregressive order ``option``."""
        return partial(kalman_filters, order=option)
