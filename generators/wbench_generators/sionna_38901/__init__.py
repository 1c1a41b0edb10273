"""3GPP TR 38.901 stochastic channels on Sionna's public stages: the generator ``sionna-38901``.

The way through the package, one module each:

``params``    the recipe's ``[params]`` table
``topology``  where users are, how fast they move and whether they see the base station (own random streams)
``session``   runs Sionna: topology -> large-scale parameters -> rays (steps 1 to 9 of TR 38.901, 7.5)
``adapter``   Sionna's rays -> the core's :class:`~wbench.channel.rays.Rays` (steps 10 to 12 without the antennas)

The engine's one synthesis does the rest. Importing this package imports neither Sionna nor torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

from wbench.dataset.schema import standard
from wbench.generator import Generator, GeneratorParams, Layout, Session, Synthesis
from wbench_generators.common import grids
from wbench_generators.sionna_38901.adapter import ray_arrays
from wbench_generators.sionna_38901.params import SPEC_VERSION, SionnaParams

__all__ = ["Sionna38901", "SionnaParams"]

#: Standard arrays that a session returns itself; the engine adds what follows from the rays.
LABELS = ("los", "ue_position", "bs_position", "ue_velocity", "ue_id", "scene", "site", "path_gain_db", "k_factor_db")


class Sionna38901(Generator):
    """UMi, UMa, RMa and InH drops of TR 38.901 V19.2, one link per sample, one drop per sample, downlink."""

    version: ClassVar[int] = 1
    Params: ClassVar[type[GeneratorParams]] = SionnaParams

    def layout(self, params: SionnaParams) -> Layout:
        """Arrays and grids of the dataset; see :class:`wbench.generator.Generator`."""
        rays = ray_arrays(params.clusters) if params.store_rays else ()
        return Layout(
            arrays=(*standard(*LABELS), *rays),
            synthesis=Synthesis(
                tx=params.bs.array(),
                rx=params.ue.array(),
                bands=grids(params.bands),
                time_steps=params.time_steps,
                time_step_s=params.time_step_s,
            ),
            attributes={
                "channel_model": f"3GPP TR 38.901 V{SPEC_VERSION}, {params.scenario}",
                "carrier_hz": params.carrier_hz,
                "direction": "downlink: Tx is the base station, Rx the UE",
                "los_definition": "LoS state of the link, TR 38.901 step 2, drawn by wbench and forced on the model",
                "k_factor_definition": "Ricean K factor of TR 38.901 step 4",
                "delay_reference": "the first cluster arrives at 0 s; no absolute time of flight",
            },
        )

    @contextmanager
    def open(self, params: SionnaParams) -> Iterator[Session]:
        """Import Sionna and build its stages; torch computes on one thread until the context closes.

        Raises
        ------
        MissingDependencyError
            Without ``sionna-no-rt`` (or ``sionna``) and ``torch``.
        """
        from wbench_generators.sionna_38901.session import SionnaSession

        session = SionnaSession(params)
        try:
            yield session
        finally:
            session.close()

    def provenance(self) -> dict[str, str]:
        """Versions of Sionna and torch, and of the 38.901 tables."""
        return {
            "sionna": _version("sionna-no-rt", "sionna"),
            "torch": _version("torch"),
            "tr38901": f"v{SPEC_VERSION}",
        }


def _version(*distributions: str) -> str:
    for name in distributions:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "not installed"
