"""What the Type II codebooks share: payloads packed in batches, combinatorial indices, orthogonal beams.

A payload is a sequence of unsigned fields whose widths differ from sample to sample, most significant bit first. Both
directions work on whole batches: :func:`pack_rows` and :class:`RowReader`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.pmi_type1 import CONFIGURATIONS, dft_beams
from wbench.errors import SpecError

__all__ = ["Panel", "PanelCodebook", "RowReader", "combination_index", "combination_of", "pack_rows"]

Integers = npt.NDArray[np.int64]
C64 = npt.NDArray[np.complex64]


def pack_rows(fields: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]) -> tuple[list[bytes], Integers]:
    """Concatenate unsigned fields, row by row.

    Parameters
    ----------
    fields : sequence of (values, widths)
        Integers [n] or [n, m]; widths in bits: a scalar, [n], or what broadcasts to [n, m]. Width 0 holds 0 only.

    Returns
    -------
    payloads : list of bytes
        ⌈bits/8⌉ bytes each, most significant bit first, padded with zero bits.
    bits : int64 ndarray [n]

    Raises
    ------
    SpecError
        A value does not fit its width.
    """
    raw = [np.asarray(values, dtype=np.int64) for values, _ in fields]
    columns: list[Integers] = [values[:, None] if values.ndim == 1 else values for values in raw]
    widths: Integers = np.concatenate(
        [_widths(width, c) for (_, width), c in zip(fields, columns, strict=True)], axis=1
    )
    values = np.concatenate(columns, axis=1)
    wrong = np.argwhere((values < 0) | (values >> widths != 0))
    if len(wrong):
        at, field = wrong[0]
        why = f"{values[at, field]} in {widths[at, field]} bits"
        raise SpecError("A value does not fit its field.", where=f"row {at}, field {field}", why=why)
    place = np.arange(max(int(widths.max(initial=0)), 1))[::-1]
    shape = (len(values), values.shape[1] * len(place))
    used = (place < widths[..., None]).reshape(shape)
    every = (values[..., None] >> place & 1).astype(np.uint8).reshape(shape)
    bits = widths.sum(axis=1)
    stream = np.zeros((len(values), 8 * -(-int(bits.max(initial=0)) // 8)), dtype=np.uint8)
    stream[np.nonzero(used)[0], (np.cumsum(used, axis=1) - 1)[used]] = every[used]
    return [
        line[: -(-size // 8)].tobytes() for line, size in zip(np.packbits(stream, axis=1), bits.tolist(), strict=True)
    ], bits


def _widths(width: npt.ArrayLike, values: Integers) -> Integers:
    widths = np.asarray(width, dtype=np.int64)
    return np.broadcast_to(widths[:, None] if widths.ndim == 1 else widths, values.shape)


class RowReader:
    """Reads what :func:`pack_rows` wrote, field by field.

    Parameters
    ----------
    payloads : sequence of bytes
        One per sample, of any lengths.
    """

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self.sizes = np.array([8 * len(payload) for payload in payloads], dtype=np.int64)
        longest = int(self.sizes.max(initial=0)) // 8
        data = b"".join(bytes(payload).ljust(longest, b"\0") for payload in payloads)
        rows = np.frombuffer(data, dtype=np.uint8).reshape(len(payloads), longest)
        self.stream = np.unpackbits(rows, axis=1).astype(np.int64)
        self.at: Integers = np.zeros(len(payloads), dtype=np.int64)

    def read(self, widths: npt.ArrayLike, count: int = 1) -> Integers:
        """Next ``count`` fields of every row.

        Parameters
        ----------
        widths : int, int array [n] or one that broadcasts to [n, count]
            Bits of each field.
        count : int
            Number of fields.

        Returns
        -------
        int64 ndarray [n, count]

        Raises
        ------
        SpecError
            A payload is too short.
        """
        width = _widths(widths, np.zeros((len(self.sizes), count), dtype=np.int64))
        ends = self.at[:, None] + np.cumsum(width, axis=1)
        if width.size and np.any(ends[:, -1] > self.sizes):
            raise SpecError("The payload has another length.", where="PMI payload", why="it ends inside a field")
        # Bit j of a field, counted from its least significant one, is at ends − 1 − j.
        place = np.arange(max(int(width.max(initial=0)), 1))
        wanted = place < width[..., None]
        at = np.where(wanted, ends[..., None] - 1 - place, 0)
        found = self.stream[np.arange(len(at))[:, None, None], at] if self.stream.size else np.zeros_like(at)
        self.at = ends[:, -1] if count else self.at
        return np.asarray(np.sum(np.where(wanted, found, 0) << place, axis=-1), dtype=np.int64)

    def finish(self) -> None:
        """Check that only zero padding, less than a byte, is left.

        Raises
        ------
        SpecError
            It is not: the payload was not made by the encoder.
        """
        rest = self.sizes - self.at
        if np.any(rest >= 8):
            raise SpecError("The payload has another length.", where="PMI payload", why="bytes are left over")
        beyond = np.arange(self.stream.shape[1]) >= self.at[:, None]
        if np.any(self.stream[beyond]):
            raise SpecError("Padding bits are set.", where="PMI payload", why="the encoder pads with zeros")


@cache
def _binomials(size: int, chosen: int) -> Integers:
    """C(x, y) for x < size and y ≤ chosen: TS 38.214 Tables 5.2.2.2.3-1 and 5.2.2.2.5-4 in closed form."""
    return np.array([[math.comb(x, y) for y in range(chosen + 1)] for x in range(size)], dtype=np.int64)


def combination_index(items: npt.ArrayLike, size: int) -> Integers:
    """Index of an increasing choice of k out of ``size`` items, Σ_i C(size − 1 − items_i, k − i).

    Parameters
    ----------
    items : int array [..., k]
        Strictly increasing, in [0, size).
    size : int

    Returns
    -------
    int64 ndarray [...]
        In [0, C(size, k)): 0 for the last k items.

    Raises
    ------
    SpecError
        Items are out of order or range.

    Notes
    -----
    TS 38.214 §5.2.2.2.3 (i1,2) and §5.2.2.2.5 (i1,2 and i1,6).
    """
    chosen = np.asarray(items, dtype=np.int64)
    k = chosen.shape[-1]
    if k and (chosen.min(initial=0) < 0 or chosen.max(initial=0) >= size or np.any(np.diff(chosen, axis=-1) <= 0)):
        raise SpecError("A choice must increase strictly and stay in range.", where="combination_index")
    terms = _binomials(max(size, 1), k)[size - 1 - chosen, np.arange(k, 0, -1)]
    return np.asarray(terms.sum(axis=-1), dtype=np.int64)


def combination_of(index: npt.ArrayLike, size: int, chosen: int) -> Integers:
    """Inverse of :func:`combination_index`.

    Returns
    -------
    int64 ndarray [..., chosen]

    Raises
    ------
    SpecError
        The index is not below C(size, chosen).
    """
    rest = np.array(index, dtype=np.int64)
    if np.any((rest < 0) | (rest >= math.comb(size, chosen))):
        raise SpecError("A combinatorial index is out of range.", where="combination_of", why=f"C({size}, {chosen})")
    table = _binomials(max(size, 1), chosen)
    items = []
    for left in range(chosen, 0, -1):
        x = np.searchsorted(table[:, left], rest, side="right") - 1
        rest -= table[x, left]
        items.append(size - 1 - x)
    return np.stack(items, axis=-1) if items else np.zeros((*rest.shape, 0), dtype=np.int64)


@dataclass(frozen=True)
class Panel:
    """Dual-polarised panel and its groups of orthogonal beams.

    Beam n = N1·n2 + n1 of group q = O2·q1 + q2 is v_{m1,m2} with m1 = O1·n1 + q1, m2 = O2·n2 + q2. Port order and signs
    are those of :mod:`wbench.channel.pmi_type1`.

    Attributes
    ----------
    n1, n2 : int
        Columns and rows.

    Raises
    ------
    SpecError
        The configuration is not in TS 38.214 Table 5.2.2.2.1-2.
    """

    n1: int
    n2: int

    def __post_init__(self) -> None:
        if (self.n1, self.n2) not in CONFIGURATIONS:
            raise SpecError(
                "This antenna configuration is not in TS 38.214 Table 5.2.2.2.1-2.", where="Panel",
                why=f"(N1, N2) = {(self.n1, self.n2)}", next_step=f"use one of {sorted(CONFIGURATIONS)}",
            )  # fmt: skip

    @property
    def elements(self) -> int:
        """N1·N2."""
        return self.n1 * self.n2

    @property
    def groups(self) -> int:
        """O1·O2."""
        o1, o2 = CONFIGURATIONS[self.n1, self.n2]
        return o1 * o2

    def beams(self) -> C64:
        """Beams by group: complex64 [O1·O2, N1·N2 (beam n), N1·N2 (element)], entries of modulus 1."""
        return _grouped_beams(self.n1, self.n2)


@dataclass(frozen=True)
class PanelCodebook:
    """What the codebooks of a panel share.

    Attributes
    ----------
    n1, n2 : int
        Columns and rows of the dual-polarised panel.
    """

    n1: int
    n2: int

    @property
    def panel(self) -> Panel:
        """The antenna panel."""
        return Panel(self.n1, self.n2)

    @property
    def ports(self) -> int:
        """CSI-RS ports P = 2·N1·N2."""
        return 2 * self.n1 * self.n2

    def _check_shapes(self, found: Sequence[npt.NDArray[Any]], shapes: Sequence[tuple[int, ...]]) -> None:
        if tuple(each.shape for each in found) != tuple(shapes):
            why = f"{[each.shape for each in found]}"
            raise SpecError("The PMI has other shapes.", where=type(self).__name__, why=why)

    def _check_rules(self, rules: Mapping[str, bool | np.bool_]) -> None:
        """Refuse a PMI that breaks a rule; each is named by what holds."""
        broken = [rule for rule, kept in rules.items() if not kept]
        if broken:
            why = f"not so: {broken[0]}"
            raise SpecError("The PMI is not one of the codebook.", where=type(self).__name__, why=why)


@cache
def _grouped_beams(n1: int, n2: int) -> C64:
    o1, o2 = CONFIGURATIONS[n1, n2]
    every = dft_beams(n1, n2, o1, o2).reshape(n1, o1, n2, o2, n1 * n2)
    beams = np.ascontiguousarray(every.transpose(1, 3, 2, 0, 4).reshape(o1 * o2, n1 * n2, n1 * n2))
    beams.flags.writeable = False
    return beams
