"""How the page looks: one type face, two colours with a meaning, quiet axes."""

from __future__ import annotations

from typing import Any, Final

from matplotlib.axes import Axes

__all__ = ["INK", "LOS", "MAP", "MUTED", "NLOS", "REFERENCE", "STYLE", "empty", "title"]

#: Okabe and Ito's colours, told apart by everybody; LoS and NLoS keep theirs on the whole page.
LOS: Final = "#0072B2"
NLOS: Final = "#D55E00"
INK: Final = "#1b1f24"
MUTED: Final = "#6b7280"
GRID: Final = "#e5e7eb"
#: Perceptually even and readable in grey.
MAP: Final = "viridis"
#: References from the standard are dashed, whatever their colour.
REFERENCE: Final[dict[str, Any]] = {"linestyle": (0, (4, 2)), "linewidth": 1.1, "alpha": 0.9}

STYLE: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same page everywhere
    "font.size": 7.5,
    "mathtext.fontset": "dejavusans",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 6,
    "axes.edgecolor": "#9ca3af",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": "#4b5563",
    "ytick.color": "#4b5563",
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.borderaxespad": 0.3,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "wbench",  # the same dataset gives the same bytes
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}


def title(axes: Axes, text: str, note: str = "") -> None:
    """Panel title with a grey note below it."""
    axes.set_title(text, pad=15)
    if note:
        axes.text(0, 1.02, note, transform=axes.transAxes, fontsize=6.5, color=MUTED, va="bottom")


def empty(axes: Axes, text: str) -> None:
    """A panel that has nothing to show says why."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, transform=axes.transAxes, color=MUTED, ha="center", va="center", wrap=True)
