"""Choice of beams, taps and coefficients for the Type II codebooks, in batches.

The standard leaves the choice to the UE. Here beams are chosen by energy, and a precoder per sub-band, whose phase
means nothing, is turned to the phase that its own compressed form has best: without this step the phases that the
eigenvector routine happens to return would be taken for delays.

Every product is one per sample (stacked matmul), so that the choice for a sample does not depend on its batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.pmi_fields import Panel
from wbench.errors import ModelError
from wbench.task.batch import ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.codecs.common import check_ports

__all__ = ["Beams", "Taps", "align_to_strongest", "check_panel", "choose_beams", "choose_taps"]

Integers = npt.NDArray[np.int64]
Complex = npt.NDArray[np.complexfloating[Any, Any]]
Reals = npt.NDArray[np.floating[Any]]

CONCENTRATION = 0.25


def check_panel(spec: TaskSpec, meta: ChannelMeta) -> None:
    """Check that a sample is one vector over the ports of a dual-polarised panel per sub-band.

    Raises
    ------
    ModelError
        It is not.
    """
    check_ports(spec, meta)
    if meta.tx.polarisations != 2:
        raise ModelError(
            "The Type II codebooks are made for two polarisations.",
            where=f"task {spec.name}",
            why=f"the array has {meta.tx.polarisations}",
        )


@dataclass(frozen=True, eq=False)
class Beams:
    """Beams of n samples and the coefficients on them.

    Attributes
    ----------
    group, beams : int64 ndarray [n], [n, L]
        As in :class:`wbench.channel.pmi_etype2.EType2Pmi`.
    spectrum : complex64 ndarray [n, v, 2L, subband]
        Coefficients: a target is about Σ_i spectrum_i · beam_i, exactly so for L = N1·N2.
    """

    group: Integers
    beams: Integers
    spectrum: Complex


@dataclass(frozen=True, eq=False)
class Taps:
    """Taps of n samples and the coefficients on them, not quantised.

    Attributes
    ----------
    start : int64 ndarray [n]
        First tap of the window (≤ 0); 0 without one.
    taps : int64 ndarray [n, v, M]
        Increasing from 0; tap 0 holds the strongest coefficient.
    strongest : int64 ndarray [n, v]
        Its beam.
    amplitudes : complex64 ndarray [n, v, 2L, M]
        At most K0 per layer are not zero.
    """

    start: Integers
    taps: Integers
    strongest: Integers
    amplitudes: Complex


@cache
def _lags(n1: int, n2: int) -> tuple[Integers, Integers, npt.NDArray[np.float32]]:
    """Order of the element pairs by lag, start of each lag, and the real matrix from lags to beam energies."""
    panel = Panel(n1, n2)
    place = np.stack(np.divmod(np.arange(n1 * n2), n2), axis=1)
    lag = (place[None, :] - place[:, None]).reshape(-1, 2)  # of the pair (a, b): place_b − place_a
    names, number = np.unique(lag, axis=0, return_inverse=True)
    number = number.ravel()
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(len(names)))
    # conj(beam_a) · beam_b of any pair of a lag, for all beams
    pairs = order[starts]
    beams = panel.beams().reshape(-1, n1 * n2)
    steering = beams[:, pairs // (n1 * n2)].conj() * beams[:, pairs % (n1 * n2)]
    return order, starts, np.concatenate([steering.real, -steering.imag], axis=1).T.astype(np.float32)


def beam_energies(panel: Panel, targets: Complex) -> Reals:
    """Energy of the targets on every beam, |beam^H target|² summed over layers, sub-bands and polarisations.

    Parameters
    ----------
    panel : Panel
    targets : complex ndarray [n, v, subband, P]

    Returns
    -------
    float32 ndarray [n, O1·O2, N1·N2]

    Notes
    -----
    A quadratic form of a beam whose entries are phases depends on the covariance through its sums over equal lags only:
    a product with (2·N1 − 1)(2·N2 − 1) numbers instead of one with all rows.
    """
    rows = targets.reshape(len(targets), -1, panel.elements).astype(np.complex64, copy=False)
    covariance = rows.swapaxes(1, 2) @ rows.conj()  # [a, b] = Σ x_a conj(x_b)
    order, starts, steering = _lags(panel.n1, panel.n2)
    lags = np.add.reduceat(covariance.reshape(len(rows), -1)[:, order], starts, axis=1)
    energies = np.concatenate([lags.real, lags.imag], axis=1)[:, None, :] @ steering
    return np.asarray(energies.reshape(len(rows), panel.groups, panel.elements))


def choose_beams(panel: Panel, targets: Complex, count: int) -> Beams:
    """Choose the group of orthogonal beams and its ``count`` beams with the most energy.

    Of the groups, the one with the largest Σe + ‖e‖/4 over the energies e of its best beams: the second term decides
    between groups that hold (nearly) the same energy, as all groups of a row of beams do when L is the row's length.
    Few large coefficients are cheaper to report than many small ones.

    Parameters
    ----------
    panel : Panel
    targets : complex ndarray [n, v, subband, P]
    count : int
        L ≤ N1·N2.

    Returns
    -------
    Beams
    """
    energies = beam_energies(panel, targets)
    n, layers, subbands, _ = targets.shape
    top = np.argsort(-energies, axis=-1, kind="stable")[..., :count]
    best = np.take_along_axis(energies, top, axis=-1)
    group = np.argmax(best.sum(axis=-1) + CONCENTRATION * np.linalg.norm(best, axis=-1), axis=-1)
    beams = np.sort(top[np.arange(n), group], axis=-1)
    directions = panel.beams()[group[:, None], beams].conj() / np.float32(panel.elements)
    rows = targets.reshape(n, -1, panel.elements).astype(np.complex64, copy=False)
    found = (rows @ directions.swapaxes(1, 2)).reshape(n, layers, subbands, 2 * count)
    return Beams(group, beams, np.ascontiguousarray(found.swapaxes(2, 3)))


def align_to_strongest(spectrum: Complex) -> tuple[Complex, Integers]:
    """Turn every sub-band so that the beam with the most energy is real.

    Parameters
    ----------
    spectrum : complex ndarray [n, v, 2L, subband]

    Returns
    -------
    aligned : complex ndarray [n, v, 2L, subband]
    strongest : int64 ndarray [n, v]
    """
    strongest = np.argmax(_power(spectrum).sum(axis=-1), axis=-1)
    reference = np.take_along_axis(spectrum, strongest[..., None, None], axis=2)
    return spectrum * _unit(reference).conj(), strongest


def choose_taps(spectrum: Complex, taps: int, most: int, *, windowed: bool = False, alternations: int = 8) -> Taps:
    """Choose M taps and at most K0 coefficients per layer, and the phase of every sub-band.

    Parameters
    ----------
    spectrum : complex ndarray [n, v, 2L, subband]
        As of :func:`choose_beams`; a sub-band's phase is free.
    taps, most : int
        M and K0.
    windowed : bool
        Whether taps must lie in a window of 2M that holds tap 0, common to the layers.
    alternations : int
        Rounds of {choose taps and coefficients; turn every sub-band to the phase of their sum}.

    Returns
    -------
    Taps
        Of the strongest coefficients of the M taps with the most energy, seen from the strongest coefficient of all.
    """
    subbands = spectrum.shape[-1]
    forward = np.exp(-2j * np.pi * np.outer(np.arange(subbands), np.arange(subbands)) / subbands).astype(np.complex64)
    backward = np.ascontiguousarray(forward.conj())
    aligned, _ = align_to_strongest(spectrum)
    for _ in range(alternations):
        found, delay = _choose(aligned @ forward / subbands, taps, most, windowed)
        full = np.zeros_like(aligned)
        _scatter(full, (found.taps + delay[..., None]) % subbands, found.amplitudes)
        aligned = aligned * _unit(np.sum((full @ backward) * aligned.conj(), axis=2, keepdims=True))
    return _choose(aligned @ forward / subbands, taps, most, windowed)[0]


def _scatter(full: Complex, taps: Integers, amplitudes: Complex) -> None:
    index = np.broadcast_to(taps[:, :, None, :], amplitudes.shape)
    np.put_along_axis(full, index, amplitudes, axis=-1)


def _choose(delays: Complex, taps: int, most: int, windowed: bool) -> tuple[Taps, Integers]:
    """Taps and coefficients of ``delays`` [n, v, 2L, N3], and the delay [n, v] that became tap 0."""
    n, layers, _, subbands = delays.shape
    peak = np.argmax(_power(delays).reshape(n, layers, -1), axis=-1)
    strongest, delay = np.divmod(peak, subbands)
    seen = (np.arange(subbands) + delay[..., None]) % subbands
    delays = np.take_along_axis(delays, seen[:, :, None, :], axis=-1)
    energy = _power(delays).sum(axis=2)
    start = _window(energy, taps) if windowed else np.zeros(n, dtype=np.int64)
    if windowed:
        inside = (np.arange(subbands) - start[:, None]) % subbands < 2 * taps
        energy = np.where(inside[:, None], energy, -1)
    energy[..., 0] = np.inf
    chosen = np.sort(np.argsort(-energy, axis=-1, kind="stable")[..., :taps], axis=-1)
    amplitudes = np.take_along_axis(delays, chosen[:, :, None, :], axis=-1)
    flat = _power(amplitudes).reshape(n, layers, -1)
    drop = np.argsort(-flat, axis=-1, kind="stable")[..., most:]
    kept = np.ones(flat.shape, dtype=bool)
    np.put_along_axis(kept, drop, False, axis=-1)
    return Taps(start, chosen, strongest, amplitudes * kept.reshape(amplitudes.shape)), delay


def _window(energy: Reals, taps: int) -> Integers:
    """M_initial with the most energy in the M best taps of its window, tap 0 among them: int64 [n]."""
    subbands, best = energy.shape[-1], []
    for start in range(0, -2 * taps, -1):
        inside = (start + np.arange(2 * taps)) % subbands
        others = np.sort(energy[..., inside[inside != 0]], axis=-1)
        best.append(others[..., 2 * taps - 1 - (taps - 1) :].sum(axis=(1, 2)))
    return np.asarray(-np.argmax(np.stack(best, axis=-1), axis=-1), dtype=np.int64)


def _power(x: Complex) -> Reals:
    return np.asarray(x.real**2 + x.imag**2)


def _unit(x: Complex) -> Complex:
    size = np.abs(x)
    return np.asarray(np.where(size > 0, x, 1) / np.where(size > 0, size, 1))
