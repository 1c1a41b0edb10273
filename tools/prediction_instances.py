"""Write the prediction instances of the WiFo datasets, all from one table: ``python tools/prediction_instances.py``.

For N = 1 … 18, over time and over frequency: ``channel-prediction-AXIS-qd-dN`` (clean target, each sample scaled) and
``wifo-compat-AXIS-dN`` (WiFo's own conditions, context only). What differs is read from the recipes. A test holds
the committed files to this table.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ROOT / "generators" / "wbench_generators" / "recipes"
INSTANCES = ROOT / "tasks" / "wbench_tasks" / "instances"

#: D17 and D18 are held out (S3): fitted on another scenario of the same shape, at another carrier. D13 has the antennas
#: of D18 in two rows instead of four, and half its subcarrier spacing and time step.
HELD_OUT = {17: 4, 18: 13}

TEMPLATE = """name = "{name}"
version = {version}
family = "channel-prediction"
kind = "reconstruct"
summary = "{summary}"
primary = "{primary}"
metrics = ["nmse_ros_db", "nmse_mor_db", "nmse_median_db"]
trivial = ["wbench/zeros", "wbench/hold"]

[views]
train = {{recipe = "{train}", side = "train"}}
val = {{recipe = "{train}", side = "val"}}
test = {{recipe = "{recipe}", side = "{side}"}}

[split]
rule = "{rule}"
{fractions}
[params]
axis = "{axis}"
past = {half}
future = {half}
{compat}
[noise]
snr_db = [20]
"""


def params_of(number: int) -> dict[str, Any]:
    """Parameters of a recipe."""
    table = tomllib.loads((RECIPES / f"qd-d{number}.toml").read_text(encoding="utf-8"))
    params: dict[str, Any] = table["params"]
    return params


def instances() -> dict[str, str]:
    """Text of every instance by name."""
    texts = {}
    for number in range(1, 19):
        params = params_of(number)
        size = {"time": params["time_steps"], "frequency": params["bands"]["channel"]["subcarriers"]}
        step = {"time": "snapshots", "frequency": "subcarriers"}
        where = f"{params['scenario']} {params['los']}, {params['carrier_hz'] / 1e9:g} GHz"
        for axis, count in size.items():
            for compat in (False, True):
                held = number in HELD_OUT and not compat
                half = count // 2
                what = f"{half} {step[axis]} → the next {half}, WiFo D{number}, {where}"
                what += f", fitted on D{HELD_OUT[number]}" if held else ""
                name = f"wifo-compat-{axis}-d{number}" if compat else f"channel-prediction-{axis}-qd-d{number}"
                texts[name] = TEMPLATE.format(
                    name=name,
                    summary=f"{what}, noisy target at 20 dB as published" if compat else f"{what}, 20 dB SNR",
                    primary="nmse_mor_db" if compat else "nmse_ros_db",
                    version=2 if held else 1,
                    recipe=f"wifo-d{number}" if compat else f"qd-d{number}",
                    train=f"wifo-d{number}" if compat else f"qd-d{HELD_OUT.get(number, number)}",
                    side="all" if held else "test",
                    rule="S3" if held else "S2",
                    fractions="fractions = {train = 0.75, val = 0.08333333333333333, test = 0.16666666666666667}\n"
                    if compat
                    else "",
                    axis=axis,
                    half=half,
                    compat='scaling = "part"\nnoisy_target = true\n' if compat else "",
                )
    return texts


def main() -> int:
    """Write all files."""
    for name, text in instances().items():
        (INSTANCES / f"{name}.toml").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
