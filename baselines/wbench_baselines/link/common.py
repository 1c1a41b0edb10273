"""What the baselines of feature forecasting share: the feature's history, all inputs as columns, scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.metric.catalogue import get_metric
from wbench.model import Predictor, TrainingData
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.spec import TaskSpec

__all__ = ["FAMILY", "FeatureModel", "columns", "flat"]

F64 = npt.NDArray[np.float64]

FAMILY = "feature-forecasting"
SLOTS = 5
#: Inputs that are one number a slot.
SCALARS = ("delay_centre", "delay_length", "doppler_width", "rank", "spectral_efficiency", "snr_db")
MATRICES = ("noise_covariance", "frequency_correlation", "time_covariance", "time_correlation", "precoder")
PILOT_SETS = 4


def flat(values: npt.NDArray[Any]) -> F64:
    """A feature's slots as rows of real numbers: [n, slots, …] → float64 [n, slots, m], the layout of targets."""
    rows = values.reshape(*values.shape[:2], -1)
    if np.iscomplexobj(rows):
        rows = np.concatenate([rows.real, rows.imag], axis=2)
    return rows.astype(np.float64)


def columns(batch: Batch, visible: npt.NDArray[np.bool_], matrices: tuple[str, ...] = MATRICES) -> F64:
    """Inputs of the visible slots and the numerology as columns: float64 [n, p]."""
    parts = [flat(batch.x[name])[:, visible].reshape(len(batch), -1) for name in (*SCALARS, *matrices)]
    first = int(np.flatnonzero(visible)[0])
    sizes = [
        batch.x["noise_covariance_mask"][:, first, 0].sum(axis=1),
        batch.x["precoder_mask"][:, first, :, 0].sum(axis=1),
        batch.x["frequency_correlation_mask"][:, first].sum(axis=1),
        np.log2(batch.x["group_size"]),
        batch.x["carrier_hz"] / 1e9,
        batch.x["subcarrier_spacing_hz"] / 1e3,
    ]
    pilots = batch.x["pilot_set"][:, None] == np.arange(PILOT_SETS)
    return np.concatenate([*parts, np.stack(sizes, axis=1), pilots], axis=1, dtype=np.float64)


class FeatureModel(Predictor):
    """Common part: which feature, which slots are visible, the history as rows."""

    def supports(self, spec: TaskSpec) -> str | None:
        """Feature forecasting only."""
        return None if spec.family == FAMILY else f"a forecaster of link features; the task's family is {spec.family}"

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Learn the feature and which slots are visible."""
        super().setup(spec, meta)
        self.feature = str(spec.params["feature"])
        self.visible = np.ones(SLOTS, dtype=bool)
        self.last = SLOTS - 1
        if spec.params["mode"] == "interpolate":
            hidden = int(spec.params.get("hidden", 2))
            self.visible[hidden] = False
            self.last = hidden - 1 if hidden else 1

    def history(self, batch: Batch) -> F64:
        """The estimated feature: float64 [n, 5, outputs], 0 in a hidden slot."""
        return flat(batch.x[self.feature])

    def gather(self, data: TrainingData) -> tuple[Batch, Truth]:
        """A whole part (:class:`~wbench.errors.ModelError` if it is empty)."""
        if not len(data):
            raise ModelError("The training or validation part is empty.", where=self.info.name)
        return data.load()

    def score(self, answer: F64, truth: Truth) -> float:
        """Error of an answer in the task's primary metric: smaller is better."""
        metric = get_metric(self.spec.primary)
        return metric.error(metric.reduce(metric.per_sample(answer, truth, {}), np.ones(len(answer))))
