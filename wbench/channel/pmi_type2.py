"""Type II codebook of 3GPP TS 38.214 §5.2.2.2.3 (Rel-15), ranks 1 and 2: indices, precoders and payloads.

A precoder is a sum of L beams per polarisation with one amplitude for the band and a phase per sub-band; with sub-band
amplitudes, the strongest coefficients have one bit more per sub-band. Port order and signs:
:mod:`wbench.channel.pmi_type1`.

A payload is the numbers M_l of amplitudes that are not zero (CSI part 1), then i1,1, i1,2 and per layer i1,3 and i1,4,
then i2,1 and i2,2 of the even sub-bands and of the odd ones (TS 38.212 §6.3.2.1.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from wbench.channel.bits import bit_width
from wbench.channel.pmi_etype2 import superpose
from wbench.channel.pmi_fields import Panel, PanelCodebook, RowReader, combination_index, combination_of, pack_rows
from wbench.errors import SpecError

__all__ = ["P1", "P2", "Type2Codebook", "Type2Pmi"]

Integers = npt.NDArray[np.int64]
C64 = npt.NDArray[np.complex64]

#: Wideband amplitude by k(1), Table 5.2.2.2.3-2.
P1: Final = np.concatenate([[0.0], 2.0 ** (-(7 - np.arange(1, 8)) / 2)])
#: Sub-band amplitude by k(2), Table 5.2.2.2.3-3.
P2: Final = np.array([math.sqrt(0.5), 1.0])
#: L → K(2), coefficients with a sub-band amplitude, the strongest included, Table 5.2.2.2.3-4.
STRONG: Final = {2: 4, 3: 4, 4: 6}


@dataclass(frozen=True, eq=False)
class Type2Pmi:
    """PMIs of n samples, rank v, in canonical form: what is not reported has k2 = 1 and c = 0.

    Attributes
    ----------
    group : int64 ndarray [n]
        i1,1 = O2·q1 + q2, the group of orthogonal beams.
    beams : int64 ndarray [n, L]
        n⁽ⁱ⁾ = N1·n2 + n1, increasing.
    strongest : int64 ndarray [n, v]
        i1,3: its amplitudes and phase are 1 and are not reported.
    k1 : int64 ndarray [n, v, 2L]
        Wideband amplitude 0 … 7, of the strongest 7.
    k2, c : int64 ndarray [n, v, 2L, sub-band]
        Sub-band amplitude 0, 1 and phase 0 … N_PSK − 1, or 0 … 3 for the weak ones.
    """

    group: Integers
    beams: Integers
    strongest: Integers
    k1: Integers
    k2: Integers
    c: Integers

    def __len__(self) -> int:
        return len(self.group)

    @property
    def coefficients(self) -> Integers:
        """M_l, wideband amplitudes that are not zero, the strongest included: int64 [n, v]."""
        return np.asarray(np.sum(self.k1 > 0, axis=-1), dtype=np.int64)


@dataclass(frozen=True)
class Type2Codebook(PanelCodebook):
    """Type II codebook of one configuration.

    Attributes
    ----------
    n1, n2 : int
        Columns and rows of the dual-polarised panel.
    beams : int
        L = ``numberOfBeams``, 2, 3 or 4.
    subbands : int
        Sub-bands that i2 is reported for.
    phases : int
        N_PSK = ``phaseAlphabetSize``, 4 or 8.
    subband_amplitude : bool
        ``subbandAmplitude``.
    rank : int
        1 or 2 layers.

    Raises
    ------
    SpecError
        The standard does not allow the configuration.
    """

    beams: int
    subbands: int
    phases: int = 8
    subband_amplitude: bool = False
    rank: int = 1

    def __post_init__(self) -> None:
        most = 2 if Panel(self.n1, self.n2).elements == 2 else 4
        if not (2 <= self.beams <= most and self.subbands >= 1 and self.phases in (4, 8) and self.rank in (1, 2)):
            why = f"L = {self.beams}, {self.subbands} sub-bands, N_PSK = {self.phases}, rank {self.rank}"
            raise SpecError("TS 38.214 §5.2.2.2.3 does not allow this codebook.", where="Type2Codebook", why=why)

    @property
    def strong(self) -> int:
        """Most coefficients of a layer with full phases (and amplitudes per sub-band), the strongest included."""
        return STRONG[self.beams] if self.subband_amplitude else 2 * self.beams

    def payload_bits(self, coefficients: Sequence[int]) -> int:
        """Bits of the report with M_l = ``coefficients`` of the layers, their indicators included."""
        if len(coefficients) != self.rank or not all(1 <= m <= 2 * self.beams for m in coefficients):
            raise SpecError("M_l is out of range.", where="payload_bits", why=f"{coefficients}, 2L = {2 * self.beams}")
        beam, amplitudes = bit_width(2 * self.beams), 3 * (2 * self.beams - 1)
        choice = bit_width(self.panel.groups) + bit_width(math.comb(self.panel.elements, self.beams))
        full = bit_width(self.phases) + self.subband_amplitude
        bits = choice + self.rank * (2 * beam + amplitudes)
        for m in coefficients:
            bits += self.subbands * ((min(m, self.strong) - 1) * full + 2 * (m - min(m, self.strong)))
        return bits

    @property
    def max_bits(self) -> int:
        """Bits of the longest report."""
        return self.payload_bits([2 * self.beams] * self.rank)

    def sets(self, k1: Integers, strongest: Integers) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Coefficients with full phases and with coarse ones (QPSK), without the strongest: bool [n, v, 2L] each.

        The min(M, K2) − 1 with the largest k1 are the full ones; of equal k1, those with the smaller index.
        """
        top = np.arange(2 * self.beams) == strongest[..., None]
        reported = (k1 > 0) & ~top
        place = np.argsort(np.argsort(-np.where(reported, k1, 0), axis=-1, kind="stable"), axis=-1)
        full = reported & (place < self.strong - 1)
        return full, reported & ~full

    def check(self, pmi: Type2Pmi) -> None:
        """Check that PMIs belong to this codebook and are in canonical form.

        Raises
        ------
        SpecError
            They are not.
        """
        n, v, rows = len(pmi), self.rank, 2 * self.beams
        shapes = ((n,), (n, self.beams), (n, v), (n, v, rows)) + ((n, v, rows, self.subbands),) * 2
        found = (pmi.group, pmi.beams, pmi.strongest, pmi.k1, pmi.k2, pmi.c)
        self._check_shapes(found, shapes)
        top = np.arange(rows) == pmi.strongest[..., None]
        full, coarse = self.sets(pmi.k1, pmi.strongest)
        alphabet = np.where(full, self.phases, np.where(coarse, 4, 1))[..., None]
        rules = {
            "the group exists": np.all((pmi.group >= 0) & (pmi.group < self.panel.groups)),
            "beams increase": np.all(np.diff(pmi.beams, axis=-1) > 0)
            and np.all((pmi.beams >= 0) & (pmi.beams < self.panel.elements)),
            "k1 is 0 … 7, of the strongest 7": np.all((pmi.k1 >= 0) & (pmi.k1 <= 7))
            and top.sum() == n * v
            and np.all(pmi.k1[top] == 7),
            "c is in its alphabet, 0 if not reported": np.all((pmi.c >= 0) & (pmi.c < alphabet)),
            "k2 is 0 or 1, 1 if not reported": np.all((pmi.k2 == 1) | ((pmi.k2 == 0) & self._amplitude_mask(full))),
        }
        self._check_rules(rules)

    def _amplitude_mask(self, full: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        return full[..., None] & self.subband_amplitude

    def amplitudes(self, pmi: Type2Pmi) -> npt.NDArray[np.complex128]:
        """Coefficients p1·p2·φ: complex128 [n, v, 2L, sub-band], the strongest 1."""
        full, _ = self.sets(pmi.k1, pmi.strongest)
        alphabet = np.where(full, self.phases, 4)[..., None]
        return np.asarray(P1[pmi.k1][..., None] * P2[pmi.k2] * np.exp(2j * np.pi * pmi.c / alphabet))

    def precoders(self, pmi: Type2Pmi) -> C64:
        """Precoding matrices.

        Parameters
        ----------
        pmi : Type2Pmi

        Returns
        -------
        complex64 ndarray [n, sub-band, P, v]
            Columns of norm 1/√v.
        """
        self.check(pmi)
        return superpose(self.panel, pmi.group, pmi.beams, self.amplitudes(pmi), pmi.strongest)

    @property
    def _subband_order(self) -> Integers:
        """Even sub-bands, then odd ones."""
        return np.concatenate([np.arange(0, self.subbands, 2), np.arange(1, self.subbands, 2)])

    def _subband_widths(self, k1: Integers, strongest: Integers) -> Integers:
        """Widths of {i2,1 of each layer, i2,2 of each layer} of one sub-band: int64 [n, 2·v·2L]."""
        full, coarse = self.sets(k1, strongest)
        phase = np.where(full, bit_width(self.phases), np.where(coarse, 2, 0))
        amplitude = full & self.subband_amplitude
        widths = np.concatenate([phase, amplitude], axis=1).reshape(len(k1), 4 * self.rank * self.beams)
        return np.asarray(widths, dtype=np.int64)

    def encode(self, pmi: Type2Pmi) -> tuple[list[bytes], Integers]:
        """Payloads of PMIs in canonical form, and their bits ``payload_bits(M)``, int64 [n].

        Raises
        ------
        SpecError
            The PMI is not one of the codebook.
        """
        self.check(pmi)
        n, v, rows, beam = len(pmi), self.rank, 2 * self.beams, bit_width(2 * self.beams)
        others = np.arange(rows) != pmi.strongest[..., None]
        wideband = np.concatenate([pmi.strongest[..., None], pmi.k1 * others], axis=-1)
        widths = np.concatenate([np.full((n, v, 1), beam), 3 * others], axis=-1)
        each = self._subband_widths(pmi.k1, pmi.strongest)
        # k2 of what is not reported is 1 and has no bit.
        subband = np.concatenate([pmi.c, pmi.k2], axis=1).reshape(n, 2 * v * rows, self.subbands)
        ordered = (subband * (each > 0)[..., None])[..., self._subband_order].swapaxes(1, 2)
        return pack_rows([
            (pmi.coefficients - 1, beam),
            (pmi.group, bit_width(self.panel.groups)),
            (combination_index(pmi.beams, self.panel.elements), self._choice_width),
            (wideband.reshape(n, v * (rows + 1)), widths.reshape(n, v * (rows + 1))),
            (ordered.reshape(n, 2 * v * rows * self.subbands), np.tile(each, (1, self.subbands))),
        ])  # fmt: skip

    @property
    def _choice_width(self) -> int:
        return bit_width(math.comb(self.panel.elements, self.beams))

    def decode(self, payloads: Sequence[bytes]) -> Type2Pmi:
        """Inverse of :meth:`encode`.

        Raises
        ------
        SpecError
            A payload has another length, or is not one that :meth:`encode` makes.
        """
        reader, n, v, rows = RowReader(payloads), len(payloads), self.rank, 2 * self.beams
        indicated = reader.read(bit_width(rows), v) + 1
        group = reader.read(bit_width(self.panel.groups))[:, 0]
        beams = combination_of(reader.read(self._choice_width)[:, 0], self.panel.elements, self.beams)
        strongest, k1 = np.zeros((n, v), dtype=np.int64), np.zeros((n, v, rows), dtype=np.int64)
        for layer in range(v):
            strongest[:, layer] = reader.read(bit_width(rows))[:, 0]
            top = np.arange(rows) == strongest[:, layer, None]
            k1[:, layer] = np.where(top, 7, reader.read(np.where(top, 0, 3), rows))
        if np.any(np.sum(k1 > 0, axis=-1) != indicated):
            raise SpecError("The amplitudes do not agree with M_l.", where="Type II payload")
        each = self._subband_widths(k1, strongest)
        found = reader.read(np.tile(each, (1, self.subbands)), each.shape[1] * self.subbands)
        reader.finish()
        values = np.zeros((n, 2 * v * rows, self.subbands), dtype=np.int64)
        values[..., self._subband_order] = found.reshape(n, self.subbands, 2 * v * rows).swapaxes(1, 2)
        filled = np.where((each > 0)[..., None], values, np.repeat([0, 1], v * rows)[:, None])
        c, k2 = np.split(filled.reshape(n, 2 * v, rows, self.subbands), 2, axis=1)
        pmi = Type2Pmi(group, beams, strongest, k1, k2, c)
        self.check(pmi)
        return pmi
