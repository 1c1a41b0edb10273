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
    "mob-uma-30khz": ((256, 20_000, 200_000), {"channel": (8, 1, 16, 64)}, 30e3),
    "mob-3gpp": ((128, 10_000, 100_000), {"channel": (6, 4, 16, 52)}, 180e3),
    "bm-fr2": ((2000, 40_000, 400_000), {"channel": (1, 1, 64, 8)}, 1.44e6),
    "ce-umi": ((128, 10_000, 100_000), {"channel": (14, 1, 32, 48)}, 30e3),
    "ce-uma": ((128, 2000, 20_000), {"channel": (14, 1, 32, 48)}, 30e3),
    "plane-wave": ((64, 2000, 20_000), {"channel": (4, 1, 8, 16)}, 120e3),
}
#: tests/test_quadriga_recipes.py
TWINS = {f"sionna-d{i}" for i in range(1, 20)}


def generator(name: str):
    module, _, attribute = MANIFEST["generators"][name]["object"].partition(":")
    return getattr(import_module(module), attribute)()


def of_generators(*names: str) -> set[str]:
    return {name for name, recipe in RECIPES.items() if recipe["generator"] in names}


def test_all_recipes_are_known() -> None:
    """Recipes of the other generators, and the twins of QuaDRiGa's, have tests of their own."""
    assert of_generators("sionna-38901", "plane-wave") - TWINS == set(PROTOCOL)


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
        if recipe["generator"] != "sionna-38901" or name in TWINS:
            continue
        umi = table["scenario"] == "umi"
        assert table["bs_height_m"] == (10.0 if umi else 25.0)
        carrier = 2e9 if name.startswith("pmi") or name == "mob-3gpp" else 28e9 if name == "bm-fr2" else 3.5e9
        assert table["carrier_hz"] == carrier
        far = {"snap-uma": 300.0, "ce-uma": 300.0}.get(name, 150.0 if umi else 200.0)
        assert table["distance_m"] == [20.0 if umi else 35.0, far]
        assert table["los"] == (0.5 if name.startswith("mob-uma") else "model")


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
    # … but the panels of pmi-uma see the same users, and mob-uma-30khz is mob-uma on a finer grid.
    same = {"pmi-uma-4x2": "pmi-uma", "pmi-uma-16x1": "pmi-uma", "mob-uma-30khz": "mob-uma"}
    assert all(seeds[one] == seeds[other] for one, other in same.items())
    own = [seed for name, seed in seeds.items() if name not in same]
    assert len(set(own)) == len(own)
