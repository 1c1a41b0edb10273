"""What a ray-traced dataset holds: arrays, grids and attributes, without importing the simulator."""

from __future__ import annotations

from typing import Any

from wbench.channel.array import Array
from wbench.channel.synthesis import Grid
from wbench.dataset.schema import ArraySpec, channel_spec, standard
from wbench.generator import Layout, Synthesis
from wbench_generators.common import grids
from wbench_generators.sionna_rt.adapter import ray_specs
from wbench_generators.sionna_rt.params import BandOfCarrier, RtParams
from wbench_generators.sionna_rt.scenes import catalogue, check_file

__all__ = ["gain_name", "layout_of"]

#: Standard arrays that a session returns itself.
LABELS = (
    "los", "ue_position", "bs_position", "ue_velocity", "tx_orientation", "ue_id", "scene", "site", "path_gain_db",
    "k_factor_db", "delay_spread_s", "doppler_spread_hz",
)  # fmt: skip

OWN = (
    ArraySpec("bs_id", (), (), "int32", "1", "the base station, unique in the dataset"),
    ArraySpec(
        "first_delay_s", (), (), "float64", "s", "absolute delay of the first path", {"missing": "NaN without a path"}
    ),
    ArraySpec("paths", (), (), "int32", "1", "paths of the link at the main carrier"),
    ArraySpec("solved_together", (), (), "int32", "1", "users in the same run of the path solver"),
)


def gain_name(carrier_hz: float) -> str:
    """Array of the path gain at a further carrier: ``path_gain_db_28ghz``."""
    return f"path_gain_db_{carrier_hz / 1e9:g}ghz".replace(".", "p")


def layout_of(p: RtParams) -> Layout:
    """Layout of the dataset.

    With one carrier and one pair of arrays the engine synthesises. Otherwise the session does, and the numerology of
    each band is in the attribute ``radio``.
    """
    for entry in p.scenes:
        check_file(entry)
    arrays = [*standard(*LABELS), *OWN]
    arrays += [
        ArraySpec(gain_name(f), (), (), "float32", "dB", f"path gain at {f / 1e9:g} GHz", {"missing": "-inf"})
        for f in p.carriers[1:]
    ]
    if p.store_rays:
        arrays += ray_specs(p.store_rays, p.solver.max_depth)
    synthesis = None
    if len(p.links) == 1:
        synthesis = Synthesis(p.main.bs.array(), p.main.ue.array(), grids(dict(p.bands)), p.time_steps, p.time_step_s)
    else:
        for name, band in p.bands.items():
            ends = band.ue.array().ports, band.bs.array().ports
            arrays.append(channel_spec(name, p.time_steps, *ends, band.subcarriers))
    return Layout(tuple(arrays), synthesis, _attributes(p))


def _attributes(p: RtParams) -> dict[str, Any]:
    solver = p.solver
    return {
        "channel_model": f"ray tracing, depth {solver.max_depth}, scattering {solver.scattering:g}",
        "carrier_hz": p.main.carrier_hz,
        "direction": "downlink: Tx is the base station, Rx the UE",
        "los_definition": "1 where a valid path has no interaction, 0 where all have some, -1 without any path",
        "site_definition": f"scene and square of {p.site_m:g} m on the ground, by UE position",
        "path_gain_definition": "power sum of the paths, isotropic ends, mean over the transmitted polarisation",
        "k_factor_definition": "power of the line-of-sight path over that of all other paths",
        "delay_reference": (
            "absolute time of flight" if p.delays == "absolute" else "the first path arrives at 0 s; see first_delay_s"
        ),
        "scenes": [
            {"scene": i, "name": entry.name or entry.file or f"street-grid-{j}", "base_stations": entry.cells}
            for i, (entry, j) in enumerate(catalogue(p))
        ],
        "radio": _radio(p),
    }


def _radio(p: RtParams) -> dict[str, Any]:
    """Numerology and arrays of each band as plain JSON; ``tx`` and ``rx`` of the main band are also on top."""
    bands = {}
    for name, band in p.bands.items():
        grid = Grid.centred(band.subcarriers, band.spacing_hz)
        numbers = {"subcarriers": grid.subcarriers, "spacing_hz": grid.spacing_hz, "first_hz": grid.first_hz}
        bands[name] = {"carrier_hz": band.carrier_hz, **numbers, **_ends(band)}
    return {**_ends(p.main), "bands": bands, "time_steps": p.time_steps, "time_step_s": p.time_step_s}


def _ends(band: BandOfCarrier) -> dict[str, Any]:
    return {"tx": _plain(band.bs.array()), "rx": _plain(band.ue.array())}


def _plain(array: Array) -> dict[str, Any]:
    geometry = {"rows": array.rows, "cols": array.cols, "dv": array.dv, "dh": array.dh}
    return {**geometry, "slants": list(array.slants), "pattern": array.pattern}
