"""CSI feedback: compress the downlink channel at the UE, rebuild it at the base station."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from wbench.channel.angular_delay import antenna_to_angle, subcarrier_to_delay
from wbench.channel.eigenvectors import dominant_eigenvectors
from wbench.dataset.reader import Dataset
from wbench.errors import SpecError
from wbench.task.base import FamilyParams, Radio, Task
from wbench.task.batch import ChannelMeta, Truth
from wbench.task.spec import TaskSpec

__all__ = ["FeedbackBits", "FeedbackBitsParams", "FeedbackRatio", "FeedbackRatioParams"]

Complex = npt.NDArray[np.complex64]
#: The array of a dataset that holds truncated images and no CFR; the share of the energy it lacks is beside it.
IMAGE = "csi_delay_angle"
CUT = "energy_cut"


class FeedbackRatioParams(FamilyParams):
    """Delay rows that are kept: ``first_row`` … ``first_row + rows − 1`` (negative rows wrap)."""

    first_row: int = -4
    rows: int = Field(32, ge=1)


class FeedbackRatio(Task):
    """Angular-delay image [delay, angle] of a single-receive-antenna channel → the same, through a few reals.

    The image is made from the CFR, or read where the dataset holds truncated images only (``csi_delay_angle``). All
    transforms are unitary, so the error in the image is the error of the channel, up to the cropped rows whose energy
    is the target ``outside``.
    """

    Params = FeedbackRatioParams

    def __init__(self, spec: TaskSpec, datasets: Mapping[str, Dataset]) -> None:
        super().__init__(spec, datasets)
        if spec.channel == IMAGE:
            for recipe, dataset in self.datasets.items():
                self._check_rows(recipe, dataset)

    @property
    def label_arrays(self) -> tuple[str, ...]:
        """The share of the energy that a truncated image lacks."""
        return (CUT,) if self.spec.channel == IMAGE else ()

    def _check_rows(self, recipe: str, dataset: Dataset) -> None:
        """Truncated images cannot be cut anew: the rows that are asked for must be those that are there."""
        band = dataset.attributes.get("radio", {}).get("bands", {}).get(IMAGE, {})
        there, wanted = (band.get("first_row"), band.get("rows")), (self.params.first_row, self.params.rows)
        if there != wanted:
            why = (
                f"{recipe} holds {there[1]} rows from {there[0]} on, the task asks for {wanted[1]} from {wanted[0]} on"
            )
            raise SpecError("The dataset holds other delay rows.", where=f"{self.spec.name} [params]", why=why)

    def describe(self, radio: Radio) -> ChannelMeta:
        """The cropped image."""
        if radio.time_steps != 1 or radio.rx.ports != 1 or radio.tx.ports != radio.tx.cols:
            why = f"{radio.time_steps} snapshots, {radio.rx.ports} Rx ports, Tx array {radio.tx}"
            raise SpecError("The image needs one snapshot, one Rx port and a Tx ULA.", where=self.spec.name, why=why)
        if self.params.rows > radio.subcarriers:
            why = f"{self.params.rows} rows of {radio.subcarriers}"
            raise SpecError("There are fewer delay rows than the image needs.", where=self.spec.name, why=why)
        return radio.observed((self.params.rows, radio.tx.ports), ("delay", "angle"))

    def transform(self, channel: Complex) -> Complex:
        """CFR [n, 1, 1, tx, subcarrier], or image [n, delay, angle] → [n, delay, angle]."""
        if self.spec.channel == IMAGE:
            return channel
        first = self.params.first_row
        # The crop comes before the angle DFT: the two transforms commute, and most delay rows are thrown away.
        rows = subcarrier_to_delay(channel[:, 0, 0], range(first, first + self.params.rows))
        return np.ascontiguousarray(np.swapaxes(antenna_to_angle(rows, axis=-2), -1, -2))

    def targets(self, channel: Complex, clean: Complex, rms: npt.NDArray[np.float32], labels: Truth) -> Truth:
        """``H`` complex64 [n, delay, angle]; ``outside`` float64 [n], energy of the cropped rows in the same scale."""
        kept = _energy(clean)
        if self.spec.channel == IMAGE:
            cut = labels[CUT].astype(np.float64)
            return {"H": clean, "outside": kept * cut / (1.0 - cut)}
        total = _energy(channel) / rms.astype(np.float64) ** 2
        return {"H": clean, "outside": np.maximum(total - kept, 0.0)}


class FeedbackBitsParams(FamilyParams):
    """Sub-bands that the subcarriers are grouped into, for rank 1."""

    subbands: int = Field(13, ge=1)


class FeedbackBits(Task):
    """Dominant eigenvector per sub-band [subband, port] → the same, through real bytes.

    The eigenvectors are those of Σ_k HᴴH over the subcarriers of a sub-band, of norm 1, largest entry real.
    """

    Params = FeedbackBitsParams
    scale: ClassVar[bool] = False

    def describe(self, radio: Radio) -> ChannelMeta:
        """One precoder per sub-band."""
        if radio.time_steps != 1 or radio.subcarriers % self.params.subbands:
            why = f"{radio.time_steps} snapshots, {radio.subcarriers} subcarriers in {self.params.subbands} sub-bands"
            raise SpecError("The precoders need one snapshot and equal sub-bands.", where=self.spec.name, why=why)
        return radio.observed((self.params.subbands, radio.tx.ports), ("subband", "port"))

    def transform(self, channel: Complex) -> Complex:
        """CFR [n, 1, rx, tx, subcarrier] → [n, subband, port]."""
        return dominant_eigenvectors(channel[:, 0], self.params.subbands)

    def targets(self, channel: Complex, clean: Complex, rms: npt.NDArray[np.float32], labels: Truth) -> Truth:
        """``H`` complex64 [n, subband, port]."""
        return {"H": clean}


def _energy(values: Complex) -> npt.NDArray[np.float64]:
    flat = values.reshape(len(values), -1)
    return np.asarray(np.sum(flat.real.astype(np.float64) ** 2 + flat.imag.astype(np.float64) ** 2, axis=1))
