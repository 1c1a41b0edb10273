"""What a QuaDRiGa dataset holds: arrays, grids and attributes, without Octave."""

from __future__ import annotations

from typing import Any

from wbench.channel.array import Array
from wbench.dataset.schema import channel_spec, standard
from wbench.generator import Layout, Synthesis
from wbench_generators.common import grids
from wbench_generators.quadriga.params import TABLES, QuadrigaParams

__all__ = ["layout_of"]

#: Standard arrays that a session returns itself.
LABELS = ("los", "ue_position", "bs_position", "ue_velocity", "ue_id", "scene", "site", "path_gain_db", "k_factor_db")

_POWER = {
    "none": "the sum of rays, as in TR 38.901",
    "causal": "of each cluster on each antenna, mean over the first {window} of {steps} snapshots, scaled to nominal",
    "track": "of each cluster on each antenna, mean over all {steps} snapshots, scaled to nominal (QuaDRiGa's own)",
}


def layout_of(p: QuadrigaParams) -> Layout:
    """Layout of the dataset: the engine synthesises, unless cluster powers are normalised."""
    bands = grids(p.bands)
    tx, rx = p.bs.array(), p.ue.array()
    if p.power_norm == "none":
        synthesis = Synthesis(tx, rx, bands, p.time_steps, p.time_step_s)
        return Layout(standard(*LABELS), synthesis, _attributes(p))
    channels = [channel_spec(name, p.time_steps, rx.ports, tx.ports, grid.subcarriers) for name, grid in bands.items()]
    radio = {
        "tx": _plain(tx),
        "rx": _plain(rx),
        "bands": {
            name: {"subcarriers": g.subcarriers, "spacing_hz": g.spacing_hz, "first_hz": g.first_hz}
            for name, g in bands.items()
        },
        "time_steps": p.time_steps,
        "time_step_s": p.time_step_s,
    }
    arrays = (*standard(*LABELS, "delay_spread_s", "doppler_spread_hz"), *channels)
    return Layout(arrays, None, {**_attributes(p), "radio": radio})


def _attributes(p: QuadrigaParams) -> dict[str, Any]:
    return {
        "channel_model": f"QuaDRiGa, 3GPP TR 38.901 V{TABLES} {p.scenario}, 3GPP baseline mode",
        "carrier_hz": p.carrier_hz,
        "direction": "downlink: Tx is the base station, Rx the UE",
        "los_definition": "LoS state of the link, TR 38.901 step 2, drawn by wbench and forced on the model",
        "k_factor_definition": "Ricean K factor of TR 38.901 step 4",
        "delay_reference": "the line of sight arrives at 0 s; no absolute time of flight",
        "power_normalisation": _POWER[p.power_norm].format(window=p.window, steps=p.time_steps),
        "deviations_from_tr38901": [
            "LoS delays are not scaled by C_tau (7.5-3, 7.5-4): the spread of the rays is half of the one drawn",
            "carriers below 6 GHz (UMa, InH) or 2 GHz (UMi) are not raised to that frequency in the tables",
            "one initial phase per ray and a random polarisation matrix instead of four phases",
            "cluster angles by QuaDRiGa's own mapping of power to angle",
        ],
        "licence_of_the_simulator": "QuaDRiGa: non-commercial use only",
    }


def _plain(array: Array) -> dict[str, Any]:
    geometry = {"rows": array.rows, "cols": array.cols, "dv": array.dv, "dh": array.dh}
    return {**geometry, "slants": list(array.slants), "pattern": array.pattern}
