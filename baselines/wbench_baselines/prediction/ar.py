"""Autoregressive predictors: coefficients per sample, from the sample's own past; order and ridge from validation."""

from __future__ import annotations

from abc import abstractmethod
from itertools import product
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec
from wbench.tuning import Search, choose, nmse_db
from wbench_baselines.prediction.autoregression import (
    ArSetting,
    Complex,
    coefficients,
    extrapolate,
    pooled_coefficients,
)
from wbench_baselines.prediction.common import Steps, evenly_spaced, filled, only_prediction, snapshots, steps

__all__ = ["ArElement", "ArPooled", "Autoregressive", "Recursive", "strides_ahead"]

#: Validation samples that settings are compared on.
TUNING = 512


def strides_ahead(at: Steps, model: str) -> npt.NDArray[np.int64]:
    """How many strides of the seen steps each open one lies after the last of them: int64 [open].

    Raises
    ------
    ModelError
        The seen steps are not evenly spaced, or an open one does not follow them on their raster.
    """
    stride = evenly_spaced(at, model)
    ahead = at.open - at.seen[-1]
    if not len(ahead) or ahead[0] <= 0 or (ahead % stride).any():
        why = f"seen {at.seen}, open {at.open}"
        raise ModelError("This predictor needs open steps that follow the seen ones.", where=model, why=why)
    return np.asarray(ahead // stride)


class Recursive(Predictor):
    """A predictor that feeds its predictions back, under one setting."""

    setting: ArSetting

    @abstractmethod
    def extrapolated(self, batch: Batch, at: Steps, count: int, setting: ArSetting) -> Complex:
        """The next ``count`` steps under one setting: complex128 [n, count, elements]."""

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel prediction, over time or frequency."""
        return only_prediction(spec)

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Seen steps as they came, open ones predicted: complex64 [n, *shape]."""
        at = steps(batch, self.info.name)
        return filled(batch, at, self.predicted(batch, at, self.setting))

    def predicted(self, batch: Batch, at: Steps, setting: ArSetting) -> Complex:
        """The open steps: complex128 [n, open, elements]."""
        ahead = strides_ahead(at, self.info.name)
        return self.extrapolated(batch, at, int(ahead[-1]), setting)[:, ahead - 1]


class Autoregressive(Recursive):
    """Settings are compared on validation, at most 32 of them; the smallest NMSE (ratio of sums) wins."""

    ridges: ClassVar[tuple[float, ...]] = (1e-10, 1e-3, 1e-2, 1e-1)
    radii: ClassVar[tuple[float, ...]] = (1.0, 1.25)

    @abstractmethod
    def orders(self, seen: int) -> list[int]:
        """At most four orders to choose from, by the number of seen steps."""

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Choose order, ridge and pole radius on (at most 512 samples of) ``val``; the training part is not used.

        Raises
        ------
        ModelError
            The validation part is empty, or the open steps do not follow the seen ones.
        """
        if not len(val):
            raise ModelError("There are no validation samples to choose the order on.", where=self.info.name)
        batch, truth = next(iter(val.batches(TUNING)))
        at = steps(batch, self.info.name)
        clean = snapshots(truth["H"], at.open, at.axis)
        settings = [ArSetting(*values) for values in product(self.orders(len(at.seen)), self.ridges, self.radii)]
        power, search = float(np.sum(np.abs(clean) ** 2)), Search(self.info.name, "nmse_ros_db", samples=TUNING)

        def score(one: ArSetting) -> float:
            return nmse_db(float(np.sum(np.abs(self.predicted(batch, at, one) - clean) ** 2)), power)

        self.setting = choose(search, ArSetting._fields, settings, score)
        self.searches = (search,)


class ArElement(Autoregressive):
    """One autoregression per element (antenna pair and subcarrier): few equations, so a high variance."""

    info = ModelInfo(
        name="wbench/ar-element",
        revision="1",
        kind="classical",
        summary="Autoregression per element, least squares with ridge, order and pole policy from validation",
        source="J. Makhoul, Proc. IEEE 63(4), 1975, equations (14)-(16)",
        licence="Apache-2.0",
        trains=True,
    )

    def orders(self, seen: int) -> list[int]:
        """Up to half of the past: more coefficients than equations fit anything."""
        return [order for order in (1, 2, 3, 4) if 2 * order <= seen] or [1]

    def extrapolated(self, batch: Batch, at: Steps, count: int, setting: ArSetting) -> Complex:
        """The next steps of each element by its own coefficients: complex128 [n, count, elements]."""
        y = snapshots(batch.x["H"], at.seen, at.axis)
        return extrapolate(y, coefficients(y, setting), count)


class ArPooled(Autoregressive):
    """One autoregression per sample, fitted to all its elements together: they share their Dopplers (or delays)."""

    info = ModelInfo(
        name="wbench/ar-pooled",
        revision="1",
        kind="classical",
        summary="Autoregression per sample pooled over its elements; order, ridge and pole policy from validation",
        source="S. L. Marple, IEEE Trans. ASSP 28(4), 1980; pooled as vector Prony: Yin et al., IEEE JSAC 38(12), 2020",
        licence="Apache-2.0",
        trains=True,
    )

    def orders(self, seen: int) -> list[int]:
        """Quarters of the past: with many elements even one equation each is enough for the highest order."""
        return sorted({min(max(1, share * seen // 4), max(1, seen - 1)) for share in (1, 2, 3, 4)})

    def extrapolated(self, batch: Batch, at: Steps, count: int, setting: ArSetting) -> Complex:
        """The next steps of all elements by common coefficients: complex128 [n, count, elements]."""
        y = snapshots(batch.x["H"], at.seen, at.axis)
        return extrapolate(y, pooled_coefficients(y, setting), count)
