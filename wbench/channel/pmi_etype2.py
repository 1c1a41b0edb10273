"""Enhanced Type II codebook of 3GPP TS 38.214 §5.2.2.2.5 (Rel-16), ranks 1 and 2: indices and precoders.

A precoder is a sum of L beams per polarisation, each with M delay taps; of the 2L·M coefficients at most K0 are not
zero. Payloads are in :mod:`wbench.channel.pmi_etype2_bits`. Port order and signs: :mod:`wbench.channel.pmi_type1`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from wbench.channel.bits import bit_width
from wbench.channel.pmi_fields import Panel, PanelCodebook
from wbench.errors import SpecError

__all__ = ["COMBINATIONS", "P1", "P2", "EType2Codebook", "EType2Pmi", "combine", "superpose"]

Integers = npt.NDArray[np.int64]
C64 = npt.NDArray[np.complex64]

#: paramCombination-r16 → (L, p_v for v ≤ 2, β), Table 5.2.2.2.5-1.
COMBINATIONS: Final = {
    1: (2, Fraction(1, 4), Fraction(1, 4)), 2: (2, Fraction(1, 4), Fraction(1, 2)),
    3: (4, Fraction(1, 4), Fraction(1, 4)), 4: (4, Fraction(1, 4), Fraction(1, 2)),
    5: (4, Fraction(1, 4), Fraction(3, 4)), 6: (4, Fraction(1, 2), Fraction(1, 2)),
    7: (6, Fraction(1, 4), Fraction(1, 2)), 8: (6, Fraction(1, 4), Fraction(3, 4)),
}  # fmt: skip
#: Reference amplitude of the weaker polarisation by k(1) (0 is reserved), Table 5.2.2.2.5-2.
P1: Final = np.concatenate([[0.0], 2.0 ** (-(15 - np.arange(1, 16)) / 4)])
#: Differential amplitude by k(2), Table 5.2.2.2.5-3.
P2: Final = 2.0 ** (-(7 - np.arange(8)) / 2)
LONG = 19  # with more PMI sub-bands than this the taps lie in a window, §5.2.2.2.5


@dataclass(frozen=True, eq=False)
class EType2Pmi:
    """PMIs of n samples, rank v, in canonical form: what is not reported is 0, but k2 of the strongest is 7.

    Attributes
    ----------
    group : int64 ndarray [n]
        i1,1 = O2·q1 + q2, the group of orthogonal beams.
    beams : int64 ndarray [n, L]
        n⁽ⁱ⁾ = N1·n2 + n1, increasing.
    start : int64 ndarray [n]
        M_initial in (−2M, 0]; 0 where N3 ≤ 19.
    taps : int64 ndarray [n, v, M]
        n3⁽ᶠ⁾, increasing from 0; tap 0 holds the strongest coefficient.
    nonzero : bool ndarray [n, v, 2L, M]
        k(3), the bitmap.
    strongest : int64 ndarray [n, v]
        i*, in tap 0; its amplitude and phase are 1 and are not reported.
    k1 : int64 ndarray [n, v]
        Reference amplitude of the other polarisation, 1 … 15.
    k2, c : int64 ndarray [n, v, 2L, M]
        Differential amplitude 0 … 7 and phase 0 … 15.
    """

    group: Integers
    beams: Integers
    start: Integers
    taps: Integers
    nonzero: npt.NDArray[np.bool_]
    strongest: Integers
    k1: Integers
    k2: Integers
    c: Integers

    def __len__(self) -> int:
        return len(self.group)

    @property
    def coefficients(self) -> Integers:
        """K^NZ, coefficients that are not zero, over all layers: int64 [n]."""
        return np.asarray(self.nonzero.sum(axis=(1, 2, 3)), dtype=np.int64)


@dataclass(frozen=True)
class EType2Codebook(PanelCodebook):
    """Enhanced Type II codebook of one configuration.

    Attributes
    ----------
    n1, n2 : int
        Columns and rows of the dual-polarised panel.
    combination : int
        ``paramCombination-r16``, 1 … 8.
    subbands : int
        N3, the number of PMI sub-bands, 1 … 37.
    rank : int
        1 or 2 layers.
    per_cqi : int
        R = ``numberOfPMI-SubbandsPerCQI-Subband``, 1 or 2.

    Raises
    ------
    SpecError
        The standard does not allow the configuration.
    """

    combination: int
    subbands: int
    rank: int = 1
    per_cqi: int = 1

    def __post_init__(self) -> None:
        ports = 2 * Panel(self.n1, self.n2).elements
        why = None
        if self.combination not in COMBINATIONS or self.rank not in (1, 2) or self.per_cqi not in (1, 2):
            why = f"paramCombination {self.combination}, rank {self.rank}, R = {self.per_cqi}"
        elif not 1 <= self.subbands <= (LONG if self.per_cqi == 1 else 37):
            why = f"{self.subbands} PMI sub-bands with R = {self.per_cqi}"
        elif ports == 4 and self.combination > 2:
            why = f"paramCombination {self.combination} with 4 ports"
        elif self.combination > 6 and (ports < 32 or self.per_cqi == 2):
            why = f"paramCombination {self.combination} with {ports} ports and R = {self.per_cqi}"
        if why:
            raise SpecError("TS 38.214 §5.2.2.2.5 does not allow this codebook.", where="EType2Codebook", why=why)

    @property
    def beams(self) -> int:
        """L, beams per polarisation."""
        return COMBINATIONS[self.combination][0]

    @property
    def taps(self) -> int:
        """M = ⌈p·N3/R⌉."""
        return math.ceil(COMBINATIONS[self.combination][1] * self.subbands / self.per_cqi)

    @property
    def most(self) -> int:
        """K0 = ⌈β·2L·M⌉, the most coefficients of a layer that are not zero; of all layers together ≤ 2·K0."""
        return math.ceil(COMBINATIONS[self.combination][2] * 2 * self.beams * self.taps)

    @property
    def windowed(self) -> bool:
        """Whether the taps lie in a window of 2M (N3 > 19)."""
        return self.subbands > LONG

    @property
    def candidates(self) -> int:
        """Number of taps that the M are chosen from: N3, or 2M in a window."""
        return 2 * self.taps if self.windowed else self.subbands

    @cached_property
    def widths(self) -> dict[str, int]:
        """Bits of the fields of fixed width, by index name; ``K`` is the indicator of K^NZ in CSI part 1.

        i1,6 is per layer, i1,8 per layer (at K^NZ = K0 for rank 1, where it is ⌈log2 K^NZ⌉), i2,3 per layer.
        """
        return {
            "K": bit_width(self.rank * self.most),
            "i11": bit_width(self.panel.groups),
            "i12": bit_width(math.comb(self.panel.elements, self.beams)),
            "i15": bit_width(2 * self.taps) if self.windowed else 0,
            "i16": bit_width(math.comb(self.candidates - 1, self.taps - 1)),
            "i17": 2 * self.beams * self.taps * self.rank,
            "i18": bit_width(self.most if self.rank == 1 else 2 * self.beams),
            "i23": 4,
        }

    def payload_bits(self, coefficients: int) -> int:
        """Bits of the report when ``coefficients`` = K^NZ are not zero, indicator of K^NZ included.

        TS 38.212 §6.3.2.1.2; 7 bits per coefficient but the strongest of each layer.
        """
        if not self.rank <= coefficients <= self.rank * self.most:
            raise SpecError("K^NZ is out of range.", where="payload_bits", why=f"{coefficients}, K0 = {self.most}")
        w, v = self.widths, self.rank
        i18 = bit_width(coefficients) if v == 1 else v * w["i18"]
        fixed = w["K"] + w["i11"] + w["i12"] + w["i15"] + v * w["i16"] + w["i17"] + i18 + v * w["i23"]
        return fixed + 7 * (coefficients - v)

    @property
    def max_bits(self) -> int:
        """Bits of the longest report."""
        return self.payload_bits(self.rank * self.most)

    def in_window(self, taps: Integers, start: Integers) -> npt.NDArray[np.bool_]:
        """Which taps [n, ...] may be chosen: {(M_initial + i) mod N3, i < 2M} if N3 > 19, else all of N3."""
        first = start.reshape(-1, *(1,) * (taps.ndim - 1))
        inside = (taps >= 0) & (taps < self.subbands)
        return inside & ((taps - first) % self.subbands < 2 * self.taps) if self.windowed else inside

    def check(self, pmi: EType2Pmi) -> None:
        """Check that PMIs belong to this codebook and are in canonical form.

        Raises
        ------
        SpecError
            They are not.
        """
        n, v, rows, taps = len(pmi), self.rank, 2 * self.beams, self.taps
        shapes = ((n,), (n, self.beams), (n,), (n, v, taps), (n, v), (n, v)) + ((n, v, rows, taps),) * 3
        found = (pmi.group, pmi.beams, pmi.start, pmi.taps, pmi.strongest, pmi.k1, pmi.nonzero, pmi.k2, pmi.c)
        self._check_shapes(found, shapes)
        if n == 0:
            return
        rows_of = np.arange(rows)[:, None]
        top = (rows_of == pmi.strongest[..., None, None]) & (np.arange(taps) == 0)
        reported = pmi.nonzero & ~top
        rules = {
            "the strongest coefficient is not zero": np.all(pmi.nonzero[top]) and top.sum() == n * v,
            "the group exists": np.all((pmi.group >= 0) & (pmi.group < self.panel.groups)),
            "beams increase": np.all(np.diff(pmi.beams, axis=-1) > 0)
            and np.all((pmi.beams >= 0) & (pmi.beams < self.panel.elements)),
            "taps increase from 0": np.all(pmi.taps[..., 0] == 0) and np.all(np.diff(pmi.taps, axis=-1) > 0),
            "taps are in the window": np.all(self.in_window(pmi.taps, pmi.start)),
            "M_initial is in its window": np.all(
                (pmi.start <= 0) & (pmi.start > -2 * taps) if self.windowed else pmi.start == 0
            ),
            "k1 is 1 … 15": np.all((pmi.k1 >= 1) & (pmi.k1 <= 15)),
            "k2 is 0 … 7, of the strongest 7": np.all((pmi.k2 >= 0) & (pmi.k2 <= 7)) and np.all(pmi.k2[top] == 7),
            "c is 0 … 15": np.all((pmi.c >= 0) & (pmi.c <= 15)),
            "what is not reported is 0": not np.any(pmi.c[~reported]) and not np.any(pmi.k2[~reported & ~top]),
            "no layer has more than K0 coefficients": pmi.nonzero.sum(axis=(2, 3)).max() <= self.most,
        }
        self._check_rules(rules)

    def amplitudes(self, pmi: EType2Pmi) -> npt.NDArray[np.complex128]:
        """Coefficients p1·p2·φ: complex128 [n, v, 2L, M], the strongest 1."""
        other = (np.arange(2 * self.beams) >= self.beams) != (pmi.strongest[..., None] >= self.beams)
        reference = np.where(other, P1[pmi.k1][..., None], 1.0)[..., None]
        return np.asarray(pmi.nonzero * reference * P2[pmi.k2] * np.exp(2j * np.pi * pmi.c / 16))

    def precoders(self, pmi: EType2Pmi) -> C64:
        """Precoding matrices.

        Parameters
        ----------
        pmi : EType2Pmi

        Returns
        -------
        complex64 ndarray [n, N3, P, v]
            Columns of norm 1/√v. Where all taps cancel in a sub-band, which the standard leaves undefined (0/0), the
            strongest beam alone.
        """
        self.check(pmi)
        return combine(self.panel, pmi.group, pmi.beams, self.amplitudes(pmi), pmi.taps, pmi.strongest, self.subbands)


def combine(
    panel: Panel,
    group: Integers,
    beams: Integers,
    amplitudes: npt.NDArray[np.complexfloating],
    taps: Integers,
    strongest: Integers,
    subbands: int,
) -> C64:
    """Sum beams and taps to normalised precoders, with any (also not quantised) coefficients.

    Parameters
    ----------
    panel : Panel
    group, beams : int64 ndarray [n], [n, L]
    amplitudes : complex ndarray [n, v, 2L, M]
    taps : int64 ndarray [n, v, M]
    strongest : int64 ndarray [n, v]
        Beam that stands alone where all others cancel.
    subbands : int
        N3.

    Returns
    -------
    complex64 ndarray [n, N3, P, v]
        Columns of norm 1/√v.
    """
    phase = np.arange(subbands) * taps[..., None] % subbands
    spectrum = amplitudes @ np.exp(2j * np.pi * np.arange(subbands) / subbands)[phase]  # [n, v, 2L, N3]
    return superpose(panel, group, beams, spectrum, strongest)


def superpose(
    panel: Panel,
    group: Integers,
    beams: Integers,
    spectrum: npt.NDArray[np.complexfloating],
    strongest: Integers,
) -> C64:
    """Precoders of beam coefficients per sub-band, complex [n, v, 2L, N3]; the rest as in :func:`combine`."""
    n, v, rows, subbands = spectrum.shape
    power = np.sum(spectrum.real**2 + spectrum.imag**2, axis=2, keepdims=True)
    alone = np.arange(rows)[:, None] == strongest[..., None, None]
    cancelled = power < 1e-20
    unit = np.where(cancelled, alone, spectrum) / np.sqrt(np.where(cancelled, 1.0, power) * panel.elements * v)
    directions = panel.beams()[group[:, None], beams]  # [n, L, element]
    halves = unit.transpose(0, 3, 1, 2).reshape(n, subbands * v * 2, rows // 2) @ directions
    columns = halves.reshape(n, subbands, v, 2 * panel.elements)
    return np.ascontiguousarray(columns.swapaxes(2, 3), dtype=np.complex64)
