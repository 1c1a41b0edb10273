"""The generator ``slots``: its grid, its bits, the chain against the core's synthesis, and its noise-free limit."""

from __future__ import annotations

import tomllib
from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError

pytest.importorskip("sionna.phy")

from tests.helpers_slots import RECIPE, write_recipe
from tests.test_generators_recipes import RECIPES
from wbench import generate
from wbench.channel.statistics import doppler_spread
from wbench.channel.synthesis import Grid, synthesize
from wbench.dataset.ragged import hermitian_toeplitz, read_ragged, unpadded
from wbench.errors import DatasetError, SpecError
from wbench.generator import Block
from wbench_generators.slots import Slots
from wbench_generators.slots.chain import (
    EMPTY,
    interfered_noise,
    pilot_channel,
    ray_power,
    receive,
    tap_gains,
    within_prefix,
)
from wbench_generators.slots.doppler import ray_width
from wbench_generators.slots.link import draw_link
from wbench_generators.slots.session import SlotsSession

ROOT = 5
LITTLE = tomllib.loads(RECIPE)["params"]
ISSUE = {
    "scenarios": {"umi", "uma", "rma"},
    "numerologies": {(2.6e9, 15e3), (3.5e9, 30e3)},
    "speeds_kmh": {3, 10, 30, 60, 90},
    "antennas": {(4, 1), (4, 2), (4, 4), (8, 1), (8, 2), (8, 4)},
    "groups": {25, 50, 75, 100},
    "group_sizes": {12, 24, 48},
    "pilots": {(2, 8), (2, 6, 10), (4, 8, 12), (2, 5, 8, 11)},
}


def little(**changes):
    return Slots.Params.model_validate({**LITTLE, **changes})


def block(first: int, runs: int = 1, index: int = 0) -> Block:
    return Block(index, range(10 * first, 10 * (first + runs)), ROOT)


@pytest.fixture(scope="module")
def session():
    with Slots().open(little()) as opened:
        yield opened


def test_recipe_is_the_issues_grid_and_every_axis_is_drawn_evenly() -> None:
    recipe = RECIPES["slots"]
    params = Slots.Params.model_validate(recipe["params"])
    for name, values in ISSUE.items():
        assert set(getattr(params, name)) == values, name
    assert params.snr_db == (0, 30)
    assert params.doppler_window_s >= 20e-3
    runs = [recipe["sizes"][size]["samples"] / params.slots for size in ("tiny", "standard", "large")]
    assert runs == [12, 300, 2900]
    links = [draw_link(params, block(0), run) for run in range(3000)]
    assert links[7] == draw_link(params, Block(99, range(0), ROOT), 7)  # keyed by the run alone
    for name in ("scenario", "carrier_hz", "speed_kmh", "groups", "group_size", "pilots"):
        _, counts = np.unique([str(getattr(link, name)) for link in links], return_counts=True)
        assert counts.min() > 0.85 * 3000 / len(counts), name
        assert counts.max() < 1.15 * 3000 / len(counts), name
    assert len({(link.tx_ports, link.rx_ports) for link in links}) == 6
    snr = np.array([link.snr_db for link in links])
    np.testing.assert_allclose(np.quantile(snr, [0.25, 0.5, 0.75]), [7.5, 15, 22.5], atol=1)


def test_bits_of_a_run_alone_in_a_larger_block_and_later(session) -> None:
    whole = session.simulate(block(0, runs=3))[1]
    with Slots().open(little()) as other:
        other.simulate(block(7))
        for run in (2, 0, 1):
            alone = other.simulate(block(run, index=4))[1]
            for name, values in alone.items():
                np.testing.assert_array_equal(values, whole[name][10 * run : 10 * run + 10], err_msg=name)
    assert not np.array_equal(whole["delay_centre"][:10], whole["delay_centre"][10:20])


def test_arrays_are_the_layouts(session) -> None:
    arrays = session.simulate(block(1))[1]
    layout = {spec.name: spec for spec in Slots().layout(little()).arrays}
    assert set(arrays) == set(layout)
    for name, spec in layout.items():
        assert (arrays[name].shape, arrays[name].dtype) == ((10, *spec.shape), np.dtype(spec.dtype)), name
    with pytest.raises(SpecError, match="whole runs"):
        session.simulate(Block(0, range(0, 15), ROOT))


def test_chain_is_the_cores_synthesis_at_the_pilots(session: SlotsSession) -> None:
    link = draw_link(little(), block(0), 2)
    rays = within_prefix(session._rays(link, Block(2, range(2, 3), ROOT))[0], link.prefix_s)
    channel = pilot_channel(tap_gains(rays, link, 6, 2), rays.tau[0], link)
    grid = Grid(12 * link.blocks, link.spacing_hz, -6 * link.blocks * link.spacing_hz)
    # All symbols of four slots on the whole grid, from time 0 on: slot 2 of the chain is the first of them.
    whole = synthesize(rays, link.tx, link.rx, grid, 4 * 14, link.symbol_s)[0].reshape(
        4, 14, link.rx_ports, link.tx_ports, -1
    )
    for port in range(link.tx_ports):
        expected = whole[:, list(link.pilots)][:, :, :, port, port::12]
        error = np.linalg.norm(channel[2:, :, :, port] - expected) / np.linalg.norm(expected)
        assert error < 1e-4
    late = np.repeat(rays.tau > link.prefix_s, rays.seg, axis=1)
    assert not rays.g[:, :, late].any()
    # An isotropic, vertical pair of antennas sees the theta-theta power of the rays.
    power = np.abs(rays.g).astype(float) ** 2
    assert ray_width(rays.nu[0], power.sum(axis=(0, 1))[0]) == pytest.approx(doppler_spread(rays)[0], rel=1e-5)
    seen = ray_power(rays, link)
    assert seen.shape == (rays.rays,)
    assert seen.sum() == pytest.approx(float(np.mean(np.abs(channel) ** 2)) * link.tx_ports * link.rx_ports, rel=1)


def test_noise_has_its_snr_and_its_covariance() -> None:
    link = draw_link(little(antennas=[[4, 4]], snr_db=[10, 10]), block(0), 0)
    covariance = interfered_noise(link, np.random.default_rng(1))
    assert np.trace(covariance).real / 4 == pytest.approx(0.1)
    values = np.linalg.eigvalsh(covariance)  # thermal noise three times, the interferer on top once
    np.testing.assert_allclose(values[:3], 0.1 / (1 + 10 ** (link.interference_db / 10)), rtol=1e-9)
    received = receive(np.zeros((200, 2, 4, 4, 25), np.complex64), covariance, np.random.default_rng(2))
    assert received.empty.shape == (200, 2, 4, EMPTY, 25)
    for noise in (received.pilots, received.empty):
        rows = np.moveaxis(noise, 2, 0).reshape(4, -1)
        np.testing.assert_allclose(rows @ rows.conj().T / rows.shape[1], covariance, atol=4e-3)


def test_without_noise_every_estimate_of_the_channel_is_the_true_value() -> None:
    with Slots().open(little(snr_db=[120, 120])) as clean:
        arrays = clean.simulate(block(0, runs=4))[1]
    for name in ("frequency_correlation", "time_covariance", "time_correlation"):
        np.testing.assert_allclose(arrays[name], arrays[f"{name}_true"], atol=1e-4, err_msg=name)
    # The noise covariance is estimated at any SNR: where two precoders are nearly as good, it decides.
    same = np.abs(arrays["precoder"] - arrays["precoder_true"]).max(axis=(1, 2, 3)) < 1e-6
    assert same.mean() > 0.9
    np.testing.assert_array_equal(arrays["rank"][same], arrays["rank_true"][same])
    rates = arrays["spectral_efficiency"], arrays["spectral_efficiency_true"]
    np.testing.assert_allclose(rates[0][same], rates[1][same], rtol=5e-3)
    # Delay and Doppler are true of the rays: finite band and 20 ms leave their mark. Widths are in the right place.
    assert np.corrcoef(arrays["delay_centre"], arrays["delay_centre_true"])[0, 1] > 0.95
    ratio = arrays["doppler_width"] / arrays["doppler_width_true"]
    assert 0.6 < np.median(ratio) < 1.6


def test_what_does_not_change_and_what_is_masked(session) -> None:
    arrays = session.simulate(block(0, runs=6))[1]
    for first, last in pairwise(range(0, 61, 10)):
        run = slice(first, last)
        for name in ("noise_covariance_true", "doppler_width_true", "snr_db", "group_mask", "speed_kmh"):
            assert (arrays[name][run] == arrays[name][run.start]).all()
        assert len(np.unique(arrays["delay_centre_true"][run])) == 10
        np.testing.assert_array_equal(arrays["slot"][run], np.arange(10))
    for name, mask in (
        ("noise_covariance", "antenna_mask"),
        ("frequency_correlation", "group_mask"),
        ("precoder", "precoder_mask"),
    ):
        assert not arrays[name][~arrays[mask]].any()
    layers = arrays["precoder_true_mask"][:, 0].sum(axis=1)
    np.testing.assert_array_equal(layers, arrays["rank_true"])
    power = (arrays["precoder_true"] ** 2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(power, 1, rtol=1e-5)


def test_ragged_arrays_come_back_in_their_own_size(tmp_path) -> None:
    dataset = generate(write_recipe(tmp_path), size="tiny", out=tmp_path / "little.zarr").open()
    ids = [3, 27, 100]
    groups = dataset.read("group_mask", np.array(ids)).sum(axis=1)
    for one, count, sample in zip(read_ragged(dataset, "frequency_correlation", ids), groups, ids, strict=True):
        assert one.shape == (count,)
        assert one.dtype == np.complex64
        assert one[0] == 1
        matrix = hermitian_toeplitz(one)
        np.testing.assert_array_equal(matrix, matrix.conj().T)
        stored = dataset.read("frequency_correlation", np.array([sample]))[0]
        np.testing.assert_array_equal(one.imag, stored[:count, 1])
    ranks = dataset.read("rank", np.array(ids))
    shapes = [one.shape for one in read_ragged(dataset, "precoder", ids)]
    assert [shape[1] for shape in shapes] == ranks.tolist()
    assert {shape[0] for shape in shapes} <= {4, 8}
    assert read_ragged(dataset, "rank", ids) == ranks.tolist()
    with pytest.raises(DatasetError, match="no block"):
        unpadded(np.ones((2, 2)), np.array([[False, True], [True, True]]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"scenarios": ["inh-open"]},
        {"scenarios": ["rma"]},
        {"antennas": [[6, 2]]},
        {"groups": [120]},
        {"group_sizes": [18]},
        {"pilots": [[8, 2]]},
        {"pilots": [[2, 14]]},
        {"snr_db": [30, 0]},
        {"doppler_window_s": 0.01},
    ],
)
def test_impossible_parameters_are_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        little(**wrong)
