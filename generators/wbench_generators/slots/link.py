"""One run's combination of the grid, and what follows from it: arrays, times and pilot frequencies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wbench.channel.array import Array
from wbench.generator import Block
from wbench_generators.common import SLANTS
from wbench_generators.slots.params import SYMBOLS, SlotsParams

__all__ = ["BLOCK", "Link", "draw_link"]

F64 = npt.NDArray[np.float64]

#: Subcarriers of a resource block. Each port has one pilot in each, so at most 12 ports fit.
BLOCK = 12


@dataclass(frozen=True)
class Link:
    """Combination of one run.

    Attributes
    ----------
    scenario : str
    carrier_hz, spacing_hz : float
        Carrier frequency and subcarrier spacing in Hz.
    snr_db, speed_kmh, interference_db : float
    tx_ports, rx_ports : int
        N_T and N_R.
    groups, group_size : int
        B groups of M subcarriers.
    pilots : tuple of int
        Pilot symbols S.
    pilot_set : int
        Number of S among the sets of the grid.
    """

    scenario: str
    carrier_hz: float
    spacing_hz: float
    snr_db: float
    speed_kmh: float
    interference_db: float
    tx_ports: int
    rx_ports: int
    groups: int
    group_size: int
    pilots: tuple[int, ...]
    pilot_set: int

    @property
    def slot_s(self) -> float:
        """Duration of a slot in s: 1 ms at 15 kHz."""
        return 1e-3 * 15e3 / self.spacing_hz

    @property
    def symbol_s(self) -> float:
        """Mean distance of two symbols in s, cyclic prefix included."""
        return self.slot_s / SYMBOLS

    @property
    def prefix_s(self) -> float:
        """Normal cyclic prefix in s: 144 of 2048 samples (TS 38.211, 5.3.1)."""
        return 144 / 2048 / self.spacing_hz

    @property
    def blocks(self) -> int:
        """Resource blocks, each with one pilot of every port."""
        return self.groups * self.group_size // BLOCK

    @property
    def tx(self) -> Array:
        """Base station: one row of dual-polarised columns, (N1, N2) = (N_T/2, 1)."""
        return Array(1, self.tx_ports // 2, slants=SLANTS["cross"], pattern="38.901")

    @property
    def rx(self) -> Array:
        """UE: a vertical element, a dual-polarised one, or two of these."""
        if self.rx_ports == 1:
            return Array(1, 1)
        return Array(1, self.rx_ports // 2, slants=SLANTS["VH"])

    def window(self, least_s: float) -> int:
        """Slots that last at least ``least_s``."""
        return math.ceil(least_s / self.slot_s - 1e-9)

    def pilot_frequencies(self) -> F64:
        """Baseband frequency in Hz of the pilots: float64 [N_T, blocks]. Port p is on subcarrier p of each block."""
        first = -self.blocks * BLOCK / 2
        carriers = first + BLOCK * np.arange(self.blocks) + np.arange(self.tx_ports)[:, None]
        return np.asarray(carriers * self.spacing_hz)

    def group_frequencies(self) -> F64:
        """Baseband frequency in Hz of the centres of the groups: float64 [B]."""
        centre = np.arange(self.groups) * self.group_size + (self.group_size - 1) / 2
        return np.asarray((centre - self.blocks * BLOCK / 2) * self.spacing_hz)


def draw_link(params: SlotsParams, block: Block, run: int) -> Link:
    """Combination of one run, keyed by the run: uniform over each axis of the grid, independently."""
    rng = block.rng("grid", run)

    def one(count: int) -> int:
        return int(rng.integers(count))

    scenario = params.scenarios[one(len(params.scenarios))]
    carrier, spacing = params.numerologies[one(len(params.numerologies))]
    tx, rx = params.antennas[one(len(params.antennas))]
    pilot_set = one(len(params.pilots))
    return Link(
        scenario=scenario,
        carrier_hz=carrier,
        spacing_hz=spacing,
        snr_db=float(rng.uniform(*params.snr_db)),
        speed_kmh=params.speeds_kmh[one(len(params.speeds_kmh))],
        interference_db=float(rng.uniform(*params.interference_db)),
        tx_ports=tx,
        rx_ports=rx,
        groups=params.groups[one(len(params.groups))],
        group_size=params.group_sizes[one(len(params.group_sizes))],
        pilots=params.pilots[pilot_set],
        pilot_set=pilot_set,
    )
