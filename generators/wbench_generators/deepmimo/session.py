"""Which link of which scenario a sample is, and the rays and labels of a block of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.rays import Rays
from wbench.errors import DatasetError, SpecError
from wbench.generator import Arrays, Block, Session
from wbench_generators.deepmimo.params import DeepMimoParams
from wbench_generators.deepmimo.paths import PathConversion, adds_carrier_phase, los_state, valid_paths
from wbench_generators.deepmimo.scenario import MATRICES, Pair, Scenario

__all__ = ["DeepMimoSession", "Links", "conversion", "list_links"]

#: Purpose keys that all blocks share: a draw of all users at once, whichever block asks.
ALL_BLOCKS = 0

I32 = npt.NDArray[np.int32]
F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Links:
    """All links of the scenarios, one row each; the transmitters and snapshots of a user are neighbours.

    Attributes
    ----------
    pair : int32 ndarray [n]
        Number of the pair in the session's list.
    row : int32 ndarray [n]
        Row in the pair's matrices.
    user : int32 ndarray [n]
        Number of the user over all scenarios and receiver sets.
    users : int
        Number of users.
    """

    pair: I32
    row: I32
    user: I32
    users: int

    def select(self, chosen: npt.NDArray[Any] | slice) -> Links:
        """Some links, by mask or in another order."""
        return Links(self.pair[chosen], self.row[chosen], self.user[chosen], self.users)


class DeepMimoSession(Session):
    """Reads links; nothing runs. The matrices stay in memory.

    Parameters
    ----------
    params : DeepMimoParams
        The dataset's parameters.
    scenarios : sequence of Scenario
        The opened scenarios, scene 0 first.
    """

    def __init__(self, params: DeepMimoParams, scenarios: Sequence[Scenario]) -> None:
        self._params, self._scenarios = params, tuple(scenarios)
        self._pairs = [(scene, pair) for scene, scenario in enumerate(scenarios) for pair in scenario.pairs]
        self._links = list_links(params, scenarios)
        self._convert = conversion(params)
        self._sites = _SiteNumbers(scenarios, params.site_m)
        self._order: tuple[int, Links] | None = None
        self._speed: tuple[int, F32] | None = None

    def __len__(self) -> int:
        return len(self._links.row)

    def simulate(self, block: Block) -> tuple[Rays, Arrays]:
        """Rays and labels of a block; see :class:`wbench.generator.Session`.

        Raises
        ------
        SpecError
            The recipe asks for more samples than the scenarios have links.
        """
        if block.samples.stop > len(self):
            names = ", ".join(scenario.name for scenario in self._scenarios)
            raise SpecError(
                f"The recipe asks for sample {block.samples.stop - 1}, but the scenario has {len(self)} links only.",
                where=names,
                why=f"a sample is a user and a transmitter (and a snapshot); links = {self._params.links!r}",
                next_step=f"set the size's samples to {len(self)} or fewer, or add transmitter sets or scenarios",
            )
        links = self._ordered(block).select(slice(block.samples.start, block.samples.stop))
        paths, where = self._gather(links)
        velocity = self._velocities(block, links)
        width = self._params.max_paths if self._params.store_rays else None
        valid = valid_paths(paths)
        rays = self._convert.rays(paths, valid, where.pop("add_phase").astype(bool), velocity, width)
        arrays: Arrays = {**where, **_labels(paths, valid), "ue_velocity": velocity["rx"], "ue_id": links.user}
        if self._params.store_rays:
            arrays |= rays.to_arrays()
        return rays, arrays

    def _ordered(self, block: Block) -> Links:
        """The links in the samples' order: stored, or with the users shuffled by the dataset's seed."""
        if self._params.order == "stored":
            return self._links
        if self._order is None or self._order[0] != block.root:
            rank = block.rng("users", ALL_BLOCKS).permutation(self._links.users)
            order = np.argsort(rank[self._links.user], kind="stable")
            self._order = block.root, self._links.select(order)
        return self._order[1]

    def _gather(self, links: Links) -> tuple[dict[str, F32], Arrays]:
        """Rows of the path matrices, and what a link's place in the scenarios says."""
        runs = list(self._runs(links))
        stored = [self._scenarios[scene].matrices(pair) for _, scene, pair in runs]
        n, width = len(links.row), min(self._params.max_paths, max(part["power"].shape[1] for part in stored))
        where: Arrays = {name: np.zeros((n, 3), np.float32) for name in ("ue_position", "bs_position")}
        where |= {name: np.zeros(n, np.int32) for name in ("scene", "site", "bs_id", "snapshot", "add_phase")}
        for (at, scene, pair), matrices in zip(runs, stored, strict=True):
            scenario, rows = self._scenarios[scene], links.row[at]
            where["ue_position"][at], where["bs_position"][at] = matrices["rx_pos"][rows], matrices["tx_pos"]
            where["scene"][at], where["snapshot"][at] = scene, pair.snapshot
            where["site"][at] = self._sites.of(scene, _first(scenario, pair)["rx_pos"][rows])
            where["bs_id"][at] = scenario.transmitters.index((pair.tx_set, pair.tx_point))
            where["add_phase"][at] = self._adds_phase(scenario)
        found = [_rows(matrices, links.row[at], width) for (at, _, _), matrices in zip(runs, stored, strict=True)]
        if len(found) == 1:
            return found[0], where
        paths: dict[str, F32] = {name: np.full((n, width), np.nan, np.float32) for name in MATRICES}
        for (at, _, _), part in zip(runs, found, strict=True):
            for name, values in part.items():
                paths[name][at, : values.shape[1]] = values
        return paths, where

    def _adds_phase(self, scenario: Scenario) -> bool:
        return adds_carrier_phase(self._params.carrier_phase, self._params.convention, scenario.raytracer)

    def _runs(self, links: Links) -> Iterator[tuple[npt.NDArray[np.intp], int, Pair]]:
        # As many as there are pairs: counting them costs a tenth of sorting the links.
        for number in np.flatnonzero(np.bincount(links.pair)).tolist():
            yield np.flatnonzero(links.pair == number), *self._pairs[number]

    def _velocities(self, block: Block, links: Links) -> dict[str, F32]:
        n = len(links.row)
        velocity: dict[str, F32] = {end: np.zeros((n, 3), np.float32) for end in ("tx", "rx")}
        if self._params.snapshot_s is not None:
            for at, scene, pair in self._runs(links):
                for end in ("rx", "tx"):
                    moved = _velocity(self._scenarios[scene], pair, f"{end}_pos", self._params.snapshot_s)
                    velocity[end][at] = moved[links.row[at]] if end == "rx" else moved
        elif self._params.speed_kmh[1] > 0:
            if self._speed is None or self._speed[0] != block.root:
                self._speed = block.root, self._draw_velocities(block)
            velocity["rx"] = self._speed[1][links.user]
        return velocity

    def _draw_velocities(self, block: Block) -> F32:
        """One velocity per user, whichever transmitter sees it."""
        rng, users = block.rng("velocity", ALL_BLOCKS), self._links.users
        speed, heading = rng.uniform(*self._params.speed_kmh, users) / 3.6, rng.uniform(-np.pi, np.pi, users)
        return np.stack([speed * np.cos(heading), speed * np.sin(heading), np.zeros(users)], -1).astype(np.float32)


def _labels(paths: dict[str, F32], valid: npt.NDArray[np.bool_]) -> Arrays:
    """LoS state, path gain and K factor."""
    los = los_state(paths["inter"], valid)
    there, power = np.flatnonzero(valid), np.zeros(valid.shape)
    power.reshape(-1)[there] = 10.0 ** (paths["power"].reshape(-1)[there].astype(np.float64) / 10)
    total, k_factor = power.sum(axis=1), np.full(len(los), np.nan)
    seen = np.flatnonzero(los == 1)
    direct = np.where(paths["inter"][seen] == 0, power[seen], 0.0).max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # −inf is the documented missing value
        gain = 10 * np.log10(total)
        k_factor[seen] = 10 * np.log10(direct / (total[seen] - direct))
    return {"los": los, "path_gain_db": gain.astype(np.float32), "k_factor_db": k_factor.astype(np.float32)}


def conversion(params: DeepMimoParams) -> PathConversion:
    """How paths become rays under the parameters' convention."""
    if params.convention == "wbench":
        return PathConversion(params.carrier_hz, params.carrier_phase)
    (band,) = params.bands.values()
    return PathConversion(
        params.carrier_hz,
        params.carrier_phase,
        corner=(params.bs.array(), params.ue.array()),
        scale=(params.total_subcarriers or band.subcarriers) ** -0.5,
    )


def list_links(params: DeepMimoParams, scenarios: Sequence[Scenario]) -> Links:
    """All links of the scenarios in the files' order, users first, then transmitters, then snapshots."""
    parts: list[tuple[I32, I32, I32]] = []
    users = first_pair = 0
    for scenario in scenarios:
        number = {pair: first_pair + i for i, pair in enumerate(scenario.pairs)}
        for rx_set in scenario.rx_sets:
            count = scenario.users(rx_set)
            columns = [
                number[Pair(snapshot, *transmitter, rx_set)]
                for transmitter in scenario.transmitters
                for snapshot in range(scenario.snapshots)
            ]
            row = np.repeat(np.arange(count, dtype=np.int32), len(columns))
            pair = np.tile(np.array(columns, dtype=np.int32), count)
            if params.links == "active":
                stored = {number[p]: _active(scenario, p, params.max_paths) for p in number if p.rx_set == rx_set}
                keep = np.stack([stored[column] for column in columns], axis=1).reshape(-1)
                row, pair = row[keep], pair[keep]
            parts.append((pair, row, np.asarray(users + row, dtype=np.int32)))
            users += count
        first_pair += len(number)
    pairs, rows, numbers = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Links(pairs, rows, numbers, users)


def _rows(matrices: dict[str, F32], rows: I32, width: int) -> dict[str, F32]:
    """Some users' first paths."""
    return {name: matrices[name].take(rows, axis=0)[:, :width] for name in MATRICES}


def _active(scenario: Scenario, pair: Pair, max_paths: int) -> npt.NDArray[np.bool_]:
    matrices = scenario.matrices(pair)
    return np.asarray(valid_paths({name: matrices[name][:, :max_paths] for name in MATRICES}).any(axis=1))


def _first(scenario: Scenario, pair: Pair) -> dict[str, F32]:
    """The pair at the first snapshot: a user who moves stays in one cluster."""
    return scenario.matrices(Pair(0, pair.tx_set, pair.tx_point, pair.rx_set))


def _velocity(scenario: Scenario, pair: Pair, name: str, step_s: float) -> F32:
    """Velocity of a pair's receivers [users, 3] or of its transmitter [3] from the neighbouring snapshots, in m/s."""
    last = scenario.snapshots - 1
    before, after = max(pair.snapshot - 1, 0), min(pair.snapshot + 1, last)
    if before == after:
        return np.zeros_like(scenario.matrices(pair)[name])
    there, here = (
        scenario.matrices(Pair(snapshot, pair.tx_set, pair.tx_point, pair.rx_set))[name].astype(np.float64)
        for snapshot in (after, before)
    )
    if there.shape != here.shape:
        why = f"{len(here)} and {len(there)} receivers in neighbouring snapshots"
        raise DatasetError("The scenario's snapshots do not hold the same users.", where=str(scenario.path), why=why)
    return np.asarray((there - here) / ((after - before) * step_s), dtype=np.float32)


class _SiteNumbers:
    """Numbers of square cells over the users of each scene, the same for all base stations."""

    def __init__(self, scenarios: Sequence[Scenario], edge_m: float) -> None:
        self._edge = edge_m
        self._frame: list[tuple[npt.NDArray[np.float64], int, int]] = []
        first = 0
        for scenario in scenarios:
            users = [
                scenario.matrices(Pair(0, *scenario.transmitters[0], rx_set))["rx_pos"][:, :2].astype(np.float64)
                for rx_set in scenario.rx_sets
            ]
            low = np.min([part.min(axis=0) for part in users], axis=0)
            high = np.max([part.max(axis=0) for part in users], axis=0)
            columns, rows = (np.floor((high - low) / edge_m).astype(int) + 1).tolist()
            self._frame.append((low, columns, first))
            first += columns * rows

    def of(self, scene: int, position: F32) -> I32:
        """Cell of each position of a scene: int32 [n]."""
        low, columns, first = self._frame[scene]
        column, row = np.floor((position[:, :2] - low) / self._edge).astype(np.int64).T
        return np.asarray(first + row * columns + column, dtype=np.int32)
