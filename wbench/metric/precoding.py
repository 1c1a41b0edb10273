"""What a predicted channel is worth as a precoder: the spectral efficiency that it keeps."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ResultError
from wbench.metric._weighted import check_weight, finite
from wbench.metric.base import Metric, Table, Weight
from wbench.task.batch import Truth

__all__ = ["SpectralEfficiencyRatio", "open_channel"]

#: SNR of the spectral efficiency, linear (10 dB).
SNR = 10.0
_ROWS = 64


def open_channel(pred: npt.NDArray[Any], truth: Truth, metric: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Answer and target of the predicted part in its own shape.

    Parameters
    ----------
    pred : complex ndarray [n, ...]
        The open entries of the answer, flattened or not.
    truth : dict of str to ndarray
        With ``open``, complex [n, step, rx, tx, subcarrier].
    metric : str
        Named in errors.

    Raises
    ------
    ResultError
        The task gives no ``open`` target, or the sizes differ.
    """
    if "open" not in truth:
        why = "set params.subbands in the task instance"
        raise ResultError("The task has no target to precode for.", where=f"metric {metric}", why=why)
    target = truth["open"]
    if pred.size != target.size or len(pred) != len(target):
        why = f"got {pred.shape} for {target.shape}"
        raise ResultError("Answer and target must have the same size.", where=f"metric {metric}", why=why)
    return finite(pred, "answer", metric).reshape(target.shape), finite(target, "target", metric)


class SpectralEfficiencyRatio(Metric):
    """``Σ log2(1 + 10 G) / Σ log2(1 + 10)`` with ``G = |hᴴŵ|² / (‖h‖² ‖ŵ‖²)``, per resource element, rank 1.

    ŵ is the precoder that the prediction gives. With several receive antennas it is the dominant right singular vector
    of Ĥ, and ``G = ‖Hŵ‖² / (σ₁² ‖ŵ‖²)``: the power after maximum-ratio combining, over the largest there can be. With
    one antenna both are the formula above. A zero answer has G = 0.
    """

    name: ClassVar[str] = "se_ratio"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 2]: achieved and ideal sum over steps and subcarriers of ``truth["open"]``."""
        answer, target = open_channel(pred, truth, self.name)
        table = np.empty((len(target), 2))
        for start in range(0, len(target), _ROWS):
            rows = slice(start, start + _ROWS)
            gain = precoding_gain(answer[rows], target[rows], self.name)
            table[rows, 0] = np.log2(1 + SNR * gain).reshape(len(gain), -1).sum(axis=1)
            table[rows, 1] = np.log2(1 + SNR) * gain[0].size
        return table

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted ratio of sums."""
        check_weight(table, weight, self.name)
        return float(np.sum(weight * table[:, 0]) / np.sum(weight * table[:, 1]))


def precoding_gain(answer: npt.NDArray[Any], target: npt.NDArray[Any], metric: str) -> npt.NDArray[np.float64]:
    """G of every resource element: complex [n, step, rx, tx, subcarrier] twice → float64 [n, step, subcarrier]."""
    h = np.moveaxis(target.astype(np.complex128), -1, -3)  # [n, step, subcarrier, rx, tx]
    guess = np.moveaxis(answer.astype(np.complex128), -1, -3)
    largest = np.abs(guess).max(axis=(-2, -1), keepdims=True)
    guess = guess / np.where(largest > 0, largest, 1.0)
    # Eigenvectors of the small side: HHᴴu = λu gives the right singular vector Hᴴu.
    left = np.linalg.eigh(guess @ guess.conj().swapaxes(-1, -2))[1][..., -1:]
    w = guess.conj().swapaxes(-1, -2) @ left
    best = np.linalg.eigvalsh(h @ h.conj().swapaxes(-1, -2))[..., -1]
    if np.any(best <= 0):
        raise ResultError("The gain on a zero channel is undefined.", where=f"metric {metric}")
    received = (np.abs(h @ w) ** 2).sum(axis=(-2, -1))
    sent = (np.abs(w) ** 2).sum(axis=(-2, -1))
    gain = received / np.where(sent > 0, sent, 1.0) / best
    return np.asarray(np.minimum(gain, 1.0), dtype=np.float64)
