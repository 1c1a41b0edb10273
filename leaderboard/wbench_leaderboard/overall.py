"""The overall table: mean skill and mean rank over the tasks of one size, within one comparison group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wbench_leaderboard.entries import GroupKey
from wbench_leaderboard.rank import Board, Standing

__all__ = ["Overall", "OverallRow", "overall_tables"]


@dataclass(frozen=True)
class OverallRow:
    """One model over all tasks. Means and position exist only if it has a skill on every task (``complete``)."""

    model: str
    revision: str
    kind: str
    standings: dict[str, Standing]
    complete: bool
    mean_skill: float | None
    mean_rank: float | None
    position: int | None


@dataclass(frozen=True)
class Overall:
    """All models of one comparison group at one size. ``best_classical``: the best classical skill, task by task."""

    size: str
    key: GroupKey
    ranked: bool
    tasks: tuple[str, ...]
    rows: tuple[OverallRow, ...]
    best_classical: dict[str, float]


def overall_tables(boards: Sequence[Board]) -> list[Overall]:
    """One table per size and comparison group, in the order of the boards."""
    tables = []
    boards = [board for board in boards if board.entries]  # a task without a current result would leave nobody complete
    for size in dict.fromkeys(board.edition.size for board in boards):
        same_size = [board for board in boards if board.edition.size == size]
        keys = {group.key for board in same_size for group in board.groups}
        tables += [_table(size, key, same_size) for key in sorted(keys, key=lambda key: key.order)]
    return tables


def _table(size: str, key: GroupKey, boards: Sequence[Board]) -> Overall:
    tasks = tuple(board.edition.task for board in boards)
    found: dict[tuple[str, str], dict[str, Standing]] = {}
    best_classical: dict[str, float] = {}
    for board in boards:
        for group in (group for group in board.groups if group.key == key):
            for standing in group.contestants:
                model = standing.entry.model
                found.setdefault((model.name, model.revision), {})[board.edition.task] = standing
        best = _best_classical(board, key)
        if best is not None:
            best_classical[board.edition.task] = best
    ranked = all(board.ranked for board in boards)
    rows = [_row(name, revision, standings, tasks, ranked) for (name, revision), standings in found.items()]
    rows.sort(key=lambda r: (-(r.mean_skill if r.mean_skill is not None else -math.inf), r.model, r.revision))
    complete = [row for row in rows if row.complete]
    rest = sorted((r for r in rows if not r.complete), key=lambda r: (-len(r.standings), r.model, r.revision))
    means = [row.mean_skill for row in complete]
    placed = [
        OverallRow(**{**vars(row), "position": means.index(row.mean_skill) + 1 if ranked else None}) for row in complete
    ]
    return Overall(size, key, ranked, tasks, (*placed, *rest), best_classical)


def _best_classical(board: Board, key: GroupKey) -> float | None:
    """Skill of the best classical method that may stand beside a group, also on tasks where the group has no model."""
    for group in board.groups:
        beside = group.key == key or (group.key.regime == "reference" and group.key.part == key.part)
        if beside and group.classical is not None:
            return next(standing.skill for standing in group.standings if standing.entry is group.classical)
    return None


def _row(name: str, revision: str, standings: dict[str, Standing], tasks: Sequence[str], ranked: bool) -> OverallRow:
    skills = [s.skill for task in tasks if (s := standings.get(task)) is not None and s.skill is not None]
    ranks = [s.rank for s in standings.values() if s.rank is not None]
    complete = len(skills) == len(tasks)
    return OverallRow(
        model=name,
        revision=revision,
        kind=next(iter(standings.values())).entry.model.kind,
        standings=standings,
        complete=complete,
        mean_skill=math.fsum(skills) / len(tasks) if complete else None,
        mean_rank=sum(ranks) / len(tasks) if complete and ranked and len(ranks) == len(tasks) else None,
        position=None,
    )
