"""Orthogonal matching pursuit of paths in delay and angle."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench.tuning import Search, choose, nmse_db
from wbench_baselines.estimation.common import Complex, Floats, linear_weights, noise_powers, only_estimation, pilots
from wbench_baselines.estimation.somp import Pursuit, pursue

__all__ = ["OmpEstimator", "delay_steering", "panel_steering"]

#: Grid points per resolution cell in delay and in each angle.
DELAY_OVERSAMPLING = 4
ANGLE_OVERSAMPLING = 4
#: Normal cyclic prefix over useful symbol, TS 38.211, 5.3.1: longer delays are not expected.
CYCLIC_PREFIX = 144 / 2048
MOST_PATHS = 48
#: Residual energy over expected noise energy at which a pursuit stops; validation chooses.
STOPS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.35, 1.5, 2.0)
TUNING_SAMPLES = 256


def delay_steering(tones: npt.NDArray[np.int64], taps: Floats) -> Complex:
    """Frequency responses e^{−j2π τ k} of delays τ in units of 1 / subcarrier spacing: [subcarrier, delay]."""
    return np.asarray(np.exp(-2j * np.pi * np.outer(tones, taps)))


def panel_steering(rows: int, columns: int, oversampling: int) -> Complex:
    """Responses of a uniform panel on a grid of spatial frequencies: [column · rows + row, direction], of modulus one.

    All spatial frequencies are covered, so the spacing of the elements does not matter.
    """
    row, column = (
        np.exp(2j * np.pi * np.outer(np.arange(size), np.arange(size * oversampling)) / (size * oversampling))
        for size in (rows, columns)
    )
    return np.asarray(np.kron(column, row))


class OmpEstimator(Predictor):
    """Orthogonal matching pursuit of paths, each a delay and a direction, with one gain per pilot symbol.

    The dictionary oversamples delay and each angle four times, delay up to the cyclic prefix. A path has the same
    delay and direction on all pilot symbols (simultaneous OMP: J. A. Tropp, A. C. Gilbert, M. J. Strauss, Signal
    Process. 86(3), 2006); over time its gains are interpolated linearly. The pursuit of a sample stops when the
    residual has fallen to the noise, times a factor chosen on validation, or at 48 paths.
    """

    info = ModelInfo(
        name="wbench/omp-estimator",
        revision="1",
        kind="classical",
        summary="OMP in an oversampled delay-angle dictionary, stopped at the noise level",
        source="Pati, Rezaiifar, Krishnaprasad 1993; delay-angle: J. Lee, G.-T. Gil, Y. H. Lee, IEEE TCOM 64(6), 2016",
        licence="Apache-2.0",
        trains=True,
        parameters=1,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel estimation."""
        return only_estimation(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Build the directions."""
        super().setup(spec, meta)
        if meta.rx.ports * meta.tx.polarisations != 1:
            why = f"{meta.rx.ports} Rx ports, {meta.tx.polarisations} polarisations"
            raise ModelError("OMP serves one Rx port and one polarisation.", where=self.info.name, why=why)
        directions = panel_steering(meta.tx.rows, meta.tx.cols, ANGLE_OVERSAMPLING) / np.sqrt(meta.tx.ports)
        self.directions = directions.astype(np.complex64)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Choose the stop on ``val``: the path is nested, so one pursuit serves all of them.

        Raises
        ------
        ModelError
            The validation part is empty.
        """
        if not len(val):
            raise ModelError("The stop is chosen on validation samples.", where=self.info.name, why="there are none")
        batch, truth = next(iter(val.batches(TUNING_SAMPLES)))
        path, noise = self._pursue(batch, min(STOPS))
        power = float(np.sum(np.abs(truth["H"]) ** 2, dtype=np.float64))

        def score(stop: float) -> float:
            answer = self._expand(batch, path, stop * noise)
            return nmse_db(float(np.sum(np.abs(answer - truth["H"]) ** 2, dtype=np.float64)), power)

        search = Search(self.info.name, "nmse_ros_db", samples=TUNING_SAMPLES)
        self.stop = choose(search, ("stop",), STOPS, score)
        self.searches = (search,)

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Estimates complex64 [n, time, rx, tx, subcarrier]."""
        path, noise = self._pursue(batch, self.stop)
        return self._expand(batch, path, self.stop * noise)

    def _pursue(self, batch: Batch, stop: float) -> tuple[Pursuit, Floats]:
        """Paths, and the noise energy expected on the pilots."""
        grid, y = pilots(batch, self.info.name)
        band = float(np.ptp(grid.tones)) * len(grid.tones) / max(len(grid.tones) - 1, 1)
        taps = np.arange(0, CYCLIC_PREFIX, 1 / (DELAY_OVERSAMPLING * max(band, 1.0)), dtype=np.float64)
        self.responses = delay_steering(np.arange(grid.shape[1]), taps) / np.sqrt(len(grid.tones))
        self.times = linear_weights(grid.symbols, grid.shape[0], extend=True)
        noise = noise_powers(batch) * y[0].size
        most = min(MOST_PATHS, y.shape[2] * y.shape[3])
        seen = self.responses[grid.tones].astype(np.complex64)
        return pursue(y, self.directions, seen, most, stop * noise), noise

    def _expand(self, batch: Batch, path: Pursuit, enough: Floats) -> npt.NDArray[np.complex64]:
        """Channels from the first paths of each sample that leave no more than ``enough`` energy."""
        n, most = path.support.shape
        done = path.residual <= enough[:, None]
        counts = np.where(done.any(axis=1), done.argmax(axis=1), most - 1) + 1
        gains = path.gains(counts).swapaxes(1, 2)  # [n, pilot symbol, path]
        direction, delay = np.divmod(path.support, self.responses.shape[1])
        left = self.directions.T[direction]  # [n, path, antenna]
        right = self.responses.T[delay].astype(np.complex64)  # [n, path, subcarrier]
        on_pilots = (gains[..., None] * left[:, None]).swapaxes(-1, -2) @ right[:, None]
        out = self.times.astype(np.float32) @ on_pilots.reshape(n, gains.shape[1], -1)
        return np.asarray(out.reshape(n, *batch.meta.shape))
