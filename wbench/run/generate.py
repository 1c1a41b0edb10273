"""The generation engine: blocks → rays → channels → checked arrays → shards. Resumes by itself."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel import statistics
from wbench.channel.array import Array
from wbench.channel.synthesis import synthesize_bands
from wbench.dataset.place import FolderPlace, Location, Place, place_of
from wbench.dataset.reader import Dataset, open_dataset
from wbench.dataset.schema import SCHEMA_VERSION, STANDARD, ArraySpec, channel_spec
from wbench.dataset.spec import DatasetSpec, load_recipe
from wbench.dataset.writer import create_dataset, read_attributes, write_shard
from wbench.errors import (
    PluginError,
    SimulationError,
    SpecError,
    UsageError,
    WBenchError,
)
from wbench.generator import Arrays, Block, Generator, Layout, Session
from wbench.provenance import provenance
from wbench.run.fill import Share, check_share, fill
from wbench.run.plan import build_spec, dataset_path, load_generator
from wbench.run.validate import ShardCheck, check_block, expectations
from wbench.seeding import SeasonSeed

__all__ = ["GenerationReport", "array_specs", "generate", "make_shard", "repair", "simulate_block"]

#: Statistics that the engine derives from rays where the session does not return them.
DERIVED = ("delay_spread_s", "doppler_spread_hz")


@dataclass(frozen=True)
class GenerationReport:
    """What a run of :func:`generate` did.

    Attributes
    ----------
    place : Place
        Where the dataset lies.
    spec : DatasetSpec
        What was asked for.
    made, kept : int
        Shards made now, and shards that were there or that others made meanwhile.
    failures : dict of int to str
        Shards that failed, with the cause.
    """

    place: Place
    spec: DatasetSpec
    made: int
    kept: int
    failures: dict[int, str]

    @property
    def path(self) -> Path | str:
        """The dataset's folder, or its URL."""
        return self.place.path

    def open(self) -> Dataset:
        """Open the dataset."""
        return open_dataset(self.place)


def generate(
    recipe: str | Path,
    *,
    size: str = "standard",
    out: Location | None = None,
    seed: int | None = None,
    storage: str | None = None,
    season: SeasonSeed | None = None,
    workers: int = 1,
    dask: str | None = None,
    shards: Share | None = None,
    storage_options: Mapping[str, Any] | None = None,
    show_progress: bool = False,
) -> GenerationReport:
    """Generate a recipe's dataset; carry on where an earlier run stopped.

    Several processes may generate one dataset at the same time; they share the work.

    Parameters
    ----------
    recipe : str or Path
        Registry name or a ``.toml`` file.
    size : {"tiny", "standard", "large"}
        How many samples.
    out : path or str, optional
        Dataset folder, or a URL of any storage that fsspec knows; default ``$WBENCH_DATA/RECIPE-SIZE.zarr``.
    seed : int, optional
        Root seed instead of the recipe's.
    storage : {"lossless", "rounded", "float16"}, optional
        How channels are stored instead of the recipe's way; see :mod:`wbench.dataset.encoding`.
    season : SeasonSeed, optional
        The secret of a season: the hidden dataset, ``$WBENCH_DATA/RECIPE-SIZE-seasonNAME.zarr`` by default.
    workers : int
        Worker processes; 1 runs here. The bits do not depend on it.
    dask : str, optional
        Address of a Dask scheduler whose workers do the work instead. They must reach the same ``out``.
    shards : (int, int), optional
        (I, N): make only shards whose number is I modulo N, 0 ≤ I < N.
    storage_options : mapping, optional
        Arguments of the storage behind a URL; its own configuration and environment variables hold as well.
    show_progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    GenerationReport
        Failed shards are listed there, the others are kept.

    Raises
    ------
    UnknownNameError, SpecError
        The recipe, size or a parameter is wrong.
    OutputConflictError
        The place holds another dataset, or another process holds a shard and does not finish it.
    MissingError
        The simulator is not installed, or a storage or scheduler does not answer.
    """
    _check_workers(workers)
    share = None if shards is None else check_share(shards)
    spec, generator, params, licence = build_spec(recipe, size, seed, storage=storage, season=season)
    default = dataset_path(spec.recipe, size, seed, storage=storage, season=spec.season) if out is None else out
    place = place_of(default, storage_options)
    layout = _layout(generator, params, spec.generator)
    specs = array_specs(layout)
    expect = expectations(load_recipe(recipe), specs)

    def attributes() -> dict[str, Any]:
        if dask is None:  # workers elsewhere may have what is missing here
            generator.require(params)
        return {**_attributes(spec, layout, licence, generator.provenance()), "expect": expect}

    create_dataset(place, spec, specs, attributes)
    if dask is not None and isinstance(place, FolderPlace):
        place = FolderPlace(place.path.absolute())  # workers have another current folder
    return _fill(place, spec, share=share, workers=workers, dask=dask, show_progress=show_progress)


def repair(
    path: Location | Place, shards: Iterable[int] = (), *, workers: int = 1, show_progress: bool = False
) -> GenerationReport:
    """Make these shards of an existing dataset again and the missing ones, from the spec that it carries.

    Raises
    ------
    SpecError
        If the installed generator has another version: it would make other bits.
    """
    _check_workers(workers)
    dataset = open_dataset(path)
    spec = dataset.spec
    installed = load_generator(spec.generator).version
    if installed != spec.generator_version:
        raise SpecError(
            f"The dataset was made by {spec.generator} v{spec.generator_version}, installed is v{installed}.",
            where=str(path),
            next_step="install the wbench that made it, or generate the dataset anew elsewhere",
        )
    return _fill(dataset.place, spec, again=frozenset(shards), workers=workers, show_progress=show_progress)


def _check_workers(workers: int) -> None:
    if workers < 1:
        raise UsageError(f"The number of workers is at least 1, not {workers}.", next_step="--workers 1")


def _layout(generator: Generator, params: Any, name: str) -> Layout:
    try:
        return generator.layout(params)
    except WBenchError:
        raise
    except Exception as error:
        raise PluginError(f"Generator {name!r} has no layout for these parameters.", why=repr(error)) from error


def _fill(place: Place, spec: DatasetSpec, **options: Any) -> GenerationReport:
    with _closing_sessions():
        done = fill(place, spec, make_shard, **options)
    return GenerationReport(place, spec, done.made, done.kept, done.failures)


def array_specs(layout: Layout) -> list[ArraySpec]:
    """All arrays of a dataset: the channels of the synthesis, the session's own, the derived statistics."""
    specs = list(layout.arrays)
    if layout.synthesis is not None:
        s = layout.synthesis
        specs += [channel_spec(n, s.time_steps, s.rx.ports, s.tx.ports, g.subcarriers) for n, g in s.bands.items()]
        names = {spec.name for spec in specs}
        specs += [STANDARD[name] for name in DERIVED if name not in names]
    return sorted(specs, key=lambda spec: spec.name)


def _attributes(spec: DatasetSpec, layout: Layout, licence: str, simulator: Mapping[str, str]) -> dict[str, Any]:
    return {
        **layout.attributes,  # first: they cannot replace what identifies the dataset
        "schema_version": SCHEMA_VERSION,
        "spec": spec.model_dump(mode="json"),
        "spec_digest": spec.digest,
        "licence": licence,
        "simulator": dict(simulator),
        "radio": _radio(layout) or dict(layout.attributes.get("radio", {})),
        "provenance": provenance(),
    }


def _radio(layout: Layout) -> dict[str, Any]:
    """Numerology and arrays as plain JSON: what a task tells a model."""
    if layout.synthesis is None:
        return {}

    def plain(array: Array) -> dict[str, Any]:
        geometry = {"rows": array.rows, "cols": array.cols, "dv": array.dv, "dh": array.dh}
        return {**geometry, "slants": list(array.slants), "pattern": array.pattern}

    s = layout.synthesis
    bands = {
        name: {"subcarriers": g.subcarriers, "spacing_hz": g.spacing_hz, "first_hz": g.first_hz}
        for name, g in s.bands.items()
    }
    times = {"time_steps": s.time_steps, "time_step_s": s.time_step_s}
    return {"tx": plain(s.tx), "rx": plain(s.rx), "bands": bands, **times}


# --- in the worker -------------------------------------------------------------------------------------------------

_sessions: dict[str, tuple[Layout, Session, ExitStack]] = {}


def _session(spec: DatasetSpec) -> tuple[Layout, Session]:
    """The process's session for a spec: simulators are slow to start and are used for many shards."""
    if spec.digest not in _sessions:
        generator = load_generator(spec.generator)
        params = generator.Params.model_validate(spec.params)
        stack = ExitStack()
        _sessions[spec.digest] = (generator.layout(params), stack.enter_context(generator.open(params)), stack)
        atexit.register(stack.close)  # in a worker nobody else closes it; closing twice does nothing
    layout, session, _ = _sessions[spec.digest]
    return layout, session


@contextmanager
def _closing_sessions() -> Iterator[None]:
    try:
        yield
    finally:
        while _sessions:
            _sessions.popitem()[1][2].close()


def make_shard(root: Location | Place, spec: DatasetSpec, shard: int) -> dict[str, Any]:
    """Simulate and write one shard: a pure function of its arguments, to be run anywhere."""
    from wbench.run.executors import one_thread

    place = place_of(root)
    expect = read_attributes(place).get("expect")  # first: where there is no storage, nothing needs simulating
    layout, session = _session(spec)
    check = ShardCheck(place, spec, shard, layout, expect)
    try:
        with check.keeping_failures(), one_thread():
            parts = [Block(index, ids, spec.seed) for index, ids in spec.blocks_of(shard)]
            blocks = [simulate_block(layout, session, part, check) for part in parts]
            arrays = {name: _joined(name, [block[name] for block in blocks]) for name in blocks[0]}
            found = check.shard(arrays)
    except BaseException:
        # A simulator that failed may be in any state: the next shard starts it anew. What it says while it is closed
        # is not the cause.
        with suppress(Exception):
            _sessions.pop(spec.digest)[2].close()
        raise
    return write_shard(place, spec, shard, arrays, found)


_buffers: dict[str, npt.NDArray[Any]] = {}


def _joined(name: str, parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The blocks' arrays as one, in memory that the process uses again for its next shard.

    Fresh memory for tens of megabytes costs more in page faults than the copy itself.
    """
    rows, shape, dtype = sum(len(part) for part in parts), parts[0].shape[1:], parts[0].dtype
    buffer = _buffers.get(name)
    if buffer is None or len(buffer) < rows or buffer.shape[1:] != shape or buffer.dtype != dtype:
        buffer = _buffers[name] = np.empty((rows, *shape), dtype=dtype)
    return np.concatenate(parts, out=buffer[:rows])


def simulate_block(layout: Layout, session: Session, block: Block, check: ShardCheck | None = None) -> Arrays:
    """All arrays of one block, synthesised, derived and checked (by the shard's check, where there is one).

    Raises
    ------
    SimulationError
        If the session's arrays are not those of its layout, or a channel is not finite.
    """
    rays, arrays = session.simulate(block)
    arrays = dict(arrays)
    s = layout.synthesis
    if s is not None:
        if rays is None:
            raise SimulationError("The session returned no rays, but the layout has a synthesis.")
        rays.check()
        turns = {name: arrays.get(name) for name in ("tx_orientation", "rx_orientation")}
        arrays |= synthesize_bands(rays, s.tx, s.rx, s.bands, s.time_steps, s.time_step_s, **turns)
        derive = {"delay_spread_s": statistics.delay_spread, "doppler_spread_hz": statistics.doppler_spread}
        for name in DERIVED:
            if name not in arrays:
                arrays[name] = derive[name](rays).astype(STANDARD[name].dtype)
    specs = array_specs(layout)
    check_block(specs, arrays, block) if check is None else check.block(specs, rays, arrays, block)
    return arrays
