"""Positioning: channels with absolute delay at one or several base stations → where the user is."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from wbench.errors import SpecError
from wbench.task.base import FamilyParams, Ids, Radio, Task
from wbench.task.batch import ChannelMeta, Truth
from wbench.task.spec import Part
from wbench_tasks.slicing import by_distance, by_los, distance_2d

__all__ = ["NOT_HEARD_DB", "Positioning", "PositioningParams"]

C64 = npt.NDArray[np.complex64]
#: RSRP, in dB of path gain, of a base station that has no path to the user; weaker ones are reported as this too.
NOT_HEARD_DB = -200.0


class PositioningParams(FamilyParams):
    """Base stations and their clocks.

    Attributes
    ----------
    base_stations : int
        Links of a user: consecutive samples of the dataset.
    clock_error_ns : float
        Standard deviation of the clock error in ns, Gaussian, one for each base station and sample.
    frame : {"scene", "serving"}
        Coordinates: those of the scene, or of the serving base station (origin below it, x along its boresight),
        which mean the same in every scene.
    """

    base_stations: int = Field(6, ge=1, le=64)
    clock_error_ns: float = Field(10.0, ge=0)
    frame: Literal["scene", "serving"] = "scene"


class Positioning(Task):
    """H [bs, time, rx, tx, subcarrier] with absolute delays → x and y of the user in m.

    Beside ``"H"``, whose links have unit rms each, a batch holds ``"rsrp_db"`` float32 [n, bs] (path gain in steps of
    1 dB; :data:`NOT_HEARD_DB` without a path, and H is 0 there but for noise), ``"bs_position"`` float32 [n, bs, 3] in
    m and ``"bs_bearing"`` float32 [n, bs] in rad. A link's oscillator has a phase of its own.
    """

    Params = PositioningParams

    @property
    def links(self) -> int:
        """Base stations that see a user."""
        return int(self.params.base_stations)

    def describe(self, radio: Radio) -> ChannelMeta:
        """CFRs of all base stations; two outputs."""
        p: PositioningParams = self.params
        if p.frame == "serving" and self.links > 1:
            raise SpecError("The serving frame is for one base station.", where=f"{self.spec.name} [params]")
        seen = self.dataset("test").attributes.get("scenes", [{}])
        if any(entry.get("base_stations", p.base_stations) != p.base_stations for entry in seen):
            why = f"the dataset's scenes have {sorted({entry['base_stations'] for entry in seen})}"
            raise SpecError(f"The task is for {p.base_stations} base stations.", where=self.spec.name, why=why)
        dims = ("bs", "time", "rx", "tx", "subcarrier")
        return radio.observed((self.links, *radio.shape), dims, outputs=2)

    def _by_link(self, part: Part, name: str, ids: Ids) -> npt.NDArray[Any]:
        values = self.read(part, name, ids)
        return values if self.links > 1 else values[:, None]

    def impair(self, channel: C64, part: Part, ids: Ids) -> C64:
        """Each link's clock error and oscillator phase: complex64 [n, bs, time, rx, tx, subcarrier]."""
        meta = self.metas[part]
        channel = channel.reshape(len(ids), *meta.shape)
        draw = self._stream(part, "clock")
        normal = np.array([draw.at(int(i)).standard_normal(self.links) for i in ids])
        draw = self._stream(part, "oscillator")
        turns = np.array([draw.at(int(i)).random(self.links) for i in ids])
        k = np.arange(meta.shape[-1]) - meta.shape[-1] // 2
        error = 1e-9 * self.params.clock_error_ns * normal
        phase = turns[..., None] - error[..., None] * k * meta.subcarrier_spacing_hz
        turn: C64 = np.exp(2j * np.pi * phase).astype(np.complex64)
        return channel * turn[:, :, None, None, None]

    def rms(self, seen: C64) -> npt.NDArray[np.float32]:
        """Of each link: float32 [n, bs]; 1 where there is no path."""
        links = seen.reshape(len(seen), self.links, -1)
        power = np.mean(links.real.astype(np.float64) ** 2 + links.imag.astype(np.float64) ** 2, axis=2)
        return np.asarray(np.sqrt(np.where(power > 0, power, 1.0)), dtype=np.float32)

    def side_inputs(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[Any]]:
        """RSRP and poses of the base stations."""
        gain = self._by_link(part, "path_gain_db", ids).astype(np.float64)
        position = self._by_link(part, "bs_position", ids).astype(np.float32)
        bearing = self._by_link(part, "tx_orientation", ids)[..., 0].astype(np.float32)
        if self.params.frame == "serving":
            position, bearing = position * np.array([0, 0, 1], np.float32), np.zeros_like(bearing)
        rsrp = np.maximum(np.round(gain), NOT_HEARD_DB).astype(np.float32)
        return {"rsrp_db": rsrp, "bs_position": position, "bs_bearing": bearing}

    @property
    def label_arrays(self) -> tuple[str, ...]:
        """Positions, and the pose of the base station where it is the frame."""
        return ("ue_position", "bs_position", "tx_orientation")

    def targets(self, channel: C64, clean: C64, rms: npt.NDArray[np.float32], labels: Truth) -> Truth:
        """``target`` float64 [n, 2]: x and y in m."""
        ue, bs, orientation = (labels[name].astype(np.float64) for name in self.label_arrays)
        if self.links > 1:
            ue = ue[:, 0]
        if self.params.frame == "scene":
            return {"target": ue[:, :2]}
        turned = ((ue - bs)[:, 0] + 1j * (ue - bs)[:, 1]) * np.exp(-1j * orientation[:, 0])
        return {"target": np.stack([turned.real, turned.imag], axis=1)}

    def slices(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.str_]]:
        """By the number of base stations in line of sight; with one base station by line of sight and distance."""
        los = self._by_link(part, "los", ids)
        if self.links > 1:
            count = np.minimum((los == 1).sum(axis=1), 3)
            return super().slices(part, ids) | {"los_links": np.array(["0", "1", "2", "3+"])[count]}
        distance = distance_2d(self.read(part, "ue_position", ids), self.read(part, "bs_position", ids))
        return super().slices(part, ids) | {"los": by_los(los[:, 0]), "distance": by_distance(distance)}
