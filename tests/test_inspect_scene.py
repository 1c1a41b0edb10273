"""Scenes from above: the sides that are drawn are the task's own, and every dataset that cannot be drawn says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers_scene import SceneData, scene, scene_task
from wbench.cli.inspect import _sides
from wbench.dataset.figure import plot_scene
from wbench.errors import UnknownNameError, UsageError
from wbench.task.audit import sample_sides

STATIONS = 3


@pytest.fixture(scope="module")
def data() -> SceneData:
    return scene(users=400, stations=STATIONS)


def task_on(data: SceneData, **fields: Any) -> Any:
    params = {"base_stations": STATIONS}
    return scene_task(data, "positioning", "regress", "mean_m", params=params, cluster="site", **fields)


@pytest.mark.parametrize("rule", ["S0", "S1"])
def test_all_links_of_a_user_are_on_the_users_side(data: SceneData, rule: str) -> None:
    task = task_on(data, split={"rule": rule})
    found = sample_sides(task, "scene").reshape(-1, STATIONS)
    assert (found == found[:, :1]).all()
    for part, code in (("train", 0), ("val", 1), ("test", 2)):
        np.testing.assert_array_equal(np.flatnonzero(found[:, 0] == code) * STATIONS, task.ids(part))
    assert set(found[:, 0]) >= {0, 1, 2}


def test_a_task_on_another_dataset_is_refused(data: SceneData) -> None:
    with pytest.raises(UsageError, match="not one on this dataset"):
        _sides(data, "positioning-munich")  # type: ignore[arg-type]


def test_without_a_task_squares_are_drawn(data: SceneData) -> None:
    drawn = _sides(data, None)  # type: ignore[arg-type]
    assert drawn["split"] == "S1"
    sides, xy = drawn["sides"], data.arrays["ue_position"][:, :2].astype(float)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(xy[sides == one][:, None] - xy[sides == other][None], axis=2).min() >= 10


def test_the_page_is_drawn_the_same_each_time(data: SceneData, tmp_path: Path) -> None:
    split = _sides(data, None)  # type: ignore[arg-type]
    pages = [plot_scene(data, tmp_path / f"{i}.png", "square", **split).read_bytes() for i in range(2)]  # type: ignore[arg-type]
    assert pages[0] == pages[1]
    assert len(pages[0]) > 20_000


def test_unknown_scenes_and_file_types(data: SceneData, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="square"):
        plot_scene(data, tmp_path / "map.png", "squares")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="A plot is one of"):
        plot_scene(data, tmp_path / "map.gif", "square")  # type: ignore[arg-type]
