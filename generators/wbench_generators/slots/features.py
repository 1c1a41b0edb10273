"""The features of a slot: how they are stored, how they are estimated, and what they truly are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.rays import Rays
from wbench.dataset.schema import ArraySpec
from wbench_generators.slots.chain import Received, ray_power
from wbench_generators.slots.delay import block_correlation, delay_moments, profile_moments
from wbench_generators.slots.doppler import autocorrelation, doppler_width, ray_width
from wbench_generators.slots.frequency import frequency_correlation, group_channel
from wbench_generators.slots.link import BLOCK, Link
from wbench_generators.slots.noise import noise_covariance, noise_power
from wbench_generators.slots.params import MAX_GROUPS, MAX_LAYERS, MAX_PILOTS, MAX_RX, MAX_TX
from wbench_generators.slots.precoding import select
from wbench_generators.slots.temporal import correlation_of, time_covariance

__all__ = ["FEATURES", "estimated", "feature_arrays", "masks", "packed", "true_values"]

C64 = npt.NDArray[np.complex64]
C128 = npt.NDArray[np.complex128]
Features = dict[str, npt.NDArray[Any]]

#: Name -> (dimensions, padded shape, unit, meaning, mask array); complex where there is a shape.
FEATURES: dict[str, tuple[tuple[str, ...], tuple[int, ...], str, str, str]] = {
    "noise_covariance": (
        ("antenna", "antenna_2"), (MAX_RX, MAX_RX), "1", "covariance of noise and interference", "antenna_mask",
    ),
    "frequency_correlation": (
        ("group",), (MAX_GROUPS,), "1", "correlation over subcarrier groups, first column of a Toeplitz matrix",
        "group_mask",
    ),
    "time_covariance": (
        ("pilot", "pilot_2"), (MAX_PILOTS, MAX_PILOTS), "1", "covariance over the pilot symbols", "pilot_mask",
    ),
    "time_correlation": (
        ("pilot", "pilot_2"), (MAX_PILOTS, MAX_PILOTS), "1", "correlation over the pilot symbols", "pilot_mask",
    ),
    "delay_centre": ((), (), "s", "centre of the delay profile", ""),
    "delay_length": ((), (), "s", "length of the delay profile, rms", ""),
    "doppler_width": ((), (), "Hz", "rms Doppler spread", ""),
    "precoder": (
        ("port", "layer"), (MAX_TX, MAX_LAYERS), "1", "Type I precoder of the selected rank", "precoder_mask",
    ),
    "rank": ((), (), "1", "selected rank", ""),
    "spectral_efficiency": ((), (), "bit/s/Hz", "rate of the precoder with a linear MMSE receiver", ""),
}  # fmt: skip

_MASKS = {
    "antenna_mask": (("antenna", "antenna_2"), (MAX_RX, MAX_RX), "antennas there are"),
    "group_mask": (("group",), (MAX_GROUPS,), "subcarrier groups there are"),
    "pilot_mask": (("pilot", "pilot_2"), (MAX_PILOTS, MAX_PILOTS), "pilot symbols there are"),
    "precoder_mask": (("port", "layer"), (MAX_TX, MAX_LAYERS), "ports and layers of the estimated rank"),
    "precoder_true_mask": (("port", "layer"), (MAX_TX, MAX_LAYERS), "ports and layers of the true rank"),
}


def feature_arrays() -> tuple[ArraySpec, ...]:
    """Specs of the features, estimated (``NAME``) and true (``NAME_true``), and of their masks."""
    out = [ArraySpec(name, dims, shape, "bool", "1", text) for name, (dims, shape, text) in _MASKS.items()]
    for name, (dims, shape, unit, text, mask) in FEATURES.items():
        for suffix, kind in (("", "estimated"), ("_true", "true")):
            if not shape:
                dtype = "int8" if name == "rank" else "float32"
                out.append(ArraySpec(name + suffix, (), (), dtype, unit, f"{text}, {kind}"))
                continue
            own = "precoder_true_mask" if name + suffix == "precoder_true" else mask
            about = {"mask": own, "parts": "the last dimension is (real, imaginary)"}
            out.append(
                ArraySpec(name + suffix, (*dims, "part"), (*shape, 2), "float32", unit, f"{text}, {kind}", about)
            )
    return tuple(out)


def estimated(received: Received, link: Link, slots: int) -> Features:
    """Features of the last ``slots`` slots from what the receiver has.

    Parameters
    ----------
    received : Received
        Pilots and empty resource elements; the slots before serve the Doppler width alone.
    link : Link
        The run's combination.
    slots : int
        Slots to give features of.
    """
    covariance = noise_covariance(received.empty)
    noise = noise_power(covariance)
    found, group = _from_pilots(received.pilots, noise, link, slots)
    recent = slice(len(noise) - slots, None)
    found |= _reported(group[recent], covariance[recent])
    times = np.array(link.pilots) * link.symbol_s
    share = link.group_size // BLOCK
    curve = autocorrelation(group, noise / share, times, link.slot_s, len(noise) - slots + 1)
    return {**found, "noise_covariance": covariance[recent], "doppler_width": doppler_width(*curve)}


def true_values(channel: C64, gains: C64, rays: Rays, covariance: C128, link: Link, slots: int) -> Features:
    """The same features of the noise-free channel and the known parameters.

    Parameters
    ----------
    channel : complex64 ndarray [T, |S|, N_R, N_T, blocks]
        Noise-free channel at the pilots.
    gains : complex64 ndarray [T, |S|, N_R, N_T, L]
        Gains of the taps.
    rays : Rays
        The link; the spread of their Doppler shifts, as the antennas see them, is the Doppler width.
    covariance : complex128 ndarray [N_R, N_R]
        Covariance of noise and interference.
    link, slots
        As in :func:`estimated`.
    """
    recent = slice(len(channel) - slots, None)
    known = np.broadcast_to(covariance, (slots, *covariance.shape))
    found, group = _from_pilots(channel[recent], np.zeros(slots), link, slots)
    centre, length = profile_moments(gains[recent], rays.tau[0])
    found |= _reported(group, known)
    width = np.full(slots, ray_width(rays.nu[0], ray_power(rays, link)))
    return {
        **found, "delay_centre": centre, "delay_length": length, "noise_covariance": known, "doppler_width": width,
    }  # fmt: skip


def _from_pilots(pilots: C64, noise: npt.NDArray[np.float64], link: Link, slots: int) -> tuple[Features, C64]:
    centre, length = delay_moments(block_correlation(pilots, noise), BLOCK * link.spacing_hz)
    group = group_channel(pilots, link.pilot_frequencies(), link.group_frequencies(), centre)
    recent = slice(len(pilots) - slots, None)
    covariance = time_covariance(pilots[recent], noise[recent])
    share = link.group_size // BLOCK
    return {
        "frequency_correlation": frequency_correlation(group[recent], noise[recent] / share),
        "time_covariance": covariance,
        "time_correlation": correlation_of(covariance),
        "delay_centre": centre[recent],
        "delay_length": length[recent],
    }, group


def _reported(group: C64, covariance: C128) -> Features:
    rank, precoder, efficiency = select(group.mean(axis=1), covariance)
    return {"rank": rank, "precoder": precoder, "spectral_efficiency": efficiency}


def packed(features: Features, link: Link, suffix: str) -> Features:
    """Features as they are stored: padded with zeros, complex numbers as (real, imaginary)."""
    out: Features = {}
    for name, (_, shape, _, _, _) in FEATURES.items():
        values = features[name]
        if not shape:
            out[name + suffix] = values.astype(np.int8 if name == "rank" else np.float32)
            continue
        room = np.zeros((len(values), *shape, 2), dtype=np.float32)
        box = tuple(slice(size) for size in values.shape)
        room[..., 0][box], room[..., 1][box] = values.real, values.imag
        out[name + suffix] = room
    layers = np.arange(MAX_LAYERS) < features["rank"][:, None]
    ports = np.arange(MAX_TX) < link.tx_ports
    out["precoder_true_mask" if suffix else "precoder_mask"] = ports[:, None] & layers[:, None, :]
    return out


def masks(link: Link, slots: int) -> Features:
    """Masks that a run's slots share, repeated for each."""

    def box(most: int, size: int, square: bool) -> npt.NDArray[np.bool_]:
        line = np.arange(most) < size
        found = line[:, None] & line if square else line
        return np.repeat(found[None], slots, axis=0)

    return {
        "antenna_mask": box(MAX_RX, link.rx_ports, True),
        "group_mask": box(MAX_GROUPS, link.groups, False),
        "pilot_mask": box(MAX_PILOTS, len(link.pilots), True),
    }
