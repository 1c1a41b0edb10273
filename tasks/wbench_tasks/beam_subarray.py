"""Beam prediction b: a few adjacent antennas, noisy → the best beam of the full array in the same band."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from wbench.channel.codebooks import beam_rsrp, dft_codebook
from wbench.errors import SpecError
from wbench.task.base import FamilyParams, Radio, Task
from wbench.task.batch import ArrayMeta, ChannelMeta, Truth

__all__ = ["BeamSubarray", "BeamSubarrayParams"]


class BeamSubarrayParams(FamilyParams):
    """Codebook and observed antennas.

    Attributes
    ----------
    beams, elements : int
        The DFT codebook: beams, uniform in sin-space, on the elements of a full ULA.
    first, observed : int
        First observed antenna and how many adjacent ones.
    """

    beams: int = Field(64, ge=2)
    elements: int = Field(32, ge=2)
    first: int = Field(12, ge=0)
    observed: int = Field(8, ge=1)

    @model_validator(mode="after")
    def _inside(self) -> BeamSubarrayParams:
        if self.first + self.observed > self.elements:
            raise ValueError("the observed antennas lie outside the array")
        return self


class BeamSubarray(Task):
    """H of the observed antennas [time, rx, observed, subcarrier] → label: the beam with the largest RSRP.

    RSRP is the energy over subcarriers, receive ports and snapshots of the clean full-array channel (not a coherent
    mean over subcarriers), so the label does not depend on delay or phase.
    """

    Params = BeamSubarrayParams

    def describe(self, radio: Radio) -> ChannelMeta:
        """The observed sub-array."""
        p: BeamSubarrayParams = self.params
        if not radio.tx.ports == radio.tx.cols == p.elements:
            why = f"the dataset has {radio.tx}"
            raise SpecError(f"The codebook is for a Tx ULA of {p.elements} elements.", where=self.spec.name, why=why)
        return radio.observed(
            (radio.time_steps, radio.rx.ports, p.observed, radio.subcarriers),
            ("time", "rx", "tx", "subcarrier"),
            tx=ArrayMeta(1, p.observed, radio.tx.dv, radio.tx.dh),
            classes=p.beams,
        )

    def observe(
        self, clean: npt.NDArray[np.complex64]
    ) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.bool_] | None]:
        """The adjacent antennas that are listened to."""
        p: BeamSubarrayParams = self.params
        return clean[:, :, :, p.first : p.first + p.observed], None

    def targets(
        self,
        channel: npt.NDArray[np.complex64],
        clean: npt.NDArray[np.complex64],
        rms: npt.NDArray[np.float32],
        labels: Truth,
    ) -> Truth:
        """``rsrp`` float64 [n, beams], linear; ``label`` int64 [n], its argmax."""
        rsrp = beam_rsrp(clean, dft_codebook(self.params.elements, self.params.beams))
        return {"rsrp": rsrp, "label": np.argmax(rsrp, axis=1).astype(np.int64)}
