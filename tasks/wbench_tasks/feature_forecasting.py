"""Forecasting of link features: five slots of estimated features → the true feature of the next or of a hidden slot."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from wbench.dataset.ragged import as_complex
from wbench.errors import SpecError
from wbench.task.base import FamilyParams, Ids, Radio, Task
from wbench.task.batch import ArrayMeta, Batch, ChannelMeta, Truth
from wbench.task.spec import Part
from wbench_tasks.slicing import by_los

__all__ = ["FEATURES", "SLOTS", "STEPS", "FeatureForecasting", "FeatureParams", "real_parts"]

#: Slots of a datapoint.
SLOTS: Final = 5
#: Features and the steps that they are reported in: an error below half a step is none. A step of 0: a class of its own
#: (rank) or a codebook (precoder), whose metrics count whole errors.
STEPS: Final[dict[str, float]] = {
    "noise_covariance": 2.0**-10,  # of the mean noise power
    "frequency_correlation": 2.0**-10,
    "time_covariance": 2.0**-10,  # of the mean channel power
    "time_correlation": 2.0**-10,
    "delay_centre": 1e-9,  # s
    "delay_length": 1e-9,  # s
    "doppler_width": 1.0,  # Hz
    "precoder": 0.0,
    "rank": 0.0,
    "spectral_efficiency": 0.01,  # bit/s/Hz
}
FEATURES: Final = tuple(STEPS)
#: Power-like features: input and target are divided by the mean of the observed diagonals.
COVARIANCES: Final = ("noise_covariance", "time_covariance")
#: Mask array of the features that have a size of their own in each run.
MASKS: Final = {
    "noise_covariance": "antenna_mask",
    "frequency_correlation": "group_mask",
    "time_covariance": "pilot_mask",
    "time_correlation": "pilot_mask",
    "precoder": "precoder_mask",
}
#: Numerology that a model may know: dataset arrays that are constant over a run.
NUMEROLOGY: Final = ("carrier_hz", "subcarrier_spacing_hz", "group_size", "pilot_set")
SNR_EDGES: Final = (10.0, 20.0)


class FeatureParams(FamilyParams):
    """Which feature, and when.

    Attributes
    ----------
    feature : str
        One of :data:`FEATURES`.
    mode : {"forecast", "interpolate"}
        The slot after the five, or one of the five that is hidden.
    hidden : int
        Which one, from 0.
    """

    feature: Literal[
        "noise_covariance",
        "frequency_correlation",
        "time_covariance",
        "time_correlation",
        "delay_centre",
        "delay_length",
        "doppler_width",
        "precoder",
        "rank",
        "spectral_efficiency",
    ]
    mode: Literal["forecast", "interpolate"]
    hidden: int = Field(2, ge=0, lt=SLOTS)


class FeatureForecasting(Task):
    """Five consecutive slots of all estimated features → one true feature of one slot.

    A batch holds, for each feature, ``"<feature>"`` [n, 5, …] (complex64 where it has dimensions, float32 otherwise),
    padded with zeros, and ``"<feature>_mask"`` bool of the same shape: false in the padding and in a hidden slot.
    Beside them ``"snr_db"`` float32 [n, 5], as estimated, and the numerology :data:`NUMEROLOGY`, float32 [n]. There is
    no ``"H"``. The frequency correlation is the first column of its Toeplitz matrix.
    """

    Params = FeatureParams
    scale = False

    @property
    def links(self) -> int:
        """Slots of a datapoint; runs are cut into datapoints that do not overlap."""
        return SLOTS

    @cached_property
    def meta(self) -> ChannelMeta:
        """Number of outputs. The numerology differs from run to run and is among the inputs."""
        for part in self.spec.views:
            slots = self.dataset(part).attributes.get("slots_per_run")
            if not isinstance(slots, int) or slots % SLOTS:
                raise SpecError(f"The dataset has no runs of {SLOTS}-slot datapoints.", where=self.spec.name)
        outputs = int(np.prod(self.dataset("test").array(f"{self.params.feature}_true").shape[1:], dtype=np.int64))
        one = ArrayMeta(1, 1)
        return ChannelMeta((SLOTS,), ("slot",), 0.0, 0.0, 0.0, one, one, outputs=outputs)

    def describe(self, radio: Radio) -> ChannelMeta:
        """The same metadata: a dataset of features has no channel to describe."""
        return self.meta

    def usable(self, part: Part, ids: Ids) -> npt.NDArray[np.bool_]:
        """Datapoints whose target slot lies in the same run."""
        if self.params.mode == "interpolate":
            return np.ones(len(ids), dtype=bool)
        site = self.dataset(part).read("site", np.arange(len(self.dataset(part))))
        after = np.minimum(ids + SLOTS, len(site) - 1)
        return np.asarray((site[after] == site[ids]) & (after == ids + SLOTS))

    def _pair(self, part: Part, ids: Ids) -> tuple[Batch, Truth]:
        seen = np.ones(SLOTS, dtype=bool)
        if self.params.mode == "interpolate":
            seen[self.params.hidden] = False
        x: dict[str, npt.NDArray[Any]] = {}
        for feature in FEATURES:
            values, mask = self._feature(part, feature, ids)
            mask = mask & seen.reshape(-1, *(1,) * (mask.ndim - 2))
            x[feature], x[f"{feature}_mask"] = np.where(mask, values, values.dtype.type(0)), mask
        levels = {name: _level(x[name], x[f"{name}_mask"]) for name in COVARIANCES}
        signal, noise = (levels[name] for name in ("time_covariance", "noise_covariance"))
        ratio = np.divide(signal, noise, out=np.ones_like(signal), where=noise > 0)
        x["snr_db"] = np.where(seen, 10.0 * np.log10(ratio), 0.0).astype(np.float32)
        scale = {name: levels[name][:, seen].mean(axis=1) for name in COVARIANCES}
        for name in COVARIANCES:
            x[name] = (x[name] / scale[name][:, None, None, None]).astype(np.complex64)
        dataset = self.dataset(part)
        x |= {name: dataset.read(name, ids).astype(np.float32) for name in NUMEROLOGY}
        return Batch(ids, x, None, self.meta), self._target(part, ids, scale.get(self.params.feature))

    def _feature(self, part: Part, name: str, ids: Ids) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        values = self.read(part, name, ids)
        if name in MASKS:
            return as_complex(values), np.asarray(self.read(part, MASKS[name], ids), dtype=bool)
        return values.astype(np.float32), np.ones(values.shape, dtype=bool)

    def _target(self, part: Part, ids: Ids, scale: npt.NDArray[np.float64] | None) -> Truth:
        p: FeatureParams = self.params
        dataset = self.dataset(part)
        rows = ids + (SLOTS if p.mode == "forecast" else p.hidden)
        values = dataset.read(f"{p.feature}_true", rows)
        n = len(ids)
        truth: Truth = {"step": np.full(n, STEPS[p.feature])}
        if p.feature not in MASKS:
            return truth | {
                "target": values.astype(np.float64)[:, None],
                "target_mask": np.ones((n, 1), dtype=bool),
            }
        mask = dataset.read("precoder_true_mask" if p.feature == "precoder" else MASKS[p.feature], rows)
        target = as_complex(values).astype(np.complex128)
        if scale is not None:
            target /= scale[:, None, None]
        if p.feature == "precoder":
            truth["precoder"] = target
        return truth | {"target": real_parts(target), "target_mask": np.tile(mask.reshape(n, -1), 2)}

    def targets(
        self,
        channel: npt.NDArray[np.complex64],
        clean: npt.NDArray[np.complex64],
        rms: npt.NDArray[np.float32],
        labels: Truth,
    ) -> Truth:
        """Targets are read beside the observation: there is no channel to make them of."""
        raise SpecError("The family has no channel.", where=self.spec.name)

    def slices(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.str_]]:
        """By speed, SNR, scenario and line of sight."""
        dataset = self.dataset(part)
        names = dataset.attributes["grid"]["scenarios"]
        bins = np.array(["0-10 dB", "10-20 dB", "20-30 dB"])
        return {
            "speed": np.array([f"{value:g} km/h" for value in dataset.read("speed_kmh", ids)]),
            "snr": bins[np.searchsorted(SNR_EDGES, dataset.read("snr_db", ids), side="right")],
            "scenario": np.array([names[value] for value in dataset.read("scenario", ids)]),
            "los": by_los(dataset.read("los", ids)),
        }


def real_parts(values: npt.NDArray[np.complexfloating[Any, Any]]) -> npt.NDArray[Any]:
    """All real parts, then all imaginary parts: [n, …] complex → [n, 2 m] real, the layout of targets and answers."""
    flat = values.reshape(len(values), -1)
    return np.concatenate([flat.real, flat.imag], axis=1)


def _level(matrices: npt.NDArray[np.complex64], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Mean of the valid diagonal: float64 [n, slots]; 0 in a hidden slot."""
    diagonal = np.diagonal(matrices, axis1=2, axis2=3).real.astype(np.float64)
    count = np.diagonal(mask, axis1=2, axis2=3).sum(axis=2)
    return np.asarray(np.divide(diagonal.sum(axis=2), count, out=np.zeros(count.shape), where=count > 0))
