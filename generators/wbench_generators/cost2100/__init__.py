"""COST 2100 channels, from the user's own copy run in GNU Octave: the generator ``cost2100``.

The way through the package, one module each:

``params``      the recipe's ``[params]`` table
``installed``   finds the copy and makes sure that it is the one that was asked for
``octave/``     our Octave functions: a driver that shares an environment among users, and what a plain Octave lacks
``octave_run``  a process of Octave per block
``adapter``     multipath components -> the core's :class:`~wbench.channel.rays.Rays`
``session``     a block from its environments to its truncated channels

COST 2100 (GPL-3.0-or-later) runs as a program of its own; nothing of it is part of wbench.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from wbench.channel.array import Array
from wbench.dataset.schema import ArraySpec, standard
from wbench.generator import Generator, GeneratorParams, Layout, Session, Synthesis
from wbench_generators.cost2100.params import IMAGE, KNOWN_COPY, CostParams

__all__ = ["KNOWN_COPY", "Cost2100", "CostParams"]

LABELS = ("los", "ue_position", "bs_position", "ue_id", "site", "path_gain_db", "delay_spread_s", "k_factor_db")
OWN = (
    ArraySpec("redraws", (), (), "int32", "1", "positions given up before, because no cluster was active there"),
    ArraySpec("clusters", (), (), "int32", "1", "active far clusters"),
)


class Cost2100(Generator):
    """Snapshots of users in environments of COST 2100; several users share an environment."""

    version: ClassVar[int] = 1
    Params: ClassVar[type[GeneratorParams]] = CostParams

    def layout(self, params: CostParams) -> Layout:
        """Arrays and attributes of the dataset; see :class:`wbench.generator.Generator`."""
        arrays = [*standard(*LABELS), *OWN]
        synthesis = None
        if params.delay_rows:
            arrays += _image_specs(params)
        else:
            synthesis = Synthesis(params.bs.array(), Array(1, 1), {"channel": params.grid})
        return Layout(tuple(arrays), synthesis, _attributes(params))

    def require(self, params: CostParams) -> None:
        """Check Octave and the copy of COST 2100."""
        from wbench_generators.cost2100.installed import octave, require_copy

        octave()
        require_copy(params.copy_digest)

    @contextmanager
    def open(self, params: CostParams) -> Iterator[Session]:
        """Check Octave and the copy of COST 2100.

        Raises
        ------
        MissingDependencyError
            Octave or COST 2100 is not on this machine, or the copy is modified or of another version.
        """
        from wbench_generators.cost2100.installed import octave, require_copy
        from wbench_generators.cost2100.session import CostSession

        octave()
        yield CostSession(params, require_copy(params.copy_digest))

    def provenance(self) -> dict[str, str]:
        """Octave's version, digest and commit of the copy of COST 2100."""
        from wbench_generators.cost2100.installed import state

        found = state()
        return {"octave": found["octave"], "cost2100": found["copy"], "cost2100_commit": found["commit"]}


def _image_specs(p: CostParams) -> list[ArraySpec]:
    image = f"truncated channel: delay rows 0 to {p.delay_rows - 1} of {p.subcarriers}, angles of the Tx array"
    cut = "share of the energy beyond the delay rows"
    return [
        ArraySpec(IMAGE, ("delay", "antenna"), (p.delay_rows, p.bs.array().ports), "complex64", "1", image),
        ArraySpec("energy_cut", (), (), "float32", "1", cut),
    ]


def _attributes(p: CostParams) -> dict[str, Any]:
    return {
        "channel_model": f"COST 2100, {p.network}, {p.scenario}",
        "carrier_hz": p.carrier_hz,
        "los_definition": "1 where the model adds a line of sight, 0 elsewhere",
        "site_definition": "environment: visibility regions, clusters and the base station's local cluster",
        "path_gain_definition": "power sum of the components, vertical to vertical",
        "k_factor_definition": "power of the line of sight over that of all other components",
        "delay_reference": "absolute, with the model's link delays",
        "radio": _radio(p),
    }


def _radio(p: CostParams) -> dict[str, Any]:
    """Numerology and arrays as plain JSON, where no synthesis tells them."""
    if not p.delay_rows:
        return {}
    band = {"subcarriers": p.subcarriers, "spacing_hz": p.grid.spacing_hz, "first_hz": p.grid.first_hz}
    return {
        "tx": _plain(p.bs.array()),
        "rx": _plain(Array(1, 1)),
        "bands": {IMAGE: {**band, "first_row": 0, "rows": p.delay_rows}},
        "time_steps": 1,
        "time_step_s": 0.0,
    }


def _plain(array: Array) -> dict[str, Any]:
    geometry = {"rows": array.rows, "cols": array.cols, "dv": array.dv, "dh": array.dh}
    return {**geometry, "slants": list(array.slants), "pattern": array.pattern}
