"""View models: what the templates print, as plain data. Everything is decided here, the templates only place it."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup

from wbench_leaderboard.entries import Entry, GroupKey, ScoreSummary
from wbench_leaderboard.links import Links
from wbench_leaderboard.rank import Board, Group, Standing
from wbench_leaderboard.text import count, number, part_label, percent, regime_label, seconds, unit_suffix

__all__ = ["Cell", "GroupView", "RowView", "group_id", "group_label", "group_view", "score_cell", "skill_cell"]

REFERENCE_LABEL = "Classical and trivial methods"
NOTHING = "–"


@dataclass(frozen=True)
class Cell:
    """Text of a table cell and the value it sorts by (None sorts last)."""

    text: str
    sort: float | str | None = None


@dataclass(frozen=True)
class RowView:
    """One row of a task's ranking."""

    name: str
    href: str
    revision: str
    kind: str
    overlap: str
    evidence: str
    reference: bool
    rank: Cell
    score: Cell
    interval: Cell
    skill: Cell
    skill_bar: float | None
    rank_range: Cell
    versus: str
    n: Cell
    groups: Cell
    repeats: Cell
    trained: Cell
    parameters: Cell
    payload: Cell
    speed: Cell
    secondary: tuple[Cell, ...]


@dataclass(frozen=True)
class GroupView:
    """One ranking of a task page with its chart."""

    id: str
    label: str
    regime: str
    explanation: str
    ranked: bool
    rows: tuple[RowView, ...]
    has_payload: bool
    has_versus: bool
    chart: Markup = field(default_factory=Markup)


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
        "reference": ("Ranked among themselves, and shown" if ranked else "Shown")
        + " without a rank beside every other group.",
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


def _repeats_cell(entry: Entry) -> Cell:
    repeats = len(entry.results)
    spread = entry.primary.spread
    text = str(repeats) if spread is None else f"{repeats} (s.d. {number(spread, entry.primary.unit)})"
    return Cell(text, repeats)


_VERSUS = {"better": "▲ better", "worse": "▼ worse", "same": "≈ not separable"}


def row_view(standing: Standing, group: Group, metrics: tuple[str, ...], links: Links, up: str) -> RowView:
    """Row of one standing."""
    entry, model, primary = standing.entry, standing.entry.model, standing.entry.primary
    trained = "not fitted" if entry.group.regime == "none" else str(max(r.n_train for r in entry.results))
    spread = standing.rank_range
    interval = primary.interval
    leads = group.classical is entry
    return RowView(
        name=model.name,
        href=up + links.model(model.name),
        revision=links.revision(model.name, model.revision),
        kind=model.kind,
        overlap=entry.overlap,
        evidence=entry.evidence.status,
        reference=standing.reference,
        rank=Cell("ref" if standing.reference else NOTHING)
        if standing.rank is None
        else Cell(str(standing.rank), standing.rank),
        score=score_cell(primary),
        interval=interval_cell(primary),
        skill=skill_cell(standing.skill),
        skill_bar=standing.skill,
        rank_range=Cell(NOTHING)
        if spread is None
        else Cell(f"{spread[0]}" if spread[0] == spread[1] else f"{spread[0]}–{spread[1]}", spread[0]),
        versus="best classical" if leads else _VERSUS.get(standing.versus_classical or "", NOTHING),
        n=Cell(str(primary.n), primary.n),
        groups=Cell(NOTHING)
        if interval is None
        else Cell(f"{interval.groups} ({interval.effective_groups:.3g} eff.)", interval.groups),
        repeats=_repeats_cell(entry),
        trained=Cell(trained, int(trained) if trained.isdigit() else 0),
        parameters=_parameters_cell(entry),
        payload=_payload_cell(entry),
        speed=_speed_cell(entry),
        secondary=tuple(score_cell(entry.score(metric)) for metric in metrics),
    )


def group_view(board: Board, group: Group, metrics: tuple[str, ...], links: Links, up: str, chart: Markup) -> GroupView:
    """One ranking of a task page."""
    rows = tuple(row_view(standing, group, metrics, links, up) for standing in group.standings)
    several = sum(other.key.regime == "reference" for other in board.groups) > 1
    return GroupView(
        id=group_id(group.key),
        label=group_label(group.key, several),
        regime=group.key.regime,
        explanation=explain(group.key, board.ranked),
        ranked=board.ranked,
        rows=rows,
        has_payload=any(row.payload.sort is not None for row in rows),
        has_versus=board.ranked and group.key.regime != "reference" and group.classical is not None,
        chart=chart,
    )
