"""The board's numbers as files beside the pages: CSV for a spreadsheet, JSON for a program, BibTeX for a paper."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from wbench.result import Result
from wbench_leaderboard.entries import Entry
from wbench_leaderboard.overall import Overall
from wbench_leaderboard.rank import Board, Standing

__all__ = ["board_bibtex", "results_json", "scores_csv", "suite_csv", "task_csv", "task_json"]

# A spreadsheet takes a cell that begins like this for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
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
    header += ["evidence", "licence", "overlap", "parameters"]
    rows = []
    for table, standing in _standings(board):
        primary, interval = standing.entry.primary, standing.entry.primary.interval
        bounds: list[float | None] = [None] * 5
        if interval is not None:
            bounds = [interval.low, interval.high, interval.level, interval.groups, interval.effective_groups]
        places = [standing.rank, *(standing.rank_range or (None, None))]
        model = standing.entry.model
        rows.append(
            [
                *_identity(standing.entry),
                *(table, primary.metric, primary.unit, primary.value, *bounds, primary.n),
                *(len(standing.entry.results), primary.spread, primary.best, standing.skill, *places),
                *(standing.entry.evidence.status, model.licence, standing.entry.overlap, model.parameters),
            ]
        )
    return _csv(header, rows)


def suite_csv(tables: Sequence[Overall]) -> str:
    """Overall tables of one suite: one line for each model, comparison group and column."""
    header = ["regime", "head", "budget_percent", "shots", "layers", "model", "revision", "kind", "complete"]
    header += ["mean_skill", "rank_best", "rank_worst", "mean_rank", "rank_by_mean_rank_best"]
    header += ["rank_by_mean_rank_worst", "family", "family_skill", "family_done", "family_tasks"]
    rows: list[list[Any]] = []
    for table in tables:
        key = table.key
        for row in table.rows:
            head: list[Any] = [key.regime, key.head, key.budget_percent, key.shots, key.layers]
            head += [row.model, row.revision, row.kind, row.complete, row.mean_skill]
            head += [*(row.spread or (None, None)), row.mean_rank, *(row.rank_spread or (None, None))]
            for column, skill, done in zip(table.columns, row.skills, row.done, strict=True):
                rows.append([*head, column.label, skill, done, len(column.tasks)])
    return _csv(header, rows)


def scores_csv(entries: Iterable[Entry]) -> str:
    """Every metric on every slice of every result, repeats one by one."""
    header = [*_IDENTITY, "draw", "seed", "metric", "metric_version", "unit", "slice", "value", "low", "high", "n"]
    return _csv(header, _scores(entries))


def _scores(entries: Iterable[Entry]) -> Iterable[list[Any]]:
    for entry in entries:
        identity = _identity(entry)
        for result in entry.results:
            for score in result.scores:
                bounds = (None, None) if score.interval is None else (score.interval.low, score.interval.high)
                yield [
                    *identity,
                    *(result.draw, result.seed, score.metric, score.metric_version, score.unit),
                    *(score.slice, score.value, *bounds, score.n),
                ]


# The replicates fill most of a result and stand in the files of the comparison; the command may hold private paths.
_LEFT_OUT: Any = {"scores": {"__all__": {"replicates"}}, "provenance": {"command"}}
_DETAILS: Any = {"scores", "datasets", "skipped", "calibration", "provenance"}


def _records(board: Board, dump: Callable[[Result], str]) -> Iterator[str]:
    stale = set(map(id, board.stale))
    for entry in board.all:
        old = id(entry) in stale
        ranked = board.ranked and not old and not entry.edition.season
        head = json.dumps({"stale": old, "ranked": ranked, "evidence": entry.evidence.status}, separators=(",", ":"))
        for result in entry.results:
            yield f"{head[:-1]},{dump(result)[1:]}"


def _brief(result: Result) -> str:
    scores = [
        {
            "metric": score.metric,
            "unit": score.unit,
            "value": score.value,
            "low": None if score.interval is None else score.interval.low,
            "high": None if score.interval is None else score.interval.high,
            "n": score.n,
        }
        for score in result.scores
        if score.slice == "ranked"
    ]
    text = json.dumps(scores, separators=(",", ":"))
    return f'{result.model_dump_json(exclude=_DETAILS)[:-1]},"scores":{text}}}'


def task_json(board: Board) -> str:
    """All results of one task as they are, without the replicates."""
    records = _records(board, lambda result: result.model_dump_json(exclude=_LEFT_OUT))
    return '{"results":[\n' + ",\n".join(records) + "\n]}\n"


def results_json(boards: Sequence[Board]) -> str:
    """All results in brief, in the order of the boards: the scores that rank; the files of the tasks have the rest."""
    return '{"results":[\n' + ",\n".join(r for board in boards for r in _records(board, _brief)) + "\n]}\n"


def board_bibtex(title: str, version: str, suites: Sequence[str], digest: str) -> str:
    """BibTeX of the board itself: what is cited is a state, named by the digest of its results."""
    safe = "".join(c for c in title if c.isascii() and (c.isalnum() or c in " .-")).strip() or "wbench leaderboard"
    note = f"suite {', '.join(suites)}, " if suites else ""
    return (
        "@misc{wbench,\n"
        "  author = {{The wbench authors}},\n"
        f"  title = {{{{{safe}}}: a benchmark for wireless foundation models}},\n"
        f"  note = {{{note}wbench {version}, results {digest}}},\n"
        "}\n"
    )
