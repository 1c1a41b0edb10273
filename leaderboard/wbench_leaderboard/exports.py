"""The board's numbers as files beside the pages: CSV for a spreadsheet, JSON for a program."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from wbench_leaderboard.entries import Entry
from wbench_leaderboard.rank import Board, Standing

__all__ = ["results_json", "scores_csv", "task_csv"]

# A spreadsheet takes a cell that begins like this for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return stream.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def _standings(board: Board) -> list[tuple[str, Standing]]:
    rows = []
    for group in board.groups:
        rows += [(group.key.regime, standing) for standing in group.contestants]
    return rows


def _identity(entry: Entry) -> list[Any]:
    edition, group, model = entry.edition, entry.group, entry.model
    # Of a few-shot group the share of the training part is the task's own.
    budget = entry.results[0].budget_percent if group.budget_percent is None else group.budget_percent
    regime = [group.regime, group.head, budget, group.shots, group.layers]
    return [edition.task, edition.size, edition.version, model.name, model.revision, model.kind, *regime]


_IDENTITY = (
    *("task", "size", "task_version", "model", "revision", "kind"),
    *("regime", "head", "budget_percent", "shots", "layers"),
)


def task_csv(board: Board) -> str:
    """Ranking of one task: one line for each model and comparison group."""
    header = [*_IDENTITY, "table", "metric", "unit", "value", "low", "high", "level", "groups", "effective_groups"]
    header += ["n", "repeats", "spread", "best", "skill", "rank", "rank_best", "rank_worst"]
    rows = []
    for table, standing in _standings(board):
        primary, interval = standing.entry.primary, standing.entry.primary.interval
        bounds: list[float | None] = [None] * 5
        if interval is not None:
            bounds = [interval.low, interval.high, interval.level, interval.groups, interval.effective_groups]
        places = [standing.rank, *(standing.rank_range or (None, None))]
        rows.append(
            [
                *_identity(standing.entry),
                *(table, primary.metric, primary.unit, primary.value, *bounds, primary.n),
                *(len(standing.entry.results), primary.spread, primary.best, standing.skill, *places),
            ]
        )
    return _csv(header, rows)


def scores_csv(entries: Iterable[Entry]) -> str:
    """Every metric on every slice of every result, repeats one by one."""
    header = [*_IDENTITY, "draw", "seed", "metric", "metric_version", "unit", "slice", "value", "low", "high", "n"]
    rows = []
    for entry in entries:
        for result in entry.results:
            for score in result.scores:
                bounds = (None, None) if score.interval is None else (score.interval.low, score.interval.high)
                rows.append(
                    [
                        *_identity(entry),
                        *(result.draw, result.seed, score.metric, score.metric_version, score.unit),
                        *(score.slice, score.value, *bounds, score.n),
                    ]
                )
    return _csv(header, rows)


def results_json(boards: Sequence[Board]) -> str:
    """All results as they are, without the replicates, in the order of the boards."""
    results = []
    for board in boards:
        for entry in (*board.entries, *board.stale):
            stale = any(entry is old for old in board.stale)
            for result in entry.results:
                record = result.model_dump(mode="json")
                record["provenance"].pop("command", None)
                for score in record["scores"]:
                    score.pop("replicates")
                results.append(
                    {"stale": stale, "ranked": board.ranked and not stale, "evidence": entry.evidence.status, **record}
                )
    return json.dumps({"results": results}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
