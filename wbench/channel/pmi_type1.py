"""Type I single-panel codebook of 3GPP TS 38.214 §5.2.2.2.1, ranks 1 and 2, modes 1 and 2, and its PMI bits.

Ports. The standard counts pol·N1·N2 + n1·N2 + n2; an :class:`~wbench.channel.array.Array` counts pol·N + col·rows +
row. With N1 = columns and N2 = rows the two numbers are the same, and no port is permuted.

Signs. Row 0 of an ``Array`` is on top, while the standard leaves the direction of n2 open; and a precoder w serves a
wave of steering vector a best when w ∝ a*, so that v_{l,m} points to dh·y' = −l/(O1·N1) and dv·z' = +m/(O2·N2).
Neither matters for rank 1: conjugating the ports, or counting one axis backwards, maps the set of precoders onto
itself (l → −l, m → −m, n → −n) up to one common phase. For rank 2 with two different beams it maps onto a set with
other co-phasing, which is a different codebook of the same geometry: keep the port order of this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from wbench.channel.bits import bit_width, pack_bits, unpack_bits
from wbench.errors import SpecError

__all__ = ["CONFIGURATIONS", "Type1Codebook", "dft_beams"]

C64 = npt.NDArray[np.complex64]

#: (N1, N2) → (O1, O2), TS 38.214 Table 5.2.2.2.1-2.
CONFIGURATIONS: Final = {
    (2, 1): (4, 1), (2, 2): (4, 4), (4, 1): (4, 1), (3, 2): (4, 4), (6, 1): (4, 1), (4, 2): (4, 4), (8, 1): (4, 1),
    (4, 3): (4, 4), (6, 2): (4, 4), (12, 1): (4, 1), (4, 4): (4, 4), (8, 2): (4, 4), (16, 1): (4, 1),
}  # fmt: skip
#: Beam (l, m) inside a mode-2 group of 2 × 2 beams, Tables 5.2.2.2.1-5 and -6; N2 = 1 uses the first two.
GROUP: Final = ((0, 0), (1, 0), (0, 1), (1, 1))


def dft_beams(n1: int, n2: int, o1: int, o2: int) -> C64:
    """Oversampled DFT beams v_{l,m}, not normalised.

    Parameters
    ----------
    n1, n2, o1, o2 : int
        Columns, rows and their oversampling.

    Returns
    -------
    complex64 ndarray [N1·O1, N2·O2, N1·N2]
        ``v_{l,m}[n1·N2 + n2] = exp(j2π(l·n1/(O1·N1) + m·n2/(O2·N2)))``.
    """
    columns = np.exp(2j * np.pi * np.outer(np.arange(n1 * o1), np.arange(n1)) / (n1 * o1))
    rows = np.exp(2j * np.pi * np.outer(np.arange(n2 * o2), np.arange(n2)) / (n2 * o2))
    beams = columns[:, None, :, None] * rows[None, :, None, :]
    return np.asarray(beams.reshape(n1 * o1, n2 * o2, n1 * n2), dtype=np.complex64)


@dataclass(frozen=True)
class Type1Codebook:
    """Type I single-panel codebook of one antenna configuration.

    Attributes
    ----------
    n1, n2 : int
        Columns and rows of the dual-polarised panel.
    rank : int
        1 or 2 layers.
    mode : int
        ``codebookMode``: 1 reports the beam for the whole band; 2 a group of beams, and the beam per sub-band.
    subbands : int
        Sub-bands that i2 is reported for.

    Raises
    ------
    SpecError
        The configuration is not in the standard's table, or rank or mode is not 1 or 2.
    """

    n1: int
    n2: int
    rank: int = 1
    mode: int = 1
    subbands: int = 1

    def __post_init__(self) -> None:
        if (self.n1, self.n2) not in CONFIGURATIONS:
            raise SpecError(
                "This antenna configuration is not in TS 38.214 Table 5.2.2.2.1-2.", where="Type1Codebook",
                why=f"(N1, N2) = {(self.n1, self.n2)}", next_step=f"use one of {sorted(CONFIGURATIONS)}",
            )  # fmt: skip
        if self.rank not in (1, 2) or self.mode not in (1, 2) or self.subbands < 1:
            raise SpecError(
                "Rank and mode are 1 or 2, and there is at least one sub-band.", where="Type1Codebook",
                why=f"rank {self.rank}, mode {self.mode}, {self.subbands} sub-bands",
            )  # fmt: skip

    @property
    def oversampling(self) -> tuple[int, int]:
        """(O1, O2)."""
        return CONFIGURATIONS[self.n1, self.n2]

    @property
    def ports(self) -> int:
        """CSI-RS ports P = 2·N1·N2."""
        return 2 * self.n1 * self.n2

    @cached_property
    def beams(self) -> C64:
        """All v_{l,m}: complex64 [N1·O1, N2·O2, N1·N2]."""
        return dft_beams(self.n1, self.n2, *self.oversampling)

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """(k1, k2) per i1,3: the beam of the second layer (Table 5.2.2.2.1-3); only (0, 0) for rank 1."""
        o1, o2 = self.oversampling
        if self.rank == 1:
            return ((0, 0),)
        if self.n2 == 1:
            return tuple((k * o1, 0) for k in range(2 if self.n1 == 2 else 4))
        last = (o1, o2) if self.n1 == self.n2 else (2 * o1, 0)
        return ((0, 0), (o1, 0), (0, o2), last)

    @property
    def index_shape(self) -> tuple[int, int, int, int]:
        """Number of values of (i1,1, i1,2, i1,3, i2)."""
        o1, o2 = self.oversampling
        beams1, beams2, phases = self.n1 * o1, self.n2 * o2, 4 // self.rank
        if self.mode == 1:
            return beams1, beams2, len(self.offsets), phases
        if self.n2 == 1:
            return beams1 // 2, 1, len(self.offsets), 2 * phases
        return beams1 // 2, beams2 // 2, len(self.offsets), 4 * phases

    def beam_index(self, i11: int, i12: int, i2: int) -> tuple[int, int, int]:
        """(l, m, n): beam and co-phasing that the indices stand for."""
        if self.mode == 1:
            return i11, i12, i2
        member, n = divmod(i2, 4 // self.rank)
        return 2 * i11 + GROUP[member][0], 2 * i12 + GROUP[member][1], n

    def precoder(self, i11: int, i12: int, i13: int, i2: int) -> C64:
        """Precoding matrix of one PMI.

        Parameters
        ----------
        i11, i12, i13, i2 : int
            Indices below :attr:`index_shape`.

        Returns
        -------
        complex64 ndarray [P, rank]
            ``[v; φ_n v]/√P`` or ``[v v'; φ_n v −φ_n v']/√(2P)``, φ_n = e^{jπn/2}: Frobenius norm 1.

        Raises
        ------
        SpecError
            An index is out of range.
        """
        indices = (i11, i12, i13, i2)
        if any(not 0 <= index < size for index, size in zip(indices, self.index_shape, strict=True)):
            raise SpecError("A PMI index is out of range.", where="Type1Codebook", why=f"{indices}, {self.index_shape}")
        l, m, n = self.beam_index(i11, i12, i2)  # noqa: E741 - the standard's letter
        k1, k2 = self.offsets[i13]
        phase = 1j**n
        v = self.beams[l, m]
        layers = [np.concatenate([v, phase * v])]
        if self.rank == 2:
            other = self.beams[(l + k1) % self.beams.shape[0], (m + k2) % self.beams.shape[1]]
            layers.append(np.concatenate([other, -phase * other]))
        return np.asarray(np.stack(layers, axis=1) / np.sqrt(self.rank * self.ports), dtype=np.complex64)

    def precoders(self) -> C64:
        """All precoding matrices: complex64 [i1,1, i1,2, i1,3, i2, P, rank]."""
        shape = self.index_shape
        every = [self.precoder(*index) for index in np.ndindex(*shape)]
        return np.stack(every).reshape(*shape, self.ports, self.rank)

    @property
    def widths(self) -> tuple[int, ...]:
        """Bits of i1,1, i1,2, i1,3 (rank 2 only), and of i2 per sub-band (TS 38.212 Table 6.3.1.1.2-1)."""
        i11, i12, i13, i2 = (bit_width(size) for size in self.index_shape)
        wideband = (i11, i12) if self.rank == 1 else (i11, i12, i13)
        return (*wideband, *(i2,) * self.subbands)

    @property
    def bits(self) -> int:
        """Bits of the PMI of all sub-bands, exact."""
        return sum(self.widths)

    def pack(self, i11: int, i12: int, i13: int, i2: Sequence[int]) -> bytes:
        """Encode a PMI.

        Parameters
        ----------
        i11, i12, i13 : int
            Wideband indices; i13 is 0 for rank 1.
        i2 : sequence of int
            One index per sub-band.

        Returns
        -------
        bytes
            ⌈bits/8⌉ bytes, most significant bit first.
        """
        if len(i2) != self.subbands or (self.rank == 1 and i13 != 0):
            raise SpecError("The PMI does not fit the codebook.", where="pack", why=f"i13 = {i13}, {len(i2)} × i2")
        wideband = (i11, i12) if self.rank == 1 else (i11, i12, i13)
        return pack_bits((*wideband, *(int(i) for i in i2)), self.widths)

    def unpack(self, payload: bytes) -> tuple[int, int, int, tuple[int, ...]]:
        """Inverse of :meth:`pack`: (i1,1, i1,2, i1,3, i2 per sub-band)."""
        fields = unpack_bits(payload, self.widths)
        i13 = 0 if self.rank == 1 else fields[2]
        return fields[0], fields[1], i13, tuple(fields[-self.subbands :])
