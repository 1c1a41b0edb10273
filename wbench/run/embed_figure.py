"""The page of ``wbench embed --plot``: projections in rows, labels in columns (needs matplotlib)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from wbench.dataset.figure import SUFFIXES
from wbench.dataset.figure.page import save
from wbench.dataset.figure.style import INK, LOS, MAP, MUTED, NLOS, title
from wbench.errors import UsageError
from wbench.run.embed import Embedding, Label, neighbour_agreement

__all__ = ["plot_embedding", "plot_place"]

#: Columns of a page; labels beyond them are not drawn.
COLUMNS = 4
#: Classes up to this number have a colour and a name each; more are drawn on a scale by their number.
NAMED = 8
#: Okabe and Ito's colours, black last.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")


def plot_place(file: str | Path) -> Path:
    """Path of a plot, its type checked: worth asking for before anything is embedded.

    Raises
    ------
    UsageError
        Another file type than .png, .pdf, .svg.
    """
    place = Path(file)
    if place.suffix.lower() not in SUFFIXES:
        step = f"--plot {place.with_suffix('.png')}"
        raise UsageError(f"A plot is one of {', '.join(SUFFIXES)}.", where=str(place), next_step=step)
    return place


def plot_embedding(embedding: Embedding, file: str | Path) -> Path:
    """Draw PCA and t-SNE of an embedding, coloured by each label. The same embedding gives the same bytes.

    Raises
    ------
    UsageError
        Another file type than .png, .pdf, .svg, or a file that cannot be written.
    """
    place = plot_place(file)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        save(lambda: _draw(embedding), place)
    except OSError as error:
        raise UsageError("The plot cannot be written.", where=str(place), why=str(error)) from error
    return place


def _draw(embedding: Embedding) -> Figure:
    labels: list[Label | None] = [*embedding.labels[:COLUMNS]] or [None]
    wide, rows = 2.9 * len(labels) + 0.5, len(embedding.planes)
    figure = Figure(figsize=(max(wide, 5.0), 2.85 * rows + 1.0))
    height = figure.get_figheight()
    figure.text(0.03, 1 - 0.3 / height, embedding.model, fontsize=14, fontweight="bold", color=INK, va="center")
    count, width = embedding.features.shape
    note = f"{embedding.task}, {embedding.part} part   ·   {count:,} samples   ·   {width} features"
    figure.text(0.03, 1 - 0.55 / height, note, fontsize=8, color=MUTED, va="center")
    figure.add_artist(Line2D([0.03, 0.97], [1 - 0.72 / height] * 2, color=LOS, linewidth=1.2))
    grid = figure.add_gridspec(
        rows, len(labels), left=0.05, right=0.975, bottom=0.3 / height, top=1 - 1.2 / height, wspace=0.16, hspace=0.24
    )
    for row, (name, plane) in enumerate(embedding.planes.items()):
        for column, label in enumerate(labels):
            axes = figure.add_subplot(grid[row, column])
            said = _said(embedding, label) if row == 0 and label is not None else ""
            title(axes, f"{name}: {label.name}" if label is not None else name, said)
            _points(figure, axes, plane, label)
    return figure


def _said(embedding: Embedding, label: Label) -> str:
    if not label.is_class:
        return "5 to 95 % of the range"
    share, chance = neighbour_agreement(embedding.features, label)
    return f"of 10 neighbours {100 * share:.0f} % agree, by chance {100 * chance:.0f} %"


def _points(figure: Figure, axes: Axes, plane: Any, label: Label | None) -> None:
    size = float(np.clip(6000 / max(1, len(plane)), 2.5, 14))
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    style: dict[str, Any] = {"s": size, "linewidths": 0, "alpha": 0.75, "rasterized": True}
    if label is None:
        axes.scatter(plane[:, 0], plane[:, 1], c=INK, **style)
        return
    known = np.unique(label.values)
    if label.is_class and len(known) <= NAMED:
        colours = {0: NLOS, 1: LOS} if label.names == ("NLoS", "LoS") else dict(zip(known, COLOURS, strict=False))
        # One call: classes are mixed as they come, so that none lies on top of the others.
        axes.scatter(plane[:, 0], plane[:, 1], c=[colours[value] for value in label.values.tolist()], **style)
        names = {value: label.names[value] if value < len(label.names) else str(value) for value in known.tolist()}
        dots = [Line2D([], [], marker="o", ls="", ms=4, color=colours[v], label=n) for v, n in names.items()]
        axes.legend(handles=dots, loc="best", handletextpad=0.1, frameon=True, framealpha=0.8, edgecolor="none")
        return
    low, high = (known.min(), known.max()) if label.is_class else np.quantile(label.values, [0.05, 0.95])
    shade = Normalize(float(low), float(max(high, low + 1e-9)), clip=True)
    axes.scatter(
        plane[:, 0], plane[:, 1], c=colormaps["twilight" if label.is_class else MAP](shade(label.values)), **style
    )
    place = axes.inset_axes((0.6, -0.045, 0.4, 0.02))
    mapped = ScalarMappable(shade, "twilight" if label.is_class else MAP)
    bar = figure.colorbar(mapped, cax=place, orientation="horizontal")
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(3, integer=label.is_class)
    bar.ax.tick_params(length=0, labelsize=6, pad=1.5)
    bar.update_ticks()
