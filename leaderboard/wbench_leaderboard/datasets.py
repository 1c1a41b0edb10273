"""What the registry knows of each recipe, read without any data: for the pages of the datasets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wbench import registry
from wbench.dataset.fingerprint import Fingerprint
from wbench.dataset.fingerprint_files import shipped_fingerprint
from wbench.dataset.spec import SIZES, load_recipe
from wbench.errors import WBenchError
from wbench.run.plan import build_spec

__all__ = ["ArrayInfo", "DatasetInfo", "SizeInfo", "installed_datasets"]

#: Single numbers per sample whose distribution a page shows, where a fingerprint has them.
STATISTICS = ("path_gain_db", "delay_spread_s", "k_factor_db", "doppler_spread_hz")


@dataclass(frozen=True)
class ArrayInfo:
    """One array of a dataset: its shape is that of a sample."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """Bytes of one sample, not compressed."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class SizeInfo:
    """One size of a dataset. ``content`` is the published content digest, None where nobody has published one."""

    size: str
    samples: int
    shards: int
    spec_digest: str
    content: str | None
    fingerprint: bool


@dataclass(frozen=True)
class DatasetInfo:
    """One recipe as its page shows it.

    Attributes
    ----------
    params, expect : tuple of (str, str)
        Parameters, all defaults filled in, and the ranges that every shard is held against.
    arrays : tuple of ArrayInfo
        Of the shipped fingerprint; empty without one.
    sampled : str
        Size whose fingerprint the statistics are from.
    values : mapping of str to float64 ndarray
        Statistics of the fingerprint's samples, not finite where a sample has none; ``los`` among them.
    """

    name: str
    summary: str
    licence: str
    version: int
    generator: str
    generator_version: int
    generator_summary: str
    install: str
    seed: int
    block: int
    sizes: tuple[SizeInfo, ...]
    params: tuple[tuple[str, str], ...]
    expect: tuple[tuple[str, str], ...] = ()
    arrays: tuple[ArrayInfo, ...] = ()
    sampled: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    simulator: str = ""


def installed_datasets(names: Iterable[str] | None = None) -> dict[str, DatasetInfo]:
    """Recipes that are installed here, all of them or the named ones; a recipe that cannot be read is left out.

    A broken third-party recipe must not take the whole site with it: its page then says what the results say.
    """
    known = registry.registry().names("recipe")
    wanted = known if names is None else sorted(set(known) & set(names))
    found = {}
    for name in wanted:
        try:
            found[name] = _read(name)
        except WBenchError:
            continue
    return found


def _read(name: str) -> DatasetInfo:
    recipe = load_recipe(name)
    entry = registry.registry().get("generator", recipe.generator)
    sizes, params, version = [], {}, 0
    prints: dict[str, Fingerprint] = {}
    for size in SIZES:
        if size not in recipe.sizes:
            continue
        spec, _, _, _ = build_spec(name, size, ready=False)
        shipped = shipped_fingerprint(spec)
        if shipped is not None:
            prints[size] = shipped
        content = None if shipped is None else shipped.content
        sizes.append(SizeInfo(size, spec.samples, spec.shards, spec.digest, content, shipped is not None))
        params, version = spec.params, spec.generator_version
    sampled = next((size for size in ("standard", "large", "tiny") if size in prints), "")
    shown = prints.get(sampled)
    return DatasetInfo(
        name=name,
        summary=recipe.summary,
        licence=recipe.licence,
        version=recipe.version,
        generator=recipe.generator,
        generator_version=version,
        generator_summary=entry.summary,
        install=str(entry.extra.get("install", "")),
        seed=recipe.seed,
        block=recipe.block,
        sizes=tuple(sizes),
        params=tuple(_flat(params, "")),
        expect=tuple((label, f"{low:.4g} to {high:.4g}") for label, (low, high) in recipe.expect.items()),
        arrays=() if shown is None else tuple(ArrayInfo(n, a.shape, a.dtype) for n, a in sorted(shown.arrays.items())),
        sampled=sampled,
        values={} if shown is None else _statistics(shown),
        simulator="" if shown is None else _simulator(shown),
    )


def _flat(value: Any, path: str) -> Iterable[tuple[str, str]]:
    """Parameters as lines: ``bands.channel.subcarriers``, ``32``; what is None or empty is left out."""
    if isinstance(value, Mapping):
        for key in value:
            yield from _flat(value[key], f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}[{index}]")
    elif value is not None and value not in ("", [], ()):
        yield path, ", ".join(map(_text, value)) if isinstance(value, list | tuple) else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    return ", ".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)


def _statistics(shown: Fingerprint) -> dict[str, Any]:
    found = {}
    for name in STATISTICS:
        item = shown.arrays.get(name)
        if item is not None and item.kind == "values" and item.data.shape[1] == 1:
            found[name] = item.data[:, 0].astype(np.float64)
    los = shown.arrays.get("los")
    if los is not None and los.kind == "exact" and los.data.shape[1] == 1:
        found["los"] = los.data[:, 0].astype(np.int64)
    ends = [shown.arrays.get(f"{end}_position") for end in ("ue", "bs")]
    if all(end is not None and end.kind == "values" and end.data.shape[1] == 3 for end in ends):
        ue, bs = (end.data.astype(np.float64) for end in ends if end is not None)
        found["distance_m"] = np.linalg.norm(ue[:, :2] - bs[:, :2], axis=1)
    return found


def _simulator(shown: Fingerprint) -> str:
    packages = shown.about.get("packages")
    if not isinstance(packages, Mapping):
        return ""
    return ", ".join(f"{name} {version}" for name, version in packages.items())
