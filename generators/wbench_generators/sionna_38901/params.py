"""Parameters of the generator ``sionna-38901``: the recipe's ``[params]`` table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wbench.generator import GeneratorParams
from wbench_generators.common import ArrayParams, Bands, Interval

__all__ = ["BS_HEIGHT_M", "CLUSTERS", "SPEC_VERSION", "Scenario", "SionnaParams"]

#: Version of the TR 38.901 tables that Sionna is asked for.
SPEC_VERSION = "19.2"

Scenario = Literal["umi", "uma", "rma", "inh-open", "inh-mixed"]

#: Base station height in m where the recipe gives none (Tables 7.2-1 to 7.2-3).
BS_HEIGHT_M: dict[str, float] = {"umi": 10.0, "uma": 25.0, "rma": 35.0, "inh-open": 3.0, "inh-mixed": 3.0}

#: Largest number of clusters over the link states (Table 7.5-6); Sionna pads the others with empty ones.
CLUSTERS: dict[str, int] = {"umi": 19, "uma": 20, "rma": 11, "inh-open": 19, "inh-mixed": 19}


class SionnaParams(GeneratorParams):
    """Parameters of a TR 38.901 dataset.

    Attributes
    ----------
    scenario : {"umi", "uma", "rma", "inh-open", "inh-mixed"}
        Street canyon, urban macro, rural macro, indoor office (open or mixed).
    carrier_hz : float
        Carrier frequency in Hz (0.5 to 100 GHz).
    bs, ue : ArrayParams
        Transmit and receive array. One pose for all samples.
    bands : dict of str to BandParams
        Subcarrier grids by channel array name, all of them on the same rays and carrier.
    time_steps, time_step_s : int, float
        Snapshots per sample and their distance in s. Rays stay, phases turn with the Doppler shift.
    speed_kmh : (float, float)
        Speed of the UE in km/h, uniform; the direction is uniform in azimuth.
    speed_strata_kmh, strata_share : tuple of float, float
        A share of the samples moves at exactly one of these speeds instead, drawn with equal probability.
    bs_height_m, ue_height_m : float
        Heights in m; the base station's default is the scenario's.
    distance_m : (float, float)
        2-D distance in m, uniform.
    sector_deg : float
        Users stand within ± this azimuth of the array's bearing, uniform.
    los : {"model", "los", "nlos"} or float
        LoS state by the model's probability (Table 7.4.2-1), fixed, or LoS with this probability.
    store_rays : bool
        Also store the rays.

    Notes
    -----
    UEs are outdoors, outside of cars; in InH indoors. No O2I loss, blockage or spatial consistency.
    """

    scenario: Scenario
    carrier_hz: Annotated[float, Field(ge=0.5e9, le=100e9)]
    bs: ArrayParams
    ue: ArrayParams = ArrayParams()
    bands: Bands
    time_steps: Annotated[int, Field(ge=1, le=10_000)] = 1
    time_step_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    speed_kmh: Interval = (0.0, 0.0)
    speed_strata_kmh: tuple[Annotated[float, Field(ge=0, le=1000)], ...] = ()
    strata_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    bs_height_m: Annotated[float, Field(gt=0, le=500)] | None = None
    ue_height_m: Annotated[float, Field(ge=1, le=22.5)] = 1.5
    distance_m: Interval
    sector_deg: Annotated[float, Field(gt=0, le=180)] = 60.0
    los: Literal["model", "los", "nlos"] | Annotated[float, Field(ge=0, le=1)] = "model"
    store_rays: bool = False

    @model_validator(mode="after")
    def _possible(self) -> SionnaParams:
        if self.distance_m[0] <= 0 or self.distance_m[1] > 10_000:
            raise ValueError("distance_m must lie in (0, 10000]")
        if self.time_steps > 1 and self.time_step_s <= 0:
            raise ValueError("time_step_s must be positive where time_steps > 1")
        if bool(self.speed_strata_kmh) != (self.strata_share > 0):
            raise ValueError("speed_strata_kmh and strata_share go together")
        if self.ue_height_m >= self.bs_height:
            raise ValueError("the UE must be below the base station")
        return self

    @property
    def bs_height(self) -> float:
        """Base station height in m: the recipe's or the scenario's."""
        return BS_HEIGHT_M[self.scenario] if self.bs_height_m is None else self.bs_height_m

    @property
    def clusters(self) -> int:
        """Clusters per link of Sionna's rays, empty ones included."""
        return CLUSTERS[self.scenario]
