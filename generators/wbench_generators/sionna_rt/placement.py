"""Where base stations and users are: drawn by rule in the open parts of a scene, from streams of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import SimulationError
from wbench.generator import Block
from wbench_generators.sionna_rt.params import RtParams, UserParams
from wbench_generators.sionna_rt.scenes import Place, Points

__all__ = ["Users", "base_stations", "place_users"]

#: Best of this many candidates: each base station is the one farthest from those before it.
CANDIDATES = 16
#: Share of the surroundings of a base station that is built up: in the city, and not in a courtyard.
BUILT_UP = (0.2, 0.8)
PROBES = 256
#: Not at the edge of a scene: so much of the ring in which users are lies inside, relative to the scene's middle.
CENTRAL = 0.75
#: Draws per wanted point before a scene is refused as too full.
PATIENCE = 2000


@dataclass(frozen=True)
class Users:
    """Users of a block.

    Attributes
    ----------
    position, velocity : float32 ndarray [n, 3]
        m and m/s.
    walk : int64 ndarray [n]
        First user of the walk that a user belongs to; the user itself where there are no walks.
    """

    position: npt.NDArray[np.float32]
    velocity: npt.NDArray[np.float32]
    walk: npt.NDArray[np.int64]


def base_stations(place: Place, params: RtParams, block: Block) -> tuple[npt.NDArray[np.float32], Points]:
    """Base stations of a scene: a function of the dataset's seed and the scene, the same for all blocks.

    Returns
    -------
    position : float32 ndarray [cells, 3]
        m. Placed ones stand outdoors, away from the scene's edge, where 20 to 80 % of the ground around (at the users'
        distances) is built up.
    bearing : float64 ndarray [cells]
        rad; 0 where the recipe gives the arrays' own bearing.
    """
    rng = block.rng("base stations", place.number)
    count = place.entry.cells
    bearing: Points = np.zeros(count)
    if params.bearing == "random":
        bearing = block.rng("bearings", place.number).uniform(-np.pi, np.pi, count)
    if place.entry.positions:
        return np.array(place.entry.positions, dtype=np.float32), bearing
    chosen: list[Points] = []
    for _ in range(count):
        candidates = _open_points(rng, place, CANDIDATES, params)
        gaps = [min((float(np.hypot(*(c - other))) for other in chosen), default=0.0) for c in candidates]
        chosen.append(candidates[int(np.argmax(gaps))])
    xy = np.stack(chosen)
    height = place.ground(xy)[0] + rng.uniform(*params.bs_height_m, count)
    return np.column_stack([xy, height]).astype(np.float32), bearing


def _open_points(rng: np.random.Generator, place: Place, count: int, params: RtParams) -> Points:
    """Candidates for base stations."""
    radius, middle = params.users.distance_m, np.array(place.area).reshape(2, 2).mean(axis=0)
    found: list[Points] = []
    for _ in range(PATIENCE):
        xy = _uniform(rng, place, count)
        probes = _annulus(rng, np.zeros(2), radius, PROBES)
        for c in xy[place.ground(xy)[1]]:
            around = c + probes
            inside = place.contains(around)
            # A small scene never holds the whole ring, so the best place is the measure.
            if inside.mean() < CENTRAL * place.contains(middle + probes).mean():
                continue
            built = 1 - float(place.ground(around[inside])[1].mean())
            if BUILT_UP[0] <= built <= BUILT_UP[1]:
                found.append(c)
        if len(found) >= count:
            return np.stack(found[:count])
    raise SimulationError(
        "No place for a base station was found.",
        where=f"scene {place.number} ({_name(place)})",
        why=f"{len(found)} of {count} points are outdoors with {BUILT_UP[0]:.0%} to {BUILT_UP[1]:.0%} built up around",
        next_step="give positions = [[x, y, z], ...] in the recipe's scene",
    )


def place_users(place: Place, params: RtParams, block: Block, count: int, start: int, centre: Points | None) -> Users:
    """Users of a block.

    Parameters
    ----------
    place : Place
        The scene.
    params : RtParams
        The dataset's parameters.
    block : Block
        Its own random streams are used; grid points come in an order that the base station's blocks share.
    count : int
        Number of users n.
    start : int
        How many users of this base station (or scene) the blocks before have: grid points are used once.
    centre : float64 ndarray [2], optional
        The base station, where users have one of their own.
    """
    p, rng = params.users, block.rng("users")
    walk: npt.NDArray[np.int64] = np.arange(count)
    if p.placement == "grid":
        xy = _grid(place, p, block, centre)[start : start + count]
        if len(xy) < count:
            raise SimulationError(
                "The grid has too few outdoor points for the samples that are asked for.",
                where=f"scene {place.number} ({_name(place)})",
                why=f"{start + count} are needed",
                next_step="make grid_m smaller or the area larger in the recipe's [params.users]",
            )
        heading = rng.uniform(-np.pi, np.pi, count)
    elif p.placement == "trajectory":
        xy, heading, walk = _walks(rng, place, p, count, centre)
    else:
        xy, heading = _random(rng, place, p, count, centre), rng.uniform(-np.pi, np.pi, count)
    speed = rng.uniform(*p.speed_kmh, count)[walk] / 3.6
    velocity = np.column_stack([speed * np.cos(heading), speed * np.sin(heading), np.zeros(count)])
    position = np.column_stack([xy, place.ground(xy)[0] + p.height_m])
    return Users(position.astype(np.float32), velocity.astype(np.float32), walk)


def _allowed(place: Place, p: UserParams, xy: Points, centre: Points | None) -> npt.NDArray[np.bool_]:
    ok = place.ground(xy)[1]
    if centre is not None:
        distance = np.hypot(*(xy - centre).T)
        ok &= (distance >= p.distance_m[0]) & (distance <= p.distance_m[1])
    return ok


def _random(rng: np.random.Generator, place: Place, p: UserParams, count: int, centre: Points | None) -> Points:
    found: list[Points] = []
    have = 0
    for _ in range(PATIENCE):
        xy = _uniform(rng, place, 2 * count) if centre is None else _annulus(rng, centre, p.distance_m, 2 * count)
        found.append(xy[_allowed(place, p, xy, centre)])
        have += len(found[-1])
        if have >= count:
            return np.concatenate(found)[:count]
    raise _no_room(place, have, count)


def _grid(place: Place, p: UserParams, block: Block, centre: Points | None) -> Points:
    x0, y0, x1, y1 = place.area
    if centre is not None:
        reach = p.distance_m[1]
        x0, x1 = max(x0, centre[0] - reach), min(x1, centre[0] + reach)
        y0, y1 = max(y0, centre[1] - reach), min(y1, centre[1] + reach)
    # Multiples of the spacing, so that the grids of two base stations are one grid.
    xs = p.grid_m * np.arange(np.ceil(x0 / p.grid_m), np.floor(x1 / p.grid_m) + 1)
    ys = p.grid_m * np.arange(np.ceil(y0 / p.grid_m), np.floor(y1 / p.grid_m) + 1)
    xy: Points = np.stack(np.meshgrid(xs, ys, indexing="ij"), axis=-1).reshape(-1, 2)
    xy = xy[_allowed(place, p, xy, centre)]
    key = (place.number,) if centre is None else (place.number, *(int(v) & 0xFFFFFFFF for v in np.rint(centre)))
    return np.asarray(xy[block.rng("grid", *key).permutation(len(xy))])


def _walks(
    rng: np.random.Generator, place: Place, p: UserParams, count: int, centre: Points | None
) -> tuple[Points, Points, npt.NDArray[np.int64]]:
    """Straight walks that turn at random where the next step would leave the open."""
    xy, heading = np.empty((count, 2)), np.empty(count)
    walk = np.arange(count) // p.track_points * p.track_points
    for i in range(count):
        if walk[i] == i:
            xy[i], heading[i] = _random(rng, place, p, 1, centre)[0], rng.uniform(-np.pi, np.pi)
            continue
        turns = np.concatenate([[heading[i - 1]], rng.uniform(-np.pi, np.pi, 64)])
        steps = xy[i - 1] + p.step_m * np.stack([np.cos(turns), np.sin(turns)], axis=-1)
        free = np.flatnonzero(_allowed(place, p, steps, centre))
        if not len(free):
            raise _no_room(place, i, count)
        xy[i], heading[i] = steps[free[0]], turns[free[0]]
    return xy, heading, walk


def _uniform(rng: np.random.Generator, place: Place, count: int) -> Points:
    x0, y0, x1, y1 = place.area
    return np.column_stack([rng.uniform(x0, x1, count), rng.uniform(y0, y1, count)])


def _annulus(rng: np.random.Generator, centre: Points, radius: tuple[float, float], count: int) -> Points:
    """Uniform by area."""
    r = np.sqrt(rng.uniform(radius[0] ** 2, radius[1] ** 2, count))
    azimuth = rng.uniform(-np.pi, np.pi, count)
    return np.asarray(centre + np.stack([r * np.cos(azimuth), r * np.sin(azimuth)], axis=-1))


def _no_room(place: Place, have: int, count: int) -> SimulationError:
    return SimulationError(
        "Too little of the scene is outdoors to place the users.",
        where=f"scene {place.number} ({_name(place)})",
        why=f"{have} of {count} found",
        next_step="check area and distance_m in the recipe",
    )


def _name(place: Place) -> Any:
    return place.entry.name or place.entry.file or "street grid"
