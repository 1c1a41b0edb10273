"""The page of a model as a view model: what it declared, all its results, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wbench_leaderboard.entries import Entry
from wbench_leaderboard.glossary import MODEL_KINDS, OVERLAPS
from wbench_leaderboard.links import Links, outside_link
from wbench_leaderboard.rank import Board, Standing
from wbench_leaderboard.text import count, seconds
from wbench_leaderboard.views import Cell, group_id, group_label, interval_cell, score_cell, skill_cell

__all__ = ["ModelPage", "ModelRow", "model_pages"]


@dataclass(frozen=True)
class ModelRow:
    """One result of a model: a task in a comparison group."""

    task: str
    size: str
    href: str
    group: str
    regime: str
    revision: str
    metric: str
    score: Cell
    interval: Cell
    skill: Cell
    rank: Cell
    n: Cell
    repeats: Cell
    cost: str
    stale: bool


@dataclass(frozen=True)
class ModelPage:
    """Everything a model's page prints. ``card`` and ``provenance`` are (label, texts) in order."""

    name: str
    href: str
    kind: str
    kind_note: str
    summary: str
    overlap: str
    overlap_note: str
    evidence: str
    evidence_note: str
    source: str
    source_link: str | None
    card: tuple[tuple[str, str], ...]
    rows: tuple[ModelRow, ...]
    provenance: tuple[tuple[str, tuple[str, ...]], ...]
    predictions: tuple[tuple[str, str, str], ...]
    demonstration: bool


def model_pages(boards: Sequence[Board], links: Links) -> list[ModelPage]:
    """One page for each model name, with all its revisions."""
    found: dict[str, list[tuple[Board, Entry]]] = {}
    for board in boards:
        for entry in (*board.entries, *board.stale):
            found.setdefault(entry.model.name, []).append((board, entry))
    return [_page(name, found[name], links) for name in sorted(found)]


def _page(name: str, entries: Sequence[tuple[Board, Entry]], links: Links) -> ModelPage:
    href = links.model(name)
    up = Links.up(href)
    model = entries[0][1].model
    results = [result for _, entry in entries for result in entry.results]
    order = ["", *OVERLAPS]
    overlap = max((e.overlap for _, e in entries), key=lambda one: order.index(one if one in order else ""))
    return ModelPage(
        name=name,
        href=href,
        kind=model.kind,
        kind_note=MODEL_KINDS.get(model.kind, ""),
        summary=model.summary,
        overlap=overlap,
        overlap_note=OVERLAPS.get(overlap, ""),
        evidence=", ".join(dict.fromkeys(entry.evidence.status for _, entry in entries)),
        evidence_note=" ".join(dict.fromkeys(entry.evidence.note for _, entry in entries if entry.evidence.note)),
        source=model.source,
        source_link=outside_link(model.source),
        card=_card([entry for _, entry in entries]),
        rows=tuple(_row(board, entry, links, up) for board, entry in entries),
        provenance=_provenance([result.provenance for result in results]),
        predictions=tuple(
            (
                f"{r.task.name} ({r.task.size}), draw {r.draw}, seed {r.seed}",
                r.predictions.digest,
                f"{r.predictions.bytes:,} B",
            )
            for r in results
        ),
        demonstration=all(not board.ranked for board, _ in entries),
    )


def _distinct(values: Sequence[str]) -> str:
    return ", ".join(sorted({value for value in values if value}))


def _card(entries: Sequence[Entry]) -> tuple[tuple[str, str], ...]:
    models = [entry.model for entry in entries]
    sizes = sorted({result.model.parameters for entry in entries for result in entry.results})
    parameters = count(sizes[0]) if len(sizes) == 1 else f"{count(sizes[0])} to {count(sizes[-1])}, by task"
    rows = [
        ("Revision", _distinct([m.revision for m in models]) or "none given"),
        ("Parameters", "none" if sizes == [0] else parameters),
        ("Fitted to the task", "yes" if any(m.trains for m in models) else "no"),
        ("Pre-training", _distinct([item for m in models for item in m.pretraining]) or "none declared"),
        ("Licence", _distinct([m.licence for m in models]) or "not given"),
    ]
    return tuple(rows)


def _standing(board: Board, entry: Entry) -> tuple[Standing, int] | None:
    """The entry's own row, where it competes, and how many compete there."""
    for group in board.groups:
        for standing in group.contestants:
            if standing.entry is entry:
                return standing, len(group.contestants)
    return None


def _row(board: Board, entry: Entry, links: Links, up: str) -> ModelRow:
    found = _standing(board, entry)
    standing, among = found if found is not None else (None, 0)
    rank = Cell("–")
    if standing is not None and standing.rank is not None:
        rank = Cell(f"{standing.rank} of {among}", standing.rank)
    fit = sum(r.cost.fit_s for r in entry.results) / len(entry.results)
    devices = _distinct([r.cost.device for r in entry.results])
    group = next((g for g in board.groups for s in g.contestants if s.entry is entry), None)
    anchor = "" if group is None else f"#{group_id(group.key)}"
    return ModelRow(
        task=entry.edition.task,
        size=entry.edition.size,
        href=up + links.task(entry.edition.task, entry.edition.size) + anchor,
        group=group_label(entry.group),
        regime=entry.group.regime,
        revision=entry.model.revision,
        metric=entry.primary.metric,
        score=score_cell(entry.primary),
        interval=interval_cell(entry.primary),
        skill=skill_cell(None if standing is None else standing.skill),
        rank=rank,
        n=Cell(str(entry.primary.n), entry.primary.n),
        repeats=Cell(str(len(entry.results)), len(entry.results)),
        cost=f"{seconds(fit)} on {devices}" if fit else "nothing to fit",
        stale=any(entry is old for old in board.stale),
    )


# The command may hold the author's own paths; it says nothing that the record does not.
_PRIVATE = frozenset({"command"})


def _flat(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [
            row
            for key in sorted(value, key=str)
            if str(key) not in _PRIVATE
            for row in _flat(value[key], f"{path} · {key}" if path else str(key))
        ]
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return [(path, text)] if text else []


def _provenance(records: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Provenance of all results together: each field with the distinct values it has."""
    values: dict[str, set[str]] = {}
    for record in records:
        for label, text in _flat(record, ""):
            values.setdefault(label, set()).add(text)
    return tuple((label, tuple(sorted(texts))) for label, texts in sorted(values.items()))
