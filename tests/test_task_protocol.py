"""What a model sees: phase, scale, noise, masks; the same sample in every batch; splits and budgets."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import wbench.task.base
from tests.helpers_lab import TASKS, Lab
from wbench.errors import DatasetError, SpecError
from wbench.metric.catalogue import get_metric
from wbench.run.plan import load_task
from wbench.task.base import Task
from wbench.task.part import TaskData, concatenate
from wbench.task.spec import Split
from wbench.task.splits import budget_ids, split_ids

PARTS: Any = ("train", "val", "test")


def whole(task: Task, part: Any = "train") -> Any:
    return concatenate(list(task.pairs(part, task.ids(part), 64)))


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("kept", [True, False])
def test_a_sample_is_bit_identical_in_any_batch(
    lab: Lab, name: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, other = lab.task(name), lab.task(name)
    ids = task.ids("train")
    batch, truth = whole(task)
    if not kept:  # as for a part that is too large for memory
        monkeypatch.setattr(wbench.task.base, "STORE_LIMIT_BYTES", 0)
    order = np.random.default_rng(0).permutation(len(ids))
    start = 0
    for size in (1, 2, 30, 7):
        rows = order[start : start + size]
        start += size
        for again, target in other.pairs("train", ids[rows], size):
            np.testing.assert_array_equal(again.ids, ids[rows])
            for key, array in again.x.items():
                np.testing.assert_array_equal(array, batch.x[key] if key == "observed" else batch.x[key][rows])
            for key, array in target.items():
                np.testing.assert_array_equal(array, truth[key][rows])
            if batch.noise_power is not None:
                np.testing.assert_array_equal(again.noise_power, batch.noise_power[rows])
    assert bool(kept) == any(store._samples is not None for store in other._stores.values())


@pytest.mark.parametrize("name", TASKS)
def test_a_batch_cannot_be_changed_for_others(lab: Lab, name: str) -> None:
    task = lab.task(name)
    before = task.ids("test").copy()
    (first, target), *_ = task.pairs("test", task.ids("test"), 16)
    arrays = [first.ids, *first.x.values(), *target.values()]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    for array in arrays:  # even someone who insists changes only a copy
        array.setflags(write=True)
        array[...] = 0
    again, _ = next(task.pairs("test", task.ids("test"), 16))
    assert np.abs(again.x["H"]).max() > 0
    np.testing.assert_array_equal(task.ids("test"), before)


def test_training_data_is_read_only_and_complete(lab: Lab) -> None:
    data = TaskData(lab.task("los"), "train", 50.0, 1)
    batch, truth = data.load()
    joined, other = concatenate(list(data.batches(13)))
    np.testing.assert_array_equal(batch.x["H"], joined.x["H"])
    np.testing.assert_array_equal(truth["label"], other["label"])
    assert len(batch) == len(data) == 140
    with pytest.raises(ValueError, match="read-only"):
        batch.x["H"] *= 2
    shuffled, _ = concatenate(list(data.batches(13, np.random.default_rng(0))))
    assert (shuffled.ids != batch.ids).any()
    np.testing.assert_array_equal(np.sort(shuffled.ids), batch.ids)


def test_test_part_is_not_training_data(lab: Lab) -> None:
    with pytest.raises(SpecError, match="not training data"):
        TaskData(lab.task("los"), "test")


@pytest.mark.parametrize(("name", "snr"), [("los", 0.0), ("time", 20.0)])
def test_noise_level_of_the_observed_part(lab: Lab, name: str, snr: float) -> None:
    """LS at the pilots is the observation itself: its NMSE is −SNR (protocol, anchors)."""
    task = lab.task(name)
    batch, _ = whole(task)
    mask = batch.x.get("observed", np.ones(task.meta.shape, bool))
    clean = _clean(task, "train")
    # Unit rms over the observed part and nothing else.
    np.testing.assert_allclose(np.mean(np.abs(clean[:, mask]) ** 2, axis=1), 1, rtol=1e-5)
    error = batch.x["H"][:, mask] - clean[:, mask]
    found = 10 * np.log10(np.sum(np.abs(error) ** 2) / np.sum(np.abs(clean[:, mask]) ** 2))
    assert found == pytest.approx(-snr, abs=0.1)
    np.testing.assert_allclose(batch.noise_power, 10 ** (-snr / 10), rtol=1e-6)
    # Circular: no correlation with the signal, real and imaginary part alike.
    assert abs(np.mean(error * clean[:, mask].conj())) < 0.02 * np.sqrt(batch.noise_power[0])
    assert np.var(error.real) / np.var(error.imag) == pytest.approx(1, abs=0.05)


def _clean(task: Task, part: Any) -> Any:
    """The same task without noise: nothing else may differ."""
    quiet = type(task)(task.spec.model_copy(update={"noise": None}), task.datasets)
    ids = quiet.ids(part)
    return concatenate(list(quiet.pairs(part, ids)))[0].x["H"]


def test_noise_of_beams_is_relative_to_the_antennas_that_listen(lab: Lab) -> None:
    task = lab.task("beam")
    batch, _ = whole(task)
    clean = _clean(task, "train")
    np.testing.assert_allclose(np.mean(np.abs(clean) ** 2, axis=(1, 2, 3, 4)), 1, rtol=1e-5)
    for snr in (-10, 0, 10):
        rows = task.snr_db("train", batch.ids) == snr
        assert 0.2 < rows.mean() < 0.47
        power = np.mean(np.abs(batch.x["H"][rows] - clean[rows]) ** 2)
        assert 10 * np.log10(power) == pytest.approx(-snr, abs=0.15)
        np.testing.assert_allclose(batch.noise_power[rows], 10 ** (-snr / 10), rtol=1e-6)


def test_gain_and_phase_tell_nothing(lab: Lab) -> None:
    """One seeded phase per sample; input and target carry the same; the path gain is gone."""
    task = lab.task("time")
    ids = task.ids("train")
    raw = task.dataset("train").read("channel", ids)
    _, truth = whole(task)
    clean = _clean(task, "train")
    np.testing.assert_array_equal(clean[:, :4], truth["H"][:, :4])
    factor = truth["H"][:, 0, 0, 0, 0] / raw[:, 0, 0, 0, 0]
    phase = np.angle(factor)
    assert abs(np.exp(1j * phase).mean()) < 3 / np.sqrt(len(ids))  # uniform on the circle
    assert np.std(20 * np.log10(np.abs(factor))) > 3  # g really differs …
    np.testing.assert_allclose(
        np.mean(np.abs(truth["H"][:, :4]) ** 2, axis=(1, 2, 3, 4)), 1, rtol=1e-5
    )  # … and is gone


def test_meta_is_all_that_a_model_is_told(lab: Lab) -> None:
    names = {field.name for field in dataclasses.fields(lab.task("time").meta)}
    assert names == {
        "shape",
        "dims",
        "carrier_hz",
        "subcarrier_spacing_hz",
        "time_step_s",
        "tx",
        "rx",
        "classes",
        "outputs",
    }
    batch, _ = whole(lab.task("time"))
    assert set(batch.x) == {"H", "observed"}


def test_draws_depend_on_task_and_dataset(lab: Lab) -> None:
    ids = np.arange(200)
    task, same = lab.task("beam"), lab.task("beam", lab.root, name="lab-beam-too")
    assert (task.snr_db("train", ids) == task.snr_db("train", ids[::-1])[::-1]).all()
    assert (task.snr_db("train", ids) != same.snr_db("train", ids)).any()


def test_scaling_off_and_noise_do_not_go_together(lab: Lab) -> None:
    with pytest.raises(SpecError, match="SNR is undefined"):
        lab.task("bits", lab.root, name="lab-noisy-bits", noise={"snr_db": [10]})


def test_split_is_disjoint_and_covers(lab: Lab) -> None:
    task = lab.task("los")
    parts = [task.ids(part) for part in PARTS]
    joined = np.concatenate(parts)
    assert len(joined) == len(np.unique(joined)) == 400
    assert [len(ids) for ids in parts] == [280, 40, 80]
    for ids in parts:
        assert (np.diff(ids) > 0).all()


def test_a_drop_is_never_divided() -> None:
    units = np.repeat(np.arange(37), 5)[np.random.default_rng(1).permutation(185)]
    sides = [split_ids(Split(rule="S2"), "digest", {"site": units}, part) for part in PARTS]
    assert sum(map(len, sides)) == 185
    found = [set(units[ids]) for ids in sides]
    assert sum(map(len, found)) == len(set().union(*found)) == 37
    assert not np.array_equal(sides[0], split_ids(Split(rule="S2"), "another digest", {"site": units}, "train"))
    assert not np.array_equal(sides[0], split_ids(Split(rule="S2", version=2), "digest", {"site": units}, "train"))
    mixed = split_ids(Split(rule="S0"), "digest", {"site": units}, "train")
    assert set(units[mixed]) & set(units[split_ids(Split(rule="S0"), "digest", {"site": units}, "test")])


def test_too_few_units_for_a_split() -> None:
    with pytest.raises(SpecError, match="leaves a side empty"):
        split_ids(Split(rule="S2"), "digest", {"site": np.zeros(100)}, "train")


def test_budgets_are_nested_and_draws_differ(lab: Lab) -> None:
    task = lab.task("los")
    kept = [set(TaskData(task, "train", percent, 3).ids) for percent in (1, 2, 5, 10, 25, 50, 100)]
    assert [len(ids) for ids in kept] == [3, 6, 14, 28, 70, 140, 280]
    for small, large in pairwise(kept):
        assert small < large
    draws = [frozenset(TaskData(task, "train", 10, draw).ids) for draw in range(5)]
    assert len(set(draws)) == 5
    assert [len(TaskData(task, "val", percent)) for percent in (1, 10, 50, 100)] == [1, 4, 20, 40]
    for wrong in (0.0, -1.0, 101.0, float("nan")):
        with pytest.raises(SpecError, match="percentage"):
            budget_ids(task.ids("train"), wrong, 0, "key")


def test_samples_without_a_path_are_left_out(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    task = lab.task("los")
    dataset = task.dataset("train")
    read = type(dataset).read

    def without(self: Any, name: str, ids: Any) -> Any:
        values = read(self, name, ids)
        return np.where(np.asarray(ids) % 3 == 0, -1, values).astype(values.dtype) if name == "los" else values

    monkeypatch.setattr(type(dataset), "read", without)
    kept = np.concatenate([task.ids(part) for part in PARTS])
    assert set(kept) == {i for i in range(400) if i % 3}


def test_a_sample_without_energy_is_an_error(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    task = lab.task("los")
    monkeypatch.setattr(
        type(task.dataset("train")), "read", lambda self, name, ids: np.zeros((len(ids), 1, 1, 8, 16), "c8")
    )
    with pytest.raises(DatasetError, match="no observed energy"):
        task._pair("train", np.arange(3))


def test_standard_instances_load_and_describe_themselves() -> None:
    from wbench.task.spec import load_spec, load_suite

    for name in load_suite("2026.1").tasks:
        spec = load_spec(name)
        assert spec.name == name
        for metric in spec.metrics:
            assert get_metric(metric).name == metric


def test_parts_must_describe_the_same_radio(lab: Lab) -> None:
    views = {
        part: {"recipe": str(lab.root / f"{recipe}.toml"), "side": part}
        for part, recipe in (("train", "lab-mob"), ("val", "lab-mob"), ("test", "lab-snap"))
    }
    task = load_task(lab.toml("los", lab.root, name="lab-mixed", views=views), size="tiny")
    with pytest.raises(SpecError, match="differ in shape"):
        _ = task.meta


@pytest.mark.parametrize(
    ("name", "recipe", "params", "message"),
    [
        ("ratio", "lab-snap", {"rows": 17}, "fewer delay rows"),
        ("ratio", "lab-dual", {"rows": 4}, "needs one snapshot, one Rx port"),
        ("bits", "lab-dual", {"subbands": 5}, "equal sub-bands"),
        ("beam", "lab-snap", {"beams": 16, "elements": 16, "first": 0, "observed": 4}, "ULA of 16 elements"),
        ("time", "lab-mob", {"past": 4, "future": 3}, "too few snapshots"),
    ],
)
def test_a_dataset_that_does_not_fit(lab: Lab, name: str, recipe: str, params: Any, message: str) -> None:
    views = {part: {"recipe": str(lab.root / f"{recipe}.toml"), "side": part} for part in PARTS}
    task = load_task(lab.toml(name, lab.root, name="lab-unfit", params=params, views=views), size="tiny")
    with pytest.raises(SpecError, match=message):
        _ = task.meta
