"""Reading MATLAB files, level 5 and v7.3, row by row where the format allows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import DatasetError, DatasetNotFoundError

__all__ = ["MatVariable", "open_mat"]


@dataclass(frozen=True)
class MatVariable:
    """A numeric variable of a MATLAB file.

    Attributes
    ----------
    name : str
        Its name.
    shape : tuple of int
        As MATLAB shows it.
    read : callable
        ``read(start, stop)`` returns those rows of the first dimension. A level 5 variable is held in memory as a
        whole after the first call (the format ends at 2 GiB); v7.3 is read from the file.
    """

    name: str
    shape: tuple[int, ...]
    read: Callable[[int, int], npt.NDArray[Any]]


def open_mat(path: Path) -> dict[str, MatVariable]:
    """Numeric variables of a MATLAB file, by name.

    Raises
    ------
    DatasetNotFoundError
        No such file.
    DatasetError
        Not a MATLAB file, or a damaged one.
    """
    import h5py

    if not path.is_file():
        raise DatasetNotFoundError(
            "There is no such file.", where=str(path), next_step="give the path of the .mat file"
        )
    try:
        return _open_v73(path) if h5py.is_hdf5(path) else _open_level5(path)
    except Exception as error:  # SciPy and h5py raise half a dozen kinds for a file that is not theirs
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        "The file cannot be read as a MATLAB file.",
        where=str(path),
        why=f"{type(error).__name__}: {error}",
        next_step="compare its size with the published one and download it again",
    )


def _open_level5(path: Path) -> dict[str, MatVariable]:
    import scipy.io

    loaded: dict[str, npt.NDArray[Any]] = {}

    def reader(name: str) -> Callable[[int, int], npt.NDArray[Any]]:
        def read(start: int, stop: int) -> npt.NDArray[Any]:
            if name not in loaded:
                try:
                    loaded[name] = np.asarray(scipy.io.loadmat(path, variable_names=[name])[name])
                except Exception as error:  # see above
                    raise _damaged(path, error) from error
            return loaded[name][start:stop]

        return read

    numeric = ("double", "single", "int", "uint")
    return {
        name: MatVariable(name, tuple(shape), reader(name))
        for name, shape, kind in scipy.io.whosmat(path)
        if kind.startswith(numeric)
    }


def _open_v73(path: Path) -> dict[str, MatVariable]:
    import h5py

    def reader(name: str, turned: bool) -> Callable[[int, int], npt.NDArray[Any]]:
        def read(start: int, stop: int) -> npt.NDArray[Any]:
            try:
                with h5py.File(path, "r") as file:
                    data = file[name]
                    raw = data[..., start:stop].T if turned else data[start:stop]
            except (OSError, KeyError) as error:
                raise _damaged(path, error) from error
            return _complex(raw)

        return read

    with h5py.File(path, "r") as file:
        found = {}
        for name, item in file.items():
            if isinstance(item, h5py.Dataset) and item.ndim and item.dtype.kind in "fiuVc":
                # MATLAB counts dimensions the other way round; a file without its mark was written as it is.
                turned = "MATLAB_class" in item.attrs
                shape = item.shape[::-1] if turned else item.shape
                found[name] = MatVariable(name, tuple(shape), reader(name, turned))
        return found


def _complex(raw: npt.NDArray[Any]) -> npt.NDArray[Any]:
    names = raw.dtype.names
    if names is None:
        return raw
    return np.asarray(raw[names[0]] + 1j * raw[names[1]])
