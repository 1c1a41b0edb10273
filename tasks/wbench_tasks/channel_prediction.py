"""Channel prediction: the first snapshots or subcarriers, noisy → the following ones, clean."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from wbench.channel.eigenvectors import dominant_eigenvectors
from wbench.channel.noise import add_noise
from wbench.dataset.reader import Dataset
from wbench.errors import SpecError
from wbench.task.base import FamilyParams, Radio, Task
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.spec import Part, TaskSpec

__all__ = ["ChannelPrediction", "ChannelPredictionParams"]

SPEED_OF_LIGHT = 299_792_458.0
Ids = npt.NDArray[np.int64]
Complex = npt.NDArray[np.complex64]


class ChannelPredictionParams(FamilyParams):
    """What is observed and what is predicted.

    Attributes
    ----------
    axis : {"time", "frequency"}
        Whether later snapshots or higher subcarriers are predicted.
    past, future : int
        Snapshots (or subcarriers) that are observed, and those after them that are predicted.
    snapshots : int or None
        Snapshots that a frequency task shows; all of the dataset's by default.
    subbands : int
        Sub-bands of the target's eigenvectors (``sgcs``, ``se_ratio``); 0 where no metric needs them.
    scaling : {"sample", "part"}
        Every sample has unit rms over what is observed of it; or the whole part has, so that all its samples get noise
        relative to the mean power (WiFo's convention, which hides users with little power).
    noisy_target : bool
        Noise as on the input, but independent, on the target too (WiFo's convention: no error falls below it).
    """

    axis: Literal["time", "frequency"] = "time"
    past: int = Field(8, ge=1)
    future: int = Field(8, ge=1)
    snapshots: int | None = Field(None, ge=1)
    subbands: int = Field(0, ge=0)
    scaling: Literal["sample", "part"] = "sample"
    noisy_target: bool = False

    @model_validator(mode="after")
    def _possible(self) -> ChannelPredictionParams:
        if self.axis == "time" and self.snapshots is not None:
            raise ValueError("snapshots belongs to axis 'frequency'; over time, past and future say it")
        if self.axis == "frequency" and self.subbands:
            raise ValueError("subbands belongs to axis 'time'")
        if self.noisy_target and self.subbands:
            raise ValueError("subbands needs a clean target")
        return self


class ChannelPrediction(Task):
    """H [time, rx, tx, subcarrier] of which a first part along one axis is observed → all of it.

    Columns for slices: speed and, over time, f_d·Δt·H, the number of wavelengths a user moves within the horizon of H
    steps; over frequency, the delay spread times the predicted bandwidth.
    """

    Params = ChannelPredictionParams
    #: Edges of the speed slices in km/h; the strata of the datasets (3, 10, 30, 60, 120) lie inside.
    speed_edges: ClassVar[tuple[float, ...]] = (0, 6.5, 20, 45, 90, 400)
    #: Edges of the delay spread slices of frequency tasks in ns.
    delay_edges: ClassVar[tuple[float, ...]] = (0, 50, 150, 450, 1e6)

    def __init__(self, spec: TaskSpec, datasets: Mapping[str, Dataset]) -> None:
        super().__init__(spec, datasets)
        self._levels: dict[Part, float] = {}
        if self.params.scaling == "part":
            self.scale = False  # type: ignore[misc]  # impair() scales; one family, two conventions

    def describe(self, radio: Radio) -> ChannelMeta:
        """CFR over what is observed and what is predicted."""
        steps = self.params.past + self.params.future
        if self._over_time:
            shown, there, of = (steps, radio.subcarriers), radio.time_steps, "snapshots"
        else:
            shown, there, of = (self.params.snapshots or radio.time_steps, steps), radio.subcarriers, "subcarriers"
        if steps > there or shown[0] > radio.time_steps:
            why = f"{self.params.past} + {self.params.future} of {there}; {shown[0]} of {radio.time_steps} snapshots"
            raise SpecError(f"The dataset has too few {of}.", where=self.spec.name, why=why)
        if self.params.subbands and radio.subcarriers % self.params.subbands:
            why = f"{radio.subcarriers} subcarriers in {self.params.subbands} sub-bands"
            raise SpecError("The sub-bands are not equal.", where=self.spec.name, why=why)
        shape = (shown[0], radio.rx.ports, radio.tx.ports, shown[1])
        return radio.observed(shape, ("time", "rx", "tx", "subcarrier"))

    def transform(self, channel: Complex) -> Complex:
        """The snapshots and subcarriers that are observed or predicted."""
        steps = self.params.past + self.params.future
        return channel[:, :steps] if self._over_time else channel[:, : self.params.snapshots, ..., :steps]

    def observe(self, clean: Complex) -> tuple[Complex, npt.NDArray[np.bool_] | None]:
        """The first ``past`` snapshots, or subcarriers."""
        mask = np.zeros(clean.shape[1:], dtype=bool)
        if self._over_time:
            mask[: self.params.past] = True
        else:
            mask[..., : self.params.past] = True
        return clean, mask

    def targets(self, channel: Complex, clean: Complex, rms: npt.NDArray[np.float32], labels: Truth) -> Truth:
        """``H`` complex64 [n, time, rx, tx, subcarrier].

        With sub-bands also the predicted part in its shape, ``open`` complex64 [n, future, rx, tx, subcarrier], and its
        dominant eigenvectors ``w`` complex64 [n, future, subband, tx].
        """
        if not self.params.subbands:
            return {"H": clean}
        future = np.ascontiguousarray(clean[:, self.params.past :])
        return {"H": clean, "open": future, "w": dominant_eigenvectors(future, self.params.subbands)}

    def impair(self, channel: Complex, part: Part, ids: Ids) -> Complex:
        """The channel; with ``scaling = "part"`` over the rms of all observations of the part."""
        if self.params.scaling == "sample":
            return channel
        if part not in self._levels:
            powers = []
            for start in range(0, len(self.ids(part)), 256):
                clean = self.transform(self.read(part, self.spec.channel, self.ids(part)[start : start + 256]))
                values, mask = self.observe(clean)
                powers.append(np.mean(np.abs(values[:, mask].astype(np.complex128)) ** 2, axis=1))
            self._levels[part] = float(np.sqrt(np.mean(np.concatenate(powers))))
        return np.asarray(channel / np.float32(self._levels[part]), dtype=np.complex64)

    def _pair(self, part: Part, ids: Ids) -> tuple[Batch, Truth]:
        batch, truth = super()._pair(part, ids)
        if not self.params.noisy_target or batch.noise_power is None:
            return batch, truth
        clean = truth["H"]
        noisy = add_noise(clean.reshape(len(clean), -1), batch.noise_power, self._stream(part, "noise-target"), ids)
        return batch, {**truth, "H": noisy.reshape(clean.shape)}

    def columns(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.float64]]:
        """SNR, ``speed_kmh``, and ``fd_dt_h`` (f_d·Δt·H) or ``delay_spread_ns`` and ``ds_bw``."""
        velocity = self.dataset(part).read("ue_velocity", ids).astype(np.float64)
        speed = np.linalg.norm(velocity, axis=1)
        columns = {**super().columns(part, ids), "speed_kmh": 3.6 * speed}
        if self._over_time:
            doppler = speed * self.metas[part].carrier_hz / SPEED_OF_LIGHT
            return {**columns, "fd_dt_h": doppler * self.params.future * self.metas[part].time_step_s}
        spread = self.dataset(part).read("delay_spread_s", ids).astype(np.float64)
        bandwidth = self.params.future * self.metas[part].subcarrier_spacing_hz
        return {**columns, "delay_spread_ns": 1e9 * spread, "ds_bw": spread * bandwidth}

    def slices(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.str_]]:
        """LoS state, and ranges of speed or of delay spread."""
        column, edges = ("speed_kmh", self.speed_edges) if self._over_time else ("delay_spread_ns", self.delay_edges)
        names = np.array([f"{a:g}-{b:g}" for a, b in pairwise(edges)])
        values = self.columns(part, ids)[column]
        place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(names) - 1)
        los = self.dataset(part).read("los", ids)
        return {**super().slices(part, ids), column: names[place], "los": np.where(los == 1, "LoS", "NLoS")}

    @property
    def _over_time(self) -> bool:
        return bool(self.params.axis == "time")
