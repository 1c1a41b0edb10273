"""QuaDRiGa for tests: golden rays anywhere, a live Octave where there is a copy, else skipped with the reason."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wbench.channel.array import Array
from wbench.channel.rays import Rays
from wbench.channel.synthesis import Grid
from wbench.errors import WBenchError
from wbench.generator import Block
from wbench_generators.quadriga import QuadrigaParams
from wbench_generators.quadriga.adapter import DrawnRays, to_rays
from wbench_generators.quadriga.installed import octave, require_copy
from wbench_generators.sionna_38901.topology import Drops

DATA = Path(__file__).parent / "data"
REFERENCE = DATA / "octave"


def need_quadriga() -> Path:
    """QuaDRiGa's source folder; skips the test where it, Octave or oct2py is absent."""
    if importlib.util.find_spec("oct2py") is None:
        pytest.skip("oct2py is not installed: pip install 'wbench[quadriga]'")
    try:
        octave()
        return require_copy()
    except WBenchError as error:
        pytest.skip(f"{error.what} {error.next_step}")


def quadriga_params(**changes: Any) -> QuadrigaParams:
    """Small ones: 2 x 2 antennas, 8 subcarriers, 6 snapshots."""
    base: dict[str, Any] = {
        "scenario": "umi",
        "carrier_hz": 2.5e9,
        "los": "nlos",
        "bs": {"rows": 2, "cols": 2},
        "bands": {"channel": {"subcarriers": 8, "spacing_hz": 180e3}},
        "time_steps": 6,
        "time_step_s": 1e-3,
        "speed_kmh": (3.0, 60.0),
        "distance_m": (35.0, 200.0),
    }
    return QuadrigaParams.model_validate(base | changes)


def block(index: int = 0, size: int = 6, root: int = 5) -> Block:
    return Block(index, range(index * size, (index + 1) * size), root)


class Golden:
    """Six users of QuaDRiGa 2.8.1 under Octave 7.3: its builder's rays, and its own channel (get_channels, fr)."""

    def __init__(self, name: str) -> None:
        with np.load(DATA / "quadriga_golden.npz") as archive:
            found = {key.removeprefix(f"{name}_"): archive[key] for key in archive if key.startswith(name)}
        self.carrier_hz, spacing, self.step_s, height, rows, cols = found["numbers"].tolist()
        n = len(found["ue"])
        aod, eod, aoa, eoa = (np.ascontiguousarray(angle.T).astype(np.float64) for angle in found["angles"])
        xpr = np.zeros((4, n, aod.shape[1]), np.complex64)
        xpr[0] = found["xpr"].T  # vertical elements at both ends see nothing else
        self.drawn = DrawnRays(
            tuple(found["rays"].tolist()), found["delay"], found["gain"], found["phase"], aod, eod, aoa, eoa, xpr,
            np.ones(n), np.ones(n),
        )  # fmt: skip
        bs = np.tile([0.0, 0.0, height], (n, 1))
        self.drops = Drops(bs, found["ue"], found["velocity"], np.zeros(n, bool))
        self.tx, self.rx = Array(int(rows), int(cols)), Array(1, 1)
        # [user, time, carrier, antenna], rows from the bottom -> [user, time, Rx, Tx, carrier], rows from the top
        panel = found["H"].reshape(*found["H"].shape[:3], int(cols), int(rows))[..., ::-1]
        self.channel = np.moveaxis(panel.reshape(found["H"].shape), 3, 2)[:, :, None]
        self.steps = self.channel.shape[1]
        self.grid = Grid(self.channel.shape[-1], spacing)  # QuaDRiGa's grid begins at the carrier

    def rays(self) -> Rays:
        return to_rays(self.drawn, self.drops, self.carrier_hz)


def worst_nmse_db(ours: np.ndarray, reference: np.ndarray) -> float:
    """Worst error of a link in dB."""
    axes = tuple(range(1, ours.ndim))
    error = (np.abs(ours - reference) ** 2).sum(axis=axes, dtype=np.float64)
    worst = float((error / (np.abs(reference) ** 2).sum(axis=axes, dtype=np.float64)).max())
    return 10 * math.log10(worst) if worst else -math.inf
