"""Closed forms of TR 38.901 against Sionna's parameter files and SciPy."""

from __future__ import annotations

import importlib.resources
import json

import numpy as np
import pytest

from wbench.channel import tr38901

SCENARIO_FILES = {"umi": "UMi", "uma": "UMa", "rma": "RMa", "inh-open": "InH", "inh-mixed": "InH"}
CLAMP_GHZ = {"umi": 2.0, "uma": 6.0, "rma": 0.0, "inh-open": 6.0, "inh-mixed": 6.0}


@pytest.mark.parametrize("scenario", tr38901.SCENARIOS)
@pytest.mark.parametrize("carrier_ghz", [0.7, 3.5, 28.0])
@pytest.mark.parametrize("los", [True, False])
def test_large_scale_parameters_are_sionnas_tables(scenario, carrier_ghz, los):
    """Sionna's own parameter files: a·lg(b + f) + c."""
    pytest.importorskip("sionna.phy")
    folder = importlib.resources.files("sionna.phy.channel.tr38901.models") / "v19_2"
    name = f"{SCENARIO_FILES[scenario]}_{'LoS' if los else 'NLoS'}.json"
    table = json.loads((folder / name).read_text())
    f = max(carrier_ghz, CLAMP_GHZ[scenario])

    def value(key):
        return table[f"{key}a"] * np.log10(table[f"{key}b"] + f) + table[f"{key}c"]

    found = tr38901.delay_spread_lg(scenario, carrier_ghz * 1e9, los)
    assert found.mean == pytest.approx(value("muDS"), rel=1e-9)
    assert found.deviation == pytest.approx(value("sigmaDS"), rel=1e-9)
    if los:
        k = tr38901.k_factor_db(scenario)
        assert (k.mean, k.deviation) == (table["muK"], table["sigmaK"])


def test_normal_distribution_is_scipys():
    from scipy.stats import norm

    x = np.linspace(-9, -5, 50)
    np.testing.assert_allclose(tr38901.Normal(-7.1, 0.4).cdf(x), norm(-7.1, 0.4).cdf(x), atol=1e-12)
    with pytest.raises(LookupError, match="did you mean umi"):
        tr38901.k_factor_db("umii")
