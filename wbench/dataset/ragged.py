"""Arrays whose samples differ in size: stored padded with zeros beside a mask, read back without the padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.dataset.reader import Dataset
from wbench.errors import DatasetError

__all__ = ["as_complex", "hermitian_toeplitz", "read_ragged", "unpadded"]


def read_ragged(
    dataset: Dataset, name: str, ids: Sequence[int] | npt.NDArray[np.integer[Any]]
) -> list[npt.NDArray[Any]]:
    """Samples of a padded array, each in its own size.

    Parameters
    ----------
    dataset : Dataset
        An open dataset.
    name : str
        Array whose attribute ``mask`` names the array of its valid entries. A last dimension ``part`` holds real and
        imaginary parts.
    ids : sequence of int
        Sample ids.

    Returns
    -------
    list of ndarray
        One for each sample, complex64 where there are parts; without its mask, an array as it is.

    Raises
    ------
    DatasetError
        The valid entries of a sample are no block at the front of the array.
    """
    array, rows = dataset.array(name), np.asarray(ids, dtype=np.int64)
    values = dataset.read(name, rows)
    if "parts" in array.attrs:
        values = as_complex(values)
    mask = array.attrs.get("mask")
    if not isinstance(mask, str):
        return list(values)
    return [unpadded(one, valid, name) for one, valid in zip(values, dataset.read(mask, rows), strict=True)]


def unpadded(values: npt.NDArray[Any], mask: npt.NDArray[np.bool_], name: str = "array") -> npt.NDArray[Any]:
    """The valid block at the front of one padded sample.

    Raises
    ------
    DatasetError
        The mask is no such block.
    """
    sizes = []
    for axis in range(mask.ndim):
        others = tuple(i for i in range(mask.ndim) if i != axis)
        sizes.append(int(mask.any(axis=others).sum()))
    block = tuple(slice(size) for size in sizes)
    if mask.sum() != np.prod(sizes) or not mask[block].all():
        raise DatasetError("The mask is no block at the front of the array.", where=name)
    return values[block]


def as_complex(values: npt.NDArray[Any]) -> npt.NDArray[np.complex64]:
    """(real, imaginary) in the last dimension → complex64 without it."""
    return np.ascontiguousarray(values, dtype=np.float32).view(np.complex64)[..., 0]


def hermitian_toeplitz(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Hermitian Toeplitz matrices from their first columns: [..., B] → [..., B, B], ``column[b − c]`` in (b, c)."""
    count = column.shape[-1]
    lag = np.arange(count)[:, None] - np.arange(count)
    lower = column[..., np.abs(lag)]
    return np.where(lag >= 0, lower, lower.conj())
