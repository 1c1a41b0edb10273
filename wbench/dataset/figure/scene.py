"""A scene from above: base stations, and users by line of sight, path gain, best beam and side of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wbench.channel.codebooks import beam_rsrp, dft_codebook
from wbench.dataset.figure.style import INK, LOS, MAP, NLOS, empty, title
from wbench.dataset.reader import Dataset

__all__ = ["SceneView", "draw_scene"]

#: Users whose best beam is computed and drawn; all users are drawn in the other panels.
BEAM_SAMPLES = 4000
SIDES = {0: ("train", "#0072B2"), 1: ("validation", "#E69F00"), 2: ("test", "#CC3311"), -1: ("left out", "#d1d5db")}
NO_PATH = "#9ca3af"


@dataclass(frozen=True, eq=False)
class SceneView:
    """What is drawn.

    Attributes
    ----------
    scene : int
        Number of the scene.
    name : str
        Its name.
    sides : int8 ndarray [samples] or None
        Side of every sample of the dataset, as :func:`wbench.task.splits.sides` gives it.
    split : str
        The split's name for the panel.
    """

    scene: int
    name: str
    sides: npt.NDArray[np.int8] | None = None
    split: str = ""


def draw_scene(dataset: Dataset, view: SceneView) -> Figure:
    """Draw four panels; to be called within :data:`wbench.dataset.figure.style.STYLE`."""
    ids = np.flatnonzero(dataset.read("scene", np.arange(len(dataset))) == view.scene)
    figure = Figure(figsize=(11.69, 11.4))
    figure.text(0.05, 0.965, view.name, fontsize=19, fontweight="bold", color=INK, va="center")
    base = np.unique(dataset.read("bs_position", ids)[:, :2], axis=0)
    users = len(np.unique(dataset.read("ue_position", ids), axis=0))
    note = f"{dataset.spec.recipe} ({dataset.spec.size})   ·   {len(ids):,} links, {users:,} users"
    note += f", {len(base)} base stations"
    figure.text(0.05, 0.942, note, fontsize=8.5, color=INK, va="center")
    grid = figure.add_gridspec(2, 2, left=0.055, right=0.965, bottom=0.045, top=0.90, wspace=0.22, hspace=0.2)
    panels = (_by_los, _by_gain, _by_beam, _by_side)
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(grid[index // 2, index % 2])
        if panel(figure, axes, dataset, ids, view):
            axes.scatter(base[:, 0], base[:, 1], marker="^", s=52, c=INK, zorder=5, linewidths=0.9, edgecolors="white")
            axes.set_aspect("equal", adjustable="datalim")
            axes.set(xlabel="x (m)", ylabel="y (m)")
    return figure


def _scatter(axes: Axes, dataset: Dataset, ids: npt.NDArray[np.int64], **style: Any) -> Any:
    xy = dataset.read("ue_position", ids)[:, :2]
    return axes.scatter(xy[:, 0], xy[:, 1], linewidths=0, rasterized=True, **style)


def _size(users: int) -> float:
    """Area of a marker that leaves gaps between many users."""
    return float(np.clip(24000 / max(1, users), 1.5, 14))


def _named(axes: Axes, dataset: Dataset, groups: list[tuple[str, str, npt.NDArray[np.int64]]]) -> None:
    size = _size(sum(len(ids) for _, _, ids in groups))
    for name, colour, ids in groups:
        if len(ids):
            _scatter(axes, dataset, ids, s=size, color=colour, label=f"{name} ({len(ids):,})")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, markerscale=2, handletextpad=0.2)


def _by_los(figure: Figure, axes: Axes, dataset: Dataset, ids: npt.NDArray[np.int64], view: SceneView) -> bool:
    axes.set_title("Line of sight", pad=17)
    los = dataset.read("los", ids)
    kinds = (("no path", NO_PATH, -1), ("NLoS", NLOS, 0), ("LoS", LOS, 1))
    _named(axes, dataset, [(name, colour, ids[los == value]) for name, colour, value in kinds])
    return True


def _by_gain(figure: Figure, axes: Axes, dataset: Dataset, ids: npt.NDArray[np.int64], view: SceneView) -> bool:
    title(axes, "Path gain", "dB; of the strongest base station where a user has several")
    gain = dataset.read("path_gain_db", ids)
    heard = ids[np.isfinite(gain)]
    order = heard[np.argsort(gain[np.isfinite(gain)])]  # the strongest on top
    values = dataset.read("path_gain_db", order)
    low, high = np.quantile(values, [0.02, 0.98])
    _scatter(axes, dataset, order, s=_size(len(order)), c=values, cmap=MAP, vmin=low, vmax=high)
    _bar(figure, axes, Normalize(low, high), MAP)
    return True


def _by_beam(figure: Figure, axes: Axes, dataset: Dataset, ids: npt.NDArray[np.int64], view: SceneView) -> bool:
    bands = {
        name: band
        for name, band in dataset.attributes["radio"]["bands"].items()
        if (band.get("tx") or dataset.attributes["radio"]["tx"])["rows"] == 1
    }
    name = max(bands, key=lambda band: dataset.array(band).shape[3], default=None)
    if name is None or dataset.array(name).shape[3] < 2:
        empty(axes, "no linear array in this dataset")
        return False
    elements = dataset.array(name).shape[3]
    heard = ids[dataset.read("los", ids) != -1]
    some = heard[:: -(-len(heard) // BEAM_SAMPLES)] if len(heard) else heard
    title(axes, "Best beam", f"of {elements} on {elements} elements ({name}), counted from the array's left end-fire")
    codebook = dft_codebook(elements, elements)
    beam = np.concatenate(
        [
            np.argmax(beam_rsrp(dataset.read(name, part), codebook), axis=1)
            for part in np.array_split(some, 16)
            if len(part)
        ]
    )
    _scatter(axes, dataset, some, s=_size(len(some)), c=beam, cmap="twilight", vmin=0, vmax=elements)
    _bar(figure, axes, Normalize(0, elements), "twilight")
    return True


def _by_side(figure: Figure, axes: Axes, dataset: Dataset, ids: npt.NDArray[np.int64], view: SceneView) -> bool:
    if view.sides is None:
        empty(axes, "no split given")
        return False
    axes.set_title(f"Split {view.split}", pad=17)
    groups = [(name, colour, ids[view.sides[ids] == code]) for code, (name, colour) in sorted(SIDES.items())]
    _named(axes, dataset, groups)
    return True


def _bar(figure: Figure, axes: Axes, norm: Normalize, colours: str) -> None:
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, fraction=0.03, pad=0.02)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(6)
    bar.update_ticks()
