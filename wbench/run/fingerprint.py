"""Fingerprints from a spec: only the blocks that are needed are simulated, and nothing is written."""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from wbench.dataset.fingerprint import (
    Fingerprint,
    compare_fingerprints,
    fingerprint_dataset,
    fingerprint_rows,
    lossless,
)
from wbench.dataset.fingerprint_files import shipped_fingerprint
from wbench.dataset.manifest import content_digest
from wbench.dataset.reader import Dataset
from wbench.dataset.spec import DatasetSpec
from wbench.dataset.verdict import Verdict
from wbench.digest import array_digest
from wbench.generator import Arrays, Block
from wbench.provenance import machine, package_versions
from wbench.run.executors import one_thread
from wbench.run.generate import simulate_block
from wbench.run.plan import build_spec, load_generator
from wbench.run.progress import progress

__all__ = ["fingerprint_recipe", "fingerprint_spec", "shipped_verdict"]

_verdicts: weakref.WeakKeyDictionary[Dataset, Verdict | None] = weakref.WeakKeyDictionary()


def fingerprint_recipe(
    recipe: str | Path, size: str = "standard", *, whole: bool = False, show_progress: bool = False
) -> Fingerprint:
    """Fingerprint of a recipe's dataset without the dataset.

    Parameters
    ----------
    recipe : str or Path
        Registry name or a ``.toml`` file.
    size : {"tiny", "standard", "large"}
        How many samples.
    whole : bool
        Simulate every block, for the content digest. Still nothing is written.
    show_progress : bool
        Show a progress bar on standard error.

    Raises
    ------
    UnknownNameError, SpecError
        The recipe, size or a parameter is wrong.
    MissingDependencyError
        The simulator is not installed.
    """
    spec, *_ = build_spec(recipe, size)
    return fingerprint_spec(spec, whole=whole, show_progress=show_progress)


def fingerprint_spec(spec: DatasetSpec, *, whole: bool = False, show_progress: bool = False) -> Fingerprint:
    """Fingerprint of a spec's dataset, stored without loss; see :func:`fingerprint_recipe`."""
    spec = lossless(spec)
    generator = load_generator(spec.generator)
    params = generator.Params.model_validate(spec.params)
    layout = generator.layout(params)
    with ExitStack() as stack:
        session = stack.enter_context(generator.open(params))
        stack.enter_context(one_thread())

        def block(index: int) -> Arrays:
            ids = range(index * spec.block, min((index + 1) * spec.block, spec.samples))
            return simulate_block(layout, session, Block(index, ids, spec.seed))

        samples, arrays = fingerprint_rows(spec, block)
        content = None
        if whole:
            entries = {}
            title = f"{spec.recipe} ({spec.size})"
            advance = stack.enter_context(progress(title, spec.samples, "samples", show=show_progress))
            for shard in range(spec.shards):
                parts = [block(index) for index, _ in spec.blocks_of(shard)]
                joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
                entries[shard] = {"arrays": {name: array_digest(values) for name, values in joined.items()}}
                advance(len(spec.shard_range(shard)), "")
            content = content_digest(entries)
    return Fingerprint(spec.digest, content, samples, arrays, _about(spec, generator.provenance()))


def _about(spec: DatasetSpec, simulator: dict[str, str]) -> dict[str, Any]:
    versions = {**package_versions(), **simulator}
    return {"recipe": spec.recipe, "size": spec.size, "packages": versions, "machine": machine()}


def shipped_verdict(dataset: Dataset) -> Verdict | None:
    """Verdict on a complete dataset against the shipped fingerprint of its spec; None where none is shipped.

    It reads a few chunks, once per opened dataset.

    Raises
    ------
    DatasetError
        If shards are missing, or the shipped file cannot be read.
    """
    if dataset not in _verdicts:
        shipped = shipped_fingerprint(dataset.spec)
        _verdicts[dataset] = compare_fingerprints(shipped, fingerprint_dataset(dataset)) if shipped else None
    return _verdicts[dataset]
