"""One variable of an exported file: its shape, and its values piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.dataset.reader import Dataset
from wbench.errors import DatasetError

__all__ = ["Variable", "ids_variable", "pieces", "stored"]

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Variable:
    """What a file format needs to write a variable without holding it in memory.

    Attributes
    ----------
    name : str
        Name in the file.
    shape : tuple of int
        Full shape, samples first.
    dtype : numpy dtype
        Element type.
    read : callable
        Returns an iterator over consecutive pieces along the first dimension.
    dims : tuple of str
        Names of the dimensions.
    attributes : mapping
        Unit, description and the like, as plain JSON.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], Iterator[Values]]
    dims: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Size of the values in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def rows(self) -> Iterator[tuple[int, Values]]:
        """(first row, piece) of all pieces, checked to be exactly the declared variable.

        Raises
        ------
        DatasetError
            If the pieces are not of this shape and dtype.
        """
        start = 0
        for piece in self.read():
            if piece.dtype != self.dtype or piece.shape[1:] != self.shape[1:] or start + len(piece) > self.shape[0]:
                why = f"{piece.dtype} {piece.shape} at row {start} instead of {self.dtype} {self.shape}"
                raise DatasetError("The dataset's array is not what it declares.", where=self.name, why=why)
            yield start, piece
            start += len(piece)
        if start != self.shape[0]:
            raise DatasetError("The dataset's array is too short.", where=self.name, why=f"{start} of {self.shape[0]}")


def pieces(dataset: Dataset, name: str, ids: npt.NDArray[np.int64]) -> Iterator[Values]:
    """Rows ``ids`` (sorted) of an array, shard by shard; every shard is checked against its manifest entry first.

    Raises
    ------
    DatasetError
        If a shard is damaged: an export must not turn a lost chunk into numbers.
    """
    size = dataset.spec.shard_samples
    for shard in np.unique(ids // size).tolist():
        whole = dataset.spec.shard_range(shard)
        values = dataset.read_shard(name, shard)
        first, last = np.searchsorted(ids, (whole.start, whole.stop))
        yield np.ascontiguousarray(values[ids[first:last] - whole.start])


def stored(dataset: Dataset, name: str, ids: npt.NDArray[np.int64]) -> Variable:
    """An array of the dataset as it is."""
    array = dataset.array(name)
    return Variable(
        name,
        (len(ids), *array.shape[1:]),
        np.dtype(array.dtype),
        lambda: pieces(dataset, name, ids),
        tuple(array.metadata.dimension_names or ()),
        dict(array.attrs),
    )


def ids_variable(ids: npt.NDArray[np.int64]) -> Variable:
    """The sample ids themselves, so that a row of the file can be found in the dataset again."""
    about = {"units": "1", "long_name": "sample id in the dataset"}
    return Variable("sample", ids.shape, ids.dtype, lambda: iter([ids]), ("sample",), about)
