"""Beam prediction c against explicit sums over antennas, and what the LoS task shows and slices by."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tests.helpers_lab import Lab
from wbench.errors import SpecError
from wbench.task.base import Task
from wbench.task.part import concatenate
from wbench.task.spec import load_spec

AZIMUTHS, ZENITHS, SET_B = (-45.0, -15.0, 15.0, 45.0), (80.0, 110.0), [0, 3, 5]
PARAMS = {"azimuths": 4, "span_deg": 45.0, "zeniths_deg": list(ZENITHS), "set_b": SET_B}
METRICS = ["within_1db", "top1", "rsrp_loss_db"]


def rsrp_task(lab: Lab, **changes: Any) -> Task:
    """On a 2 × 2 array over 6 snapshots and 8 subcarriers."""
    given = {"params": PARAMS, "noise": {"snr_db": [0]}, **changes}
    name = changes.pop("name", "lab-rsrp")
    table = {"family": "beam-rsrp", "kind": "classify", "metrics": METRICS, "primary": METRICS[0]}
    return lab.task("time", lab.root, **{"name": name, **table, **given})


def quiet(task: Task) -> Task:
    return type(task)(task.spec.model_copy(update={"noise": None}), task.datasets)


def whole(task: Task, part: Any = "test") -> Any:
    return concatenate(list(task.pairs(part, task.ids(part), 7)))


def powers(task: Task) -> np.ndarray:
    """Mean |Σ h f|² per beam by a loop over beams, rows and columns, from the textbook phase of each element."""
    raw = task.dataset("test").read("channel", task.ids("test")).astype(complex)
    out = np.zeros((len(raw), 8))
    for beam in range(8):
        azimuth, zenith = np.radians(AZIMUTHS[beam // 2]), np.radians(ZENITHS[beam % 2])
        received = np.zeros_like(raw[:, :, :, 0])
        for col in range(2):
            for row in range(2):
                # Element at y = (col − ½)/2, z = −(row − ½)/2 in wavelengths; the beam conjugates its phase.
                y, z = 0.5 * (col - 0.5), -0.5 * (row - 0.5)
                phase = 2 * np.pi * (y * np.sin(zenith) * np.sin(azimuth) + z * np.cos(zenith))
                received += raw[:, :, :, col * 2 + row] * np.exp(-1j * phase) / 2
        out[:, beam] = np.mean(np.abs(received) ** 2, axis=(1, 2, 3))
    return out


def test_target_is_the_strongest_beam_of_set_a(lab: Lab) -> None:
    task = rsrp_task(lab)
    batch, truth = whole(task)
    expected = powers(task)
    ratio = truth["rsrp"] / expected
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-4)
    np.testing.assert_array_equal(truth["label"], expected.argmax(axis=1))
    assert len(np.unique(truth["label"])) > 3
    assert task.meta.classes == 8
    assert task.meta.shape == batch.x["rsrp"].shape[1:] == (3,)
    assert set(batch.x) == {"rsrp"}


def test_clean_reports_are_whole_decibels_below_the_strongest(lab: Lab) -> None:
    task = quiet(rsrp_task(lab))
    expected = 10 * np.log10(powers(task)[:, SET_B])
    expected -= expected.max(axis=1, keepdims=True)
    report = whole(task)[0].x["rsrp"]
    clear = np.abs(expected % 1.0 - 0.5) > 1e-3
    assert clear.mean() > 0.98
    np.testing.assert_array_equal(report[clear], np.round(expected)[clear])
    assert report.dtype == np.float32
    assert (report.max(axis=1) == 0).all()


def test_noise_has_the_snr_of_the_mean_over_set_b(lab: Lab) -> None:
    """Of powers P over their mean in Set B, P + σ² are measured: the σ² that fits best is 10^(−SNR/10)."""
    for snr, name in ((0, "lab-rsrp"), (10, "lab-rsrp-10")):
        task = rsrp_task(lab, name=name, noise={"snr_db": [snr]})
        power = powers(task)[:, SET_B]
        power /= power.mean(axis=1, keepdims=True)
        report = whole(task)[0].x["rsrp"]
        misfit = {}
        for guess in (-10, -5, 0, 5, 10, 15, 20):
            measured = power + 10 ** (-guess / 10)
            misfit[guess] = np.abs(10 * np.log10(measured / measured.max(axis=1, keepdims=True)) - report).mean()
        assert min(misfit, key=misfit.get) == snr
        assert misfit[snr] < 1


def test_a_sample_is_the_same_in_any_batch(lab: Lab) -> None:
    task, other = rsrp_task(lab), rsrp_task(lab)
    batch, truth = whole(task)
    order = np.random.default_rng(0).permutation(len(batch))
    for size in (1, 5):
        again, target = concatenate(list(other.pairs("test", batch.ids[order], size)))
        np.testing.assert_array_equal(again.x["rsrp"], batch.x["rsrp"][order])
        np.testing.assert_array_equal(target["rsrp"], truth["rsrp"][order])


@pytest.mark.parametrize(("factor", "noisy"), [(8e-3, True), (8e-3j, False)])
def test_gain_and_phase_do_not_show(lab: Lab, monkeypatch: pytest.MonkeyPatch, factor: complex, noisy: bool) -> None:
    before, task = (rsrp_task(lab) if noisy else quiet(rsrp_task(lab)) for _ in range(2))
    report, truth = (dict(one) for one in (whole(before)[0].x, whole(before)[1]))
    read = type(task.dataset("test")).read

    def changed(self: Any, name: str, ids: Any) -> Any:
        values = read(self, name, ids)
        return values * np.complex64(factor) if name == "channel" else values

    monkeypatch.setattr(type(task.dataset("test")), "read", changed)
    again, target = whole(task)
    assert (again.x["rsrp"] != report["rsrp"]).mean() < 0.02  # a rounded number may fall to the other side
    np.testing.assert_allclose(target["rsrp"], truth["rsrp"], rtol=1e-3)


@pytest.mark.parametrize(
    ("change", "match"),
    [({"set_b": [0, 8]}, "Set A"), ({"set_b": [3, 0]}, "ascending"), ({"set_b": []}, "set_b"), ({"beams": 3}, "beams")],
)
def test_wrong_sets_are_refused(lab: Lab, change: dict[str, Any], match: str) -> None:
    with pytest.raises(SpecError, match=match):
        rsrp_task(lab, name="lab-rsrp-wrong", params={**PARAMS, **change})


def test_two_polarisations_are_refused(lab: Lab) -> None:
    recipe = str(lab.root / "lab-dual.toml")
    views = {part: {"recipe": recipe, "side": part} for part in ("train", "val", "test")}
    with pytest.raises(SpecError, match="polarisation"):
        _ = rsrp_task(lab, name="lab-rsrp-dual", views=views).meta


def test_quincunx_instances() -> None:
    """Within a zenith of Set B azimuths are equally spaced, and the next zenith's lie halfway between them."""
    for name, size in (("beam-prediction-c", 8), ("beam-prediction-c-16", 16), ("beam-prediction-c-4", 4)):
        spec = load_spec(name)
        azimuth, zenith = np.divmod(spec.params["set_b"], 4)
        assert len(azimuth) == size
        rows = [azimuth[zenith == z] for z in np.unique(zenith)]
        spacing = {int(step) for row in rows for step in np.diff(row)}
        assert len(spacing) == 1
        for one, other in pairwise(rows):
            assert abs(int(other[0]) - int(one[0])) == min(spacing) / 2


def test_scenario_transfer_tests_on_a_whole_dataset_that_training_never_saw() -> None:
    spec = load_spec("los-nlos-umi-uma")
    assert spec.split.rule == "S3"
    assert spec.views["test"].side == "all"
    assert spec.views["test"].recipe not in {spec.views[part].recipe for part in ("train", "val")}


def test_absolute_gain_is_given_back(lab: Lab) -> None:
    plain, absolute = lab.task("los"), lab.task("los", lab.root, params={"absolute": True})
    assert plain.spec.digest != absolute.spec.digest
    (seen, _), (with_gain, truth) = whole(plain), whole(absolute)
    raw = plain.dataset("test").read("channel", plain.ids("test"))
    gain = np.sqrt(np.mean(np.abs(raw.astype(complex)) ** 2, axis=(1, 2, 3, 4)))
    np.testing.assert_allclose(truth["gain"], gain, rtol=1e-5)
    np.testing.assert_allclose(with_gain.x["H"], seen.x["H"] * gain[:, None, None, None, None], rtol=1e-4)
    np.testing.assert_allclose(with_gain.noise_power, seen.noise_power * gain**2, rtol=1e-4)


def test_los_slices(lab: Lab) -> None:
    task = lab.task("los")
    ids = task.ids("test")
    ue, bs, k, los = (task.dataset("test").read(n, ids) for n in ("ue_position", "bs_position", "k_factor_db", "los"))
    distance = np.hypot(*(ue - bs).astype(float).T[:2])
    np.testing.assert_allclose(task.columns("test", ids)["distance_m"], distance, rtol=1e-6)
    slices = task.slices("test", ids)
    for name, value in zip(slices["distance"], distance, strict=True):
        low, high = map(float, str(name).removesuffix(" m").split("-")) if name else (500, np.inf)
        assert low <= value < high
    inside = {"k_below_3db": k < 3, "k_3_to_9db": (k >= 3) & (k < 9), "k_above_9db": k >= 9}
    for name, mine in inside.items():
        np.testing.assert_array_equal(slices[name] != "", (los == 0) | ((los == 1) & mine))
    every = sum((slices[name][los == 1] != "").astype(int) for name in inside)
    np.testing.assert_array_equal(every, np.isfinite(k[los == 1]).astype(int))
