"""Answers that need no model of the channel: nothing, what was there last, and the straight line."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.model import ModelInfo, Predictor
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec
from wbench_baselines.prediction.common import evenly_spaced, filled, only_prediction, snapshots, steps

__all__ = ["Hold", "Linear", "Zeros"]


class Zeros(Predictor):
    """All zeros: an NMSE of 0 dB exactly."""

    info = ModelInfo(
        name="wbench/zeros",
        revision="1",
        kind="trivial",
        summary="All zeros, 0 dB by definition of the NMSE",
        source="No method; the score of an answer without information",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Every ``reconstruct`` task."""
        return None if spec.kind == "reconstruct" else f"fills channels; the task's kind is {spec.kind}"

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Zeros complex64 [n, *shape]."""
        return np.zeros_like(batch.x["H"], dtype=np.complex64)


class Hold(Predictor):
    """Sample and hold: an open step is the last seen one before it (the first seen one where none is before).

    Notes
    -----
    Under isotropic scattering (Clarke's model) a snapshot τ after the held one has the error
    2(1 - J0(2π f_d τ)) + σ², with the maximum Doppler f_d and the noise power σ².
    """

    info = ModelInfo(
        name="wbench/hold",
        revision="1",
        kind="trivial",
        summary="The last snapshot or subcarrier seen",
        source="Sample and hold; error from R. H. Clarke, Bell Syst. Tech. J. 47(6), 1968 (correlation J0)",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel prediction, over time or frequency."""
        return only_prediction(spec)

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Held snapshots (or subcarriers) complex64 [n, *shape]."""
        at = steps(batch, self.info.name)
        every = np.arange(batch.meta.shape[at.axis])
        source = at.seen[np.maximum(np.searchsorted(at.seen, every, side="right") - 1, 0)]
        held: npt.NDArray[np.complex64] = np.take(batch.x["H"], source, axis=at.axis + 1)
        return held


class Linear(Predictor):
    """Straight line through the last two seen steps; the last one where only one is seen.

    Notes
    -----
    White noise of power σ² on both steps becomes ((h + 1)² + h²) σ², h steps ahead.
    """

    info = ModelInfo(
        name="wbench/linear",
        revision="1",
        kind="classical",
        summary="Straight line through the last two snapshots or subcarriers",
        source="Lagrange extrapolation of order 1",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel prediction, over time or frequency."""
        return only_prediction(spec)

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Extrapolated steps complex64 [n, *shape]."""
        at = steps(batch, self.info.name)
        gap = evenly_spaced(at, self.info.name)
        y = snapshots(batch.x["H"], at.seen[-2:], at.axis)
        ahead = (at.open - at.seen[-1]) / gap
        return filled(batch, at, y[:, -1:] + ahead[:, None] * (y[:, -1:] - y[:, :1]))
