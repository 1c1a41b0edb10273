"""Charts as inline SVG, drawn here: no library, no script, the same bytes for the same numbers.

Every chart has a title and a description, and the page has the same numbers as a table. Colours come from the style
sheet's classes, so charts follow light and dark; shapes and dashes carry the same meaning as colours. A large chart is
drawn twice, wide and narrow, and the style sheet shows the one that fits: scaling one drawing would scale its text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

__all__ = ["MAX_SERIES", "Chart", "Series", "both_widths", "draw", "log_ticks", "nice_ticks"]

MAX_SERIES = 6
Shape = Literal["wide", "narrow", "small"]


@dataclass(frozen=True)
class Series:
    """One line of a chart: points (x, y, low or None, high or None) in ascending x.

    ``role`` names a kind of model whose mark and colour the points take instead of the line's own; ``joined`` draws the
    line, ``dots`` the points.
    """

    label: str
    points: tuple[tuple[float, float, float | None, float | None], ...]
    role: str = ""
    joined: bool = True
    dots: bool = True


@dataclass(frozen=True)
class Chart:
    """What a chart shows.

    ``marks`` are places and labels of the x axis, ascending; they span the axis. ``notes`` are texts beside points.
    """

    title: str
    desc: str
    x: str
    y: str
    series: tuple[Series, ...]
    marks: tuple[tuple[float, str], ...]
    notes: tuple[tuple[float, float, str], ...] = ()


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


def log_ticks(values: Iterable[float]) -> list[float]:
    """Exponents of ten that cover positive values, at least two."""
    exponents = [math.log10(value) for value in values]
    first, last = math.floor(min(exponents) + 1e-9), math.ceil(max(exponents) - 1e-9)
    return [float(e) for e in range(first, max(last, first + 1) + 1)]


def both_widths(chart: Chart, uid: str) -> Markup:
    """Draw a chart wide and narrow; the style sheet shows one of them."""
    return Markup('<div class="chart-wide">{}</div><div class="chart-narrow">{}</div>').format(
        draw(chart, f"{uid}-w", "wide"), draw(chart, f"{uid}-n", "narrow")
    )


def _svg(uid: str, width: float, height: float, chart: Chart, parts: Iterable[Markup]) -> Markup:
    head = Markup(
        '<svg class="chart" role="img" aria-labelledby="{0}-t {0}-d" viewBox="0 0 {1} {2}" '
        'xmlns="http://www.w3.org/2000/svg"><title id="{0}-t">{3}</title><desc id="{0}-d">{4}</desc>\n'
    ).format(uid, f"{width:g}", f"{height:g}", chart.title, chart.desc)
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
ROLE_SHAPES = {"model": "circle", "control": "up", "classical": "square", "trivial": "diamond", "paper": "down"}
SERIES_SHAPES = ("circle", "square", "up", "diamond", "down", "bar")


def _mark(x: float, y: float, shape: str, name: str, r: float = 4.5) -> Markup:
    """Draw a marker. Shapes differ so that colour is never the only difference."""
    if shape == "circle":
        return Markup(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:g}" class="{name}"/>')
    points = " ".join(f"{x + dx * r * 0.9:.1f},{y + dy * r * 0.9:.1f}" for dx, dy in OUTLINES[shape])
    return Markup(f'<polygon points="{points}" class="{name}"/>')


@dataclass(frozen=True)
class _Frame:
    """Where things lie: the plot's box, the ticks, and how many columns the legend has."""

    width: float
    left: float
    right: float
    top: float
    bottom: float
    columns: int
    xs: tuple[float, float]
    ticks: list[float]

    @classmethod
    def of(cls, chart: Chart, shape: Shape) -> _Frame:
        width, left, bottom, columns = {
            "wide": (960.0, 64.0, 340.0, 3),
            "narrow": (360.0, 46.0, 240.0, 1),
            "small": (440.0, 48.0, 210.0, 2),
        }[shape]
        values = [v for one in chart.series for point in one.points for v in point[1:] if v is not None]
        ticks = nice_ticks(min(values), max(values), 5)
        ends = (chart.marks[0][0], chart.marks[-1][0])
        return cls(width, left, width - 14.0, 28.0, bottom, columns, ends, ticks)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Place of a point."""
        inset = 0.04 * (self.right - self.left)
        span = self.xs[1] - self.xs[0]
        across = (x - self.xs[0]) / span if span else 0.5
        up = (y - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        reach = self.right - self.left - 2 * inset
        return self.left + inset + reach * across, self.bottom - (self.bottom - self.top) * up


def draw(chart: Chart, uid: str, shape: Shape) -> Markup:
    """Draw a chart of at most six series, with intervals and a legend.

    Parameters
    ----------
    chart : Chart
        What it shows.
    uid : str
        Prefix of the identifiers in the page.
    shape : {"wide", "narrow", "small"}
        For a page, for a phone, or for several side by side.
    """
    frame = _Frame.of(chart, shape)
    parts = [*_axes(chart, frame)]
    steps = _dodges(chart, shape)
    for index, one in enumerate(chart.series):
        parts += _series(one, index, frame, steps[index])
    parts += _notes(chart, frame)
    height = frame.bottom + 46
    if len(chart.series) > 1:
        rows, legend = _legend(chart, frame)
        parts += legend
        height += 10 + 22 * rows
    return _svg(uid, frame.width, height, chart, parts)


#: Width of a letter and height of a line of a note, about.
_LETTER, _LINE = 7.2, 15.0


def _notes(chart: Chart, frame: _Frame) -> Iterable[Markup]:
    """Names beside points, each where it covers no other name and no point; left out where there is no room."""
    points = [frame.at(x, y) for x, y, _ in chart.notes]
    spots = [frame.at(point[0], point[1]) for one in chart.series for point in one.points]
    taken = [(px - 6, py - 6, px + 6, py + 6) for px, py in spots]
    for (px, py), (_, _, text) in zip(points, chart.notes, strict=True):
        width = _LETTER * len(text)
        sides = (-1, 1) if px > (frame.left + frame.right) / 2 else (1, -1)
        for side, lift in ((side, lift) for lift in (-6.0, 15.0, -22.0, 31.0, -38.0) for side in sides):
            x, y = px + 9 * side, py + lift
            left, right = (x, x + width) if side > 0 else (x - width, x)
            box = (left, y - _LINE + 3, right, y + 3)
            inside = left >= frame.left and right <= frame.right and box[1] > 16 and y < frame.bottom
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                yield _text(x, y, text, "note", "start" if side > 0 else "end")
                break


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _axes(chart: Chart, frame: _Frame) -> Iterable[Markup]:
    yield _text(0.0, 14.0, chart.y, "axis")
    for tick in frame.ticks:
        height = frame.at(frame.xs[0], tick)[1]
        yield _line(frame.left, height, frame.right, height, "grid")
        yield _text(frame.left - 8, height + 4, f"{tick:g}".replace("-", "\N{MINUS SIGN}"), "tick", "end")
    end = -math.inf
    for place, label in chart.marks:
        middle, half = frame.at(place, frame.ticks[0])[0], _LETTER * len(label) / 2
        if middle - half >= end:  # a label without room would cover the one before
            at, anchor = (middle, "middle") if middle + half <= frame.width else (frame.width, "end")
            yield _text(at, frame.bottom + 18, label, "tick", anchor)
            end = middle + half
    yield _text((frame.left + frame.right) / 2, frame.bottom + 38, chart.x, "axis", "middle")


def _look(one: Series, index: int) -> tuple[str, str, str]:
    """Class of the line, class of the points, shape of the points."""
    if one.role:
        return f"r-{one.role}", f"mark {one.role}", ROLE_SHAPES.get(one.role, "circle")
    return f"s{index % MAX_SERIES}", f"dot s{index % MAX_SERIES}", SERIES_SHAPES[index % MAX_SERIES]


def _dodges(chart: Chart, shape: Shape) -> list[float]:
    """How far each line is moved aside, so that intervals and equal points do not cover one another."""
    joined = [one for one in chart.series if one.joined]
    if len(joined) < 2 or not any(point[2] is not None for one in joined for point in one.points):
        return [0.0] * len(chart.series)
    step = 5.0 if shape == "wide" else 2.5
    return [step * (place - (len(chart.series) - 1) / 2) for place in range(len(chart.series))]


def _series(one: Series, index: int, frame: _Frame, aside: float) -> Iterable[Markup]:
    line, dot, shape = _look(one, index)
    spots = [(x + aside, y) for x, y in (frame.at(point[0], point[1]) for point in one.points)]
    if one.joined and len(spots) > 1:
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in spots)
        yield Markup(f'<polyline points="{path}" class="curve {line}"/>')
    for (px, _), point in zip(spots, one.points, strict=True):
        if point[2] is not None and point[3] is not None:
            yield _line(px, frame.at(point[0], point[2])[1], px, frame.at(point[0], point[3])[1], f"whisker {line}")
    if one.dots:
        yield from (_mark(px, py, shape, dot) for px, py in spots)


def _legend(chart: Chart, frame: _Frame) -> tuple[int, list[Markup]]:
    parts = []
    left = 0.0 if frame.columns == 1 else frame.left
    longest = 44 if frame.columns == 1 else 40 if frame.columns == 3 else 22
    for index, one in enumerate(chart.series):
        line, dot, shape = _look(one, index)
        x = left + (index % frame.columns) * (frame.right - left) / frame.columns
        y = frame.bottom + 66 + 22 * (index // frame.columns)
        if one.joined:
            parts.append(_line(x, y - 4, x + 26, y - 4, f"curve {line}"))
        if one.dots:
            parts.append(_mark(x + 13, y - 4, shape, dot))
        label = one.label if len(one.label) <= longest else f"{one.label[: longest - 1]}…"
        parts.append(_text(x + 34, y, label, "label"))
    return math.ceil(len(chart.series) / frame.columns), parts
