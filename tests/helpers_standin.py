"""Stand-ins of datasets: arrays of a recipe's own shapes, scenes and attributes, filled with a few plane waves.

They are there to run every task instance anywhere, without any simulator and in a second or two. Their numbers mean
nothing and are never results: shapes, splits, metadata and the ways through the families are what is tested on them.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from wbench.dataset.schema import ArraySpec
from wbench.run.generate import _radio, array_specs
from wbench.run.plan import build_spec

USERS, USERS_OF_SCENES = 40, 60
RUNS, SLOTS_PER_RUN = 20, 10
#: Side of the square in m that users stand in: several squares of 40 m.
SIDE = 400.0
PATHS = 3
#: Standard deviation of a velocity component in m/s: some users fall into every slice that is ranked.
SPEED = 6.0


class StandIn:
    """What a task needs of a dataset, in memory. Nothing is drawn before it is read."""

    def __init__(self, recipe: str) -> None:
        self.spec, generator, params, _ = build_spec(recipe, "tiny", ready=False)
        layout = generator.layout(params)
        self.path = f"stand-in of {recipe}"
        self.attributes: dict[str, Any] = {
            **layout.attributes,
            "radio": _radio(layout) or layout.attributes.get("radio", {}),
        }
        self.scenes = len(self.attributes.get("scenes", [])) or 1
        stations = [scene["base_stations"] for scene in self.attributes.get("scenes", [])]
        # Users of loc-rt stand there once for each base station; those of the cities are seen by one.
        self.links = stations[0] if recipe.startswith("loc-rt") else 1
        self.slots = "slots_per_run" in self.attributes
        if self.slots:
            self.attributes["slots_per_run"] = SLOTS_PER_RUN
        placed = bool(stations)
        users = (USERS_OF_SCENES if placed else USERS) * (2 if self.scenes > 1 else 1)
        self._count = RUNS * SLOTS_PER_RUN if self.slots else users * self.links
        self._specs: dict[str, ArraySpec] = {spec.name: spec for spec in array_specs(layout)}
        self._arrays: dict[str, np.ndarray] = {}

    @property
    def array_names(self) -> tuple[str, ...]:
        return tuple(self._specs)

    def __len__(self) -> int:
        return self._count

    def array(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            self._arrays[name] = self._draw(self._specs[name])
        return self._arrays[name]

    def read(self, name: str, ids: np.ndarray) -> np.ndarray:
        return self.array(name)[ids]

    def _draw(self, spec: ArraySpec) -> np.ndarray:
        n = len(self)
        rng = np.random.default_rng([7, zlib.crc32(f"{self.path} {spec.name}".encode())])
        user = np.arange(n) // self.links
        scene = user % self.scenes
        whole = {
            "ue_id": user,
            "scene": scene,
            "bs_id": np.arange(n) % self.links,
            "los": rng.integers(0, 2, n),
            "scenario": np.arange(n) // SLOTS_PER_RUN % 3,
            "site": np.arange(n) // SLOTS_PER_RUN if self.slots else user,
        }
        if spec.name in whole:
            return whole[spec.name].astype(spec.dtype)
        if spec.name == "ue_position":
            ground = rng.uniform(-SIDE / 2, SIDE / 2, (user.max() + 1, 2))[user]
            return np.column_stack([ground, np.full(n, 1.5)]).astype(spec.dtype)
        if spec.name == "ue_velocity":
            return (SPEED * rng.normal(size=(n, 3))).astype(spec.dtype)
        if spec.name == "energy_cut":
            return rng.uniform(0.0, 0.1, n).astype(spec.dtype)
        if spec.dtype == "complex64":
            return waves(rng, (n, *spec.shape))
        if spec.dtype == "bool":
            return np.ones((n, *spec.shape), dtype=bool)
        if spec.shape and spec.shape[-1] == 2:
            return features(rng, (n, *spec.shape))
        if spec.dtype.startswith(("int", "uint")):
            return rng.integers(1, 3, (n, *spec.shape)).astype(spec.dtype)
        values = rng.normal(size=(n, *spec.shape)) if spec.shape else rng.uniform(1.0, 2.0, n)
        return values.astype(spec.dtype)


def waves(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A sum of waves, each a product of phase ramps along the axes of a sample: complex64."""
    n, axes = shape[0], shape[1:]
    total = np.zeros(shape, np.complex64)
    for _ in range(PATHS):
        wave = (rng.normal(size=(n, 2)) @ [1.0, 1.0j]).astype(np.complex64).reshape(n, *[1] * len(axes))
        for axis, size in enumerate(axes):
            ramp = np.exp(2j * np.pi * rng.uniform(-0.1, 0.1, (n, 1)) * np.arange(size)).astype(np.complex64)
            wave = wave * ramp.reshape(n, *[size if a == axis else 1 for a in range(len(axes))])
        total += wave
    return total


def features(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Features with (real, imaginary) last; the diagonal of a square one is real and positive: float32."""
    values = 0.1 * rng.normal(size=shape)
    if len(shape) == 4 and shape[1] == shape[2]:
        rows = np.arange(shape[1])
        values[:, rows, rows] = [1.0, 0.0]
    else:
        values[..., 0] += 1.0
    return values.astype(np.float32)
