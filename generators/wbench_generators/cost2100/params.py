"""Parameters of the generator ``cost2100``: the recipe's ``[params]`` table."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from wbench.channel.synthesis import Grid
from wbench.generator import GeneratorParams
from wbench_generators.common import ArrayParams

__all__ = ["IMAGE", "KNOWN_COPY", "CostParams"]

#: Name of the truncated channel's array.
IMAGE: Final = "csi_delay_angle"
#: Digest of the functions of COST 2100 (version 3.1, commit bafca0b) that wbench calls; see ``installed.copy_digest``.
KNOWN_COPY: Final = "sha256:816aae967921cde397d83abca37c0238f16a206caedf8bfd063f7b19f24483ce"


class CostParams(GeneratorParams):
    """Parameters of a dataset that COST 2100 simulates: one base station, users in a square around it.

    Attributes
    ----------
    network : {"IndoorHall_5GHz", "SemiUrban_300MHz"}
        COST 2100's parameter set.
    scenario : {"LOS", "NLOS"}
        Its scenario. The indoor hall has ``LOS`` only, and no line of sight in it: its measurements were obstructed.
    carrier_hz, bandwidth_hz : float
        Centre and width of the band in Hz.
    subcarriers : int
        Number of subcarriers K on the band; their spacing is ``bandwidth_hz / K``.
    square_m : float
        Edge of the square in m; users are uniform in it, the base station is in its middle.
    users_per_environment : int
        Users that share an environment (visibility regions, clusters). ``site`` numbers environments.
    bs : ArrayParams
        Array of the base station, Tx. COST 2100's amplitudes have no polarisation here: vertical only.
    delay_rows : int
        Delay rows 0 … that are kept as ``csi_delay_angle``; 0 stores the whole CFR as ``channel`` instead.
    copy_digest : str
        Digest of the copy of COST 2100 that may be used. A dataset of a modified copy has another spec digest.
    """

    network: Literal["IndoorHall_5GHz", "SemiUrban_300MHz"]
    scenario: Literal["LOS", "NLOS"] = "LOS"
    carrier_hz: Annotated[float, Field(ge=1e8, le=1e11)]
    bandwidth_hz: Annotated[float, Field(gt=0, le=1e9)] = 20e6
    subcarriers: Annotated[int, Field(ge=1, le=16384)] = 1024
    square_m: Annotated[float, Field(gt=0, le=1000)]
    users_per_environment: Annotated[int, Field(ge=1, le=10_000)] = 20
    bs: ArrayParams = ArrayParams(rows=1, cols=32)
    delay_rows: Annotated[int, Field(ge=0)] = 32
    copy_digest: Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")] = KNOWN_COPY

    @model_validator(mode="after")
    def _possible(self) -> CostParams:
        if self.network == "IndoorHall_5GHz" and self.scenario != "LOS":
            raise ValueError("IndoorHall_5GHz has the scenario 'LOS' only")
        if self.bs.polarisation != "V":
            raise ValueError("COST 2100's amplitudes are those of one polarisation: bs.polarisation must be 'V'")
        if self.delay_rows > self.subcarriers:
            raise ValueError("delay_rows must not exceed subcarriers")
        if self.bandwidth_hz >= 2 * self.carrier_hz:
            raise ValueError("bandwidth_hz must be below twice carrier_hz")
        return self

    @property
    def grid(self) -> Grid:
        """Subcarriers: the first at the lower edge of the band, as COST 2100 counts them."""
        return Grid(self.subcarriers, self.bandwidth_hz / self.subcarriers, -self.bandwidth_hz / 2)

    @property
    def band_hz(self) -> tuple[float, float]:
        """Edges of the band in Hz."""
        return self.carrier_hz - self.bandwidth_hz / 2, self.carrier_hz + self.bandwidth_hz / 2
