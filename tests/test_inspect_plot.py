"""``wbench inspect``: the summary's figures, the page's curves against closed forms, and every kind of dataset."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from tests.helpers_data import cli, environment, write_recipe
from wbench import generate, open_dataset
from wbench.dataset.figure import channels, labels, plot_dataset
from wbench.dataset.figure.page import draw
from wbench.dataset.figure.style import LOS, NLOS
from wbench.dataset.look import take_look
from wbench.dataset.manifest import entry_path
from wbench.dataset.summary import array_rows, array_text, byte_text, frequency_text, summary_rows
from wbench.errors import DatasetError, UsageError

RECIPE = """
name = "{name}"
version = 1
generator = "plane-wave"
summary = "a test"
licence = "CC0-1.0"
seed = 4
block = 64
sizes.tiny = {{samples = {samples}, shard_blocks = 1}}
[params]
"""
#: Kinds of dataset that the page has to cope with: parameters of the plane-wave generator.
KINDS = {
    "moving": "time_steps = 5\ntime_step_s = 1e-3\nspeed_kmh = [3, 60]\nbs = {rows = 2, cols = 4}\n"
    "bands.channel = {subcarriers = 16, spacing_hz = 30e3}",
    "dual-polarised, two bands": 'bs = {cols = 4, polarisation = "cross"}\nue = {cols = 2, polarisation = "VH"}\n'
    "bands.channel = {subcarriers = 32, spacing_hz = 30e3}\nbands.channel_wide = {subcarriers = 32, spacing_hz = 2e6}",
    "column": "bs = {rows = 8, cols = 1}\nbands.channel = {subcarriers = 8, spacing_hz = 1e6}",
    "one antenna, one tone": "bs = {cols = 1}\nbands.channel = {subcarriers = 1, spacing_hz = 15e3}",
    "one antenna, snapshots": "bs = {cols = 1}\ntime_steps = 9\ntime_step_s = 1e-3\n"
    "bands.channel = {subcarriers = 1, spacing_hz = 15e3}",
    "no line of sight": "los_share = 0.0\nbands.channel = {subcarriers = 8, spacing_hz = 30e3}",
}


def make(folder, params, samples=160, name="kind"):
    recipe = folder / f"{name}.toml"
    recipe.write_text(RECIPE.format(name=name, samples=samples) + params)
    report = generate(recipe, size="tiny", out=folder / f"{name}.zarr")
    assert report.failures == {}
    return report.open()


@pytest.fixture(scope="module")
def ridge(tmp_path_factory):
    """Nearly one plane wave per user, on a turned array of eight columns."""
    params = (
        "paths = 2\nlos_share = 0.7\nk_factor_db = 30.0\nbs = {cols = 8, bearing_deg = 30.0}\n"
        "bands.channel = {subcarriers = 64, spacing_hz = 480e3}"
    )
    return make(tmp_path_factory.mktemp("ridge"), params, samples=320)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_dataset_has_a_page(kind, tmp_path):
    dataset = make(tmp_path, KINDS[kind])
    file = plot_dataset(dataset, tmp_path / "new" / "page.png")
    image = file.read_bytes()
    assert image.startswith(b"\x89PNG")
    size = [int.from_bytes(image[at : at + 4], "big") for at in (16, 20)]
    assert size == [2338, 1654]  # A4 at 200 dots per inch
    assert len(image) > 80_000


@pytest.mark.parametrize("what", ["no labels", "no grid", "positions unknown", "no path at all"])
def test_a_dataset_that_lacks_something_has_a_page_too(what, tmp_path):
    """As ingested from a released file: labels, numerology or positions may be unknown."""
    import zarr

    dataset = make(tmp_path, KINDS["moving"], samples=64)
    if what == "no labels":
        dataset.__dict__["array_names"] = ("channel",)
    if what == "no grid":
        dataset.attributes["radio"] = {}
    group = zarr.open_group(dataset.path, mode="r+")
    if what == "positions unknown":
        group["ue_position"][:] = np.nan
    if what == "no path at all":
        group["channel"][:], group["los"][:], group["delay_spread_s"][:] = 0, -1, np.nan
        group["path_gain_db"][:], group["k_factor_db"][:] = -np.inf, np.nan
    assert plot_dataset(dataset, tmp_path / "page.png").stat().st_size > 50_000
    assert len(summary_rows(dataset)) > 5
    assert array_rows(dataset, take_look(dataset))


def test_the_same_dataset_gives_the_same_bytes_in_every_format(ridge, tmp_path):
    for suffix in (".png", ".pdf", ".svg"):
        first, again = (plot_dataset(ridge, tmp_path / f"{n}{suffix}").read_bytes() for n in (1, 2))
        assert first == again
    assert (tmp_path / "1.pdf").read_bytes().startswith(b"%PDF")
    assert b"<svg" in (tmp_path / "1.svg").read_bytes()[:600]


def test_the_page_does_not_hang_on_the_users_settings(ridge, tmp_path):
    import matplotlib

    plain = plot_dataset(ridge, tmp_path / "a.png").read_bytes()
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black", "lines.linewidth": 9}):
        assert plot_dataset(ridge, tmp_path / "b.png").read_bytes() == plain


def panel(dataset, title):
    figure = draw(dataset)
    return next(axes for axes in figure.axes if axes.get_title(loc="left") == title or axes.get_title() == title)


def test_curves_are_the_datasets_distribution(ridge):
    ids = np.arange(len(ridge))
    los, spread = ridge.read("los", ids), ridge.read("delay_spread_s", ids)
    axes = panel(ridge, "Delay spread")
    for colour, state in ((LOS, 1), (NLOS, 0)):
        line = next(line for line in axes.lines if line.get_color() == colour)
        np.testing.assert_allclose(line.get_xdata(), np.sort(1e9 * spread[los == state]), rtol=1e-6)
        np.testing.assert_allclose(line.get_ydata(), np.arange(1, sum(los == state) + 1) / sum(los == state))


def test_los_shares_are_counted(ridge):
    look = take_look(ridge)
    axes = panel(ridge, "LoS share over distance")
    middle, share = axes.containers[0].lines[0].get_data()
    edges = np.quantile(look.distance, np.linspace(0, 1, len(middle) + 1))
    edges[-1] += 1
    los = look.values("los")
    for i, (low, high) in enumerate(pairwise(edges)):
        inside = (look.distance >= low) & (look.distance < high)
        assert share[i] == pytest.approx(los[inside].mean())
        assert low <= middle[i] <= high


def test_the_interval_of_a_share_is_wilsons():
    from scipy.stats import binomtest

    for hits, n in ((0, 12), (3, 40), (40, 40), (250, 500)):
        expected = binomtest(hits, n).proportion_ci(method="wilson")
        low, high = labels._wilson(np.array([hits / n]), np.array([n]), z=1.959963985)
        assert low[0] == pytest.approx(expected.low, abs=1e-9)
        assert high[0] == pytest.approx(expected.high, abs=1e-9)


def test_the_spectrum_points_at_the_users(ridge):
    """With 30 dB of K factor the strongest direction is the user's, for an array that looks elsewhere too."""
    look = take_look(ridge)
    figures = channels.measure(look)
    seen = look.values("los")[figures.positions] == 1
    link = ridge.read("ue_position", look.ids).astype(float) - ridge.read("bs_position", look.ids)
    azimuth = np.arctan2(link[:, 1], link[:, 0]) - np.radians(30)
    flat = np.hypot(link[:, 0], link[:, 1]) / np.linalg.norm(link, axis=1)
    expected = np.degrees(np.arcsin(np.sin(azimuth) * flat))[figures.positions]
    found = channels.DIRECTIONS[figures.spectrum.argmax(axis=1)]
    assert np.abs(found - expected)[seen].max() < 3  # the grid's step is 2 degrees
    np.testing.assert_allclose(figures.spectrum.sum(axis=1), 1)
    np.testing.assert_allclose(look.direction[:, 1], np.sin(azimuth) * flat, atol=1e-6)


def test_the_spectrum_of_a_column_points_up_and_down(tmp_path):
    dataset = make(tmp_path, "paths = 1\nlos_share = 1.0\nk_factor_db = 60.0\n" + KINDS["column"])
    look = take_look(dataset)
    figures = channels.measure(look)
    assert figures.axis == "vertical"
    expected = np.degrees(np.arcsin(look.direction[:, 2]))
    assert (expected < 0).all()  # users are below the base station
    assert np.abs(channels.DIRECTIONS[figures.spectrum.argmax(axis=1)] - expected[figures.positions]).max() < 3


def test_the_profile_peaks_at_a_paths_delay():
    spacing, tones = 30e3, 64
    for delay in (0.0, 3e-6, 7.3e-6):
        phase = np.exp(-2j * np.pi * spacing * np.arange(tones) * delay)
        profile = channels._profiles(np.tile(phase.astype(np.complex64), (3, 2, 1)))
        step = 1 / (spacing * profile.shape[1])
        np.testing.assert_allclose(profile.argmax(axis=1) * step, delay, atol=step / 2 + 1e-12)
        np.testing.assert_allclose(profile.sum(axis=1), 1)


@pytest.mark.slow
def test_the_page_of_a_38901_dataset_has_the_references(tmp_path):
    pytest.importorskip("sionna.phy")
    recipe = tmp_path / "few.toml"
    recipe.write_text(
        RECIPE.format(name="few", samples=320).replace("plane-wave", "sionna-38901")
        + 'scenario = "umi"\ncarrier_hz = 3.5e9\ndistance_m = [20.0, 150.0]\nbs = {rows = 2, cols = 4}\n'
        "bands.channel = {subcarriers = 8, spacing_hz = 30e3}"
    )
    dataset = generate(recipe, size="tiny", out=tmp_path / "few.zarr").open()
    line = next(line for line in panel(dataset, "LoS share over distance").lines if line.get_label() == "TR 38.901 UMi")
    d = line.get_xdata()
    np.testing.assert_allclose(line.get_ydata(), 18 / d + np.exp(-d / 36) * (1 - 18 / d))
    k = next(line for line in panel(dataset, "K factor").lines if "9 ± 5 dB" in str(line.get_label()))
    assert np.interp(9.0, *k.get_data()) == pytest.approx(0.5, abs=1e-3)
    # Solid curves lie on the dashed ones: what is drawn is what the table asks for.
    spread = panel(dataset, "Delay spread").lines
    for colour in (LOS, NLOS):
        found, reference = (line.get_data() for line in spread if line.get_color() == colour)
        gap = np.interp(np.log(found[0]), np.log(reference[0]), reference[1]) - found[1]
        assert np.abs(gap).max() < 1.63 / np.sqrt(len(found[0])) + 0.08  # Kolmogorov, and clusters are few


# --- the summary ------------------------------------------------------------------------------------------------------


def test_summary_says_what_the_dataset_is(tmp_path):
    dataset = make(tmp_path, KINDS["moving"])
    said = dict(summary_rows(dataset))
    los = dataset.read("los", range(160))
    assert said["samples"] == "160"
    assert said["written"] == "3 of 3 shards"
    assert said["Tx"] == "2 × 4 V omni, 8 ports"
    assert said["Rx"] == "1 × 1 V omni, 1 port"
    assert said["channel"] == "16 × 30 kHz = 480 kHz"
    assert said["snapshots"] == "5 × 1 ms"
    assert said["LoS share"] == f"{100 * los.mean():.1f} %"
    assert said["K factor"] == "all 9 dB"
    assert said["taps for 95 %"] == "median 1 of 16"
    assert said["licence"] == "CC0-1.0"
    assert said["content digest"] == dataset.content_digest
    assert said["delay spread"].startswith(
        f"median {1e9 * np.median(dataset.read('delay_spread_s', range(160))):.3g} ns"
    )
    speed = 3.6 * np.linalg.norm(dataset.read("ue_velocity", range(160)), axis=1)
    assert said["speed"] == f"{speed.min():.3g} to {speed.max():.3g} km/h"


def test_ranges_keep_their_sign_and_skip_what_is_missing(tmp_path):
    dataset = make(tmp_path, KINDS["no line of sight"])
    rows = {row["array"]: row for row in array_rows(dataset, take_look(dataset))}
    gain = dataset.read("path_gain_db", range(160))
    assert float(rows["path_gain_db"]["min"]) == pytest.approx(gain.min(), rel=1e-3)
    assert float(rows["channel"]["max"]) == pytest.approx(np.abs(dataset.read("channel", range(160))).max(), rel=1e-3)
    assert rows["k_factor_db"]["median"] == "–"


def test_words():
    tx = {"rows": 2, "cols": 8, "slants": [-np.pi / 4, np.pi / 4], "pattern": "38.901"}
    assert array_text(tx) == "2 × 8 ±45° 38.901, 32 ports"
    assert [frequency_text(f) for f in (999.0, 180e3, 3.5e9)] == ["999 Hz", "180 kHz", "3.5 GHz"]
    assert [byte_text(b) for b in (0, 1536, 3 << 40)] == ["0 B", "1.5 KiB", "3 TiB"]


# --- looking ----------------------------------------------------------------------------------------------------------


def test_a_look_is_whole_chunks_spread_over_what_exists(tmp_path):
    dataset = generate(
        write_recipe(tmp_path, samples=395, block=8, shard_blocks=2), size="tiny", out=tmp_path / "x"
    ).open()
    assert len(take_look(dataset).ids) == 395
    some = take_look(dataset, limit=64)
    assert len(some.chunks) == 8
    assert all(chunk.start % 8 == 0 for chunk in some.chunks)
    assert some.chunks[0].start == 0
    assert some.chunks[-1] == range(392, 395)
    assert np.diff([chunk.start for chunk in some.chunks]).max() <= 64
    assert len(take_look(dataset, limit=3).ids) == 3
    np.testing.assert_array_equal(some.values("ue_id"), some.ids)
    assert some.values("nothing") is None
    for shard in range(1, 25):
        entry_path(dataset.path, shard).unlink()
    rest = open_dataset(dataset.path)
    assert rest.missing_shards
    np.testing.assert_array_equal(take_look(rest).ids, range(16))
    entry_path(dataset.path, 0).unlink()
    with pytest.raises(DatasetError, match="no shard yet"):
        take_look(open_dataset(dataset.path))


def test_a_look_reads_no_more_of_a_channel_than_its_budget(ridge, monkeypatch):
    monkeypatch.setattr("wbench.dataset.look.BUDGET_BYTES", 2 * 64 * 8 * 64 * 8)  # two chunks
    parts = list(take_look(ridge).channel_chunks("channel"))
    assert len(parts) == 2
    for positions, h in parts:
        np.testing.assert_array_equal(h, ridge.read("channel", positions))
    monkeypatch.setattr("wbench.dataset.look.BUDGET_BYTES", 1000)
    assert [len(h) for _, h in take_look(ridge).channel_chunks("channel")] == [1]


# --- the command ------------------------------------------------------------------------------------------------------


def test_inspect_prints_and_draws(ridge, tmp_path, capsys):
    code, out, err = cli(capsys, "inspect", ridge.path, "--plot", tmp_path / "page.svg")
    assert code == 0
    assert "delay spread" in out
    assert ridge.spec.digest in out
    assert "page.svg" in err
    assert (tmp_path / "page.svg").stat().st_size > 50_000
    code, out, _ = cli(capsys, "inspect", ridge.path, "--plot", tmp_path / "page.png", "--format", "json")
    assert {row["array"] for row in json.loads(out)} == set(ridge.array_names)


@pytest.mark.parametrize(
    ("file", "message"), [("page.gif", ".png, .pdf, .svg"), ("page", "no ending"), ("", "no ending")]
)
def test_inspect_refuses_other_files(file, message, ridge, tmp_path, capsys):
    code, _, err = cli(capsys, "inspect", ridge.path, "--plot", tmp_path / file)
    assert code == 2
    assert message in err


def test_a_place_that_cannot_be_written_is_named(ridge, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        plot_dataset(ridge, tmp_path / "file" / "page.png")


def test_inspect_of_a_dataset_without_a_shard_still_says_what_it_is(tmp_path, capsys):
    dataset = make(tmp_path, KINDS["column"])
    for shard in range(3):
        entry_path(dataset.path, shard).unlink()
    code, out, _ = cli(capsys, "inspect", dataset.path)
    assert code == 0
    assert "0 of 3 shards" in out
    assert "delay spread" not in out
    assert cli(capsys, "inspect", dataset.path, "--plot", tmp_path / "x.png")[0] == 1


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, wbench.cli.inspect, wbench.dataset.summary, wbench.dataset.figure\n"
    code += "sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment(), check=False).returncode == 0
