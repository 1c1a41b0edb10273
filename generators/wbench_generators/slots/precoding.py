"""Rank, Type I precoder and spectral efficiency that a UE would report."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.channel.pmi_type1_ranks import rank_precoders
from wbench_generators.slots.params import MAX_LAYERS

__all__ = ["best_precoder", "gram", "select", "spectral_efficiency"]

C64 = npt.NDArray[np.complex64]
C128 = npt.NDArray[np.complex128]
F64 = npt.NDArray[np.float64]

#: Two precoders whose rates differ by less than this are a tie: the first one wins on every machine.
TIE = 1e-5


def gram(channel: C64, covariance: C128) -> C128:
    """Whitened Gram matrices ``Hᴴ R⁻¹ H`` of each group: complex128 [T, B, N_T, N_T].

    Parameters
    ----------
    channel : complex64 ndarray [T, N_R, N_T, B]
    covariance : complex128 ndarray [T, N_R, N_R]
        Of noise and interference.
    """
    h = np.moveaxis(channel, 3, 1).astype(np.complex128)
    white = np.linalg.solve(np.linalg.cholesky(covariance)[:, None], h)
    return np.asarray(white.conj().swapaxes(-1, -2) @ white)


def best_precoder(mean: C128, codebook: C64) -> C128:
    """Precoder of one rank for the whole band, the largest ``log det(I + Wᴴ G W)``: complex128 [T, N_T, rank].

    Parameters
    ----------
    mean : complex128 ndarray [T, N_T, N_T]
        Gram matrix, mean over the groups.
    codebook : complex64 ndarray [count, N_T, rank]
    """
    count, ports, rank = codebook.shape
    wide = codebook.astype(np.complex128)
    right = mean @ np.moveaxis(wide, 0, 1).reshape(ports, count * rank)
    right = np.moveaxis(right.reshape(len(mean), ports, count, rank), 1, 2)
    inner = wide.conj().swapaxes(-1, -2) @ right + np.eye(rank)
    rate = np.linalg.slogdet(inner)[1]
    return np.asarray(wide[np.argmax(rate > rate.max(axis=1, keepdims=True) - TIE, axis=1)])


def spectral_efficiency(grams: C128, precoder: C128) -> F64:
    """Rate of a linear MMSE receiver, mean over the groups: float64 [T] in bit/s/Hz.

    Parameters
    ----------
    grams : complex128 ndarray [T, B, N_T, N_T]
        :func:`gram`.
    precoder : complex128 ndarray [T, N_T, rank]

    Notes
    -----
    ``Σ_l log2(1 + SINR_l)`` with ``1 + SINR_l = 1/[(I + Wᴴ G W)⁻¹]_ll`` (E. Björnson, J. Hoydis and L. Sanguinetti,
    Massive MIMO Networks, 2017, Sec. 4.1; no rate cap of a modulation).
    """
    w = precoder[:, None]
    inner = w.conj().swapaxes(-1, -2) @ grams @ w + np.eye(precoder.shape[2])
    error = np.diagonal(np.linalg.inv(inner), axis1=-2, axis2=-1).real
    return np.asarray(-np.log2(error).sum(axis=-1).mean(axis=-1))


def select(channel: C64, covariance: C128) -> tuple[npt.NDArray[np.int8], C64, F64]:
    """Rank with the highest spectral efficiency, its precoder and that efficiency.

    Parameters
    ----------
    channel : complex64 ndarray [T, N_R, N_T, B]
        Channel of the subcarrier groups; N_T ports as N_T/2 dual-polarised columns.
    covariance : complex128 ndarray [T, N_R, N_R]
        Of noise and interference.

    Returns
    -------
    rank : int8 ndarray [T]
    precoder : complex64 ndarray [T, N_T, 4]
        Frobenius norm 1; columns beyond the rank are 0.
    efficiency : float64 ndarray [T]
        bit/s/Hz.
    """
    steps, rx, ports, _ = channel.shape
    grams = gram(channel, covariance)
    mean = grams.mean(axis=1)
    best: F64 = np.full(steps, -np.inf)
    rank = np.zeros(steps, dtype=np.int8)
    precoder = np.zeros((steps, ports, MAX_LAYERS), dtype=np.complex64)
    for layers in range(1, min(rx, MAX_LAYERS) + 1):
        chosen = best_precoder(mean, rank_precoders(ports // 2, 1, layers))
        efficiency = spectral_efficiency(grams, chosen)
        better = efficiency > best + TIE
        best = np.where(better, efficiency, best)
        rank[better] = layers
        precoder[better] = 0
        precoder[better, :, :layers] = chosen[better]
    return rank, precoder, best
