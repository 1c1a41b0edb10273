"""The LMMSE estimator that is told each sample's own statistics: a bound for tables, not a model that can be ranked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.task.batch import Batch, Truth
from wbench_baselines.estimation.common import noise_powers, pilots
from wbench_baselines.estimation.kronecker import estimate, grams, of_grams

__all__ = ["genie_lmmse"]


def genie_lmmse(batch: Batch, truth: Truth, *, space: bool = True) -> npt.NDArray[np.complex64]:
    """LMMSE with the time, space and frequency covariance of each sample's own clean channel.

    No estimator can know them: it has no registry name, and no result of it can be ranked. A sample's own average over
    one slot also holds something of its realisation, so this is more than the statistics of an ensemble would give.

    Parameters
    ----------
    batch : Batch
        Observations of a channel-estimation task.
    truth : dict
        Its targets, ``H`` complex64 [n, time, rx, tx, subcarrier].
    space : bool
        Whether the spatial covariance is known as well; otherwise antennas are estimated one by one.

    Returns
    -------
    complex64 ndarray [n, time, rx, tx, subcarrier]
    """
    grid, y = pilots(batch, "genie")
    known = of_grams(*grams(truth["H"])).shrunk(0.0, 0.0 if space else 1.0)
    found = estimate(known, grid, y, noise_powers(batch))
    return found.astype(np.complex64).reshape(len(batch), *batch.meta.shape)
