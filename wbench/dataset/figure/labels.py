"""Panels that are drawn from labels alone: user map, LoS share, distributions of delay spread and K factor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from wbench.channel import tr38901
from wbench.dataset.figure.style import INK, LOS, MAP, NLOS, REFERENCE, empty, title
from wbench.dataset.look import Look

__all__ = ["delay_spread_cdf", "k_factor_cdf", "los_share", "user_map"]

F64 = npt.NDArray[np.float64]


def user_map(figure: Figure, axes: Axes, look: Look) -> None:
    """Where the users are: colour is path gain, filled markers see the base station."""
    title(axes, "Users", "filled: LoS, rings: NLoS; colour: path gain")
    place, base = look.values("ue_position"), look.values("bs_position")
    if place is None or base is None or not np.isfinite(place).any():
        return empty(axes, "no positions in this dataset")
    los, gain = look.values("los"), look.values("path_gain_db")
    seen = np.ones(len(place), bool) if los is None else los == 1
    finite = np.zeros(len(place)) if gain is None else np.where(np.isfinite(gain), gain, np.nan)
    known = finite[np.isfinite(finite)]
    low, high = np.quantile(known, [0.02, 0.98]) if len(known) else (0.0, 1.0)
    shade = (finite - low) / max(high - low, 1e-9)
    colours = colormaps[MAP](np.clip(shade, 0, 1))
    size = float(np.clip(4000 / max(1, len(place)), 3, 14))
    (x, y), (far_x, far_y) = place[seen, :2].T, place[~seen, :2].T
    axes.scatter(far_x, far_y, s=size, facecolors="none", edgecolors=colours[~seen], linewidths=0.6, rasterized=True)
    axes.scatter(x, y, s=size, c=colours[seen], linewidths=0, rasterized=True)
    x, y = np.unique(base[:, :2], axis=0)[:200].T
    axes.scatter(x, y, marker="^", s=34, c=INK, zorder=5, linewidths=0.8, edgecolors="white")
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel="x (m)", ylabel="y (m)")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    if gain is not None and len(known):
        colour_bar(figure, axes, low, high)
    return None


def colour_bar(figure: Figure, axes: Axes, low: float, high: float) -> None:
    """Slim colour bar in dB within a panel's own place, so that it is in nobody's way."""
    box = axes.get_position()
    axes.set_position((box.x0, box.y0, 0.85 * box.width, box.height))
    place = figure.add_axes((box.x0 + 0.88 * box.width, box.y0, 0.03 * box.width, box.height))
    bar = figure.colorbar(ScalarMappable(Normalize(low, high), MAP), cax=place)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(5)
    bar.ax.tick_params(length=2, labelsize=6.5)
    bar.ax.set_title("dB", fontsize=6.5, fontweight="normal", loc="left", pad=4)
    bar.update_ticks()


def los_share(axes: Axes, look: Look) -> None:
    """LoS share over distance with 95 % intervals, against Table 7.4.2-1 where the model set the state."""
    title(axes, "LoS share over distance", "95 % intervals")
    los, distance = look.values("los"), look.distance
    known = None if los is None or distance is None else (los >= 0) & np.isfinite(distance)
    if los is None or distance is None or known is None or not known.any():
        return empty(axes, "no link states or no positions in this dataset")
    distance, state = distance[known], los[known] == 1
    bins = int(np.clip(len(state) // 40, 3, 12))
    edges = np.quantile(distance, np.linspace(0, 1, bins + 1))
    which = np.clip(np.searchsorted(edges, distance, side="right") - 1, 0, bins - 1)
    filled = [i for i in range(bins) if (which == i).any()]
    middle = np.array([distance[which == i].mean() for i in filled])
    share = np.array([state[which == i].mean() for i in filled])
    low, high = _wilson(share, np.array([np.sum(which == i) for i in filled]))
    errors = [np.maximum(share - low, 0), np.maximum(high - share, 0)]
    axes.errorbar(middle, share, errors, fmt="o", ms=3.5, color=LOS, elinewidth=1, label="dataset")
    line = np.linspace(distance.min(), distance.max(), 300)
    model = look.model
    if model is not None and model.los == "model":
        axes.plot(
            line,
            tr38901.los_probability(model.scenario, line, model.ue_height),
            color=INK,
            **REFERENCE,
            label=model.title,
        )
    elif model is not None and isinstance(model.los, int | float):
        axes.plot(line, np.full(300, float(model.los)), color=INK, **REFERENCE, label=f"asked for: {model.los:g}")
    axes.set(xlabel="horizontal distance (m)", ylabel="share of links", ylim=(-0.02, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="upper right")  # the dataset first
    return None


def _wilson(share: F64, count: npt.NDArray[np.int_], z: float = 1.96) -> tuple[F64, F64]:
    """Wilson's interval of a share; unlike the normal one it stays in [0, 1] and is right near 0 and 1."""
    scale = 1 + z**2 / count
    centre = (share + z**2 / (2 * count)) / scale
    half = z / scale * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return centre - half, centre + half


def delay_spread_cdf(axes: Axes, look: Look) -> None:
    """Distribution of the rms delay spread of the rays, LoS and NLoS, against lgDS of Table 7.5-6."""
    model = look.model
    title(axes, "Delay spread", "rays; dashed: lgDS of Table 7.5-6" if model else "rms, of the rays")
    drawn = False
    for name, colour, mask in _states(look):
        spread = look.finite("delay_spread_s", mask)
        spread = np.sort(1e9 * spread[spread > 0])
        if len(spread) < 2:
            continue
        drawn = True
        axes.step(
            spread,
            _levels(spread),
            where="post",
            color=colour,
            label=f"{name}, median {_round(float(np.median(spread)))} ns",
        )
        if model is not None:
            reference = tr38901.delay_spread_lg(model.scenario, model.carrier_hz, name == "LoS")
            lg = reference.mean + reference.deviation * np.linspace(-3, 3, 200)
            axes.plot(10 ** (lg + 9), reference.cdf(lg), color=colour, **REFERENCE)
    if not drawn:
        return empty(axes, "no delay spreads in this dataset")
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 50 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    _cdf_axes(axes, "rms delay spread (ns)")
    return None


def k_factor_cdf(axes: Axes, look: Look) -> None:
    """Distribution of the K factor of LoS links against Table 7.5-6."""
    model = look.model
    title(axes, "K factor", "LoS links; dashed: Table 7.5-6" if model else "LoS links")
    values = np.sort(look.finite("k_factor_db"))
    if len(values) < 2:
        return empty(axes, "no K factors: no link with line of sight")
    axes.step(values, _levels(values), where="post", color=LOS, label=f"LoS, median {np.median(values):.1f} dB")
    if model is not None:
        reference = tr38901.k_factor_db(model.scenario)
        line = reference.mean + reference.deviation * np.linspace(-3, 3, 200)
        label = f"{model.title}: {reference.mean:g} ± {reference.deviation:g} dB"
        axes.plot(line, reference.cdf(line), color=LOS, **REFERENCE, label=label)
    if values[-1] - values[0] < 1e-3:
        axes.set_xlim(values[0] - 5, values[0] + 5)
    _cdf_axes(axes, "K factor (dB)")
    return None


def _states(look: Look) -> list[tuple[str, str, npt.NDArray[np.bool_] | None]]:
    los = look.values("los")
    return [("all", INK, None)] if los is None else [("LoS", LOS, los == 1), ("NLoS", NLOS, los == 0)]


def _levels(values: F64) -> F64:
    return np.arange(1, len(values) + 1) / len(values)


def _round(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _cdf_axes(axes: Axes, label: str) -> None:
    axes.set(xlabel=label, ylabel="share of links below", ylim=(0, 1.2))  # room for the legend above the curves
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(loc="upper left")
