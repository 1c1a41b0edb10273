"""The page of a dataset as a view model: its card, how to make it, who uses it, and what its samples look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from wbench_leaderboard.charts import Chart, Series, draw, nice_ticks
from wbench_leaderboard.datasets import DatasetInfo
from wbench_leaderboard.links import Links
from wbench_leaderboard.rank import Board
from wbench_leaderboard.text import data_bytes, number

__all__ = ["DatasetLine", "DatasetPage", "dataset_lines", "dataset_page"]

LABELS = {
    "distance_m": ("Distance to the base station", "m", 1.0),
    "path_gain_db": ("Path gain", "dB", 1.0),
    "delay_spread_s": ("Delay spread", "ns", 1e9),
    "k_factor_db": ("K-factor", "dB", 1.0),
    "doppler_spread_hz": ("Doppler spread", "Hz", 1.0),
}
LINKS = {1: "LoS", 0: "NLoS", -1: "no path"}


@dataclass(frozen=True)
class Plot:
    """The distribution of one statistic: a chart, and its quantiles as a table of (links, n, 10, 50, 90 %)."""

    label: str
    unit: str
    chart: Markup
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class DatasetPage:
    """Everything a dataset's page prints; without ``info`` only what the results say is known."""

    name: str
    href: str
    info: DatasetInfo | None
    sizes: tuple[tuple[str, ...], ...]
    arrays: tuple[tuple[str, ...], ...]
    tasks: tuple[tuple[str, str, str, str], ...]
    plots: tuple[Plot, ...]
    links: tuple[tuple[str, str], ...]
    seen: tuple[tuple[str, str, str], ...]
    verdicts: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class DatasetLine:
    """A dataset in the list of datasets."""

    name: str
    href: str
    generator: str
    summary: str
    licence: str
    samples: str
    tasks: int


def dataset_lines(
    infos: Mapping[str, DatasetInfo], names: Sequence[str], used: Mapping[str, Sequence[str]], links: Links
) -> list[DatasetLine]:
    """All datasets of the site."""
    lines = []
    for name in names:
        info = infos.get(name)
        samples = "" if info is None else " / ".join(f"{size.samples:,}".replace(",", "\u202f") for size in info.sizes)
        lines.append(
            DatasetLine(
                name=name,
                href=links.dataset(name),
                generator="" if info is None else info.generator,
                summary="" if info is None else info.summary,
                licence="" if info is None else info.licence,
                samples=samples,
                tasks=len(used.get(name, ())),
            )
        )
    return lines


def dataset_page(
    name: str,
    info: DatasetInfo | None,
    boards: Sequence[Board],
    docs: Mapping[str, Mapping[str, Any]],
    links: Links,
) -> DatasetPage:
    """Page of one recipe; ``boards`` are those whose current edition stands on it."""
    href = links.dataset(name)
    up = Links.up(href)
    tasks = []
    for board in boards:
        views = docs.get(board.edition.task, {}).get("views", {})
        parts = ", ".join(part for part, view in views.items() if str(view).split(",")[0] == name)
        where = up + links.task(board.edition.task, board.edition.size)
        tasks.append((board.edition.task, board.edition.size, where, parts))
    return DatasetPage(
        name=name,
        href=href,
        info=info,
        sizes=() if info is None else tuple(_size(info, one.size) for one in info.sizes),
        arrays=()
        if info is None
        else tuple((a.name, " × ".join(map(str, a.shape)) or "–", a.dtype, data_bytes(a.bytes)) for a in info.arrays),
        tasks=tuple(tasks),
        plots=() if info is None else tuple(_plots(info)),
        links=() if info is None else _shares(info),
        seen=_seen(name, boards),
        verdicts=_verdicts(name, boards),
    )


def _size(info: DatasetInfo, size: str) -> tuple[str, ...]:
    one = next(item for item in info.sizes if item.size == size)
    total = sum(array.bytes for array in info.arrays) * one.samples
    return (
        one.size,
        f"{one.samples:,}".replace(",", "\u202f"),
        str(one.shards),
        data_bytes(total) if total else "–",
        one.spec_digest,
        one.content or "",
        f"wbench generate {info.name} --size {one.size}",
    )


def _shares(info: DatasetInfo) -> tuple[tuple[str, str], ...]:
    los = info.values.get("los")
    if los is None:
        return ()
    found = [
        (LINKS.get(value, str(value)), int(np.sum(los == value))) for value in sorted(set(los.tolist()), reverse=True)
    ]
    return tuple((label, f"{100 * n / len(los):.0f} % of {len(los)} samples") for label, n in found)


def _plots(info: DatasetInfo) -> list[Plot]:
    los = info.values.get("los")
    plots = []
    for name, (label, unit, scale) in LABELS.items():
        values = info.values.get(name)
        if values is None:
            continue
        parts = [("all", np.ones(len(values), dtype=bool))]
        if los is not None and {0, 1} <= set(los.tolist()):
            parts += [("LoS", los == 1), ("NLoS", los == 0)]
        kept = [(part, scale * values[mask & np.isfinite(values)]) for part, mask in parts]
        kept = [(part, np.sort(found)) for part, found in kept if len(found) >= 8 and np.ptp(found) > 0]
        if len(kept) == 2 and len(kept[0][1]) == len(kept[1][1]):
            kept = kept[1:]  # only links of one kind have this statistic
        if kept:
            plots.append(_plot(info, name, label, unit, kept))
    return plots


def _plot(
    info: DatasetInfo, name: str, label: str, unit: str, parts: Sequence[tuple[str, npt.NDArray[np.float64]]]
) -> Plot:
    """Empirical distribution function of each part, cut at its long ends so that the middle can be seen."""
    ends = np.quantile(parts[0][1], [0.01, 0.97])
    ticks = nice_ticks(float(ends[0]), float(ends[1]), 4)
    series = []
    for part, values in parts:
        share = (np.arange(len(values)) + 0.5) / len(values)
        inside = (values >= ticks[0]) & (values <= ticks[-1])
        points = tuple((float(x), float(y), None, None) for x, y in zip(values[inside], share[inside], strict=True))
        series.append(Series(part, points, dots=False))
    rows = tuple(
        (part, str(len(values)), *(number(float(q)) for q in np.quantile(values, [0.1, 0.5, 0.9])))
        for part, values in parts
    )
    chart = Chart(
        title=f"{info.name}: distribution of the {label.lower()}",
        desc=f"Share of samples below a value, for {', '.join(part for part, _ in parts)}. "
        "The table under the chart has the quantiles.",
        x=f"{label} [{unit}]",
        y="share of samples below",
        series=tuple(series),
        marks=tuple((tick, f"{tick:g}".replace("-", "−")) for tick in ticks),
    )
    return Plot(label, unit, draw(chart, f"d-{name.replace('_', '-')}", "small"), rows)


def _seen(name: str, boards: Sequence[Board]) -> tuple[tuple[str, str, str], ...]:
    """Digests that the results were made on: (size, spec digest, content digest)."""
    found = {
        (board.edition.size, data.spec_digest, data.content_digest)
        for board in boards
        for entry in board.entries
        for result in entry.results
        for data in result.datasets
        if data.recipe == name
    }
    return tuple(sorted(found))


def _verdicts(name: str, boards: Sequence[Board]) -> tuple[tuple[str, str, int], ...]:
    """How many results stand on data that were found identical, equivalent or different: (size, verdict, results)."""
    counts: dict[tuple[str, str], int] = {}
    for board in boards:
        for entry in board.all:
            for result in entry.results:
                for data in result.datasets:
                    if data.recipe == name:
                        key = (board.edition.size, data.verdict or "not compared")
                        counts[key] = counts.get(key, 0) + 1
    return tuple((*key, n) for key, n in sorted(counts.items()))
