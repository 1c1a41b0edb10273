"""The recipes and the provider manifest: valid, and the protocol's numbers."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import wbench_generators

FOLDER = Path(wbench_generators.__file__).parent
MANIFEST = tomllib.loads((FOLDER / "provider.toml").read_text(encoding="utf-8"))
RECIPES = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob(MANIFEST["recipes"])}

#: Sizes and samples' shape [T, Rx, Tx, K] of the protocol's table "Datasets".
PROTOCOL = {
    "snap-umi": ((600, 50_000, 500_000), {"channel": (1, 1, 32, 32)}, 30e3),
    "snap-umi-ula": ((600, 50_000, 500_000), {"channel": (1, 1, 32, 32), "channel_480khz": (1, 1, 32, 32)}, 30e3),
    "snap-uma": ((600, 10_000, 100_000), {"channel": (1, 1, 32, 32)}, 30e3),
    "fb-umi": ((500, 50_000, 150_000), {"channel": (1, 1, 32, 512)}, 30e3),
    "pmi-uma": ((256, 20_000, 300_000), {"channel": (1, 4, 32, 52)}, 180e3),
    "pmi-uma-4x2": ((256, 20_000, 300_000), {"channel": (1, 4, 16, 52)}, 180e3),
    "pmi-uma-16x1": ((256, 20_000, 300_000), {"channel": (1, 4, 32, 52)}, 180e3),
    "mob-uma": ((256, 20_000, 200_000), {"channel": (20, 1, 16, 32)}, 180e3),
    "plane-wave": ((64, 2000, 20_000), {"channel": (4, 1, 8, 16)}, 120e3),
}


def generator(name: str):
    module, _, attribute = MANIFEST["generators"][name]["object"].partition(":")
    return getattr(import_module(module), attribute)()


def of_generators(*names: str) -> set[str]:
    return {name for name, recipe in RECIPES.items() if recipe["generator"] in names}


def test_all_recipes_are_known() -> None:
    """Recipes of the other generators have tests of their own."""
    assert of_generators("sionna-38901", "plane-wave") == set(PROTOCOL)


@pytest.mark.parametrize("name", sorted(PROTOCOL))
def test_recipe_is_the_protocols(name: str) -> None:
    recipe = RECIPES[name]
    sizes, shapes, spacing = PROTOCOL[name]
    assert recipe["name"] == name
    assert tuple(recipe["sizes"][size]["samples"] for size in ("tiny", "standard", "large")) == sizes
    made = generator(recipe["generator"])
    layout = made.layout(made.Params.model_validate(recipe["params"]))
    plan = layout.synthesis
    found = {
        band: (plan.time_steps, plan.rx.ports, plan.tx.ports, grid.subcarriers) for band, grid in plan.bands.items()
    }
    assert found == shapes
    assert plan.bands["channel"].spacing_hz == spacing
    # Two workers have something to do on the tiny set, and a shard of the others stays near 32 MB.
    assert recipe["sizes"]["tiny"]["samples"] >= 2 * recipe["block"] * recipe["sizes"]["tiny"]["shard_blocks"]
    values = max(t * r * s * k for t, r, s, k in shapes.values())
    for size in ("standard", "large"):
        assert 8 * values * recipe["block"] * recipe["sizes"][size]["shard_blocks"] < 36e6


def test_protocol_parameters_of_the_38901_recipes() -> None:
    for name, recipe in RECIPES.items():
        table = recipe["params"]
        if recipe["generator"] != "sionna-38901":
            continue
        umi = table["scenario"] == "umi"
        assert table["bs_height_m"] == (10.0 if umi else 25.0)
        assert table["carrier_hz"] == (2e9 if name.startswith("pmi") else 3.5e9)
        far = {"snap-uma": 300.0}.get(name, 150.0 if umi else 200.0)
        assert table["distance_m"] == [20.0 if umi else 35.0, far]
        assert table["los"] == (0.5 if name == "mob-uma" else "model")


def test_layouts_need_no_simulator() -> None:
    code = (
        "import sys, tomllib, pathlib\n"
        "from wbench_generators.sionna_38901 import Sionna38901\n"
        f"table = tomllib.loads(pathlib.Path({str(FOLDER / 'recipes' / 'pmi-uma.toml')!r}).read_text())\n"
        "g = Sionna38901(); g.layout(g.Params.model_validate(table['params'])); g.provenance()\n"
        "assert not {'torch', 'sionna'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_recipes_do_not_share_users_unless_they_say_so() -> None:
    # Two recipes with one seed would hold the same drops: pre-training on one would leak into the other.
    seeds = {name: RECIPES[name]["seed"] for name in of_generators("sionna-38901", "plane-wave")}
    panels = {name for name in seeds if name.startswith("pmi-uma")}
    assert len({seeds[name] for name in panels}) == 1
    assert len({seeds[name] for name in seeds.keys() - panels} | {seeds["pmi-uma"]}) == len(seeds) - len(panels) + 1
