"""The interval drawn in a row of a table, on one scale for the table: a forest plot that sorts with its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wbench_leaderboard.entries import Entry
from wbench_leaderboard.rank import Group
from wbench_leaderboard.references import paper_rows
from wbench_leaderboard.text import number

__all__ = ["Glyph", "Scale"]

ROLES = ("control", "classical", "trivial")


@dataclass(frozen=True)
class Glyph:
    """Places on the scale in percent; ``beyond`` is -1 or 1 where the score lies left or right of it."""

    role: str
    at: str
    low: str
    high: str
    beyond: int


@dataclass(frozen=True)
class Scale:
    """From the worst to the best that is worth telling apart, with lines at the references.

    Attributes
    ----------
    left, right : float
        Ends of the scale, in the metric's unit.
    ends : (str, str)
        The same as text.
    lines : tuple of (str, str)
        Class and place of the lines: best classical, best trivial, best published.
    """

    left: float
    right: float
    ends: tuple[str, str]
    lines: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, task: str, entries: Sequence[Entry], group: Group) -> Scale:
        """Scale of one table.

        Scores far worse than the best trivial model and than most others would press everything else together: they
        lie beyond the end.
        """
        first = entries[0].primary
        sign = 1.0 if first.higher_is_better else -1.0
        known = [("c", group.classical), ("t", group.trivial)]
        lines = [(name, entry.primary.value) for name, entry in known if entry is not None]
        published = [v for r in paper_rows(task) if r.paper.comparable and (v := r.in_unit(first.metric)) is not None]
        if published:
            lines.append(("p", sign * max(sign * value for value in published)))
        good = sorted((sign * e.primary.value for e in entries), reverse=True)
        values = [*good[: max(1, round(0.8 * len(good)))], *(sign * value for _, value in lines)]
        best, worst = max(values), min(values)
        intervals = [(e.primary.interval.low, e.primary.interval.high) for e in entries if e.primary.interval]
        edges = [sign * end for pair in intervals for end in pair]
        span = (best - worst) or abs(best) * 0.1 or 0.1
        top = max([best, *(e for e in edges if e <= best + span / 2)]) + 0.03 * span
        bottom = min([worst, *(e for e in edges if e >= worst - span / 3)]) - 0.03 * span
        left, right = sorted((sign * bottom, sign * top))
        scale = cls(left, right, (number(left, first.unit), number(right, first.unit)), ())
        return replace(scale, lines=tuple((name, scale._place(value)) for name, value in lines))

    def _place(self, value: float) -> str:
        share = (min(max(value, self.left), self.right) - self.left) / (self.right - self.left)
        return f"{100 * share:.1f}"

    def glyph(self, entry: Entry) -> Glyph:
        """Drawing of one entry."""
        primary, interval = entry.primary, entry.primary.interval
        low, high = (primary.value, primary.value) if interval is None else (interval.low, interval.high)
        beyond = -1 if primary.value < self.left else 1 if primary.value > self.right else 0
        role = entry.model.kind if entry.model.kind in ROLES else "model"
        return Glyph(role, self._place(primary.value), self._place(low), self._place(high), beyond)
