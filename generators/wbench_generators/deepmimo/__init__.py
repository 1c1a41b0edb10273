"""DeepMIMO v4 scenarios, official or self-made, read from disk: the generator ``deepmimo``.

The way through the package, one module each:

``params``    the recipe's ``[params]`` table
``scenario``  finds a scenario folder and reads its documented files with plain NumPy
``paths``     DeepMIMO's paths -> the core's :class:`~wbench.channel.rays.Rays`; DeepMIMO's conventions
``session``   which user, transmitter and snapshot a sample is; labels
``export``    the other way: the stored rays of a dataset -> a DeepMIMO v4 scenario folder

The ``deepmimo`` package is not needed and never imported: it is the downloader, and the cross-check in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from wbench.channel.synthesis import Grid
from wbench.dataset.schema import ArraySpec, standard
from wbench.errors import SpecError
from wbench.generator import Generator, GeneratorParams, Layout, Session, Synthesis
from wbench_generators.common import grids
from wbench_generators.deepmimo.params import DeepMimoParams, ScenarioParams
from wbench_generators.deepmimo.paths import adds_carrier_phase, deepmimo_ports
from wbench_generators.deepmimo.scenario import Scenario, open_scenario

__all__ = ["DeepMimo", "DeepMimoParams", "ScenarioParams", "deepmimo_ports"]

LABELS = ("los", "ue_position", "bs_position", "ue_velocity", "ue_id", "scene", "site", "path_gain_db", "k_factor_db")


class DeepMimo(Generator):
    """Links of DeepMIMO v4 scenarios: a sample is a user and a transmitter (and a snapshot)."""

    version: ClassVar[int] = 1
    Params: ClassVar[type[GeneratorParams]] = DeepMimoParams

    def layout(self, params: DeepMimoParams) -> Layout:
        """Arrays, grids and attributes of the dataset; see :class:`wbench.generator.Generator`.

        Raises
        ------
        DatasetNotFoundError
            A scenario is not on this machine: its digest belongs to the attributes, so it has to be there before the
            first file is written.
        """
        scenarios = _open_all(params)
        own = (
            ArraySpec("bs_id", (), (), "int32", "1", "number of the transmitter in its scene"),
            ArraySpec("snapshot", (), (), "int32", "1", "number of the scene in time (dynamic scenarios)"),
        )
        rays = _ray_specs(params.max_paths) if params.store_rays else ()
        return Layout(
            arrays=(*standard(*LABELS), *own, *rays),
            synthesis=Synthesis(
                tx=params.bs.array(),
                rx=params.ue.array(),
                bands=_grids(params),
                time_steps=params.time_steps,
                time_step_s=params.time_step_s,
            ),
            attributes={
                "carrier_hz": params.carrier_hz,
                "los_definition": "1 where any of the stored paths has no interaction",
                "k_factor_definition": "power of the path without interaction over the power of all others",
                "delay_reference": "absolute time of flight",
                "convention": params.convention,
                "sources": [_source(params, scenario) for scenario in scenarios],
            },
        )

    @contextmanager
    def open(self, params: DeepMimoParams) -> Iterator[Session]:
        """Open the scenarios; they are read when a block needs them."""
        from wbench_generators.deepmimo.session import DeepMimoSession

        yield DeepMimoSession(params, _open_all(params))

    def provenance(self) -> dict[str, str]:
        """The format; what was read is in the attribute ``sources``, with digests."""
        return {"deepmimo": "scenario format v4, read by wbench"}


def _open_all(params: DeepMimoParams) -> list[Scenario]:
    scenarios = [open_scenario(wanted) for wanted in params.scenario]
    for scenario in scenarios:
        if abs(scenario.carrier_hz - params.carrier_hz) > 1e-6 * params.carrier_hz:
            raise SpecError(
                "The scenario has another carrier frequency than the recipe.",
                where=str(scenario.path),
                why=f"{scenario.carrier_hz / 1e9:g} GHz instead of {params.carrier_hz / 1e9:g} GHz",
                next_step=f"carrier_hz = {scenario.carrier_hz:g}, or the scenario of the other band",
            )
    return scenarios


def _grids(params: DeepMimoParams) -> dict[str, Grid]:
    if params.convention == "wbench":
        return grids(params.bands)
    return {name: Grid(band.subcarriers, band.spacing_hz, 0.0) for name, band in params.bands.items()}


def _source(params: DeepMimoParams, scenario: Scenario) -> dict[str, Any]:
    """Plain facts about a scenario for the dataset's attributes."""
    added = adds_carrier_phase(params.carrier_phase, params.convention, scenario.raytracer)
    return {
        "scenario": scenario.name,
        "digest": scenario.digest(),
        "format_version": str(scenario.params.get("version", "")),
        "raytracer": scenario.raytracer,
        "transmitters": [list(transmitter) for transmitter in scenario.transmitters],
        "rx_sets": list(scenario.rx_sets),
        "snapshots": scenario.snapshots,
        "users": sum(scenario.users(rx_set) for rx_set in scenario.rx_sets),
        "carrier_phase": ("added in single precision" if params.carrier_phase == "single" else "added")
        if added
        else "as stored",
    }


def _ray_specs(rays: int) -> tuple[ArraySpec, ...]:
    """Stored rays: one ray per tap, padded to ``max_paths``."""
    angle = {
        "ray_aod": "azimuth of departure",
        "ray_zod": "zenith of departure",
        "ray_aoa": "azimuth of arrival",
        "ray_zoa": "zenith of arrival",
    }
    return (
        ArraySpec("ray_tau", ("tap",), (rays,), "float64", "s", "delay of a tap, 0 where there is no path"),
        ArraySpec("ray_seg", ("tap",), (rays,), "int32", "1", "rays of a tap"),
        *(ArraySpec(name, ("ray",), (rays,), "float32", "rad", text) for name, text in angle.items()),
        ArraySpec("ray_nu", ("ray",), (rays,), "float32", "Hz", "Doppler shift, positive when approaching"),
        ArraySpec("ray_g", ("rx_pol", "tx_pol", "ray"), (2, 2, rays), "complex64", "1", "amplitude, theta and phi"),
    )
