"""The page: a header, eight panels, a foot."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wbench.dataset.figure.channels import angular_spectrum, measure, power_delay_profile, sample_magnitude
from wbench.dataset.figure.labels import delay_spread_cdf, k_factor_cdf, los_share, user_map
from wbench.dataset.figure.style import INK, LOS, MUTED, STYLE
from wbench.dataset.look import Look, take_look
from wbench.dataset.reader import Dataset
from wbench.dataset.summary import summary_rows

__all__ = ["draw", "save"]

#: A4, landscape, in inches.
PAGE = (11.69, 8.27)
DOTS_PER_INCH = 200


def draw(dataset: Dataset) -> Figure:
    """Draw the page; to be called within :data:`wbench.dataset.figure.style.STYLE`."""
    look = take_look(dataset)
    figure = Figure(figsize=PAGE)
    _header(figure, look)
    grid = figure.add_gridspec(2, 4, left=0.058, right=0.985, bottom=0.085, top=0.81, wspace=0.33, hspace=0.42)
    axes = [[figure.add_subplot(grid[row, col]) for col in range(4)] for row in range(2)]
    channels = measure(look)
    user_map(figure, axes[0][0], look)
    los_share(axes[0][1], look)
    delay_spread_cdf(axes[0][2], look)
    k_factor_cdf(axes[0][3], look)
    power_delay_profile(axes[1][0], look, channels)
    angular_spectrum(figure, axes[1][1], look, channels)
    sample_magnitude(figure, axes[1][2], look)
    _numbers(axes[1][3], look)
    return figure


def _header(figure: Figure, look: Look) -> None:
    spec, attributes = look.dataset.spec, look.dataset.attributes
    figure.text(0.03, 0.945, spec.recipe, fontsize=19, fontweight="bold", color=INK, va="center")
    parts = [str(attributes.get("channel_model", "")), f"{spec.samples:,} samples ({spec.size})"]
    parts += [f"{spec.generator} v{spec.generator_version}", f"seed {spec.seed}", str(attributes.get("licence", ""))]
    figure.text(0.03, 0.905, "   ·   ".join(part for part in parts if part), fontsize=8.5, color=INK, va="center")
    digest = f"spec {spec.digest}   ·   "
    missing = len(look.dataset.missing_shards)
    digest += f"{missing} of {spec.shards} shards are missing" if missing else f"content {look.dataset.content_digest}"
    figure.text(0.03, 0.878, digest, fontsize=6.5, color=MUTED, va="center")
    figure.add_artist(matplotlib.lines.Line2D([0.03, 0.97], [0.86, 0.86], color=LOS, linewidth=1.2))
    figure.text(0.97, 0.945, "wbench", fontsize=10, fontweight="bold", color=LOS, ha="right", va="center")
    note = (
        f"drawn from {len(look.ids):,} of {spec.samples:,} samples"
        if len(look.ids) < spec.samples
        else "all samples drawn"
    )
    figure.text(0.97, 0.02, note, fontsize=6.5, color=MUTED, ha="right", va="center")


def _numbers(axes: Axes, look: Look) -> None:
    """The summary's lines that the header does not have."""
    axes.set_title("In numbers", pad=15)
    axes.set_axis_off()
    said = {
        "recipe",
        "generator",
        "model",
        "samples",
        "written",
        "licence",
        "spec digest",
        "content digest",
        "figures from",
    }
    rows = [(label, text) for label, text in summary_rows(look.dataset, look) if label not in said]
    place = 1.0
    for label, text in rows:
        value, _, detail = _minus(text).partition(" (")
        axes.text(0.0, place, label, transform=axes.transAxes, fontsize=6.8, color=MUTED, va="top")
        axes.text(0.37, place, value.removeprefix("median "), transform=axes.transAxes, fontsize=6.8, va="top")
        if detail:
            place -= 0.047
            axes.text(0.37, place, detail.rstrip(")"), transform=axes.transAxes, fontsize=6, color=MUTED, va="top")
        place -= 0.066


def _minus(text: str) -> str:
    """Typeset minus signs."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)


def save(draw_page: Callable[[], Figure], file: Path) -> None:
    """Draw in the page's style and save, without the date that would make every file another one."""
    metadata: dict[str, dict[str, str | None]] = {
        ".pdf": {"CreationDate": None, "Creator": "wbench", "Producer": None},
        ".svg": {"Date": None, "Creator": "wbench"},
        ".png": {"Software": "wbench"},
    }
    style: Any = {**matplotlib.rcParamsDefault, **STYLE}  # whatever the user's own settings are
    with matplotlib.rc_context(style):
        figure = draw_page()
        figure.savefig(file, dpi=DOTS_PER_INCH, metadata=metadata[file.suffix.lower()])
