"""From rays to what the receiver has of a run: noisy pilots of every port, and noise on empty resource elements.

Pilots are as those of a CSI-RS of density 1: in every resource block port p sends a known symbol of power 1 on
subcarrier p (TS 38.211, 7.4.1.5; here on the symbols S instead of the standard's places). Four more resource elements
of the block stay empty, as in CSI-IM (TS 38.214, 5.2.2.4): what is received there is noise and interference. Removing
the known pilot symbol, of modulus 1, leaves circular noise as it is, so noise is drawn after that step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from wbench.channel.rays import Rays
from wbench.channel.synthesis import Grid, synthesize
from wbench_generators.slots.link import Link

__all__ = [
    "EMPTY",
    "Received",
    "interfered_noise",
    "pilot_channel",
    "ray_power",
    "receive",
    "tap_gains",
    "within_prefix",
]

C64 = npt.NDArray[np.complex64]
C128 = npt.NDArray[np.complex128]
F64 = npt.NDArray[np.float64]

#: Empty resource elements of a resource block and pilot symbol.
EMPTY = 4


@dataclass(frozen=True)
class Received:
    """What the receiver has.

    Attributes
    ----------
    pilots : complex64 ndarray [T, |S|, N_R, N_T, blocks]
        Least-squares channel estimates at the pilots.
    empty : complex64 ndarray [T, |S|, N_R, 4, blocks]
        Noise and interference on the empty resource elements.
    """

    pilots: C64
    empty: C64


def tap_gains(rays: Rays, link: Link, slots: int, before: int) -> C64:
    """Gain of every tap at the pilot symbols: complex64 [slots, |S|, N_R, N_T, L].

    Parameters
    ----------
    rays : Rays
        One link.
    link : Link
        The run's combination.
    slots, before : int
        Number of slots, and how many of them lie before time 0.

    Notes
    -----
    The core's synthesis is asked for the taps at delays l/L s on L tones 1 Hz apart: an inverse DFT then gives the
    gain of each tap, and any comb of subcarriers follows from them.
    """
    taps = rays.taps
    spread = replace(rays, tau=np.arange(taps, dtype=np.float64)[None, :] / taps)
    out = []
    for symbol in link.pilots:
        start = symbol * link.symbol_s - before * link.slot_s
        turned = rays.g * np.exp(2j * np.pi * ((rays.nu.astype(np.float64) * start) % 1.0))
        moved = replace(spread, g=turned.astype(np.complex64))
        tones = synthesize(moved, link.tx, link.rx, Grid(taps, 1.0), slots, link.slot_s)[0]
        out.append(np.fft.ifft(tones, axis=-1).astype(np.complex64))
    return np.stack(out, axis=1)


def within_prefix(rays: Rays, prefix_s: float) -> Rays:
    """The same record without the rays after the cyclic prefix: intersymbol interference is not modelled."""
    late = np.repeat(rays.tau > prefix_s, rays.seg, axis=1)
    return replace(rays, g=np.where(late, np.complex64(0), rays.g))


def ray_power(rays: Rays, link: Link) -> F64:
    """Power of each ray, summed over the pairs of ports: what is left of it by patterns and slants: float64 [P]."""
    single = replace(rays, seg=(1,) * rays.rays, tau=np.arange(rays.rays, dtype=np.float64)[None, :] / rays.rays)
    tones = synthesize(single, link.tx, link.rx, Grid(rays.rays, 1.0))[0]
    return np.asarray(np.sum(np.abs(np.fft.ifft(tones, axis=-1)).astype(np.float64) ** 2, axis=(0, 1, 2)))


def pilot_channel(gains: C64, tau: F64, link: Link) -> C64:
    """Noise-free channel at the pilots: complex64 [T, |S|, N_R, N_T, blocks].

    Parameters
    ----------
    gains : complex64 ndarray [T, |S|, N_R, N_T, L]
        Gains of the taps.
    tau : float64 ndarray [L]
        Their delays in s.
    link : Link
    """
    turns = link.pilot_frequencies()[:, None, :] * tau[:, None]  # [N_T, L, blocks]
    phases = np.exp(-2j * np.pi * (turns % 1.0)).astype(np.complex64)
    *front, ports, taps = gains.shape
    rows = np.moveaxis(gains, 3, 0).reshape(ports, -1, taps)
    return np.moveaxis((rows @ phases).reshape(ports, *front, -1), 0, 3)


def interfered_noise(link: Link, rng: np.random.Generator) -> C128:
    """Covariance of thermal noise and one interferer: complex128 [N_R, N_R].

    The interferer has rank 1 and an isotropic random signature. The mean over the antennas is the power that the run's
    SNR asks for at unit mean channel gain.
    """
    signature = rng.standard_normal((link.rx_ports, 2)) @ np.array([1, 1j])
    signature /= np.linalg.norm(signature)
    power = 10.0 ** (link.interference_db / 10)
    shape = np.eye(link.rx_ports) + power * link.rx_ports * np.outer(signature, signature.conj())
    return np.asarray(shape / (1.0 + power) * 10.0 ** (-link.snr_db / 10), dtype=np.complex128)


def receive(channel: C64, covariance: C128, rng: np.random.Generator) -> Received:
    """Add noise of a covariance to the pilots, and draw that of the empty resource elements.

    Parameters
    ----------
    channel : complex64 ndarray [T, |S|, N_R, N_T, blocks]
        Noise-free channel at the pilots.
    covariance : complex128 ndarray [N_R, N_R]
        Covariance of noise and interference.
    rng : numpy.random.Generator
    """
    colour = (np.linalg.cholesky(covariance) * np.sqrt(0.5)).astype(np.complex64)

    def noise(count: int) -> C64:
        steps, symbols, rx, _, blocks = channel.shape
        white = rng.standard_normal((steps, symbols, rx, count * blocks, 2), dtype=np.float32).view(np.complex64)
        return np.asarray((colour @ white[..., 0]).reshape(steps, symbols, rx, count, blocks))

    return Received(channel + noise(channel.shape[3]), noise(EMPTY))
