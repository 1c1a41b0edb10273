"""The two answers that need no model of the channel: nothing, and what was there last."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.model import ModelInfo, Predictor
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec
from wbench_baselines.prediction.common import only_prediction, steps

__all__ = ["Hold", "Zeros"]


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
    """Sample and hold: an open snapshot is the last seen one before it (the first seen one where none is before).

    Notes
    -----
    Under isotropic scattering (Clarke's model) a snapshot τ after the held one has the error
    2(1 - J0(2π f_d τ)) + σ², with the maximum Doppler f_d and the noise power σ².
    """

    info = ModelInfo(
        name="wbench/hold",
        revision="1",
        kind="trivial",
        summary="The last snapshot seen",
        source="Sample and hold; error from R. H. Clarke, Bell Syst. Tech. J. 47(6), 1968 (correlation J0)",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel prediction over time."""
        return only_prediction(spec)

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Held snapshots complex64 [n, time, ...]."""
        seen, _ = steps(batch, self.info.name)
        source = seen[np.maximum(np.searchsorted(seen, np.arange(batch.meta.shape[0]), side="right") - 1, 0)]
        held: npt.NDArray[np.complex64] = batch.x["H"][:, source]
        return held
