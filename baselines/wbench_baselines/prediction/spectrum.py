"""Delay- or Doppler-domain extrapolation: a sparse spectrum per sample, and the Wiener filter that it implies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.model import ModelInfo, Predictor
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec
from wbench_baselines.prediction.common import Steps, evenly_spaced, filled, noise_powers, only_prediction, snapshots
from wbench_baselines.prediction.common import steps as steps_of
from wbench_baselines.prediction.wiener import Complex, gram

__all__ = ["DelayExtrapolation", "DopplerExtrapolation", "line_filters", "sparse_spectrum"]

#: Grid points per seen step: the distance of two delays is 1/8 of what the seen band resolves.
OVERSAMPLING = 8
#: Reweighting steps; the likelihood rises with each.
ITERATIONS = 30
#: Least noise power relative to the signal: clean observations would need infinitely many steps.
FLOOR = 1e-6

Floats = npt.NDArray[np.float64]


def sparse_spectrum(covariance: Complex, noise: Floats, iterations: int = ITERATIONS) -> Floats:
    """Powers of spectral lines on a grid, by sparse Bayesian learning from a sample's own covariance.

    Parameters
    ----------
    covariance : complex128 ndarray [n, seen, seen]
        Mean of y y^H over the elements of each sample, for evenly spaced steps.
    noise : float64 ndarray [n]
        Noise variance.
    iterations : int
        Reweighting steps.

    Returns
    -------
    float64 ndarray [n, 8·seen]
        Power γ_g of the line e^{j 2π g t / (8·seen)} over the steps t.

    Notes
    -----
    Update γ ← γ (a^H Σ⁻¹ C Σ⁻¹ a / a^H Σ⁻¹ a)^½ with Σ = σ²I + Σ_g γ_g a_g a_g^H (D. Wipf and S. Nagarajan, IEEE J.
    Sel. Topics Signal Process. 4(2), 2010, equation (21), for several measurements). Steps are evenly spaced, so Σ
    is Toeplitz and a^H M a for all lines is one FFT of the sums along the diagonals of M.
    """
    n, seen, _ = covariance.shape
    grid = OVERSAMPLING * seen
    power = np.trace(covariance, axis1=1, axis2=2).real / seen
    power = np.where(power > 0, power, 1.0)  # nothing observed: any spectrum will do
    level = np.maximum(noise, FLOOR * power)
    lines = np.broadcast_to(np.maximum(power - noise, FLOOR * power)[:, None] / grid, (n, grid)).copy()
    for _ in range(iterations):
        model = _toeplitz(_correlation(lines, seen)) + level[:, None, None] * np.eye(seen)
        inverse: Complex = np.asarray(np.linalg.inv(model), dtype=np.complex128)
        inverse = (inverse + inverse.conj().swapaxes(1, 2)) / 2
        fit = _quadratic(inverse @ covariance @ inverse, grid)
        lines *= np.sqrt(np.maximum(fit, 0) / np.maximum(_quadratic(inverse, grid), np.finfo(np.float64).tiny))
    return lines


def line_filters(lines: Floats, noise: Floats, seen: int, ahead: npt.NDArray[np.int64]) -> Complex:
    """Wiener filters of each sample's spectrum: [n, grid], [n] → complex128 [n, open, seen].

    ``ahead`` counts strides from the last of the ``seen`` steps.
    """
    at = np.concatenate([np.arange(seen), seen - 1 + ahead])
    r = _correlation(lines, int(np.abs(np.subtract.outer(at, at)).max()) + 1)
    lags = np.subtract.outer(at, at[:seen])
    full = np.where(lags >= 0, r[:, np.abs(lags)], r[:, np.abs(lags)].conj())
    level = np.maximum(noise, FLOOR * np.where(r[:, 0].real > 0, r[:, 0].real, 1.0))
    loaded = full[:, :seen] + level[:, None, None] * np.eye(seen)
    solved = np.linalg.solve(loaded, full[:, seen:].conj().swapaxes(1, 2))
    return np.asarray(solved.conj().swapaxes(1, 2), dtype=np.complex128)


def _correlation(lines: Floats, lags: int) -> Complex:
    """r[l] = Σ_g γ_g e^{j 2π g l / grid}: [n, grid] → [n, lags]."""
    grid = lines.shape[1]
    r = np.fft.ifft(lines, axis=1) * grid
    return np.asarray(r[:, np.arange(lags) % grid])


def _toeplitz(r: Complex) -> Complex:
    lags = np.subtract.outer(np.arange(r.shape[1]), np.arange(r.shape[1]))
    return np.asarray(np.where(lags >= 0, r[:, np.abs(lags)], r[:, np.abs(lags)].conj()))


def _quadratic(matrix: Complex, grid: int) -> Floats:
    """a_g^H M a_g of Hermitian matrices for all lines: [n, seen, seen] → float64 [n, grid]."""
    n, seen, _ = matrix.shape
    sums = np.zeros((n, grid), dtype=np.complex128)
    for lag in range(seen):
        sums[:, lag] = np.trace(matrix, offset=-lag, axis1=1, axis2=2)
    # Σ_l s_l e^{-j 2π g l / grid} over both signs of l, where s_{-l} = s_l*.
    return 2 * np.fft.fft(sums, axis=1).real - sums[:, :1].real


class DelayExtrapolation(Predictor):
    """Extrapolation over frequency by a sparse delay spectrum, estimated from the sample itself.

    All antennas and snapshots of a sample share their delays, so their mean covariance over the seen band shows the
    delay spectrum; super-resolved to a few lines, it says how the upper subcarriers go with the lower ones. Nothing is
    trained or tuned.
    """

    axis = "frequency"
    info = ModelInfo(
        name="wbench/delay-extrapolation",
        revision="1",
        kind="classical",
        summary="Sparse delay spectrum of the sample itself, and the Wiener filter that it implies",
        source="Sparse Bayesian learning: Wipf and Rao, IEEE Trans. Signal Process. 55(7), 2007; reweighting of 2010",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel prediction over frequency."""
        return only_prediction(spec, self.axis)

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Seen steps as they came, open ones predicted: complex64 [n, *shape]."""
        at: Steps = steps_of(batch, self.info.name)
        ahead = (at.open - at.seen[-1]) // evenly_spaced(at, self.info.name)
        y = snapshots(batch.x["H"], at.seen, at.axis)
        noise = noise_powers(batch)
        lines = sparse_spectrum(gram(y) / y.shape[2], noise)
        return filled(batch, at, line_filters(lines, noise, len(at.seen), ahead) @ y)


class DopplerExtrapolation(DelayExtrapolation):
    """The same over time: a sparse Doppler spectrum that all antennas and subcarriers of a sample share."""

    axis = "time"
    info = ModelInfo(
        name="wbench/doppler-extrapolation",
        revision="1",
        kind="classical",
        summary="Sparse Doppler spectrum of the sample itself, and the Wiener filter that it implies",
        source="Sparse Bayesian learning: Wipf and Rao, IEEE Trans. Signal Process. 55(7), 2007; reweighting of 2010",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel prediction over time."""
        return only_prediction(spec, self.axis)
