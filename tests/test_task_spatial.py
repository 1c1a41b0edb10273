"""Spatial splits, held-out scenes, whole-dataset parts and the leakage audit, against brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.spatial.distance import cdist

from tests.helpers_lab import Lab
from wbench.errors import SpecError
from wbench.task.audit import audit
from wbench.task.spec import Split, TaskSpec, View
from wbench.task.splits import blocks_of, nearest_distance, sides, split_ids

SCENES = ("old-town", "harbour", "campus")


def columns(n: int = 3000, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    position = np.column_stack([rng.uniform(-300, 300, (n, 2)), np.full(n, 1.5)]).astype(np.float32)
    return {"scene": rng.integers(0, 3, n).astype(np.int32), "ue_position": position}


def apart(cols: dict[str, Any], one: Any, other: Any) -> float:
    """Least distance between two groups within a scene, the slow way."""
    least = np.inf
    for scene in np.unique(cols["scene"]):
        a, b = (cols["ue_position"][g & (cols["scene"] == scene), :2].astype(float) for g in (one, other))
        if len(a) and len(b):
            least = min(least, cdist(a, b).min())
    return least


@pytest.mark.parametrize("guard", [10.0, 25.0])
def test_squares_are_whole_and_the_guard_distance_is_kept(guard: float) -> None:
    cols = columns()
    split = Split(rule="S1", guard_m=guard)
    found = sides(split, "digest", cols, SCENES)
    assert {-1, 0, 1, 2} == set(found)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert apart(cols, found == a, found == b) >= guard
    square = np.floor(cols["ue_position"][:, :2].astype(float) / 40)
    keys = [tuple(key) for key in np.column_stack([cols["scene"], square])]
    for key in set(keys):
        mine = {s for k, s in zip(keys, found, strict=True) if k == key} - {-1}
        assert len(mine) <= 1
    # Test users all stay: the share is that of the squares.
    assert np.mean(found == 2) == pytest.approx(0.2, abs=0.03)


def test_users_of_all_base_stations_move_together() -> None:
    """Two links of one user (two base stations) are on one side."""
    cols = columns(500)
    twice = {name: np.repeat(values, 2, axis=0) for name, values in cols.items()}
    found = sides(Split(rule="S1"), "digest", twice, SCENES).reshape(-1, 2)
    np.testing.assert_array_equal(found[:, 0], found[:, 1])


def test_held_out_scene() -> None:
    cols = columns()
    found = sides(Split(rule="S3", unit="scene", held=("harbour",)), "digest", cols, SCENES)
    np.testing.assert_array_equal(found == 2, cols["scene"] == 1)
    assert apart(cols, found == 0, found == 1) >= 10
    share = np.sum(found == 1) / np.sum(cols["scene"] != 1)
    assert share == pytest.approx(0.1 / 0.8, abs=0.04)
    with pytest.raises(SpecError, match="no such scene"):
        sides(Split(rule="S3", held=("atlantis",)), "digest", cols, SCENES)


def test_scenes_are_dealt_by_number() -> None:
    scene = np.repeat(np.arange(60), 7)
    shares: Any = {"train": 0.5, "val": 0.1333333333333333, "test": 0.3666666666666667}
    split = Split(rule="S3", unit="scene", fractions=shares)
    found = [set(scene[split_ids(split, "d", {"scene": scene}, side)]) for side in ("train", "val", "test")]
    assert [len(part) for part in found] == [30, 8, 22]
    assert not found[0] & found[2]


def test_a_split_says_what_it_needs() -> None:
    assert Split(rule="S0").arrays == ()
    assert Split(rule="S2").arrays == ("site",)
    assert Split(rule="S1").arrays == ("scene", "ue_position")
    with pytest.raises(ValidationError, match="held goes with"):
        Split(rule="S1", held=("munich",))
    with pytest.raises(ValidationError, match="greater than or equal to 40"):
        Split(rule="S1", block_m=20)
    # Distances belong to the digest of a spatial split, and only there.
    assert Split(rule="S1").digest != Split(rule="S1", guard_m=20).digest
    assert Split(rule="S2").digest == Split(rule="S2", guard_m=20).digest


def test_a_guard_that_eats_a_side() -> None:
    cols = columns(2000)
    with pytest.raises(SpecError, match="leaves a side empty"):
        sides(Split(rule="S1", guard_m=500), "digest", cols, SCENES)


def test_the_whole_dataset_serves_one_part_only() -> None:
    everything = split_ids(Split(rule="S2"), "d", {"site": np.zeros(9)}, "all")
    np.testing.assert_array_equal(everything, np.arange(9))
    spec = {
        "name": "x", "version": 1, "family": "los-nlos", "kind": "classify", "summary": "", "primary": "top1",
        "metrics": ["top1"], "trivial": ["wbench/constant"], "split": {"rule": "S2"},
        "views": {"train": {"recipe": "a", "side": "train"}, "val": {"recipe": "a", "side": "val"},
                  "test": {"recipe": "b", "side": "all"}},
    }  # fmt: skip
    TaskSpec.model_validate(spec)
    with pytest.raises(ValidationError, match="serves no other part"):
        TaskSpec.model_validate({**spec, "views": {**spec["views"], "val": View(recipe="b", side="val")}})


def test_nearest_distance_is_within_a_scene() -> None:
    scene, xy = np.array([0, 0, 1]), np.array([[0.0, 0], [3, 4], [0, 1]])
    np.testing.assert_allclose(nearest_distance(scene, xy, np.array([0, 2]), np.array([1])), [5, np.inf])
    assert blocks_of(scene, xy, 40)[0] != blocks_of(scene, xy, 40)[2]


def test_audit_of_a_sound_task(lab: Lab) -> None:
    found = audit(lab.task("los"))
    assert found.violations == ()
    assert found.samples == {"train": 280, "val": 40, "test": 80}
    assert found.duplicates == 0
    assert sum(found.balance["test"].values()) == pytest.approx(1)


def test_audit_finds_a_leak(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    task = lab.task("los")
    leaking = np.union1d(task.ids("test"), task.ids("train")[:3])
    monkeypatch.setitem(task._ids, "test", leaking)
    found = audit(task)
    assert found.duplicates == 3
    assert any("in train and test" in text for text in found.violations)
    assert any("bit by bit" in text for text in found.violations)


@pytest.mark.parametrize("n", range(3, 30))
def test_two_sides_take_every_square_whatever_their_number(n: int) -> None:
    """7/8 and 1/8 of n squares can both round up."""
    cols = {"scene": np.r_[np.zeros(n), 1].astype(int), "ue_position": np.zeros((n + 1, 3))}
    cols["ue_position"][:, 0] = 100 * np.arange(n + 1)  # one user in each square, far from the next
    split = Split(rule="S3", held=("harbour",), fractions={"train": 0.45, "val": 0.45, "test": 0.1})
    found = sides(split, "digest", cols, SCENES)
    assert np.sum(found == 0) + np.sum(found == 1) == n
    assert found[-1] == 2
