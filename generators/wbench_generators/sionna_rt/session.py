"""Simulates blocks: which base station and users a block has, their paths, rays, labels and channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wbench.channel import statistics
from wbench.channel.rays import Rays
from wbench.channel.synthesis import synthesize_bands
from wbench.errors import SpecError
from wbench.generator import Arrays, Block, Session
from wbench_generators.common import grids
from wbench_generators.sionna_rt.adapter import first_delay, groups_by_size, stored_rays, to_rays
from wbench_generators.sionna_rt.layout import gain_name
from wbench_generators.sionna_rt.params import Carrier, RtParams
from wbench_generators.sionna_rt.placement import Users, base_stations, place_users
from wbench_generators.sionna_rt.scenes import Place, Scenes
from wbench_generators.sionna_rt.solver import PathTracer, TracedPaths, join, start_sionna_rt

__all__ = ["RtSession"]

#: Squares per axis that ``site`` can tell apart in a scene: ± 40 km at 40 m.
SITES = 2048


@dataclass(frozen=True, eq=False)
class Links:
    """Links of a block in sample order: who is at their ends.

    Attributes
    ----------
    place : Place
        Scene.
    cell : int64 ndarray [n]
        Base station within the scene.
    user : int64 ndarray [n]
        User within the block.
    users : Users
        All users of the block.
    bs : float32 ndarray [cells, 3]
        Base stations of the scene.
    bearing : float64 ndarray [cells]
        Their bearings in rad.
    ue_id : int64 ndarray [n]
        Number of the user in the dataset.
    """

    place: Place
    cell: npt.NDArray[np.int64]
    user: npt.NDArray[np.int64]
    users: Users
    bs: npt.NDArray[np.float32]
    bearing: npt.NDArray[np.float64]
    ue_id: npt.NDArray[np.int64]


class RtSession(Session):
    """Sionna RT with its scenes.

    Parameters
    ----------
    params : RtParams
        The dataset's parameters.
    """

    def __init__(self, params: RtParams) -> None:
        start_sionna_rt()
        self._params = params
        self._scenes = Scenes(params)
        self._tracer = PathTracer(params.solver)
        entries = self._scenes.entries
        #: Base stations, one scene after the other in turn: few blocks already have many scenes.
        rounds = range(max(entry.cells for entry, _ in entries))
        self._cells = [(s, b) for b in rounds for s, (entry, _) in enumerate(entries) if b < entry.cells]
        self._placed: dict[tuple[int, int], tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]] = {}
        self._first_cell = np.cumsum([0, *(entry.cells for entry, _ in entries)])

    def simulate(self, block: Block) -> tuple[Rays | None, Arrays]:
        """Paths, labels and, with several carriers or arrays, channels of a block; see :class:`Session`."""
        p = self._params
        links = self.links(block)
        traced = self.trace(block, links)
        arrays = self._labels(block, links, traced[0])
        if p.store_rays:
            arrays |= stored_rays(traced[0], p.store_rays)
        engine = len(p.links) == 1
        if not engine:
            for name, band in p.bands.items():
                shape = (len(block), p.time_steps, band.ue.array().ports, band.bs.array().ports, band.subcarriers)
                arrays[name] = np.empty(shape, np.complex64)
        for paths in traced:
            for group in groups_by_size(paths):
                rays = to_rays(paths, group, absolute=p.delays == "absolute")
                self._statistics(arrays, group, rays, arrays["los"][group] == 1)
                if not engine:
                    self._channels(arrays, group, rays, links)
        return (to_rays(traced[0], absolute=p.delays == "absolute") if engine else None), arrays

    def links(self, block: Block) -> Links:
        """Base stations and users of a block."""
        p, n = self._params, len(block)
        size = block.samples.start // block.index if block.index else n  # the last block may be shorter
        if p.users.seen_by == "one":
            turn, (scene, cell) = block.index // len(self._cells), self._cells[block.index % len(self._cells)]
            place = self._scenes.get(scene, block)
            bs, bearing = self._base_stations(place, block)
            users = place_users(place, p, block, n, turn * size, bs[cell, :2].astype(np.float64))
            every = np.arange(n)
            ue_id = block.samples.start + users.walk
            return Links(place, np.full(n, cell), every, users, bs, bearing, ue_id)
        scenes, cells = len(self._scenes.entries), self._scenes.entries[0][0].cells
        if n % cells or size % cells:
            raise SpecError(
                "A block must hold whole users.",
                where=f"block {block.index} with {n} samples",
                why=f"each user has {cells} links, one to each base station",
                next_step=f"make block and samples of the recipe multiples of {cells}",
            )
        place = self._scenes.get(block.index % scenes, block)
        bs, bearing = self._base_stations(place, block)
        users = place_users(place, p, block, n // cells, block.index // scenes * (size // cells), None)
        user = np.repeat(np.arange(n // cells), cells)
        ue_id = block.samples.start // cells + users.walk[user]
        return Links(place, np.tile(np.arange(cells), n // cells), user, users, bs, bearing, ue_id)

    def _base_stations(self, place: Place, block: Block) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        key = (place.number, block.root)
        if key not in self._placed:
            self._placed[key] = base_stations(place, self._params, block)
        return self._placed[key]

    def trace(self, block: Block, links: Links) -> list[TracedPaths]:
        """Paths of the links in sample order, for each carrier. A link without a path at one has none at any."""
        seed = int(block.seed("paths").generate_state(1)[0])
        carriers, cells = self._params.carriers, np.unique(links.cell)
        groups = []
        for cell in cells:
            user = links.user[links.cell == cell]
            ends = links.bs[cell], links.users.position[user], links.users.velocity[user]
            groups.append(self._tracer.trace(links.place.scene, *ends, carriers, seed))
        order = np.argsort(np.concatenate([np.flatnonzero(links.cell == cell) for cell in cells]))
        traced = groups[0] if len(cells) == 1 else [join(parts).take(order) for parts in zip(*groups, strict=True)]
        alive = np.logical_and.reduce([paths.count > 0 for paths in traced])
        return [paths.keep(alive) for paths in traced]

    def _labels(self, block: Block, links: Links, paths: TracedPaths) -> Arrays:
        p, n = self._params, len(block)
        ue = links.users.position[links.user]
        square = np.floor(ue[:, :2].astype(np.float64) / p.site_m).astype(np.int64) + SITES // 2
        column, row = np.clip(square, 0, SITES - 1).T
        arrays = {
            "los": np.where(paths.count > 0, paths.line_of_sight, -1).astype(np.int8),
            "ue_position": ue,
            "bs_position": links.bs[links.cell],
            "ue_velocity": links.users.velocity[links.user],
            "tx_orientation": self._orientation(links, p.main.link),
            "ue_id": links.ue_id.astype(np.int32),
            "bs_id": (self._first_cell[links.place.number] + links.cell).astype(np.int32),
            "scene": np.full(n, links.place.number, np.int32),
            "site": ((links.place.number * SITES + row) * SITES + column).astype(np.int32),
            "first_delay_s": first_delay(paths),
            "paths": paths.count.astype(np.int32),
            "solved_together": paths.together,
        }
        for name in ("k_factor_db", "delay_spread_s", "doppler_spread_hz", *map(self._gain_name, p.carriers)):
            arrays[name] = np.empty(n, np.float32)
        return arrays

    def _gain_name(self, carrier_hz: float) -> str:
        return "path_gain_db" if carrier_hz == self._params.main.carrier_hz else gain_name(carrier_hz)

    def _statistics(self, arrays: Arrays, group: npt.NDArray[np.int64], rays: Rays, los: npt.NDArray[np.bool_]) -> None:
        """Write what follows from the rays of some links."""
        arrays[self._gain_name(rays.carrier_hz)][group] = statistics.path_gain_db(rays)
        if rays.carrier_hz == self._params.main.carrier_hz:
            arrays["k_factor_db"][group] = statistics.k_factor_db(rays, los)
            arrays["delay_spread_s"][group] = statistics.delay_spread(rays)
            arrays["doppler_spread_hz"][group] = statistics.doppler_spread(rays)

    def _orientation(self, links: Links, link: Carrier) -> npt.NDArray[np.float32]:
        turn = np.array(link[1].array().orient) + np.outer(links.bearing[links.cell], [1.0, 0.0, 0.0])
        return np.asarray(turn, dtype=np.float32)

    def _channels(self, arrays: Arrays, group: npt.NDArray[np.int64], rays: Rays, links: Links) -> None:
        """Write the channels of some links in all bands of the rays' carrier."""
        p = self._params
        for link, names in p.links.items():
            if link[0] != rays.carrier_hz:
                continue
            bands, turn = grids({name: p.bands[name] for name in names}), self._orientation(links, link)[group]
            ends = link[1].array(), link[2].array()
            found = synthesize_bands(rays, *ends, bands, p.time_steps, p.time_step_s, tx_orientation=turn)
            for name, values in found.items():
                arrays[name][group] = values
