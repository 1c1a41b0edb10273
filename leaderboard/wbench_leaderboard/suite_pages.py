"""The pages of a suite and of each of its families as view models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wbench_leaderboard.glossary import FAMILIES
from wbench_leaderboard.links import Links
from wbench_leaderboard.overall import Overall, OverallRow
from wbench_leaderboard.rank import Board, Standing
from wbench_leaderboard.suites import SuiteInfo
from wbench_leaderboard.task_pages import direction
from wbench_leaderboard.text import part_label
from wbench_leaderboard.views import (
    Cell,
    bar,
    group_id,
    group_label,
    interval_cell,
    range_cell,
    score_cell,
    skill_cell,
)

__all__ = ["FamilyPage", "OverallView", "SuitePage", "TaskLine", "families_of", "family_page", "overall_view",
           "suite_page", "task_lines"]  # fmt: skip


@dataclass(frozen=True)
class SkillView:
    """A skill as a cell with its bar."""

    cell: Cell
    bar: str


@dataclass(frozen=True)
class OverallRowView:
    """One model of an overall table."""

    name: str
    revision: str
    href: str
    kind: str
    licence: str
    evidence: str
    complete: bool
    leads: bool
    spread: Cell
    mean_skill: SkillView
    mean_rank: Cell
    rank_spread: Cell
    done: Cell
    skills: tuple[SkillView, ...]


@dataclass(frozen=True)
class OverallView:
    """One overall table with its columns as (label, address or None, how many tasks)."""

    id: str
    label: str
    regime: str
    ranked: bool
    columns: tuple[tuple[str, str | None, int], ...]
    rows: tuple[OverallRowView, ...]
    left_out: int
    classical: tuple[SkillView, ...]
    classical_mean: SkillView

    @property
    def means(self) -> bool:
        """Whether a model has a result on every task: only then is there a mean, and an order by it."""
        return any(row.complete for row in self.rows)

    @property
    def has_classical(self) -> bool:
        """Whether a row of the best classical methods says anything here."""
        return self.regime != "reference" and any(view.cell.sort is not None for view in self.classical)


@dataclass(frozen=True)
class Best:
    """The best on a task: who it is, its score with the interval, and in which group it stands."""

    name: str
    href: str
    skill: SkillView
    score: str
    interval: str
    group: str


@dataclass(frozen=True)
class TaskLine:
    """A task in a list: what it is, and the best on it, classical and other."""

    task: str
    href: str
    family: str
    kind: str
    summary: str
    metric: str
    direction: str
    size: str
    models: int
    ranked: bool
    classical: Best | None
    best: Best | None


@dataclass(frozen=True)
class SuitePage:
    """Everything the page of a suite prints: its overall tables and its families with their tasks."""

    title: str
    name: str
    size: str
    href: str
    status: str
    summary: str
    ranked: bool
    missing: tuple[str, ...]
    tables: tuple[OverallView, ...]
    families: tuple[tuple[str, str, tuple[TaskLine, ...]], ...]


@dataclass(frozen=True)
class FamilyPage:
    """Everything the page of one family of a suite prints."""

    title: str
    label: str
    size: str
    href: str
    suite: tuple[str, str]
    summary: str
    ranked: bool
    tables: tuple[OverallView, ...]
    lines: tuple[TaskLine, ...]


def _skill(value: float | None) -> SkillView:
    return SkillView(skill_cell(value), bar(value))


def overall_view(
    table: Overall, links: Links, up: str, where: Mapping[str, str | None], prefix: str, limit: int | None = None
) -> OverallView:
    """Overall table with links and formatted cells; ``where`` has the address of each column, from the root."""

    def row(one: OverallRow) -> OverallRowView:
        entry = next(iter(one.standings.values())).entry
        partial = [
            _skill(skill) if skill is not None else SkillView(Cell(f"{n} of {len(c.tasks)}" if n else "–"), "")
            for skill, n, c in zip(one.skills, one.done, table.columns, strict=True)
        ]
        return OverallRowView(
            name=one.model,
            revision=links.revision(one.model, one.revision),
            href=up + links.model(one.model),
            kind=one.kind,
            licence=entry.model.licence,
            evidence=entry.evidence.status,
            complete=one.complete,
            leads=one.spread is not None and one.spread[0] == 1,
            spread=range_cell(one.spread),
            mean_skill=_skill(one.mean_skill),
            mean_rank=Cell("–" if one.mean_rank is None else f"{one.mean_rank:.2f}", one.mean_rank),
            rank_spread=range_cell(one.rank_spread),
            done=Cell(f"{sum(one.done)} of {len(table.tasks)}", sum(one.done)),
            skills=tuple(partial),
        )

    rows = table.rows if limit is None else table.rows[:limit]
    classical = [table.classical(column) for column in table.columns]
    known = [skill for skill in classical if skill is not None]
    return OverallView(
        id=f"{prefix}{group_id(table.key)}",
        label=group_label(table.key, several_budgets=table.key.part != (100.0, None)),
        regime=table.key.regime,
        ranked=table.ranked,
        columns=tuple(
            (FAMILIES.get(c.label, c.label), None if not where.get(c.label) else f"{up}{where[c.label]}", len(c.tasks))
            for c in table.columns
        ),
        rows=tuple(row(one) for one in rows),
        left_out=len(table.rows) - len(rows),
        classical=tuple(map(_skill, classical)),
        classical_mean=_skill(sum(known) / len(known) if known and len(known) == len(classical) else None),
    )


def task_lines(boards: Sequence[Board], docs: Mapping[str, Mapping[str, Any]], links: Links, up: str) -> list[TaskLine]:
    """The tasks of a list, in its order."""
    return [_line(board, docs.get(board.edition.task, {}), links, up) for board in boards]


def _line(board: Board, docs: Mapping[str, Any], links: Links, up: str) -> TaskLine:
    first = board.all[0]
    standings = [s for group in board.groups for s in group.contestants if s.skill is not None]
    key = max if first.primary.higher_is_better else min
    classical = [s for s in standings if s.entry.model.kind == "classical"]
    others = [s for s in standings if not s.entry.reference]
    best = key(others, key=lambda s: s.entry.primary.value, default=None)
    top = key(classical, key=lambda s: s.entry.primary.value, default=None)
    several = sum(group.key.regime == "reference" for group in board.groups) > 1
    return TaskLine(
        task=board.edition.task,
        href=up + links.task(board.edition.task, board.edition.size),
        family=FAMILIES.get(first.task.family, first.task.family),
        kind=first.task.kind,
        summary=str(docs.get("summary", "")),
        metric=first.primary.metric,
        direction=direction(first),
        size=board.edition.size,
        models=len({e.model.name for e in board.entries}),
        ranked=board.ranked,
        classical=None if top is None else _best(top, part_label(*top.entry.group.part) if several else "", links, up),
        best=None if best is None else _best(best, group_label(best.entry.group), links, up),
    )


def _best(standing: Standing, group: str, links: Links, up: str) -> Best:
    name, primary = standing.entry.model.name, standing.entry.primary
    interval = "" if primary.interval is None else interval_cell(primary).text
    return Best(name, up + links.model(name), _skill(standing.skill), score_cell(primary).text, interval, group)


def families_of(boards: Sequence[Board]) -> dict[str, list[Board]]:
    """Boards by family, in their order."""
    found: dict[str, list[Board]] = {}
    for board in boards:
        found.setdefault(board.all[0].task.family, []).append(board)
    return found


def suite_page(
    suite: SuiteInfo,
    size: str,
    boards: Sequence[Board],
    tables: Sequence[Overall],
    docs: Mapping[str, Mapping[str, Any]],
    links: Links,
    limit: int | None = None,
) -> SuitePage:
    """Page of a suite at one size; ``boards`` are those of its tasks."""
    href = links.suite(suite.name, size)
    up = Links.up(href)
    families = families_of(boards)
    where: dict[str, str | None] = {
        name: links.family(suite.name, size, name)
        if len(members) > 1
        else links.task(members[0].edition.task, members[0].edition.size)
        for name, members in families.items()
    }
    there = {board.edition.task for board in boards}
    return SuitePage(
        title=suite.title,
        name=suite.name,
        size=size,
        href=href,
        status=suite.status,
        summary=suite.summary,
        ranked=any(board.ranked for board in boards),
        missing=tuple(task for task in suite.tasks if task not in there),
        tables=tuple(overall_view(table, links, up, where, "", limit) for table in tables),
        families=tuple(
            (FAMILIES.get(name, name), f"{up}{where[name]}", tuple(task_lines(members, docs, links, up)))
            for name, members in families.items()
        ),
    )


def family_page(
    suite: SuiteInfo,
    size: str,
    boards: Sequence[Board],
    tables: Sequence[Overall],
    docs: Mapping[str, Mapping[str, Any]],
    links: Links,
    limit: int | None = None,
) -> FamilyPage:
    """Page of a family of a suite; ``boards`` are those of its tasks."""
    name = boards[0].all[0].task.family
    href = links.family(suite.name, size, name)
    up = Links.up(href)
    where: dict[str, str | None] = {b.edition.task: links.task(b.edition.task, size) for b in boards}
    return FamilyPage(
        title=FAMILIES.get(name, name),
        label=name,
        size=size,
        href=href,
        suite=(suite.title, up + links.suite(suite.name, size)),
        summary=f"{len(boards)} tasks of {suite.title}",
        ranked=any(board.ranked for board in boards),
        tables=tuple(overall_view(table, links, up, where, "", limit) for table in tables),
        lines=tuple(task_lines(boards, docs, links, up)),
    )
