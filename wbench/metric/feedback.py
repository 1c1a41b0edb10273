"""Metrics of CSI feedback: NMSE with the crop, CsiNet's cosine, and SGCS of precoders."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.channel.eigenvectors import dominant_eigenvectors
from wbench.errors import ResultError
from wbench.metric._weighted import check_weight, finite, weighted_mean
from wbench.metric.base import Metric, Table, Weight
from wbench.metric.precoding import open_channel
from wbench.metric.reconstruction import NmseRatioOfSums, error_and_reference
from wbench.task.batch import Truth

__all__ = ["NmseFull", "Rho", "Sgcs", "squared_cosine"]

_ROWS = 256


class NmseFull(NmseRatioOfSums):
    """NMSE (ratio of sums) of the whole band: what the delay crop removed counts as error and as reference.

    The crop and the DFTs are orthogonal, so energies add: error ``‖H - Ĥ‖² + outside``, reference ``‖H‖² + outside``.
    """

    name: ClassVar[str] = "nmse_full_db"

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 2] as of ``nmse_ros_db``, plus ``truth["outside"]`` (float [n], the energy outside the crop)."""
        table = error_and_reference(pred, truth["H"], self.name)
        outside = finite(np.asarray(truth["outside"], dtype=np.float64), "energy outside the crop", self.name)
        if outside.shape != (len(table),) or np.any(outside < 0):
            why = f"shape {outside.shape} for {len(table)} samples"
            raise ResultError(
                "outside must be one non-negative energy per sample.", where=f"metric {self.name}", why=why
            )
        full: Table = table + outside[:, None]
        return full


def squared_cosine(pred: npt.NDArray[Any], target: npt.NDArray[Any], metric: str) -> npt.NDArray[np.float64]:
    """``|wᴴŵ|² / (‖w‖² ‖ŵ‖²)`` over the last axis.

    Parameters
    ----------
    pred, target : ndarray of complex [n, ..., d]
        Answer and target.
    metric : str
        Named in errors.

    Returns
    -------
    ndarray of float64 [n, ...]
        In [0, 1]; 0 for a zero answer.

    Raises
    ------
    ResultError
        If a target vector is zero (undefined), shapes differ, or a value is not finite.
    """
    if pred.shape != target.shape or pred.ndim < 2:
        why = f"got {pred.shape} for {target.shape}"
        raise ResultError("Answer and target must have the same shape [n, ...].", where=f"metric {metric}", why=why)
    # Unit vectors first: squaring tiny or huge entries would underflow or overflow.
    answer, zero = _unit(finite(pred, "answer", metric))
    wanted, undefined = _unit(finite(target, "target", metric))
    if undefined.any():
        row = int(np.argwhere(undefined)[0][0])
        raise ResultError("The cosine with a zero target vector is undefined.", where=f"metric {metric}, row {row}")
    inner = np.sum(wanted.conj() * answer, axis=-1)
    cosine = np.minimum(inner.real**2 + inner.imag**2, 1.0)
    return np.where(zero, 0.0, cosine)


def _unit(x: npt.NDArray[Any]) -> tuple[npt.NDArray[np.complex128], npt.NDArray[np.bool_]]:
    """Vectors of the last axis at unit norm, complex128, and which of them are zero."""
    x = x.astype(np.complex128)
    largest = np.max(np.maximum(np.abs(x.real), np.abs(x.imag)), axis=-1, keepdims=True)
    zero = largest == 0
    x = x / np.where(zero, 1.0, largest)
    norm = np.sqrt(np.sum(x.real**2 + x.imag**2, axis=-1, keepdims=True))
    return x / np.where(zero, 1.0, norm), zero[..., 0]


class _Cosine(Metric):
    """Common part: table [mean cosine of the sample], value its mean."""

    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def reduce(self, table: Table, weight: Weight) -> float:
        """Weighted mean over samples."""
        check_weight(table, weight, self.name)
        return weighted_mean(table[:, 0], weight)


class Sgcs(_Cosine):
    """Squared generalised cosine similarity: mean over samples, sub-bands and layers of ``|wᴴŵ|²/(‖w‖²‖ŵ‖²)``.

    Per sub-band, never flattened: the phase of an eigenvector is arbitrary in every sub-band.
    """

    name: ClassVar[str] = "sgcs"

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 1]: mean squared cosine over all axes but the first and the last (ports).

        Where the target is a predicted channel (``truth["w"]``, complex [n, step, subband, port]), the eigenvectors of
        the answer are taken per step and sub-band.
        """
        target = truth["H"]
        if "w" in truth:
            target = truth["w"]
            pred = dominant_eigenvectors(open_channel(pred, truth, self.name)[0], target.shape[-2])
        cosine = squared_cosine(pred, target, self.name)
        table: Table = cosine.reshape(len(cosine), -1).mean(axis=1, keepdims=True)
        return table


class Rho(_Cosine):
    """CsiNet's cosine similarity (Wen, Shih and Jin, IEEE WCL 2018): not squared, per subcarrier.

    The 32 delay rows are zero-padded to 257, transformed, and the first 125 subcarriers are compared over the antennas.
    The angle DFT is unitary, so angle and antenna domain give the same cosine; and a shift of the delay rows is one
    phase per subcarrier, so it does not matter where the crop starts.
    """

    name: ClassVar[str] = "rho"
    padded: ClassVar[int] = 257
    subcarriers: ClassVar[int] = 125

    def per_sample(self, pred: npt.NDArray[Any], truth: Truth, calibration: dict[str, float]) -> Table:
        """Table [n, 1]: mean ``|ĥᴴh|/(‖ĥ‖‖h‖)`` over the subcarriers of ``truth["H"]`` [n, delay, angle]."""
        pred, target = finite(pred, "answer", self.name), finite(truth["H"], "target", self.name)
        if target.ndim != 3 or target.shape[1] > self.padded:
            raise ResultError("rho needs [n, delay, angle].", where=f"metric {self.name}", why=f"got {target.shape}")
        # Most of a 257-point FFT would be thrown away: the 125 × 32 corner of the DFT matrix is all that is needed.
        product = np.outer(np.arange(self.subcarriers), np.arange(target.shape[1]))
        dft = np.exp(-2j * np.pi * (product % self.padded) / self.padded)
        table = np.empty((len(target), 1))
        for start in range(0, len(target), _ROWS):
            rows = slice(start, start + _ROWS)
            squared = squared_cosine(dft @ pred[rows], dft @ target[rows], self.name)
            table[rows, 0] = np.sqrt(squared).mean(axis=1)
        return table
