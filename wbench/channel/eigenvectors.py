"""Dominant eigenvectors of a channel per sub-band: the precoders that prediction and feedback are judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["dominant_eigenvectors"]


def dominant_eigenvectors(
    channel: npt.NDArray[np.complexfloating[Any, Any]], subbands: int
) -> npt.NDArray[np.complex64]:
    """Dominant eigenvector of Σ_k HᴴH over the subcarriers of each sub-band, of norm 1, largest entry real.

    Parameters
    ----------
    channel : complex ndarray [..., rx, tx, subcarrier]
        CFR; the number of subcarriers is a multiple of ``subbands``.
    subbands : int
        Sub-bands.

    Returns
    -------
    complex64 ndarray [..., subband, tx]
        Rank-1 precoders w (3GPP TS 38.214, 5.2.2.2: one PMI per sub-band). A zero channel gives the first unit vector.
    """
    *lead, rx, tx, subcarriers = channel.shape
    h = channel.reshape(-1, rx, tx, subbands, subcarriers // subbands).astype(np.complex128)
    stacked = h.transpose(0, 3, 1, 4, 2).reshape(len(h), subbands, -1, tx)  # A [rx·subcarrier, tx]; Σ HᴴH = AᴴA
    if stacked.shape[-2] >= tx:
        vector = np.linalg.eigh(stacked.conj().swapaxes(-1, -2) @ stacked)[1][..., -1]
    else:  # the smaller problem: AAᴴu = λu gives AᴴA(Aᴴu) = λ(Aᴴu)
        left = np.linalg.eigh(stacked @ stacked.conj().swapaxes(-1, -2))[1][..., -1:]
        vector = (stacked.conj().swapaxes(-1, -2) @ left)[..., 0]
        norm = np.linalg.norm(vector, axis=-1, keepdims=True)
        vector = np.where(norm > 0, vector / np.where(norm > 0, norm, 1.0), np.eye(tx)[0])
    largest = np.take_along_axis(vector, np.argmax(np.abs(vector), axis=-1)[..., None], axis=-1)
    turned = vector * (np.abs(largest) / largest)
    return np.asarray(turned.reshape(*lead, subbands, tx), dtype=np.complex64)
