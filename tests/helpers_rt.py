"""Sionna RT for tests: skipped with the reason where it or its LLVM library is absent."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import numpy as np
import pytest

from wbench.errors import MissingDependencyError
from wbench.generator import Block
from wbench_generators.sionna_rt import RtParams
from wbench_generators.sionna_rt.llvm import require_llvm

CHANNEL = {"carrier_hz": 3.5e9, "bs": {"rows": 2, "cols": 4}, "subcarriers": 16, "spacing_hz": 480e3}


def need_sionna_rt() -> None:
    """Skip the test where Sionna RT cannot run."""
    if importlib.util.find_spec("sionna") is None or importlib.util.find_spec("sionna.rt") is None:
        pytest.skip("Sionna RT is not installed: pip install 'wbench[rt]'")
    try:
        require_llvm()
    except MissingDependencyError as error:
        pytest.skip(f"no LLVM library for Sionna RT: {error.why}")


def rt_params(**changes: Any) -> RtParams:
    """A street canyon with few rays: a block in tenths of a second."""
    solver = {"samples": 4000, "max_paths": 100_000, "max_depth": 3}
    base: dict[str, Any] = {
        "scenes": [{"name": "simple_street_canyon", "base_stations": 2}],
        "users": {"distance_m": (10.0, 60.0)},
        "solver": solver | changes.pop("solver", {}),
        "bands": {"channel": CHANNEL},
    }
    return RtParams.model_validate(base | changes)


def block(index: int, size: int = 8, root: int = 7) -> Block:
    return Block(index, range(index * size, (index + 1) * size), root)


def worst_nmse_db(ours: np.ndarray, reference: np.ndarray) -> float:
    """Worst error of a link that has paths, in dB."""
    axes = tuple(range(1, ours.ndim))
    energy = (np.abs(reference) ** 2).sum(axis=axes, dtype=np.float64)
    error = (np.abs(ours - reference) ** 2).sum(axis=axes, dtype=np.float64)
    assert (error[energy == 0] == 0).all()
    worst = float((error[energy > 0] / energy[energy > 0]).max())
    return 10 * math.log10(worst) if worst else -math.inf
