"""A bank of Wiener predictors: one for each degree of temporal correlation, after the mean Doppler shift is removed.

Over frequency the same code removes the mean delay, and the classes are those of delay spread.
"""

from __future__ import annotations

from itertools import product
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec
from wbench.tuning import Search, nmse_db
from wbench_baselines.prediction.common import (
    Steps,
    evenly_spaced,
    filled,
    noise_powers,
    only_prediction,
    snapshots,
    steps,
)
from wbench_baselines.prediction.wiener import Complex, Design, apply_filters, filters, gram

__all__ = ["Motion", "WienerBank", "motion"]

#: Sizes that validation chooses from. Powers of 2, so that the quantiles of a smaller bank are among the larger's.
BANKS = (1, 2, 4, 8, 16, 32)

#: Fewest training samples of a predictor.
FEWEST = 8

Floats = npt.NDArray[np.float64]


class Motion(NamedTuple):
    """What a sample's own observation tells of its motion.

    Attributes
    ----------
    shift : float64 ndarray [n]
        Mean Doppler shift in rad per snapshot.
    correlation : float64 ndarray [n]
        Magnitude of the temporal correlation, 0 … 1, averaged over the lags up to half the observation: the wider the
        Doppler spread, the smaller.
    """

    shift: Floats
    correlation: Floats


def motion(y: Complex, noise: Floats) -> Motion:
    """Estimate mean Doppler shift and temporal correlation, pooled over all elements.

    The shift is the phase of the correlation at lag 1 (the pulse-pair estimator of Miller and Rochwarger, IEEE Trans.
    Inf. Theory 18(5), 1972). White noise adds to lag 0 only, from where its power is taken off.

    Parameters
    ----------
    y : complex128 ndarray [n, seen, elements]
        Noisy snapshots, evenly spaced in time.
    noise : float64 ndarray [n]
        Noise power of each sample.
    """
    n, seen, _ = y.shape
    if seen < 2:
        return Motion(np.zeros(n), np.ones(n))
    lags = range(1, max(seen // 2, 1) + 1)
    # Rows are summed one by one, over contiguous memory: the sum is the same in whatever batch a sample comes.
    correlation = np.stack(
        [(y[:, lag:] * y[:, : seen - lag].conj()).reshape(n, -1).mean(axis=1) for lag in lags], axis=1
    )
    power = (np.abs(y) ** 2).reshape(n, -1).mean(axis=1)
    clean = np.maximum(power - noise, 1e-3 * np.maximum(power, np.finfo(np.float64).tiny))
    return Motion(np.angle(correlation[:, 0]), np.minimum(np.abs(correlation) / clean[:, None], 1.0).mean(axis=1))


def turn(channel: Complex, shift: Floats, at: npt.NDArray[np.int64], back: bool = False) -> Complex:
    """Take a Doppler shift off snapshots ``at`` (or put it back on): [n, at, elements] → same shape."""
    phase = np.exp((1j if back else -1j) * shift[:, None] * at)
    turned: Complex = channel * phase[:, :, None]
    return turned


class WienerBank(Predictor):
    """Wiener predictors for classes of motion, each fitted to the training samples of its class.

    For every sample the mean Doppler shift is estimated from its own observation and taken off, so that what is left is
    the Doppler *spread*; the strength of its temporal correlation then picks one of the bank's predictors, and the
    shift is put back on the answer. The classes are quantiles of that correlation over the training part, and the
    covariance of a class is taken from clean targets, turned by the shifts as *estimated*, so that estimation errors
    count as spread. The number of predictors, 1 … 32, is chosen on validation by NMSE. No speed, position or scenario
    is used.
    """

    info = ModelInfo(
        name="wbench/wiener",
        revision="1",
        kind="classical",
        summary="Bank of Wiener predictors by temporal correlation, mean Doppler removed",
        source="LMMSE: Kay 1993, theorem 12.1; Doppler: Miller and Rochwarger, IEEE Trans. Inf. Theory 18(5), 1972",
        licence="Apache-2.0",
        trains=True,
    )

    #: What validation chooses from beside the size.
    options: ClassVar[tuple[int, ...]] = (0,)
    option_name: ClassVar[str] = ""

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel prediction, over time or frequency."""
        return only_prediction(spec)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Sum covariances of 32 fine classes; merge them to the bank that predicts ``val`` best.

        Raises
        ------
        ModelError
            The training part is empty, or the snapshots are not evenly spaced.
        """
        moved = [self._motion(batch)[2] for batch, _ in train.batches()]
        if not moved:
            raise ModelError("The training part is empty.", where=self.info.name)
        key = np.concatenate([m.correlation for m in moved])
        finest = np.quantile(key, np.arange(1, BANKS[-1]) / BANKS[-1])
        sums, elements, counts = self._sums(train, moved, finest)
        search = Search(self.info.name, "nmse_ros_db")
        for size, option in product(BANKS, self.options):
            merge = BANKS[-1] // size
            count = counts.reshape(size, merge).sum(axis=1)
            if size > 1 and count.min() < FEWEST:
                break
            covariances = sums.reshape(size, merge, *sums.shape[1:]).sum(axis=1) / (count * elements)[:, None, None]
            bank = (finest[merge - 1 :: merge][: size - 1], covariances, option)
            # Without validation samples the largest bank is taken that has enough training samples in every class.
            score = self._error(val, *bank) if len(val) else -float(size)
            if search.add(score, {"predictors": size} | ({self.option_name: option} if self.option_name else {})):
                self.edges, self.covariances, self.option = bank
        self.searches = (search,) if len(val) else ()

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Seen snapshots (or subcarriers) as they came, open ones predicted: complex64 [n, *shape]."""
        return filled(batch, *self._predict(batch, self.edges, self.covariances, self.option))

    def design(self, option: int) -> Design:
        """How the filters of a class come from its covariance: here the optimal ones, without options."""
        return filters

    def _motion(self, batch: Batch) -> tuple[Steps, Complex, Motion]:
        at = steps(batch, self.info.name)
        stride = evenly_spaced(at, self.info.name)
        y = snapshots(batch.x["H"], at.seen, at.axis)
        seen = motion(y, noise_powers(batch))
        return at, y, Motion(seen.shift / stride, seen.correlation)

    def _sums(
        self, train: TrainingData, moved: list[Motion], edges: Floats
    ) -> tuple[Complex, int, npt.NDArray[np.int64]]:
        """Covariance sums of the fine classes, elements per sample, samples per class."""
        sums, counts, elements = np.zeros((0, 0, 0), np.complex128), np.zeros(len(edges) + 1, dtype=np.int64), 1
        for (batch, truth), own in zip(train.batches(), moved, strict=True):
            axis = steps(batch, self.info.name).axis
            times = np.arange(batch.meta.shape[axis])
            if not sums.size:
                sums = np.zeros((len(edges) + 1, len(times), len(times)), dtype=np.complex128)
            clean = turn(snapshots(truth["H"], times, axis), own.shift, times)
            which, elements = np.searchsorted(edges, own.correlation, side="right"), clean.shape[2]
            np.add.at(sums, which, gram(clean))
            counts += np.bincount(which, minlength=len(counts))
        return sums, elements, counts

    def _predict(self, batch: Batch, edges: Floats, covariances: Complex, option: int) -> tuple[Steps, Complex]:
        at, y, own = self._motion(batch)
        which = np.searchsorted(edges, own.correlation, side="right").astype(np.int64)
        y = turn(y, own.shift, at.seen)
        x = apply_filters(list(covariances), which, y, noise_powers(batch), at, self.design(option))
        return at, turn(x, own.shift, at.open, back=True)

    def _error(self, val: TrainingData, edges: Floats, covariances: Complex, option: int) -> float:
        """NMSE over the open snapshots, ratio of sums, in dB."""
        error, power = 0.0, 0.0
        for batch, truth in val.batches():
            at, x = self._predict(batch, edges, covariances, option)
            clean = snapshots(truth["H"], at.open, at.axis)
            error += float((np.abs(x - clean) ** 2).sum())
            power += float((np.abs(clean) ** 2).sum())
        return nmse_db(error, power)
