"""Validators while writing: what a shard has to be before it may exist, and what becomes of one that is not.

Checked are, block by block, names, shapes and dtypes, finite channels, and zero channels exactly where ``los`` is −1;
then over the whole shard duplicates and the expectations of :mod:`wbench.run.expect`. The numbers that were checked are
stored in the shard's manifest entry.
"""

from __future__ import annotations

import io
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.channel.delay import cyclic_prefix_s, energy_taps, late_energy
from wbench.channel.rays import Rays
from wbench.dataset.place import MANIFEST, Location, Place, place_of
from wbench.dataset.schema import ArraySpec
from wbench.dataset.spec import DatasetSpec, Recipe
from wbench.errors import SimulationError, WBenchError
from wbench.generator import Arrays, Block, Layout
from wbench.run.expect import check_expectations, describe, require_known

__all__ = ["FAILED_FOLDER", "ShardCheck", "check_block", "expectations", "failed_path"]

#: Folder of the shards that were refused.
FAILED_FOLDER: Final = f"{MANIFEST}/failed"
#: What is kept of a refused shard at most.
KEPT_SAMPLES: Final = 64
KEPT_BYTES: Final = 16 << 20
#: Taps are counted on this many channel entries of a shard at most: a figure, not worth a tenth of the simulation.
TAPS_ENTRIES: Final = 1 << 18


class ShardRefusedError(SimulationError):
    """A check failed; ``rows`` are the positions of samples that show it."""

    rows: tuple[int, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[int], what: str, where: str, why: str) -> ShardRefusedError:
        """The error with its rows."""
        error = cls(what, where=where, why=why)
        error.rows = tuple(rows)
        return error


def expectations(recipe: Recipe, specs: list[ArraySpec]) -> dict[str, list[float]]:
    """The recipe's expectations as plain JSON for the dataset's attributes, where the workers find them.

    Raises
    ------
    SpecError
        The recipe expects something of a quantity that the dataset does not have.
    """
    require_known(recipe.expect, [spec.name for spec in specs if not spec.shape and np.dtype(spec.dtype).kind == "f"])
    return {name: [*span] for name, span in recipe.expect.items()}


def failed_path(root: Path, shard: int) -> Path:
    """Folder of a refused shard: ``cause.txt`` and, where there were any, ``arrays.npz``."""
    return root / _failed_key(shard)


def _failed_key(shard: int) -> str:
    return f"{FAILED_FOLDER}/shard-{shard:06d}"


class ShardCheck:
    """Watches one shard from its first block to its last check.

    Parameters
    ----------
    root : path or Place
        Where the dataset lies.
    spec : DatasetSpec
        What was asked for.
    shard : int
        Number of the shard.
    layout : Layout
        The generator's layout; its attribute ``cyclic_prefix_s`` replaces the one of the numerology.
    expect : mapping of str to (float, float)
        The recipe's expectations; see :mod:`wbench.run.expect`.
    """

    def __init__(
        self,
        root: Location | Place,
        spec: DatasetSpec,
        shard: int,
        layout: Layout,
        expect: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self._place, self._spec, self._shard = place_of(root), spec, shard
        self._expect = dict(expect or {})
        self._prefix: float | None = layout.attributes.get("cyclic_prefix_s")
        self._bands: tuple[str, ...] = ()
        if layout.synthesis is not None:
            bands = layout.synthesis.bands
            self._bands = tuple(bands)
            self._prefix = self._prefix or cyclic_prefix_s(grid.spacing_hz for grid in bands.values())
        self._late: list[npt.NDArray[np.float64]] = []
        self._energies: list[dict[str, npt.NDArray[np.float64]]] = []
        self._seen: tuple[range, Mapping[str, npt.NDArray[Any]]] = (spec.shard_range(shard), {})

    def block(self, specs: list[ArraySpec], rays: Rays | None, arrays: Arrays, block: Block) -> None:
        """Check a block and remember how late its energy arrives.

        Raises
        ------
        SimulationError
            See :func:`check_block`.
        """
        self._seen = (block.samples, arrays)
        self._energies.append(check_block(specs, arrays, block))
        self._seen = (self._spec.shard_range(self._shard), {})  # what fails next is not this block
        if rays is not None and self._prefix is not None:
            self._late.append(late_energy(rays, self._prefix))

    def shard(self, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
        """Check the whole shard.

        Returns
        -------
        dict
            Its statistics, plain JSON: samples, LoS share, and five numbers of every scalar quantity.

        Raises
        ------
        SimulationError
            A sample occurs twice, or a distribution is not what the recipe expects.
        """
        ids = self._spec.shard_range(self._shard)
        self._seen = (ids, arrays)
        where = f"shard {self._shard} (samples {ids.start} to {ids.stop - 1})"
        for name in self._energies[0]:
            _check_duplicates(name, arrays[name], np.concatenate([part[name] for part in self._energies]), ids, where)
        quantities = {name: array for name, array in arrays.items() if array.ndim == 1 and array.dtype.kind == "f"}
        if self._late:
            quantities["late_energy"] = np.concatenate(self._late)
        check_expectations(self._expect, quantities, arrays.get("los"), arrays.get("site"), where)
        return {**describe(quantities, arrays.get("los"), len(ids)), **self._lengths(arrays)}

    def _lengths(self, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
        out: dict[str, Any] = {"cyclic_prefix_s": self._prefix} if self._late else {}
        for name in self._bands:
            channel = arrays[name]
            count = min(len(channel), 256, max(1, TAPS_ENTRIES // max(1, channel[0].size)))
            taps = energy_taps(channel[np.linspace(0, len(channel) - 1, count).astype(np.int64)])
            out |= describe({f"taps95_{name}": taps.astype(np.float64)}, None, None)
        return out

    @contextmanager
    def keeping_failures(self) -> Iterator[None]:
        """Keep a refused shard aside with its cause; forget an earlier refusal on success."""
        try:
            yield
        except Exception as error:
            if not (isinstance(error, WBenchError) and error.exit_code == 3):  # a missing simulator is not the shard's
                with suppress(OSError, WBenchError):  # a full disk must not hide the cause
                    self._keep(error)
            raise
        self._place.remove_folder(_failed_key(self._shard))

    def _keep(self, error: Exception) -> None:
        ids, arrays = self._seen
        kept, left_out = _bounded(arrays, ids, getattr(error, "rows", ()))
        lines = [
            f"shard {self._shard} of {self._spec.recipe} ({self._spec.size}), spec {self._spec.digest}",
            str(error) if isinstance(error, WBenchError) else "".join(traceback.format_exception(error)).rstrip(),
        ]
        if kept:
            lines.append(
                f"arrays.npz: samples {ids.start} on, {len(next(iter(kept.values())))} of {len(ids)} looked at"
            )
        if left_out:
            lines.append(f"too large to keep: {', '.join(left_out)}")
        lines.append("Generate again: only this shard and others without a manifest entry are made.")
        folder = _failed_key(self._shard)
        self._place.remove_folder(folder)
        self._place.write(f"{folder}/cause.txt", ("\n\n".join(lines) + "\n").encode())
        if kept:
            stream = io.BytesIO()
            np.savez(stream, allow_pickle=False, **kept)
            self._place.write(f"{folder}/arrays.npz", stream.getvalue())


def _bounded(
    arrays: Mapping[str, npt.NDArray[Any]], ids: range, guilty: tuple[int, ...]
) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
    """Some samples of all arrays, those that show the fault first; an array of too large samples is left out."""
    plain = {name: array for name, array in arrays.items() if array.ndim and array.dtype.kind in "biufc"}
    each = sum(array.nbytes for array in plain.values()) // max(1, len(ids)) + 1
    others = sorted(set(range(len(ids))) - set(guilty))
    count = min(KEPT_SAMPLES, max(1, KEPT_BYTES // each))
    rows = np.sort(np.array([*guilty, *others][:count], dtype=np.int64))
    kept = {name: array[rows[rows < len(array)]] for name, array in plain.items()}
    kept = {name: array for name, array in kept.items() if array.nbytes <= KEPT_BYTES}
    left_out = sorted(set(arrays) - set(kept))
    return ({"sample": np.asarray(ids, dtype=np.int64)[rows], **kept} if kept else {}), left_out


def check_block(
    specs: list[ArraySpec], arrays: Mapping[str, npt.NDArray[Any]], block: Block
) -> dict[str, npt.NDArray[np.float64]]:
    """Names, shapes and dtypes of a block's arrays; finite channels, zero exactly where ``los`` is −1.

    Returns
    -------
    dict of str to float64 ndarray [n]
        Energy of each sample, by channel array.

    Raises
    ------
    SimulationError
        Names the array, what is wrong, and the first sample concerned.
    """
    where = f"block {block.index} (samples {block.samples.start} to {block.samples.stop - 1})"
    if {spec.name for spec in specs} != set(arrays):
        difference = {spec.name for spec in specs} ^ set(arrays)
        raise SimulationError("The block's arrays are not those of the layout.", where=where, why=str(difference))
    for spec in specs:
        array = arrays[spec.name]
        expected = (len(block), *spec.shape)
        if array.shape != expected or array.dtype != np.dtype(spec.dtype):
            why = f"{array.dtype} {array.shape} instead of {spec.dtype} {expected}"
            raise SimulationError(f"The array {spec.name!r} has a wrong shape or dtype.", where=where, why=why)
    channels = {spec.name: arrays[spec.name] for spec in specs if np.iscomplexobj(arrays[spec.name])}
    return {name: _check_channel(name, array, arrays.get("los"), block, where) for name, array in channels.items()}


def _check_channel(
    name: str, h: npt.NDArray[Any], los: npt.NDArray[Any] | None, block: Block, where: str
) -> npt.NDArray[np.float64]:
    power = _energy(h)
    _refuse(~np.isfinite(power), f"{name!r} is not finite.", block.samples, where)
    if los is not None:
        what = f"{name!r} is zero where there is a path, or not zero without one."
        _refuse((power == 0) != (los == -1), what, block.samples, where)
    return power


def _refuse(bad: npt.NDArray[np.bool_], what: str, ids: range, where: str) -> None:
    if bad.any():
        rows = np.flatnonzero(bad).tolist()
        raise ShardRefusedError.of(rows, what, where, f"{len(rows)} of {len(ids)} samples, the first is {ids[rows[0]]}")


def _energy(h: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Energy of each sample: single precision is four times faster, double where it would under- or overflow."""
    parts = np.ascontiguousarray(h).reshape(len(h), -1)
    out = np.empty(len(h), dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        for i, row in enumerate(parts.view(parts.real.dtype)):
            energy = float(row @ row)
            if not 1e-30 < energy < 1e30:
                wide = row.astype(np.float64)
                energy = float(wide @ wide)
            out[i] = energy
    return out


def _check_duplicates(name: str, h: npt.NDArray[Any], energy: npt.NDArray[np.float64], ids: range, where: str) -> None:
    """No two samples have the same bits; zero channels (no path) may. Equal energy is what equal bits have first."""
    order = np.argsort(energy, kind="stable")
    twins = np.flatnonzero((np.diff(energy[order]) == 0) & (energy[order][1:] != 0))
    groups: dict[float, list[int]] = {}
    for i in twins:
        groups.setdefault(float(energy[order[i]]), [int(order[i])]).append(int(order[i + 1]))
    for rows in groups.values():
        seen: dict[bytes, int] = {}
        for row in rows:
            first = seen.setdefault(h[row].tobytes(), row)
            if first != row:
                why = f"samples {ids[first]} and {ids[row]} have the same bits"
                raise ShardRefusedError.of((first, row), f"{name!r} holds a sample twice.", where, why)
