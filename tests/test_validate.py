"""Validators while writing: real plane-wave blocks pass, corrupted ones are refused, named and kept aside."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.helpers_data import cli, write_recipe
from wbench import generate, open_dataset
from wbench.channel.delay import cyclic_prefix_s, energy_taps, late_energy
from wbench.dataset.spec import DatasetSpec, load_recipe
from wbench.errors import SimulationError, SpecError
from wbench.generator import Block
from wbench.registry import registry
from wbench.run.expect import SIGNIFICANCE, check_expectations, describe, require_known
from wbench.run.generate import array_specs, simulate_block
from wbench.run.plan import build_spec
from wbench.run.validate import KEPT_BYTES, KEPT_SAMPLES, ShardCheck, failed_path
from wbench_generators.plane_wave import PlaneWave, PlaneWaveSession

BLOCK, BLOCKS = 16, 2


@pytest.fixture(scope="module")
def world():
    """Layout, rays and arrays of two honest blocks."""
    params = PlaneWave.Params(
        bs={"cols": 4}, bands={"channel": {"subcarriers": 8, "spacing_hz": 120e3}}, time_steps=2, time_step_s=1e-3
    )
    layout = PlaneWave().layout(params)
    with PlaneWave().open(params) as session:
        parts = [Block(i, range(i * BLOCK, (i + 1) * BLOCK), 5) for i in range(BLOCKS)]
        blocks = [(part, session.simulate(part)[0], simulate_block(layout, session, part)) for part in parts]
    return layout, blocks


def spec(**changes) -> DatasetSpec:
    fields = {"recipe": "x", "recipe_version": 1, "generator": "plane-wave", "generator_version": 1, "seed": 5}
    sizes = {"samples": BLOCK * BLOCKS, "block": BLOCK, "shard_blocks": BLOCKS, "size": "tiny"}
    return DatasetSpec(**{**fields, **sizes, "params": {}, **changes})


def run(world, tmp_path, corrupt=None, expect=None, rays_of=None):
    """Check the shard, after ``corrupt(arrays of block 1)``; returns its statistics."""
    layout, blocks = world
    check = ShardCheck(tmp_path, spec(), 0, layout, expect)
    arrays = [{name: array.copy() for name, array in made.items()} for _, _, made in blocks]
    if corrupt is not None:
        corrupt(arrays[1])
    with check.keeping_failures():
        for (part, rays, _), made in zip(blocks, arrays, strict=True):
            check.block(array_specs(layout), rays_of(rays) if rays_of else rays, made, part)
        return check.shard({name: np.concatenate([made[name] for made in arrays]) for name in arrays[0]})


def test_an_honest_shard_passes_and_is_described(world, tmp_path):
    found = run(world, tmp_path)
    assert json.loads(json.dumps(found)) == found
    assert found["samples"] == 32
    los, gain = (np.concatenate([made[name] for *_, made in world[1]]) for name in ("los", "path_gain_db"))
    assert found["los_share"] == pytest.approx(los.mean())
    assert found["path_gain_db"]["p50"] == pytest.approx(np.median(gain), rel=1e-5)
    assert found["path_gain_db"]["n"] == 32
    assert found["k_factor_db"]["n"] == int(los.sum())
    assert found["cyclic_prefix_s"] == pytest.approx(586e-9, rel=1e-3)
    assert 1 <= found["taps95_channel"]["p50"] <= 8
    assert not failed_path(tmp_path, 0).exists()


def load(file):
    with np.load(file) as arrays:
        return dict(arrays)


def put(name, index, value):
    def corrupt(arrays):
        arrays[name][index] = value

    return corrupt


def no_path(arrays):
    arrays["channel"][3] = 0
    arrays["los"][3] = -1


def twice(arrays):
    arrays["channel"][9] = arrays["channel"][4]


CORRUPTIONS = {
    "nan": (put("channel", (7, 1, 0, 2, 3), np.nan), "'channel' is not finite", "1 of 16 samples, the first is 23"),
    "infinite": (put("channel", (7, 0, 0, 0, 0), np.inf), "'channel' is not finite", "the first is 23"),
    "zero": (put("channel", 2, 0), "zero where there is a path", "the first is 18"),
    "not zero": (put("los", 2, -1), "not zero without one", "the first is 18"),
    "dtype": (lambda a: a.update(channel=a["channel"].astype(np.complex128)), "wrong shape or dtype", "complex128"),
    "shape": (lambda a: a.update(los=a["los"][:-1]), "wrong shape or dtype", "int8 (15,)"),
    "absent": (lambda a: a.pop("site"), "not those of the layout", "site"),
    "twice": (twice, "holds a sample twice", "samples 20 and 25"),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corrupted_shard_is_refused_and_kept_with_its_cause(name, world, tmp_path):
    corrupt, what, why = CORRUPTIONS[name]
    with pytest.raises(SimulationError) as caught:
        run(world, tmp_path, corrupt)
    assert what in str(caught.value)
    assert why in str(caught.value)
    place = failed_path(tmp_path, 0)
    cause = (place / "cause.txt").read_text()
    assert what in cause
    assert spec().digest in cause
    kept = load(place / "arrays.npz")
    assert set(kept) == {"sample", *world[1][0][2]} - ({"site"} if name == "absent" else set())
    expected = range(32) if name == "twice" else range(16, 32)
    np.testing.assert_array_equal(kept["sample"], expected)
    if name == "nan":
        assert np.isnan(kept["channel"][kept["sample"] == 23]).any()
    # The next success forgets the refusal.
    run(world, tmp_path)
    assert not place.exists()


def test_energy_neither_under_nor_overflows(world, tmp_path):
    """Amplitudes whose squares single precision cannot hold are neither zero nor infinite."""
    for factor in np.float32([1e-20, 1e20]):
        run(world, tmp_path, lambda arrays, f=factor: arrays.update(channel=arrays["channel"] * f))


def test_several_samples_without_a_path_are_no_duplicates(world, tmp_path):
    def corrupt(arrays):
        for row in (3, 4, 5):
            arrays["channel"][row], arrays["los"][row] = 0, -1

    run(world, tmp_path, corrupt)


def test_what_is_kept_is_bounded_and_shows_the_fault(tmp_path):
    layout = PlaneWave().layout(PlaneWave.Params(bands={"channel": {"subcarriers": 4096, "spacing_hz": 15e3}}))
    n, shape = 400, (1, 1, 8, 4096)
    rng = np.random.default_rng(0)
    channel = np.broadcast_to(rng.standard_normal((n, 1, 1, 1, 1)).astype(np.complex64), (n, *shape)).copy()
    channel[390, 0, 0, 0, 0] = np.nan
    check = ShardCheck(tmp_path, spec(samples=n, block=n, shard_blocks=1), 0, layout)
    channel_spec = [s for s in array_specs(layout) if s.name == "channel"]
    with pytest.raises(SimulationError), check.keeping_failures():
        check.block(channel_spec, None, {"channel": channel}, Block(0, range(n), 1))
    file = failed_path(tmp_path, 0) / "arrays.npz"
    assert file.stat().st_size < KEPT_BYTES + 10_000
    kept = load(file)
    assert 390 in kept["sample"]
    assert len(kept["sample"]) <= KEPT_SAMPLES
    assert np.isnan(kept["channel"][kept["sample"] == 390]).any()


# --- delays -----------------------------------------------------------------------------------------------------------


def test_late_delays_are_refused(world, tmp_path):
    """Delays in a wrong unit, or a thousand times too long, leave the cyclic prefix."""
    with pytest.raises(SimulationError, match="late_energy_p75 is not what the recipe expects"):
        run(world, tmp_path, rays_of=lambda rays: replace(rays, tau=rays.tau * 1e3))
    assert failed_path(tmp_path, 0).is_dir()
    run(world, tmp_path, rays_of=lambda rays: replace(rays, tau=rays.tau * 1e3), expect={"late_energy_p75": (0.0, 1.0)})
    run(world, tmp_path, rays_of=lambda rays: replace(rays, tau=rays.tau + 1e-3))  # a late first path is no fault


def test_a_layout_may_say_its_cyclic_prefix(world, tmp_path):
    layout, blocks = world
    longer = replace(layout, attributes={"cyclic_prefix_s": 1e-2})
    rays_of = lambda rays: replace(rays, tau=rays.tau * 1e3)  # noqa: E731
    assert run((longer, blocks), tmp_path, rays_of=rays_of)["cyclic_prefix_s"] == 1e-2


def test_late_energy_is_brute_force(world):
    rays = world[1][0][1]
    limit = 150e-9
    expected = []
    for b in range(rays.links):
        power = [np.sum(abs(rays.g[:, :, b, p].astype(complex)) ** 2) for p in range(rays.rays)]
        live = [p for p in range(rays.rays) if power[p] > 0]
        first = min(rays.tau[b, p] for p in live)
        expected.append(sum(power[p] for p in live if rays.tau[b, p] - first > limit) / sum(power))
    np.testing.assert_allclose(late_energy(rays, limit), expected, rtol=1e-6)
    silent = replace(rays, g=rays.g * np.float32(0))
    assert np.isnan(late_energy(silent, limit)).all()


@pytest.mark.parametrize(
    ("spacings", "microseconds"),
    [
        ([15e3], 4.6875),
        ([30e3], 2.34375),
        ([480e3, 30e3], 2.34375),
        ([180e3], 4.6875),
        ([360e3], 2.34375),
        ([120e3], 0.5859375),
    ],
)
def test_cyclic_prefix_of_the_numerology(spacings, microseconds):
    assert 1e6 * cyclic_prefix_s(spacings) == pytest.approx(microseconds)
    assert cyclic_prefix_s([2e6]) is None
    assert cyclic_prefix_s([]) is None


def test_energy_taps_are_brute_force():
    rng = np.random.default_rng(3)
    taps = (rng.standard_normal((20, 2, 3, 16)) + 1j) * np.exp(-np.arange(16) / rng.uniform(0.5, 9, (20, 1, 1, 1)))
    channel = np.fft.fft(taps, axis=-1).astype(np.complex64)
    for share in (0.5, 0.95):
        for count, sample in zip(energy_taps(channel, share), taps, strict=True):
            power = sorted((abs(sample) ** 2).sum((0, 1)), reverse=True)
            assert sum(power[:count]) >= share * sum(power) * (1 - 1e-5)
            assert sum(power[: count - 1]) < share * sum(power) * (1 + 1e-5)
    assert energy_taps(np.ones((1, 1, 8), np.complex64)).tolist() == [1]
    assert energy_taps(np.eye(8, dtype=np.complex64)[:1, None]).tolist() == [8]
    assert energy_taps(np.zeros((1, 1, 8), np.complex64)).tolist() == [0]


OF_SIONNA = [name for name in registry().names("recipe") if load_recipe(name).generator == "sionna-38901"]


@pytest.mark.parametrize("recipe", OF_SIONNA)
def test_every_shipped_recipe_keeps_within_its_cyclic_prefix(recipe):
    pytest.importorskip("sionna.phy")
    plan, generator, params, _ = build_spec(recipe, "tiny")
    limit = cyclic_prefix_s(grid.spacing_hz for grid in generator.layout(params).synthesis.bands.values())
    if limit is None:
        pytest.skip("no OFDM numerology of 38.211 has this spacing")
    with generator.open(params) as session:
        blocks = [Block(*part, plan.seed) for part in plan.blocks_of(0)]
        late = [late_energy(session.simulate(block)[0], limit) for block in blocks]
    late = np.concatenate(late)
    assert np.quantile(late, 0.75) <= 0.01
    check_expectations({}, {"late_energy": late}, None, None, recipe)


# --- expectations -----------------------------------------------------------------------------------------------------


def test_expectations_know_how_many_samples_there_are():
    los = np.zeros(12, np.int8)
    check_expectations({"los_share": (0.5, 0.7)}, {}, los, None, "few")  # twelve tails: rare, and possible
    with pytest.raises(SimulationError, match="los_share is not what the recipe expects"):
        check_expectations({"los_share": (0.5, 0.7)}, {}, np.zeros(60, np.int8), None, "many")
    with pytest.raises(SimulationError, match="by chance with probability"):
        check_expectations({"los_share": (0.0, 0.0)}, {}, np.array([0, 0, 1]), None, "impossible")
    check_expectations({"los_share": (0.5, 0.7)}, {}, np.full(60, -1), None, "no links at all")
    check_expectations({"los_share": (0.5, 0.7)}, {}, np.zeros(60, np.int8), np.zeros(60), "one site is one draw")


def test_histograms_are_held_against_percentiles():
    rng = np.random.default_rng(0)
    spread = 10 ** rng.normal(-7, 0.4, 500)
    honest = {f"delay_spread_s_p{q:02d}": (10**m * 0.9, 10**m * 1.1) for q, m in ((10, -7.513), (50, -7), (90, -6.487))}
    check_expectations(honest, {"delay_spread_s": spread}, None, None, "here")
    for wrong in (spread * 2, spread / 2, 10 ** rng.normal(-7, 0.1, 500), 10 ** rng.normal(-7, 1.2, 500)):
        with pytest.raises(SimulationError, match=r"delay_spread_s_p\d\d"):
            check_expectations(honest, {"delay_spread_s": wrong}, None, None, "here")
    gain = np.where(np.arange(500) < 300, -np.inf, -90.0)  # links without a path do not count
    check_expectations({"path_gain_db_p50": (-91.0, -89.0)}, {"path_gain_db": gain}, None, None, "here")


def test_chances_are_the_binomials():
    """The refusal's threshold is where an independent binomial tail says so, and a fair shard is never refused."""
    n, high = 200, 0.1
    for hits in range(20, 80):
        los = (np.arange(n) < hits).astype(np.int8)
        refused = stats.binom.sf(hits - 1, n, high) < SIGNIFICANCE
        if refused:
            with pytest.raises(SimulationError):
                check_expectations({"los_share": (0.0, high)}, {}, los, None, "here")
        else:
            check_expectations({"los_share": (0.0, high)}, {}, los, None, "here")
    rng = np.random.default_rng(1)
    for values in rng.exponential(1.0, (500, 25)):
        check_expectations({"x_p50": (np.log(2), np.log(2))}, {"x": values}, None, None, "here")


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({"snr_db_p50": (0, 1)}, "no quantity 'snr_db_p50'"),
        ({"path_gain_db": (0, 1)}, "no quantity 'path_gain_db'"),
        ({"path_gain_db_p50": (1, 0)}, "is empty"),
        ({"los_share": (float("nan"), 1.0)}, "is empty"),
    ],
)
def test_wrong_expectations_are_refused(expect, message):
    with pytest.raises(SpecError, match=message):
        require_known(expect, ["path_gain_db"])


def test_description_leaves_out_what_is_not_finite():
    values = np.array([np.nan, 3.0, 1.0, -np.inf, 2.0])
    found = describe({"x": values, "none": np.full(4, np.nan)}, np.array([-1, 1, 0]), 5)
    five = {"min": 1.0, "p10": 1.2, "p50": 2.0, "p90": 2.8, "max": 3.0, "mean": 2.0}
    assert found == {"samples": 5, "los_share": 0.5, "x": {"n": 3, **five}}


# --- in the engine ----------------------------------------------------------------------------------------------------


def test_the_engine_keeps_a_failed_shard_aside_and_goes_on(tmp_path, monkeypatch, capsys):
    honest = PlaneWaveSession.simulate

    def simulate(self, block):
        rays, arrays = honest(self, block)
        if block.index == 2:
            rays.g[:, :, 5] = rays.g[:, :, 1]
            rays.tau[5] = rays.tau[1]
            for name in ("aod", "zod", "aoa", "zoa", "nu"):
                getattr(rays, name)[5] = getattr(rays, name)[1]
        return rays, arrays

    recipe, out = write_recipe(tmp_path), tmp_path / "x.zarr"
    monkeypatch.setattr(PlaneWaveSession, "simulate", simulate)
    code, _, err = cli(capsys, "generate", recipe, "--size", "tiny", "--out", out)
    assert code == 1
    assert "'channel' holds a sample twice" in err
    assert "samples 17 and 21 have the same bits" in err
    assert "1 of 3 shards failed, the others are kept" in err
    assert str(out / ".wbench" / "failed") in err
    assert open_dataset(out).missing_shards == [1]
    assert {path.name for path in failed_path(out, 1).iterdir()} == {"cause.txt", "arrays.npz"}

    def broken(self, block):
        raise RuntimeError("the licence server is away")

    monkeypatch.setattr(PlaneWaveSession, "simulate", broken)
    assert cli(capsys, "generate", recipe, "--size", "tiny", "--out", out)[0] == 1
    assert [path.name for path in failed_path(out, 1).iterdir()] == ["cause.txt"]  # nothing was made
    cause = (failed_path(out, 1) / "cause.txt").read_text()
    assert "RuntimeError: the licence server is away" in cause
    assert "in broken" in cause

    monkeypatch.setattr(PlaneWaveSession, "simulate", honest)
    assert cli(capsys, "generate", recipe, "--size", "tiny", "--out", out)[0] == 0
    assert not failed_path(out, 1).exists()
    whole = generate(recipe, size="tiny", out=tmp_path / "y.zarr").open()
    assert open_dataset(out).content_digest == whole.content_digest
    assert all(entry["statistics"]["samples"] for entry in whole.entries.values())


def test_expectations_of_a_recipe_refuse_shards_and_change_no_digest(tmp_path):
    plain = write_recipe(tmp_path, samples=80, block=40, shard_blocks=1)
    text = plain.read_text()
    first = generate(plain, size="tiny", out=tmp_path / "a.zarr")
    plain.write_text(text + "\n[expect]\nlos_share = [0.4, 0.6]\npath_gain_db_p50 = [-95.0, -70.0]\n")
    second = generate(plain, size="tiny", out=tmp_path / "b.zarr")
    assert second.failures == {}
    assert second.spec.digest == first.spec.digest
    assert second.open().content_digest == first.open().content_digest
    plain.write_text(text + "\n[expect]\npath_gain_db_p50 = [-20.0, -10.0]\n")
    third = generate(plain, size="tiny", out=tmp_path / "c.zarr")
    assert set(third.failures) == {0, 1}
    assert "path_gain_db_p50 is not what the recipe expects" in third.failures[0]
    plain.write_text(text + "\n[expect]\nsnr_p50 = [0, 1]\n")
    with pytest.raises(SpecError, match="no quantity"):
        generate(plain, size="tiny", out=tmp_path / "d.zarr")
    assert not (tmp_path / "d.zarr").exists()
