"""Shuffled epochs against plain NumPy, torch and Zarr, and what lossy storage saves; side by side in one run.

python benchmarks/bench_loading.py
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wbench import generate
from wbench.dataset.encoding import achieved
from wbench.dataset.loader import Batches
from wbench.dataset.reader import Dataset, open_dataset
from wbench.dataset.schema import SCHEMA_VERSION, channel_spec
from wbench.dataset.spec import DatasetSpec
from wbench.dataset.writer import create_dataset, write_shard

SAMPLES, BATCH, BUDGET = 50_000, 256, 64 << 20
RECIPES = ("snap-umi", "fb-umi", "mob-uma", "pmi-uma")


def build(path: Path, samples: int) -> Dataset:
    """Random snapshots in the shape and blocks of ``snap-umi``: 8 KiB each, shards of 4 000."""
    spec = DatasetSpec(
        recipe="bench",
        recipe_version=1,
        generator="bench",
        generator_version=1,
        seed=0,
        samples=samples,
        block=200,
        shard_blocks=20,
        params={},
        size="standard",
    )
    described = {"schema_version": SCHEMA_VERSION, "spec": spec.model_dump(mode="json"), "spec_digest": spec.digest}
    create_dataset(path, spec, [channel_spec("channel", 1, 1, 32, 32)], described)
    rng = np.random.default_rng(0)
    for shard in range(spec.shards):
        parts = rng.standard_normal((len(spec.shard_range(shard)), 1, 1, 32, 32, 2), dtype=np.float32)
        write_shard(path, spec, shard, {"channel": parts.view(np.complex64)[..., 0]})
    return open_dataset(path)


def seconds(epoch: Callable[[], Iterator[Any]]) -> float:
    """Time of an epoch per sample; every batch is touched."""
    count, start = 0, time.perf_counter()
    for batch in epoch():
        values = batch["channel"] if isinstance(batch, dict) else batch
        count += len(values)
        float(values[0, 0, 0, 0, 0].real)
    return (time.perf_counter() - start) / count


def memmap_blocks(rows: np.ndarray, block: int = 1024, buffer: int = 8) -> Iterator[np.ndarray]:
    """Block shuffle over a memory-mapped array: eight blocks of 1 024 samples in a buffer."""
    rng = np.random.default_rng(0)
    starts = rng.permutation(np.arange(0, len(rows), block))
    for i in range(0, len(starts), buffer):
        held = np.concatenate([rows[a : a + block] for a in starts[i : i + buffer]])
        order = rng.permutation(len(held))
        for j in range(0, len(held), BATCH):
            yield held[order[j : j + BATCH]]


def tensor_batches(x: Any) -> Iterator[Any]:
    """Indexing a torch tensor that holds the split."""
    import torch

    order = torch.randperm(len(x))
    for i in range(0, len(order), BATCH):
        yield x[order[i : i + BATCH]]


def single_samples(array: Any, count: int) -> Iterator[np.ndarray]:
    """One Zarr access for each sample, in random order."""
    for i in np.random.default_rng(0).permutation(array.shape[0])[:count]:
        yield array[int(i) : int(i) + 1]


def epochs(dataset: Dataset, repetitions: int) -> dict[str, float]:
    """Median seconds a sample of every way; the ways take turns, so that a busy machine slows them all."""
    import torch

    ids, options = np.arange(len(dataset)), {"shuffle_seed": 1}
    mapped = Batches(dataset, ids, BATCH, memory=BUDGET, mappable=True, **options)
    blocks = Batches(dataset, ids, BATCH, memory=BUDGET, mappable=False, **options)
    held = Batches(dataset, ids, BATCH, memory=1 << 40, **options)
    if (mapped.strategy, blocks.strategy, held.strategy) != ("memory-map", "blocks", "memory"):
        raise RuntimeError("the benchmark's budgets do not choose what it compares")
    found = {"first epoch, mapped": seconds(lambda: iter(mapped)), "first epoch, memory": seconds(lambda: iter(held))}
    rows = np.load(next(Path(os.environ["WBENCH_CACHE"]).rglob("*.npy")), mmap_mode="r")
    tensor = torch.from_numpy(np.array(rows))
    ways: dict[str, Callable[[], Iterator[Any]]] = {
        "memory-map": lambda: iter(mapped),
        "blocks": lambda: iter(blocks),
        "memory": lambda: iter(held),
        "NumPy memory map, block shuffle": lambda: memmap_blocks(rows),
        "torch tensor, indexed": lambda: tensor_batches(tensor),
        "Zarr, sample by sample": lambda: single_samples(dataset.array("channel"), 500),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repetitions):
        for name, way in ways.items():
            times[name].append(seconds(way))
    return found | {name: statistics.median(values) for name, values in times.items()}


def stored_again(dataset: Dataset, storage: str, path: Path) -> Dataset:
    """The dataset's channels in another storage."""
    spec = DatasetSpec.model_validate({**dataset.spec.model_dump(mode="json"), "storage": storage})
    shape = dataset.array("channel").shape[1:]
    attributes = {**dataset.attributes, "spec": spec.model_dump(mode="json"), "spec_digest": spec.digest}
    create_dataset(path, spec, [channel_spec("channel", *shape)], attributes)
    for shard in range(spec.shards):
        write_shard(path, spec, shard, {"channel": dataset.read_shard("channel", shard)})
    return open_dataset(path)


def storages(folder: Path) -> list[tuple[str, ...]]:
    """Bytes, error and reading time of each storage, by recipe."""
    rows: list[tuple[str, ...]] = []
    for recipe in RECIPES:
        whole = generate(recipe, size="tiny", out=folder / f"{recipe}.zarr").open()
        numbers = int(np.prod(whole.array("channel").shape[1:]))
        kinds = {
            kind: stored_again(whole, kind, folder / f"{recipe}-{kind}.zarr")
            for kind in ("lossless", "rounded", "float16")
        }
        times = {kind: reading(data) / numbers for kind, data in kinds.items()}
        for kind, data in kinds.items():
            found = achieved(data.entries).get("channel")
            size = 8.0 if found is None else found["bytes"] / numbers
            error = (
                ("exact", "exact") if found is None else (f"{found['nmse_db']:.1f}", f"{found['nmse_worst_db']:.1f}")
            )
            rows.append((recipe, kind, f"{size:.2f}", *error, f"{times[kind] / times['lossless']:.1f}"))
    return rows


def reading(dataset: Dataset) -> float:
    """Median seconds a sample of reading and decoding all shards."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for shard in range(dataset.spec.shards):
            ids = dataset.spec.shard_range(shard)
            dataset.array("channel")[ids.start : ids.stop]
        times.append((time.perf_counter() - start) / len(dataset))
    return statistics.median(times)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows))


def loading(samples: int = SAMPLES, repetitions: int = 5) -> str:
    """Tables of the epochs."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WBENCH_CACHE"] = str(Path(folder) / "cache")
        found = epochs(build(Path(folder) / "bench.zarr", samples), repetitions)
    speed = table(("shuffled epoch, batches of 256", "samples/s"), [(k, f"{1 / v:,.0f}") for k, v in found.items()])
    block, single, tensor = (
        found[name] for name in ("NumPy memory map, block shuffle", "Zarr, sample by sample", "torch tensor, indexed")
    )
    ratios = [
        ("larger than memory: memory-map", "NumPy memory map, block shuffle", block / found["memory-map"], "≥ 0.5"),
        ("larger than memory: memory-map", "Zarr, sample by sample", single / found["memory-map"], "≥ 100"),
        ("no room for a cache: blocks", "NumPy memory map, block shuffle", block / found["blocks"], ""),
        ("no room for a cache: blocks", "Zarr, sample by sample", single / found["blocks"], ""),
        ("fits: memory", "torch tensor, indexed", tensor / found["memory"], "≥ 0.8"),
    ]
    lines = [
        (ours, theirs, f"{ratio:.2g} ×" if ratio < 100 else f"{ratio:.0f} ×", aim)
        for ours, theirs, ratio, aim in ratios
    ]
    return f"{speed}\n\n{table(('`batches`', 'against', 'speed', 'aim'), lines)}"


def section() -> str:
    """Section of the performance page."""
    with tempfile.TemporaryDirectory() as folder:
        lossy = table(
            ("recipe", "storage", "bytes a number", "NMSE dB", "worst sample dB", "reading time"),
            storages(Path(folder)),
        )
    return "\n".join(
        [
            "## Loading",
            "",
            f"{SAMPLES:,} snapshots of 32 × 32 complex64 (8 KiB each) in shards of 4 000, page cache warm.",
            "With `memory` at 64 MiB the split does not fit. First epochs include loading, digest checks, the cache.",
            "",
            loading(),
            "",
            "## Lossy storage",
            "",
            "Real channels (tiny sizes). A complex number takes 8 bytes; reading time is against lossless.",
            "",
            lossy,
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(section() + "\n")
