"""Payloads with an exact number of bits, most significant bit first."""

from __future__ import annotations

from collections.abc import Sequence

from wbench.errors import SpecError

__all__ = ["bit_width", "pack_bits", "unpack_bits"]


def bit_width(values: int) -> int:
    """Bits that tell ``values`` values apart, ⌈log2 values⌉ (0 for a single value)."""
    if values < 1:
        raise SpecError("A field needs at least one value.", where="bit_width", why=f"{values}")
    return (values - 1).bit_length()


def pack_bits(values: Sequence[int], widths: Sequence[int]) -> bytes:
    """Concatenate unsigned fields, most significant bit first; the last byte is padded with zero bits.

    Parameters
    ----------
    values, widths : sequence of int
        Fields and their widths in bits; width 0 holds the value 0 only.

    Returns
    -------
    bytes
        ⌈sum(widths)/8⌉ bytes.

    Raises
    ------
    SpecError
        A value does not fit its width.
    """
    if len(values) != len(widths):
        raise SpecError("Every field needs a width.", where="pack_bits", why=f"{len(values)} and {len(widths)}")
    stream = 0
    for number, (value, width) in enumerate(zip(values, widths, strict=True)):
        if width < 0 or not 0 <= int(value) < 1 << width:
            raise SpecError("A value does not fit its field.", where=f"field {number}", why=f"{value} in {width} bits")
        stream = stream << width | int(value)
    total = sum(widths)
    size = -(-total // 8)
    return (stream << (8 * size - total)).to_bytes(size, "big")


def unpack_bits(payload: bytes, widths: Sequence[int]) -> list[int]:
    """Inverse of :func:`pack_bits`.

    Parameters
    ----------
    payload : bytes
        Exactly ⌈sum(widths)/8⌉ bytes, padding bits zero.
    widths : sequence of int
        Widths in bits.

    Returns
    -------
    list of int

    Raises
    ------
    SpecError
        The payload has another length, or padding bits are set.
    """
    total = sum(widths)
    padding = 8 * len(payload) - total
    if not 0 <= padding < 8:
        raise SpecError(
            "The payload has another length.", where="unpack_bits", why=f"{len(payload)} bytes, {total} bits"
        )
    stream = int.from_bytes(payload, "big")
    if stream & ((1 << padding) - 1):
        raise SpecError("Padding bits are set.", where="unpack_bits", why="the payload was not made by pack_bits")
    stream >>= padding
    values = []
    for width in reversed(widths):
        values.append(stream & ((1 << width) - 1))
        stream >>= width
    return values[::-1]
