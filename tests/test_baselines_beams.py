"""Beams from part of an array, against plane waves and an exhaustive sweep with the full codebook's columns."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers_models import (
    FakePart,
    complex_normal,
    make_batch,
    make_meta,
    make_spec,
    ready,
    same_whatever_the_batch,
)
from wbench.channel.array import Array
from wbench.channel.codebooks import beam_rsrp, best_beam, dft_codebook
from wbench.errors import ModelError
from wbench.task.batch import ArrayMeta
from wbench_baselines.beams import SubarraySweep, ZeroPaddedFFT

BEAMS, ELEMENTS, FIRST, OBSERVED, TONES = 64, 32, 12, 8, 32
SPEC = make_spec(
    "beam-subarray", "classify", {"beams": BEAMS, "elements": ELEMENTS, "first": FIRST, "observed": OBSERVED}
)
MODELS = [SubarraySweep, ZeroPaddedFFT]


def waves(azimuth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One plane wave per sample on the full array, [n, 1, 1, 32, 32], with a random delay and phase."""
    steering = Array.ula(ELEMENTS).steering(azimuth, np.pi / 2)
    tones = np.exp(-2j * np.pi * (rng.random((len(azimuth), 1)) * np.arange(TONES) + rng.random((len(azimuth), 1))))
    return (steering[:, :, None] * tones[:, None, :])[:, None, None]


def observe(full: np.ndarray, rng: np.random.Generator, snr_db: float | None = None) -> FakePart:
    cut = full[..., FIRST : FIRST + OBSERVED, :]
    power = None if snr_db is None else 10 ** (-snr_db / 10)
    noise = 0 if power is None else np.sqrt(power) * complex_normal(rng, *cut.shape)
    return FakePart(make_batch(cut + noise, noise_power=power), {})


@pytest.mark.parametrize("model", MODELS)
def test_batch_order_and_size_change_nothing(model) -> None:
    rng = np.random.default_rng(0)
    data = observe(waves(rng.uniform(-1, 1, 30), rng), rng, 0)
    scores = same_whatever_the_batch(ready(model(), SPEC, data).predict, data.batch)
    assert scores.shape == (30, BEAMS)


def test_zero_padded_fft_is_the_restricted_sweep() -> None:
    rng = np.random.default_rng(1)
    data = observe(complex_normal(rng, 20, 2, 3, ELEMENTS, TONES), rng)
    restricted = dft_codebook(ELEMENTS, BEAMS)[FIRST : FIRST + OBSERVED]
    sweep = beam_rsrp(data.batch.x["H"], restricted)
    scores = ready(ZeroPaddedFFT(), SPEC, data).predict(data.batch)
    np.testing.assert_allclose(scores / (2 * 3 * TONES * ELEMENTS), sweep, rtol=1e-5)


def test_plane_waves_give_the_beam_that_points_there() -> None:
    """Every beam direction, seen through 8 clean antennas: beam round(B/2 sin φ) mod B, in the codebook's own order."""
    rng = np.random.default_rng(2)
    wanted = np.delete(np.arange(BEAMS), BEAMS // 2)  # endfire is two directions at once
    azimuth = np.arcsin(((wanted + BEAMS / 2) % BEAMS - BEAMS / 2) * 2 / BEAMS)
    full = waves(azimuth, rng)
    data = observe(full, rng)
    whole = beam_rsrp(full.astype(np.complex64), dft_codebook(ELEMENTS, BEAMS))
    np.testing.assert_array_equal(best_beam(whole), wanted)
    np.testing.assert_array_equal(ready(ZeroPaddedFFT(), SPEC, data).predict(data.batch).argmax(axis=1), wanted)
    swept = ready(SubarraySweep(), SPEC, data).predict(data.batch).argmax(axis=1)
    assert set(swept) <= set(range(0, BEAMS, 4))  # the 16 beams of 8 antennas at twice their number
    miss = np.abs((swept - wanted + BEAMS // 2) % BEAMS - BEAMS // 2)
    assert miss.max() == 2


def test_sweep_ranks_the_neighbours_towards_the_wave() -> None:
    rng = np.random.default_rng(3)
    for off, side in ((-0.6, -1), (0.6, 1)):
        data = observe(waves(np.arcsin(np.array([(8 + off) * 2 / BEAMS])), rng), rng)
        order = np.argsort(-ready(SubarraySweep(), SPEC, data).predict(data.batch)[0])
        assert list(order[:2]) == [8, 8 + side]


def test_noise_and_grid_cost_what_they_should() -> None:
    """One wave at 0 dB: nearly all within one beam by the fine grid, within half a sub-array beam by the coarse one."""
    rng = np.random.default_rng(4)
    full = waves(rng.uniform(-1, 1, 400), rng)
    truth = best_beam(beam_rsrp(full.astype(np.complex64), dft_codebook(ELEMENTS, BEAMS)))
    data = observe(full, rng, 0)
    off = {}
    for model in MODELS:
        found = ready(model(), SPEC, data).predict(data.batch).argmax(axis=1)
        off[model] = np.abs((found - truth + BEAMS // 2) % BEAMS - BEAMS // 2)
    assert (off[ZeroPaddedFFT] <= 1).mean() > 0.97
    assert (off[SubarraySweep] <= 3).mean() > 0.97
    assert (off[ZeroPaddedFFT] == 0).mean() > (off[SubarraySweep] == 0).mean() + 0.2


@pytest.mark.parametrize("model", MODELS)
def test_what_does_not_fit_is_refused_with_a_reason(model) -> None:
    assert "los-nlos" in model().supports(make_spec("los-nlos", "classify"))
    assert "elements" in model().supports(make_spec("beam-subarray", "classify", {"beams": 8}))
    with pytest.raises(ModelError, match="linear array"):
        model().setup(SPEC, make_meta((1, 1, 8, 4), ArrayMeta(2, 4)))
    with pytest.raises(ModelError, match="do not fit"):
        model().setup(SPEC, make_meta((1, 1, 40, 4), ArrayMeta(1, 40)))
