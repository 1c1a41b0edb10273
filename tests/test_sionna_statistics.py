"""Statistics of ``sionna-38901`` against closed forms of TR 38.901 V19.2, written out here once more."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("sionna.phy")

from wbench.generator import Block
from wbench_generators.sionna_38901 import Sionna38901
from wbench_generators.sionna_38901.session import draw_drops

HEIGHT = {"umi": 10.0, "uma": 25.0, "rma": 35.0, "inh-open": 3.0}
CARRIER_GHZ = 7.0
#: Mean and deviation of lg(DS / s), Table 7.5-6, at 7 GHz, LoS and NLoS; then the shadow fading deviation in dB.
LG = math.log10(1 + CARRIER_GHZ)
DELAY_SPREAD = {
    "umi": ((-0.18 * LG - 7.28, 0.39), (-0.22 * LG - 6.87, 0.19 * LG + 0.22)),
    "uma": (
        (-0.0794 * math.log10(CARRIER_GHZ) - 7.067, 0.026 * math.log10(CARRIER_GHZ) + 0.57),
        (-0.134 * math.log10(CARRIER_GHZ) - 6.47, 0.39),
    ),
    "rma": ((-7.49, 0.55), (-7.43, 0.48)),
    "inh-open": ((-0.01 * LG - 7.692, 0.18), (-0.28 * LG - 7.173, 0.10 * LG + 0.055)),
}
SHADOW = {"umi": (4.0, 7.82), "uma": (4.0, 6.0), "rma": (4.0, 8.0), "inh-open": (3.0, 8.03)}
SAMPLES = 1500


def params(scenario: str, **changes):
    table = {
        "scenario": scenario,
        "carrier_hz": CARRIER_GHZ * 1e9,
        "distance_m": (20.0, 140.0),
        "bs": {},
        "bands": {"channel": {"subcarriers": 1, "spacing_hz": 30e3}},
        **changes,
    }
    return Sionna38901.Params(**table)


def path_loss(scenario: str, los: bool, d3: np.ndarray) -> np.ndarray:
    """Table 7.4.1-1 in dB, below the breakpoint, UE at 1.5 m."""
    f, h = CARRIER_GHZ, HEIGHT[scenario]
    lg = np.log10
    if scenario == "umi":
        line = 32.4 + 21 * lg(d3) + 20 * lg(f)
        return line if los else np.maximum(line, 35.3 * lg(d3) + 22.4 + 21.3 * lg(f))
    if scenario == "uma":
        line = 28.0 + 22 * lg(d3) + 20 * lg(f)
        return line if los else np.maximum(line, 13.54 + 39.08 * lg(d3) + 20 * lg(f))
    if scenario == "inh-open":
        line = 32.4 + 17.3 * lg(d3) + 20 * lg(f)
        return line if los else np.maximum(line, 38.3 * lg(d3) + 17.30 + 24.9 * lg(f))
    building, street = 5.0, 20.0
    line = 20 * lg(40 * np.pi * d3 * f / 3) + min(0.03 * building**1.72, 10) * lg(d3)
    line = line - min(0.044 * building**1.72, 14.77) + 0.002 * lg(building) * d3
    far = 161.04 - 7.1 * lg(street) + 7.5 * lg(building) - (24.37 - 3.7 * (building / h) ** 2) * lg(h)
    far = far + (43.42 - 3.1 * lg(h)) * (lg(d3) - 3) + 20 * lg(f) - (3.2 * lg(11.75 * 1.5) ** 2 - 4.97)
    return line if los else np.maximum(line, far)


@pytest.mark.parametrize("scenario", sorted(HEIGHT))
@pytest.mark.parametrize("los", ["los", "nlos"])
def test_path_loss_shadowing_and_delay_spread(scenario: str, los: str) -> None:
    p = params(scenario, los=los)
    block = Block(0, range(SAMPLES), root=3)
    state = int(los == "nlos")
    with Sionna38901().open(p) as session:
        drops = draw_drops(p, block)
        lsp, _, _ = session.sample(block, drops)
        stage = session.stage(block, drops)
    expected = path_loss(scenario, los == "los", drops.distance_3d)
    np.testing.assert_allclose(lsp.pathloss[:, 0, 0].numpy(), expected, atol=2e-3)
    shadow = stage.path_gain_db + expected
    assert abs(shadow.mean()) < 4 * SHADOW[scenario][state] / math.sqrt(SAMPLES)
    assert shadow.std() == pytest.approx(SHADOW[scenario][state], rel=0.08)
    mean, deviation = DELAY_SPREAD[scenario][state]
    lg_ds = np.log10(lsp.ds[:, 0, 0].numpy().astype(float))
    assert abs(lg_ds.mean() - mean) < 4 * deviation / math.sqrt(SAMPLES)
    assert lg_ds.std() == pytest.approx(deviation, rel=0.08)


@pytest.mark.parametrize("scenario", [*sorted(HEIGHT), "inh-mixed"])
def test_los_probability_is_the_models(scenario: str) -> None:
    p = params(scenario, distance_m=(1.0, 300.0))
    block = Block(0, range(300), root=9)
    with Sionna38901().open(p) as session:
        drops = draw_drops(p, block)
        session.sample(block, drops)
        theirs = session._scenario.los_probability[:, 0, 0].numpy()
    many = draw_drops(p, Block(0, range(40_000), root=9))
    distance = np.hypot(*many.ue[:, :2].T)
    bins = np.linspace(1, 300, 11)
    near = np.hypot(*drops.ue[:, :2].T)
    order = np.argsort(near)
    expected = np.interp(distance, near[order], theirs[order])
    for low, high in pairwise(bins):
        inside = (distance >= low) & (distance < high)
        share, model = many.los[inside].mean(), expected[inside].mean()
        assert abs(share - model) < 0.03, (low, share, model)


def test_umi_los_share_follows_the_table() -> None:
    many = draw_drops(params("umi", distance_m=(20.0, 150.0)), Block(0, range(20_000), root=1))
    d = np.linspace(20, 150, 20_001)
    assert many.los.mean() == pytest.approx((18 / d + np.exp(-d / 36) * (1 - 18 / d)).mean(), abs=0.015)


def test_users_are_where_and_as_fast_as_asked() -> None:
    p = params(
        "uma",
        speed_kmh=(3.0, 60.0),
        speed_strata_kmh=(10.0, 120.0),
        strata_share=0.25,
        bs={"bearing_deg": 30.0},
        los=0.5,
    )
    drops = draw_drops(p, Block(0, range(20_000), root=4))
    distance, azimuth = np.hypot(*drops.ue[:, :2].T), np.degrees(np.arctan2(drops.ue[:, 1], drops.ue[:, 0]))
    assert stats.kstest(distance, stats.uniform(20, 120).cdf).pvalue > 1e-3
    assert stats.kstest(azimuth, stats.uniform(-30, 120).cdf).pvalue > 1e-3
    assert (drops.ue[:, 2] == 1.5).all()
    assert (drops.bs == [0, 0, 25]).all()
    speed, heading = np.linalg.norm(drops.velocity, axis=1) * 3.6, np.arctan2(*drops.velocity[:, :2].T)
    fixed = np.isclose(speed, 10, atol=1e-3) | np.isclose(speed, 120, atol=1e-3)
    assert fixed.mean() == pytest.approx(0.25, abs=0.01)
    assert stats.kstest(speed[~fixed], stats.uniform(3, 57).cdf).pvalue > 1e-3
    assert stats.kstest(heading, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3
    assert drops.los.mean() == pytest.approx(0.5, abs=0.015)
