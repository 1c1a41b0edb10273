"""CSI feedback: compress the downlink channel at the UE, rebuild it at the base station."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field
from wbench.channel.angular_delay import antenna_to_angle, subcarrier_to_delay
from wbench.task.base import FamilyParams, Radio, Task
from wbench.task.batch import ChannelMeta, Truth

__all__ = ["FeedbackBits", "FeedbackBitsParams", "FeedbackRatio", "FeedbackRatioParams"]

Complex = npt.NDArray[np.complex64]


class FeedbackRatioParams(FamilyParams):
    """Delay rows that are kept: ``first_row`` … ``first_row + rows − 1`` (negative rows wrap)."""

    first_row: int = -4
    rows: int = Field(32, ge=1)


class FeedbackRatio(Task):
    """Angular-delay image [delay, angle] of a single-receive-antenna channel → the same, through a few reals.

    Both transforms are unitary, so the error in the image is the error of the channel, up to the cropped rows whose
    energy is the target ``outside``.
    """

    Params = FeedbackRatioParams

    def describe(self, radio: Radio) -> ChannelMeta:
        """The cropped image."""
        return ChannelMeta(
            shape=(self.params.rows, radio.tx.ports),
            dims=("delay", "angle"),
            carrier_hz=radio.carrier_hz,
            subcarrier_spacing_hz=radio.spacing_hz,
            time_step_s=radio.time_step_s,
            tx=radio.tx,
            rx=radio.rx,
        )

    def transform(self, channel: Complex) -> Complex:
        """CFR [n, 1, 1, tx, subcarrier] → [n, delay, angle]."""
        image = antenna_to_angle(subcarrier_to_delay(channel[:, 0, 0]), axis=-2)
        kept = np.arange(self.params.first_row, self.params.first_row + self.params.rows) % channel.shape[-1]
        return np.ascontiguousarray(np.swapaxes(image[..., kept], -1, -2))

    def targets(self, channel: Complex, clean: Complex, rms: npt.NDArray[np.float32], labels: Truth) -> Truth:
        """``H`` complex64 [n, delay, angle]; ``outside`` float64 [n], energy of the cropped rows in the same scale."""
        total = _energy(channel) / rms.astype(np.float64) ** 2
        return {"H": clean, "outside": np.maximum(total - _energy(clean), 0.0)}


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
        return ChannelMeta(
            shape=(self.params.subbands, radio.tx.ports),
            dims=("subband", "port"),
            carrier_hz=radio.carrier_hz,
            subcarrier_spacing_hz=radio.spacing_hz,
            time_step_s=radio.time_step_s,
            tx=radio.tx,
            rx=radio.rx,
        )

    def transform(self, channel: Complex) -> Complex:
        """CFR [n, 1, rx, tx, subcarrier] → [n, subband, port]."""
        n, _, rx, tx, subcarriers = channel.shape
        per_band = subcarriers // self.params.subbands
        h = channel[:, 0, :, :, : per_band * self.params.subbands].reshape(n, rx, tx, self.params.subbands, per_band)
        # The right singular vectors of the stacked [rx·subcarrier, tx] matrix are the eigenvectors of Σ HᴴH.
        stacked = h.transpose(0, 3, 1, 4, 2).reshape(n, self.params.subbands, rx * per_band, tx)
        _, _, vh = np.linalg.svd(stacked.astype(np.complex128), full_matrices=False)
        vector = vh[:, :, 0].conj()
        largest = np.take_along_axis(vector, np.argmax(np.abs(vector), axis=-1)[..., None], axis=-1)
        return (vector * (np.abs(largest) / largest)).astype(np.complex64)

    def targets(self, channel: Complex, clean: Complex, rms: npt.NDArray[np.float32], labels: Truth) -> Truth:
        """``H`` complex64 [n, subband, port]."""
        return {"H": clean}


def _energy(values: Complex) -> npt.NDArray[np.float64]:
    flat = values.reshape(len(values), -1)
    return np.sum(flat.real.astype(np.float64) ** 2 + flat.imag.astype(np.float64) ** 2, axis=1)
