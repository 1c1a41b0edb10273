"""The overall tables: mean skill and mean rank over the tasks of a suite, within one comparison group.

Tasks of one family resemble each other, and some families have many instances. A suite's mean is therefore over its
families, and a family's over its tasks: every family weighs the same. Only a model with a skill on every task has one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from wbench_leaderboard.bootstrap import Sampled, sampled_ranges
from wbench_leaderboard.entries import Entry, GroupKey
from wbench_leaderboard.rank import Board, Standing
from wbench_leaderboard.suites import SuiteInfo

__all__ = ["Column", "Overall", "OverallRow", "family_tables", "overall_tables", "suite_boards"]


@dataclass(frozen=True)
class Column:
    """What one column averages over: the tasks of a family, or a single task."""

    label: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class OverallRow:
    """One model over all columns. Means and position exist only if it has a skill on every task (``complete``).

    ``skills`` has one mean for each column, None where a task of it is missing; ``done`` counts those that are there.
    ``spread`` and ``rank_spread`` are the positions by mean skill and by mean rank that resampling leaves open.
    """

    model: str
    revision: str
    kind: str
    standings: dict[str, Standing]
    skills: tuple[float | None, ...]
    done: tuple[int, ...]
    complete: bool
    mean_skill: float | None
    mean_rank: float | None
    position: int | None
    spread: tuple[int, int] | None = None
    rank_spread: tuple[int, int] | None = None


@dataclass(frozen=True)
class Overall:
    """All models of one comparison group at one size. ``best_classical``: the best classical skill, task by task."""

    size: str
    key: GroupKey
    ranked: bool
    columns: tuple[Column, ...]
    rows: tuple[OverallRow, ...]
    best_classical: dict[str, float] = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task of the table."""
        return tuple(task for column in self.columns for task in column.tasks)

    def classical(self, column: Column) -> float | None:
        """Mean over a column's tasks of the best classical skill; None if a task has none."""
        found = [self.best_classical[task] for task in column.tasks if task in self.best_classical]
        return math.fsum(found) / len(found) if found and len(found) == len(column.tasks) else None


def suite_boards(boards: Sequence[Board], suite: SuiteInfo, size: str) -> list[Board]:
    """Boards of a suite's tasks at one size that have a current public result, in the order of the suite."""
    place = {task: index for index, task in enumerate(suite.tasks)}
    found = [b for b in boards if b.entries and b.edition.size == size and b.edition.task in place]
    return sorted(found, key=lambda board: place[board.edition.task])


def overall_tables(boards: Sequence[Board]) -> list[Overall]:
    """One table per comparison group with a column for each family; the boards are a suite's at one size.

    A column is there if anybody of the group competes in its family, and then for all of the family's tasks.
    """
    return [_table(key, boards, _families(key, boards)) for key in _keys(boards)]


def family_tables(boards: Sequence[Board]) -> list[Overall]:
    """One table per comparison group with a column for each task; the boards are those of one family of a suite."""
    columns = tuple(Column(board.edition.task, (board.edition.task,)) for board in boards)
    return [_table(key, boards, columns) for key in _keys(boards)]


def _keys(boards: Sequence[Board]) -> list[GroupKey]:
    return sorted({group.key for board in boards for group in board.groups}, key=lambda key: key.order)


def _families(key: GroupKey, boards: Sequence[Board]) -> tuple[Column, ...]:
    tasks: dict[str, list[str]] = {}
    present = set()
    for board in boards:
        family = board.all[0].task.family
        tasks.setdefault(family, []).append(board.edition.task)
        if any(group.key == key and group.contestants for group in board.groups):
            present.add(family)
    return tuple(Column(family, tuple(names)) for family, names in tasks.items() if family in present)


def _table(key: GroupKey, boards: Sequence[Board], columns: tuple[Column, ...]) -> Overall:
    wanted = {task for column in columns for task in column.tasks}
    boards = [board for board in boards if board.edition.task in wanted]
    found: dict[tuple[str, str], dict[str, Standing]] = {}
    best_classical: dict[str, float] = {}
    trivial: dict[str, Entry | None] = {}
    for board in boards:
        for group in (group for group in board.groups if group.key == key):
            trivial[board.edition.task] = group.trivial
            for standing in group.contestants:
                model = standing.entry.model
                found.setdefault((model.name, model.revision), {})[board.edition.task] = standing
        best = _best_classical(board, key)
        if best is not None:
            best_classical[board.edition.task] = best
    ranked = all(board.ranked for board in boards)
    rows = [_row(name, revision, standings, columns, ranked) for (name, revision), standings in found.items()]
    complete = sorted((r for r in rows if r.complete), key=lambda r: (-(r.mean_skill or 0.0), r.model, r.revision))
    rest = sorted((r for r in rows if not r.complete), key=lambda r: (-len(r.standings), r.model, r.revision))
    if ranked:
        complete = _placed(complete, columns, trivial)
    return Overall(boards[0].edition.size, key, ranked, columns, (*complete, *rest), best_classical)


def _placed(
    rows: Sequence[OverallRow], columns: Sequence[Column], trivial: Mapping[str, Entry | None]
) -> list[OverallRow]:
    """Positions of the complete rows, best mean skill first, with what resampling leaves open."""
    means = [row.mean_skill for row in rows]
    ranges = [((1, 1), (1, 1))] * len(rows)
    if len(rows) > 1:
        ranges = sampled_ranges([[_sampled(rows, task, trivial) for task in column.tasks] for column in columns])
    return [
        replace(row, position=means.index(row.mean_skill) + 1, spread=by_skill, rank_spread=by_rank)
        for row, (by_skill, by_rank) in zip(rows, ranges, strict=True)
    ]


def _sampled(rows: Sequence[OverallRow], task: str, trivial: Mapping[str, Entry | None]) -> Sampled:
    standings = [row.standings[task] for row in rows]
    return Sampled.of(standings, trivial[task], f"{task} {standings[0].entry.edition.size}")


def _best_classical(board: Board, key: GroupKey) -> float | None:
    """Skill of the best classical method that may stand beside a group, also on tasks where the group has no model."""
    for group in board.groups:
        beside = group.key == key or (group.key.regime == "reference" and group.key.part == key.part)
        if beside and group.classical is not None:
            return next(standing.skill for standing in group.standings if standing.entry is group.classical)
    return None


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _row(
    name: str, revision: str, standings: dict[str, Standing], columns: Sequence[Column], ranked: bool
) -> OverallRow:
    skills: list[float | None] = []
    ranks: list[float | None] = []
    done = []
    for column in columns:
        there = [standings[task] for task in column.tasks if task in standings]
        known = [s.skill for s in there if s.skill is not None]
        places = [s.middle for s in there if s.middle is not None]
        whole = len(column.tasks)
        skills.append(_mean(known) if len(known) == whole else None)
        ranks.append(_mean(places) if len(places) == whole else None)
        done.append(len(known))
    every, places = [s for s in skills if s is not None], [r for r in ranks if r is not None]
    complete = bool(columns) and len(every) == len(columns)
    return OverallRow(
        model=name,
        revision=revision,
        kind=next(iter(standings.values())).entry.model.kind,
        standings=standings,
        skills=tuple(skills),
        done=tuple(done),
        complete=complete,
        mean_skill=_mean(every) if complete else None,
        mean_rank=_mean(places) if complete and ranked and len(places) == len(columns) else None,
        position=None,
    )
