"""The suites of wbench on our generator, task and models, and what only we can know: the two-ray formula."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from acme_hall.two_ray import BS_HEIGHT, SPEED_OF_LIGHT, UE_HEIGHT, TwoRay

import wbench
from wbench.testing import GeneratorSuite, ModelSuite, TaskSuite


@pytest.fixture(scope="session", autouse=True)
def task(tmp_path_factory):
    """Our instance on its tiny dataset, for the suites below."""
    data = tmp_path_factory.mktemp("data")
    wbench.generate("acme-hall", size="tiny", out=data / "acme-hall-tiny.zarr")
    TestTask.task = TestAlways.task = TestRipple.task = wbench.load_task("acme-reflection", size="tiny", data=data)
    return TestTask.task


class TestGenerator(GeneratorSuite):
    generator = TwoRay
    params: ClassVar = {"carrier_hz": 60e9, "subcarriers": 8, "spacing_hz": 27.5e6}


class TestTask(TaskSuite):
    pass


class TestAlways(ModelSuite):
    reference = "acme/always"


class TestRipple(ModelSuite):
    reference = "acme/ripple"


def test_power_is_that_of_two_waves(task):
    """|H|² = |1/d1 - Γ exp(-j k (d2 - d1)) / d2|² up to a factor: the delays come out of the positions alone."""
    data = task.dataset("test")
    h = data.read("channel", np.arange(50))[:, 0, 0].astype(np.complex128)
    ground = np.linalg.norm(data.read("ue_position", np.arange(50))[:, :2].astype(float), axis=1)
    d1, d2 = np.hypot(ground, BS_HEIGHT - UE_HEIGHT), np.hypot(ground, BS_HEIGHT + UE_HEIGHT)
    reflects = data.read("reflection", np.arange(50)) == 1
    power = np.abs(h[:, 0]) ** 2
    np.testing.assert_allclose(power[~reflects].std(axis=1) / power[~reflects].mean(axis=1), 0, atol=1e-5)
    # In the others a cosine over frequency of just this period explains all of the ripple.
    f = (np.arange(64) - 32) * 27.5e6
    for row in np.flatnonzero(reflects):
        turn = 2 * np.pi * f * (d2 - d1)[row] / SPEED_OF_LIGHT
        basis = np.stack([np.ones(64), np.cos(turn), np.sin(turn)], axis=1)
        fitted = basis @ np.linalg.lstsq(basis, power[row], rcond=None)[0]
        assert np.abs(power[row] - fitted).max() < 1e-4 * power[row].max()


def test_ripple_beats_the_trivial_model(task, tmp_path, monkeypatch):
    monkeypatch.setenv("WBENCH_DATA", str(task.dataset("test").path.parent))
    report = wbench.evaluate(["acme/always", "acme/ripple"], ["acme-reflection"], size="tiny", out=tmp_path)
    always, ripple = (result.primary().value for result in report.results)
    assert always < 0.4
    assert ripple > always + 0.2
