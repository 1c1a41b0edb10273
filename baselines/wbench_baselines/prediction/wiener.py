"""Wiener prediction with one covariance, over time or frequency, for all users."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec
from wbench_baselines.prediction.common import Steps, filled, noise_powers, only_prediction, snapshots, steps

__all__ = ["RIDGE", "Design", "WienerPooled", "apply_filters", "filters", "gram"]

#: Ridge relative to the mean power. Only against an exactly singular matrix in clean tasks: real noise is far above.
RIDGE = 1e-10

Complex = npt.NDArray[np.complex128]
Design = Callable[[Complex, Steps, npt.NDArray[np.float64]], Complex]


def gram(channel: Complex) -> Complex:
    """Sums Σ_m h[t, m] h*[u, m] over the elements of each sample: [n, time, elements] → complex128 [n, time, time]."""
    sums: Complex = channel @ channel.conj().swapaxes(-1, -2)
    return sums


def filters(covariance: Complex, at: Steps, noise: npt.NDArray[np.float64]) -> Complex:
    """Wiener filters R_xy (R_yy + σ² I)⁻¹ of one clean temporal covariance, for several noise powers.

    Parameters
    ----------
    covariance : complex128 ndarray [time, time]
        E[h h^H] of the clean channel at all snapshots.
    at : Steps
        Seen snapshots (y) and open ones (x).
    noise : float64 ndarray [u]
        Noise variances σ² of the seen snapshots.

    Returns
    -------
    complex128 ndarray [u, open, seen]
        Filters W of x̂ = W y.
    """
    seen = covariance[np.ix_(at.seen, at.seen)]
    cross = covariance[np.ix_(at.open, at.seen)]
    loading = noise + RIDGE * np.trace(seen).real / len(seen)
    noisy = seen + loading[:, None, None] * np.eye(len(seen))
    # W (R + σ²I) = R_xy, and R + σ²I is Hermitian, so W^H solves the transposed system.
    right = np.broadcast_to(cross.conj().T, (len(noise), *cross.T.shape))
    solved = np.linalg.solve(noisy, right).conj().swapaxes(-1, -2)
    return np.asarray(solved, dtype=np.complex128)


def apply_filters(
    covariances: Sequence[Complex],
    which: npt.NDArray[np.int64],
    y: Complex,
    noise: npt.NDArray[np.float64],
    at: Steps,
    design: Design = filters,
) -> Complex:
    """Predict the open snapshots, each sample by the covariance of its group and its own noise power.

    Parameters
    ----------
    covariances : sequence of complex128 ndarray [time, time]
        Clean temporal covariance of each group.
    which : int64 ndarray [n]
        Group of each sample.
    y : complex128 ndarray [n, seen, elements]
        Noisy snapshots.
    noise : float64 ndarray [n]
        Noise power of each sample.
    at : Steps
        Seen and open snapshots.
    design : callable
        (covariance, steps, noise powers) → filters, as :func:`filters`, which are the optimal ones.

    Returns
    -------
    complex128 ndarray [n, open, elements]
        Estimates; of :func:`filters` the linear minimum mean-square error ones.
    """
    weight = np.empty((len(y), len(at.open), len(at.seen)), dtype=np.complex128)
    for group in np.unique(which):
        rows = np.flatnonzero(which == group)
        powers, back = np.unique(noise[rows], return_inverse=True)
        weight[rows] = design(covariances[group], at, powers)[back]
    # One matrix product per sample, always of the same size: the same bits in whatever batch a sample comes.
    out: Complex = weight @ y
    return out


class WienerPooled(Predictor):
    """One Wiener predictor for all users and elements: x̂ = R_xy (R_yy + σ² I)⁻¹ y, per element.

    The covariance R over time (or frequency: then this is the LMMSE extrapolation) is the average over all elements and
    samples of the training part, taken from the *clean* targets; the noise power of the sample at hand comes on top, so
    a task may mix signal-to-noise ratios. Pooling over slow and fast users makes this a weak reference:
    :class:`~wbench_baselines.prediction.bank.WienerBank` is the fair one.

    """

    info = ModelInfo(
        name="wbench/wiener-pooled",
        revision="1",
        kind="classical",
        summary="Wiener predictor from the pooled temporal covariance of the training part",
        source="N. Wiener, 1949; S. M. Kay, Fundamentals of Statistical Signal Processing I, 1993, theorem 12.1",
        licence="Apache-2.0",
        trains=True,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel prediction, over time or frequency."""
        return only_prediction(spec)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Average the temporal covariance over elements and samples; nothing is chosen on ``val``.

        Raises
        ------
        ModelError
            The training part is empty.
        """
        total, count = np.zeros((1, 1), dtype=np.complex128), 0
        for batch, truth in train.batches():
            axis = steps(batch, self.info.name).axis
            clean = snapshots(truth["H"], np.arange(batch.meta.shape[axis]), axis)
            total = total + gram(clean).sum(axis=0)
            count += clean.shape[0] * clean.shape[2]
        if not count:
            raise ModelError("The training part is empty.", where=self.info.name)
        self.covariance: Complex = total / count

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Seen snapshots (or subcarriers) as they came, open ones predicted: complex64 [n, *shape]."""
        at = steps(batch, self.info.name)
        y = snapshots(batch.x["H"], at.seen, at.axis)
        group = np.zeros(len(batch), dtype=np.int64)
        return filled(batch, at, apply_filters([self.covariance], group, y, noise_powers(batch), at))
