"""Small handmade datasets for the tests of export, ingest and card: their arrays are known without the reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wbench.dataset.reader import Dataset, open_dataset
from wbench.dataset.schema import SCHEMA_VERSION, ArraySpec, channel_spec, standard
from wbench.dataset.spec import DatasetSpec
from wbench.dataset.writer import create_dataset, write_shard

SAMPLES = 23


def handmade(
    path: Path, *, time: int = 1, rx: int = 1, cols: int = 32, subcarriers: int = 32, extra: tuple[ArraySpec, ...] = ()
) -> tuple[Dataset, dict[str, np.ndarray]]:
    """A complete dataset in three shards, and its arrays; sample 5 has no path."""
    rng = np.random.default_rng(7)
    spec = DatasetSpec(
        recipe="handmade",
        recipe_version=1,
        generator="by-hand",
        generator_version=2,
        seed=3,
        samples=SAMPLES,
        block=4,
        shard_blocks=2,
        params={},
        size="tiny",
    )
    shape = (SAMPLES, time, rx, cols, subcarriers)
    gains = 10.0 ** rng.uniform(-6, -4, (SAMPLES, 1, 1, 1, 1))
    channel = (gains * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))).astype(np.complex64)
    los = rng.integers(0, 2, SAMPLES).astype(np.int8)
    channel[5], los[5] = 0, -1
    arrays = {
        "channel": channel,
        "los": los,
        "site": np.arange(SAMPLES, dtype=np.int32) // 3,
        "ue_position": rng.standard_normal((SAMPLES, 3)).astype(np.float32),
    }
    arrays |= {a.name: rng.standard_normal((SAMPLES, *a.shape)).astype(a.dtype) for a in extra}
    end = {"rows": 1, "dv": 0.5, "dh": 0.5, "slants": [0.0], "pattern": "omni"}
    attributes = {
        "schema_version": SCHEMA_VERSION,
        "spec": spec.model_dump(mode="json"),
        "spec_digest": spec.digest,
        "licence": "CC-BY-4.0",
        "los_definition": "drawn by hand",
        "radio": {
            "tx": {**end, "cols": cols},
            "rx": {**end, "cols": rx},
            "bands": {"channel": {"subcarriers": subcarriers, "spacing_hz": 30e3, "first_hz": 0.0}},
            "time_steps": time,
            "time_step_s": 1e-3 if time > 1 else 0.0,
        },
    }
    specs = [channel_spec("channel", time, rx, cols, subcarriers), *standard("los", "site", "ue_position"), *extra]
    create_dataset(path, spec, specs, attributes)
    for shard in range(spec.shards):
        ids = spec.shard_range(shard)
        write_shard(path, spec, shard, {name: values[ids.start : ids.stop] for name, values in arrays.items()})
    return open_dataset(path), arrays
