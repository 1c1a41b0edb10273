"""The overview and the list of models as view models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wbench_leaderboard.entries import GroupKey
from wbench_leaderboard.glossary import FAMILIES, TASK_KINDS
from wbench_leaderboard.links import Links
from wbench_leaderboard.rank import Board, Group
from wbench_leaderboard.suite_pages import TaskLine, families_of, task_lines
from wbench_leaderboard.suites import SuiteInfo
from wbench_leaderboard.text import count, regime_label
from wbench_leaderboard.views import REFERENCE_LABEL, Cell, bar, skill_cell

__all__ = ["IndexPage", "Leader", "ModelLine", "SuiteView", "model_lines", "overview"]


#: Statuses of evidence from the weakest on: one line for a model shows the weakest of its results.
_TRUST = ("withdrawn", "from-paper", "self-reported", "recomputed", "reproduced")


@dataclass(frozen=True)
class Leader:
    """Who leads a family in one regime: the model's name and address, its mean skill there with its bar.

    ``below``: even the best is worse than the best trivial model, on average.
    """

    name: str
    href: str
    skill: Cell
    bar: str
    below: bool


@dataclass(frozen=True)
class SuiteView:
    """A suite at one size on the overview: who leads each family, regime by regime.

    Where nobody has every task of a family stands the number of its tasks that anybody has.
    """

    title: str
    href: str
    size: str
    status: str
    summary: str
    ranked: bool
    tasks: int
    wanted: int
    regimes: tuple[str, ...]
    rows: tuple[tuple[str, str, int, tuple[Leader | int, ...]], ...]


@dataclass(frozen=True)
class ModelLine:
    """A model in the list of models."""

    name: str
    href: str
    kind: str
    summary: str
    licence: str
    parameters: Cell
    evidence: str
    overlap: str
    regimes: tuple[str, ...]
    sizes: tuple[str, ...]
    tasks: int
    results: int


@dataclass(frozen=True)
class IndexPage:
    """What the overview prints: the ranked suites in full, ``others`` (title, address, size) as links."""

    tasks: int
    models: int
    datasets: int
    suites: tuple[SuiteView, ...]
    others: tuple[tuple[str, str, str], ...]
    families: tuple[tuple[str, str | None, tuple[TaskLine, ...]], ...]
    sizes: tuple[str, ...]
    kinds: tuple[tuple[str, str], ...]


def overview(
    boards: Sequence[Board],
    suites: Sequence[tuple[SuiteInfo, str, list[Board]]],
    docs: Mapping[str, Mapping[str, Any]],
    links: Links,
    datasets: int,
) -> IndexPage:
    """The overview: suites first, then every task by family."""
    families = families_of(boards)
    views = tuple(_suite(suite, size, members, links) for suite, size, members in suites)
    shown = tuple(view for view in views if view.ranked) or views
    return IndexPage(
        tasks=len({board.edition.task for board in boards}),
        models=len({entry.model.name for board in boards for entry in board.all}),
        datasets=datasets,
        suites=shown,
        others=tuple((view.title, view.href, view.size) for view in views if view not in shown),
        families=tuple(
            (FAMILIES.get(name, name), None, tuple(task_lines(members, docs, links, "")))
            for name, members in families.items()
        ),
        sizes=tuple(dict.fromkeys(board.edition.size for board in boards)),
        kinds=tuple((kind, TASK_KINDS.get(kind, kind)) for kind in sorted({b.all[0].task.kind for b in boards})),
    )


def _columns(boards: Sequence[Board]) -> list[tuple[str, tuple[str, str | None]]]:
    """One column for each regime, of heads the one that most tasks have; regimes and heads never mix."""
    counts: dict[tuple[str, str | None], int] = {}
    for board in boards:
        for key in {(g.key.regime, g.key.head) for g in board.groups if _plain(g.key) and g.contestants}:
            counts[key] = counts.get(key, 0) + 1
    found = []
    for regime in ("reference", "none", "head", "fine-tune", "full"):
        keys = [key for key in counts if key[0] == regime]
        if keys:
            # Of equally common heads the linear one: it says most about the features.
            chosen = max(keys, key=lambda key: (counts[key], key[1] == "linear", key[1] or ""))
            whole = regime_label(regime, chosen[1], 100.0).split(" · ")[0]
            found.append((REFERENCE_LABEL if regime == "reference" else whole, chosen))
    return found


def _plain(key: GroupKey) -> bool:
    """Whether a group is one of the whole model on a share of the training part."""
    return key.layers is None and key.budget_percent is not None


def _suite(suite: SuiteInfo, size: str, boards: Sequence[Board], links: Links) -> SuiteView:
    families = families_of(boards)
    columns = _columns(boards)
    leaders = {key: [_leader(key, members, links) for members in families.values()] for _, key in columns}
    # A column in which nobody leads anything says nothing.
    led_by_anybody = {key for key, found in leaders.items() if any(isinstance(one, Leader) for one in found)}
    columns = [(label, key) for label, key in columns if key in led_by_anybody] or columns
    rows = []
    for number, (name, members) in enumerate(families.items()):
        href = (
            links.family(suite.name, size, name)
            if len(members) > 1
            else links.task(members[0].edition.task, members[0].edition.size)
        )
        led = tuple(leaders[key][number] for _, key in columns)
        rows.append((FAMILIES.get(name, name), href, len(members), led))
    return SuiteView(
        title=suite.title,
        href=links.suite(suite.name, size),
        size=size,
        status=suite.status,
        summary=suite.summary,
        ranked=any(board.ranked for board in boards),
        tasks=len(boards),
        wanted=len(suite.tasks),
        regimes=tuple(label for label, _ in columns),
        rows=tuple(rows),
    )


def _leader(column: tuple[str, str | None], boards: Sequence[Board], links: Links) -> Leader | int:
    """The model with the best mean skill of those with a skill on every task of the family.

    Where tasks have several budgets that one counts at which most models have every task, of equals the largest.
    Without such a model it is the number of tasks that have results at all.
    """
    budgets = sorted({g.key.budget_percent or 0 for b in boards for g in _groups(b, column)}, reverse=True)
    means: dict[tuple[str, str], float] = {}
    for budget in budgets:
        found = _mean_skills(column, boards, budget)
        means = found if len(found) > len(means) else means
    if not means:
        return sum(bool(_groups(board, column)) for board in boards)
    (name, _), best = max(means.items(), key=lambda item: (item[1], item[0]))
    return Leader(name, links.model(name), skill_cell(best), bar(best), best < 0)


def _groups(board: Board, column: tuple[str, str | None]) -> list[Group]:
    return [g for g in board.groups if (g.key.regime, g.key.head) == column and _plain(g.key) and g.contestants]


def _mean_skills(
    column: tuple[str, str | None], boards: Sequence[Board], budget: float
) -> dict[tuple[str, str], float]:
    """Mean skill of every model that has one on all tasks at a budget, or at the largest of a task without it."""
    skills: dict[tuple[str, str], list[float]] = {}
    for board in boards:
        groups = {group.key.budget_percent or 0: group for group in _groups(board, column)}
        if not groups:
            return {}
        for standing in groups.get(budget, groups[max(groups)]).contestants:
            if standing.skill is not None:
                model = standing.entry.model
                skills.setdefault((model.name, model.revision), []).append(standing.skill)
    return {name: sum(values) / len(values) for name, values in skills.items() if len(values) == len(boards)}


def model_lines(boards: Sequence[Board], links: Links) -> list[ModelLine]:
    """Every model of the site, contestants first."""
    found: dict[str, list[Any]] = {}
    for board in boards:
        for entry in board.all:
            found.setdefault(entry.model.name, []).append(entry)
    lines = []
    for name, entries in found.items():
        # A revision that was withdrawn or replaced says nothing of what competes now; nor does the better known one.
        now = [entry for entry in entries if not entry.left_out] or entries
        model = now[0].model
        most = max(r.model.parameters for e in entries for r in e.results)
        worst = next((o for o in ("dataset", "scenario", "generator") if any(e.overlap == o for e in entries)), "none")
        lines.append(
            ModelLine(
                name=name,
                href=links.model(name),
                kind=model.kind,
                summary=model.summary,
                licence=model.licence,
                parameters=Cell(count(most) if most else "–", most),
                evidence=min((entry.evidence.status for entry in now), key=_TRUST.index),
                overlap=worst,
                regimes=tuple(dict.fromkeys(e.group.regime for e in entries)),
                sizes=tuple(dict.fromkeys(e.edition.size for e in entries)),
                tasks=len({e.edition.task for e in entries}),
                results=sum(len(e.results) for e in entries),
            )
        )
    order = ("foundation", "user", "network", "control", "classical", "trivial")
    return sorted(lines, key=lambda x: (order.index(x.kind) if x.kind in order else 1, x.name.lower(), x.name))
