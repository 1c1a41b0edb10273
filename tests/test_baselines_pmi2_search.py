"""Selection for the Type II codebooks: energies, the truncation bound, phases, taps against plain search."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers_models import complex_normal
from tests.helpers_pmi import choices, uma_precoders
from wbench.channel.pmi_etype2 import EType2Codebook, EType2Pmi, combine
from wbench.channel.pmi_fields import Panel
from wbench.channel.pmi_type2 import Type2Codebook, Type2Pmi
from wbench_baselines.codecs import etype2, type2
from wbench_baselines.codecs.pmi_search import Taps, align_to_strongest, beam_energies, choose_beams, choose_taps


def sgcs(v: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Squared cosine over the ports, axis −2 of [n, sub-band, P, v]."""
    norms = np.linalg.norm(v, axis=-2) * np.linalg.norm(w, axis=-2)
    return (np.abs(np.sum(v.conj() * w, axis=-2)) / norms) ** 2


def waves(n: int, panel: Panel, subbands: int, layers: int = 1, seed: int = 0) -> np.ndarray:
    """Sums of a few plane waves with delays: [n, sub-band, P, layer], random phase per sub-band and layer."""
    rng = np.random.default_rng(seed)
    y, z = rng.uniform(-0.5, 0.5, (2, n, 5, 1))
    col, row = np.divmod(np.arange(panel.elements), panel.n2)
    steering = np.exp(2j * np.pi * (y * col + 0.3 * z * row))
    spectrum = np.exp(-2j * np.pi * rng.uniform(0, 3 / subbands, (n, 5, 1)) * np.arange(subbands))
    jones = complex_normal(rng, n, 5, 2, layers) * 0.6 ** np.arange(5)[:, None, None]
    h = np.einsum("nlcv,nlp,nls->nscpv", jones, steering, spectrum).reshape(n, subbands, -1, layers)
    h *= np.exp(2j * np.pi * rng.random((n, subbands, 1, layers)))
    return (h / np.linalg.norm(h, axis=2, keepdims=True)).astype(np.complex64)


def unquantised(panel: Panel, v: np.ndarray, beams: int, taps: int, most: int, **kwargs: int | bool) -> np.ndarray:
    """SGCS [n, sub-band, layer] of what is left of precoders before any quantisation."""
    found = choose_beams(panel, np.moveaxis(v, -1, 1), beams)
    kept = choose_taps(found.spectrum, taps, most, **kwargs)
    w = combine(panel, found.group, found.beams, kept.amplitudes, kept.taps, kept.strongest, v.shape[1])
    return sgcs(v, w)


@pytest.mark.parametrize("shape", [(8, 2), (4, 2), (16, 1), (3, 2), (2, 1)])
def test_energies_by_lags_are_those_of_every_beam(shape: tuple[int, int]) -> None:
    panel = Panel(*shape)
    targets = complex_normal(np.random.default_rng(0), 6, 2, 5, 2 * panel.elements)
    halves = targets.reshape(6, 20, panel.elements)
    direct = np.sum(np.abs(np.einsum("gbe,nre->nrgb", panel.beams().conj(), halves)) ** 2, axis=1)
    np.testing.assert_allclose(beam_energies(panel, targets), direct, rtol=1e-4, atol=1e-3)
    for count in (1, 2):
        found = choose_beams(panel, targets, count)
        best = np.sort(direct, axis=-1)[..., -count:]
        score = best.sum(axis=-1) + np.sqrt(np.sum(best**2, axis=-1)) / 4
        np.testing.assert_allclose(score[np.arange(6), found.group], score.max(axis=-1), rtol=1e-5)
        for row in range(6):
            top = np.sort(np.argsort(direct[row, found.group[row]])[-count:])
            np.testing.assert_array_equal(found.beams[row], top)


@pytest.mark.parametrize("shape", [(8, 2), (4, 2), (16, 1)])
@pytest.mark.parametrize("layers", [1, 2])
def test_full_basis_without_quantisation_loses_nothing(shape: tuple[int, int], layers: int) -> None:
    panel = Panel(*shape)
    v = complex_normal(np.random.default_rng(1), 5, 13, 2 * panel.elements, layers)  # no structure at all
    np.testing.assert_allclose(unquantised(panel, v, panel.elements, 13, 26 * panel.elements), 1, atol=1e-5)


def test_more_of_everything_never_hurts_and_alignment_helps() -> None:
    panel, v = Panel(8, 2), uma_precoders()[..., None]
    by_size = [
        unquantised(panel, v, *size).mean() for size in [(2, 4, 4), (2, 4, 8), (4, 4, 16), (4, 7, 28), (6, 7, 63)]
    ]
    assert np.all(np.diff(by_size) > 0.003)
    by_rounds = [unquantised(panel, v, 4, 4, 16, alternations=rounds).mean() for rounds in (0, 1, 4, 8)]
    assert np.all(np.diff(by_rounds) > 0)
    assert by_rounds[2] - by_rounds[0] > 0.005  # facts: 0.6 to 1.6 points from four alternations


def test_phases_of_the_sub_bands_do_not_matter() -> None:
    book, rng = EType2Codebook(4, 2, 4, 13, rank=2), np.random.default_rng(3)
    v = waves(30, book.panel, 13, 2, seed=4)
    turned = v * np.exp(2j * np.pi * rng.random((30, 13, 1, 2)))
    one, other = etype2.select(book, v), etype2.select(book, turned)
    # The strongest coefficient is real by definition, so the very same PMI, but for ties in rounding.
    equal = [np.array_equal(one.k2[i], other.k2[i]) and np.array_equal(one.c[i], other.c[i]) for i in range(30)]
    assert np.mean(equal) > 0.9
    np.testing.assert_allclose(sgcs(book.precoders(one), book.precoders(other)).mean(), 1, atol=0.01)


@pytest.mark.parametrize("windowed", [False, True])
def test_taps_and_coefficients_against_plain_search(windowed: bool) -> None:
    rng = np.random.default_rng(5)
    taps, most, subbands = 3, 5, 22
    spectrum = complex_normal(rng, 8, 2, 4, subbands)
    aligned, _ = align_to_strongest(spectrum)
    found = choose_taps(spectrum, taps, most, windowed=windowed, alternations=0)
    delays = np.fft.fft(aligned, axis=-1) / subbands
    for row in range(8):
        rolled = []
        for layer in range(2):
            beam, delay = np.unravel_index(np.argmax(np.abs(delays[row, layer])), (4, subbands))
            assert found.strongest[row, layer] == beam
            rolled.append(np.roll(delays[row, layer], -delay, axis=-1))
        energy = [np.sum(np.abs(each) ** 2, axis=0) for each in rolled]
        starts = range(0, -2 * taps, -1) if windowed else [0]
        plans = []
        for start in starts:
            window = {(start + i) % subbands for i in range(2 * taps)} if windowed else set(range(subbands))
            chosen = [[0, *sorted(window - {0}, key=lambda tap, e=e: -e[tap])[: taps - 1]] for e in energy]
            plans.append((sum(e[c].sum() for e, c in zip(energy, chosen, strict=True)), start, chosen))
        _, start, chosen = max(plans, key=lambda plan: plan[0])
        assert found.start[row] == start
        for layer in range(2):
            assert sorted(chosen[layer]) == found.taps[row, layer].tolist()
            kept = found.amplitudes[row, layer]
            every = rolled[layer][:, found.taps[row, layer]]
            limit = np.sort(np.abs(every), axis=None)[-most]
            np.testing.assert_allclose(kept, np.where(np.abs(every) >= limit, every, 0), atol=1e-6)
            assert np.count_nonzero(kept) == most


def test_levels_are_the_nearest_ones() -> None:
    # One layer, L = 2, M = 2; beam 1 is the strongest, beams 2 and 3 are of the other polarisation.
    values = np.array([[0.52, 0.02], [2j, 0.4], [1.3, 0.0], [0.3, 1.2 * np.exp(1j * 1.0)]]) * np.exp(0.7j)
    taps = Taps(np.zeros(1, int), np.array([[[0, 1]]]), np.array([[1]]), values[None, None].astype(np.complex64))
    pmi = etype2.quantise(np.zeros(1, int), np.array([[0, 1]]), taps)
    # Over the strongest: .26 → 2^-2; .01 is below half of 2^-3.5; .2 → 2^-2.5 = .177 beside .25
    assert pmi.k2[0, 0].tolist() == [[3, 0], [7, 2], [7, 0], [3, 7]]
    assert pmi.k1[0, 0] == 12  # .65 is between 2^-.75 = .595 and 2^-.5 = .707, and .651 is halfway
    assert pmi.nonzero[0, 0].tolist() == [[True, False], [True, True], [True, False], [True, True]]
    # −j relative to the strongest: 12 of 16; 1 rad − π/2 = −.571 rad = −1.45 steps
    assert pmi.c[0, 0].tolist() == [[12, 0], [0, 12], [12, 0], [12, 15]]


def unpaired(rng: np.random.Generator, n: int, count: int) -> np.ndarray:
    """Beams of an (8, 2) panel in different columns: both beams of a column span the same space in every group."""
    return np.sort(choices(rng, n, 8, count) + 8 * rng.integers(0, 2, (n, count)), axis=1)


@pytest.mark.parametrize("rank", [1, 2])
def test_precoders_of_the_codebooks_are_found_again(rank: int) -> None:
    rng, n = np.random.default_rng(6), 60
    # Rel-15 without sub-band amplitudes, and Rel-16 with tap 0 alone: there a precoder's norm is the same in every
    # sub-band, and its coefficients can be read off.
    old = Type2Codebook(8, 2, 3, 13, 8, rank=rank)
    strongest = rng.integers(0, 6, (n, rank))
    top = np.arange(6) == strongest[..., None]
    c = rng.integers(0, 8, (n, rank, 6, 13)) * ~top[..., None]
    k1 = np.where(top, 7, rng.integers(1, 7, (n, rank, 6)))
    pmi = Type2Pmi(rng.integers(0, 16, n), unpaired(rng, n, 3), strongest, k1, np.ones_like(c), c)
    v = old.precoders(pmi)
    np.testing.assert_allclose(
        sgcs(v, old.precoders(type2.select(old, np.squeeze(v, -1) if rank == 1 else v))), 1, atol=1e-4
    )
    new = EType2Codebook(8, 2, 5, 13, rank=rank)
    strongest = rng.integers(0, 8, (n, rank))
    top = np.zeros((n, rank, 8, new.taps), bool)
    np.put_along_axis(top[..., 0], strongest[..., None], True, axis=-1)
    nonzero = np.zeros_like(top)
    nonzero[..., 0] = True
    k2 = np.where(top, 7, rng.integers(3, 7, top.shape) * nonzero)
    c = rng.integers(0, 16, top.shape) * (nonzero & ~top)
    taps = np.broadcast_to(np.arange(new.taps), (n, rank, new.taps))
    k1 = rng.integers(10, 15, (n, rank))
    beams = unpaired(rng, n, 4)
    pmi = EType2Pmi(rng.integers(0, 16, n), beams, np.zeros(n, int), taps, nonzero, strongest, k1, k2, c)
    v = new.precoders(pmi)
    np.testing.assert_allclose(sgcs(v, new.precoders(etype2.select(new, v[..., 0] if rank == 1 else v))), 1, atol=1e-4)
