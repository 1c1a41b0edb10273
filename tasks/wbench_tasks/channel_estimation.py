"""Channel estimation: noisy pilots of one slot → the clean channel on the whole resource grid."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from wbench.errors import SpecError
from wbench.task.base import FamilyParams, Radio, Task
from wbench.task.batch import ChannelMeta, Truth
from wbench.task.spec import Part

__all__ = ["ChannelEstimation", "ChannelEstimationParams"]

Complex = npt.NDArray[np.complex64]
Ids = npt.NDArray[np.int64]


class ChannelEstimationParams(FamilyParams):
    """Where the pilots lie on the resource grid.

    Attributes
    ----------
    pilot_symbols : tuple of int
        OFDM symbols with pilots, rising.
    comb : int
        One pilot on every ``comb``-th subcarrier.
    offset : int
        First subcarrier with a pilot.
    """

    pilot_symbols: tuple[int, ...] = Field((2, 11), min_length=1)
    comb: int = Field(4, ge=1)
    offset: int = Field(0, ge=0)

    @field_validator("pilot_symbols")
    @classmethod
    def _rising(cls, symbols: tuple[int, ...]) -> tuple[int, ...]:
        if symbols[0] < 0 or any(a >= b for a, b in pairwise(symbols)):
            raise ValueError("pilot symbols are rising and not negative")
        return symbols


class ChannelEstimation(Task):
    """H [time, rx, tx, subcarrier] with the pilots observed → all of H.

    Every transmit antenna has pilots of its own on the same comb, taken to be orthogonal to those of the others (by
    code or by turns, TS 38.211, 7.4.1.1.2), and of modulus one: an observed entry is the channel plus noise of the
    task's SNR per pilot. The whole grid is scored, pilots included: an estimator takes their noise down too.
    """

    Params = ChannelEstimationParams
    #: Observed entries count as well (the default of ``reconstruct`` tasks is ``"open"``).
    scored: ClassVar[Literal["open", "all"]] = "all"
    #: Edges of the speed slices in km/h.
    speed_edges: ClassVar[tuple[float, ...]] = (0, 30, 60, 90, 400)

    def describe(self, radio: Radio) -> ChannelMeta:
        """CFR of the slot."""
        p = self.params
        if p.pilot_symbols[-1] >= radio.time_steps or p.offset >= radio.subcarriers:
            why = f"symbols {p.pilot_symbols} from subcarrier {p.offset} on {radio.time_steps} x {radio.subcarriers}"
            raise SpecError("The pilots lie outside the grid.", where=self.spec.name, why=why)
        return radio.observed(
            (radio.time_steps, radio.rx.ports, radio.tx.ports, radio.subcarriers), ("time", "rx", "tx", "subcarrier")
        )

    def observe(self, clean: Complex) -> tuple[Complex, npt.NDArray[np.bool_] | None]:
        """The pilots, on all antennas."""
        mask = np.zeros(clean.shape[1:], dtype=bool)
        for symbol in self.params.pilot_symbols:
            mask[symbol, ..., self.params.offset :: self.params.comb] = True
        return clean, mask

    def targets(self, channel: Complex, clean: Complex, rms: npt.NDArray[np.float32], labels: Truth) -> Truth:
        """``H`` complex64 [n, time, rx, tx, subcarrier]."""
        return {"H": clean}

    def columns(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.float64]]:
        """SNR and ``speed_kmh``."""
        velocity = self.dataset(part).read("ue_velocity", ids).astype(np.float64)
        return {**super().columns(part, ids), "speed_kmh": 3.6 * np.linalg.norm(velocity, axis=1)}

    def slices(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.str_]]:
        """SNR, speed ranges and LoS state."""
        speed = self.columns(part, ids)["speed_kmh"]
        names = np.array([f"{a:g}-{b:g}" for a, b in pairwise(self.speed_edges)])
        place = np.clip(np.searchsorted(self.speed_edges, speed, side="right") - 1, 0, len(names) - 1)
        los = self.dataset(part).read("los", ids)
        return {
            **super().slices(part, ids),
            "speed_kmh": names[place],
            "los": np.where(los == 1, "LoS", "NLoS"),
        }
