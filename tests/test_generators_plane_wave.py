"""The plane-wave generator: closed form against brute force, and the generator contract on the example to copy."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from wbench.channel.synthesis import synthesize
from wbench.generator import Block
from wbench_generators.plane_wave import PlaneWave

BANDS = {"channel": {"subcarriers": 12, "spacing_hz": 120e3}, "channel_wide": {"subcarriers": 5, "spacing_hz": 2e6}}
SPEED_OF_LIGHT = 299792458.0


def params(**changes):
    table = {
        "paths": 6,
        "bands": BANDS,
        "bs": {"rows": 2, "cols": 3, "bearing_deg": 25.0},
        "ue": {"cols": 2},
        "speed_kmh": (3.0, 120.0),
        "time_steps": 4,
        "time_step_s": 1e-3,
        **changes,
    }
    return PlaneWave.Params(**table)


def simulate(p, index=0, size=16, root=5):
    with PlaneWave().open(p) as session:
        return session.simulate(Block(index, range(index * size, (index + 1) * size), root))


def element_positions(array) -> np.ndarray:
    """Positions in wavelengths in the array's y-z plane, written out port by port."""
    place = []
    for col in range(array.cols):
        for row in range(array.rows):
            place.append((0.0, 0.5 * (col - (array.cols - 1) / 2), -0.5 * (row - (array.rows - 1) / 2)))
    return np.array(place)


def brute_force(p, rays, band) -> np.ndarray:
    """Sum over rays in complex128 for vertical isotropic elements, untilted: [B, T, Rx, Tx, K]."""
    tones = (np.arange(band["subcarriers"]) - band["subcarriers"] // 2) * band["spacing_hz"]
    times = np.arange(p.time_steps) * p.time_step_s

    def steering(array, azimuth, zenith):
        azimuth = azimuth - np.radians(array.bearing_deg)
        r = np.stack([np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)], -1)
        return np.exp(2j * np.pi * r @ element_positions(array).T)

    angle = {name: getattr(rays, name).astype(np.float64) for name in ("aod", "zod", "aoa", "zoa", "nu")}
    a_tx, a_rx = steering(p.bs, angle["aod"], angle["zod"]), steering(p.ue, angle["aoa"], angle["zoa"])
    delay = np.exp(-2j * np.pi * tones * rays.tau[..., None])
    doppler = np.exp(2j * np.pi * angle["nu"][..., None] * times)
    return np.einsum("bp,bpt,bpr,bps,bpk->btrsk", rays.g[0, 0].astype(complex), doppler, a_rx, a_tx, delay)


def test_channel_is_the_closed_form() -> None:
    p = params()
    rays, _ = simulate(p)
    plan = PlaneWave().layout(p).synthesis
    for name, band in BANDS.items():
        ours = synthesize(rays, plan.tx, plan.rx, plan.bands[name], plan.time_steps, plan.time_step_s)
        expected = brute_force(p, rays, band)
        error = (abs(ours - expected) ** 2).sum((1, 2, 3, 4)) / (abs(expected) ** 2).sum((1, 2, 3, 4))
        assert 10 * np.log10(error.max()) < -100


def test_labels_follow_from_the_rays() -> None:
    p = params(los_share=0.6, k_factor_db=7.0)
    rays, arrays = simulate(p, size=400)
    assert abs(arrays["los"].mean() - 0.6) < 0.1
    link = arrays["ue_position"].astype(float) - arrays["bs_position"]
    distance = np.linalg.norm(link, axis=1)
    los = arrays["los"] == 1
    power = abs(rays.g[0, 0].astype(complex)) ** 2
    np.testing.assert_allclose(10 * np.log10(power.sum(1)), arrays["path_gain_db"], atol=1e-4)
    np.testing.assert_allclose(
        10 * np.log10(power[los, 0] / power[los, 1:].sum(1)), arrays["k_factor_db"][los], atol=1e-4
    )
    assert not power[~los, 0].any()
    assert np.isnan(arrays["k_factor_db"][~los]).all()
    # Friis, and the carrier phase of the direct wave.
    wavelength = SPEED_OF_LIGHT / p.carrier_hz
    np.testing.assert_allclose(arrays["path_gain_db"], 20 * np.log10(wavelength / (4 * np.pi * distance)), atol=1e-4)
    turns = np.angle(rays.g[0, 0, los, 0]) / (2 * np.pi) + distance[los] / wavelength
    assert np.abs(turns - np.round(turns)).max() < 1e-4
    # A UE that walks towards the base station sees a positive Doppler shift on the direct wave.
    closing = -(link * arrays["ue_velocity"]).sum(1) / distance
    np.testing.assert_allclose(rays.nu[:, 0], closing / wavelength, atol=1e-2)


def test_arrays_are_the_layouts() -> None:
    p = params()
    _, arrays = simulate(p)
    layout = PlaneWave().layout(p)
    assert {spec.name for spec in layout.arrays} == set(arrays)
    for spec in layout.arrays:
        assert arrays[spec.name].shape == (16, *spec.shape)
        assert arrays[spec.name].dtype == np.dtype(spec.dtype)


def test_blocks_do_not_depend_on_order_or_neighbours() -> None:
    p = params()
    with PlaneWave().open(p) as session:
        blocks = {i: session.simulate(Block(i, range(16 * i, 16 * i + 16), 5)) for i in (2, 0, 1)}
    rays, arrays = simulate(p, index=1)
    np.testing.assert_array_equal(rays.g, blocks[1][0].g)
    np.testing.assert_array_equal(rays.tau, blocks[1][0].tau)
    for name, value in arrays.items():
        np.testing.assert_array_equal(value, blocks[1][1][name])
    assert not np.array_equal(blocks[0][0].g, blocks[1][0].g)
    assert not np.array_equal(simulate(p, index=1, root=6)[0].g, rays.g)


@pytest.mark.parametrize(
    "wrong",
    [
        {"paths": 0},
        {"speed_kmh": (30.0, 3.0)},
        {"distance_m": (0.0, 10.0)},
        {"time_steps": 2, "time_step_s": 0.0},
        {"bands": {}},
        {"bs": {"polarisation": "slanted"}},
        {"unknown": 1},
    ],
)
def test_impossible_parameters_are_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        params(**wrong)
