"""The recipes qd-dN, wifo-dN and sionna-dN: the paper's table, the protocol's geometry, and the same users."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wbench.dataset.spec import Recipe, load_recipe
from wbench.generator import Block
from wbench.run.plan import build_spec
from wbench_generators.quadriga import QuadrigaParams
from wbench_generators.sionna_38901.params import SionnaParams
from wbench_generators.sionna_38901.topology import draw_drops

#: Liu et al., "WiFo", 2025, Table 1: GHz, K, kHz, T, ms, UPA, scenario, state, km/h from and to.
TABLE = """
D1 1.5 128 90 24 1 1x4 UMi NLoS 3 50
D2 1.5 128 180 24 0.5 2x4 RMa NLoS 120 300
D3 1.5 64 90 16 1 1x8 Indoor LoS 0 10
D4 1.5 32 180 16 0.5 4x8 UMa LoS 30 100
D5 2.5 64 180 24 0.5 2x2 RMa NLoS 120 300
D6 2.5 128 90 24 1 2x4 UMi LoS 3 50
D7 2.5 32 360 16 0.5 4x8 UMa LoS 30 100
D8 2.5 64 90 16 1 4x4 Indoor NLoS 0 10
D9 4.9 128 180 24 1 1x4 UMi NLoS 3 50
D10 4.9 64 180 24 0.5 2x4 RMa LoS 120 300
D11 4.9 64 90 16 0.5 4x4 UMa NLoS 30 100
D12 4.9 32 180 16 1 4x8 Indoor LoS 0 10
D13 5.9 64 90 24 0.5 2x8 RMa LoS 120 300
D14 5.9 128 180 24 1 2x4 UMi NLoS 3 50
D15 5.9 64 90 16 1 4x4 Indoor LoS 0 10
D16 5.9 32 360 16 0.5 4x8 UMa NLoS 30 100
D17 3.5 32 180 16 0.5 4x8 UMa NLoS 30 100
D18 6.7 64 180 24 1 4x4 UMi LoS 3 50
D19 28 32 360 16 0.25 4x8 UMa LoS 30 100
"""
ROWS = [line.split() for line in TABLE.split("\n") if line]
#: Scenario, base station height, distances, UE height (not published).
GEOMETRY = {
    "UMi": ("umi", 10.0, [35.0, 200.0], 1.5),
    "UMa": ("uma", 25.0, [35.0, 200.0], 1.5),
    "RMa": ("rma", 35.0, [35.0, 500.0], 1.5),
    "Indoor": ("inh-mixed", 3.0, [5.0, 30.0], 1.0),
}


def recipes(name: str) -> dict[str, Recipe]:
    return {kind: load_recipe(f"{kind}-{name.lower()}") for kind in ("qd", "wifo", "sionna")}


def test_there_are_nineteen() -> None:
    assert [row[0] for row in ROWS] == [f"D{i}" for i in range(1, 20)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_recipe_is_the_papers_and_the_protocols(row: list[str]) -> None:
    name, ghz, carriers, khz, steps, ms, upa, place, state, low, high = row
    scenario, height, distance, ue_height = GEOMETRY[place]
    found = recipes(name)["qd"].params
    assert math.isclose(found["carrier_hz"], float(ghz) * 1e9)
    band = found["bands"]["channel"]
    assert (band["subcarriers"], band["spacing_hz"]) == (int(carriers), float(khz) * 1e3)
    assert found["time_steps"] == int(steps)
    assert math.isclose(found["time_step_s"], float(ms) * 1e-3)
    assert f"{found['bs']['rows']}x{found['bs']['cols']}" == upa
    assert (found["scenario"], found["los"]) == (scenario, state.lower())
    assert found["speed_kmh"] == [float(low), float(high)]
    assert (found["bs_height_m"], found["distance_m"], found["ue_height_m"]) == (height, distance, ue_height)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_three_differ_in_what_they_say_only(row: list[str]) -> None:
    found = recipes(row[0])
    norms = {kind: recipe.params.get("power_norm") for kind, recipe in found.items()}
    assert norms == {"qd": "none", "wifo": "track", "sionna": None}
    assert [recipe.generator for recipe in found.values()] == ["quadriga", "quadriga", "sionna-38901"]
    common = [{k: v for k, v in recipe.params.items() if k != "power_norm"} for recipe in found.values()]
    assert common[0] == common[1] == common[2]
    assert len({(recipe.seed, recipe.block) for recipe in found.values()}) == 1
    for recipe in found.values():
        assert [recipe.sizes[size].samples for size in ("tiny", "standard", "large")] == [100, 3000, 12000]
        band = recipe.params["bands"]["channel"]
        antennas = recipe.params["bs"]["rows"] * recipe.params["bs"]["cols"]
        each = 8 * band["subcarriers"] * recipe.params["time_steps"] * antennas
        assert 8e6 < each * recipe.block * recipe.sizes["large"].shard_blocks < 36e6
        build_spec(recipe.name, "tiny", ready=False)


def test_twins_have_the_same_users() -> None:
    found = recipes("D4")
    block = Block(1, range(100, 200), found["qd"].seed)
    quadriga = draw_drops(QuadrigaParams.model_validate(found["qd"].params), block)
    sionna = draw_drops(SionnaParams.model_validate(found["sionna"].params), block)
    np.testing.assert_array_equal(quadriga.ue, sionna.ue)
    np.testing.assert_array_equal(quadriga.velocity, sionna.velocity)
