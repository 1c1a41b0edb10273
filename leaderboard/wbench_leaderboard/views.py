"""View models: what the templates print, as plain data. Everything is decided here, the templates only place it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wbench_leaderboard.entries import Entry, GroupKey, ScoreSummary
from wbench_leaderboard.forest import Glyph, Scale
from wbench_leaderboard.links import Links
from wbench_leaderboard.rank import Board, Group, Standing
from wbench_leaderboard.text import count, number, part_label, percent, regime_label, seconds, unit_suffix

__all__ = [
    "Cell",
    "GroupView",
    "RowView",
    "bar",
    "group_id",
    "group_label",
    "group_view",
    "interval_cell",
    "range_cell",
    "score_cell",
    "skill_cell",
]

REFERENCE_LABEL = "Classical and trivial methods"
NOTHING = "–"


@dataclass(frozen=True)
class Cell:
    """Text of a table cell and the value it sorts by (None sorts last)."""

    text: str
    sort: float | str | None = None

    @property
    def key(self) -> str:
        """The sort key as an attribute, empty for none."""
        return "" if self.sort is None else f"{self.sort:.7g}" if isinstance(self.sort, float) else str(self.sort)

    @property
    def keyed(self) -> bool:
        """Whether the text alone would sort otherwise."""
        return self.text not in (self.key, NOTHING) if self.sort is not None else self.text != NOTHING


@dataclass(frozen=True)
class RowView:
    """One row of a task's ranking."""

    name: str
    href: str
    revision: str
    kind: str
    licence: str
    overlap: str
    evidence: str
    reference: bool
    leads: bool
    rank_range: Cell
    score: Cell
    glyph: Glyph
    interval: Cell
    skill: Cell
    bar: str
    versus: str
    repeats: Cell
    trained: Cell
    parameters: Cell
    payload: Cell
    speed: Cell
    fit: Cell
    secondary: tuple[Cell, ...]


@dataclass(frozen=True)
class GroupView:
    """One ranking of a task page.

    ``left_out`` counts the contestants beyond those that the page has room for. ``more`` is the identifier of the table
    that has all references of this one, and how many they are; None where all are here.
    """

    id: str
    label: str
    regime: str
    explanation: str
    ranked: bool
    rows: tuple[RowView, ...]
    left_out: int
    scale: Scale
    samples: str
    has_payload: bool
    has_versus: bool
    has_fit: bool
    more: tuple[str, int] | None = None


def group_label(key: GroupKey, several_budgets: bool = False) -> str:
    """Name of a comparison group; the classical methods name their budget only where there are several."""
    if key.regime != "reference":
        return regime_label(key.regime, key.head, key.budget_percent, key.shots, key.layers)
    if several_budgets:
        return f"{REFERENCE_LABEL} · {part_label(key.budget_percent, key.shots)}"
    return REFERENCE_LABEL


def group_id(key: GroupKey) -> str:
    """Identifier of a comparison group in its page, the end of its permalink."""
    head = "".join(c if c.isascii() and c.isalnum() else "-" for c in key.head.lower()) if key.head else ""
    layers = "" if key.layers is None else f"last{key.layers}"
    data = f"k{key.shots}" if key.budget_percent is None else f"{key.budget_percent:g}".replace(".", "_")
    return "-".join(part for part in (key.regime, layers, head, data) if part)


def explain(key: GroupKey, ranked: bool) -> str:
    """One sentence on what the group's models were allowed to do."""
    if key.budget_percent is None:
        data = f"{key.shots} training sample{'s' if key.shots != 1 else ''} of every class"
        short = data
    else:
        short = f"{percent(key.budget_percent)} of the data"
        data = f"{percent(key.budget_percent)} of the training data"
    tuned = "The whole model was" if key.layers is None else f"The last {key.layers} of the model's layers were"
    return {
        "none": "Nothing was trained on the task: only what is shipped with the weights, and the one input.",
        "head": f"The model is frozen; the harness trained the same kind of head for all, on {short}.",
        "fine-tune": f"{tuned} adapted, on {data}.",
        "full": f"The whole model was trained for the task, on {data}.",
        "reference": ("Ranked among themselves; the best stand" if ranked else "The best stand")
        + " as references, without a rank, beside every other group.",
    }[key.regime]


def score_cell(score: ScoreSummary | None) -> Cell:
    """Value with its unit."""
    if score is None:
        return Cell(NOTHING)
    return Cell(number(score.value, score.unit) + unit_suffix(score.unit), score.value)


def interval_cell(score: ScoreSummary) -> Cell:
    """Interval as ``[low, high]``, sorted by its width."""
    if score.interval is None:
        return Cell("none")
    low, high = score.interval.low, score.interval.high
    return Cell(f"[{number(low, score.unit)}, {number(high, score.unit)}]", high - low)


def skill_cell(skill: float | None) -> Cell:
    """Skill: 1 is perfect, 0 the best trivial model, negative worse than that."""
    return Cell(NOTHING) if skill is None else Cell(number(skill), skill)


def bar(skill: float | None) -> str:
    """Classes of the bar of a skill: its length in percent, and ``n`` below zero; empty without one."""
    if skill is None:
        return ""
    return f"sb {'n ' if skill < 0 else ''}w{round(100 * min(abs(skill), 1.0))}"


def range_cell(spread: tuple[int, int] | None) -> Cell:
    """A rank range: ``2`` or ``1–3``, sorted by its better end and then the other."""
    if spread is None:
        return Cell(NOTHING)
    low, high = spread
    return Cell(f"{low}" if low == high else f"{low}–{high}", low + min(high, 9999) / 10000)


def _payload_cell(entry: Entry) -> Cell:
    means = [r.cost.payload_bits_mean for r in entry.results if r.cost.payload_bits_mean is not None]
    largest = [r.cost.payload_bits_max for r in entry.results if r.cost.payload_bits_max is not None]
    if not means:
        return Cell(NOTHING)
    mean = sum(means) / len(means)
    most = f" (max {max(largest)})" if largest and max(largest) != round(mean, 1) else ""
    return Cell(f"{mean:.1f}".removesuffix(".0") + most, mean)


def _parameters_cell(entry: Entry) -> Cell:
    most = max(result.model.parameters for result in entry.results)
    return Cell(count(most) if most else NOTHING, most)


def _speed_cell(entry: Entry) -> Cell:
    timed = [r.cost.predict_s / r.cost.predict_samples for r in entry.results if r.cost.predict_samples > 0]
    if not timed:
        return Cell(NOTHING)
    mean = sum(timed) / len(timed)
    return Cell(seconds(mean), mean)


def _fit_cell(entry: Entry) -> Cell:
    mean = sum(r.cost.fit_s for r in entry.results) / len(entry.results)
    return Cell(seconds(mean) if mean else NOTHING, mean)


def _repeats_cell(entry: Entry) -> Cell:
    repeats = len(entry.results)
    spread = entry.primary.spread
    text = str(repeats) if spread is None else f"{repeats} (±{number(spread, entry.primary.unit)})"
    return Cell(text, repeats)


_VERSUS = {"better": "▲ better", "worse": "▼ worse", "same": "≈ not separable"}


def row_view(
    standing: Standing, group: Group, metrics: tuple[str, ...], links: Links, up: str, scale: Scale
) -> RowView:
    """Row of one standing; without metrics it has no cells of other metrics."""
    entry, model, primary = standing.entry, standing.entry.model, standing.entry.primary
    trained = "not fitted" if entry.group.regime == "none" else str(max(r.n_train for r in entry.results))
    spread = standing.rank_range
    if spread is None and standing.rank is not None:
        spread = (standing.rank, standing.rank)
    return RowView(
        name=model.name,
        href=up + links.model(model.name),
        revision=links.revision(model.name, model.revision),
        kind=model.kind,
        licence=model.licence,
        overlap=entry.overlap,
        evidence=entry.evidence.status,
        reference=standing.reference,
        leads=standing.rank == 1,
        rank_range=Cell("ref") if standing.reference else range_cell(spread),
        score=score_cell(primary),
        glyph=scale.glyph(entry),
        interval=interval_cell(primary),
        skill=skill_cell(standing.skill),
        bar=bar(standing.skill),
        versus="best classical" if group.classical is entry else _VERSUS.get(standing.versus_classical or "", NOTHING),
        repeats=_repeats_cell(entry),
        trained=Cell(trained, int(trained) if trained.isdigit() else 0),
        parameters=_parameters_cell(entry),
        payload=_payload_cell(entry),
        speed=_speed_cell(entry),
        fit=_fit_cell(entry),
        secondary=tuple(score_cell(entry.score(metric)) for metric in metrics),
    )


BESIDE = 3


def shown(group: Group, limit: int | None) -> tuple[Sequence[Standing], int]:
    """Rows of a table, and how many contestants are left out since the page has room for ``limit``.

    Beside contestants stand the best classical methods and the best trivial one: all of them have a table of their own.
    """
    contestants = group.contestants if limit is None else group.contestants[:limit]
    references = [s for s in group.standings if s.reference]
    classical = [s for s in references if s.entry.model.kind == "classical"][:BESIDE]
    kept = set(map(id, (*contestants, *classical, *(s for s in references if s.entry is group.trivial))))
    return [s for s in group.standings if id(s) in kept], len(group.contestants) - len(contestants)


def group_view(
    board: Board, group: Group, metrics: tuple[str, ...], links: Links, up: str, limit: int | None = None
) -> GroupView:
    """One ranking of a task page, of at most ``limit`` contestants."""
    standings, left_out = shown(group, limit)
    scale = Scale.of(board.edition.task, [s.entry for s in standings], group)
    # Where the page is short of room, other metrics are those of the best.
    detailed = len(standings) if limit is None else 10
    rows = tuple(
        row_view(standing, group, metrics if place < detailed else (), links, up, scale)
        for place, standing in enumerate(standings)
    )
    several = sum(other.key.regime == "reference" for other in board.groups) > 1
    return GroupView(
        id=group_id(group.key),
        label=group_label(group.key, several),
        regime=group.key.regime,
        explanation=explain(group.key, board.ranked),
        ranked=board.ranked,
        rows=rows,
        left_out=left_out,
        scale=scale,
        samples=_samples([s.entry for s in standings]),
        has_payload=any(row.payload.sort is not None for row in rows),
        has_versus=board.ranked and group.key.regime != "reference" and group.classical is not None,
        has_fit=any(row.fit.sort for row in rows),
        more=_all_references(board, group, sum(row.reference for row in rows)),
    )


def _all_references(board: Board, group: Group, here: int) -> tuple[str, int] | None:
    every = sum(standing.reference for standing in group.standings)
    table = next((g for g in board.groups if g.key.regime == "reference" and g.key.part == group.key.part), None)
    return (group_id(table.key), every) if table is not None and every > here else None


def _samples(entries: Sequence[Entry]) -> str:
    """How many samples and groups of clusters the numbers stand on: the same for nearly all models of a table."""
    counts = sorted({entry.primary.n for entry in entries})
    text = f"{counts[0]} samples" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} samples"
    intervals = [entry.primary.interval for entry in entries if entry.primary.interval is not None]
    if not intervals:
        return f"{text}, no intervals"
    most = max(intervals, key=lambda one: one.groups)
    return f"{text} in {most.groups} groups of clusters ({most.effective_groups:.3g} effective)"
