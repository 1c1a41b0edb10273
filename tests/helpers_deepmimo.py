"""DeepMIMO v4 scenario folders for tests: the golden one, and small ones written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from wbench.generator import Block
from wbench.run.generate import simulate_block
from wbench_generators.deepmimo import DeepMimo

DATA = Path(__file__).parent / "data"
BAND = {"channel": {"subcarriers": 32, "spacing_hz": 30e3}}
LIGHT = 299792458.0
ANGLES = ("aod_az", "aod_el", "aoa_az", "aoa_el")


def golden(name: str) -> np.ndarray:
    """A stored matrix of the golden scenario."""
    with np.load(DATA / "deepmimo_munich" / f"{name}_t000_tx000_r001.npz") as archive:
        return archive[name]


def reference() -> dict[str, np.ndarray]:
    """Sionna's CFR and DeepMIMO's channels of the first 100 users."""
    with np.load(DATA / "deepmimo_munich_reference.npz") as archive:
        return dict(archive)


def params(scenario="deepmimo_munich", **changes):
    """Parameters with the golden carrier, a 32-element ULA and users in the stored order."""
    table = {"scenario": scenario, "carrier_hz": 3.5e9, "bs": {"cols": 32}, "bands": BAND, "order": "stored", **changes}
    return DeepMimo.Params.model_validate(table)


def arrays(p, count: int, *, start: int = 0, root: int = 1, index: int = 0) -> dict[str, np.ndarray]:
    """All arrays of one block, as the engine makes them."""
    generator = DeepMimo()
    with generator.open(p) as session:
        return simulate_block(generator.layout(p), session, Block(index, range(start, start + count), root))


def nmse_db(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Per-sample NMSE in dB over all axes but the first."""
    error = (np.abs(found.astype(np.complex128) - truth) ** 2).reshape(len(truth), -1).sum(1)
    power = (np.abs(truth.astype(np.complex128)) ** 2).reshape(len(truth), -1).sum(1)
    return 10 * np.log10(error / power + 1e-30)


def draw_paths(users: int, paths: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random path matrices in DeepMIMO's units; user 1 has no path, user 2 a hole, user 3 a weak direct path."""
    rng = np.random.default_rng(seed)
    shape = (users, paths)
    out = {
        "power": np.sort(rng.uniform(-130, -70, shape))[:, ::-1],
        "phase": rng.uniform(-180, 180, shape),
        "delay": rng.uniform(1e-7, 2e-6, shape),
        "inter": rng.choice([1, 11, 2, 13], shape),
    }
    out |= {name: rng.uniform(*((-180, 180) if name.endswith("az") else (60, 120)), shape) for name in ANGLES}
    count = rng.integers(1, paths + 1, users)
    absent = np.arange(paths) >= count[:, None]
    absent[1:4] = False
    absent[1] = True
    absent[2, 0] = True
    out = {name: np.where(absent, np.nan, value).astype(np.float32) for name, value in out.items()}
    out["inter"][3, paths - 1] = 0.0
    return out


def write_scenario(
    folder: Path,
    name: str = "made",
    *,
    users: int = 12,
    transmitters: tuple[tuple[int, int], ...] = ((1, 1),),
    rx_set: int = 0,
    paths: int = 5,
    carrier_hz: float = 3.5e9,
    raytracer: str = "Remcom Wireless Insite",
    snapshots: tuple[str, ...] = (),
    ending: str = "npz",
    seed: int = 0,
) -> Path:
    """A scenario with transmitter sets of (number, points), one of them also a receiver set, and a grid of users."""
    target = folder / name
    sets = {f"txrx_set_{rx_set}": _set(rx_set, users, tx=False)}
    sets |= {f"txrx_set_{number}": _set(number, points, tx=True) for number, points in transmitters}
    target.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    start = rng.uniform(-100, 100, (users, 3)) * [1, 1, 0] + [0, 0, 1.5]
    for i, part in enumerate(snapshots or ("",)):
        place = target / part
        place.mkdir(exist_ok=True)
        number = int("".join(filter(str.isdigit, part)) or i)
        for tx_set, points in transmitters:
            for point in range(points):
                matrices = draw_paths(users, paths, 1000 * seed + 100 * number + 10 * tx_set + point)
                matrices["rx_pos"] = (start + np.array([2.0, -1.0, 0.0]) * number).astype(np.float32)
                matrices["tx_pos"] = np.array([[10.0 * tx_set, 5.0 * point, 20.0]], np.float32)
                _write(place, f"t{tx_set:03}_tx{point:03}_r{rx_set:03}", matrices, ending)
    table = {
        "version": "4.0.5",
        "rt_params": {"raytracer_name": raytracer, "raytracer_version": "1", "frequency": carrier_hz},
        "txrx_sets": sets,
        "materials": {},
        "scene": {"num_scenes": max(1, len(snapshots))},
    }
    (target / "params.json").write_text(json.dumps(table))
    return target


def _set(number: int, points: int, *, tx: bool) -> dict:
    # Base stations are receivers too in official scenarios (links between base stations).
    return {"name": f"set{number}", "id": number, "is_tx": tx, "is_rx": True, "num_points": points}


def _write(folder: Path, suffix: str, matrices: dict[str, np.ndarray], ending: str) -> None:
    for name, array in matrices.items():
        file = folder / f"{name}_{suffix}.{ending}"
        if ending == "mat":
            from scipy.io import savemat

            savemat(file, {name: array})
        else:
            np.savez_compressed(file, **{name: array})
