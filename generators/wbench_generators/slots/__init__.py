"""Link features of 5G slots, estimated by a receiver and true: the generator ``slots``.

The way through the package, one module each:

``params``      the recipe's ``[params]`` table: the grid
``link``        the combination of one run, keyed
``session``     rays of TR 38.901 from Sionna's stages (:mod:`wbench_generators.sionna_38901`), run by run
``chain``       rays -> noisy pilots and empty resource elements
``noise`` ``delay`` ``frequency`` ``temporal`` ``doppler`` ``precoding``   the estimators
``features``    all of them, estimated and true, and how they are stored

The channels themselves are not stored: a run of them would be a hundred times larger than its features, and any can be
made again from its run number. Importing this package imports neither Sionna nor torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from wbench.dataset.schema import ArraySpec, standard
from wbench.generator import Generator, GeneratorParams, Layout, Session
from wbench_generators.sionna_38901 import Sionna38901
from wbench_generators.sionna_38901.params import SPEC_VERSION
from wbench_generators.slots.features import feature_arrays
from wbench_generators.slots.params import SlotsParams

__all__ = ["Slots", "SlotsParams"]

#: Standard arrays, constant over a run.
LABELS = ("los", "ue_position", "bs_position", "ue_velocity", "ue_id", "scene", "site", "path_gain_db")

#: What a run drew from the grid, and which of its slots a sample is.
DRAWN = (
    ("slot", "int32", "1", "slot of the run"),
    ("scenario", "int8", "1", "number of the scenario in the attribute grid"),
    ("carrier_hz", "float32", "Hz", "carrier frequency"),
    ("subcarrier_spacing_hz", "float32", "Hz", "subcarrier spacing; a slot lasts 1 ms at 15 kHz"),
    ("snr_db", "float32", "dB", "mean SNR of a pilot resource element"),
    ("interference_db", "float32", "dB", "interference over thermal noise"),
    ("speed_kmh", "float32", "km/h", "speed of the UE"),
    ("group_size", "int16", "1", "subcarriers of a group, M"),
    ("pilot_set", "int8", "1", "number of the set of pilot symbols in the attribute grid"),
)


class Slots(Generator):
    """Runs of consecutive slots of one link: a sample is a slot, a run is a site."""

    version: ClassVar[int] = 1
    Params: ClassVar[type[GeneratorParams]] = SlotsParams

    def layout(self, params: SlotsParams) -> Layout:
        """Arrays of the dataset; see :class:`wbench.generator.Generator`."""
        drawn = [ArraySpec(name, (), (), dtype, unit, text) for name, dtype, unit, text in DRAWN]
        return Layout(
            arrays=(*feature_arrays(), *standard(*LABELS), *drawn),
            attributes={
                "channel_model": f"3GPP TR 38.901 V{SPEC_VERSION}, UMi, UMa, RMa",
                "direction": "downlink: Tx is the base station, Rx the UE",
                "los_definition": "LoS state of the link, TR 38.901 step 2, drawn by wbench and forced on the model",
                "delay_reference": "the first cluster arrives at 0 s; no absolute time of flight",
                "channel": "not stored: features only",
                "slots_per_run": params.slots,
                "grid": params.model_dump(mode="json"),
            },
        )

    @contextmanager
    def open(self, params: SlotsParams) -> Iterator[Session]:
        """Import Sionna; its stages are built when a run first needs them.

        Raises
        ------
        MissingDependencyError
            Without ``sionna-no-rt`` (or ``sionna``) and ``torch``, when the first run is simulated.
        """
        from wbench_generators.slots.session import SlotsSession

        session = SlotsSession(params)
        try:
            yield session
        finally:
            session.close()

    def provenance(self) -> dict[str, str]:
        """Versions of Sionna and torch, and of the 38.901 tables."""
        return Sionna38901().provenance()
