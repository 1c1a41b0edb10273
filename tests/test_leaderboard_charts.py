"""Charts and lists of tasks that can be read: places, labels, what is drawn, what stands beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pytest

from tests.leaderboard_factory import docs, result
from tests.test_leaderboard_site import Page
from wbench_leaderboard import build_site
from wbench_leaderboard.charts import Chart, Series, draw
from wbench_leaderboard.entries import collect
from wbench_leaderboard.figures import Figure, cost_figures
from wbench_leaderboard.rank import Board, rank_boards
from wbench_leaderboard.text import natural, slice_positions


def test_names_with_numbers_sort_by_the_numbers() -> None:
    names = ["qd-d10", "qd-d2", "qd-d1", "100-150 m", "50-100 m"]
    assert sorted(names, key=natural) == ["50-100 m", "100-150 m", "qd-d1", "qd-d2", "qd-d10"]


def test_slices_with_a_unit_are_a_curve_and_an_open_range_says_so() -> None:
    assert slice_positions(["10 km/h", "3 km/h", "90 km/h"]) == {
        "3 km/h": (0.0, "3\u00a0km/h"), "10 km/h": (1.0, "10\u00a0km/h"), "90 km/h": (2.0, "90\u00a0km/h"),
    }  # fmt: skip
    snr = slice_positions(["10-20 dB", "-10-0 dB", "0-10 dB"])
    assert snr is not None
    assert [label for _, label in snr.values()] == ["−10–0\u00a0dB", "0–10\u00a0dB", "10–20\u00a0dB"]
    spread = slice_positions(["450-1e+06", "0-50", "50-450"])
    assert spread is not None
    assert [label for _, label in spread.values()] == ["0–50", "50–450", "≥\u00a0450"]
    assert slice_positions(["3 km/h", "10 m/s"]) is None
    assert slice_positions(["3 km/h", "10"]) is None


def _chart(points: tuple[tuple[float, float, float | None, float | None], ...]) -> Chart:
    series = (Series("a", points), Series("b", points))
    return Chart("t", "d", "x", "y", series, ((0.0, "0"), (1.0, "1")))


def test_equal_lines_with_intervals_are_moved_apart_and_others_stay() -> None:
    with_interval = draw(_chart(((0.0, 1.0, 0.5, 1.5), (1.0, 2.0, 1.5, 2.5))), "c", "wide")
    lines = re.findall(r'<polyline points="([^"]+)"', with_interval)
    assert len(set(lines)) == 2
    without = draw(_chart(((0.0, 1.0, None, None), (1.0, 2.0, None, None))), "c", "wide")
    assert len(set(re.findall(r'<polyline points="([^"]+)"', without))) == 1


@pytest.mark.parametrize("shape", ["wide", "narrow"])
def test_labels_of_the_axis_neither_overlap_nor_leave_the_drawing(shape: Literal["wide", "narrow"]) -> None:
    marks = tuple((place, f"{place:g} km per hour") for place in (0.0, 0.02, 0.5, 1.0))
    chart = Chart("t", "d", "x", "y", (Series("a", ((0.0, 1.0, None, None), (1.0, 2.0, None, None))),), marks)
    text = draw(chart, "c", shape)
    width = float(re.findall(r'viewBox="0 0 ([0-9.]+)', text)[0])
    found = re.findall(r'<text x="([0-9.]+)"[^>]*text-anchor="(middle|end)" class="tick">([^<]+hour)</text>', text)
    assert "0.02 km per hour" not in {label for _, _, label in found}
    ends = [float(x) + (len(label) * 3.6 if anchor == "middle" else 0) for x, anchor, label in found]
    assert all(end <= width for end in ends)
    assert found[-1][2] == "1 km per hour"


def test_no_name_covers_a_point_that_has_none() -> None:
    """Two points side by side: the name of the left one goes to its left."""
    points = ((0.45, 1.0, None, None), (0.47, 1.0, None, None), (1.0, 2.0, None, None))
    chart = Chart("t", "d", "x", "y", (Series("m", points, joined=False),), ((0.0, "0"), (1.0, "1")),
                  ((0.45, 1.0, "somebody"),))  # fmt: skip
    text = draw(chart, "c", "wide")
    name = re.findall(r'<text x="([0-9.]+)"[^>]*text-anchor="(\w+)" class="note">somebody', text)
    assert [anchor for _, anchor in name] == ["end"]


def _board(worst: float) -> Board:
    levels = {"a/a": 0.91, "a/b": 0.9, "a/c": 0.895}
    made = [
        result("los-nlos-umi", name, value, kind="user", regime="full", model_parameters=10 * (place + 1))
        for place, (name, value) in enumerate(levels.items())
    ]
    made.append(result("los-nlos-umi", "wbench/majority", 0.4, kind="trivial"))
    made.append(result("los-nlos-umi", "a/lost", worst, kind="user", regime="full", model_parameters=99))
    return rank_boards(collect(made))[0]


def test_what_is_far_behind_trivial_is_named_instead_of_drawn() -> None:
    def size(worst: float) -> Figure:
        return next(f for f in cost_figures(_board(worst), "f") if f.id == "cost-size")

    lost, better = size(0.1), size(0.5)
    assert "Far behind, not drawn: a/lost, trained." in lost.caption
    assert "not drawn: a/lost" not in better.caption
    assert "a/lost, trained" in {row[0] for row in lost.rows}


def test_the_overview_has_scores_with_intervals_and_says_what_is_missing(tmp_path: Path) -> None:
    more = {"task_family": "los-nlos"}
    made = [result("los-nlos-umi", "a/net", 0.8, kind="network", regime="full", **more)]
    made += [result("beam-prediction-b", "b/net", 0.6, kind="network", regime="full")]
    made += [result("beam-prediction-b", "wbench/majority", 0.2, kind="trivial")]
    tasks = ("los-nlos-umi", "csi-feedback-bits")
    made += [result(task, "wbench/majority", 0.4, kind="trivial", **more) for task in tasks]
    text = Page(build_site(made, tmp_path / "site", task_docs=docs())).text
    assert re.search(r"0\.800 \[0\.\d{3}, 0\.\d{3}\]", text) is not None
    assert "results on 1 of 2" in text  # a family with two tasks, of which the network has one


@pytest.mark.parametrize(("score", "below"), [(0.1, True), (0.3, False)])
def test_the_overview_says_when_even_the_best_is_worse_than_trivial(tmp_path: Path, score: float, below: bool) -> None:
    made = [result("beam-prediction-b", "b/net", score, kind="network", regime="full")]
    made += [result("beam-prediction-b", "wbench/majority", 0.2, kind="trivial")]
    text = Page(build_site(made, tmp_path / "site", task_docs=docs())).text
    assert ("worse than the best trivial model" in text) == below
