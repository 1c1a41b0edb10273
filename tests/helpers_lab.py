"""Small plane-wave datasets with one task of every family on them (the fixture ``lab``)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wbench.run.generate import generate
from wbench.run.plan import dataset_path, load_task
from wbench.task.base import Task

RECIPE = """
name = "{name}"
version = 1
generator = "plane-wave"
summary = "for tests"
licence = "CC-BY-4.0"
seed = 7
block = 50
[sizes]
tiny = {{samples = {samples}, shard_blocks = 4}}
[params]
paths = 4
speed_kmh = [20.0, 60.0]
{params}
"""
RECIPES = {
    "lab-snap": (
        400,
        """
        bs = {rows = 1, cols = 8, polarisation = "V"}
        bands.channel = {subcarriers = 16, spacing_hz = 480e3}
        """,
    ),
    "lab-mob": (
        120,
        """
        bs = {rows = 2, cols = 2, polarisation = "V"}
        time_steps = 6
        time_step_s = 0.5e-3
        bands.channel = {subcarriers = 8, spacing_hz = 180e3}
        """,
    ),
    "lab-dual": (
        120,
        """
        bs = {rows = 1, cols = 4, polarisation = "cross"}
        ue = {rows = 1, cols = 1, polarisation = "VH"}
        bands.channel = {subcarriers = 12, spacing_hz = 480e3}
        """,
    ),
}
#: family, kind, recipe, primary, metrics, and further tables of one small instance per family
TASKS: dict[str, dict[str, Any]] = {
    "los": {
        "family": "los-nlos",
        "kind": "classify",
        "recipe": "lab-snap",
        "metrics": ["f1_macro", "f1_binary", "balanced_accuracy", "auroc", "auprc"],
        "tables": {"noise": {"snr_db": [0]}},
    },
    "beam": {
        "family": "beam-subarray",
        "kind": "classify",
        "recipe": "lab-snap",
        "metrics": ["within_1db", "top1", "top3", "top5", "rsrp_loss_db", "dba"],
        "tables": {
            "params": {"beams": 16, "elements": 8, "first": 2, "observed": 4},
            "noise": {"snr_db": [-10, 0, 10]},
            "ranked_slice": {"snr_db": [0, 0]},
        },
    },
    "ratio": {
        "family": "csi-feedback-ratio",
        "kind": "compress",
        "recipe": "lab-snap",
        "metrics": ["nmse_ros_db", "nmse_mor_db", "nmse_median_db", "nmse_full_db", "rho"],
        "tables": {"params": {"first_row": -2, "rows": 8}, "limit": {"reals": 16}},
    },
    "bits": {
        "family": "csi-feedback-bits",
        "kind": "compress",
        "recipe": "lab-dual",
        "metrics": ["sgcs"],
        "tables": {"params": {"subbands": 3}, "limit": {"bits": 48}},
    },
    "time": {
        "family": "channel-prediction",
        "kind": "reconstruct",
        "recipe": "lab-mob",
        "metrics": ["nmse_ros_db", "nmse_mor_db", "nmse_median_db"],
        "tables": {"params": {"past": 4, "future": 2}, "noise": {"snr_db": [20]}},
    },
    "grid": {
        "family": "channel-estimation",
        "kind": "reconstruct",
        "recipe": "lab-mob",
        "metrics": ["nmse_ros_db", "nmse_mor_db", "nmse_median_db"],
        "tables": {"params": {"pilot_symbols": [1, 4], "comb": 2}, "noise": {"snr_db": [10]}},
    },
}


@dataclass(frozen=True)
class Lab:
    """Where the small datasets and their tasks are."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    def toml(self, of: str, folder: Path | None = None, **changes: Any) -> Path:
        """Task file of one family; ``changes`` replace its top-level fields and tables."""
        given = TASKS[of]
        recipe = str(self.root / f"{given['recipe']}.toml")
        spec: dict[str, Any] = {
            "name": f"lab-{of}",
            "version": 1,
            "family": given["family"],
            "kind": given["kind"],
            "summary": "for tests",
            "primary": given["metrics"][0],
            "metrics": given["metrics"],
            "trivial": [],
            "views": {part: {"recipe": recipe, "side": part} for part in ("train", "val", "test")},
            "split": {"rule": "S2"},
            **given["tables"],
            **changes,
        }
        # JSON of plain values is TOML as soon as tables are inline and colons are equal signs.
        lines = [f"{key} = {_inline(value)}" for key, value in spec.items()]
        path = (folder or self.root) / f"{spec['name']}.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def task(self, of: str, folder: Path | None = None, **changes: Any) -> Task:
        return load_task(self.toml(of, folder, **changes), size="tiny", data=self.data)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


def build_lab(root: Path) -> Lab:
    lab = Lab(root)
    for name, (samples, params) in RECIPES.items():
        recipe = root / f"{name}.toml"
        lines = "\n".join(line.strip() for line in params.splitlines())
        recipe.write_text(RECIPE.format(name=name, samples=samples, params=lines), encoding="utf-8")
        report = generate(recipe, size="tiny", out=dataset_path(name, "tiny", data=lab.data))
        assert not report.failures
    for name in TASKS:
        lab.toml(name)
    return lab
