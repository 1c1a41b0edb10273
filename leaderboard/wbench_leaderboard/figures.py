"""Which numbers go into which chart of a task's page."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from wbench_leaderboard.charts import Dot, Series, both_widths, curves, dot_plot
from wbench_leaderboard.entries import Entry
from wbench_leaderboard.rank import Board, Group
from wbench_leaderboard.text import number, unit_suffix
from wbench_leaderboard.views import group_id, group_label

__all__ = ["ranking_chart", "slice_chart"]

MAX_ROWS, MAX_SERIES = 40, 6
SHORT = {"none": "zero-shot", "head": "head", "fine-tune": "fine-tuned", "full": "from scratch"}
ROLES = {"trivial": "trivial", "classical": "classical", "control": "control"}


def ranking_chart(board: Board, group: Group) -> Markup:
    """Interval dot plot of one comparison group, best first."""
    rows = []
    for standing in group.standings[:MAX_ROWS]:
        primary = standing.entry.primary
        low, high = (None, None) if primary.interval is None else (primary.interval.low, primary.interval.high)
        rows.append(
            Dot(standing.entry.model.name, primary.value, low, high, ROLES.get(standing.entry.model.kind, "model"))
        )
    primary = group.standings[0].entry.primary
    axis = f"{primary.metric}{f' [{primary.unit}]' if primary.unit else ''}, " + (
        "right is better" if primary.higher_is_better else "left is better"
    )
    best = group.standings[0].entry
    title = f"{board.edition.task}: {primary.metric}, {group_label(group.key)}"
    desc = (
        f"Score and 95 % interval of {len(rows)} models, best first. Best: {best.model.name} with "
        f"{number(primary.value, primary.unit)}{unit_suffix(primary.unit)}. The table below has all values."
    )
    uid = f"c-{group_id(group.key)}"
    return both_widths(
        dot_plot(rows, f"{uid}-w", title, desc, axis, primary.unit, narrow=False),
        dot_plot(rows, f"{uid}-n", title, desc, axis, primary.unit, narrow=True),
    )


def slice_chart(board: Board, column: str, places: Mapping[str, tuple[float, str]] | None, uid: str) -> Markup:
    """Curves of the primary metric over a slice column; empty unless it has at least three numbers or ranges."""
    if places is None or len(places) < 3:
        return Markup()
    series = [one for one in (_series(entry, column, places) for entry in _drawn(board)) if len(one.points) >= 2]
    if not series:
        return Markup()
    primary = board.entries[0].primary
    y = primary.metric + (f" [{primary.unit}]" if primary.unit else "")
    title = f"{board.edition.task}: {primary.metric} against {column}"
    desc = f"One line each for {', '.join(one.label for one in series)}. The table below has all values."
    marks = tuple(places.values())
    return both_widths(
        curves(series, marks, f"{uid}-w", title, desc, column, y, narrow=False),
        curves(series, marks, f"{uid}-n", title, desc, column, y, narrow=True),
    )


def _drawn(board: Board) -> list[Entry]:
    """The entries that get a line: in turn the best of each group, so that none is crowded out, at most six."""
    queues = [[standing.entry for standing in group.contestants] for group in board.groups]
    chosen: list[Entry] = []
    for place in range(max(map(len, queues), default=0)):
        for queue in queues:
            if place < len(queue) and len(chosen) < MAX_SERIES and all(queue[place] is not one for one in chosen):
                chosen.append(queue[place])
    return chosen


def _series(entry: Entry, column: str, places: Mapping[str, tuple[float, str]]) -> Series:
    points = []
    for value, (place, _) in places.items():
        score = entry.score(entry.primary.metric, f"{column}={value}")
        if score is not None:
            low, high = (None, None) if score.interval is None else (score.interval.low, score.interval.high)
            points.append((place, score.value, low, high))
    label = entry.model.name if entry.reference else f"{entry.model.name}, {SHORT[entry.group.regime]}"
    return Series(label, tuple(points))
