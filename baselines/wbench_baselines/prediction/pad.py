"""Prony prediction in the angle-delay domain (PAD), batched over all its bins at once."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from wbench.model import ModelInfo
from wbench.task.batch import ArrayMeta, Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.prediction.ar import Autoregressive, Recursive
from wbench_baselines.prediction.autoregression import ArSetting, Complex, coefficients, extrapolate
from wbench_baselines.prediction.common import Steps, only_prediction, snapshots

__all__ = ["AngleDelay", "Pad", "PadPublished", "angle_delay", "prony_refitted"]

#: Samples at a time: bounds the normal equations of all bins to some 100 MB.
ROWS = 32
#: Singular values of a Hankel matrix, relative to its norm, that count as zero.
DAMPING = 1e-7


def angle_delay(y: Complex, tx: ArrayMeta, inverse: bool = False) -> Complex:
    """Unitary DFTs over the columns and rows of the transmit array and over the subcarriers.

    Parameters
    ----------
    y : complex128 ndarray [..., tx, subcarrier]
        CFR; port index = pol·rows·cols + col·rows + row.
    tx : ArrayMeta
        The transmit array.
    inverse : bool
        From angle-delay back to the CFR.

    Returns
    -------
    complex128 ndarray
        The same shape: [..., tx angle, delay].
    """
    shaped = y.reshape(*y.shape[:-2], tx.polarisations, tx.cols, tx.rows, y.shape[-1])
    angle, delay = (np.fft.ifftn, np.fft.fftn) if inverse else (np.fft.fftn, np.fft.ifftn)
    turned = delay(angle(shaped, axes=(-3, -2), norm="ortho"), axes=(-1,), norm="ortho")
    return np.asarray(turned.reshape(y.shape), dtype=np.complex128)


class AngleDelay(Recursive):
    """Common part: every angle-delay bin is a series of its own."""

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel prediction over time."""
        return only_prediction(spec, "time")

    @abstractmethod
    def continued(self, bins: Complex, count: int, setting: ArSetting) -> Complex:
        """Prediction of all bins: complex128 [n, seen, bins] → [n, count, bins]."""

    def extrapolated(self, batch: Batch, at: Steps, count: int, setting: ArSetting) -> Complex:
        """The next steps: complex128 [n, count, elements]."""
        n, _, rx, tx, subcarriers = batch.x["H"].shape
        out = np.empty((n, count, rx * tx * subcarriers), dtype=np.complex128)
        for start in range(0, n, ROWS):
            rows = slice(start, start + ROWS)
            y = snapshots(batch.x["H"][rows], at.seen)
            shape = (*y.shape[:2], rx, tx, subcarriers)
            bins = angle_delay(y.reshape(shape), batch.meta.tx).reshape(y.shape)
            ahead = self.continued(bins, count, setting)
            ahead = ahead.reshape(*ahead.shape[:2], rx, tx, subcarriers)
            out[rows] = angle_delay(ahead, batch.meta.tx, inverse=True).reshape(out[rows].shape)
        return out


class Pad(AngleDelay, Autoregressive):
    """Prony prediction in the angle-delay domain: there a bin holds few paths, hence few Doppler shifts.

    Each angle-delay bin gets its own linear prediction, fitted to the past by least squares and rolled forward. Order,
    ridge and pole policy come from validation; all bins are predicted, for with a ridge the weak ones do no harm.
    """

    info = ModelInfo(
        name="wbench/pad",
        revision="1",
        kind="classical",
        summary="Prony per angle-delay bin; order, ridge and pole policy from validation",
        source="H. Yin et al., Addressing the curse of mobility in massive MIMO, IEEE JSAC 38(12), 2020, algorithm 1",
        licence="Apache-2.0",
        trains=True,
    )

    def orders(self, seen: int) -> list[int]:
        """Up to half of the past."""
        return [order for order in (1, 2, 3, 4) if 2 * order <= seen] or [1]

    def continued(self, bins: Complex, count: int, setting: ArSetting) -> Complex:
        """Linear prediction of every bin: [n, seen, bins] → [n, count, bins]."""
        return extrapolate(bins, coefficients(bins, setting), count)


class PadPublished(AngleDelay):
    """PAD as in published comparisons: no regularisation, N coefficients from N equations, strong bins only.

    The last 2N snapshots of a bin fill an N × N Hankel matrix, so that noise is fitted too: on fast users the published
    scores are several times those of all zeros. After every predicted snapshot the matrix loses its first column and
    gets a new last one, as in the authors' public implementation: the old last column moved up, with the prediction
    below (by the paper's formulas it would hold the newest seen snapshot as well). As many bins are predicted as there
    are subcarriers, the strongest ones; the others are zero.
    """

    info = ModelInfo(
        name="wbench/pad-published",
        revision="1",
        kind="classical",
        summary="Prony per strong angle-delay bin, exactly determined and unregularised, as in published comparisons",
        source="H. Yin et al., IEEE JSAC 38(12), 2020; 2N = 4 of 8 and 6 of 12 snapshots as in Liu et al., WiFo, 2025",
        licence="Apache-2.0",
    )

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Order: a quarter of the past."""
        super().setup(spec, meta)
        self.setting = ArSetting(max(1, int(spec.params.get("past", 8)) // 4), 0.0, np.inf)

    def continued(self, bins: Complex, count: int, setting: ArSetting) -> Complex:
        """Linear prediction of the strong bins from the last 2N snapshots: [n, seen, bins] → [n, count, bins]."""
        past = bins[:, -2 * setting.order :]
        energy = (np.abs(past) ** 2).sum(axis=1)
        strong = np.argsort(-energy, axis=1, kind="stable")[:, : self.meta.rx.ports * self.meta.shape[-1]]
        out = np.zeros((len(bins), count, bins.shape[2]), dtype=np.complex128)
        ahead = prony_refitted(np.take_along_axis(past, strong[:, None], axis=2), count)
        np.put_along_axis(out, np.broadcast_to(strong[:, None], ahead.shape), ahead, axis=2)
        return out


def prony_refitted(past: Complex, count: int) -> Complex:
    """Exactly determined linear prediction that is solved anew after each step; see :class:`PadPublished`.

    Parameters
    ----------
    past : complex128 ndarray [n, 2N, bins]
        Snapshots; of an odd number the first is not used.
    count : int
        Steps to predict.

    Returns
    -------
    complex128 ndarray [n, count, bins]
        Predictions.
    """
    order = max(1, past.shape[1] // 2)
    series = np.swapaxes(past, 1, 2)[..., -2 * order :]
    rows = np.add.outer(np.arange(order), np.arange(order))
    hankel, right = series[..., rows], series[..., order:]
    if past.shape[1] < 2:
        return np.repeat(past, count, axis=1)
    out = np.empty((past.shape[0], count, past.shape[2]), dtype=np.complex128)
    for step in range(count):
        # The pseudo-inverse, with singular values below 1e-7 of the largest damped out: a constant series is singular.
        size = (np.abs(hankel) ** 2).sum(axis=(-2, -1))
        loading = np.where(size > 0, DAMPING**2 * size, 1.0)
        adjoint = hankel.conj().swapaxes(-1, -2)
        loaded = hankel @ adjoint + loading[..., None, None] * np.eye(order)
        weights = adjoint @ np.linalg.solve(loaded, right[..., None])
        out[:, step] = (right[..., None, :] @ weights)[..., 0, 0]
        newest = out[:, step, :, None]
        right = np.concatenate([right[..., 1:], newest], axis=-1)
        last = np.concatenate([hankel[..., 1:, -1], newest], axis=-1)
        hankel = np.concatenate([hankel[..., 1:], last[..., None]], axis=-1)
    return out
