"""LoS/NLoS identification: one channel snapshot → whether there is a line of sight."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from wbench.task.base import FamilyParams, Ids, Radio, Task
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.spec import Part
from wbench_tasks.slicing import by_distance, distance_2d

__all__ = ["LosNlos", "LosNlosParams"]

Complex = npt.NDArray[np.complex64]


class LosNlosParams(FamilyParams):
    """What is withheld.

    Attributes
    ----------
    absolute : bool
        Give the scale g back after the noise: a diagnostic of what path gain alone tells, never ranked.
    """

    absolute: bool = False


class LosNlos(Task):
    """H [time, rx, tx, subcarrier] → label 1 (LoS) or 0 (NLoS), as the dataset's generator defines it.

    The observation is scaled to unit rms: path gain alone would tell LoS. Slices: distance, and the K factor of the
    line of sight, that is the strongest ray against the rest. LoS links with a weak line of sight are those that look
    like NLoS ones; each such slice holds the LoS links of its range of K and all NLoS links.
    """

    Params = LosNlosParams
    label_arrays: tuple[str, ...] = ("los",)
    #: Ranges of K in dB; the model's K in UMi is 9 ± 5 dB (TR 38.901 Table 7.5-6).
    k_ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "k_below_3db": (-np.inf, 3.0),
        "k_3_to_9db": (3.0, 9.0),
        "k_above_9db": (9.0, np.inf),
    }

    def describe(self, radio: Radio) -> ChannelMeta:
        """CFR as it is."""
        return radio.observed(
            (radio.time_steps, radio.rx.ports, radio.tx.ports, radio.subcarriers),
            ("time", "rx", "tx", "subcarrier"),
            classes=2,
        )

    def targets(self, channel: Complex, clean: Complex, rms: npt.NDArray[np.float32], labels: Truth) -> Truth:
        """``label`` int64 [n]; with ``absolute`` also ``gain`` float32 [n], the scale g."""
        label = {"label": labels["los"].astype(np.int64)}
        return {**label, "gain": rms} if self.params.absolute else label

    def columns(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.float64]]:
        """SNR, and ``distance_m`` on the ground."""
        distance = distance_2d(self.read(part, "ue_position", ids), self.read(part, "bs_position", ids))
        return {**super().columns(part, ids), "distance_m": distance}

    def slices(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.str_]]:
        """By SNR, by distance, and by K against all NLoS links."""
        found = {**super().slices(part, ids), "distance": by_distance(self.columns(part, ids)["distance_m"])}
        if "k_factor_db" in self.dataset(part).array_names:
            k, los = self.read(part, "k_factor_db", ids), self.read(part, "los", ids) == 1
            for name, (low, high) in self.k_ranges.items():
                found[name] = np.where(~los | ((k >= low) & (k < high)), "against NLoS", "")
        return found

    def _pair(self, part: Part, ids: Ids) -> tuple[Batch, Truth]:
        batch, truth = super()._pair(part, ids)
        if not self.params.absolute:
            return batch, truth
        gain = truth["gain"]
        noise = None if batch.noise_power is None else batch.noise_power * gain**2
        return replace(batch, x={"H": batch.x["H"] * gain[:, None, None, None, None]}, noise_power=noise), truth
