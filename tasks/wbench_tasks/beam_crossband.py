"""Beam prediction a: the channel at a low carrier → the best beam at a high one (Alrabeiah & Alkhateeb, 2020)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from wbench.channel.codebooks import beam_rsrp, dft_codebook
from wbench.errors import SpecError
from wbench.task.base import FamilyParams, Ids, Radio, Task
from wbench.task.batch import ChannelMeta, Truth
from wbench.task.spec import Part
from wbench_tasks.slicing import by_distance, by_los, distance_2d

__all__ = ["BeamCrossband", "BeamCrossbandParams"]


class BeamCrossbandParams(FamilyParams):
    """The high band and its codebook.

    Attributes
    ----------
    target : str
        Channel array of the high band, at a ULA beside that of the low band.
    beams, elements : int
        The DFT codebook: beams, uniform in sin-space, on the elements of the ULA.
    inputs : {"channel", "position"}
        ``position`` adds ``x["ue_position"]``, float32 [n, 3] in m, relative to the base station and turned into its
        array's frame (boresight along x). It is an input type of its own, never ranked with the other.
    """

    target: str = "channel_28ghz"
    beams: int = Field(64, ge=2)
    elements: int = Field(64, ge=2)
    inputs: Literal["channel", "position"] = "channel"


class BeamCrossband(Task):
    """H at the low carrier [time, rx, tx, subcarrier] → label: the beam with the largest RSRP at the high carrier.

    RSRP is the energy over subcarriers of the clean channel, so the label does not depend on delay or phase.
    """

    Params = BeamCrossbandParams

    @property
    def label_arrays(self) -> tuple[str, ...]:
        """The high band."""
        return (self.params.target,)

    def describe(self, radio: Radio) -> ChannelMeta:
        """CFR of the low band as it is."""
        p: BeamCrossbandParams = self.params
        high = Radio.of(self.dataset("test"), p.target)
        if not high.tx.ports == high.tx.cols == p.elements:
            why = f"{p.target} has {high.tx}"
            raise SpecError(f"The codebook is for a Tx ULA of {p.elements} elements.", where=self.spec.name, why=why)
        return radio.observed(radio.shape, ("time", "rx", "tx", "subcarrier"), classes=p.beams)

    def usable(self, part: Part, ids: Ids) -> npt.NDArray[np.bool_]:
        """Samples with a path in both bands."""
        name = f"path_gain_db_{self.params.target.split('_')[1]}"
        seen = super().usable(part, ids)
        if name in self.dataset(part).array_names:
            seen &= np.isfinite(self.read(part, name, ids))
        return seen

    def side_inputs(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[Any]]:
        """The position in the array's frame, if the instance shows it."""
        if self.params.inputs == "channel":
            return {}
        ue, bs = self.read(part, "ue_position", ids), self.read(part, "bs_position", ids)
        bearing = self.read(part, "tx_orientation", ids)[:, 0].astype(np.float64)
        step = (ue - bs).astype(np.float64)
        turned = (step[:, 0] + 1j * step[:, 1]) * np.exp(-1j * bearing)
        return {"ue_position": np.stack([turned.real, turned.imag, step[:, 2]], axis=1).astype(np.float32)}

    def targets(
        self,
        channel: npt.NDArray[np.complex64],
        clean: npt.NDArray[np.complex64],
        rms: npt.NDArray[np.float32],
        labels: Truth,
    ) -> Truth:
        """``rsrp`` float64 [n, beams], linear, relative to the best; ``label`` int64 [n], its argmax."""
        rsrp = beam_rsrp(labels[self.params.target], dft_codebook(self.params.elements, self.params.beams))
        label = np.argmax(rsrp, axis=1).astype(np.int64)
        return {"rsrp": rsrp / rsrp[np.arange(len(rsrp)), label][:, None], "label": label}

    def slices(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.str_]]:
        """By SNR, line of sight and distance."""
        distance = distance_2d(self.read(part, "ue_position", ids), self.read(part, "bs_position", ids))
        own = {"los": by_los(self.read(part, "los", ids)), "distance": by_distance(distance)}
        return super().slices(part, ids) | own
