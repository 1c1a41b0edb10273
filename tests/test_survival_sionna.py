"""A few faults on a real simulator: a session that is killed or started anew makes the same bits."""

from __future__ import annotations

import os

import pytest

from tests import helpers_faults as faults
from tests.helpers_forks import IMPORTS, Forks

pytest.importorskip("sionna.phy")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

RECIPE = """
name = "few"
version = 1
generator = "sionna-38901"
summary = "a test"
licence = "CC0-1.0"
seed = 12
block = 4

[sizes]
tiny = {samples = 44, shard_blocks = 2}

[params]
scenario = "umi"
carrier_hz = 3.5e9
bs_height_m = 10.0
distance_m = [20.0, 150.0]
los = "model"
bs = {rows = 1, cols = 4, polarisation = "V"}
bands.channel = {subcarriers = 8, spacing_hz = 30e3}
"""
KINDS = (faults.kill_fresh, faults.kill_resumed, faults.kill_repair, faults.flip_data, faults.delete_data)


def test_five_faults_on_sionna(tmp_path):
    recipe = tmp_path / "few.toml"
    recipe.write_text(RECIPE)
    imports = (*IMPORTS, "torch", "sionna.phy.channel.tr38901", "wbench_generators.sionna_38901.session")
    with Forks(tmp_path, imports) as forks:
        site = faults.prepare(tmp_path, forks, recipe, seed=4)
        counts = faults.run_faults(site, 5, KINDS)
    assert site.shards == 6
    assert counts["unsound shards"] >= 3
