"""Channel prediction: the first snapshots, noisy → the following ones, clean."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from wbench.errors import SpecError
from wbench.task.base import FamilyParams, Radio, Task
from wbench.task.batch import ChannelMeta, Truth
from wbench.task.spec import Part

__all__ = ["ChannelPrediction", "ChannelPredictionParams"]

SPEED_OF_LIGHT = 299_792_458.0
Ids = npt.NDArray[np.int64]


class ChannelPredictionParams(FamilyParams):
    """Numbers of observed and of predicted snapshots."""

    past: int = Field(8, ge=1)
    future: int = Field(8, ge=1)


class ChannelPrediction(Task):
    """H [time, rx, tx, subcarrier] with the first ``past`` snapshots observed → all snapshots.

    Columns for slices: speed, and f_d·Δt·H, the number of wavelengths a user moves within the horizon of H steps.
    """

    Params = ChannelPredictionParams
    #: Edges of the speed slices in km/h; the strata of the datasets (3, 10, 30, 60, 120) lie inside.
    speed_edges: ClassVar[tuple[float, ...]] = (0, 6.5, 20, 45, 90, 400)

    def describe(self, radio: Radio) -> ChannelMeta:
        """CFR over past and future."""
        steps = self.params.past + self.params.future
        if steps > radio.time_steps:
            why = f"{self.params.past} + {self.params.future} of {radio.time_steps}"
            raise SpecError("The dataset has too few snapshots.", where=self.spec.name, why=why)
        return radio.observed(
            (steps, radio.rx.ports, radio.tx.ports, radio.subcarriers), ("time", "rx", "tx", "subcarrier")
        )

    def transform(self, channel: npt.NDArray[np.complex64]) -> npt.NDArray[np.complex64]:
        """The first ``past + future`` snapshots."""
        return channel[:, : self.params.past + self.params.future]

    def observe(
        self, clean: npt.NDArray[np.complex64]
    ) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.bool_] | None]:
        """The first ``past`` snapshots."""
        mask = np.zeros(clean.shape[1:], dtype=bool)
        mask[: self.params.past] = True
        return clean, mask

    def targets(
        self,
        channel: npt.NDArray[np.complex64],
        clean: npt.NDArray[np.complex64],
        rms: npt.NDArray[np.float32],
        labels: Truth,
    ) -> Truth:
        """``H`` complex64 [n, time, rx, tx, subcarrier]."""
        return {"H": clean}

    def columns(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.float64]]:
        """SNR, ``speed_kmh`` and ``fd_dt_h`` (f_d·Δt·H)."""
        velocity = self.dataset(part).read("ue_velocity", ids).astype(np.float64)
        speed = np.linalg.norm(velocity, axis=1)
        doppler = speed * self.meta.carrier_hz / SPEED_OF_LIGHT
        horizon = self.params.future * self.meta.time_step_s
        return {**super().columns(part, ids), "speed_kmh": 3.6 * speed, "fd_dt_h": doppler * horizon}

    def slices(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.str_]]:
        """Speed ranges and LoS state."""
        speed = self.columns(part, ids)["speed_kmh"]
        names = np.array([f"{a:g}-{b:g}" for a, b in pairwise(self.speed_edges)])
        place = np.clip(np.searchsorted(self.speed_edges, speed, side="right") - 1, 0, len(names) - 1)
        los = self.dataset(part).read("los", ids)
        return {
            **super().slices(part, ids),
            "speed_kmh": names[place],
            "los": np.where(los == 1, "LoS", "NLoS"),
        }
