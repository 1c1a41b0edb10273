"""Channel statistics against closed forms, SciPy and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import circstd

from wbench.channel import statistics
from wbench.channel.array import Array
from wbench.channel.rays import Rays
from wbench.channel.statistics import LOS_STATISTICS, los_statistics
from wbench.channel.synthesis import Grid, synthesize
from wbench.errors import SpecError


def record(tau, seg, amplitude, nu=0.0, angle=1.0) -> Rays:
    amplitude = np.asarray(amplitude, dtype=np.complex64)
    g = np.zeros((2, 2, *amplitude.shape), np.complex64)
    g[0, 0] = amplitude
    full = np.zeros(amplitude.shape, np.float32)
    return Rays(1e9, np.asarray(tau, np.float64), seg, full + angle, full + 1, full + angle, full + 1, g, full + nu)


def test_two_ray_delay_and_doppler_spread() -> None:
    # Powers p and 1 − p at distance d: the spread is d·sqrt(p(1 − p)).
    a, b = np.sqrt(0.8), np.sqrt(0.2)
    rays = record([[0.0, 1e-6]], (1, 1), [[a, b]], nu=np.array([-50.0, 150.0], np.float32))
    np.testing.assert_allclose(statistics.delay_spread(rays), 1e-6 * np.sqrt(0.16), rtol=1e-6)
    np.testing.assert_allclose(statistics.doppler_spread(rays), 200 * np.sqrt(0.16), rtol=1e-6)


def test_delay_spread_counts_all_rays_of_a_tap() -> None:
    rays = record([[1e-7, 3e-7, 0.0]], (2, 1, 3), [[1, 2, 1, 0.5, 0.5, 1]])
    power, tau = np.array([5, 1, 1.5]), np.array([1e-7, 3e-7, 0.0])
    mean = (power * tau).sum() / power.sum()
    expected = np.sqrt((power * (tau - mean) ** 2).sum() / power.sum())
    np.testing.assert_allclose(statistics.delay_spread(rays), expected, rtol=1e-6)


def test_angular_spread_is_circular() -> None:
    angles = np.random.default_rng(0).uniform(2.5, 4.5, (4, 50)).astype(np.float32)
    wrapped = ((angles + np.pi) % (2 * np.pi) - np.pi).astype(np.float32)
    rays = record(np.zeros((4, 1)), (50,), np.ones((4, 50)), angle=wrapped)
    np.testing.assert_allclose(statistics.angular_spread(rays, "aoa"), circstd(angles, axis=1), rtol=1e-5)
    np.testing.assert_allclose(statistics.angular_spread(rays, "zod"), 0.0, atol=1e-7)
    with pytest.raises(SpecError):
        statistics.angular_spread(rays, "azimuth")  # type: ignore[arg-type]


def test_powers() -> None:
    rays = record(np.zeros((2, 2)), (1, 2), [[3e-5, 1e-5, 2e-5], [1e-5, 3e-5, 1e-5]])
    np.testing.assert_allclose(statistics.path_gain_db(rays), 10 * np.log10(np.array([14, 11]) * 1e-10 / 2), rtol=1e-6)
    k = statistics.k_factor_db(rays, np.array([True, False]))
    np.testing.assert_allclose(k, [10 * np.log10(9 / 5), np.nan], rtol=1e-5)
    np.testing.assert_allclose(statistics.strongest_ray_db(rays), 10 * np.log10([9 / 5, 9 / 2]), rtol=1e-5)


def test_links_without_power_are_nan() -> None:
    rays = record(np.zeros((1, 1)), (2,), np.zeros((1, 2)))
    for spread in (statistics.delay_spread(rays), statistics.doppler_spread(rays), statistics.strongest_ray_db(rays)):
        assert np.isnan(spread).all()
    assert np.isnan(statistics.angular_spread(rays, "aod")).all()
    assert statistics.path_gain_db(rays) == -np.inf


def column(table: np.ndarray, name: str) -> np.ndarray:
    return table[:, LOS_STATISTICS.index(name)]


def random_channel(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def test_los_statistics_of_one_path_are_extreme() -> None:
    grid = Grid.centred(16, 30e3)
    rays = record([[0.0]], (1,), [[2e-6]], angle=0.0)
    table = los_statistics(synthesize(rays, Array.upa(4, 8), Array.ula(1), grid), 4, 8)
    assert np.isfinite(table).all()
    expected = {"eigenvalue_ratio": 0, "peak_angular_fraction": None, "k_factor": 1000, "delay_spread": 0}
    expected |= {"max_tap_fraction": 1, "first_tap_fraction": 1}
    for name, value in expected.items():
        if value is not None:
            np.testing.assert_allclose(column(table, name), value, atol=1e-3)
    flat = los_statistics(np.ones((1, 1, 1, 32, 16), np.complex64), 4, 8)
    for name in ("peak_angular_fraction", "angular_concentration", "peak_angle_delay_fraction"):
        np.testing.assert_allclose(column(flat, name), 1.0, rtol=1e-5)


def test_los_statistics_match_plain_loops() -> None:
    channel = random_channel(3, 2, 2, 12, 8) * 1e-7
    table = los_statistics(channel, 3, 4)
    for i, sample in enumerate(channel.astype(np.complex128)):
        columns = np.moveaxis(sample, 2, 0).reshape(12, -1)
        singular = np.linalg.svd(columns, compute_uv=False)
        image = np.zeros((12, 8))
        for t in range(2):
            for r in range(2):
                angles = np.fft.fft2(sample[t, r].reshape(4, 3, 8), axes=(0, 1)).reshape(12, 8)
                image += np.abs(np.fft.ifft(angles, axis=1)) ** 2
        image /= image.sum()
        profile = image.sum(axis=0)
        delay = (np.arange(8) - profile.argmax() + 4) % 8 - 4
        mean = (profile * delay).sum()
        power = np.abs(sample) ** 2
        root = np.sqrt(max(power.mean() ** 2 - power.var(), 0))
        expected = [
            (singular[1] / singular[0]) ** 2, image.sum(axis=1).max(), (image.sum(axis=1) ** 2).sum(), image.max(),
            profile.max(), root / (power.mean() - root), np.sqrt((profile * (delay - mean) ** 2).sum()), profile[0],
        ]  # fmt: skip
        np.testing.assert_allclose(table[i], expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("k_factor", [0.5, 2.0, 10.0])
def test_moment_estimate_finds_the_rician_k(k_factor: float) -> None:
    scattered = random_channel(4, 50, 1, 64, 16) / np.sqrt(2 * (k_factor + 1))
    table = los_statistics((scattered + np.sqrt(k_factor / (k_factor + 1))).astype(np.complex64), 8, 8)
    np.testing.assert_allclose(column(table, "k_factor"), k_factor, rtol=0.15)


def test_los_statistics_ignore_scale_phase_and_batch_and_stay_finite() -> None:
    channel = random_channel(5, 1, 2, 16, 8)
    table = los_statistics(channel, 4, 4)
    np.testing.assert_allclose(los_statistics(channel * np.complex64(3e-9j), 4, 4), table, rtol=1e-5)
    assert np.array_equal(los_statistics(channel[2:3], 4, 4)[0], table[2])
    assert los_statistics(channel, 2, 4).shape == (5, 8)  # two polarisations of 2 × 4
    odd = np.concatenate([np.zeros((1, 1, 1, 1, 1)), np.ones((1, 1, 1, 1, 1)), np.full((1, 1, 1, 1, 1), 1e-30)])
    table = los_statistics(odd.astype(np.complex64), 1, 1)
    assert np.isfinite(table).all()
    assert not table[0].any()
    with pytest.raises(SpecError):
        los_statistics(channel, 3, 4)
