"""What scaling costs: workers, the engine around the simulator, schedulers, manifests, resuming.

    python benchmarks/bench_scale.py

Simulated parts run Sionna on a recipe like the standard ones. Manifests of 10⁴ and 10⁶ shards are *fabricated*: entries
that look like real ones (digests of nothing) are written as parts; a simulation of that size would take months.
"""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from wbench.dataset.entries import entry_digest
from wbench.dataset.manifest import GROUP, compact, content_digest, entry_key, scan_entries
from wbench.dataset.place import MANIFEST, FolderPlace
from wbench.dataset.spec import DatasetSpec
from wbench.dataset.writer import create_dataset, write_shard
from wbench.generator import Block
from wbench.run.executors import run_units, worker_pool
from wbench.run.generate import array_specs, simulate_block
from wbench.run.plan import build_spec

SHARDS, BLOCKS, BLOCK = 24, 20, 200
RECIPE = """
name = "bench-umi"
version = 1
generator = "sionna-38901"
summary = "like snap-umi, with smaller shards"
licence = "CC0-1.0"
seed = 1
block = {block}
sizes.tiny = {{samples = {samples}, shard_blocks = {blocks}}}
[params]
scenario = "umi"
carrier_hz = 3.5e9
bs_height_m = 10.0
distance_m = [20.0, 150.0]
los = "model"
bs = {{rows = 4, cols = 8, polarisation = "V"}}
bands.channel = {{subcarriers = 32, spacing_hz = 30e3}}
"""


def write_recipe(folder: Path, shards: int) -> Path:
    path = folder / f"bench-umi-{shards}.toml"
    path.write_text(RECIPE.format(block=BLOCK, blocks=BLOCKS, samples=shards * BLOCK * BLOCKS), encoding="utf-8")
    return path


def seconds(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


# --- simulated ---------------------------------------------------------------------------------------------------


def engine_overhead(folder: Path, repetitions: int = 5) -> dict[str, float]:
    """Seconds of one shard: simulator and synthesis alone, and everything; the two alternate."""
    from wbench.run.generate import make_shard

    spec, generator, params, _ = build_spec(write_recipe(folder, 1), "tiny")
    layout = generator.layout(params)
    place = FolderPlace(folder / "overhead.zarr")
    create_dataset(place, spec, array_specs(layout), {"spec_digest": spec.digest})
    alone, whole, writing = [], [], []
    with threadpool_limits(1), generator.open(params) as session:
        blocks = [Block(index, ids, spec.seed) for index, ids in spec.blocks_of(0)]

        def simulate() -> list[Any]:
            return [simulate_block(layout, session, block) for block in blocks]

        made = simulate()
        arrays = {name: np.concatenate([block[name] for block in made]) for name in made[0]}
        make_shard(place, spec, 0)
        for _ in range(repetitions):
            alone.append(seconds(simulate))
            whole.append(seconds(lambda: make_shard(place, spec, 0)))
            writing.append(seconds(lambda: write_shard(place, spec, 0, arrays)))
    return {
        "alone_s": statistics.median(alone),
        "overhead": statistics.median(w / a for w, a in zip(whole, alone, strict=True)) - 1,
        "write_s": statistics.median(writing),
        "bytes": float(sum(array.nbytes for array in arrays.values())),
    }


def one_and_two_workers(folder: Path, repetitions: int = 3) -> dict[str, float]:
    """Shards a second of one and of two worker processes once they run; the two alternate."""
    recipe = write_recipe(folder, SHARDS)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for repetition in range(repetitions):
        for workers in (1, 2) if repetition % 2 else (2, 1):
            out = folder / f"workers-{workers}-{repetition}.zarr"
            program = (
                "import sys; from wbench import generate; "
                f"generate({str(recipe)!r}, size='tiny', out={str(out)!r}, workers={workers})"
            )
            subprocess.run([sys.executable, "-c", program], check=True)
            rates[workers].append(_rate(out))
            shutil.rmtree(out)
    pairs = zip(rates[2], rates[1], strict=True)
    return {
        "one": statistics.median(rates[1]),
        "two": statistics.median(rates[2]),
        "ratio": statistics.median(two / one for two, one in pairs),
    }


_LOOP = """
import time
began, done = time.monotonic(), 0
while time.monotonic() - began < 4:
    sum(range(20000))
    done += 1
print(done)
"""


def two_busy_loops(repetitions: int = 3) -> float:
    """What two processes get against one that share nothing: the ceiling of this machine in this hour."""

    def work(processes: int) -> int:
        command = [sys.executable, "-c", _LOOP]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
        return sum(int(process.communicate()[0]) for process in running)

    return statistics.median(work(2) / work(1) for _ in range(repetitions))


def _rate(out: Path) -> float:
    """Shards a second, by the times of the manifest's entries, after the first quarter: importing a simulator takes
    as long as many shards, and is done once.
    """
    times = sorted(path.stat().st_mtime for path in (out / MANIFEST).glob("shard-*.json"))
    first = len(times) // 4
    return (len(times) - 1 - first) / (times[-1] - times[first])


# --- schedulers --------------------------------------------------------------------------------------------------


def pool_overhead(units: int = 2000) -> float:
    """Seconds that a process pool adds to one unit."""
    with worker_pool(2) as pool:
        return _per_unit(pool, units)


def _per_unit(pool: Executor, units: int) -> float:
    # abs does nothing, and every worker has it.
    if dict(run_units(abs, range(50), (), pool)) != {unit: unit for unit in range(50)}:
        raise RuntimeError("the executor does not work")
    return seconds(lambda: list(run_units(abs, range(units), (), pool))) / units


@contextmanager
def dask_cluster() -> Iterator[str]:
    """Scheduler and two workers as processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    module = [sys.executable, "-m"]
    plain = ["--no-dashboard"]
    run = [[*module, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), *plain]]
    run += 2 * [[*module, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", *plain]]
    with tempfile.TemporaryDirectory() as folder:
        processes = [subprocess.Popen(command, cwd=folder, **quiet) for command in run]  # type: ignore[call-overload]
        try:
            yield address
        finally:
            for process in processes:
                process.kill()
                process.wait()


def dask_overhead(units: int = 2000) -> float:
    """Seconds that a Dask cluster on this machine adds to one unit; NaN where Dask is not installed."""
    try:
        from distributed import Client
    except ImportError:
        return math.nan
    from wbench.run.dask import dask_pool

    with dask_cluster() as address:
        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        with dask_pool(address) as pool:
            return _per_unit(pool, units)


# --- manifests ---------------------------------------------------------------------------------------------------

_ARRAYS = ("channel", "los", "ue_position", "bs_position", "ue_velocity", "ue_id", "scene", "site", "path_gain_db")
_ARRAYS += ("delay_spread_s", "k_factor_db", "doppler_spread_hz")


def fabricated(spec: DatasetSpec, shard: int) -> dict[str, Any]:
    """An entry of the size of a real one; its arrays' digests are of nothing."""
    ids = spec.shard_range(shard)
    figures = {name: [0.1, 0.2, 0.3, 0.4, 0.5] for name in ("path_gain_db", "delay_spread_s", "k_factor_db")}
    entry: dict[str, Any] = {
        "spec": spec.digest,
        "shard": shard,
        "samples": [ids.start, ids.stop],
        "arrays": {name: f"sha256:{shard:064x}" for name in _ARRAYS},
        "statistics": {"samples": len(ids), "los_share": 0.5, **figures},
    }
    return {**entry, "digest": entry_digest(entry)}


def manifest_cost(folder: Path, shards: int) -> dict[str, float]:
    """Bytes, seconds to find out that nothing is missing, and seconds to read every entry for the content digest."""
    base, generator, params, _ = build_spec("snap-umi", "standard")
    spec = base.model_copy(update={"samples": shards * base.shard_samples})
    spec.__dict__.pop("digest", None)
    place = FolderPlace(folder / f"manifest-{shards}.zarr")
    attributes = {"spec": spec.model_dump(mode="json"), "spec_digest": spec.digest, "schema_version": 1, "expect": {}}
    create_dataset(place, spec, array_specs(generator.layout(params)), attributes)
    found: dict[str, float] = {"shards": shards}
    if shards >= GROUP:  # entry by entry a million of them would take longer than everything else here
        for shard in range(GROUP):
            (place.path / entry_key(shard)).write_text(json.dumps(fabricated(spec, shard), indent=1, sort_keys=True))
        found["compact_s"] = seconds(lambda: compact(place, spec, 0))
        for group in range(1, shards // GROUP):
            _write_part(place, spec, group)
    else:
        for shard in range(shards):
            place.write(entry_key(shard), json.dumps(fabricated(spec, shard), indent=1, sort_keys=True).encode())
    found["bytes"] = sum(size or 0 for size in place.list(MANIFEST).values())
    found["files"] = len(place.list(MANIFEST))
    missing: list[int] = []

    def scan() -> None:
        entries = scan_entries(place, spec)[0]
        missing.extend(shard for shard in range(spec.shards) if shard not in entries)

    found["scan_s"] = seconds(scan)
    if missing:
        raise RuntimeError("the fabricated manifest is not whole")
    found["digest_s"] = seconds(lambda: content_digest(scan_entries(place, spec)[0]))
    return found


def _write_part(place: FolderPlace, spec: DatasetSpec, group: int) -> None:
    shards = range(group * GROUP, (group + 1) * GROUP)
    lines = [json.dumps(fabricated(spec, shard), sort_keys=True, separators=(",", ":")) for shard in shards]
    body = "".join(f"{line}\n" for line in lines)
    head = {"bytes": len(body), "entries": GROUP, "first": shards.start, "spec": spec.digest}
    text = json.dumps(head, separators=(",", ":")) + "\n" + body
    (place.path / MANIFEST / f"part-{group:06d}.jsonl").write_text(text, encoding="utf-8")


def resume(folder: Path, shards: int = 10_000) -> dict[str, float]:
    """The whole command on a finished dataset of 10⁴ shards, and what it imported."""
    recipe = folder / "bench-resume.toml"
    text = RECIPE.format(block=BLOCK, blocks=BLOCKS, samples=shards * BLOCK * BLOCKS)
    recipe.write_text(text, encoding="utf-8")
    spec, generator, params, _ = build_spec(recipe, "tiny")
    place = FolderPlace(folder / "resume.zarr")
    attributes = {"spec": spec.model_dump(mode="json"), "spec_digest": spec.digest, "schema_version": 1, "expect": {}}
    create_dataset(place, spec, array_specs(generator.layout(params)), attributes)
    for group in range(shards // GROUP):
        _write_part(place, spec, group)
    program = (
        "import sys\nfrom wbench.cli.main import main\ntry:\n    main()\nfinally:\n"
        "    print([name for name in ('torch', 'sionna') if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", program, "generate", str(recipe), "--size", "tiny", "--out", str(place.path)]
    took, cpu, said = [], [], ""
    for _ in range(4):
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        took.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    if f"0 shards made, {shards} kept" not in said or "[]" not in said:
        raise RuntimeError(said)
    return {"seconds": statistics.median(took[1:]), "cpu_s": statistics.median(cpu[1:])}


def section() -> str:
    """Section of the performance page."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("WBENCH_BENCH_DIR")) as name:
        folder = Path(name)
        engine = engine_overhead(folder)
        workers, ceiling = one_and_two_workers(folder), two_busy_loops()
        manifests = [manifest_cost(folder, shards) for shards in (100, 10_000, 1_000_000)]
        resumed = resume(folder)
    pool, dask = pool_overhead(), dask_overhead()
    megabytes = engine["bytes"] / 1e6
    lines = [
        "## Scale",
        "",
        "| | measured | aim |",
        "| --- | ---: | ---: |",
        f"| engine around the simulator, overhead | {100 * engine['overhead']:.1f} % | <= 10 % |",
        f"| two workers against one (two busy loops: {ceiling:.2f} x) | {workers['ratio']:.2f} x | >= 1.8 x |",
        f"| `wbench generate` on a finished dataset of 10,000 shards | {resumed['seconds']:.2f} s "
        f"({resumed['cpu_s']:.2f} s CPU) | <= 2 s |",
        "",
        f"A shard here is {BLOCK * BLOCKS} samples of snap-umi, {megabytes:.1f} MB: {engine['alone_s']:.2f} s of",
        f"simulation and synthesis, {1e3 * engine['write_s']:.0f} ms of writing (fsync included). One worker:",
        f"{workers['one']:.2f} shards/s, two: {workers['two']:.2f}, once the simulator is imported. A process pool",
        f"adds {1e6 * pool:.0f} µs to a shard, a Dask cluster on this machine {1e6 * dask:.0f} µs.",
        "",
        "| shards | manifest | files | nothing is missing | content digest |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in manifests:
        lines.append(
            f"| {row['shards']:,.0f} | {row['bytes'] / 1e6:,.1f} MB | {row['files']:,.0f} | {row['scan_s']:.3f} s "
            f"| {row['digest_s']:.2f} s |"
        )
    compacted = next(row["compact_s"] for row in manifests if "compact_s" in row)
    lines += [
        "",
        f"Entries of the manifests are fabricated. Moving {GROUP} entries into a part takes {compacted:.2f} s.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(section())
