"""DeepMIMO reader: parity with Sionna's CFR and with ``compute_channels``, and the traps between the two."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers_deepmimo import ANGLES, DATA, LIGHT, arrays, golden, nmse_db, params, reference, write_scenario
from wbench_generators.deepmimo import DeepMimo, deepmimo_ports

CARRIER = 3.5e9


@pytest.fixture(autouse=True)
def scenarios(monkeypatch):
    monkeypatch.setenv("WBENCH_DEEPMIMO", str(DATA))


def brute_force(users: int, carrier_phase: bool = True) -> np.ndarray:
    """Sum over the stored paths in complex128: [users, 32 antennas along y, 32 subcarriers]."""
    az, el, power, phase, delay = (
        golden(name)[:users].astype(np.float64) for name in ("aod_az", "aod_el", "power", "phase", "delay")
    )
    cycles = phase / 360 - (CARRIER * delay if carrier_phase else 0.0)
    a = np.nan_to_num(10 ** (power / 20) * np.exp(2j * np.pi * cycles))
    y = np.nan_to_num(np.sin(np.radians(el)) * np.sin(np.radians(az)))
    steering = np.exp(1j * np.pi * (np.arange(32) - 15.5) * y[..., None])
    tones = np.exp(-2j * np.pi * (np.arange(32) - 16) * 30e3 * np.nan_to_num(delay)[..., None])
    return np.einsum("up,upa,upk->uak", a, steering, tones)


def test_sionna_cfr() -> None:
    truth = reference()
    there = truth["los"] != -1
    exact = arrays(params(), 100)
    np.testing.assert_array_equal(exact["los"], truth["los"])
    assert not exact["channel"][~there].any()
    # Sionna's cfr rounds 2πf_cτ, thousands of radians, to single precision. With the same rounding nothing is left …
    single = arrays(params(carrier_phase="single"), 100)["channel"][there, 0, 0]
    assert nmse_db(single, truth["sionna_cfr"][there]).max() < -90
    # … and the default is on the other side: nearer to the sum in double precision than Sionna is.
    channel = exact["channel"][there, 0, 0]
    assert nmse_db(channel, brute_force(100)[there]).max() < -105
    against_sionna = nmse_db(channel, truth["sionna_cfr"][there])
    assert against_sionna.max() < -50
    assert np.median(against_sionna) < -70


def test_without_the_carrier_phase_sums_of_paths_are_wrong() -> None:
    truth = reference()
    paths = np.isfinite(golden("power")[:100]).sum(1)
    stored = arrays(params(carrier_phase="stored"), 100)["channel"][:, 0, 0].reshape(100, -1)
    cfr = truth["sionna_cfr"].reshape(100, -1)
    with np.errstate(invalid="ignore"):
        likeness = abs((stored.conj() * cfr).sum(1)) / np.linalg.norm(stored, axis=1) / np.linalg.norm(cfr, axis=1)
    assert likeness[paths == 1].min() > 0.9999  # one path: a phase of the whole channel
    assert likeness[paths > 1].min() < 0.7


def test_carrier_phase_is_added_for_sionna_only_and_recorded(tmp_path, monkeypatch) -> None:
    def source(p):
        return DeepMimo().layout(p).attributes["sources"][0]["carrier_phase"]

    assert source(params()) == "added"
    assert source(params(carrier_phase="stored")) == "as stored"
    assert source(params(convention="deepmimo")) == "as stored"
    assert source(params(carrier_phase="single")) == "added in single precision"
    monkeypatch.setenv("WBENCH_DEEPMIMO", str(tmp_path))
    write_scenario(tmp_path, "insite")
    insite = params("insite")
    assert source(insite) == "as stored"
    as_it_is = arrays(params("insite", carrier_phase="stored"), 12)["channel"]
    np.testing.assert_array_equal(arrays(insite, 12)["channel"], as_it_is)
    assert not np.allclose(arrays(params("insite", carrier_phase="add"), 12)["channel"], as_it_is)


def test_deepmimo_channels_in_their_convention() -> None:
    truth = reference()
    there = truth["los"] != -1
    found = arrays(params(convention="deepmimo"), 100)["channel"][:, 0, 0]
    assert nmse_db(found[there], truth["deepmimo_channels"][there]).max() < -90
    # One of the differences on its own: the power of single-path users, over 32 subcarriers.
    ours = arrays(params(carrier_phase="stored"), 100)["channel"][:, 0, 0]
    gain = (abs(ours[there]) ** 2).sum((1, 2)) / (abs(truth["deepmimo_channels"][there]) ** 2).sum((1, 2))
    single = (np.isfinite(golden("power")[:100]).sum(1) == 1)[there]
    np.testing.assert_allclose(gain[single], 32, rtol=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("bs", "ue", "total"),
    [
        ({"rows": 4, "cols": 8}, {}, None),
        ({"rows": 2, "cols": 4, "bearing_deg": 35.0}, {"rows": 2, "cols": 2, "bearing_deg": -60.0}, None),
        ({"cols": 8, "horizontal_spacing": 0.7, "vertical_spacing": 0.7, "bearing_deg": -135.0}, {"cols": 2}, 256),
    ],
)
def test_compute_channels_live(bs, ue, total) -> None:
    dm = pytest.importorskip("deepmimo", reason="the extra [deepmimo] is not installed")
    dataset = load(dm, DATA, "deepmimo_munich")
    kept, step = 16, (total or 16) // 16
    ch = dm.ChannelParameters()
    for antenna, end in ((ch.bs_antenna, bs), (ch.ue_antenna, ue)):
        antenna.shape = np.array([end.get("cols", 1), end.get("rows", 1)])
        antenna.spacing = end.get("horizontal_spacing", 0.5)
        antenna.rotation = np.array([0.0, 0.0, end.get("bearing_deg", 0.0)])
    ch.ofdm.subcarriers, ch.ofdm.bandwidth = kept * step, kept * step * 30e3
    ch.ofdm.selected_subcarriers = np.arange(0, kept * step, step)
    ch.num_paths = 25
    theirs = dataset.compute_channels(ch)

    band = {"channel": {"subcarriers": kept, "spacing_hz": step * 30e3}}
    p = params(bs=bs, ue=ue, bands=band, convention="deepmimo", total_subcarriers=total)
    ours = arrays(p, 600)["channel"][:, 0]
    ours = ours[:, deepmimo_ports(p.ue.array())][:, :, deepmimo_ports(p.bs.array())]
    there = np.isfinite(golden("power")).any(1)
    assert nmse_db(ours[there], theirs[there]).max() < -90
    assert not ours[~there].any()
    assert not theirs[~there].any()


@pytest.mark.filterwarnings("ignore")
def test_doppler_of_moving_users() -> None:
    p = params(speed_kmh=(30.0, 90.0))
    with DeepMimo().open(p) as session:
        from wbench.generator import Block

        rays, labels = session.simulate(Block(0, range(600), 3))
    velocity = labels["ue_velocity"].astype(np.float64)
    assert (
        30 / 3.6 <= np.linalg.norm(velocity, axis=1).min() <= np.linalg.norm(velocity, axis=1).max() <= 90 / 3.6 + 1e-5
    )
    # Direct paths: the rate at which the two ends approach, from the positions alone, in wavelengths.
    direct = (golden("inter") == 0)[:, : rays.rays]
    link = golden("tx_pos").astype(np.float64) - golden("rx_pos")
    closing = (link * velocity).sum(1) / np.linalg.norm(link, axis=1) * CARRIER / LIGHT
    rows = direct.any(1)
    np.testing.assert_allclose(rays.nu[direct], closing[rows], atol=2e-2)
    assert np.abs(closing).max() > 50
    # All paths: r·v/λ with the arrival directions that the files hold.
    valid = np.isfinite(golden("power"))[:, : rays.rays]
    az, el = np.radians(golden("aoa_az")[:, : rays.rays]), np.radians(golden("aoa_el")[:, : rays.rays])
    r = np.stack([np.sin(el) * np.cos(az), np.sin(el) * np.sin(az), np.cos(el)], -1)
    expected = np.einsum("upx,ux->up", r.astype(np.float64), velocity) * CARRIER / LIGHT
    np.testing.assert_allclose(rays.nu[valid], expected[valid], atol=1e-3)
    assert not rays.nu[~valid].any()

    # The trap: the package's Doppler shift negates (1, zenith, azimuth) for the receiver, which is not −r.
    dm = pytest.importorskip("deepmimo.utils.geometry", reason="the extra [deepmimo] is not installed")
    theirs = -dm.spherical_to_cartesian(-np.stack([np.ones_like(el), el, az], -1))
    theirs = np.einsum("upx,ux->up", theirs.astype(np.float64), velocity) * CARRIER / LIGHT
    assert np.corrcoef(theirs[valid], expected[valid])[0, 1] < 0.5


def test_time_steps_turn_with_the_doppler_shift() -> None:
    p = params(speed_kmh=(50.0, 50.0), time_steps=3, time_step_s=1e-3, bs={})
    made = arrays(p, 100)
    paths = np.isfinite(golden("power")[:100]).sum(1)
    single = np.flatnonzero(paths == 1)
    turns = np.angle(made["channel"][single, 1:, 0, 0, 0] / made["channel"][single, :-1, 0, 0, 0]) / (2 * np.pi)
    direction = np.radians([golden(name)[single, 0].astype(np.float64) for name in ANGLES[2:]])
    r = np.stack([np.sin(direction[1]) * np.cos(direction[0]), np.sin(direction[1]) * np.sin(direction[0])], -1)
    nu = (r * made["ue_velocity"][single, :2]).sum(1) * CARRIER / LIGHT
    np.testing.assert_allclose(turns, np.repeat(nu[:, None], 2, 1) * 1e-3, atol=1e-4)


def load(dm, folder, name):
    """The package's data set; it prints, and it looks for scenarios where its configuration says."""
    dm.config.set("scenarios_folder", str(folder))
    return dm.load(name, max_paths=400)
