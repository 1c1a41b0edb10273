"""Panels that are drawn from channels: power-delay profile, angular spectrum, one sample's magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wbench.channel.delay import cyclic_prefix_s
from wbench.dataset.figure.labels import colour_bar
from wbench.dataset.figure.style import INK, LOS, MAP, MUTED, NLOS, empty, title
from wbench.dataset.look import Look
from wbench.dataset.summary import frequency_text

__all__ = ["ChannelFigures", "angular_spectrum", "measure", "power_delay_profile", "sample_magnitude"]

F64 = npt.NDArray[np.float64]
Channel = npt.NDArray[np.complexfloating[Any, Any]]

#: Directions of the angular spectrum in degrees; finer than any beam of the shipped arrays.
DIRECTIONS: Final = np.arange(-90.0, 90.1, 2.0)
#: What the angular spectrum is averaged over at most: tones and snapshots far apart say as much as all of them.
TONES, SNAPSHOTS = 32, 4
FLOOR_DB: Final = -40.0
#: Delays are drawn this many times finer than they are resolved.
FINER: Final = 8


@dataclass(frozen=True)
class ChannelFigures:
    """What the panels need of the channels, measured in one pass over the chunks.

    Attributes
    ----------
    profiles : dict of str to float64 [2, K·8]
        Mean power-delay profile of NLoS and of LoS samples by band, each sample scaled to unit energy; NaN without.
    axis : {"horizontal", "vertical"} or None
        Which axis of the Tx array the spectrum is about.
    spectrum : float64 [samples, directions]
        Power by direction, rows of unit sum.
    positions : int64 [samples]
        Positions of these samples in the look.
    """

    profiles: dict[str, F64]
    axis: str | None
    spectrum: F64
    positions: npt.NDArray[np.int64]


def measure(look: Look) -> ChannelFigures:
    """Read the channels once."""
    los = look.values("los")
    state = np.zeros(len(look.ids), np.int64) if los is None else los.astype(np.int64)
    tx = look.radio.get("tx", {})
    axis = "horizontal" if tx.get("cols", 1) > 1 else "vertical" if tx.get("rows", 1) > 1 else None
    profiles: dict[str, F64] = {}
    spectra: list[F64] = []
    positions: list[npt.NDArray[np.int64]] = []
    for index, name in enumerate(look.bands):
        total, count = np.zeros((2, FINER * look.bands[name]["subcarriers"])), np.zeros((2, 1))
        for where, h in look.channel_chunks(name):
            for s in (0, 1):
                chosen = h[state[where] == s]
                if len(chosen):
                    total[s] += _profiles(chosen).sum(axis=0)
                    count[s] += len(chosen)
            if index == 0 and axis is not None:
                spectra.append(_spectra(h, tx, axis))
                positions.append(where)
        profiles[name] = total / np.where(count > 0, count, np.nan)
    spectrum = np.concatenate(spectra) if spectra else np.empty((0, len(DIRECTIONS)))
    return ChannelFigures(profiles, axis, spectrum, np.concatenate(positions) if positions else np.empty(0, np.int64))


def _profiles(h: Channel) -> F64:
    """Power over finely sampled delay of each sample, unit energy: [n, 8K]. A Hann window keeps side lobes down."""
    tones = h.shape[-1]
    window = np.hanning(tones + 2)[1:-1].astype(np.float32)
    flat = h.reshape(len(h), -1, tones)
    out = np.zeros((len(h), FINER * tones))
    for i, links in enumerate(flat):  # sample by sample: the fine grid is eight times the channel
        taps = np.fft.ifft(links * window, FINER * tones, axis=-1)
        out[i] = np.sum(taps.real.astype(np.float64) ** 2 + taps.imag.astype(np.float64) ** 2, axis=0)
    energy = out.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(out, energy, out=np.zeros_like(out), where=energy > 0))


def _spectra(h: Channel, tx: dict[str, Any], axis: str) -> F64:
    """Bartlett spectrum of each sample along one axis of the array, unit sum: [n, directions]."""
    n, snapshots, _, _, tones = h.shape
    cols, rows = tx["cols"], tx["rows"]
    times = np.unique(np.linspace(0, snapshots - 1, min(SNAPSHOTS, snapshots)).astype(int))
    picked = np.unique(np.linspace(0, tones - 1, min(TONES, tones)).astype(int))
    part = h[:, times][..., picked]
    # Ports are pol·N + col·rows + row: [n, snapshot, rx, pol, col, row, tone]
    grid = part.reshape(n, len(times), h.shape[2], -1, cols, rows, len(picked))
    along, spacing = (4, tx["dh"]) if axis == "horizontal" else (5, -tx["dv"])  # row 0 is on top
    grid = np.moveaxis(grid, along, -1)
    phase = 2j * np.pi * spacing * np.outer(np.arange(grid.shape[-1]), np.sin(np.radians(DIRECTIONS)))
    beams = grid.reshape(n, -1, grid.shape[-1]) @ np.exp(-phase).astype(np.complex64)
    power = np.sum(beams.real.astype(np.float64) ** 2 + beams.imag.astype(np.float64) ** 2, axis=1)
    total = power.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(power, total, out=np.zeros_like(power), where=total > 0))


def power_delay_profile(axes: Axes, look: Look, figures: ChannelFigures) -> None:
    """Mean power-delay profile of LoS and NLoS links in each band."""
    if max((band["subcarriers"] for band in look.bands.values()), default=0) < 4:
        title(axes, "Power-delay profile")
        return empty(axes, "fewer than four subcarriers resolve no delay")
    finest = min(1 / (b["subcarriers"] * b["spacing_hz"]) for b in look.bands.values())
    title(axes, "Power-delay profile", f"mean of links of unit energy; resolution {_seconds(finest)}")
    styles = ["-", (0, (1, 1.2)), (0, (4, 1, 1, 1))]
    known = look.values("los") is not None
    states = [(1, LOS, "LoS"), (0, NLOS, "NLoS")] if known else [(0, INK, "all")]
    far, several = 0.0, len(figures.profiles) > 1
    for (name, profile), style in zip(figures.profiles.items(), styles, strict=False):
        band = look.bands[name]
        length = profile.shape[1]
        # Delays wrap at 1/Δf: the last quarter is what the window smears to before 0.
        delay = np.fft.fftshift(np.fft.fftfreq(length)) / band["spacing_hz"]
        early = delay < -0.25 / band["spacing_hz"]
        delay = np.where(early, delay + 1 / band["spacing_hz"], delay)
        order = np.argsort(delay)
        for state, colour, text in states:
            if not np.isfinite(profile[state]).all() or not profile[state].any():
                continue
            power = np.fft.fftshift(profile[state])
            level = 10 * np.log10(np.maximum(power / power.max(), 1e-9))[order]
            label = f"{text}, {frequency_text(band['subcarriers'] * band['spacing_hz'])}" if several else text
            axes.plot(1e6 * delay[order], level, linestyle=style, color=colour, label=label)
            above = delay[order][level > FLOOR_DB + 10]
            far = max(far, float(above.max()) if len(above) else 0.0)
    if not axes.lines:
        return empty(axes, "no link with a path")
    prefix = cyclic_prefix_s(b["spacing_hz"] for b in look.bands.values())
    right = 1e6 * max(1.05 * far, 4 * finest)
    axes.set(xlabel="delay (µs)", ylabel="power (dB)", ylim=(FLOOR_DB, 2), xlim=(-0.15 * right, right))
    if prefix is not None and 1e6 * prefix < right:
        axes.axvline(1e6 * prefix, color=MUTED, linewidth=0.9, linestyle=":")
        where = (1e6 * prefix, FLOOR_DB + 1)
        axes.text(*where, "cyclic prefix ", color=MUTED, fontsize=6.5, rotation=90, va="bottom", ha="right")
    axes.legend(loc="upper right")
    return None


def _seconds(value: float) -> str:
    return f"{1e6 * value:.3g} µs" if value >= 1e-6 else f"{1e9 * value:.3g} ns"


def angular_spectrum(figure: Figure, axes: Axes, look: Look, figures: ChannelFigures) -> None:
    """Mean Tx spectrum of users in the same direction: a ridge on the diagonal is the direct path."""
    if figures.axis is None or not len(figures.spectrum):
        title(axes, "Angular spectrum, Tx")
        return empty(axes, "the Tx array has a single element")
    cosine = np.full(len(figures.positions), np.nan)
    if look.direction is not None:
        cosine = look.direction[figures.positions, 1 if figures.axis == "horizontal" else 2]
    known = np.isfinite(cosine)
    if not known.any():
        title(axes, "Angular spectrum, Tx", f"{figures.axis}, mean of all links")
        mean = figures.spectrum.mean(axis=0)
        axes.plot(DIRECTIONS, 10 * np.log10(np.maximum(mean / max(mean.max(), 1e-300), 1e-9)), color=INK)
        axes.set(xlabel="direction (°)", ylabel="power (dB)", xlim=(-90, 90))
        return None
    title(axes, "Angular spectrum, Tx", f"{figures.axis}; dashed: straight to the user")
    spectrum, user = figures.spectrum[known], np.degrees(np.arcsin(np.clip(cosine[known], -1, 1)))
    bins = int(np.clip(len(user) // 12, 4, 30))
    edges = np.linspace(user.min(), user.max() + 1e-6, bins + 1)
    which = np.searchsorted(edges, user, side="right") - 1
    image = np.full((bins, len(DIRECTIONS)), np.nan)
    for i in range(bins):
        if (which == i).any():
            mean = spectrum[which == i].mean(axis=0)
            image[i] = 10 * np.log10(np.maximum(mean / max(mean.max(), 1e-300), 1e-9))
    centres = (edges[:-1] + edges[1:]) / 2
    axes.grid(False)
    axes.pcolormesh(DIRECTIONS, centres, image, cmap=MAP, vmin=-20, vmax=0, shading="nearest", rasterized=True)
    axes.plot(edges[[0, -1]], edges[[0, -1]], color="white", linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set(xlabel="direction at the array (°)", ylabel="direction of the user (°)", xlim=(-90, 90))
    axes.set_ylim(edges[0], edges[-1])
    axes.set_xticks([-90, -45, 0, 45, 90])
    colour_bar(figure, axes, -20, 0)
    return None


def sample_magnitude(figure: Figure, axes: Axes, look: Look) -> None:
    """Magnitude of one sample: snapshots or Tx ports over subcarriers."""
    name = next(iter(look.bands), None)
    if name is None:
        title(axes, "One sample")
        return empty(axes, "no channel with subcarriers")
    sample = _typical(look)
    h = np.asarray(look.dataset.array(name)[sample : sample + 1])[0]
    band = look.bands[name]
    los = look.values("los")
    state = "" if los is None else {1: ", LoS", 0: ", NLoS"}.get(int(los[look.ids == sample][0]), ", no path")
    title(axes, f"|H| of sample {sample}{state}", f"{name}, first Rx port{', first Tx port' if len(h) > 1 else ''}")
    megahertz = 1e-6 * (band["first_hz"] + band["spacing_hz"] * np.arange(band["subcarriers"]))
    image = np.abs(h[:, 0, 0] if len(h) > 1 else h[0, 0]).astype(np.float64)
    level = 20 * np.log10(np.maximum(image / max(image.max(), 1e-300), 1e-6))
    steps = 1e3 * look.radio["time_step_s"] if len(h) > 1 else 1.0
    rows, name_of_rows = steps * np.arange(len(image)), "time (ms)" if len(h) > 1 else "Tx port"
    if image.size == 1:
        return empty(axes, f"a single number: {20 * np.log10(max(float(image[0, 0]), 1e-300)):.1f} dB")
    if 1 in image.shape:
        place = megahertz if len(image) == 1 else rows
        axes.plot(place, level.ravel(), color=LOS)
        axes.set(xlabel="frequency off the carrier (MHz)" if len(image) == 1 else name_of_rows, ylabel="magnitude (dB)")
        return None
    axes.set(xlabel="frequency off the carrier (MHz)", ylabel=name_of_rows)
    axes.grid(False)
    axes.pcolormesh(megahertz, rows, level, cmap=MAP, vmin=-30, vmax=0, shading="nearest", rasterized=True)
    colour_bar(figure, axes, -30, 0)
    return None


def _typical(look: Look) -> int:
    """Sample id of the median path gain, or the first one."""
    gain = look.values("path_gain_db")
    if gain is None or not np.isfinite(gain).any():
        return int(look.ids[0])
    order = np.argsort(np.where(np.isfinite(gain), gain, np.inf), kind="stable")
    return int(look.ids[order[np.isfinite(gain).sum() // 2]])
