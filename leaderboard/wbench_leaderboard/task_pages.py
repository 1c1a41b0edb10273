"""The page of a task as a view model. No markup here except the charts'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from wbench import curves
from wbench.errors import ResultError
from wbench.result import Result
from wbench_leaderboard.entries import Entry
from wbench_leaderboard.figures import Figure, bits_figure, budget_figure, cost_figures, slice_chart
from wbench_leaderboard.glossary import COLUMNS, FAMILIES, METRICS, TASK_KINDS
from wbench_leaderboard.links import Links
from wbench_leaderboard.rank import Board, Group
from wbench_leaderboard.references import Paper, PaperRow, paper_rows
from wbench_leaderboard.text import natural, number, regime_label, short_digest, slice_positions, unit_suffix
from wbench_leaderboard.views import Cell, GroupView, group_label, group_view, interval_cell, score_cell, shown

__all__ = ["GapRow", "PaperTable", "SliceView", "TaskPage", "direction", "stale_reason", "task_page"]


#: Model, address, and of each slice the score and its interval.
SliceRows = tuple[tuple[str, str, tuple[tuple[Cell, str], ...]], ...]


@dataclass(frozen=True)
class SliceView:
    """The primary metric on slices of the test part: rows for each comparison group.

    ``column`` names what the slices are of; empty where they are of several columns.
    """

    column: str
    values: tuple[str, ...]
    groups: tuple[tuple[str, SliceRows], ...]
    chart: Markup


@dataclass(frozen=True)
class PaperTable:
    """Published numbers of one paper: rows of (model, setting, cells)."""

    paper: Paper
    tables: str
    metrics: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class GapRow:
    """One model on a hidden season: its score there, in public, and the difference."""

    season: str
    name: str
    href: str
    group: str
    regime: str
    kind: str
    hidden: Cell
    public: Cell
    gap: Cell
    verdict: str


@dataclass(frozen=True)
class TaskPage:
    """Everything a task's page prints."""

    task: str
    size: str
    version: int
    href: str
    csv_href: str
    json_href: str
    ranked: bool
    summary: str
    suites: tuple[tuple[str, str], ...]
    sizes: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    datasets: tuple[tuple[str, str], ...]
    provenance: tuple[tuple[str, str], ...]
    metric: str
    metric_note: str
    direction: str
    secondary: tuple[tuple[str, str], ...]
    groups: tuple[GroupView, ...]
    left_out: int
    figures: tuple[Figure, ...]
    slices: tuple[SliceView, ...]
    papers: tuple[PaperTable, ...]
    hidden: tuple[GapRow, ...]
    stale: tuple[tuple[str, str, str, str], ...]


def direction(entry: Entry) -> str:
    """Which way is better, in words and with an arrow."""
    return "↑ higher is better" if entry.primary.higher_is_better else "↓ lower is better"


def task_page(
    board: Board,
    docs: Mapping[str, Any],
    links: Links,
    *,
    boards: Sequence[Board] = (),
    limit: int | None = None,
) -> TaskPage:
    """Page of one task at one size.

    Parameters
    ----------
    board : Board
        The task.
    docs : mapping
        What the caller knows of it beyond its results.
    links : Links
        Addresses.
    boards : sequence of Board
        All boards: tasks that differ in the payload limit only are one curve, other sizes are linked.
    limit : int, optional
        Most contestants in a table; the data files have all.
    """
    edition, first = board.edition, board.all[0]
    href = links.task(edition.task, edition.size)
    up = Links.up(href)
    metrics = tuple(
        dict.fromkeys(
            s.metric for e in board.entries for s in e.scores if s.slice == "ranked" and s.metric != edition.metric
        )
    )
    groups = tuple(group_view(board, group, metrics, links, up, limit) for group in board.groups)
    same = [b for b in boards if b.edition.task == edition.task]
    return TaskPage(
        task=edition.task,
        size=edition.size,
        version=edition.version,
        href=href,
        csv_href=up + links.task_data(edition.task, edition.size),
        json_href=up + links.task_data(edition.task, edition.size, "json"),
        ranked=board.ranked,
        summary=str(docs.get("summary", "")),
        suites=tuple((title, up + where) for title, where in links.suites_of(edition.task, edition.size)),
        sizes=tuple((b.edition.size, up + links.task(edition.task, b.edition.size)) for b in same if b is not board),
        facts=_facts(board, docs),
        datasets=tuple(
            (recipe, up + links.dataset(recipe))
            for recipe in dict.fromkeys(d.recipe for d in first.results[0].datasets)
        ),
        provenance=_digests(first),
        metric=edition.metric,
        metric_note=METRICS.get(edition.metric, ""),
        direction=direction(first),
        secondary=tuple((metric, METRICS.get(metric, "")) for metric in metrics),
        groups=groups,
        left_out=sum(group.left_out for group in groups),
        figures=_figures(board, boards),
        slices=_slices(board, links, up, 10 if limit is None else min(limit, 5)),
        papers=_papers(edition.task, edition.metric),
        hidden=_hidden(board, links, up),
        stale=tuple(_stale(entry, board, links, up) for entry in board.stale[: limit or None]),
    )


def _facts(board: Board, docs: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    task, results = board.all[0].task, [r for e in board.entries or board.all for r in e.results]
    facts = [("Family", FAMILIES.get(task.family, task.family)), ("Kind", TASK_KINDS.get(task.kind, task.kind))]
    facts += [(name.capitalize(), str(docs[name])) for name in ("input", "target") if docs.get(name)]
    inputs = docs.get("inputs")
    if inputs:
        facts.append(("Inputs", ", ".join(map(str, inputs)) if isinstance(inputs, list | tuple) else str(inputs)))
    views = docs.get("views")
    if isinstance(views, Mapping):
        facts.append(("Views", "; ".join(f"{part}: {view}" for part, view in views.items())))
    extra = docs.get("facts")
    if isinstance(extra, Mapping):
        facts += [(str(label), str(text)) for label, text in extra.items()]
    for label, numbers in (
        ("Training samples", {r.n_train for r in results}),
        ("Validation samples", {r.n_val for r in results}),
        ("Test samples", {r.n_test for r in results}),
    ):
        low, high = min(numbers - {0}, default=0), max(numbers)  # 0: a model that is not fitted
        if high:
            facts.append((label, str(high) if low == high else f"{low} to {high}, by budget"))
    return tuple(facts)


def _digests(entry: Entry) -> tuple[tuple[str, str], ...]:
    rows = [("Task", entry.task.digest)]
    for data in entry.results[0].datasets:
        rows += [
            (f"{data.recipe}: spec", data.spec_digest),
            (f"{data.recipe}: content", data.content_digest),
            (f"{data.recipe}: split", data.split_digest),
        ]
    return tuple(rows)


def _figures(board: Board, boards: Sequence[Board]) -> tuple[Figure, ...]:
    if not board.entries:
        return ()
    found = [budget_figure(board, "fb")]
    if board.entries[0].task.kind == "compress":
        found.append(bits_figure(board, _siblings(board, boards), "fp"))
    return tuple(figure for figure in [*found, *cost_figures(board, "fc")] if figure is not None)


def _siblings(board: Board, boards: Sequence[Board]) -> list[Board]:
    """Tasks of the same family, data and metric at the same size, this one among them."""
    first = board.entries[0]
    mine = (first.task.family, board.edition.metric, board.edition.size, board.edition.datasets)
    return [
        other
        for other in (boards or [board])
        if other.entries
        and (other.entries[0].task.family, other.edition.metric, other.edition.size, other.edition.datasets) == mine
    ]


def _slices(board: Board, links: Links, up: str, limit: int) -> tuple[SliceView, ...]:
    """A table and a curve for each column whose values are numbers; all other slices are one table."""
    found: dict[str, list[str]] = {}
    for entry in board.entries[:200]:
        for score in entry.scores:
            column, equals, value = score.slice.partition("=")
            if equals and score.metric == board.edition.metric and value not in found.setdefault(column, []):
                found[column].append(value)
    # Of the references one table is enough: the one on the most data.
    references = [group for group in board.groups if group.key.regime == "reference"]
    kept = [group for group in board.groups if all(group is not other for other in references[1:])]

    def groups(keys: Sequence[str]) -> tuple[tuple[str, SliceRows], ...]:
        several = len(references) > 1
        return tuple((group_label(g.key, several), _slice_rows(g, keys, links, up, limit)) for g in kept)

    tables: list[SliceView] = []
    rest: list[tuple[str, str]] = []
    for column, values in sorted(found.items()):
        places = slice_positions(values)
        if places is None or len(places) < 3:
            name = COLUMNS.get(column, column)
            rest += [
                (f"{column}={value}", f"{name}: {value}" if name else value) for value in sorted(values, key=natural)
            ]
            continue
        labels = tuple(label for _, label in places.values())
        chart = slice_chart(board, column, places, f"s{len(tables)}")
        tables.append(
            SliceView(COLUMNS.get(column) or column, labels, groups([f"{column}={value}" for value in places]), chart)
        )
    if rest:
        tables.append(SliceView("", tuple(label for _, label in rest), groups([key for key, _ in rest]), Markup()))
    return tuple(tables)


def _slice_rows(group: Group, keys: Sequence[str], links: Links, up: str, limit: int) -> SliceRows:
    rows = []
    for standing in [s for s in shown(group, limit)[0] if not s.reference][:limit]:
        entry = standing.entry
        scores = [entry.score(entry.primary.metric, key) for key in keys]
        cells = tuple((score_cell(one), "" if one is None else interval_cell(one).text) for one in scores)
        rows.append((entry.model.name, up + links.model(entry.model.name), cells))
    return tuple(rows)


def _papers(task: str, metric: str) -> tuple[PaperTable, ...]:
    papers: dict[str, list[PaperRow]] = {}
    for row in paper_rows(task):
        papers.setdefault(row.paper.key, []).append(row)
    tables = []
    for rows in papers.values():
        metrics = tuple(dict.fromkeys(name for row in rows for name in row.values))
        in_db = metric == "nmse_mor_db" and "nmse" in metrics
        tables.append(
            PaperTable(
                paper=rows[0].paper,
                tables=", ".join(dict.fromkeys(row.table for row in rows)),
                metrics=(*metrics, "nmse [dB]") if in_db else metrics,
                rows=tuple((row.model, row.setting, _paper_cells(row, metrics, in_db)) for row in rows),
            )
        )
    return tuple(tables)


def _paper_cells(row: PaperRow, metrics: Sequence[str], in_db: bool) -> tuple[Cell, ...]:
    cells = []
    for name in metrics:
        value, unit = row.values.get(name, (None, ""))
        cells.append(Cell("–") if value is None else Cell(f"{value:g}".replace("-", "−") + unit_suffix(unit), value))
    converted = row.in_unit("nmse_mor_db") if in_db else None
    return (
        (*cells, Cell(number(converted, "dB") + unit_suffix("dB"), converted))
        if converted is not None
        else tuple(cells)
    )


def _hidden(board: Board, links: Links, up: str) -> tuple[GapRow, ...]:
    """Scores on hidden seasons, best first, with what they lose against the public test part."""
    results = [r for entry in (*board.entries, *board.hidden) for r in entry.results]
    gaps = {}
    if board.hidden:
        with suppress(ResultError):  # two versions of a metric: nothing to compare
            gaps = {_gap_key(g.season, g.model, g): g for g in curves.season_gaps(results, board.edition.metric)}
    sign = -1.0 if board.all[0].primary.higher_is_better else 1.0
    order = sorted(board.hidden, key=lambda e: (e.edition.season, sign * e.primary.value, e.model.name))
    return tuple(
        _gap_row(e, gaps.get(_gap_key(e.edition.season, e.model.name, e.results[0], e.model.revision)), links, up)
        for e in order
    )


def _gap_key(season: str, model: str, one: curves.SeasonGap | Result, revision: str | None = None) -> tuple[Any, ...]:
    """What a gap and a hidden entry share; of a few-shot group the share of the training part is the dataset's."""
    budget = one.budget_percent if one.shots is None else 0.0
    own = one.revision if isinstance(one, curves.SeasonGap) else revision
    return season, model, own, one.regime, one.head, one.layers, budget, one.shots


def _gap_row(entry: Entry, found: curves.SeasonGap | None, links: Links, up: str) -> GapRow:
    unit, group = entry.primary.unit, entry.group
    gap, verdict, public = Cell("–"), "no public result", Cell("–")
    if found is not None:
        reach = found.reach()
        error = "" if reach is None else f" ± {number(reach, unit)}"
        gap = Cell(number(found.gap, unit) + error + unit_suffix(unit), found.loss)
        public = Cell(number(found.public, unit) + unit_suffix(unit), found.public)
        sure = reach is not None and abs(found.loss) > reach
        verdict = ("▼ worse" if found.loss > 0 else "▲ better") if sure else "≈ not separable"
    return GapRow(
        season=entry.edition.season,
        name=entry.model.name,
        href=up + links.model(entry.model.name),
        group=regime_label(group.regime, group.head, group.budget_percent, group.shots, group.layers),
        regime=group.regime,
        kind=entry.model.kind,
        hidden=score_cell(entry.primary),
        public=public,
        gap=gap,
        verdict=verdict,
    )


def _stale(entry: Entry, board: Board, links: Links, up: str) -> tuple[str, str, str, str]:
    name = entry.model.name
    return (name, up + links.model(name), score_cell(entry.primary).text, stale_reason(entry, board))


def stale_reason(entry: Entry, board: Board) -> str:
    """Why an entry is not ranked."""
    old, new = entry.edition, board.edition
    if entry.left_out:
        return entry.left_out
    if old.foreign:
        return "its data are different from the published dataset"
    if old.version != new.version:
        return f"task version {old.version}, current is {new.version}"
    if old.metric_version != new.metric_version:
        return f"version {old.metric_version} of the metric, current is {new.metric_version}"
    if old.digest != new.digest:
        return f"task digest {short_digest(old.digest)}, current is {short_digest(new.digest)}"
    return "other data or another split"
