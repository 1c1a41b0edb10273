"""The page of a model as a view model: what it declared, all its results, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wbench_leaderboard.entries import Entry
from wbench_leaderboard.glossary import FAMILIES, MODEL_KINDS, OVERLAPS
from wbench_leaderboard.links import Links, outside_link
from wbench_leaderboard.rank import Board, Group, Standing
from wbench_leaderboard.task_pages import stale_reason
from wbench_leaderboard.text import REGIME_LABELS, count, data_bytes, seconds
from wbench_leaderboard.views import Cell, bar, group_id, group_label, interval_cell, range_cell, score_cell, skill_cell

__all__ = ["ModelPage", "ModelRow", "Place", "entries_by_model", "model_page", "places_of"]

Place = tuple[Standing, Group, int]


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
    bar: str
    rank: Cell
    repeats: Cell
    fit: Cell
    speed: Cell
    note: str
    overlap: str


@dataclass(frozen=True)
class ModelPage:
    """Everything a model's page prints. ``card`` and ``provenance`` are (label, texts) in order.

    ``families`` are (family, rows); ``left_out`` counts the rows that the page has no room for.
    """

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
    families: tuple[tuple[str, tuple[ModelRow, ...]], ...]
    left_out: int
    results: int
    regimes: tuple[tuple[str, str], ...]
    sizes: tuple[str, ...]
    provenance: tuple[tuple[str, tuple[str, ...]], ...]
    predictions: tuple[tuple[str, str, str], ...]
    demonstration: bool


def entries_by_model(boards: Sequence[Board]) -> dict[str, list[tuple[Board, Entry]]]:
    """Every entry of each model with the board it is on, by name."""
    found: dict[str, list[tuple[Board, Entry]]] = {}
    for board in boards:
        for entry in board.all:
            found.setdefault(entry.model.name, []).append((board, entry))
    return {name: found[name] for name in sorted(found)}


def places_of(boards: Sequence[Board]) -> dict[int, Place]:
    """Where each competing entry stands: its standing, its group and how many compete there, by identity."""
    return {
        id(standing.entry): (standing, group, len(group.contestants))
        for board in boards
        for group in board.groups
        for standing in group.contestants
    }


def model_page(
    name: str,
    entries: Sequence[tuple[Board, Entry]],
    places: Mapping[int, Place],
    links: Links,
    limit: int | None = None,
) -> ModelPage:
    """Page of a model with all its revisions, of at most ``limit`` rows."""
    href = links.model(name)
    up = Links.up(href)
    competing = [entry for _, entry in entries if not entry.left_out]
    model = (competing or [entries[0][1]])[0].model
    shown = entries if limit is None else entries[:limit]
    results = [result for _, entry in entries for result in entry.results]
    order = ["", *OVERLAPS]
    overlap = max((e.overlap for _, e in entries), key=lambda one: order.index(one if one in order else ""))
    families: dict[str, list[ModelRow]] = {}
    for board, entry in shown:
        label = FAMILIES.get(entry.task.family, entry.task.family)
        families.setdefault(label, []).append(_row(board, entry, places.get(id(entry)), links, up))
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
        families=tuple((label, tuple(rows)) for label, rows in families.items()),
        left_out=len(entries) - len(shown),
        results=len(results),
        regimes=tuple(
            (regime, label)
            for regime, label in REGIME_LABELS.items()
            if any(e.group.regime == regime for _, e in entries)
        ),
        sizes=tuple(dict.fromkeys(board.edition.size for board, _ in entries)),
        provenance=_provenance([result.provenance for result in results]),
        predictions=tuple(
            (
                f"{r.task.name} ({r.task.size}), {r.regime}, {r.budget_percent:g} %, draw {r.draw}, seed {r.seed}",
                r.predictions.digest,
                data_bytes(r.predictions.bytes),
            )
            for r in results[: 150 if limit is None else limit]
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
        ("Trained here", "yes" if any(m.trains for m in models) else "no"),
        ("Pre-training", _distinct([item for m in models for item in m.pretraining]) or "none declared"),
        ("Licence", _distinct([m.licence for m in models]) or "not given"),
    ]
    return tuple(rows)


def _row(board: Board, entry: Entry, place: Place | None, links: Links, up: str) -> ModelRow:
    standing, group, among = place if place is not None else (None, None, 0)
    rank = Cell("–")
    if standing is not None and standing.rank is not None:
        spread = range_cell(standing.rank_range or (standing.rank, standing.rank))
        rank = Cell(f"{spread.text} of {among}", spread.sort)
    fit = sum(r.cost.fit_s for r in entry.results) / len(entry.results)
    timed = [r.cost.predict_s / r.cost.predict_samples for r in entry.results if r.cost.predict_samples]
    speed = sum(timed) / len(timed) if timed else 0.0
    devices = _distinct([r.cost.device for r in entry.results])
    skill = None if standing is None else standing.skill
    note = f"hidden season {entry.edition.season}" if entry.edition.season else ""
    if place is None and not note:
        note = stale_reason(entry, board)
    return ModelRow(
        task=entry.edition.task,
        size=entry.edition.size,
        href=up + links.task(entry.edition.task, entry.edition.size) + (f"#{group_id(group.key)}" if group else ""),
        group=group_label(entry.group),
        regime=entry.group.regime,
        revision=links.revision(entry.model.name, entry.model.revision),
        metric=entry.primary.metric,
        score=score_cell(entry.primary),
        interval=interval_cell(entry.primary),
        skill=skill_cell(skill),
        bar=bar(skill),
        rank=rank,
        repeats=Cell(str(len(entry.results)), len(entry.results)),
        fit=Cell(f"{seconds(fit)} on {devices}" if fit else "–", fit),
        speed=Cell(seconds(speed) if timed else "–", speed),
        note=note,
        overlap=entry.overlap,
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
