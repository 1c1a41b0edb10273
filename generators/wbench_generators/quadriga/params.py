"""Parameters of the generator ``quadriga``: the recipe's ``[params]`` table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wbench_generators.quadriga.installed import QUADRIGA
from wbench_generators.sionna_38901.params import BS_HEIGHT_M, SionnaParams

__all__ = ["CONFIGURATIONS", "TABLES", "PowerNorm", "QuadrigaParams"]

#: What QuaDRiGa calls each scenario in LoS and NLoS.
CONFIGURATIONS: dict[str, tuple[str, str]] = {
    "umi": ("3GPP_38.901_UMi_LOS", "3GPP_38.901_UMi_NLOS"),
    "uma": ("3GPP_38.901_UMa_LOS", "3GPP_38.901_UMa_NLOS"),
    "rma": ("3GPP_38.901_RMa_LOS", "3GPP_38.901_RMa_NLOS"),
    "inh-open": ("3GPP_38.901_Indoor_LOS", "3GPP_38.901_Indoor_NLOS"),
    "inh-mixed": ("3GPP_38.901_Indoor_LOS", "3GPP_38.901_Indoor_NLOS"),
    "inf-sl": ("3GPP_38.901_InF_LOS", "3GPP_38.901_InF_NLOS_SL"),
    "inf-dl": ("3GPP_38.901_InF_LOS", "3GPP_38.901_InF_NLOS_DL"),
    "inf-sh": ("3GPP_38.901_InF_LOS", "3GPP_38.901_InF_NLOS_SH"),
    "inf-dh": ("3GPP_38.901_InF_LOS", "3GPP_38.901_InF_NLOS_DH"),
}
#: Version of the TR 38.901 tables in QuaDRiGa's configurations.
TABLES = "16.1.0"

Scenario = Literal["umi", "uma", "rma", "inh-open", "inh-mixed", "inf-sl", "inf-dl", "inf-sh", "inf-dh"]
PowerNorm = Literal["none", "causal", "track"]


class QuadrigaParams(SionnaParams):
    """Parameters of a QuaDRiGa dataset: those of ``sionna-38901`` and what QuaDRiGa adds.

    Attributes
    ----------
    scenario : str
        A key of :data:`CONFIGURATIONS`. The indoor factories ask for ``bs_height_m`` and a ``los`` that is not
        ``"model"``: both depend on the hall.
    power_norm : {"none", "causal", "track"}
        Power of each cluster on each antenna. ``none``: the plain sum of rays of TR 38.901. ``track``: QuaDRiGa's own,
        rescaled so that its mean over all snapshots is nominal. ``causal``: the same with the mean over the first
        ``norm_steps`` snapshots, so that these do not depend on what comes later.
    norm_steps : int
        Snapshots of ``causal``, by default the first half.
    copy_digest : str
        Digest of the copy of QuaDRiGa that may be used; by default that of the tested version.

    Notes
    -----
    The track is a straight line at constant speed, long before anything but phases moves: angles, delays and powers
    are those of its first point (QuaDRiGa's 3GPP baseline mode). ``store_rays`` is not offered.
    """

    scenario: Scenario  # type: ignore[assignment]  # wider than the parent's: pydantic replaces the field
    power_norm: PowerNorm = "none"
    norm_steps: Annotated[int, Field(ge=1)] | None = None
    copy_digest: str = QUADRIGA.digest

    @model_validator(mode="after")
    def _offered(self) -> QuadrigaParams:
        if self.store_rays:
            raise ValueError("store_rays is not offered by this generator")
        if self.scenario.startswith("inf-") and self.los == "model":
            raise ValueError("in a factory los is 'los', 'nlos' or a probability: the model needs the hall's clutter")
        if self.norm_steps is not None and self.power_norm != "causal":
            raise ValueError("norm_steps belongs to power_norm = 'causal'")
        if self.window > self.time_steps:
            raise ValueError("norm_steps goes beyond time_steps")
        return self

    @property
    def window(self) -> int:
        """Snapshots over which powers are averaged."""
        if self.power_norm == "causal":
            return self.norm_steps or max(1, self.time_steps // 2)
        return self.time_steps

    @property
    def bs_height(self) -> float:
        """Base station height in m: the recipe's or the scenario's."""
        if self.bs_height_m is not None:
            return self.bs_height_m
        if self.scenario not in BS_HEIGHT_M:
            raise ValueError("in a factory bs_height_m has to be given")
        return BS_HEIGHT_M[self.scenario]
