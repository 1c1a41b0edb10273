"""All precoders of the Type I single-panel codebook, mode 1, for 1 to 4 layers and fewer than 16 ports.

Ranks 1 and 2 are those of :mod:`wbench.channel.pmi_type1`; ranks 3 and 4 follow TS 38.214 Tables 5.2.2.2.1-7 and -8
with the offsets of Table 5.2.2.2.1-4. Ports are in the order of that module.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from wbench.channel.pmi_type1 import CONFIGURATIONS, Type1Codebook, dft_beams
from wbench.errors import SpecError

__all__ = ["rank_precoders"]

C64 = npt.NDArray[np.complex64]


@cache
def rank_precoders(n1: int, n2: int, rank: int) -> C64:
    """Every precoding matrix of one rank, read-only.

    Parameters
    ----------
    n1, n2 : int
        Columns and rows of the dual-polarised panel.
    rank : int
        Layers, 1 to 4.

    Returns
    -------
    complex64 ndarray [count, 2·N1·N2, rank]
        Orthogonal columns, Frobenius norm 1; in the order (i1,1, i1,2, i1,3, i2).

    Raises
    ------
    SpecError
        The configuration is not in the standard's table, the rank is not 1 to 4, or ranks 3 and 4 with 16 ports or
        more, for which the standard has another construction.
    """
    if rank in (1, 2):
        book = Type1Codebook(n1, n2, rank=rank)
        made: C64 = book.precoders().reshape(-1, book.ports, rank)
    else:
        ports = 2 * n1 * n2
        if rank not in (3, 4) or (n1, n2) not in CONFIGURATIONS or ports >= 16:
            why = f"rank {rank}, (N1, N2) = {(n1, n2)}"
            raise SpecError("There is no such codebook here.", where="rank_precoders", why=why)
        o1, o2 = CONFIGURATIONS[n1, n2]
        beams = dft_beams(n1, n2, o1, o2)
        found = [
            _stacked(beams[l, m], beams[(l + k1) % len(beams), (m + k2) % beams.shape[1]], 1j**n, rank)
            for l in range(n1 * o1)  # noqa: E741 - the standard's letter
            for m in range(n2 * o2)
            for k1, k2 in _offsets(n1, n2, o1, o2)
            for n in (0, 1)
        ]
        made = np.asarray(np.stack(found) / np.sqrt(rank * ports), dtype=np.complex64)
    made.setflags(write=False)
    return made


def _offsets(n1: int, n2: int, o1: int, o2: int) -> list[tuple[int, int]]:
    """(k1, k2) of the second beam, Table 5.2.2.2.1-4."""
    if n2 == 1:
        return [(k * o1, 0) for k in range(1, min(n1, 5))]
    return [(o1, 0), (0, o2), (o1, o2), *([(2 * o1, 0)] if n1 == 3 else [])]


def _stacked(v: C64, other: C64, phase: complex, rank: int) -> C64:
    """Layers v, v', v (and v') on one polarisation, with phase φ, φ, −φ (and −φ) on the other."""
    layers = [np.concatenate([v, phase * v]), np.concatenate([other, phase * other]), np.concatenate([v, -phase * v])]
    if rank == 4:
        layers.append(np.concatenate([other, -phase * other]))
    return np.stack(layers, axis=1)
