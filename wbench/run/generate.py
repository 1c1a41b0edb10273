"""The generation engine: blocks → rays → channels → checked arrays → shards. Resumes by itself."""

from __future__ import annotations

import atexit
import fcntl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wbench.channel import statistics
from wbench.channel.array import Array
from wbench.channel.synthesis import synthesize_bands
from wbench.dataset.manifest import MANIFEST, remove_leftovers, scan_entries
from wbench.dataset.reader import Dataset, open_dataset
from wbench.dataset.schema import SCHEMA_VERSION, STANDARD, ArraySpec, channel_spec
from wbench.dataset.spec import DatasetSpec, load_recipe
from wbench.dataset.verify import forget_shards
from wbench.dataset.writer import create_dataset, read_attributes, write_shard
from wbench.errors import (
    DatasetError,
    OutputConflictError,
    PluginError,
    SimulationError,
    SpecError,
    UsageError,
    WBenchError,
)
from wbench.generator import Arrays, Block, Generator, Layout, Session
from wbench.provenance import provenance
from wbench.run.executors import run_units, worker_pool
from wbench.run.plan import build_spec, dataset_path, load_generator
from wbench.run.progress import progress
from wbench.run.validate import ShardCheck, check_block, expectations

__all__ = ["GenerationReport", "array_specs", "generate", "make_shard", "repair", "simulate_block"]

#: Statistics that the engine derives from rays where the session does not return them.
DERIVED = ("delay_spread_s", "doppler_spread_hz")


@dataclass(frozen=True)
class GenerationReport:
    """What a run of :func:`generate` did.

    Attributes
    ----------
    path : Path
        The dataset folder.
    spec : DatasetSpec
        What was asked for.
    made, kept : int
        Shards made now, and shards that were there.
    failures : dict of int to str
        Shards that failed, with the cause.
    """

    path: Path
    spec: DatasetSpec
    made: int
    kept: int
    failures: dict[int, str]

    def open(self) -> Dataset:
        """Open the dataset."""
        return open_dataset(self.path)


def generate(
    recipe: str | Path,
    *,
    size: str = "standard",
    out: str | Path | None = None,
    seed: int | None = None,
    workers: int = 1,
    show_progress: bool = False,
) -> GenerationReport:
    """Generate a recipe's dataset; carry on where an earlier run stopped.

    Parameters
    ----------
    recipe : str or Path
        Registry name or a ``.toml`` file.
    size : {"tiny", "standard", "large"}
        How many samples.
    out : path, optional
        Dataset folder; default ``$WBENCH_DATA/RECIPE-SIZE.zarr``.
    seed : int, optional
        Root seed instead of the recipe's.
    workers : int
        Worker processes; 1 runs here. The bits do not depend on it.
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
        The folder holds another dataset, or another process is writing it.
    MissingDependencyError
        The simulator is not installed.
    """
    _check_workers(workers)
    spec, generator, params, licence = build_spec(recipe, size, seed)
    root = Path(out) if out is not None else dataset_path(spec.recipe, size, seed)
    layout = _layout(generator, params, spec.generator)
    attributes = _attributes(spec, layout, licence, generator.provenance())
    attributes |= {"expect": expectations(load_recipe(recipe), array_specs(layout))}
    create_dataset(root, spec, array_specs(layout), attributes)
    return _fill(root, spec, workers, show_progress)


def repair(
    path: str | Path, shards: Iterable[int] = (), *, workers: int = 1, show_progress: bool = False
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
    return _fill(dataset.path, spec, workers, show_progress, again=frozenset(shards))


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


def _fill(
    root: Path, spec: DatasetSpec, workers: int, show_progress: bool, again: frozenset[int] = frozenset()
) -> GenerationReport:
    """Make all shards that have no usable manifest entry, and those of ``again``."""
    with _single_writer(root):
        there, unusable = scan_entries(root, spec)
        forget_shards(root, {*unusable, *again})
        there = {shard: entry for shard, entry in there.items() if shard not in again}
        remove_leftovers(root)
        todo = [shard for shard in range(spec.shards) if shard not in there]
        failures: dict[int, str] = {}
        samples = sum(len(spec.shard_range(shard)) for shard in todo)
        pool_context = worker_pool(min(workers, len(todo))) if workers > 1 and len(todo) > 1 else nullcontext()
        bar = progress(
            f"{spec.recipe} ({spec.size})", spec.samples, "samples", done=spec.samples - samples, show=show_progress
        )
        with bar as advance, pool_context as pool, _closing_sessions():
            for shard, value in run_units(make_shard, todo, (root, spec), pool):
                if isinstance(value, Exception):
                    if isinstance(value, WBenchError) and value.exit_code == 3:
                        raise value  # a missing simulator fails every shard alike
                    failures[shard] = str(value) if isinstance(value, WBenchError) else _cause(value)
                advance(len(spec.shard_range(shard)), "")
    return GenerationReport(root, spec, len(todo) - len(failures), len(there), failures)


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@contextmanager
def _single_writer(root: Path) -> Iterator[None]:
    path = root / MANIFEST / "lock"
    with ExitStack() as stack:
        try:
            path.parent.mkdir(exist_ok=True)
            fcntl.flock(stack.enter_context(path.open("w")), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputConflictError(
                "Another process is writing this dataset.", where=str(root), next_step="wait for it, or stop it"
            ) from error
        except OSError as error:
            raise DatasetError("The dataset cannot be written.", where=str(path), why=str(error)) from error
        yield


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
        "radio": _radio(layout),
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


def make_shard(root: Path, spec: DatasetSpec, shard: int) -> dict[str, Any]:
    """Simulate and write one shard: a pure function of its arguments, to be run anywhere."""
    from wbench.run.executors import one_thread

    layout, session = _session(spec)
    check = ShardCheck(root, spec, shard, layout, read_attributes(root).get("expect"))
    try:
        with check.keeping_failures(), one_thread():
            parts = [Block(index, ids, spec.seed) for index, ids in spec.blocks_of(shard)]
            blocks = [simulate_block(layout, session, part, check) for part in parts]
            arrays = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
            found = check.shard(arrays)
    except BaseException:
        # A simulator that failed may be in any state: the next shard starts it anew. What it says while it is closed
        # is not the cause.
        with suppress(Exception):
            _sessions.pop(spec.digest)[2].close()
        raise
    return write_shard(root, spec, shard, arrays, found)


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
