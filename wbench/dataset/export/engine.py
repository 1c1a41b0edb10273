"""Exporting a dataset: check everything first, write to a temporary name, rename when it is complete."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.dataset.export.channel import Selection, foreign_variables
from wbench.dataset.export.hdf5 import write_hdf5
from wbench.dataset.export.layouts import FORMATS, LAYOUTS, Layout
from wbench.dataset.export.mat import fits_level5, write_level5, write_v73
from wbench.dataset.export.npz import write_npz
from wbench.dataset.export.variable import Variable, ids_variable, stored
from wbench.dataset.reader import Dataset, open_dataset
from wbench.errors import DatasetError, OutputConflictError, SpecError, UnknownNameError, UsageError

__all__ = ["ExportReport", "export_dataset"]


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Attributes
    ----------
    path : Path
        The file.
    format : str
        ``hdf5``, ``npz``, ``mat (level 5)`` or ``mat (v7.3)``.
    samples : int
        Rows of every variable.
    variables : dict of str to (str, tuple of int)
        Dtype and shape by name.
    """

    path: Path
    format: str
    samples: int
    variables: dict[str, tuple[str, tuple[int, ...]]]


def export_dataset(
    source: Dataset | str | Path,
    out: str | Path | None = None,
    *,
    layout: str = "wbench",
    file_format: str | None = None,
    ids: npt.ArrayLike | None = None,
    array: str | None = None,
    time: int | None = None,
    rx: int | None = None,
    normalise: str | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Write a dataset, or some of its samples, as one file. Memory holds one piece of one array at a time.

    Parameters
    ----------
    source : Dataset or path
        A complete dataset.
    out : path, optional
        The file; default ``RECIPE-SIZE-LAYOUT.SUFFIX`` in the current folder. It must not exist.
    layout : str
        A name of :data:`~wbench.dataset.export.layouts.LAYOUTS`.
    file_format : {"hdf5", "mat", "npz"}, optional
        Default: what the layout's public loader opens (HDF5 for our own).
    ids : array_like of int, optional
        Samples to write; they are written in ascending order. Default all.
    array : str, optional
        Channel array of a foreign layout; default ``channel``.
    time, rx : int, optional
        One snapshot and one receive antenna, for layouts without those dimensions.
    normalise : {"none", "sample"}, optional
        Amplitude gains, or every sample at unit rms; default as the layout's public data are.
    advance : callable, optional
        Called with (rows done, rows in all) of all variables, for a progress bar.

    Returns
    -------
    ExportReport

    Raises
    ------
    UnknownNameError, SpecError, UsageError
        No such layout, format, array or sample; a shape that does not fit the layout.
    OutputConflictError
        The file exists. It is left untouched.
    DatasetError
        The dataset is incomplete or damaged, or the file cannot be written.
    """
    chosen = _layout(layout)
    suffix = _suffix(chosen, file_format)
    dataset = source if isinstance(source, Dataset) else open_dataset(source)
    dataset.require_complete()
    rows = _ids(ids, len(dataset))
    variables = _variables(dataset, chosen, rows, ids is not None, array, time, rx, normalise)
    kind = file_format or chosen.formats[0]
    name = f"{dataset.spec.recipe}-{dataset.spec.size}-{chosen.name}{suffix}"
    path = Path(out) if out is not None else Path(name)
    written = _write(path, kind, chosen, variables, _about(dataset, chosen), advance)
    return ExportReport(path, written, len(rows), {v.name: (v.dtype.name, v.shape) for v in variables})


def _layout(name: str) -> Layout:
    if name not in LAYOUTS:
        raise UnknownNameError("layout", name, LAYOUTS, next_step=f"--layout {'|'.join(LAYOUTS)}")
    return LAYOUTS[name]


def _suffix(layout: Layout, file_format: str | None) -> str:
    chosen = file_format or layout.formats[0]
    if chosen not in FORMATS:
        raise UnknownNameError("format", chosen, FORMATS, next_step=f"--format {'|'.join(FORMATS)}")
    return FORMATS[chosen]


def _ids(ids: npt.ArrayLike | None, samples: int) -> npt.NDArray[np.int64]:
    if ids is None:
        return np.arange(samples, dtype=np.int64)
    given = np.asarray(ids)
    if given.ndim != 1 or not given.size or given.dtype.kind not in "iu":
        raise UsageError("The samples to export are a list of whole numbers.", why=f"got {given.dtype} {given.shape}")
    rows = np.unique(given.astype(np.int64))
    if len(rows) != len(given) or rows[0] < 0 or rows[-1] >= samples:
        raise UsageError(f"Sample ids must lie in [0, {samples}), each once.", why=f"{rows[0]} … {rows[-1]}")
    return rows


def _variables(
    dataset: Dataset,
    layout: Layout,
    rows: npt.NDArray[np.int64],
    part: bool,
    array: str | None,
    time: int | None,
    rx: int | None,
    normalise: str | None,
) -> list[Variable]:
    if layout.name != "wbench":
        if normalise not in (None, "none", "sample"):
            raise UnknownNameError("normalisation", str(normalise), ("none", "sample"), "--normalise none|sample")
        chosen = Selection(array or "channel", time, rx, normalise or layout.normalise)
        return foreign_variables(dataset, layout, rows, chosen)
    if any(option is not None for option in (array, time, rx, normalise)):
        raise UsageError(
            "The layout 'wbench' writes every array as it is.",
            why="--array, --time, --rx and --normalise choose the channel of a foreign layout",
            next_step="leave them out, or name a foreign --layout",
        )
    variables = [stored(dataset, name, rows) for name in dataset.array_names]
    return [*variables, ids_variable(rows)] if part and "sample" not in dataset.array_names else variables


def _about(dataset: Dataset, layout: Layout) -> dict[str, Any]:
    return {**dataset.attributes, "content_digest": dataset.content_digest, "export_layout": layout.name}


def _write(
    path: Path,
    kind: str,
    layout: Layout,
    variables: Sequence[Variable],
    attributes: dict[str, Any],
    advance: Callable[[int, int], None] | None,
) -> str:
    level5 = fits_level5(variables)
    if kind == "mat" and layout.scipy_only and not level5:
        raise SpecError(
            f"The samples do not fit a file that the public loader of {layout.name!r} can read.",
            why="it reads MATLAB level 5 files, whose variables end at 2 GiB",
            next_step="export parts: --task NAME --part train, then val and test; or --samples START:STOP",
        )
    _refuse_existing(path)
    total, done = sum(v.shape[0] for v in variables), 0

    def step(rows: int) -> None:
        nonlocal done
        done += rows
        if advance is not None:
            advance(rows, total)

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = json.dumps(attributes, sort_keys=True)  # ASCII, which every reader of character arrays gets right
    try:
        if kind == "hdf5":
            write_hdf5(temporary, variables, attributes, step)
        elif kind == "npz":
            write_npz(temporary, variables, text, step)
        else:
            (write_level5 if level5 else write_v73)(temporary, variables, text, step)
        _publish(temporary, path)
    except OutputConflictError:
        raise
    except OSError as error:
        why = f"{type(error).__name__}: {error}"
        step_ = "free some space or choose another place with --out; nothing was left behind"
        raise DatasetError("The file cannot be written.", where=str(path), why=why, next_step=step_) from error
    finally:
        temporary.unlink(missing_ok=True)
    return kind if kind != "mat" else "mat (level 5)" if level5 else "mat (v7.3)"


def _refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise OutputConflictError(
            "The output exists. It was left untouched.",
            where=str(path),
            next_step="choose another file with --out, or move that one away",
        )


def _publish(temporary: Path, path: Path) -> None:
    """Give a complete file its name; a file that came into being meanwhile is not replaced."""
    handle = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    _refuse_existing(path)
    temporary.rename(path)
