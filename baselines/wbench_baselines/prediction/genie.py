"""Wiener prediction with the true speed: a yardstick for the others, not a model, since no model is told the speed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.task.batch import Batch
from wbench_baselines.prediction.common import filled, noise_powers, snapshots, steps

__all__ = ["genie_wiener"]

SPEED_OF_LIGHT = 299_792_458.0


def genie_wiener(batch: Batch, speed: npt.NDArray[np.float64]) -> npt.NDArray[np.complex64]:
    """Wiener prediction over time under Clarke's correlation J0(2π f_d τ) at the true speed.

    The protocol withholds the speed, so this cannot run as a model and is never ranked; benchmarks call it with the
    speeds of the dataset. It is a genie for the speed only: where scattering is not isotropic J0 is the wrong
    correlation, and a predictor that learns the right one may win.

    Parameters
    ----------
    batch : Batch
        Observations of a task over time.
    speed : float64 ndarray [n]
        Speed of each user in m/s.

    Returns
    -------
    complex64 ndarray [n, *shape]
        Seen snapshots as they came, open ones predicted.

    Notes
    -----
    R. H. Clarke, Bell Syst. Tech. J. 47(6), 1968; LMMSE: S. M. Kay, Estimation Theory, 1993, theorem 12.1.
    """
    from scipy.special import j0

    at = steps(batch, "the J0-Wiener genie")
    y = snapshots(batch.x["H"], at.seen, at.axis)
    doppler = speed * batch.meta.carrier_hz / SPEED_OF_LIGHT * batch.meta.time_step_s
    every = np.concatenate([at.seen, at.open])
    lags = np.abs(np.subtract.outer(every, at.seen))
    correlation = j0(2 * np.pi * doppler[:, None, None] * lags)
    # Unit rms over the seen part, so the correlation is the covariance; the tiny term is against standing users.
    loading = (noise_powers(batch) + 1e-10)[:, None, None] * np.eye(len(at.seen))
    right = correlation[:, len(at.seen) :].swapaxes(1, 2)
    weight = np.linalg.solve(correlation[:, : len(at.seen)] + loading, right).swapaxes(1, 2)
    return filled(batch, at, weight @ y)
