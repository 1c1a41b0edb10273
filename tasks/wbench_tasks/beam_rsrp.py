"""Beam prediction c: RSRP of a few beams, in steps of 1 dB → the best beam of a larger set, one sweep, one band.

The spatial-domain downlink beam prediction that TR 38.843 calls BM-Case 1: Set B is measured, Set A is predicted.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from wbench.channel.array import Array
from wbench.channel.codebooks import steered_codebook
from wbench.errors import SpecError
from wbench.task.base import FamilyParams, Ids, Radio, Task
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.spec import Part
from wbench_tasks.slicing import by_los

__all__ = ["FLOOR_DB", "STEP_DB", "BeamRsrp", "BeamRsrpParams", "set_a_directions"]

Complex = npt.NDArray[np.complex64]

#: Resolution of a report in dB.
STEP_DB = 1.0
#: Lowest report: what is weaker than this below the strongest beam reads as this.
FLOOR_DB = -100.0


class BeamRsrpParams(FamilyParams):
    """The two sets of beams.

    Attributes
    ----------
    azimuths, span_deg : int, float
        Set A has this many azimuths, equally spaced from −span to +span, both included, in degrees.
    zeniths_deg : tuple of float
        Zenith angles of Set A in degrees. Beam number = azimuth · zeniths + zenith.
    set_b : tuple of int
        Numbers of the beams of Set A that are measured, ascending.
    """

    azimuths: int = Field(16, ge=2)
    span_deg: float = Field(60.0, gt=0, le=90)
    zeniths_deg: tuple[Annotated[float, Field(ge=0, le=180)], ...] = Field((91.0, 98.0, 108.0, 125.0), min_length=1)
    set_b: tuple[int, ...] = Field(min_length=1)

    @property
    def beams(self) -> int:
        """Size of Set A."""
        return self.azimuths * len(self.zeniths_deg)

    @model_validator(mode="after")
    def _inside(self) -> BeamRsrpParams:
        if list(self.set_b) != sorted(set(self.set_b)):
            raise ValueError("set_b must be ascending, without repetition")
        if self.set_b[0] < 0 or self.set_b[-1] >= self.beams:
            raise ValueError(f"set_b must be beams of Set A, 0 to {self.beams - 1}")
        return self


def set_a_directions(params: BeamRsrpParams) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Azimuth and zenith of every beam of Set A in rad, in the array's own frame: float64 [beams] each."""
    azimuth = np.radians(np.linspace(-params.span_deg, params.span_deg, params.azimuths))
    zenith = np.radians(params.zeniths_deg)
    return np.repeat(azimuth, len(zenith)), np.tile(zenith, len(azimuth))


class BeamRsrp(Task):
    """``x["rsrp"]`` float32 [n, |B|] in dB → label: the beam of Set A with the largest RSRP.

    What is observed is the received signal of each beam of Set B on each resource element, with noise at the task's
    SNR (relative to the sample's mean over Set B). The RSRP of a beam is the mean power over its resource elements, as
    TS 38.215 §5.1 defines it for SS blocks. Reports are relative to the sample's strongest one, so that absolute gain
    is withheld, and rounded to 1 dB: the largest is always 0. Which beams they belong to is the task's ``set_b``.
    """

    Params = BeamRsrpParams

    @cached_property
    def _codebook(self) -> Complex:
        tx = self.meta.tx
        return steered_codebook(Array(tx.rows, tx.cols, dv=tx.dv, dh=tx.dh), *set_a_directions(self.params))

    def describe(self, radio: Radio) -> ChannelMeta:
        """One report per beam of Set B; the array is the base station's."""
        if radio.tx.polarisations != 1:
            raise SpecError("The beams are for one polarisation.", where=self.spec.name, why=f"the dataset: {radio.tx}")
        p: BeamRsrpParams = self.params
        return radio.observed((len(p.set_b),), ("beam",), classes=p.beams)

    def transform(self, channel: Complex) -> Complex:
        """Received signal of every beam of Set A: complex64 [n, time, rx, beam, subcarrier]."""
        # A stack of products, one per snapshot and sample: their bits do not depend on the batch.
        return np.ascontiguousarray(self._codebook.T) @ channel

    def observe(self, clean: Complex) -> tuple[Complex, npt.NDArray[np.bool_] | None]:
        """Set B."""
        return clean[:, :, :, list(self.params.set_b)], None

    def targets(self, channel: Complex, clean: Complex, rms: npt.NDArray[np.float32], labels: Truth) -> Truth:
        """``rsrp`` float64 [n, beams], linear, clean; ``label`` int64 [n], its argmax."""
        rsrp = _rsrp(clean)
        return {"rsrp": rsrp, "label": np.argmax(rsrp, axis=1).astype(np.int64)}

    def slices(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.str_]]:
        """SNR and LoS state."""
        return {**super().slices(part, ids), "los": by_los(self.read(part, "los", ids))}

    def _pair(self, part: Part, ids: Ids) -> tuple[Batch, Truth]:
        batch, truth = super()._pair(part, ids)
        power = _rsrp(batch.x["H"])
        with np.errstate(divide="ignore"):
            report = 10.0 * np.log10(power / power.max(axis=1, keepdims=True))
        steps = np.round(np.maximum(report, FLOOR_DB) / STEP_DB) * STEP_DB + 0.0  # + 0: no negative zeros
        return replace(batch, x={"rsrp": steps.astype(np.float32)}), truth


def _rsrp(received: Complex) -> npt.NDArray[np.float64]:
    """Mean power over snapshots, receive ports and subcarriers: float64 [n, beam]."""
    power = received.real.astype(np.float64) ** 2 + received.imag.astype(np.float64) ** 2
    mean: npt.NDArray[np.float64] = np.ascontiguousarray(np.moveaxis(power, 3, 1)).mean(axis=(2, 3, 4))
    return mean
