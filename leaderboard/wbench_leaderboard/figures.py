"""Which numbers go into which chart of a task's page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from markupsafe import Markup

from wbench_leaderboard.charts import MAX_SERIES, Chart, Series, both_widths, log_ticks
from wbench_leaderboard.entries import Entry, ScoreSummary
from wbench_leaderboard.glossary import COLUMNS
from wbench_leaderboard.rank import Board, sort_entries
from wbench_leaderboard.text import count, number, percent, seconds, unit_suffix

__all__ = ["Figure", "bits_figure", "budget_figure", "cost_figures", "slice_chart"]

SHORT = {"none": "zero-shot", "head": "head", "fine-tune": "fine-tuned", "full": "trained"}
ROLES = ("model", "control", "classical", "trivial")

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Figure:
    """A chart with its heading, a caption, and the same numbers as a table."""

    id: str
    heading: str
    chart: Markup
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def role(entry: Entry) -> str:
    """Mark of an entry: ``classical``, ``trivial``, ``control`` or ``model``."""
    return entry.model.kind if entry.model.kind in ROLES else "model"


def _label(entry: Entry) -> str:
    if entry.reference:
        return entry.model.name
    head = f" {entry.group.head}" if entry.group.head else ""
    return f"{entry.model.name}, {SHORT[entry.group.regime]}{head}"


def _axis(primary: ScoreSummary) -> str:
    arrow = "↑" if primary.higher_is_better else "↓"
    return primary.metric + (f" [{primary.unit}]" if primary.unit else "") + f" {arrow}"


def _ends(score: ScoreSummary) -> tuple[float | None, float | None]:
    return (None, None) if score.interval is None else (score.interval.low, score.interval.high)


def _row(label: str, x: str, score: ScoreSummary) -> tuple[str, ...]:
    low, high = _ends(score)
    between = "none" if low is None or high is None else f"[{number(low, score.unit)}, {number(high, score.unit)}]"
    return label, x, number(score.value, score.unit) + unit_suffix(score.unit), between


def slice_chart(board: Board, column: str, places: Mapping[str, tuple[float, str]] | None, uid: str) -> Markup:
    """Curves of the primary metric over a slice column; empty unless it has at least three numbers or ranges."""
    if places is None or len(places) < 3:
        return Markup()
    series = [one for one in (_sliced(entry, column, places) for entry in _drawn(board)) if len(one.points) >= 2]
    if not series:
        return Markup()
    title = f"{board.edition.task}: {board.edition.metric} against {COLUMNS.get(column) or column}"
    desc = f"One line each for {', '.join(one.label for one in series)}. The table below has all values."
    axis = _axis(board.entries[0].primary)
    label = COLUMNS.get(column) or column
    return both_widths(Chart(title, desc, label, axis, tuple(series), tuple(places.values())), uid)


def _drawn(board: Board) -> list[Entry]:
    """The entries that get a line: in turn the best of each group, so that none is crowded out, at most six."""
    queues = [[standing.entry for standing in group.contestants] for group in board.groups]
    chosen: list[Entry] = []
    names: set[tuple[str, str]] = set()
    for place in range(max(map(len, queues), default=0)):
        for queue in queues:
            if place >= len(queue) or len(chosen) >= MAX_SERIES:
                continue
            entry = queue[place]
            # A model in three budgets would be three lines that say nearly the same.
            name = (entry.model.name, entry.group.regime)
            if name not in names:
                names.add(name)
                chosen.append(entry)
    near = set(map(id, _near(sort_entries(chosen), board)))
    return [entry for entry in chosen if id(entry) in near]


def _near(entries: Sequence[Entry], board: Board) -> list[Entry]:
    """``entries``, best first, without those so far behind that all others would lie on one line of the chart.

    Only what is worse than the best trivial model is left out.
    """
    signs = [1.0 if entry.primary.higher_is_better else -1.0 for entry in entries]
    values = [sign * entry.primary.value for sign, entry in zip(signs, entries, strict=True)]
    trivial = max((signs[0] * e.primary.value for e in board.entries if e.model.kind == "trivial"), default=-math.inf)
    for place in range(len(values) - 1, 2, -1):
        if values[place] < trivial and values[place - 1] - values[place] > 3 * (values[0] - values[place - 1]):
            return list(entries[:place])
    return list(entries)


def _sliced(entry: Entry, column: str, places: Mapping[str, tuple[float, str]]) -> Series:
    points = []
    for value, (place, _) in places.items():
        score = entry.score(entry.primary.metric, f"{column}={value}")
        if score is not None:
            points.append((place, score.value, *_ends(score)))
    return Series(_label(entry), tuple(points))


def budget_figure(board: Board, uid: str) -> Figure | None:
    """Score against the share of the training part, a line for each model that has two budgets or more."""
    lines: dict[tuple[str, ...], list[Entry]] = {}
    for entry in board.entries:
        group = entry.group
        if group.regime != "none" and group.budget_percent is not None:
            key = (entry.model.name, entry.model.revision, group.regime, group.head or "", str(group.layers))
            lines.setdefault(key, []).append(entry)
    curves = [sorted(e, key=lambda one: one.group.budget_percent or 0) for e in lines.values() if len(e) > 1]
    if not curves:
        return None
    order = {id(entry): place for place, entry in enumerate(sort_entries([curve[-1] for curve in curves]))}
    curves.sort(key=lambda curve: order[id(curve[-1])])
    chosen = _fair(curves, lambda curve: curve[0].reference)
    budgets = sorted({e.group.budget_percent or 0.0 for curve in chosen for e in curve})
    series = tuple(
        Series(
            _label(curve[0]),
            tuple((math.log10(e.group.budget_percent or 1), e.primary.value, *_ends(e.primary)) for e in curve),
        )
        for curve in chosen
    )
    title = f"{board.edition.task}: {board.edition.metric} against the training budget"
    marks = tuple((math.log10(b), percent(b)) for b in budgets)
    desc = f"One line each for {', '.join(one.label for one in series)}. The table under the chart has all values."
    chart = Chart(title, desc, "training part used", _axis(board.entries[0].primary), series, marks)
    rows = tuple(_row(_label(e), percent(e.group.budget_percent or 0), e.primary) for curve in chosen for e in curve)
    caption = "Mean over draws and seeds; whiskers are 95 % intervals. Lines are moved aside to be told apart."
    header = ("Model", "Training part", "Score", "95 % interval")
    return Figure("budget", "Score against training budget", both_widths(chart, uid), caption, header, rows)


def _fair(items: Sequence[_Item], reference: Callable[[_Item], bool]) -> list[_Item]:
    """At most six, two of them references where there are any: no line without something to hold it against."""
    references = [item for item in items if reference(item)]
    others = [item for item in items if not reference(item)]
    kept = others[: MAX_SERIES - min(len(references), 2)]
    return [*kept, *references[: MAX_SERIES - len(kept)]]


def bits_figure(board: Board, siblings: Sequence[Board], uid: str) -> Figure | None:
    """Score against payload bits, over the tasks that differ in the payload limit only."""
    lines: dict[tuple[str, str], list[tuple[float, Entry]]] = {}
    for other in siblings:
        for entry in other.entries:
            bits = [r.cost.payload_bits_mean for r in entry.results if r.cost.payload_bits_mean is not None]
            if bits and entry.group.part in ((100.0, None),) and sum(bits) > 0:
                key = (_label(entry), entry.model.revision)
                lines.setdefault(key, []).append((sum(bits) / len(bits), entry))
    curves = [sorted(points, key=lambda point: point[0]) for points in lines.values()]
    if len({bits for points in curves for bits, _ in points}) < 2:
        return None
    best = {id(e): i for i, e in enumerate(sort_entries([points[-1][1] for points in curves]))}
    curves.sort(key=lambda points: (-len(points), best[id(points[-1][1])]))
    chosen = _fair(curves, lambda points: points[0][1].reference)
    series = tuple(
        Series(
            _label(points[0][1]),
            tuple((math.log2(bits), e.primary.value, *_ends(e.primary)) for bits, e in points),
        )
        for points in chosen
    )
    places = [point[0] for one in series for point in one.points]
    first, last = math.floor(min(places)), math.ceil(max(places))
    marks = tuple((float(e), str(2**e)) for e in range(first, last + 1, 1 if last - first < 8 else 2))
    marks = marks if marks[-1][0] == last else (*marks, (float(last), str(2**last)))
    title = f"{board.edition.task}: {board.edition.metric} against payload bits"
    desc = f"One line each for {', '.join(one.label for one in series)}. The table under the chart has all values."
    axis = _axis(board.entries[0].primary)
    chart = Chart(title, desc, "mean payload [bits], logarithmic", axis, series, marks)
    rows = tuple(_row(_label(e), f"{bits:.4g}", e.primary) for points in chosen for bits, e in points)
    names = ", ".join(other.edition.task for other in siblings)
    caption = f"Whiskers are 95 % intervals. Tasks: {names}."
    header = ("Model", "Mean payload [bits]", "Score", "95 % interval")
    return Figure("bits", "Score against payload", both_widths(chart, uid), caption, header, rows)


def cost_figures(board: Board, uid: str) -> list[Figure]:
    """Score against time per sample and against parameters; the best for their cost are named."""
    timed = [(e, found) for e in board.entries if (found := _time(e)) > 0]
    sized = [(e, float(max(r.model.parameters for r in e.results))) for e in board.entries]
    return [
        figure
        for figure in (
            _cost(board, timed, f"{uid}t", "time", "Score against time per sample", "time per sample", seconds),
            _cost(board, [s for s in sized if s[1] > 0], f"{uid}p", "size", "Score against size", "parameters", count),
        )
        if figure is not None
    ]


def _time(entry: Entry) -> float:
    timed = [r.cost.predict_s / r.cost.predict_samples for r in entry.results if r.cost.predict_samples > 0]
    return sum(timed) / len(timed) if timed else 0.0


def _cost(
    board: Board,
    costs: Sequence[tuple[Entry, float]],
    uid: str,
    name: str,
    heading: str,
    axis: str,
    text: Callable[[float], str],
) -> Figure | None:
    if len({cost for _, cost in costs}) < 3:
        return None
    costs = _whole_budget(costs)[:40]
    drawn = costs[: len(_near([entry for entry, _ in costs], board))]
    front = _front(drawn)
    series = []
    for one in ROLES:
        points = tuple((math.log10(c), e.primary.value, *_ends(e.primary)) for e, c in drawn if role(e) == one)
        if points:
            series.append(Series(one, tuple(sorted(points)), role=one, joined=False))
    ticks = log_ticks(cost for _, cost in drawn)
    marks = tuple((tick, text(10**tick)) for tick in ticks)
    notes = tuple((math.log10(c), e.primary.value, e.model.name) for e, c in front[:6])
    desc = f"{len(drawn)} results. Nothing is both better and cheaper than {', '.join(e.model.name for e, _ in front)}."
    chart = Chart(
        f"{board.edition.task}: {board.edition.metric} against {axis}",
        desc,
        f"{axis}, logarithmic",
        _axis(board.entries[0].primary),
        tuple(series),
        marks,
        notes,
    )
    rows = tuple(_row(_label(e), text(c), e.primary) for e, c in costs)
    caption = "Nothing is both better and cheaper than the named points. Whiskers are 95 % intervals. " + (
        "Times are of the submitters' own machines." if name == "time" else "Models without parameters are not drawn."
    )
    if len(drawn) < len(costs):
        caption += f" Far behind, not drawn: {', '.join(_label(e) for e, _ in costs[len(drawn) :])}."
    header = ("Model", axis.capitalize(), "Score", "95 % interval")
    return Figure(f"cost-{name}", heading, both_widths(chart, uid), caption, header, rows)


def _whole_budget(costs: Sequence[tuple[Entry, float]]) -> list[tuple[Entry, float]]:
    """Of each model and regime the result on the most data: less data changes the score and not the cost."""
    best: dict[tuple[str, ...], tuple[Entry, float]] = {}
    for entry, cost in costs:
        key = (entry.model.name, entry.model.revision, entry.group.regime, entry.group.head or "")
        held = best.get(key)
        if held is None or (entry.group.budget_percent or 0) > (held[0].group.budget_percent or 0):
            best[key] = (entry, cost)
    order = {id(entry): place for place, entry in enumerate(sort_entries([entry for entry, _ in best.values()]))}
    return sorted(best.values(), key=lambda pair: order[id(pair[0])])


def _front(costs: Sequence[tuple[Entry, float]]) -> list[tuple[Entry, float]]:
    """The Pareto front; ``costs`` are sorted best score first."""
    found: list[tuple[Entry, float]] = []
    for entry, cost in costs:
        if not found or cost < found[-1][1]:
            found.append((entry, cost))
    return found
