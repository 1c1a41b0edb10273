"""A dataset in a few lines: what it is, and what its channels are like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.delay import energy_taps
from wbench.dataset.encoding import achieved
from wbench.dataset.look import Look, take_look
from wbench.dataset.reader import Dataset

__all__ = ["array_rows", "array_text", "band_text", "byte_text", "frequency_text", "storage_rows", "summary_rows"]


def summary_rows(dataset: Dataset, look: Look | None = None) -> list[tuple[str, str]]:
    """Summary of a dataset as (label, text) lines.

    Parameters
    ----------
    dataset : Dataset
        Complete or not.
    look : Look, optional
        The samples that the figures are taken from; default :func:`wbench.dataset.look.take_look`. Without any shard
        there are no figures.

    Returns
    -------
    list of (str, str)
        Only lines that have something to say.
    """
    if look is None and len(dataset.missing_shards) < dataset.spec.shards:
        look = take_look(dataset)
    spec, attributes = dataset.spec, dataset.attributes
    rows = [
        ("recipe", f"{spec.recipe} v{spec.recipe_version}, size {spec.size}"),
        ("generator", f"{spec.generator} v{spec.generator_version}, seed {spec.seed}"),
        ("model", str(attributes.get("channel_model", ""))),
        ("samples", f"{spec.samples:,}"),
        ("written", f"{spec.shards - len(dataset.missing_shards):,} of {spec.shards:,} shards"),
        ("size", _sizes(dataset)),
        *storage_rows(dataset),
    ]
    rows += _radio_rows(attributes)
    if look is not None:
        rows += _statistics(look)
        rows.append(("figures from", f"{len(look.ids):,} samples" if len(look.ids) < spec.samples else ""))
    rows += [
        ("licence", str(attributes.get("licence", ""))),
        ("spec digest", spec.digest),
        ("content digest", "" if dataset.missing_shards else dataset.content_digest),
    ]
    return [(label, text) for label, text in rows if text]


def array_rows(dataset: Dataset, look: Look | None = None) -> list[dict[str, Any]]:
    """One row for each array: name, dimensions, shape, dtype, unit and range (of magnitudes, where complex)."""
    rows = []
    for name in dataset.array_names:
        array = dataset.array(name)
        row: dict[str, Any] = {"array": name, "dims": ", ".join(array.metadata.dimension_names or ())}
        row |= {"shape": " × ".join(map(str, array.shape)), "dtype": str(array.dtype)}
        row["unit"] = array.attrs.get("units", "")
        rows.append(row | (_range(look, name) if look is not None else {}))
    return rows


def _range(look: Look, name: str) -> dict[str, str]:
    # Some chunks of a channel tell its range as well as all of them do.
    parts = [np.abs(h) if np.iscomplexobj(h) else h for _, h in look.channel_chunks(name)]
    values = np.concatenate([part.astype(np.float64).ravel() for part in parts])
    values = values[np.isfinite(values)]
    if not len(values):
        return {"min": "–", "median": "–", "max": "–"}
    return {"min": f"{values.min():.4g}", "median": f"{np.median(values):.4g}", "max": f"{values.max():.4g}"}


def _sizes(dataset: Dataset) -> str:
    arrays = [dataset.array(name) for name in dataset.array_names]
    total = sum(array.nbytes for array in arrays)
    return f"{byte_text(total)} ({byte_text(total / max(1, len(dataset)))} a sample)"


def storage_rows(dataset: Dataset) -> list[tuple[str, str]]:
    """What lossy storage achieved, a line for each array; none for lossless datasets."""
    rows = []
    for name, a in achieved(dataset.entries).items():
        whole = dataset.array(name).nbytes / max(1, len(dataset))
        loss = f"NMSE {a['nmse_db']:.1f} dB, {a['nmse_worst_db']:.1f} dB at worst"
        size = f"{byte_text(a['bytes'])} a sample instead of {byte_text(whole)}"
        rows.append(("storage", f"{name} {dataset.spec.storage}: {loss}; {size}"))
    return rows


def _radio_rows(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    radio = attributes.get("radio")
    if not radio:
        return []
    carrier = attributes.get("carrier_hz")
    rows = [("carrier", frequency_text(float(carrier)) if carrier else "")]
    rows += [("Tx", array_text(radio["tx"])), ("Rx", array_text(radio["rx"]))]
    rows += [(name, band_text(band)) for name, band in radio["bands"].items()]
    if radio.get("time_steps", 1) > 1:
        rows.append(("snapshots", f"{radio['time_steps']} × {1e3 * radio['time_step_s']:g} ms"))
    return rows


def _statistics(look: Look) -> list[tuple[str, str]]:
    los = look.values("los")
    rows = []
    if los is not None and (los >= 0).any():
        absent = np.mean(los == -1)
        without = f", {100 * absent:.1f} % without a path" if absent else ""
        rows.append(("LoS share", f"{100 * np.mean(los[los >= 0] == 1):.1f} %{without}"))
    spread = 1e9 * look.finite("delay_spread_s")
    velocity = look.values("ue_velocity")
    speed = np.empty(0) if velocity is None else 3.6 * np.linalg.norm(velocity.astype(np.float64), axis=1)
    rows += [
        ("path gain", _three(look.finite("path_gain_db"), "dB")),
        ("delay spread", _three(spread, "ns")),
        ("K factor", _three(look.finite("k_factor_db"), "dB")),
        ("Doppler spread", _three(look.finite("doppler_spread_hz"), "Hz") if speed.any() else ""),
        ("speed", f"{speed.min():.3g} to {speed.max():.3g} km/h" if speed.any() else ""),
    ]
    for name in look.bands:
        taps = np.concatenate([energy_taps(h) for _, h in look.channel_chunks(name)])
        of = f" of {look.bands[name]['subcarriers']}" + (f" ({name})" if len(look.bands) > 1 else "")
        rows.append(("taps for 95 %", f"median {np.median(taps[taps > 0]):.0f}{of}" if (taps > 0).any() else ""))
    return rows


def _three(values: npt.NDArray[np.float64], unit: str) -> str:
    if not len(values):
        return ""
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    if np.isclose(low, high):
        return f"all {middle:.3g} {unit}"
    return f"median {middle:.3g} {unit} (10 to 90 %: {low:.3g} to {high:.3g})"


def array_text(array: dict[str, Any]) -> str:
    """An antenna array in words, from the dataset's ``radio`` attribute."""
    slants = [round(float(np.degrees(slant))) for slant in array["slants"]]
    names: dict[tuple[int, ...], str] = {(0,): "V", (90,): "H", (0, 90): "VH", (-45, 45): "±45°"}
    polarisation = names.get(tuple(slants), " and ".join(f"{slant}°" for slant in slants))
    ports = array["rows"] * array["cols"] * len(slants)
    return f"{array['rows']} × {array['cols']} {polarisation} {array['pattern']}, {ports} port{'s'[: ports > 1]}"


def band_text(band: dict[str, Any]) -> str:
    """A subcarrier grid in words."""
    width = band["subcarriers"] * band["spacing_hz"]
    return f"{band['subcarriers']} × {frequency_text(band['spacing_hz'])} = {frequency_text(width)}"


def frequency_text(hertz: float) -> str:
    """A frequency with its prefix."""
    return _prefixed(hertz, 1e3, ("Hz", "kHz", "MHz", "GHz"))


def byte_text(count: float) -> str:
    """A number of bytes with its prefix."""
    return _prefixed(count, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))


def _prefixed(value: float, step: float, units: Sequence[str]) -> str:
    index = 0
    while value >= step and index < len(units) - 1:
        value, index = value / step, index + 1
    return f"{value:.4g} {units[index]}"
