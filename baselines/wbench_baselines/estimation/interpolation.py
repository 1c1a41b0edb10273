"""Least squares on the pilots, and interpolation between them that knows nothing of the channel's statistics."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec
from wbench.tuning import Search, nmse_db
from wbench_baselines.estimation.common import (
    Complex,
    Grid,
    interpolate,
    linear_weights,
    noise_powers,
    only_estimation,
    pilots,
)

__all__ = ["LsDft", "LsLinear", "NearestPilot", "dft_weights"]

#: A window has at most so many more delay taps after the first path than before it: leakage goes both ways.
LONGER = 5
#: The protocol allows a method 32 configurations.
MOST_WINDOWS = 32
TUNING_SAMPLES = 512


class NearestPilot(Predictor):
    """Every resource element takes the nearest pilot symbol's and the nearest pilot subcarrier's value as it is."""

    info = ModelInfo(
        name="wbench/nearest-pilot",
        revision="1",
        kind="trivial",
        summary="The nearest pilot",
        source="Nearest-neighbour interpolation of least-squares estimates",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel estimation."""
        return only_estimation(spec)

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Pilots repeated over the grid, complex64 [n, time, rx, tx, subcarrier]; of two as near, the earlier one."""
        grid, _ = pilots(batch, self.info.name)
        symbol, tone = (
            at[np.abs(np.arange(size)[:, None] - at).argmin(axis=1)]
            for at, size in zip((grid.symbols, grid.tones), grid.shape, strict=True)
        )
        answer: npt.NDArray[np.complex64] = batch.x["H"][:, symbol][..., tone]
        return answer


class LsLinear(Predictor):
    """Least squares, then linear interpolation over frequency and over time.

    Outside the outermost pilots their values are held: to go on with the slope costs 1 dB at a 10 dB SNR, and gains
    only from 25 dB up. Real and imaginary part are interpolated apart.
    """

    info = ModelInfo(
        name="wbench/ls-linear",
        revision="1",
        kind="classical",
        summary="Least squares on the pilots, linear interpolation over frequency and time",
        source="S. Coleri, M. Ergen, A. Puri, A. Bahai, IEEE Trans. Broadcast. 48(3), 2002, Sec. III",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel estimation."""
        return only_estimation(spec)

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Estimates complex64 [n, time, rx, tx, subcarrier]."""
        grid, y = pilots(batch, self.info.name)
        times, tones = (
            linear_weights(at, size) for at, size in zip((grid.symbols, grid.tones), grid.shape, strict=True)
        )
        return _shaped(interpolate(y, tones, times), batch)


def dft_weights(grid: Grid, before: int, after: int) -> Complex:
    """DFT interpolation over frequency as a matrix: pilots → delay taps, some of them kept → all subcarriers.

    Parameters
    ----------
    grid : Grid
        Evenly spaced pilots; P of them make P delay taps, 1 / (P · spacing) apart, periodic.
    before, after : int
        Taps −before … after are kept, the others set to zero; ``before + after + 1`` at most P.

    Returns
    -------
    complex128 ndarray [subcarrier, P]

    Raises
    ------
    ModelError
        The pilots are not evenly spaced, or there are fewer taps than are to be kept.
    """
    steps = set(np.diff(grid.tones).tolist())
    count = len(grid.tones)
    if len(steps) > 1 or not 1 <= before + after + 1 <= count:
        why = f"steps {sorted(steps)}, {before + after + 1} of {count} taps"
        raise ModelError("DFT interpolation needs evenly spaced pilots and no more taps than pilots.", why=why)
    period = count * (steps.pop() if steps else 1)
    taps = np.arange(-before, after + 1)
    to_taps = np.exp(2j * np.pi / period * np.outer(taps, grid.tones)) / count
    return np.asarray(np.exp(-2j * np.pi / period * np.outer(np.arange(grid.shape[1]), taps)) @ to_taps)


class LsDft(Predictor):
    """Least squares, DFT interpolation over frequency, linear interpolation over time.

    The pilots of a symbol go to the delay domain, where only a window around the first path is kept (what lies outside
    is noise), and back to all subcarriers. The window is chosen on validation by NMSE, for every noise power there is.
    """

    info = ModelInfo(
        name="wbench/ls-dft",
        revision="1",
        kind="classical",
        summary="Least squares on the pilots, DFT interpolation with a delay window, linear interpolation over time",
        source="J.-J. van de Beek, O. Edfors, M. Sandell, S. K. Wilson, P. O. Börjesson, IEEE VTC 1995, Sec. IV",
        licence="Apache-2.0",
        trains=True,
        parameters=2,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel estimation."""
        return only_estimation(spec)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Choose the delay window of each noise power on ``val``.

        Raises
        ------
        ModelError
            The validation part is empty.
        """
        if not len(val):
            raise ModelError("The delay window is chosen on validation samples.", where=self.info.name, why="none")
        batch, truth = next(iter(val.batches(TUNING_SAMPLES)))
        grid, y = pilots(batch, self.info.name)
        level, windows = noise_powers(batch), _windows(len(grid.tones))
        wrong = (np.abs(self._estimate(batch, grid, y, one) - truth["H"]) ** 2 for one in windows)
        errors = np.stack([np.sum(one.reshape(len(batch), -1), axis=1, dtype=np.float64) for one in wrong])
        clean = truth["H"].reshape(len(batch), -1)
        power = np.asarray(np.sum(np.abs(clean) ** 2, axis=1, dtype=np.float64))
        self.levels = np.unique(level)
        self.windows, searches = [], []
        for one in self.levels:
            mine = level == one
            search = Search(self.info.name, "nmse_ros_db", samples=int(mine.sum()))
            at = f" at noise {10 * np.log10(max(one, 1e-30)):.1f} dB" if len(self.levels) > 1 else ""
            scores = [nmse_db(float(error), float(power[mine].sum())) for error in errors[:, mine].sum(axis=1)]
            for window, score in zip(windows, scores, strict=True):
                search.add(score, dict(zip(("taps before" + at, "taps after" + at), window, strict=True)))
            self.windows.append(windows[search.best])
            searches.append(search)
        self.searches = searches

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Estimates complex64 [n, time, rx, tx, subcarrier], with the window of the nearest noise power in dB."""
        grid, y = pilots(batch, self.info.name)
        known, mine = (np.log10(np.maximum(power, 1e-30)) for power in (self.levels, noise_powers(batch)))
        nearest = np.abs(mine[:, None] - known).argmin(axis=1)
        out = np.empty_like(batch.x["H"])
        for level in np.unique(nearest):
            rows = np.flatnonzero(nearest == level)
            out[rows] = self._estimate(batch, grid, y[rows], self.windows[level])
        return out

    @staticmethod
    def _estimate(batch: Batch, grid: Grid, y: Complex, window: tuple[int, int]) -> npt.NDArray[np.complex64]:
        times = linear_weights(grid.symbols, grid.shape[0])
        return _shaped(interpolate(y, dft_weights(grid, *window), times), batch)


def _windows(pilot_count: int) -> list[tuple[int, int]]:
    """Windows (taps before, taps after) that are tried, the narrowest first, at most 32."""
    pairs = ((b, b + more) for b in range(pilot_count) for more in range(LONGER + 1) if 2 * b + more < pilot_count)
    return sorted(pairs, key=sum)[:MOST_WINDOWS]


def _shaped(estimate: Complex, batch: Batch) -> npt.NDArray[np.complex64]:
    return estimate.astype(np.complex64).reshape(len(estimate), *batch.meta.shape)
