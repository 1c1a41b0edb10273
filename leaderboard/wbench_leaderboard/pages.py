"""The pages as view models: overview, one page per task and per model. No markup here except the charts'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from wbench_leaderboard.entries import Entry
from wbench_leaderboard.figures import ranking_chart, slice_chart
from wbench_leaderboard.glossary import METRICS, TASK_KINDS
from wbench_leaderboard.links import Links
from wbench_leaderboard.overall import Overall, OverallRow
from wbench_leaderboard.rank import Board, Group, Standing
from wbench_leaderboard.text import number, short_digest, slice_positions, unit_suffix
from wbench_leaderboard.views import Cell, GroupView, group_id, group_label, group_view, score_cell, skill_cell

__all__ = ["Card", "CardLine", "OverallView", "SliceView", "TaskPage", "card", "overall_view", "task_page"]


@dataclass(frozen=True)
class CardLine:
    """One of the best models on a task's card. ``share``: length of its bar, from 0 to 1."""

    name: str
    href: str
    kind: str
    rank: str
    score: str
    share: float


@dataclass(frozen=True)
class Card:
    """Summary of one task on the overview."""

    task: str
    href: str
    kind: str
    summary: str
    metric: str
    direction: str
    groups: tuple[tuple[str, tuple[CardLine, ...]], ...]
    models: int
    samples: int


@dataclass(frozen=True)
class OverallView:
    """One overall table: a cell of (text, sort, bar) for each task."""

    id: str
    label: str
    regime: str
    ranked: bool
    tasks: tuple[tuple[str, str], ...]
    rows: tuple[dict[str, Any], ...]
    classical: tuple[Cell, ...]


@dataclass(frozen=True)
class SliceView:
    """The primary metric by the values of one column: rows of (model, address, cells) for each comparison group."""

    column: str
    values: tuple[str, ...]
    groups: tuple[tuple[str, tuple[tuple[str, str, tuple[Cell, ...]], ...]], ...]
    chart: Markup


@dataclass(frozen=True)
class TaskPage:
    """Everything a task's page prints."""

    task: str
    size: str
    version: int
    href: str
    data_href: str
    ranked: bool
    summary: str
    facts: tuple[tuple[str, str], ...]
    provenance: tuple[tuple[str, str], ...]
    metric: str
    metric_note: str
    direction: str
    secondary: tuple[tuple[str, str], ...]
    groups: tuple[GroupView, ...]
    slices: tuple[SliceView, ...]
    stale: tuple[tuple[str, str, str, str], ...]


def direction(entry: Entry) -> str:
    """Which way is better, in words and with an arrow."""
    return "↑ higher is better" if entry.primary.higher_is_better else "↓ lower is better"


def _line(standing: Standing, best: float, worst: float, links: Links) -> CardLine:
    primary = standing.entry.primary
    span = best - worst
    share = 1.0 if span == 0 else (primary.value - worst) / span
    return CardLine(
        name=standing.entry.model.name,
        href=links.model(standing.entry.model.name),
        kind=standing.entry.model.kind,
        rank="" if standing.rank is None else str(standing.rank),
        score=number(primary.value, primary.unit) + unit_suffix(primary.unit),
        share=0.08 + 0.92 * share,
    )


def card(board: Board, docs: Mapping[str, Any], links: Links) -> Card:
    """Card of a task: the best three of each of its comparison groups."""
    first = board.all[0]
    lists = []
    for group in board.groups:
        values = [s.entry.primary.value for s in group.standings]
        ends = (max(values), min(values)) if first.primary.higher_is_better else (min(values), max(values))
        lines = tuple(_line(s, ends[0], ends[1], links) for s in group.contestants[:3])
        lists.append((group_label(group.key), lines))
    return Card(
        task=board.edition.task,
        href=links.task(board.edition.task, board.edition.size),
        kind=TASK_KINDS.get(first.task.kind, first.task.kind),
        summary=str(docs.get("summary", "")),
        metric=first.primary.metric,
        direction=direction(first),
        groups=tuple(lists),
        models=len({e.model.name for e in board.entries}),
        samples=first.primary.n,
    )


def overall_view(table: Overall, links: Links) -> OverallView:
    """Overall table with links and formatted cells."""

    def row(one: OverallRow) -> dict[str, Any]:
        skills = [one.standings[task].skill if task in one.standings else None for task in table.tasks]
        done = sum(skill is not None for skill in skills)
        return {
            "name": one.model,
            "revision": links.revision(one.model, one.revision),
            "href": links.model(one.model),
            "kind": one.kind,
            "position": Cell("–" if one.position is None else str(one.position), one.position),
            "mean_skill": skill_cell(one.mean_skill),
            "mean_rank": Cell("–" if one.mean_rank is None else f"{one.mean_rank:.2f}", one.mean_rank),
            "done": Cell(f"{done} of {len(table.tasks)}", done),
            "complete": one.complete,
            "skills": [(skill_cell(skill), skill) for skill in skills],
        }

    return OverallView(
        id=f"overall-{table.size}-{group_id(table.key)}",
        label=group_label(table.key, several_budgets=table.key.part != (100.0, None)),
        regime=table.key.regime,
        ranked=table.ranked,
        tasks=tuple((task, links.task(task, table.size)) for task in table.tasks),
        rows=tuple(row(one) for one in table.rows),
        classical=tuple(skill_cell(table.best_classical.get(task)) for task in table.tasks),
    )


def task_page(board: Board, docs: Mapping[str, Any], links: Links) -> TaskPage:
    """Page of one task at one size."""
    edition, first = board.edition, board.all[0]
    href = links.task(edition.task, edition.size)
    up = Links.up(href)
    metrics = tuple(
        dict.fromkeys(
            s.metric for e in board.entries for s in e.scores if s.slice == "ranked" and s.metric != edition.metric
        )
    )
    return TaskPage(
        task=edition.task,
        size=edition.size,
        version=edition.version,
        href=href,
        data_href=up + links.task_data(edition.task, edition.size),
        ranked=board.ranked,
        summary=str(docs.get("summary", "")),
        facts=_facts(board, docs),
        provenance=_digests(first),
        metric=edition.metric,
        metric_note=METRICS.get(edition.metric, ""),
        direction=direction(first),
        secondary=tuple((metric, METRICS.get(metric, "")) for metric in metrics),
        groups=tuple(
            group_view(board, group, metrics, links, up, ranking_chart(board, group)) for group in board.groups
        ),
        slices=_slices(board, links, up),
        stale=tuple(_stale(entry, board, links, up) for entry in board.stale),
    )


def _facts(board: Board, docs: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    task, results = board.all[0].task, [r for e in board.entries or board.all for r in e.results]
    facts = [("Family", task.family), ("Kind", TASK_KINDS.get(task.kind, task.kind))]
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
    facts.append(("Dataset", ", ".join(dict.fromkeys(d.recipe for d in results[0].datasets)) + f" ({task.size})"))
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


def _slices(board: Board, links: Links, up: str) -> tuple[SliceView, ...]:
    """One table (and a curve where the values are numbers) for each column that the test part is sliced by."""
    found: dict[str, list[str]] = {}
    for entry in board.entries:
        for score in entry.scores:
            column, equals, value = score.slice.partition("=")
            if equals and score.metric == board.edition.metric and value not in found.setdefault(column, []):
                found[column].append(value)
    tables: list[SliceView] = []
    for column, values in sorted(found.items()):
        places = slice_positions(values)
        order = list(places) if places is not None else sorted(values)
        tables.append(
            SliceView(
                column=column,
                values=tuple(order if places is None else (label for _, label in places.values())),
                groups=tuple((group_label(g.key), _slice_rows(g, column, order, links, up)) for g in board.groups),
                chart=slice_chart(board, column, places, f"s{len(tables)}"),
            )
        )
    return tuple(tables)


def _slice_rows(
    group: Group, column: str, values: Sequence[str], links: Links, up: str
) -> tuple[tuple[str, str, tuple[Cell, ...]], ...]:
    rows = []
    for standing in group.contestants:
        entry = standing.entry
        cells = tuple(score_cell(entry.score(entry.primary.metric, f"{column}={value}")) for value in values)
        rows.append((entry.model.name, up + links.model(entry.model.name), cells))
    return tuple(rows)


def _stale(entry: Entry, board: Board, links: Links, up: str) -> tuple[str, str, str, str]:
    old, new = entry.edition, board.edition
    if entry.left_out:
        reason = entry.left_out
    elif old.foreign:
        reason = "its data are different from the published dataset"
    elif old.version != new.version:
        reason = f"task version {old.version}, current is {new.version}"
    elif old.metric_version != new.metric_version:
        reason = f"version {old.metric_version} of the metric, current is {new.metric_version}"
    elif old.digest != new.digest:
        reason = f"task digest {short_digest(old.digest)}, current is {short_digest(new.digest)}"
    else:
        reason = "other data or another split"
    return (entry.model.name, up + links.model(entry.model.name), score_cell(entry.primary).text, reason)
