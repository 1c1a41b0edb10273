"""Ingesting a released file: digest it, declare the dataset, write its shards. The same call carries on later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wbench.dataset.ingest.matfile import MatVariable, open_mat
from wbench.dataset.ingest.released import RELEASED, Released
from wbench.dataset.manifest import scan_entries
from wbench.dataset.place import Location, Place, place_of
from wbench.dataset.reader import Dataset, open_dataset
from wbench.dataset.schema import SCHEMA_VERSION
from wbench.dataset.spec import DatasetSpec
from wbench.dataset.writer import create_dataset, write_shard
from wbench.digest import file_digest
from wbench.errors import DatasetError, DatasetNotFoundError, OutputConflictError, UnknownNameError, WBenchError
from wbench.provenance import provenance

__all__ = ["IngestReport", "ingest"]

#: Raised whenever the same file could become other bits; part of the spec digest.
VERSION = 2
BLOCK_BYTES = 8 << 20
SHARD_BLOCKS = 4


@dataclass(frozen=True)
class IngestReport:
    """What :func:`ingest` did.

    Attributes
    ----------
    place : Place
        Where the dataset lies.
    spec : DatasetSpec
        Its spec; the digest of the source file is among the parameters.
    made, kept : int
        Shards written now, and shards that were there.
    """

    place: Place
    spec: DatasetSpec
    made: int
    kept: int

    @property
    def path(self) -> Path | str:
        """The dataset's folder, or its URL."""
        return self.place.path

    def open(self) -> Dataset:
        """Open the dataset."""
        return open_dataset(self.place)


def ingest(
    kind: str,
    source: str | Path,
    out: Location,
    *,
    variable: str | None = None,
    licence: str = "unknown",
    advance: Callable[[int, int], None] | None = None,
) -> IngestReport:
    """Read a released file into a dataset.

    Parameters
    ----------
    kind : {"wifo", "csinet"}
        Whose file it is.
    source : path
        The file, MATLAB level 5 or v7.3.
    out : path or str
        Dataset folder, or a URL.
    variable : str, optional
        Variable to read, where the file holds several of that kind.
    licence : str
        Licence of the file as its source states it.
    advance : callable, optional
        Called with (samples done, samples in all).

    Returns
    -------
    IngestReport

    Raises
    ------
    UnknownNameError, SpecError
        No such kind or variable, or a file of another shape.
    DatasetNotFoundError, DatasetError
        The file is not there, damaged, or has values that are not finite; the output cannot be written.
    OutputConflictError
        The folder holds something else, or another process is writing it.

    Notes
    -----
    Nothing is made up. Standard arrays that the source does not tell are left out and named in the attribute
    ``unknown``; ``los`` is −1 where a channel is zero and −128 elsewhere, unless the source says more.
    """
    if kind not in RELEASED:
        raise UnknownNameError("kind of file", kind, RELEASED, next_step=f"wbench ingest {'|'.join(RELEASED)} …")
    released, file, place = RELEASED[kind], Path(source), place_of(out)
    found = released.find(open_mat(file), variable, str(file))
    digest = _digest(file)
    released.convert(found.read(0, 1))  # another kind of numbers is refused before anything is made
    spec = _spec(released, found, digest)
    attributes = {
        "schema_version": SCHEMA_VERSION,
        "spec": spec.model_dump(mode="json"),
        "spec_digest": spec.digest,
        "licence": licence,
        "radio": {},
        "provenance": provenance(),
        **released.about,
        "source": {"kind": kind, "file": file.name, "digest": digest, "variable": found.name},
        "unknown": sorted(released.unknown),
    }
    create_dataset(place, spec, sorted(released.arrays(found), key=lambda array: array.name), attributes)
    with place.claim(0, spec.shards) as mine:
        if not mine:
            raise OutputConflictError(
                "Another process is writing this dataset.", where=str(place), next_step="wait for it, or stop it"
            )
        return _fill(place, spec, released, found, advance)


def _digest(file: Path) -> str:
    try:
        return file_digest(file)
    except OSError as error:
        raise DatasetNotFoundError("The file cannot be read.", where=str(file), why=str(error)) from error


def _spec(released: Released, found: MatVariable, digest: str) -> DatasetSpec:
    samples = found.shape[0]
    row_bytes = 8
    for size in found.shape[1:]:
        row_bytes *= size
    return DatasetSpec(
        recipe=f"ingest-{released.name}",
        recipe_version=VERSION,
        generator=f"ingest-{released.name}",
        generator_version=VERSION,
        seed=0,
        samples=samples,
        block=max(1, min(samples, BLOCK_BYTES // row_bytes)),
        shard_blocks=SHARD_BLOCKS,
        # Not the file's name: the same bytes elsewhere are the same dataset.
        params={"source": digest, "variable": found.name, "shape": list(found.shape)},
        size="standard",
    )


def _fill(
    place: Place,
    spec: DatasetSpec,
    released: Released,
    found: MatVariable,
    advance: Callable[[int, int], None] | None,
) -> IngestReport:
    there, _ = scan_entries(place, spec)
    made = 0
    for shard in range(spec.shards):
        ids = spec.shard_range(shard)
        if shard not in there:
            try:
                arrays = released.convert(found.read(ids.start, ids.stop))
                write_shard(place, spec, shard, arrays)
            except WBenchError as error:
                error.where = error.where or f"samples {ids.start} to {ids.stop - 1}"
                raise
            except OSError as error:
                raise DatasetError("The dataset cannot be written.", where=str(place), why=str(error)) from error
            made += 1
        if advance is not None:
            advance(len(ids), spec.samples)
    return IngestReport(place, spec, made, len(there))
