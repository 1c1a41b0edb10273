"""Stored rays of a dataset → a DeepMIMO v4 scenario folder that the ``deepmimo`` package loads.

Works for any generator that stores rays (``store_rays = true``). A scenario holds less than the rays: one amplitude
per path (vertical to vertical), no Doppler shift, single precision. Phases are written *with* the carrier phase, so
that sums of paths are right in ``compute_channels`` without a correction.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from wbench.channel.rays import Rays
from wbench.dataset.reader import Dataset, open_dataset
from wbench.errors import DatasetError, OutputConflictError, UsageError
from wbench_generators.deepmimo.scenario import MATRICES

__all__ = ["ScenarioReport", "export_scenario", "interaction_codes", "path_matrices"]

F32 = npt.NDArray[np.float32]

#: Numbers of the transmitter and the receiver set of an exported scenario.
TX_SET, RX_SET = 0, 1
RAY_ARRAYS: Final = ("tau", "aod", "zod", "aoa", "zoa", "nu", "g")
#: Interactions in ``ray_interactions`` (specular, scattering, refraction, diffraction) and their digits in DeepMIMO.
DIGITS: Final = {1: 1, 2: 3, 4: 4, 8: 2}
FORMAT_VERSION: Final = "4.0.5"


@dataclass(frozen=True)
class ScenarioReport:
    """What was written.

    Attributes
    ----------
    path : Path
        The scenario folder.
    users, transmitters, paths : int
        Receivers, transmitters, and columns of the path matrices.
    missing_links : int
        Links that the dataset does not hold; they are without a path in the scenario.
    """

    path: Path
    users: int
    transmitters: int
    paths: int
    missing_links: int


def export_scenario(
    dataset: str | Path | Dataset,
    folder: str | Path,
    name: str,
    *,
    scene: int | None = None,
    max_paths: int | None = None,
    missing: Literal["refuse", "no-path"] = "refuse",
) -> ScenarioReport:
    """Write the stored rays of a dataset as the scenario ``folder/name``.

    Every base station position becomes a point of transmitter set 0, every ``ue_id`` a point of receiver set 1.

    Parameters
    ----------
    dataset : path or Dataset
        A complete dataset with stored rays.
    folder, name : path, str
        Folder of the scenarios and name of the new one: lower-case letters, digits, ``_``, ``-``, since the package
        looks scenarios up in lower case.
    scene : int, optional
        Which scene, where the dataset has several.
    max_paths : int, optional
        Keep the strongest paths of a link only (the package itself loads 25 unless asked for more).
    missing : {"refuse", "no-path"}
        What to do where a user is not seen by every base station: a scenario cannot say "not sampled".

    Returns
    -------
    ScenarioReport

    Raises
    ------
    UsageError
        The name, the scene or the dataset's rays do not allow it.
    DatasetError
        The dataset is incomplete, or links are missing.
    OutputConflictError
        The folder exists.
    """
    data = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    target = _target(folder, name)
    data.require_complete()
    carrier_hz = _carrier(data)
    ids = _scene_ids(data, scene)
    links = _Links.of(data, ids)
    if links.missing and missing == "refuse":
        raise DatasetError(
            "Some users are not seen by every base station.",
            where=str(data.path),
            why=f"{links.missing} of {links.users * links.transmitters} links are not in the dataset",
            next_step="missing='no-path' writes them as links without a path",
        )
    matrices = _fill(data, ids, links, carrier_hz, max_paths)
    temporary = target.with_name(f".{target.name}-{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        for point in range(links.transmitters):
            arrays = {key: array[point] for key, array in matrices.items()}
            _write_pair(temporary, point, arrays, links)
        _write_json(temporary / "params.json", _params(data, carrier_hz, links, matrices["power"]))
        _write_json(temporary / "objects.json", [])
        np.savez_compressed(temporary / "vertices.npz", vertices=np.zeros((0, 3), np.float32))
        temporary.rename(target)
    except OSError as error:
        raise DatasetError("The scenario cannot be written.", where=str(target), why=str(error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return ScenarioReport(target, links.users, links.transmitters, matrices["power"].shape[2], links.missing)


def path_matrices(
    rays: Rays, los: npt.NDArray[np.int8], max_paths: int | None = None, inter: F32 | None = None
) -> dict[str, F32]:
    """DeepMIMO's path matrices of the links of a record.

    Parameters
    ----------
    rays : Rays
        n links between isotropic elements; only the component vertical to vertical is used.
    los : int8 ndarray [n]
        LoS state; where it is 1 the earliest path is the direct one.
    max_paths : int, optional
        Keep the strongest only.
    inter : float32 ndarray [n, P], optional
        DeepMIMO's interaction codes. Without them paths other than the direct one are coded as one reflection.

    Returns
    -------
    dict of str to float32 ndarray [n, paths]
        ``power`` (dB), ``phase`` (degrees, carrier phase included), ``delay`` (s), angles (degrees), ``inter``; the
        strongest path first, NaN where there is none.
    """
    g, tau = rays.g[0, 0].astype(np.complex128), rays.ray_tau()
    amplitude = np.abs(g)
    order = np.argsort(-amplitude, axis=1, kind="stable")
    count = max(1, int((amplitude > 0).sum(axis=1).max(initial=0)))
    order = order[:, : count if max_paths is None else min(count, max_paths)]
    valid = np.take_along_axis(amplitude, order, axis=1) > 0

    if inter is None:
        first = np.where(amplitude > 0, tau, np.inf).argmin(axis=1)
        direct = (np.arange(rays.rays) == first[:, None]) & (los == 1)[:, None]
        inter = np.where(direct, 0, 1).astype(np.float32)
    with np.errstate(divide="ignore"):
        power = 20 * np.log10(amplitude)
    angles = {"aod_az": rays.aod, "aod_el": rays.zod, "aoa_az": rays.aoa, "aoa_el": rays.zoa}
    columns = {"power": power, "phase": np.degrees(np.angle(g)), "delay": tau, "inter": inter}
    columns |= {key: np.degrees(angle.astype(np.float64)) for key, angle in angles.items()}
    return {
        key: np.where(valid, np.take_along_axis(value, order, axis=1), np.nan).astype(np.float32)
        for key, value in columns.items()
    }


def interaction_codes(kinds: npt.NDArray[np.uint8]) -> F32:
    """DeepMIMO's interaction codes, a decimal digit per interaction from the transmitter on.

    Parameters
    ----------
    kinds : uint8 ndarray [n, depth, P]
        0 none, 1 specular, 2 scattering, 4 refraction, 8 diffraction.

    Returns
    -------
    float32 ndarray [n, P]
        0 for a direct path; exact up to seven interactions.
    """
    digits = np.zeros(256, np.int64)
    digits[list(DIGITS)] = list(DIGITS.values())
    code: npt.NDArray[np.int64] = np.zeros((kinds.shape[0], kinds.shape[2]), np.int64)
    for step in np.moveaxis(digits[kinds], 1, 0):
        code = np.where(step > 0, 10 * code + step, code)
    return code.astype(np.float32)


@dataclass(frozen=True)
class _Links:
    """Places of the samples in the scenario's matrices."""

    user: npt.NDArray[np.int64]
    transmitter: npt.NDArray[np.int64]
    ue_position: F32
    bs_position: F32

    @classmethod
    def of(cls, data: Dataset, ids: npt.NDArray[np.int64]) -> _Links:
        bs_position, transmitter = np.unique(data.read("bs_position", ids), axis=0, return_inverse=True)
        _, first, user = np.unique(data.read("ue_id", ids), return_index=True, return_inverse=True)
        transmitter, user = transmitter.reshape(-1), user.reshape(-1)
        if len(np.unique(np.stack([transmitter, user]), axis=1).T) != len(ids):
            why = "several samples have the same user and base station; snapshots in time are not exported"
            raise UsageError("The dataset's links are not unique.", where=str(data.path), why=why)
        return cls(user, transmitter, data.read("ue_position", ids)[first], bs_position)

    @property
    def users(self) -> int:
        return len(self.ue_position)

    @property
    def transmitters(self) -> int:
        return len(self.bs_position)

    @property
    def missing(self) -> int:
        return self.users * self.transmitters - len(self.user)


def _target(folder: str | Path, name: str) -> Path:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        why = "lower-case letters, digits, _ and - only: the deepmimo package lower-cases names"
        raise UsageError(f"{name!r} cannot name a scenario.", why=why, next_step=f"e.g. {name.lower()!r}")
    target = Path(folder) / name
    if target.exists():
        raise OutputConflictError("There is a scenario of that name.", where=str(target), next_step="another name")
    return target


def _carrier(data: Dataset) -> float:
    absent = [f"ray_{name}" for name in RAY_ARRAYS if f"ray_{name}" not in data.array_names]
    carrier = data.attributes.get("carrier_hz", data.spec.params.get("carrier_hz"))
    if absent or not isinstance(carrier, int | float):
        raise UsageError(
            "The dataset does not hold its rays.",
            where=str(data.path),
            why=f"no array {absent[0]}" if absent else "no single carrier_hz in its attributes or parameters",
            next_step="generate it with store_rays = true in the recipe's [params]",
        )
    return float(carrier)


def _scene_ids(data: Dataset, scene: int | None) -> npt.NDArray[np.int64]:
    scenes = data.read("scene", np.arange(len(data)))
    known = np.unique(scenes).tolist()
    if scene is None and len(known) > 1:
        raise UsageError(
            "The dataset has several scenes, a scenario has one.", why=f"scenes {known}", next_step="scene=0"
        )
    ids = np.flatnonzero(scenes == (known[0] if scene is None else scene))
    if not ids.size:
        raise UsageError(f"The dataset has no scene {scene}.", where=str(data.path), why=f"scenes {known}")
    return ids.astype(np.int64)


def _fill(
    data: Dataset, ids: npt.NDArray[np.int64], links: _Links, carrier_hz: float, max_paths: int | None
) -> dict[str, F32]:
    """All path matrices, float32 [transmitters, users, paths]; read by blocks, whose rays share their taps."""
    parts = []
    coded, grouped = ("ray_" + name in data.array_names for name in ("interactions", "seg"))
    for block in np.split(ids, np.flatnonzero(np.diff(ids // data.spec.block)) + 1):
        arrays = {f"ray_{key}": data.read(f"ray_{key}", block) for key in RAY_ARRAYS}
        # Ray tracers store one ray per tap, and then no groups.
        seg = data.read("ray_seg", block) if grouped else np.ones(arrays["ray_tau"].shape, np.int32)
        rays = Rays.from_arrays({**arrays, "ray_seg": seg}, carrier_hz)
        inter = interaction_codes(data.read("ray_interactions", block)) if coded else None
        parts.append(path_matrices(rays, data.read("los", block), max_paths, inter))
    width = max(part["power"].shape[1] for part in parts)
    out: dict[str, F32] = {
        name: np.full((links.transmitters, links.users, width), np.nan, np.float32) for name in MATRICES
    }
    start = 0
    for part in parts:
        at = slice(start, start + len(part["power"]))
        for name, array in part.items():
            out[name][links.transmitter[at], links.user[at], : array.shape[1]] = array
        start = at.stop
    return out


def _write_pair(folder: Path, point: int, arrays: dict[str, F32], links: _Links) -> None:
    suffix = f"t{TX_SET:03}_tx{point:03}_r{RX_SET:03}"
    places = np.full((*arrays["power"].shape, 1, 3), np.nan, np.float32)  # where paths interact is not known
    positions = {"rx_pos": links.ue_position, "tx_pos": links.bs_position[point : point + 1], "inter_pos": places}
    for name, array in {**arrays, **positions}.items():
        np.savez_compressed(folder / f"{name}_{suffix}.npz", allow_pickle=False, **{name: array})


def _params(data: Dataset, carrier_hz: float, links: _Links, power: F32) -> dict[str, Any]:
    def points(number: int, name: str, count: int, active: int) -> dict[str, Any]:
        return {
            "name": name,
            "id_orig": number,
            "id": number,
            "is_tx": number == TX_SET,
            "is_rx": number == RX_SET,
            "num_points": count,
            "num_active_points": active,
            "num_ant": 1,
            "dual_pol": False,
            "ant_rel_positions": [[0.0, 0.0, 0.0]],
            "array_orientation": [0, 0, 0],
            "grid_spacing": None,
        }

    active = np.asarray(np.isfinite(power).any(axis=2))
    limits = ("max_path_depth", "max_reflections", "max_diffractions", "max_scattering", "max_transmissions")
    return {
        "version": FORMAT_VERSION,
        "rt_params": {
            # Not the simulator's name: DeepMIMO scenarios of that name lack the carrier phase, this one has it.
            "raytracer_name": f"wbench {data.spec.generator}",
            "raytracer_version": str(data.spec.generator_version),
            "frequency": carrier_hz,
            **dict.fromkeys(limits, 0),
            "raw_params": {"wbench_spec_digest": data.spec.digest},
        },
        "txrx_sets": {
            f"txrx_set_{TX_SET}": points(TX_SET, "base stations", links.transmitters, int(active.any(axis=1).sum())),
            f"txrx_set_{RX_SET}": points(RX_SET, "users", links.users, int(active.any(axis=0).sum())),
        },
        "materials": {},
        "scene": {"num_scenes": 1, "n_objects": 0, "n_vertices": 0, "n_faces": 0, "n_triangular_faces": 0},
    }


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
