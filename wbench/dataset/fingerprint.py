"""Fingerprints: is this the same data as that, made elsewhere? Per-sample norms and projections, compared by tolerance.

A *content digest* says whether two datasets have the same bits. Another processor, or another version of a library, may
change last bits, and then it only says "no". A *fingerprint* says how far apart they are: some samples of some blocks,
with discrete arrays and single numbers as they are, and of every larger array the norm and a few projections of each
sample. Since any block can be made alone, a fingerprint costs a few blocks whatever the size of the dataset.

Projections are onto ±1 vectors that are keyed by the array's name and size. For a difference Δ and such a vector v,
E|⟨v, Δ⟩|² = ‖Δ‖² (Achlioptas, "Database-friendly random projections", J. Comput. Syst. Sci. 66, 2003), so they show how
large Δ is, wherever in the array it lies. They are no protection against forgery, and need not be: digests are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from wbench.dataset.reader import Dataset
from wbench.dataset.spec import DatasetSpec
from wbench.dataset.verdict import Verdict, relative_error
from wbench.errors import DatasetError
from wbench.seeding import keyed_permutation

__all__ = [
    "ArrayPrint",
    "Fingerprint",
    "compare_fingerprints",
    "fingerprint_dataset",
    "fingerprint_rows",
    "fingerprint_samples",
    "lossless",
    "print_array",
]

#: Blocks and samples of a fingerprint at most: some 20 kB as a file.
BLOCKS: Final = 8
SAMPLES: Final = 128
PROJECTIONS: Final = 4
#: Arrays with up to this many numbers per sample are kept as they are.
KEPT: Final = 4

Kind = Literal["exact", "values", "projected"]


@dataclass(frozen=True)
class ArrayPrint:
    """What is kept of one array.

    Attributes
    ----------
    kind : {"exact", "values", "projected"}
        Whole numbers as they are, up to four real numbers per sample as they are, or norms and projections.
    dtype : str
        NumPy dtype name of the array.
    shape : tuple of int
        Its shape without the sample dimension.
    data : ndarray [n, …]
        ``exact``: the array's own dtype. ``values``: float32 [n, numbers]. ``projected``: float32
        [n, 1 + projections · (2 if complex)], norm first, real and imaginary parts side by side.
    """

    kind: Kind
    dtype: str
    shape: tuple[int, ...]
    data: npt.NDArray[Any]


@dataclass(frozen=True)
class Fingerprint:
    """Fingerprint of a dataset.

    Attributes
    ----------
    spec : str
        Spec digest: what was asked for, without loss.
    content : str or None
        Content digest, where the whole dataset was made.
    samples : tuple of int
        Ids of the samples that are kept.
    arrays : dict of str to ArrayPrint
        One for each array of the dataset.
    about : dict
        Plain JSON for people: recipe, size, versions, kind of machine. Not compared.
    """

    spec: str
    content: str | None
    samples: tuple[int, ...]
    arrays: Mapping[str, ArrayPrint]
    about: Mapping[str, Any] = field(default_factory=dict)


def lossless(spec: DatasetSpec) -> DatasetSpec:
    """The same spec stored without loss: lossy storage is the same data within a tolerance, with one fingerprint."""
    return DatasetSpec.model_validate({**spec.model_dump(mode="json"), "storage": "lossless"})


def fingerprint_samples(spec: DatasetSpec) -> dict[int, npt.NDArray[np.int64]]:
    """Ids of the samples of a fingerprint by block: eight blocks from first to last, a keyed draw of each.

    Returns
    -------
    dict of int to int64 ndarray
        Block index → sorted sample ids, 128 in all, fewer where the dataset is smaller.
    """
    digest = lossless(spec).digest
    count = -(-spec.samples // spec.block)
    blocks = np.unique(np.linspace(0, count - 1, min(BLOCKS, count)).round().astype(np.int64)).tolist()
    found = {}
    for block in blocks:
        start = block * spec.block
        rows = keyed_permutation(min(spec.block, spec.samples - start), digest, "fingerprint", str(block))
        found[block] = start + np.sort(rows[: SAMPLES // len(blocks)])
    return found


def print_array(name: str, values: npt.NDArray[Any]) -> ArrayPrint:
    """What a fingerprint keeps of some samples of an array.

    Parameters
    ----------
    name : str
        Array name; part of the projections' key.
    values : ndarray [n, …]
        The samples.
    """
    shape, dtype = values.shape[1:], values.dtype
    flat = values.reshape(len(values), -1)
    if dtype.kind in "iub":
        return ArrayPrint("exact", dtype.name, shape, flat)
    if dtype.kind == "f" and flat.shape[1] <= KEPT:
        return ArrayPrint("values", dtype.name, shape, flat.astype(np.float32))
    wide = flat.astype(np.complex128 if dtype.kind == "c" else np.float64)
    projected = wide @ _signs(name, flat.shape[1], PROJECTIONS)
    norm = np.linalg.norm(wide, axis=1, keepdims=True)
    return ArrayPrint("projected", dtype.name, shape, np.hstack([norm, _real(projected)]).astype(np.float32))


def _real(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return values.view(np.float64) if np.iscomplexobj(values) else values


def _signs(name: str, length: int, count: int) -> npt.NDArray[np.float64]:
    # From a hash, not from a NumPy generator, whose methods may change their numbers from version to version.
    bits = hashlib.shake_256(f"wbench fingerprint {name} {length}".encode()).digest(-(-length * count // 8))
    signs = np.unpackbits(np.frombuffer(bits, np.uint8), count=length * count).astype(np.float64)
    return (1.0 - 2.0 * signs).reshape(length, count)


# --- of a dataset --------------------------------------------------------------------------------------------------


def fingerprint_rows(
    spec: DatasetSpec, block: Callable[[int], Mapping[str, npt.NDArray[Any]]]
) -> tuple[tuple[int, ...], dict[str, ArrayPrint]]:
    """Sample ids and array prints from blocks.

    Parameters
    ----------
    spec : DatasetSpec
        Names the blocks and samples.
    block : callable
        All arrays of one block, by its index.
    """
    chosen = fingerprint_samples(spec)
    parts = []
    for index, ids in chosen.items():
        parts.append({name: values[ids - index * spec.block] for name, values in block(index).items()})
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in sorted(parts[0])}
    samples = tuple(int(i) for ids in chosen.values() for i in ids)
    return samples, {name: print_array(name, values) for name, values in arrays.items()}


def fingerprint_dataset(dataset: Dataset) -> Fingerprint:
    """Fingerprint of a complete dataset: reads the chunks of a few blocks.

    Raises
    ------
    DatasetError
        If shards are missing.
    """
    dataset.require_complete()
    size = dataset.spec.block

    def block(index: int) -> dict[str, npt.NDArray[Any]]:
        rows = slice(index * size, (index + 1) * size)
        return {name: np.asarray(dataset.array(name)[rows]) for name in dataset.array_names}

    samples, arrays = fingerprint_rows(dataset.spec, block)
    return Fingerprint(lossless(dataset.spec).digest, dataset.content_digest, samples, arrays)


def compare_fingerprints(reference: Fingerprint, found: Fingerprint) -> Verdict:
    """Say whether two datasets are the same, and by how much they differ.

    Parameters
    ----------
    reference : Fingerprint
        What it should be; differences are relative to it.
    found : Fingerprint
        Of the same samples.

    Raises
    ------
    DatasetError
        If they are not of the same samples.
    """
    if reference.samples != found.samples:
        raise DatasetError(
            "The two fingerprints are not of the same samples.",
            where=f"{reference.spec} and {found.spec}",
            why="datasets of different specs, or fingerprints of different versions of wbench",
        )
    if reference.content is not None and reference.content == found.content:
        return Verdict("identical", len(found.samples), ())
    layouts = [{n: (a.kind, a.dtype, a.shape) for n, a in p.arrays.items()} for p in (reference, found)]
    if layouts[0] != layouts[1]:
        return Verdict.of_layouts(*({name: (d, s) for name, (_, d, s) in side.items()} for side in layouts))
    errors = {name: _errors(reference.arrays[name], found.arrays[name]) for name in sorted(reference.arrays)}
    return Verdict.of_errors(errors)


def _errors(reference: ArrayPrint, found: ArrayPrint) -> npt.NDArray[np.float64]:
    """Squared relative difference of each sample: float64 [n]."""
    a, b = reference.data, found.data
    if reference.kind != "projected":
        return relative_error(a, b, per_sample=False)
    a, b = a.astype(np.float64), b.astype(np.float64)
    # The norms are one more look at the difference: ‖x‖ and ‖x'‖ are never further apart than x and x'.
    square = np.maximum(np.sum((a - b)[:, 1:] ** 2, axis=1) / PROJECTIONS, (a - b)[:, 0] ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = square / a[:, 0] ** 2
    same = ((a == b) | (np.isnan(a) & np.isnan(b))).all(axis=1)
    return np.where(same, 0.0, np.where(np.isfinite(error), error, np.inf))
