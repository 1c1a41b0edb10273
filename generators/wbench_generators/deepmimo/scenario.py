"""Reading a DeepMIMO v4 scenario folder: ``params.json`` and a matrix file per quantity, transmitter and receiver set.

::

    NAME/params.json                          ray tracer, carrier, TX/RX sets, number of scenes
    NAME/power_t001_tx000_r000.npz            one array, keyed by its name: [users, paths]; NaN where there is no path
    NAME/0001/power_t001_tx000_r000.npz …     a folder per snapshot where the scenario has several scenes

Power in dB, phase and angles in degrees ("elevation" is the zenith angle), delay in s; ``inter`` has one decimal digit
per interaction (0: none). Older downloads have MATLAB files of the same names.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.digest import array_digest, canonical_json, value_digest
from wbench.errors import DatasetError, DatasetNotFoundError, SpecError, near_names
from wbench_generators.deepmimo.params import ScenarioParams

__all__ = ["MATRICES", "VARIABLE", "Pair", "Scenario", "open_scenario", "scenarios_folder"]

#: Environment variable: the folder that holds scenario folders.
VARIABLE: Final = "WBENCH_DEEPMIMO"
#: Path matrices [users, paths] that a channel needs.
MATRICES: Final = ("power", "phase", "delay", "aoa_az", "aoa_el", "aod_az", "aod_el", "inter")
POSITIONS: Final = ("rx_pos", "tx_pos")

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, order=True)
class Pair:
    """One transmitter and one receiver set of one snapshot: the unit of DeepMIMO's files."""

    snapshot: int
    tx_set: int
    tx_point: int
    rx_set: int


def scenarios_folder() -> Path:
    """``$WBENCH_DEEPMIMO``, else the folder that the deepmimo package uses by default."""
    return Path(os.environ.get(VARIABLE) or "deepmimo_scenarios")


def open_scenario(wanted: ScenarioParams) -> Scenario:
    """Find a scenario and read its parameters (not yet its matrices).

    Raises
    ------
    DatasetNotFoundError
        It is not on this machine; the message has the steps that bring it.
    SpecError
        The folder is of an older format, the sets asked for are not there, or the digest is another one.
    DatasetError
        ``params.json`` cannot be read.
    """
    scenario = Scenario(_locate(wanted.name), wanted)
    if wanted.digest is not None and scenario.digest() != wanted.digest:
        raise SpecError(
            "The scenario's files are not those that the recipe was made for.",
            where=str(scenario.path),
            why=f"their digest is {scenario.digest()}, the recipe says {wanted.digest}",
            next_step="get that version of the scenario, or give the recipe the new digest",
        )
    return scenario


def _locate(name: str) -> Path:
    """Folder of a scenario: a path as it is, a name in any case (the deepmimo package lower-cases all names)."""
    given = Path(name).expanduser()
    if len(given.parts) > 1:
        found = given if given.is_dir() else given.with_name(given.name.lower())
        if found.is_dir():
            return found
        raise _not_found(given.name, given.parent)
    folder = scenarios_folder()
    there = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()} if folder.is_dir() else {}
    lower = {other.lower(): path for other, path in there.items()}
    match = there.get(name) or lower.get(name.lower())
    if match is None:
        raise _not_found(name, folder)
    return match


def _not_found(name: str, folder: Path) -> DatasetNotFoundError:
    there = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    near = near_names(name, there)
    why = f"near names there: {', '.join(near)}" if near else f"{len(there)} other scenarios are there"
    place = folder.expanduser().resolve()
    code = f"import deepmimo as dm; dm.config.set('scenarios_folder', '{place}'); dm.download('{name.lower()}')"
    steps = f"pip install 'wbench[deepmimo]'; python -c \"{code}\""
    if folder == scenarios_folder():
        steps += f"; export {VARIABLE}='{place}'"
    return DatasetNotFoundError(
        f"The DeepMIMO scenario {name!r} is not on this machine.",
        where=str(place),
        why=why if folder.is_dir() else "there is no such folder",
        next_step=f"{steps}  (wbench itself never downloads)",
    )


class Scenario:
    """A scenario folder, opened.

    Attributes
    ----------
    path : Path
        The folder.
    params : dict
        ``params.json``.
    pairs : tuple of Pair
        The pairs that were asked for, sorted.
    """

    def __init__(self, path: Path, wanted: ScenarioParams) -> None:
        self.path = path
        self.params = _read_params(path)
        self._folders = _snapshot_folders(path, self.params)
        tx = self._sets(wanted.tx_sets, "is_tx", "transmitter")
        rx = self._sets(wanted.rx_sets, "is_rx", "receiver", without="is_tx")
        self.transmitters = tuple((number, point) for number in tx for point in self._points(number, wanted.tx_points))
        self.rx_sets = tuple(rx)
        self._missing_files()
        # A small cache: a session asks for the same pairs again in every block.
        self.matrices = lru_cache(maxsize=None)(self._matrices)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @property
    def carrier_hz(self) -> float:
        """Carrier frequency in Hz."""
        return float(self.params["rt_params"]["frequency"])

    @property
    def raytracer(self) -> str:
        """Name and version of the ray tracer."""
        rt = self.params["rt_params"]
        return f"{rt.get('raytracer_name', 'unknown')} {rt.get('raytracer_version', '')}".strip()

    @property
    def snapshots(self) -> int:
        """Number of scenes."""
        return len(self._folders)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All pairs that were asked for."""
        return tuple(
            Pair(snapshot, *transmitter, rx)
            for snapshot in range(self.snapshots)
            for transmitter in self.transmitters
            for rx in self.rx_sets
        )

    def _sets(self, wanted: tuple[int, ...] | None, flag: str, what: str, without: str = "") -> list[int]:
        """The sets asked for; without a wish all that have the flag, except those that have the flag ``without``."""
        sets = {int(entry["id"]): entry for entry in self.params["txrx_sets"].values() if entry[flag]}
        found = [number for number in sorted(sets) if not sets[number].get(without)] if wanted is None else list(wanted)
        unknown = [str(number) for number in found if number not in sets]
        if unknown or not found:
            known = ", ".join(f"{number} ({sets[number].get('name', '')})" for number in sorted(sets))
            raise SpecError(
                f"The scenario has no {what} set {', '.join(unknown)}." if unknown else f"Which {what} sets?",
                where=str(self.path),
                why=f"its {what} sets are: {known or 'none'}",
                next_step=None if unknown else "name them in the recipe: all of them both send and receive",
            )
        return found

    def _points(self, tx_set: int, wanted: tuple[int, ...] | None) -> tuple[int, ...]:
        entry = next(entry for entry in self.params["txrx_sets"].values() if int(entry["id"]) == tx_set)
        count = int(entry["num_points"])
        points = tuple(range(count)) if wanted is None else wanted
        if max(points, default=0) >= count:
            why = f"the set has {count} points, numbered from 0"
            raise SpecError(f"Transmitter set {tx_set} has no point {max(points)}.", where=str(self.path), why=why)
        return points

    def _missing_files(self) -> None:
        missing = [
            f"{name}_{_suffix(pair)}"
            for pair in self.pairs
            for name in (*MATRICES, *POSITIONS)
            if _file(self._folders[pair.snapshot], name, pair) is None
        ]
        if missing:
            raise DatasetError(
                "The scenario folder is incomplete.",
                where=str(self.path),
                why=f"{len(missing)} files are missing, the first is {missing[0]}.npz (or .mat)",
                next_step=f"remove {self.path} and download or convert the scenario again",
            )

    def _matrices(self, pair: Pair) -> dict[str, F32]:
        """Path matrices float32 [users, paths], ``rx_pos`` [users, 3] and ``tx_pos`` [3] of a pair."""
        folder = self._folders[pair.snapshot]
        arrays = {name: _read(folder, name, pair) for name in (*MATRICES, *POSITIONS)}
        arrays["rx_pos"] = arrays["rx_pos"].reshape(-1, 3)
        tx = arrays["tx_pos"].reshape(-1, 3)
        arrays["tx_pos"] = tx[0] if len(tx) == 1 else tx[pair.tx_point]
        shape = (len(arrays["rx_pos"]), arrays["power"].shape[-1])
        for name in MATRICES:
            if arrays[name].shape != shape:
                why = f"{name} is {list(arrays[name].shape)}, expected [users, paths] = {list(shape)}"
                raise DatasetError("The scenario's matrices do not fit together.", where=str(folder), why=why)
        return arrays

    def users(self, rx_set: int) -> int:
        """Number of receivers of a set, with and without paths."""
        return len(self.matrices(Pair(0, *self.transmitters[0], rx_set))["rx_pos"])

    def digest(self) -> str:
        """Digest of ``params.json`` and of the decoded matrices of the chosen pairs.

        Packing the same numbers anew, or as MATLAB files, does not change it; scene geometry is not part of it.
        """
        matrices = {
            f"{pair.snapshot}/{name}_{_suffix(pair)}": array_digest(array)
            for pair in self.pairs
            for name, array in self.matrices(pair).items()
        }
        return value_digest({"params": canonical_json(_finite(self.params)), "matrices": matrices})


def _read_params(path: Path) -> dict[str, Any]:
    candidates = [path / "params.json", *sorted(path.glob("*/params.json"))]  # dynamic ones may have it per snapshot
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        old = any(path.glob("*params.mat")) or any(path.glob("BS*_BS.mat"))
        raise SpecError(
            "The folder is not a DeepMIMO v4 scenario.",
            where=str(path),
            why="its files are of DeepMIMO v2 or v3" if old else "it has no params.json",
            next_step="download the scenario's v4 edition with the deepmimo package 4.0 or newer",
        )
    try:
        params = json.loads(file.read_text(encoding="utf-8"))
        checked = params["rt_params"]["frequency"], params["txrx_sets"].values()
        for entry in checked[1]:
            entry["id"], entry["is_tx"], entry["is_rx"], entry["num_points"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise DatasetError("The scenario's parameters cannot be read.", where=str(file), why=why) from error
    return dict(params)


def _snapshot_folders(path: Path, params: dict[str, Any]) -> tuple[Path, ...]:
    count = int(params.get("scene", {}).get("num_scenes", 1))
    if count <= 1:
        return (path,)
    # By number, where names hold one: scene_10 comes after scene_2.
    folders = sorted((sub for sub in path.iterdir() if sub.is_dir()), key=lambda sub: _by_number(sub.name))
    if len(folders) < count:
        why = f"{len(folders)} of {count} snapshot folders are there"
        raise DatasetError("The dynamic scenario is incomplete.", where=str(path), why=why)
    return tuple(folders[:count])


def _by_number(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _suffix(pair: Pair) -> str:
    return f"t{pair.tx_set:03}_tx{pair.tx_point:03}_r{pair.rx_set:03}"


def _file(folder: Path, name: str, pair: Pair) -> Path | None:
    candidates = (folder / f"{name}_{_suffix(pair)}{ending}" for ending in (".mat", ".npz"))
    return next((file for file in candidates if file.is_file()), None)


def _read(folder: Path, name: str, pair: Pair) -> F32:
    file = _file(folder, name, pair)
    if file is None:
        raise DatasetError("A matrix of the scenario is gone.", where=str(folder), why=f"{name}_{_suffix(pair)}")
    try:
        if file.suffix == ".mat":
            from scipy.io import loadmat

            return np.asarray(loadmat(file)[name], dtype=np.float32)
        with np.load(file, allow_pickle=False) as archive:
            return np.asarray(archive[name], dtype=np.float32)
    except (OSError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile) as error:
        why = f"{type(error).__name__}: {error}"
        raise DatasetError("A matrix of the scenario cannot be read.", where=str(file), why=why) from error


def _finite(value: Any) -> Any:
    """NaN and infinity as text: JSON written by others may hold them, canonical JSON may not."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return repr(value) if isinstance(value, float) and not np.isfinite(value) else value
