"""Random PMIs of the Type II codebooks, and golden ones of an independent calculator (see the file's provenance)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wbench.channel.pmi_etype2 import EType2Codebook, EType2Pmi
from wbench.channel.pmi_type2 import Type2Codebook, Type2Pmi

DATA = Path(__file__).parent / "data"
GOLDEN = DATA / "pmi-type2-golden.npz"


def choices(rng: np.random.Generator, n: int, size: int, count: int) -> np.ndarray:
    """Increasing random choices [n, count] out of range(size)."""
    return np.sort(np.argsort(rng.random((n, size)), axis=1)[:, :count], axis=1)


def random_etype2(book: EType2Codebook, rng: np.random.Generator, n: int) -> EType2Pmi:
    """Any PMIs of the codebook, with any number of coefficients."""
    v, rows, taps, cells = book.rank, 2 * book.beams, book.taps, 2 * book.beams * book.taps
    start = -rng.integers(0, 2 * taps, n) if book.windowed else np.zeros(n, dtype=np.int64)
    number = choices(rng, n * v, book.candidates - 1, taps - 1).reshape(n, v, taps - 1) + 1
    if book.windowed:
        end = (start + 2 * taps - 1)[:, None, None]
        number = np.where(number <= end, number, number + book.subbands - 2 * taps)
    all_taps = np.concatenate([np.zeros((n, v, 1), np.int64), number], axis=-1)
    strongest = rng.integers(0, rows, (n, v))
    top = ((np.arange(rows)[:, None] == strongest[..., None, None]) & (np.arange(taps) == 0)).reshape(n, v, cells)
    order = np.argsort(np.argsort(rng.random((n, v, cells)) - 2 * top, axis=-1), axis=-1)
    nonzero = order < rng.integers(1, book.most + 1, (n, v, 1))
    k2 = np.where(top, 7, rng.integers(0, 8, (n, v, cells)) * nonzero)
    c = rng.integers(0, 16, (n, v, cells)) * (nonzero & ~top)
    shape = (n, v, rows, taps)
    return EType2Pmi(
        rng.integers(0, book.panel.groups, n), choices(rng, n, book.panel.elements, book.beams), start, all_taps,
        nonzero.reshape(shape), strongest, rng.integers(1, 16, (n, v)), k2.reshape(shape), c.reshape(shape),
    )  # fmt: skip


def random_type2(book: Type2Codebook, rng: np.random.Generator, n: int) -> Type2Pmi:
    """Any PMIs of the codebook, with any number of coefficients."""
    v, rows = book.rank, 2 * book.beams
    strongest = rng.integers(0, rows, (n, v))
    k1 = np.where(np.arange(rows) == strongest[..., None], 7, rng.integers(0, 8, (n, v, rows)))
    k1 = np.where(rng.random((n, v, rows)) < 0.3, np.where(k1 == 7, 7, 0), k1)
    full, coarse = book.sets(k1, strongest)
    alphabet = np.where(full, book.phases, np.where(coarse, 4, 1))[..., None]
    shape = (n, v, rows, book.subbands)
    k2 = np.where(full[..., None] & book.subband_amplitude, rng.integers(0, 2, shape), 1)
    c = rng.integers(0, 8, shape) % alphabet
    beams = choices(rng, n, book.panel.elements, book.beams)
    return Type2Pmi(rng.integers(0, book.panel.groups, n), beams, strongest, k1, k2, c)


def same(one: Any, other: Any) -> bool:
    """Whether two PMIs are equal in every field."""
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)


def uma_precoders() -> np.ndarray:
    """48 samples of the task csi-feedback-bits, complex64 [48, 13, 32] (see the file's provenance)."""
    with np.load(DATA / "pmi-uma-precoders.npz") as data:
        parts = data["precoders"].astype(np.float32)
    v = parts[..., 0] + 1j * parts[..., 1]
    return (v / np.linalg.norm(v, axis=-1, keepdims=True)).astype(np.complex64)


def golden(kind: str) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
    """Numbers in the name, and the arrays, of every golden PMI."""
    with np.load(GOLDEN) as data:
        for name in data[kind].tolist():
            fields = {key.split("/")[1]: data[key] for key in data.files if key.startswith(f"{name}/")}
            yield [int(number) for number in re.findall(r"\d+", name)], fields
