"""A small dataset of link features (the grid's corners, short runs), and task files on it."""

from __future__ import annotations

from pathlib import Path

RECIPE = """
name = "little-slots"
version = 1
generator = "slots"
summary = "for tests"
licence = "CC-BY-4.0"
seed = 5
block = 10
[sizes]
tiny = {samples = 240, shard_blocks = 12}
[params]
slots = 10
scenarios = ["umi", "uma"]
distance_m = {umi = [20.0, 150.0], uma = [35.0, 300.0]}
numerologies = [[3.5e9, 30e3]]
snr_db = [0.0, 30.0]
speeds_kmh = [3.0, 60.0]
antennas = [[4, 1], [8, 2], [4, 4]]
groups = [25, 50]
group_sizes = [12]
pilots = [[2, 8], [2, 5, 8, 11]]
"""

TASK = """
name = "little-{feature}-{mode}"
version = 1
family = "feature-forecasting"
kind = "regress"
summary = "for tests"
channel = "frequency_correlation"
primary = "{primary}"
metrics = ["{primary}"]
trivial = ["wbench/feature-persistence", "wbench/feature-mean"]
[views]
train = {{recipe = "{recipe}", side = "train"}}
val = {{recipe = "{recipe}", side = "val"}}
test = {{recipe = "{recipe}", side = "test"}}
[split]
rule = "S2"
fractions = {{train = 0.5, val = 0.25, test = 0.25}}
[params]
feature = "{feature}"
mode = "{mode}"
"""


def write_recipe(folder: Path) -> Path:
    """The recipe file."""
    path = folder / "little-slots.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def task_text(recipe: Path, feature: str, mode: str, extra: str = "") -> str:
    """A task file's text."""
    primary = {"precoder": "precoder_chordal", "rank": "rank_error"}.get(feature, "feature_nse")
    return TASK.format(feature=feature, mode=mode, primary=primary, recipe=recipe) + extra
