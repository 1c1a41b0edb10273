"""Families of ray-traced data against brute force from the dataset's arrays: positioning, path loss, beams."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers_scene import LIGHT, SceneData, scene, scene_task, ula
from wbench.errors import SpecError
from wbench.task.base import Task
from wbench.task.batch import Batch, Truth
from wbench.testing import TaskSuite


def positioning(
    data: SceneData, stations: int = 6, clock_ns: float = 0.0, frame: str = "scene", snr: float = 20
) -> Task:
    params = {"base_stations": stations, "clock_error_ns": clock_ns, "frame": frame}
    noise = {"snr_db": [snr]}
    return scene_task(data, "positioning", "regress", "mean_m", params=params, noise=noise)


def everything(task: Task, part: str = "train") -> tuple[Batch, Truth]:
    ids = task.ids(part)  # type: ignore[arg-type]
    return next(task.pairs(part, ids, len(ids)))  # type: ignore[arg-type]


class TestPositioningSuite(TaskSuite):
    task = positioning(scene(150), clock_ns=10)


class TestPathLossSuite(TaskSuite):
    task = scene_task(scene(300, 4, "one", tones=16), "path-loss", "regress", "rmse_db")


class TestBeamSuite(TaskSuite):
    task = scene_task(
        scene(300, 4, "one", tones=16),
        "beam-crossband",
        "classify",
        "top1",
        params={"beams": 32, "elements": 16, "inputs": "position"},
        noise={"snr_db": [0]},
    )


def test_a_user_is_all_its_links_and_none_without_any_path() -> None:
    data = scene(150, outage=0.6, hidden=0.2)
    task = positioning(data)
    los = data.arrays["los"].reshape(-1, 6)
    expected = 6 * np.flatnonzero((los != -1).any(axis=1))
    assert (los == -1).all(axis=1).any()
    np.testing.assert_array_equal(np.sort(np.concatenate([task.ids(p) for p in ("train", "val", "test")])), expected)
    batch, truth = everything(task)
    rows = batch.ids // 6
    np.testing.assert_array_equal(truth["target"], data.arrays["ue_position"][6 * rows, :2].astype(np.float64))
    gain = data.arrays["path_gain_db"].reshape(-1, 6)[rows]
    np.testing.assert_array_equal(batch.x["rsrp_db"], np.where(np.isfinite(gain), np.rint(gain), -200))
    np.testing.assert_array_equal(batch.x["bs_position"], data.arrays["bs_position"].reshape(-1, 6, 3)[rows])
    np.testing.assert_array_equal(batch.x["bs_bearing"], data.arrays["tx_orientation"].reshape(-1, 6, 3)[rows, :, 0])


def test_each_heard_link_has_unit_rms_and_the_others_only_noise() -> None:
    data = scene(300)
    batch, _ = everything(positioning(data, snr=20))
    heard = data.arrays["los"].reshape(-1, 6)[batch.ids // 6] != -1
    power = np.mean(np.abs(batch.x["H"].reshape(*heard.shape, -1)) ** 2, axis=2)
    assert np.abs(power[heard] - 1.01).max() < 0.05
    assert np.abs(power[~heard] - 0.01).max() < 0.003


@pytest.mark.parametrize("sigma", [0.0, 10.0, 50.0])
def test_clock_errors_turn_the_phase_over_frequency(sigma: float) -> None:
    data = scene(400, outage=0.0, tones=32)
    batch, _ = everything(positioning(data, clock_ns=sigma, snr=300))
    clean = data.arrays["channel"].reshape(-1, 6, 1, 1, 4, 32)[batch.ids // 6]
    turn = (batch.x["H"] * clean.conj()).mean(axis=(2, 3, 4)).astype(np.complex128)
    # Closed form: a delay error e turns neighbouring tones by −2π·Δf·e.
    step = np.angle((turn[..., 1:] * turn[..., :-1].conj()).sum(axis=-1))
    error_ns = -step / (2 * np.pi * 781.25e3) * 1e9
    if sigma == 0:
        assert np.abs(error_ns).max() < 1e-2
        return
    assert error_ns.std() == pytest.approx(sigma, rel=0.05)
    assert abs(error_ns.mean()) < 4 * sigma / np.sqrt(error_ns.size)
    # One clock for each base station and sample.
    corr = np.corrcoef(error_ns, rowvar=False) - np.eye(6)
    assert np.abs(corr).max() < 5 / np.sqrt(len(error_ns))


def test_links_have_oscillators_of_their_own() -> None:
    data = scene(300, outage=0.0, tones=8)
    batch, _ = everything(positioning(data, snr=300))
    clean = data.arrays["channel"].reshape(-1, 6, 32)[batch.ids // 6]
    turn = (batch.x["H"].reshape(clean.shape) * clean.conj()).sum(axis=2)
    between = np.exp(1j * np.angle(turn[:, 1:] * turn[:, :1].conj()))
    assert np.abs(between.mean(axis=0)).max() < 4 / np.sqrt(len(between))


def test_the_serving_frame_is_that_of_the_base_station() -> None:
    data = scene(200, 1, "one", outage=0.1, hidden=0.0)
    task = positioning(data, 1, frame="serving")
    batch, truth = everything(task)
    assert (batch.x["bs_position"][:, 0, :2] == 0).all()
    assert (batch.x["bs_bearing"] == 0).all()
    ue, bs = (data.arrays[name][batch.ids].astype(np.float64) for name in ("ue_position", "bs_position"))
    bearing = float(data.arrays["tx_orientation"][0, 0])
    turn = np.array([[np.cos(bearing), np.sin(bearing)], [-np.sin(bearing), np.cos(bearing)]])
    np.testing.assert_allclose(truth["target"], (ue - bs)[:, :2] @ turn.T, atol=1e-4)
    # In that frame the array's axis is +y: the phase slope over the elements tells y over the distance.
    u = truth["target"][:, 1] / np.linalg.norm(ue - bs, axis=1)
    tap = batch.x["H"][:, 0, 0, 0, :, 0]
    match = np.abs((tap * ula(u, 4).conj()).sum(axis=1)) / (2 * np.linalg.norm(tap, axis=1))
    assert np.median(match) > 0.97


def test_the_frame_and_the_number_of_base_stations_are_checked() -> None:
    with pytest.raises(SpecError, match="serving frame"):
        _ = positioning(scene(50), 6, frame="serving").meta
    with pytest.raises(SpecError, match="2 base stations"):
        _ = positioning(scene(50), 2).meta


def test_path_loss_counts_outage_out_and_shows_what_it_may() -> None:
    data = scene(300, 4, "one", tones=16, outage=0.3)
    task = scene_task(data, "path-loss", "regress", "rmse_db")
    seen = np.sort(np.concatenate([task.ids(part) for part in ("train", "val", "test")]))
    np.testing.assert_array_equal(seen, np.flatnonzero(data.arrays["los"] != -1))
    batch, truth = everything(task)
    np.testing.assert_array_equal(
        truth["target"][:, 0], data.arrays["path_gain_db_28ghz"][batch.ids].astype(np.float64)
    )
    np.testing.assert_array_equal(batch.x["path_gain_db"], data.arrays["path_gain_db"][batch.ids])
    assert set(batch.x) == {"H", "path_gain_db", "ue_position", "bs_position"}


def test_path_loss_needs_both_bands() -> None:
    data = scene(120, 4, "one", tones=16, outage=0.0)
    data.arrays["path_gain_db_28ghz"][::3] = -np.inf
    task = scene_task(data, "path-loss", "regress", "rmse_db")
    assert sum(len(task.ids(part)) for part in ("train", "val", "test")) == 80


def test_the_best_beam_is_that_of_the_high_band() -> None:
    data = scene(200, 4, "one", tones=16, hidden=0.0)
    params = {"beams": 32, "elements": 16, "inputs": "position"}
    task = scene_task(data, "beam-crossband", "classify", "top1", params=params)
    batch, truth = everything(task)
    high = data.arrays["channel_28ghz"][batch.ids][:, 0, 0]
    steer = np.exp(2j * np.pi * np.outer(np.arange(16), np.arange(32) / 32))  # beam b: cosine 2b/32, cyclic
    power = np.array([[(np.abs(steer[:, b].conj() @ h) ** 2).sum() for b in range(32)] for h in high])
    both = np.sort(power, axis=1)
    clear = both[:, -1] > 1.001 * both[:, -2]
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(truth["label"][clear], power.argmax(axis=1)[clear])
    # The position in the array's frame tells the beam in line of sight.
    place = batch.x["ue_position"].astype(np.float64)
    u = place[:, 1] / np.linalg.norm(place, axis=1)
    nearest = np.round(u * 16).astype(int) % 32
    assert (nearest == truth["label"])[clear].mean() > 0.9
    assert np.linalg.norm(place, axis=1) == pytest.approx(LIGHT * data.arrays["first_delay_s"][batch.ids], rel=1e-4)
