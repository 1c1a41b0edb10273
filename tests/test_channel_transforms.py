"""DFTs, beam codebooks and noise: against explicit DFT matrices and plane waves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import dft

from wbench.channel import angular_delay as ad
from wbench.channel.array import Array
from wbench.channel.codebooks import (
    beam_directions,
    beam_rsrp,
    best_beam,
    dft_codebook,
    planar_codebook,
    steered_codebook,
)
from wbench.channel.noise import add_noise, draw_snr_db, noise_power, random_phase
from wbench.channel.rays import Rays
from wbench.channel.synthesis import Grid, synthesize
from wbench.errors import SpecError
from wbench.seeding import KeyedStream


def noise(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def plane_wave(array: Array, azimuth: float, zenith: float = np.pi / 2, tau: float = 0.0, grid: Grid | None = None):
    """Channel of one V-polarised ray towards a direction, made by the synthesis."""
    one = np.ones((1, 1), np.float32)
    g = np.zeros((2, 2, 1, 1), np.complex64)
    g[0, 0] = 1
    rays = Rays(1e9, np.full((1, 1), tau), (1,), one * float(azimuth), one * float(zenith), one, one, g, 0 * one)
    return synthesize(rays, array, Array.ula(1), grid or Grid.centred(8, 30e3))


def test_delay_and_angle_are_unitary_dft_matrices() -> None:
    h, matrix = noise(3, 5, 16), dft(16, scale="sqrtn")
    np.testing.assert_allclose(ad.subcarrier_to_delay(h), h @ matrix.conj(), atol=2e-6)
    np.testing.assert_allclose(ad.delay_to_subcarrier(h, 16), h @ matrix, atol=2e-6)
    np.testing.assert_allclose(ad.antenna_to_angle(h), h @ matrix, atol=2e-6)
    np.testing.assert_allclose(ad.angle_to_antenna(ad.antenna_to_angle(h, axis=1), axis=1), h, atol=2e-6)
    assert ad.subcarrier_to_delay(h).dtype == ad.antenna_to_angle(h).dtype == np.complex64


def test_ports_of_a_dual_polarised_panel_are_never_mixed() -> None:
    array = Array.dual_polarised(4, 2)
    h = noise(3, 16, 5)
    one = np.kron(dft(2, scale="sqrtn"), dft(4, scale="sqrtn"))
    expected = np.einsum("ap,npk->nak", np.kron(np.eye(2), one), h)
    np.testing.assert_allclose(ad.port_to_angle(h, array, axis=1), expected, atol=2e-6)
    np.testing.assert_allclose(ad.angle_to_port(ad.port_to_angle(h, array, axis=1), array, axis=1), h, atol=2e-6)
    with pytest.raises(SpecError):
        ad.port_to_angle(h, array)


def test_delay_rows_wrap_and_the_crop_is_inverted() -> None:
    h = noise(2, 8, 64)
    array, rows = Array.ula(8), range(-4, 28)
    image = ad.angular_delay(h, array, rows)
    assert image.shape == (2, 32, 8)
    full = ad.angular_delay(h, array)
    assert np.array_equal(image, full[:, np.r_[60:64, 0:28]])
    np.testing.assert_allclose(ad.inverse_angular_delay(full, array, 64), h, atol=3e-6)
    back = ad.angular_delay(ad.inverse_angular_delay(image, array, 64, rows), array, rows)
    np.testing.assert_allclose(back, image, atol=3e-6)
    for bad in (65, 0, range(3, 3)):
        with pytest.raises(SpecError):
            ad.subcarrier_to_delay(h, bad)
    with pytest.raises(SpecError):
        ad.delay_to_subcarrier(image, 64, range(5))


def test_a_path_lands_on_its_delay_row_and_angle_column() -> None:
    grid = Grid.centred(64, 60e3)
    h = plane_wave(Array.ula(16), np.arcsin(3 / 8), tau=5 / (64 * 60e3), grid=grid)
    image = np.abs(ad.angular_delay(h[0, 0, 0], Array.ula(16)))
    assert np.unravel_index(image.argmax(), image.shape) == (5, 3)
    np.testing.assert_allclose(image.max(), np.sqrt(16 * 64), rtol=1e-5)


@pytest.mark.parametrize("azimuth", [-1.3, -0.7, -0.1, 0.0, 0.2, 0.9, 1.4])
@pytest.mark.parametrize(("elements", "beams"), [(32, 64), (32, 32), (16, 128)])
def test_plane_wave_picks_the_beam_that_points_at_it(azimuth: float, elements: int, beams: int) -> None:
    rsrp = beam_rsrp(plane_wave(Array.ula(elements), azimuth), dft_codebook(elements, beams))
    beam = int(best_beam(rsrp)[0])
    assert beam == round(np.sin(azimuth) * beams / 2) % beams
    off = beam_directions(beams)[beam] - np.sin(azimuth) / 2
    assert abs(off - round(off)) <= 0.5 / beams + 1e-9  # endfire directions wrap


def test_beam_at_its_own_direction_has_the_full_array_gain() -> None:
    rsrp = beam_rsrp(plane_wave(Array.ula(32), np.arcsin(10 / 32)), dft_codebook(32, 64))
    np.testing.assert_allclose(rsrp[0, 10], 32.0, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(dft_codebook(32, 64), axis=0), 1.0, rtol=1e-6)
    np.testing.assert_allclose(rsrp[0, ::2].sum(), 32.0, rtol=1e-5)  # every second beam: an orthonormal basis


def test_planar_codebook_points_in_azimuth_and_zenith() -> None:
    array = Array.upa(8, 8)
    direction = (np.arcsin(2 / 8 / np.sin(2.0)), 2.0)  # below the horizon: −cos θ > 0
    book = planar_codebook(array, 16, 16)
    beam = int(best_beam(beam_rsrp(plane_wave(array, *direction), book))[0])
    assert divmod(beam, 16) == (round(2 / 8 * 16 / 2), round(-np.cos(2.0) * 16 / 2))
    dual = planar_codebook(Array.dual_polarised(8, 8), 16, 16)
    assert dual.shape == (128, 512)
    assert np.array_equal(dual[:64, :256], book)
    assert not dual[:64, 256:].any()


def test_steered_beams_point_where_they_say() -> None:
    array = Array.upa(4, 8, orient=(0.5, 0.1, 0.0))
    azimuth, zenith = np.linspace(-0.5, 1.5, 9), np.full(9, 1.7)
    book = steered_codebook(array, azimuth, zenith)
    for beam in range(9):
        rsrp = beam_rsrp(plane_wave(array, azimuth[beam], zenith[beam]), book)
        assert int(best_beam(rsrp)[0]) == beam
        # A tilted array is not quite vertical for a wave from the side: it loses cos²ψ of the power.
        np.testing.assert_allclose(rsrp[0, beam], 32.0, rtol=0.02)


def test_rsrp_is_the_mean_power_and_ignores_the_batch() -> None:
    h, book = noise(5, 2, 3, 8, 4), dft_codebook(8, 16)
    expected = (np.abs(np.einsum("ntrsk,sb->ntrkb", h, book)) ** 2).mean(axis=(1, 2, 3))
    rsrp = beam_rsrp(h, book)
    np.testing.assert_allclose(rsrp, expected, rtol=1e-5)
    assert rsrp.dtype == np.float64
    assert np.array_equal(beam_rsrp(h[3:4], book)[0], rsrp[3])
    with pytest.raises(SpecError):
        beam_rsrp(h, dft_codebook(4, 16))


def test_noise_belongs_to_the_sample_not_to_the_batch() -> None:
    h, ids, power = noise(6, 2, 3), np.array([5, 9, 1, 700, 2, 3]), np.linspace(0.1, 2, 6)
    stream = KeyedStream("spec", "noise")
    whole = add_noise(h, power, stream, ids)
    order = np.array([3, 0, 5, 2])
    part = add_noise(h[order], power[order], KeyedStream("spec", "noise"), ids[order])
    assert np.array_equal(part, whole[order])
    assert not np.array_equal(add_noise(h, power, KeyedStream("spec", "other"), ids), whole)
    assert np.array_equal(add_noise(h, 0.0, stream, ids), h)
    assert whole.dtype == np.complex64


def test_noise_power_is_what_was_asked_for() -> None:
    snr = np.array([20.0, 0.0, -10.0])
    h = np.zeros((3, 20000), np.complex64)
    w = add_noise(h, noise_power(snr), KeyedStream("a"), [1, 2, 3]).astype(np.complex128)
    np.testing.assert_allclose((np.abs(w) ** 2).mean(axis=1), 10 ** (-snr / 10), rtol=0.04)
    np.testing.assert_allclose((w.real**2).mean(axis=1), 10 ** (-snr / 10) / 2, rtol=0.05)
    assert np.all(np.abs((w**2).mean(axis=1)) < 0.04 * 10 ** (-snr / 10))  # circular
    assert noise_power(np.inf) == 0.0


def test_snr_and_phase_are_drawn_per_id() -> None:
    ids = list(range(3000))
    snr = draw_snr_db([0.0, 10.0, 20.0], KeyedStream("s"), ids)
    assert np.array_equal(draw_snr_db([0.0, 10.0, 20.0], KeyedStream("s"), ids[::-1]), snr[::-1])
    assert all(abs((snr == value).mean() - 1 / 3) < 0.03 for value in (0.0, 10.0, 20.0))
    phase = random_phase(KeyedStream("p"), ids)
    np.testing.assert_allclose(np.abs(phase), 1.0, rtol=1e-6)
    assert abs(phase.mean()) < 0.05


@pytest.mark.parametrize("call", [
    lambda: add_noise(noise(2, 3), 1.0, KeyedStream("a"), [1]),
    lambda: add_noise(noise(2, 3), -1.0, KeyedStream("a"), [1, 2]),
    lambda: add_noise(noise(2, 3), np.nan, KeyedStream("a"), [1, 2]),
    lambda: draw_snr_db([], KeyedStream("a"), [1]),
    lambda: dft_codebook(0, 4),
])  # fmt: skip
def test_refuses(call) -> None:
    with pytest.raises(SpecError):
        call()
