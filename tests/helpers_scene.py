"""A scene in memory with closed-form channels: what a ray-traced dataset holds, without ray tracing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from wbench.task.base import Task, family_class
from wbench.task.spec import TaskSpec

LIGHT = 299_792_458.0


class SceneData:
    """The part of a dataset that tasks look at."""

    def __init__(self, arrays: dict[str, np.ndarray], bands: dict[str, Any], stations: int) -> None:
        self.arrays = arrays
        self.array_names = tuple(arrays)
        self.path = "in memory"
        self.spec = SimpleNamespace(digest="sha256:scene", recipe="scene", size="tiny")
        self.attributes = {
            "scenes": [{"scene": 0, "name": "square", "base_stations": stations}],
            "radio": {"time_steps": 1, "time_step_s": 0.0, "bands": bands},
        }

    def __len__(self) -> int:
        return len(self.arrays["los"])

    def read(self, name: str, ids: Any) -> np.ndarray:
        return self.arrays[name][ids].copy()

    def array(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def require_complete(self) -> None:
        """It always is."""


def ula(u: np.ndarray, elements: int) -> np.ndarray:
    """Response [..., elements] of a horizontal ULA to waves whose cosine to its axis is ``u``."""
    return np.exp(1j * np.pi * u[..., None] * (np.arange(elements) - (elements - 1) / 2))


def band(cols: int, tones: int, spacing: float, carrier: float) -> dict[str, Any]:
    array = {"rows": 1, "dv": 0.5, "dh": 0.5, "slants": [0.0]}
    return {
        "carrier_hz": carrier,
        "subcarriers": tones,
        "spacing_hz": spacing,
        "tx": array | {"cols": cols},
        "rx": array | {"cols": 1},
    }


def scene(
    users: int = 200,
    stations: int = 6,
    seen_by: str = "all",
    *,
    cols: int = 4,
    tones: int = 128,
    spacing: float = 781.25e3,
    hidden: float = 0.4,
    outage: float = 0.1,
    seed: int = 5,
) -> SceneData:
    """Users in a square of 240 m. A link is in sight (Friis), hidden (one detour, 25 dB more), or in outage."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(stations) / stations
    bs = np.stack([90 * np.cos(angle), 80 * np.sin(angle), 10 + rng.uniform(0, 4, stations)], axis=1)
    bearing = angle + rng.uniform(-0.5, 0.5, stations)
    ue = np.concatenate([rng.uniform(-120, 120, (users, 2)), np.full((users, 1), 1.5)], axis=1).astype(np.float32)
    per = stations if seen_by == "all" else 1
    who, which = np.repeat(np.arange(users), per), np.tile(np.arange(stations), users)[: users * per]
    if seen_by == "one":
        which = np.arange(users) % stations
    state = rng.choice([1, 0, -1], size=len(who), p=[1 - hidden - outage, hidden, outage]).astype(np.int8)
    step = ue[who].astype(np.float64) - bs[which].astype(np.float32)
    distance = np.linalg.norm(step, axis=1)
    axis = np.stack([-np.sin(bearing), np.cos(bearing)], axis=1)[which]
    u = (step[:, :2] * axis).sum(axis=1) / distance
    detour = np.where(state == 0, np.minimum(rng.exponential(40, len(who)) + 5, 80), 0.0)
    u = np.where(state == 0, rng.uniform(-0.9, 0.9, len(who)), u)
    delay = (distance + detour) / LIGHT
    arrays: dict[str, np.ndarray] = {
        "los": state,
        "ue_position": ue[who],
        "bs_position": bs[which].astype(np.float32),
        "tx_orientation": np.stack([bearing, 0 * bearing, 0 * bearing], axis=1)[which].astype(np.float32),
        "scene": np.zeros(len(who), np.int32),
        "site": (np.floor(ue[who, 0] / 40) * 100 + np.floor(ue[who, 1] / 40)).astype(np.int32),
        "first_delay_s": delay,
    }
    bands = {"channel": band(cols, tones, spacing, 3.5e9)}
    if seen_by == "one":
        bands["channel_28ghz"] = band(16, 4, 30e3, 28e9)
    for name, of in bands.items():
        elements = of["tx"]["cols"]
        loss = 20 * np.log10(4 * np.pi * distance * of["carrier_hz"] / LIGHT) + np.where(state == 0, 25.0, 0.0)
        gain = np.where(state == -1, -np.inf, -loss)
        f = of["carrier_hz"] + (np.arange(of["subcarriers"]) - of["subcarriers"] // 2) * of["spacing_hz"]
        wave = 10 ** (gain / 20)[:, None] * np.exp(-2j * np.pi * (f * delay[:, None] % 1.0))
        channel = ula(u, elements)[:, :, None] * wave[:, None]
        arrays[name] = channel[:, None, None].astype(np.complex64)
        arrays["path_gain_db" + name.removeprefix("channel")] = gain.astype(np.float32)
    return SceneData(arrays, bands, stations)


def scene_task(data: SceneData, family: str, kind: str, primary: str, **fields: Any) -> Task:
    """A task of a family on it; users are dealt at random unless ``split`` says otherwise."""
    spec: dict[str, Any] = {
        "name": f"scene-{family}",
        "version": 1,
        "family": family,
        "kind": kind,
        "summary": "for tests",
        "primary": primary,
        "metrics": (primary,),
        "trivial": (),
        "views": {part: {"recipe": "scene", "side": part} for part in ("train", "val", "test")},
        "split": {"rule": "S0"},
        **fields,
    }
    checked = TaskSpec.model_validate(spec)
    return family_class(checked)(checked, {"scene": data})  # type: ignore[dict-item]
