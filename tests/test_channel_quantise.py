"""Quantisers against closed forms, scikit-learn's k-means and brute force; exact bits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wbench.channel.quantise import Levels, MuLaw, Uniform, Vector, pack_codes, train_vector, unpack_codes
from wbench.errors import ModelError, SpecError


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_noise_of_the_uniform_quantiser(bits: int) -> None:
    x = np.random.default_rng(bits).uniform(-2.0, 3.0, 200_000)
    quantiser = Uniform(bits, -2.0, 3.0)
    error = quantiser.decode(quantiser.encode(x)) - x
    assert quantiser.step == 5 / 2**bits
    assert np.abs(error).max() <= quantiser.step / 2 + 1e-12
    # Δ²/12; the standard error of the mean of squares of a uniform error is √(4/5)·Δ²/12/√n = 0.2 %.
    assert np.mean(error**2) == pytest.approx(quantiser.step**2 / 12, rel=0.01)


def test_six_decibels_per_bit() -> None:
    x = np.random.default_rng(1).uniform(-1, 1, 100_000)
    errors = [np.mean((q.decode(q.encode(x)) - x) ** 2) for q in map(Uniform, range(1, 9))]
    np.testing.assert_allclose(10 * np.diff(np.log10(errors)), -20 * math.log10(2), atol=0.1)


def test_values_out_of_range_and_cells() -> None:
    quantiser = Uniform(2, 0.0, 1.0)
    codes = quantiser.encode(np.array([-9, 0, 0.24, 0.25, 0.99, 1, 9, np.inf]))
    np.testing.assert_array_equal(codes, [0, 0, 0, 1, 3, 3, 3, 3])
    np.testing.assert_allclose(quantiser.decode(np.arange(4)), [0.125, 0.375, 0.625, 0.875])


def test_mu_law_is_its_inverse_and_that_of_g711() -> None:
    law = MuLaw(8, peak=2.5)
    x = np.linspace(-2.5, 2.5, 1001)
    np.testing.assert_allclose(law.expand(law.compress(x)), x, atol=1e-12)
    np.testing.assert_allclose(law.compress(np.array([-2.5, 0, 2.5])), [-1, 0, 1])
    # G.711: the first of eight positive chords ends at 31/8159 of the peak, an eighth of the way but for its rounding.
    assert float(MuLaw(8).compress(np.array(31 / 8159))) == pytest.approx(1 / 8, abs=4e-3)
    # Slope at 0 over that at the peak is 1 + μ.
    slope = law.compress(np.array([1e-9, 2.5])) - law.compress(np.array([0, 2.5 - 1e-9]))
    assert slope[0] / slope[1] == pytest.approx(256, rel=1e-3)


def test_mu_law_keeps_the_relative_error() -> None:
    """Where μ|x|/peak is large, the error is that of a logarithmic quantiser: Δ²x²(ln(1+μ))²/12, Bennett's integral."""
    rng = np.random.default_rng(2)
    law, plain = MuLaw(8), Uniform(8)
    for scale in (0.8, 0.2):
        x = scale * rng.uniform(0.9, 1.1, 100_000)
        relative = np.mean(((law.decode(law.encode(x)) - x) / x) ** 2)
        expected = (2 / 256) ** 2 * (math.log(256) * (1 + 1 / (255 * scale))) ** 2 / 12
        assert relative == pytest.approx(expected, rel=0.1)
    x = rng.laplace(0, 0.03, 50_000)
    assert np.mean((law.decode(law.encode(x)) - x) ** 2) < 0.1 * np.mean((plain.decode(plain.encode(x)) - x) ** 2)


def test_levels_take_the_nearest() -> None:
    levels = Levels(np.array([-1.0, 0.2, 0.5, 4.0, 9.0]))
    x = np.random.default_rng(3).normal(2, 4, (100, 7))
    brute = np.abs(x[..., None] - levels.levels).argmin(axis=-1)
    np.testing.assert_array_equal(levels.encode(x), brute)
    np.testing.assert_array_equal(levels.decode(brute), levels.levels[brute])
    assert levels.bits == 3


def test_vector_quantiser_against_scikit_learn() -> None:
    from sklearn.cluster import KMeans

    from wbench.channel.quantise import _spread

    rng = np.random.default_rng(4)
    x = rng.normal(size=(2000, 3)) @ np.diag([3, 1, 0.3])
    first = _spread(x, 16, np.random.default_rng(5))
    theirs = KMeans(16, init=first, n_init=1, algorithm="lloyd", max_iter=300, tol=0).fit(x)
    ours, distortion = train_vector(x, 16, np.random.default_rng(5), iterations=300)
    np.testing.assert_allclose(ours.codebook, theirs.cluster_centers_, atol=1e-8)
    assert distortion == pytest.approx(theirs.inertia_ / x.size, rel=1e-9)
    np.testing.assert_array_equal(ours.encode(x), theirs.predict(x))
    np.testing.assert_array_equal(
        ours.encode(x[:60].reshape(5, 12, 3)),
        np.linalg.norm(x[:60, None] - ours.codebook, axis=-1).argmin(axis=1).reshape(5, 12),
    )


def test_a_vector_beats_scalars_on_correlated_numbers() -> None:
    """Two correlated Gaussians at 2 bits each: together 4 bits of 16 code vectors, alone the published 0.1175."""
    rng = np.random.default_rng(6)
    common = rng.normal(size=(20_000, 1))
    x = math.sqrt(0.9) * common + math.sqrt(0.1) * rng.normal(size=(20_000, 2))
    quantiser, distortion = train_vector(x[:4000], 16, np.random.default_rng(7))
    assert quantiser.bits == 4
    assert np.mean((quantiser.decode(quantiser.encode(x)) - x) ** 2) == pytest.approx(distortion, rel=0.1)
    assert distortion < 0.7 * 0.1175


@pytest.mark.parametrize("bits", [1, 3, 8, 11])
def test_codes_take_exactly_their_bits(bits: int) -> None:
    codes = np.random.default_rng(bits).integers(0, 1 << bits, (40, 13))
    payloads, count = pack_codes(codes, bits)
    assert count == 13 * bits
    assert {len(payload) for payload in payloads} == {-(-count // 8)}
    stream = "".join(f"{code:0{bits}b}" for code in codes[0]).ljust(8 * len(payloads[0]), "0")
    assert f"{int.from_bytes(payloads[0], 'big'):0{len(stream)}b}" == stream
    np.testing.assert_array_equal(unpack_codes(payloads, bits, 13), codes)
    with pytest.raises(SpecError):
        unpack_codes([payload + b"\0" for payload in payloads], bits, 13)
    with pytest.raises(SpecError, match="does not fit"):
        pack_codes(codes + (1 << bits), bits)


def test_what_makes_no_quantiser() -> None:
    for make in (lambda: Uniform(0), lambda: Uniform(3, 1.0, 1.0), lambda: MuLaw(3, 0.0), lambda: MuLaw(3, 1.0, -1.0)):
        with pytest.raises(SpecError):
            make()
    with pytest.raises(ModelError, match="distinct samples"):
        train_vector(np.ones((9, 2)), 2, np.random.default_rng(0))
    assert Vector(np.zeros((5, 2))).encode(np.zeros((0, 2))).shape == (0,)
