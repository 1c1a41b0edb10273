"""Charts as inline SVG, drawn here: no library, no script, the same bytes for the same numbers.

Every chart has a title and a description, and the page has the same numbers as a table. Colours come from the style
sheet's classes, so charts follow light and dark; shapes and dashes carry the same meaning as colours. Each chart is
drawn twice, wide and narrow, and the style sheet shows the one that fits: scaling one drawing would scale its text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from wbench_leaderboard.text import number

__all__ = ["Dot", "Series", "both_widths", "curves", "dot_plot", "nice_ticks"]

WIDE, NARROW = 960, 360


@dataclass(frozen=True)
class Dot:
    """One row of a dot plot. ``role``: ``model``, ``classical``, ``trivial`` or ``control``."""

    label: str
    value: float
    low: float | None
    high: float | None
    role: str


@dataclass(frozen=True)
class Series:
    """One line of a curve chart: points (x, y, low or None, high or None) in ascending x."""

    label: str
    points: tuple[tuple[float, float, float | None, float | None], ...]


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round tick positions (steps 1, 2, 2.5, 5 × a power of ten) that cover [low, high]."""
    if high <= low:
        pad = abs(low) * 0.1 or 0.1
        low, high = low - pad, high + pad
    raw = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((m * power for m in (1, 2, 2.5, 5) if m * power >= raw * 0.999), 10 * power)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    decimals = max(0, 3 - math.floor(math.log10(step)))
    return [round(i * step, decimals) for i in range(first, last + 1)]


def both_widths(wide: Markup, narrow: Markup) -> Markup:
    """Put the wide and the narrow drawing of one chart side by side; the style sheet shows one of them."""
    return Markup('<div class="chart-wide">{}</div><div class="chart-narrow">{}</div>').format(wide, narrow)


def _svg(uid: str, width: float, height: float, title: str, desc: str, parts: Iterable[Markup]) -> Markup:
    head = Markup(
        '<svg class="chart" role="img" aria-labelledby="{0}-t {0}-d" viewBox="0 0 {1} {2}" '
        'xmlns="http://www.w3.org/2000/svg"><title id="{0}-t">{3}</title><desc id="{0}-d">{4}</desc>\n'
    ).format(uid, f"{width:g}", f"{height:g}", title, desc)
    return head + Markup("\n").join(parts) + Markup("\n</svg>")


def _line(x1: float, y1: float, x2: float, y2: float, name: str) -> Markup:
    return Markup(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{name}"/>')


def _text(x: float, y: float, text: str, name: str, anchor: str = "start") -> Markup:
    return Markup(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{name}">{escape(text)}</text>')


OUTLINES: dict[str, tuple[tuple[float, float], ...]] = {
    "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    "up": ((0, -1.25), (1.2, 0.95), (-1.2, 0.95)),
    "down": ((0, 1.25), (1.2, -0.95), (-1.2, -0.95)),
    "bar": ((-0.55, -1.35), (0.55, -1.35), (0.55, 1.35), (-0.55, 1.35)),
}


def _mark(x: float, y: float, shape: str, name: str, r: float = 5.0) -> Markup:
    """Draw a marker. Shapes differ so that colour is never the only difference."""
    if shape == "circle":
        return Markup(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:g}" class="{name}"/>')
    points = " ".join(f"{x + dx * r * 0.9:.1f},{y + dy * r * 0.9:.1f}" for dx, dy in OUTLINES[shape])
    return Markup(f'<polygon points="{points}" class="{name}"/>')


ROLE_SHAPES = {"model": "circle", "control": "up", "classical": "square", "trivial": "diamond"}


def dot_plot(rows: Sequence[Dot], uid: str, title: str, desc: str, axis: str, unit: str, *, narrow: bool) -> Markup:
    """Draw one row per model: the score and its interval, with a dashed line at the best trivial model.

    Parameters
    ----------
    rows : sequence of Dot
        In the order in which they are drawn, from the top.
    uid : str
        Prefix of the identifiers in the page.
    title, desc, axis, unit : str
        Accessible name, description, axis label, unit of the values.
    narrow : bool
        Draw for a phone: labels above the intervals instead of beside them.
    """
    width = NARROW if narrow else WIDE
    left, right = (8.0, width - 8.0) if narrow else (250.0, width - 96.0)
    step, top = (42.0, 8.0) if narrow else (30.0, 10.0)
    ends = [v for row in rows for v in (row.value, row.low, row.high) if v is not None]
    ticks = nice_ticks(min(ends), max(ends), 4 if narrow else 7)

    def at(value: float) -> float:
        return left + (right - left) * (value - ticks[0]) / (ticks[-1] - ticks[0])

    bottom = top + step * len(rows)
    # On a phone the labels lie over the plot, so vertical lines are interrupted where the text is.
    bands = [(top + step * i + 19, top + step * (i + 1) - 4) for i in range(len(rows))] if narrow else [(top, bottom)]
    parts = []
    for index, tick in enumerate(ticks):
        anchor = ("start" if index == 0 else "end" if index == len(ticks) - 1 else "middle") if narrow else "middle"
        parts += [_line(at(tick), start, at(tick), end, "grid") for start, end in bands]
        parts.append(_text(at(tick), bottom + 16, f"{tick:g}".replace("-", "\N{MINUS SIGN}"), "tick", anchor))
    parts.append(_text((left + right) / 2, bottom + 36, axis, "axis", "middle"))
    for role in ("trivial", "classical"):
        values = [row.value for row in rows if row.role == role]
        if values:
            # Rows are sorted best first, so the first of a role is the best of it.
            parts += [_line(at(values[0]), start, at(values[0]), end, f"ref ref-{role}") for start, end in bands]
    for index, row in enumerate(rows):
        y = top + step * index + (28.0 if narrow else step / 2)
        text_y = top + step * index + 14.0 if narrow else y + 4.5
        label = row.label if len(row.label) <= 32 else f"{row.label[:31]}…"
        parts.append(
            _text(0.0 if narrow else left - 14, text_y, label, f"label {row.role}", "start" if narrow else "end")
        )
        parts.append(_text(float(width), text_y, number(row.value, unit), "value", "end"))
        if row.low is not None and row.high is not None:
            parts.append(_line(at(row.low), y, at(row.high), y, f"span {row.role}"))
            parts += [_line(at(end), y - 4, at(end), y + 4, f"span {row.role}") for end in (row.low, row.high)]
        parts.append(_mark(at(row.value), y, ROLE_SHAPES.get(row.role, "circle"), f"mark {row.role}"))
    return _svg(uid, width, bottom + 44, title, desc, parts)


SERIES_SHAPES = ("circle", "square", "up", "diamond", "down", "bar")


def curves(
    series: Sequence[Series],
    marks: Sequence[tuple[float, str]],
    uid: str,
    title: str,
    desc: str,
    x: str,
    y: str,
    *,
    narrow: bool,
) -> Markup:
    """Draw score against a slice column, one line per model (at most six), with intervals and a legend.

    Parameters
    ----------
    series : sequence of Series
        At most six; further ones are an error of the caller.
    marks : sequence of (float, str)
        Place and label of the ticks of the x axis, ascending; every point stands at one of the places.
    uid, title, desc : str
        As for :func:`dot_plot`.
    x, y : str
        Axis labels.
    narrow : bool
        Draw for a phone.
    """
    width = NARROW if narrow else WIDE
    left, right, top, bottom = (44.0, width - 10.0, 26.0, 240.0) if narrow else (64.0, width - 20.0, 30.0, 340.0)
    xs = [place for place, _ in marks]
    ys = [v for one in series for point in one.points for v in point[1:] if v is not None]
    ticks = nice_ticks(min(ys), max(ys), 5)
    inset = 0.06 * (right - left)

    def at(px: float, py: float) -> tuple[float, float]:
        across = (px - xs[0]) / (xs[-1] - xs[0])
        return (
            left + inset + (right - left - 2 * inset) * across,
            bottom - (bottom - top) * (py - ticks[0]) / (ticks[-1] - ticks[0]),
        )

    parts = [_text(0.0, 14.0, y, "axis")]
    for tick in ticks:
        height = at(xs[0], tick)[1]
        parts.append(_line(left, height, right, height, "grid"))
        parts.append(_text(left - 8, height + 4, f"{tick:g}".replace("-", "\N{MINUS SIGN}"), "tick", "end"))
    for place, label in marks:
        parts.append(_text(at(place, ticks[0])[0], bottom + 18, label, "tick", "middle"))
    parts.append(_text((left + right) / 2, bottom + 38, x, "axis", "middle"))
    columns = 1 if narrow else 3
    for index, one in enumerate(series):
        name = f"s{index % 6}"
        spots = [at(point[0], point[1]) for point in one.points]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in spots)
        parts.append(Markup(f'<polyline points="{path}" class="curve {name}"/>'))
        for (px, _), point in zip(spots, one.points, strict=True):
            if point[2] is not None and point[3] is not None:
                parts.append(_line(px, at(point[0], point[2])[1], px, at(point[0], point[3])[1], f"whisker {name}"))
        parts += [_mark(px, py, SERIES_SHAPES[index % 6], f"dot {name}", 4.5) for px, py in spots]
        key_x = (0.0 if narrow else left) + (index % columns) * (right - left) / columns
        key_y = bottom + 64 + 22 * (index // columns)
        parts.append(_line(key_x, key_y - 4, key_x + 26, key_y - 4, f"curve {name}"))
        parts.append(_mark(key_x + 13, key_y - 4, SERIES_SHAPES[index % 6], f"dot {name}", 4.5))
        label = one.label if len(one.label) <= 36 else f"{one.label[:35]}…"
        parts.append(_text(key_x + 34, key_y, label, "label"))
    rows = math.ceil(len(series) / columns)
    return _svg(uid, width, bottom + 56 + 22 * rows, title, desc, parts)
