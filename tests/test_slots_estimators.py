"""Every estimator of the link features against its limit: a closed form, scipy, or brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.linalg import toeplitz
from scipy.special import j0

from wbench.channel.pmi_type1_ranks import rank_precoders
from wbench.dataset.ragged import hermitian_toeplitz
from wbench.errors import SpecError
from wbench_generators.slots.delay import block_correlation, delay_moments, profile_moments
from wbench_generators.slots.doppler import autocorrelation, doppler_width, ray_width
from wbench_generators.slots.frequency import frequency_correlation, group_channel
from wbench_generators.slots.noise import noise_covariance, noise_power
from wbench_generators.slots.precoding import best_precoder, gram, select, spectral_efficiency
from wbench_generators.slots.temporal import correlation_of, time_covariance

STEP = 12 * 30e3  # distance of two pilots of a port in Hz
BLOCKS = np.arange(48) * STEP


def normal(rng, *shape) -> np.ndarray:
    return ((rng.standard_normal((*shape, 2)) @ [1, 1j]) * np.sqrt(0.5)).astype(np.complex64)


def paths(delays, powers, frequencies=BLOCKS, slots=400, ports=8, seed=0) -> np.ndarray:
    """Independent Rayleigh paths at fixed delays: [slots, 2, 1, ports, frequencies]; the two symbols are the same."""
    rng = np.random.default_rng(seed)
    gains = normal(rng, slots, 1, 1, ports, len(delays)) * np.sqrt(powers)
    h = gains @ np.exp(-2j * np.pi * np.outer(delays, frequencies))
    return np.repeat(h, 2, axis=1).astype(np.complex64)


def test_noise_covariance_is_the_known_one() -> None:
    rng = np.random.default_rng(1)
    known = np.array([[1.0, 0.4 - 0.3j], [0.4 + 0.3j, 0.5]])
    n = np.einsum("ij,tsjek->tsiek", np.linalg.cholesky(known), normal(rng, 300, 3, 2, 4, 25)).astype(np.complex64)
    found = noise_covariance(n)
    rows = np.moveaxis(n, 2, 1).reshape(300, 2, -1)
    np.testing.assert_allclose(found[7], np.cov(rows[7], bias=True), atol=0.02)  # np.cov takes the mean off
    np.testing.assert_allclose(found[7], rows[7] @ rows[7].conj().T / 300, rtol=1e-5)
    # Variance of an entry of a sample covariance: R_ii R_jj / N.
    deviation = np.sqrt(np.outer(np.diag(known), np.diag(known)).real / 300)
    assert (np.abs(found.mean(axis=0) - known) < 5 * deviation / np.sqrt(300)).all()
    np.testing.assert_allclose(np.abs(found - known).std(axis=0) / deviation, 0.5, atol=0.3)
    np.testing.assert_allclose(noise_power(np.broadcast_to(known, (2, 2, 2))), 0.75)


@pytest.mark.parametrize("delay", [0.0, 3.7e-8, 1.1e-6, 2.0e-6])
def test_delay_of_a_single_path_is_exact(delay: float) -> None:
    centre, length = delay_moments(block_correlation(paths([delay], [1.0], slots=5), np.zeros(5)), STEP)
    np.testing.assert_allclose(centre, delay, atol=2e-11)
    assert (length < 1e-9).all()  # single precision: 1 - |rho| of some 1e-7


@pytest.mark.parametrize("first", [0.0, 0.4e-6])
@pytest.mark.parametrize("apart", [60e-9, 0.8e-6, 1.6e-6])  # the circle is 2.8 µs
def test_delay_of_two_paths_is_their_mean_and_rms_spread(first: float, apart: float) -> None:
    delays, powers = np.array([first, first + apart]), np.array([0.7, 0.3])
    rho = block_correlation(paths(delays, powers), np.zeros(400))
    assert rho.shape == (400, 24)
    expected = powers @ np.exp(-2j * np.pi * STEP * np.outer(delays, np.arange(1, 25)))
    np.testing.assert_allclose(rho.mean(axis=0), expected, atol=0.06)
    centre, length = delay_moments(expected[None], STEP)
    true = powers @ delays, np.sqrt(powers @ delays**2 - (powers @ delays) ** 2)
    np.testing.assert_allclose([centre[0], length[0]], true, rtol=0.03)
    gains = np.sqrt(powers) * np.ones((3, 2, 1, 4, 2)) * np.exp(1j)
    np.testing.assert_allclose(np.array(profile_moments(gains, delays))[:, 0], true)


def test_noise_is_taken_off_the_delay_profile() -> None:
    h = paths([0.0, 60e-9], [0.7, 0.3])
    noisy = h + normal(np.random.default_rng(2), *h.shape)  # 0 dB
    clean, bare = (block_correlation(h, np.zeros(400)), block_correlation(noisy, np.zeros(400)))
    found = block_correlation(noisy, np.ones(400))
    assert abs(np.mean(found[:, 0]) - np.mean(clean[:, 0])) < 0.03
    assert np.mean(np.abs(bare[:, 0])) < 0.6  # without it half the power would count as spread


def test_group_channel_of_a_single_path_is_the_channel_at_the_centre() -> None:
    frequencies = np.arange(48) * STEP + 30e3 * np.arange(4)[:, None]
    delay = 0.9e-6
    h = np.exp(-2j * np.pi * delay * frequencies)[None, None, None].astype(np.complex64)
    centres = frequencies.reshape(4, 12, 4).mean(axis=(0, 2))
    found = group_channel(h, frequencies, centres, np.array([delay]))
    wanted = np.broadcast_to(np.exp(-2j * np.pi * delay * centres), found.shape)
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    # Without the bulk delay taken off, the mean over a group would fade.
    assert np.abs(group_channel(h, frequencies, centres, np.zeros(1))).max() < 0.9


def test_frequency_correlation_against_brute_force_and_closed_form() -> None:
    delays, powers = np.array([0.0, 0.4e-6, 1.0e-6]), np.array([0.5, 0.3, 0.2])
    groups = np.arange(20) * STEP
    h = paths(delays, powers, groups, slots=3, ports=2)
    found = frequency_correlation(h, np.zeros(3))
    rows = h[1].reshape(-1, 20).astype(complex)
    lags = [np.mean(rows[:, j:] * rows[:, : 20 - j].conj()) for j in range(20)]
    expected = np.array(lags) / lags[0].real
    np.testing.assert_allclose(found[1], expected / np.maximum(np.abs(expected), 1), atol=1e-5)
    many = frequency_correlation(paths(delays, powers, groups, slots=2000), np.zeros(2000)).mean(axis=0)
    np.testing.assert_allclose(many, powers @ np.exp(-2j * np.pi * np.outer(delays, groups)), atol=0.05)
    noisy = paths(delays, powers, groups) + normal(np.random.default_rng(3), 400, 2, 1, 8, 20)
    near = frequency_correlation(noisy, np.ones(400)).mean(axis=0)[:3]
    np.testing.assert_allclose(near, many[:3], atol=0.06)


def test_toeplitz_matrix_is_scipys() -> None:
    column = normal(np.random.default_rng(4), 2, 7)
    column[:, 0] = 1
    np.testing.assert_array_equal(hermitian_toeplitz(column)[1], toeplitz(column[1], column[1].conj()))


def test_time_covariance_of_a_still_and_of_a_moving_channel() -> None:
    rng = np.random.default_rng(5)
    still = np.repeat(normal(rng, 50, 1, 2, 4, 25), 3, axis=1)
    found = time_covariance(still, np.zeros(50))
    np.testing.assert_allclose(
        found, np.mean(np.abs(still[:, :1]) ** 2, axis=(2, 3, 4))[:, :, None] * np.ones((3, 3)), rtol=1e-4
    )
    np.testing.assert_allclose(correlation_of(found), 1, atol=1e-5)
    mix = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0.1j, 0.5, 0.8]])
    moving = np.einsum("su,turpk->tsrpk", mix, normal(rng, 400, 3, 2, 4, 25)).astype(np.complex64)
    noisy = moving + 0.5 * normal(rng, *moving.shape)
    found = time_covariance(noisy, np.full(400, 0.25))
    np.testing.assert_allclose(found.mean(axis=0), mix @ mix.conj().T, atol=0.02)
    np.testing.assert_allclose(found, found.conj().transpose(0, 2, 1), atol=1e-6)


def clarke(doppler: float, slot_s: float, snr_db: float, slots=24, entries=1500, waves=8):
    """Jakes spectrum: many plane waves from all around. [slots, 2, 1, 1, entries] and its noise power."""
    rng = np.random.default_rng(6)
    nu = doppler * np.cos(rng.uniform(-np.pi, np.pi, (entries, waves)))
    gain = np.exp(2j * np.pi * rng.random((entries, waves))) / np.sqrt(waves)
    times = slot_s * (np.arange(slots)[:, None] + np.array([2, 8]) / 14)
    h = np.stack([np.sum(gain * np.exp(2j * np.pi * nu * t), axis=1) for t in times.ravel()])
    noise = 10 ** (-snr_db / 10)
    noisy = h + np.sqrt(noise) * normal(rng, *h.shape)
    return noisy.reshape(slots, 2, 1, 1, entries).astype(np.complex64), np.full(slots, noise)


@pytest.mark.parametrize(
    ("doppler", "snr_db"), [(8.0, 200.0), (80.0, 200.0), (200.0, 200.0), (80.0, 10.0), (20.0, 5.0)]
)
def test_doppler_of_clarkes_model_is_j0_and_its_width(doppler: float, snr_db: float) -> None:
    h, noise = clarke(doppler, 1e-3, snr_db)
    times = np.array([2, 8]) / 14 * 1e-3
    lags, rho, error = autocorrelation(h, noise, times, 1e-3, 20)
    assert rho.shape == (5, 11)
    np.testing.assert_allclose(lags[:3], [6 / 14 * 1e-3, 1e-3, 2e-3])
    np.testing.assert_allclose(rho[2], np.abs(j0(2 * np.pi * doppler * lags)), atol=0.06)
    width = doppler_width(lags, rho, error)
    np.testing.assert_allclose(width, doppler / np.sqrt(2), rtol=0.05 if snr_db > 100 else 0.12)


def test_doppler_of_a_single_line_and_beside_a_line_of_sight() -> None:
    slots, times = np.arange(24)[:, None] * 1e-3, np.array([2, 8]) / 14 * 1e-3
    line = np.exp(2j * np.pi * 150.0 * (slots + times))[:, :, None, None, None].astype(np.complex64)
    line = np.repeat(line, 50, axis=4)
    assert doppler_width(*autocorrelation(line, np.zeros(24), times, 1e-3, 20)).max() < 0.5
    # K of 10 dB: the correlation soon saturates at 0.9; the lags beyond must not make the width small.
    rich, _ = clarke(100.0, 1e-3, 200.0)
    strong = np.sqrt(10 / 11) * line[..., :1] + np.sqrt(1 / 11) * rich
    nu = 100 * np.cos(np.linspace(0, 2 * np.pi, 360, endpoint=False))
    true = ray_width(np.append(nu, 150.0).astype(np.float32), np.append(np.full(360, 1 / 11 / 360), 10 / 11))
    assert true == pytest.approx(np.sqrt(10 / 121 * 150**2 + 100**2 / 2 / 11), rel=1e-5)
    found = doppler_width(*autocorrelation(strong.astype(np.complex64), np.zeros(24), times, 1e-3, 20))
    np.testing.assert_allclose(found, true, rtol=0.1)


@pytest.mark.parametrize(("n1", "counts"), [(2, (32, 32, 16, 16)), (4, (64, 128, 96, 96))])
def test_codebooks_of_three_and_four_layers_follow_the_standards_tables(n1: int, counts) -> None:
    for rank, count in enumerate(counts, start=1):
        book = rank_precoders(n1, 1, rank)
        assert book.shape == (count, 2 * n1, rank)
        np.testing.assert_allclose(
            book.conj().swapaxes(1, 2) @ book, np.broadcast_to(np.eye(rank) / rank, (count, rank, rank)), atol=1e-6
        )
    # Entry by entry: port (pol, i) of layer j, TS 38.214 Table 5.2.2.2.1-7, first index l, then k1, then n.
    three = rank_precoders(n1, 1, 3)
    places = list(itertools.product(range(4 * n1), range(1, 2 if n1 == 2 else 4), range(2)))
    for at in (0, 1, 5, len(places) - 1):
        l, k, n = places[at]  # noqa: E741
        for pol, i, layer in itertools.product(range(2), range(n1), range(3)):
            beam = l + 4 * k * (layer == 1)
            sign = 1 if pol == 0 else (1j**n) * (-1 if layer == 2 else 1)
            value = sign * np.exp(2j * np.pi * beam * i / (4 * n1)) / np.sqrt(3 * 2 * n1)
            assert abs(three[at, pol * n1 + i, layer] - value) < 1e-6
    with pytest.raises(SpecError, match="no such codebook"):
        rank_precoders(4, 2, 3)


def test_precoder_is_the_best_of_all_and_its_rate_that_of_mmse() -> None:
    rng = np.random.default_rng(7)
    h, noise = normal(rng, 3, 4, 8, 5), np.broadcast_to(0.1 * np.eye(4), (3, 4, 4))
    grams = gram(h, noise)
    for rank in (1, 2, 4):
        book = rank_precoders(4, 1, rank)
        chosen = best_precoder(grams.mean(axis=1), book)
        rates = [np.log2(np.linalg.det(np.eye(rank) + w.conj().T @ grams[1].mean(axis=0) @ w).real) for w in book]
        found = np.log2(np.linalg.det(np.eye(rank) + chosen[1].conj().T @ grams[1].mean(axis=0) @ chosen[1]).real)
        assert found == pytest.approx(max(rates), rel=1e-5)  # a rate, not an index: layers in another order are a tie
        rate = 0.0
        for b in range(5):  # SINR of each layer's MMSE filter, from the received signal's covariance
            effective = h[1, :, :, b] @ chosen[1]
            for layer in range(rank):
                own, others = effective[:, layer], np.delete(effective, layer, axis=1)
                interference = others @ others.conj().T + noise[1]
                rate += np.log2(1 + (own.conj() @ np.linalg.solve(interference, own)).real) / 5
        assert spectral_efficiency(grams, chosen)[1] == pytest.approx(rate, rel=1e-5)


def test_rank_follows_the_snr_and_a_channel_along_a_codeword_gets_it() -> None:
    h = normal(np.random.default_rng(8), 20, 4, 8, 1)
    low = select(h, np.broadcast_to(1e3 * np.eye(4), (20, 4, 4)))[0]
    high, precoder, rate = select(h, np.broadcast_to(1e-6 * np.eye(4), (20, 4, 4)))
    assert (low == 1).all()
    assert (high == 4).all()
    np.testing.assert_allclose(np.linalg.norm(precoder, axis=(1, 2)), 1, rtol=1e-5)
    assert (rate > 40).all()
    word = rank_precoders(2, 1, 1)[13, :, 0]
    along = np.repeat(word.conj()[None, None, :, None], 3, axis=3)
    rank, precoder, rate = select(along, np.full((1, 1, 1), 0.01))
    assert rank[0] == 1
    np.testing.assert_allclose(precoder[0, :, 0], word, atol=1e-6)
    assert not precoder[0, :, 1:].any()
    assert rate[0] == pytest.approx(np.log2(1 + 100), rel=1e-5)
