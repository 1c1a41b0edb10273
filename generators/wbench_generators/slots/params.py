"""Parameters of the generator ``slots``: the grid that every run draws one combination of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wbench.generator import GeneratorParams
from wbench_generators.common import Interval

__all__ = ["MAX_GROUPS", "MAX_LAYERS", "MAX_PILOTS", "MAX_RX", "MAX_TX", "SYMBOLS", "SlotsParams"]

Scenario = Literal["umi", "uma", "rma"]
Positive = Annotated[float, Field(gt=0)]

#: OFDM symbols of a slot (normal cyclic prefix).
SYMBOLS = 14
#: Sizes that ragged arrays are padded to.
MAX_RX, MAX_TX, MAX_LAYERS, MAX_GROUPS, MAX_PILOTS = 4, 8, 4, 100, 4


class SlotsParams(GeneratorParams):
    """Parameters of a link-feature dataset.

    Attributes
    ----------
    slots : int
        Consecutive slots of a run; a sample is a slot.
    scenarios : tuple of {"umi", "uma", "rma"}
    distance_m : dict of str to (float, float)
        2-D distance in m by scenario, uniform.
    numerologies : tuple of (float, float)
        Carrier frequency and subcarrier spacing in Hz.
    snr_db : (float, float)
        Mean SNR of a pilot resource element in dB, uniform.
    speeds_kmh : tuple of float
    antennas : tuple of (int, int)
        (N_T, N_R): N_T 4 or 8 in dual-polarised columns, N_R 1, 2 or 4.
    groups : tuple of int
        Subcarrier groups B.
    group_sizes : tuple of int
        Subcarriers M of a group, a multiple of 12.
    pilots : tuple of tuple of int
        Pilot symbols S of a slot, counted from 0.
    interference_db : (float, float)
        Power of the one interferer over the thermal noise in dB, uniform; it colours the noise.
    doppler_window_s : float
        Least time that a Doppler width is estimated over, in s.
    """

    slots: Annotated[int, Field(ge=1, le=10_000)] = 100
    scenarios: Annotated[tuple[Scenario, ...], Field(min_length=1)]
    distance_m: dict[Scenario, Interval]
    numerologies: Annotated[tuple[tuple[Positive, Positive], ...], Field(min_length=1)]
    snr_db: tuple[float, float]
    speeds_kmh: Annotated[tuple[Annotated[float, Field(gt=0, le=500)], ...], Field(min_length=1)]
    antennas: Annotated[tuple[tuple[Literal[4, 8], Literal[1, 2, 4]], ...], Field(min_length=1)]
    groups: Annotated[tuple[Annotated[int, Field(ge=3, le=MAX_GROUPS)], ...], Field(min_length=1)]
    group_sizes: Annotated[tuple[Annotated[int, Field(ge=12, le=240, multiple_of=12)], ...], Field(min_length=1)]
    pilots: Annotated[
        tuple[Annotated[tuple[int, ...], Field(min_length=2, max_length=MAX_PILOTS)], ...], Field(min_length=1)
    ]
    interference_db: tuple[float, float] = (-10.0, 10.0)
    doppler_window_s: Annotated[float, Field(ge=20e-3, le=1.0)] = 20e-3

    @model_validator(mode="after")
    def _possible(self) -> SlotsParams:
        for name in ("snr_db", "interference_db"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} must be [low, high] with low <= high")
        for symbols in self.pilots:
            if list(symbols) != sorted(set(symbols)) or not 0 <= symbols[0] <= symbols[-1] < SYMBOLS:
                raise ValueError(f"pilots are increasing symbol numbers below {SYMBOLS}")
        missing = set(self.scenarios) - set(self.distance_m)
        if missing:
            raise ValueError(f"distance_m lacks {sorted(missing)}")
        if any(self.distance_m[scenario][0] <= 0 for scenario in self.scenarios):
            raise ValueError("distance_m must be positive")
        return self
