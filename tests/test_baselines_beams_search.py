"""Sweeps and the angle map against loops over beams, plane waves, and geometry."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers_models import FakePart, complex_normal, make_batch, make_meta, make_spec, ready
from tests.helpers_models import same_whatever_the_batch as same
from tests.test_baselines_beams import BEAMS, ELEMENTS, FIRST, OBSERVED, SPEC, observe, waves
from wbench.errors import ModelError
from wbench.task.batch import ArrayMeta
from wbench_baselines.beams import ZeroPaddedFFT
from wbench_baselines.beams_search import AngleMap, HierarchicalSweep, NoisySweep

FULL = make_spec("beam-subarray", "classify", {"beams": BEAMS, "elements": ELEMENTS, "first": 0, "observed": ELEMENTS})
CROSS = make_spec("beam-crossband", "classify", {"beams": 64, "elements": 64})


def cyclic(a: np.ndarray, b: np.ndarray, beams: int = BEAMS) -> np.ndarray:
    return np.abs((a - b + beams // 2) % beams - beams // 2)


# --- noisy sweep


def test_noisy_sweep_is_the_sum_over_antennas() -> None:
    rng = np.random.default_rng(0)
    data = FakePart(make_batch(complex_normal(rng, 12, 1, 2, ELEMENTS, 4)), {})
    scores = same(ready(NoisySweep(), FULL, data).predict, data.batch)
    expected = np.zeros((12, BEAMS))
    for beam in range(BEAMS):
        weight = np.exp(-2j * np.pi * np.arange(ELEMENTS) * beam / BEAMS) / np.sqrt(ELEMENTS)
        expected[:, beam] = np.mean(np.abs(np.einsum("ntrak,a->ntrk", data.batch.x["H"], weight)) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_noisy_sweep_needs_the_whole_array() -> None:
    assert "8 of 32" in NoisySweep().supports(SPEC)
    assert "los-nlos" in NoisySweep().supports(make_spec("los-nlos", "classify"))


# --- hierarchical sweep


def reference_search(h: np.ndarray) -> int:
    """One sample [antennas, tones]: stages of 4, 8, 16, 32, 64 beams with 2, 4, 8, 8, 8 antennas in the middle."""
    beam = 0
    for beams, antennas in ((4, 2), (8, 4), (16, 8), (32, 8), (64, 8)):
        some = h[(OBSERVED - antennas) // 2 :][:antennas]
        candidates = range(4) if beams == 4 else [(2 * beam + d) % beams for d in (-1, 0, 1)]
        power = {}
        for b in candidates:
            weight = np.exp(-2j * np.pi * np.arange(antennas) * b / beams)
            power[b] = np.sum(np.abs(weight @ some) ** 2)
        beam = max(power, key=power.get)
    return beam


def test_hierarchical_sweep_is_the_stage_by_stage_search() -> None:
    rng = np.random.default_rng(1)
    full = waves(rng.uniform(-1.2, 1.2, 60), rng) + waves(rng.uniform(-1.2, 1.2, 60), rng)
    data = observe(full, rng, 0)
    model = ready(HierarchicalSweep(), SPEC, data)
    assert model.stages() == [(4, 2), (8, 4), (16, 8), (32, 8), (64, 8)]
    scores = same(model.predict, data.batch)
    found = scores.argmax(axis=1)
    np.testing.assert_array_equal(found, [reference_search(h[0, 0]) for h in data.batch.x["H"].astype(complex)])
    best = ready(ZeroPaddedFFT(), SPEC, data).predict(data.batch).argmax(axis=1)
    assert 0.5 < (found == best).mean() < 1.0  # two paths: the wide beams are sometimes drawn to the weaker one


def test_hierarchical_sweep_finds_every_clean_plane_wave() -> None:
    rng = np.random.default_rng(2)
    wanted = np.delete(np.arange(BEAMS), BEAMS // 2)
    azimuth = np.arcsin(((wanted + BEAMS / 2) % BEAMS - BEAMS / 2) * 2 / BEAMS)
    data = observe(waves(azimuth, rng), rng)
    scores = ready(HierarchicalSweep(), SPEC, data).predict(data.batch)
    np.testing.assert_array_equal(scores.argmax(axis=1), wanted)
    for row, beam in zip(scores, wanted, strict=True):  # further beams come later, and none ties
        assert (np.diff(cyclic(np.argsort(-row), beam)) >= 0).all()
        assert len(np.unique(row)) == BEAMS


def test_hierarchical_sweep_of_odd_codebooks() -> None:
    rng = np.random.default_rng(3)
    spec = make_spec("beam-subarray", "classify", {"beams": 48, "elements": 24, "first": 0, "observed": 6})
    data = FakePart(make_batch(complex_normal(rng, 5, 1, 1, 6, 4)), {})
    model = ready(HierarchicalSweep(), spec, data)
    assert model.stages() == [(6, 3), (12, 6), (24, 6), (48, 6)]
    assert model.predict(data.batch).shape == (5, 48)


# --- angle map


def low_band(azimuth: np.ndarray, rng: np.random.Generator, spacing: float = 0.5) -> FakePart:
    """Plane waves on 32 elements, with noise at 10 dB."""
    phase = 2 * np.pi * spacing * np.outer(np.sin(azimuth), np.arange(32))
    h = np.exp(1j * phase)[:, None, None, :, None] * np.exp(2j * np.pi * rng.random((len(azimuth), 1, 1, 1, 8)))
    meta = make_meta((1, 1, 32, 8), ArrayMeta(1, 32, dh=spacing), classes=64)
    return FakePart(make_batch(h + np.sqrt(0.1) * complex_normal(rng, *h.shape), meta), {})


@pytest.mark.parametrize("spacing", [0.5, 0.4])
def test_angle_map_is_geometry(spacing) -> None:
    """The answer is the beam of 64 half-wavelength elements nearest to the true direction, but for noise at an edge."""
    rng = np.random.default_rng(4)
    azimuth = rng.uniform(-1.2, 1.2, 200)
    data = low_band(azimuth, rng, spacing)
    scores = same(ready(AngleMap(), CROSS, data).predict, data.batch)
    exact = 32 * np.sin(azimuth)
    inside = np.abs(exact - np.round(exact)) < 0.4
    assert inside.sum() > 100
    found = scores.argmax(axis=1)
    np.testing.assert_array_equal(found[inside], (np.round(exact) % 64)[inside])
    assert cyclic(found, np.round(exact).astype(int) % 64, 64).max() <= 1


def test_angle_map_scores_are_the_power_from_each_direction() -> None:
    rng = np.random.default_rng(5)
    data = low_band(rng.uniform(-1, 1, 6), rng, 0.4)
    scores = ready(AngleMap(), CROSS, data).predict(data.batch)
    for beam in (0, 5, 40):
        sine = (beam if beam < 32 else beam - 64) / 32
        weight = np.exp(-2j * np.pi * 0.4 * sine * np.arange(32))
        expected = np.mean(np.abs(np.einsum("ntrak,a->ntrk", data.batch.x["H"], weight)) ** 2, axis=(1, 2, 3)) / 32
        np.testing.assert_allclose(scores[:, beam], expected, rtol=1e-3, atol=1e-3)


def test_angle_map_refuses_other_tasks_and_arrays() -> None:
    assert "beam-subarray" in AngleMap().supports(SPEC)
    with pytest.raises(ModelError, match="linear array"):
        AngleMap().setup(CROSS, make_meta((1, 1, 32, 8), ArrayMeta(4, 8), classes=64))


def test_first_observed_antenna_does_not_matter() -> None:
    rng = np.random.default_rng(6)
    full = waves(rng.uniform(-1, 1, 20), rng)
    cuts = [full[..., first : first + OBSERVED, :] for first in (0, FIRST)]
    answers = []
    for cut in cuts:
        data = FakePart(make_batch(cut), {})
        answers.append(ready(HierarchicalSweep(), SPEC, data).predict(data.batch).argmax(axis=1))
    np.testing.assert_array_equal(*answers)
