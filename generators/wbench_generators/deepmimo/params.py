"""Parameters of the generator ``deepmimo``: the recipe's ``[params]`` table."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from wbench.generator import GeneratorParams
from wbench_generators.common import ArrayParams, Bands, Interval

__all__ = ["CarrierPhase", "Convention", "DeepMimoParams", "ScenarioParams"]

Index = Annotated[int, Field(ge=0)]
Indices = Annotated[tuple[Index, ...], Field(min_length=1)]
CarrierPhase = Literal["auto", "add", "stored", "single"]
Convention = Literal["wbench", "deepmimo"]


class ScenarioParams(GeneratorParams):
    """One scenario folder and the transmitter and receiver sets that are read from it.

    Attributes
    ----------
    name : str
        Name of a scenario, looked up in ``$WBENCH_DEEPMIMO`` (else ``./deepmimo_scenarios``), or path of its folder.
    tx_sets, tx_points : tuple of int, optional
        Numbers of the transmitter sets and of the points in each of them; all by default.
    rx_sets : tuple of int, optional
        Numbers of the receiver sets; by default those that do not transmit (base stations often are receivers too).
    digest : str, optional
        Digest that the files must have; see :meth:`~wbench_generators.deepmimo.scenario.Scenario.digest`. Written into
        a recipe, it makes the spec digest follow the files.
    """

    name: Annotated[str, Field(min_length=1)]
    tx_sets: Indices | None = None
    tx_points: Indices | None = None
    rx_sets: Indices | None = None
    digest: Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")] | None = None


def _as_list(value: Any) -> Any:
    """A name, a table, or a list of either → a list of tables."""
    items = value if isinstance(value, list | tuple) else [value]
    return tuple({"name": item} if isinstance(item, str) else item for item in items)


class DeepMimoParams(GeneratorParams):
    """Parameters of a dataset that is read from DeepMIMO v4 scenarios.

    Attributes
    ----------
    scenario : ScenarioParams, or several
        A name, a table or a list of them; several become the scenes 0, 1, … of one dataset.
    carrier_hz : float
        Carrier frequency in Hz; every scenario has to be of it.
    bs, ue : ArrayParams
        Transmit and receive array. Scenarios hold one amplitude per path, vertical to vertical: arrays are vertically
        polarised and may be turned in azimuth, but not tilted.
    bands : dict of str to BandParams
        Subcarrier grids by channel array name.
    max_paths : int
        Paths of a link that are read; files list the strongest first.
    links : {"all", "active"}
        Links without a path are kept (LoS −1, channel 0) or left out.
    order : {"shuffled", "stored"}
        Users in a random order (samples are then a uniform draw of users), or as in the files. The transmitters and
        snapshots of a user are neighbours either way.
    time_steps, time_step_s : int, float
        Snapshots per sample and their distance in s: phases turn with the Doppler shift, paths stay.
    speed_kmh : (float, float)
        Speed of the users of a static scenario in km/h, uniform; the direction is uniform in azimuth.
    snapshot_s : float
        Time between two scenes of a dynamic scenario in s. Velocities then follow from the positions.
    site_m : float
        Edge of the square cells in m that ``site`` numbers: the interval clusters.
    carrier_phase : {"auto", "add", "stored", "single"}
        Whether e^{−j2πf_cτ} is multiplied to the stored phases. DeepMIMO's converter leaves it out for scenes that
        Sionna traced; ``auto`` adds it there and nowhere else, and never in the convention ``deepmimo``. ``single``
        adds it in Sionna's own single precision (up to −55 dB from the true phase), for comparisons with its ``cfr``.
    convention : {"wbench", "deepmimo"}
        ``deepmimo`` gives the numbers of its ``compute_channels``: amplitude over √(subcarriers), phase centre in the
        corner element, first subcarrier on the carrier. Ports stay in wbench's order: see
        :func:`~wbench_generators.deepmimo.paths.deepmimo_ports`.
    total_subcarriers : int, optional
        In the convention ``deepmimo``: all subcarriers of the OFDM symbol, of which the band has a selection.
    store_rays : bool
        Also store the rays.
    """

    scenario: Annotated[tuple[ScenarioParams, ...], BeforeValidator(_as_list), Field(min_length=1)]
    carrier_hz: Annotated[float, Field(ge=1e8, le=1e12)]
    bs: ArrayParams
    ue: ArrayParams = ArrayParams()
    bands: Bands
    max_paths: Annotated[int, Field(ge=1, le=1000)] = 25
    links: Literal["all", "active"] = "all"
    order: Literal["shuffled", "stored"] = "shuffled"
    time_steps: Annotated[int, Field(ge=1, le=10_000)] = 1
    time_step_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    speed_kmh: Interval = (0.0, 0.0)
    snapshot_s: Annotated[float, Field(gt=0)] | None = None
    site_m: Annotated[float, Field(gt=0)] = 40.0
    carrier_phase: CarrierPhase = "auto"
    convention: Convention = "wbench"
    total_subcarriers: Annotated[int, Field(ge=1)] | None = None
    store_rays: bool = False

    @model_validator(mode="after")
    def _possible(self) -> DeepMimoParams:
        for end in (self.bs, self.ue):
            if end.polarisation != "V" or end.downtilt_deg:
                raise ValueError(
                    "DeepMIMO scenarios hold V-V amplitudes only: polarisation 'V' and downtilt 0 at both ends"
                )
        if self.time_steps > 1 and self.time_step_s <= 0:
            raise ValueError("time_step_s must be positive where time_steps > 1")
        if self.convention == "deepmimo" and len(self.bands) > 1:
            raise ValueError("the convention 'deepmimo' scales by the number of subcarriers: one band only")
        if self.convention == "wbench" and self.total_subcarriers is not None:
            raise ValueError("total_subcarriers belongs to the convention 'deepmimo'")
        if self.snapshot_s is not None and self.speed_kmh[1] > 0:
            raise ValueError("velocities come from speed_kmh or from the snapshots, not from both")
        return self
