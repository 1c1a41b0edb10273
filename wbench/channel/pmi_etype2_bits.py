"""Payloads of the enhanced Type II codebook: the bits of a report, in the order of the standard.

A payload is the indicator of K^NZ (CSI part 1, TS 38.212 Table 6.3.2.1.2-3), then the PMI in the three priority groups
of TS 38.214 §5.2.3:

- group 0: i1,1, i1,2 and i1,8;
- group 1: i1,5, i1,6, the 2LMv − ⌊K^NZ/2⌋ bits of the bitmap i1,7 with the highest priority, i2,3, and the ⌈K^NZ/2⌉ − v
  amplitudes i2,4 and phases i2,5 with the highest priority;
- group 2: the rest of i1,7, i2,4 and i2,5.

Layer l, beam i and tap f have priority 2L·v·π(f) + v·i + l, the smallest first, with π = min(2·n3, 2·(N3 − n3) − 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wbench.channel.pmi_etype2 import EType2Codebook, EType2Pmi
from wbench.channel.pmi_fields import RowReader, combination_index, combination_of, pack_rows
from wbench.errors import SpecError

__all__ = ["decode", "encode"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Split:
    """How many fields of each kind are in group 1 and in group 2, by sample."""

    total: Integers
    bitmap: Integers
    reported: Integers

    @classmethod
    def of(cls, book: EType2Codebook, total: Integers) -> _Split:
        first = np.maximum(-(-total // 2) - book.rank, 0)
        return cls(total, book.widths["i17"] - total // 2, first)

    def masks(self, book: EType2Codebook, group: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which bitmap bits, and which reported coefficients, by priority rank, are in the group: bool [n, 2LMv]."""
        rank = np.arange(book.widths["i17"])
        bitmap, first = rank < self.bitmap[:, None], rank < self.reported[:, None]
        if group == 1:
            return bitmap, first
        return ~bitmap, ~first & (rank < self.total[:, None] - book.rank)


def _order(book: EType2Codebook, taps: Integers) -> Integers:
    """Flat (layer, beam, tap) numbers by priority: int64 [n, v·2L·M]."""
    v, rows = book.rank, 2 * book.beams
    pi = np.minimum(2 * taps, 2 * (book.subbands - taps) - 1)
    layer, beam = np.arange(v)[:, None, None], np.arange(rows)[:, None]
    priority = rows * v * pi[:, :, None, :] + v * beam + layer
    return np.argsort(priority.reshape(len(taps), book.widths["i17"]), axis=1)


def _by_priority(values: npt.NDArray[np.generic], order: Integers) -> Integers:
    return np.take_along_axis(values.reshape(order.shape), order, axis=1).astype(np.int64)


def _is_strongest(book: EType2Codebook, strongest: Integers) -> npt.NDArray[np.bool_]:
    beam, tap = np.arange(2 * book.beams)[:, None], np.arange(book.taps)
    return np.asarray((beam == strongest[..., None, None]) & (tap == 0))


def encode(book: EType2Codebook, pmi: EType2Pmi) -> tuple[list[bytes], Integers]:
    """Payloads of PMIs.

    Parameters
    ----------
    book : EType2Codebook
    pmi : EType2Pmi
        Of n samples, in canonical form.

    Returns
    -------
    payloads : list of bytes
        ⌈bits/8⌉ bytes each, most significant bit first.
    bits : int64 ndarray [n]
        ``book.payload_bits(K^NZ)``.

    Raises
    ------
    SpecError
        The PMI is not one of the codebook.
    """
    book.check(pmi)
    widths, order, total = book.widths, _order(book, pmi.taps), pmi.coefficients
    split = _Split.of(book, total)
    bitmap = _by_priority(pmi.nonzero, order)
    reported = _by_priority(pmi.nonzero & ~_is_strongest(book, pmi.strongest), order)
    # Reported coefficients first, in order of priority: the r-th column is the r-th of them.
    front = np.argsort(1 - reported, axis=1, kind="stable")
    k2, c = (np.take_along_axis(_by_priority(x, order), front, axis=1) for x in (pmi.k2, pmi.c))
    fields: list[tuple[npt.ArrayLike, npt.ArrayLike]] = [
        (total - 1, widths["K"]),
        (pmi.group, widths["i11"]),
        (combination_index(pmi.beams, book.panel.elements), widths["i12"]),
        (_strongest_field(book, pmi), _strongest_width(book, total)),
        (np.where(pmi.start < 0, pmi.start + 2 * book.taps, 0), widths["i15"]),
        (combination_index(_into_window(book, pmi) - 1, book.candidates - 1), widths["i16"]),
    ]
    for group in (1, 2):
        bits, coefficients = split.masks(book, group)
        fields.append((bitmap * bits, bits))
        if group == 1:
            fields.append((pmi.k1, widths["i23"]))
        fields += [(k2 * coefficients, 3 * coefficients), (c * coefficients, 4 * coefficients)]
    return pack_rows(fields)


def decode(book: EType2Codebook, payloads: Sequence[bytes]) -> EType2Pmi:
    """Inverse of :func:`encode`.

    Raises
    ------
    SpecError
        A payload has another length, or is not one that :func:`encode` makes.
    """
    reader, widths, v = RowReader(payloads), book.widths, book.rank
    n, cells = len(payloads), widths["i17"]
    total = reader.read(widths["K"])[:, 0] + 1
    if np.any((total < v) | (total > v * book.most)):
        raise SpecError("K^NZ is out of range.", where="eType II payload", why=f"up to {v * book.most}")
    group = reader.read(widths["i11"])[:, 0]
    beams = combination_of(reader.read(widths["i12"])[:, 0], book.panel.elements, book.beams)
    i18 = reader.read(_strongest_width(book, total), v)
    start = reader.read(widths["i15"])[:, 0]
    start = np.where(start > 0, start - 2 * book.taps, 0)
    taps = _from_window(book, reader.read(widths["i16"], v), start)
    order, split = _order(book, taps), _Split.of(book, total)
    bitmap, k2, c = (np.zeros((n, cells), dtype=np.int64) for _ in range(3))
    for number in (1, 2):
        bits, coefficients = split.masks(book, number)
        bitmap += reader.read(bits, cells)
        if number == 1:
            k1 = reader.read(widths["i23"], v)
        k2 += reader.read(3 * coefficients, cells)
        c += reader.read(4 * coefficients, cells)
    reader.finish()
    shape = (n, v, 2 * book.beams, book.taps)
    nonzero = _put(bitmap, order).reshape(shape).astype(bool)
    strongest = i18 if v > 1 else _nth_nonzero(nonzero[:, 0, :, 0], i18)
    if np.any(nonzero.sum(axis=(1, 2, 3)) != total):
        raise SpecError("The bitmap has another number of coefficients than K^NZ.", where="eType II payload")
    top = _is_strongest(book, strongest)
    reported = _by_priority(nonzero & ~top, order)
    place = np.maximum(np.cumsum(reported, axis=1) - 1, 0)
    level, phase = (_put(np.take_along_axis(x, place, axis=1) * reported, order).reshape(shape) for x in (k2, c))
    pmi = EType2Pmi(group, beams, start, taps, nonzero, strongest, k1, np.where(top, 7, level), phase)
    book.check(pmi)
    return pmi


def _put(by_priority: Integers, order: Integers) -> Integers:
    flat = np.zeros_like(by_priority)
    np.put_along_axis(flat, order, by_priority, axis=1)
    return flat


def _strongest_width(book: EType2Codebook, total: Integers) -> Integers:
    """⌈log2 K^NZ⌉ for rank 1, ⌈log2 2L⌉ per layer else: int64 [n, v]."""
    if book.rank > 1:
        return np.full((len(total), book.rank), book.widths["i18"], dtype=np.int64)
    return np.asarray(np.ceil(np.log2(total)), dtype=np.int64)[:, None]


def _strongest_field(book: EType2Codebook, pmi: EType2Pmi) -> Integers:
    """i1,8: for rank 1 the number of the strongest among those of tap 0 that are not zero, else i* of each layer."""
    if book.rank > 1:
        return pmi.strongest
    before = np.arange(2 * book.beams) < pmi.strongest
    return np.asarray(np.sum(pmi.nonzero[:, 0, :, 0] & before, axis=1, keepdims=True), dtype=np.int64)


def _nth_nonzero(column: npt.NDArray[np.bool_], number: Integers) -> Integers:
    found = column & (np.cumsum(column, axis=1) == number + 1)
    if not np.all(found.any(axis=1)):
        raise SpecError("The strongest coefficient is not in the bitmap.", where="eType II payload")
    return np.asarray(np.argmax(found, axis=1)[:, None], dtype=np.int64)


def _into_window(book: EType2Codebook, pmi: EType2Pmi) -> Integers:
    """Taps but the first as numbers 1 … candidates − 1, increasing: n3, beyond the window's end less N3 − 2M."""
    taps = pmi.taps[..., 1:]
    if not book.windowed:
        return taps
    end = (pmi.start + 2 * book.taps - 1)[:, None, None]
    return np.where(taps <= end, taps, taps - (book.subbands - 2 * book.taps))


def _from_window(book: EType2Codebook, i16: Integers, start: Integers) -> Integers:
    """Taps int64 [n, v, M] of i1,6."""
    number = combination_of(i16, book.candidates - 1, book.taps - 1) + 1
    if book.windowed:
        end = (start + 2 * book.taps - 1)[:, None, None]
        number = np.where(number <= end, number, number + book.subbands - 2 * book.taps)
    return np.concatenate([np.zeros_like(i16)[..., None], number], axis=-1)
