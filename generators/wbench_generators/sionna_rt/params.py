"""Parameters of the generator ``sionna-rt``: the recipe's ``[params]`` table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wbench.generator import GeneratorParams
from wbench_generators.common import ArrayParams, BandParams, Interval

__all__ = [
    "BUILT_IN",
    "BandOfCarrier",
    "Carrier",
    "RtParams",
    "SceneParams",
    "SolverParams",
    "StreetGrid",
    "UserParams",
]

#: Scenes that Sionna RT ships.
BUILT_IN = (
    "munich", "etoile", "florence", "san_francisco", "simple_street_canyon", "simple_street_canyon_with_cars",
    "floor_wall", "simple_reflector", "double_reflector", "triple_reflector", "simple_wedge",
    "box", "box_knife", "box_one_screen", "box_two_screens",
)  # fmt: skip

Point = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]


class StreetGrid(GeneratorParams):
    """A procedural city: rectangular blocks between straight streets, each with one to four buildings.

    Attributes
    ----------
    count : int
        Number of different cities, scenes of their own.
    blocks : (int, int)
        City blocks along x and y.
    block_m, street_m, height_m : (float, float)
        Side of a block, width of a street and height of a building in m, uniform.
    passage_m : (float, float)
        Width of the passages between the buildings of a block in m, uniform.
    """

    count: Annotated[int, Field(ge=1, le=10_000)] = 1
    blocks: tuple[Annotated[int, Field(ge=1, le=20)], Annotated[int, Field(ge=1, le=20)]] = (4, 4)
    block_m: Interval = (40.0, 120.0)
    street_m: Interval = (12.0, 25.0)
    height_m: Interval = (10.0, 40.0)
    passage_m: Interval = (4.0, 8.0)

    @model_validator(mode="after")
    def _possible(self) -> StreetGrid:
        if self.block_m[0] < 2 * self.passage_m[1] + 20:  # the smaller building of a block keeps 5 m and more
            raise ValueError("block_m must be at least 20 m more than two passages")
        if self.street_m[0] <= 0 or self.height_m[0] <= 0:
            raise ValueError("street_m and height_m must be positive")
        return self


class SceneParams(GeneratorParams):
    """One scene, or one family of street grids, with its base stations. Exactly one of the first three is given.

    Attributes
    ----------
    name : str
        A scene that Sionna RT ships, e.g. ``"munich"``.
    file, sha256 : str
        A Mitsuba scene file (XML) of the user, and the digest of it and of the meshes that it names. The digest makes
        the file's content part of what was asked for; a wrong one is refused with the right one.
    street_grid : StreetGrid
        Procedural cities.
    base_stations : int
        How many; they are placed by rule (:mod:`.placement`).
    positions : tuple of (x, y, z)
        Their positions in m instead.
    area : (x0, y0, x1, y1)
        Rectangle in m for users and base stations; the whole scene where it is not given.
    """

    name: Literal[BUILT_IN] | None = None  # type: ignore[valid-type]
    file: str | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    street_grid: StreetGrid | None = None
    base_stations: Annotated[int, Field(ge=1, le=1000)] = 1
    positions: tuple[Point, ...] = ()
    area: tuple[float, float, float, float] | None = None

    @model_validator(mode="after")
    def _possible(self) -> SceneParams:
        if sum(kind is not None for kind in (self.name, self.file, self.street_grid)) != 1:
            raise ValueError("a scene is exactly one of name, file, street_grid")
        if self.area is not None and not (self.area[0] < self.area[2] and self.area[1] < self.area[3]):
            raise ValueError("area is [x0, y0, x1, y1] with x0 < x1 and y0 < y1")
        return self

    @property
    def count(self) -> int:
        """Number of scenes that this entry stands for."""
        return self.street_grid.count if self.street_grid is not None else 1

    @property
    def cells(self) -> int:
        """Base stations per scene."""
        return len(self.positions) or self.base_stations


class UserParams(GeneratorParams):
    """Where users are.

    Attributes
    ----------
    placement : {"random", "grid", "trajectory"}
        Uniform over the outdoor area; points of a regular grid, each used once, in random order; or walks.
    seen_by : {"one", "all"}
        Each base station has users of its own around it, or every base station of a scene sees every user; then the
        links of a user are consecutive samples.
    distance_m : (float, float)
        2-D distance to the base station in m (``seen_by = "one"``).
    height_m : float
        Height above the local ground in m.
    grid_m : float
        Distance of two grid points in m.
    track_points, step_m : int, float
        Samples of a walk and their distance in m.
    speed_kmh : (float, float)
        Speed in km/h, uniform, constant along a walk.
    """

    placement: Literal["random", "grid", "trajectory"] = "random"
    seen_by: Literal["one", "all"] = "one"
    distance_m: Interval = (20.0, 150.0)
    height_m: Annotated[float, Field(gt=0, le=100)] = 1.5
    grid_m: Positive = 2.0
    track_points: Annotated[int, Field(ge=1, le=10_000)] = 10
    step_m: Positive = 0.5
    speed_kmh: Interval = (0.0, 0.0)


class SolverParams(GeneratorParams):
    """Settings of the path solver.

    Attributes
    ----------
    max_depth : int
        Largest number of interactions of a path.
    samples : int
        Rays that start from a base station.
    max_paths : int
        Size of the solver's buffer of candidate paths. It is shared by the users of a solve; where it overflows, the
        users are halved and solved again.
    specular, diffraction, refraction : bool
        Kinds of interaction.
    scattering : float
        Scattering coefficient S of every material (Lambertian); 0 switches diffuse reflection off.
    """

    max_depth: Annotated[int, Field(ge=0, le=50)] = 5
    samples: Annotated[int, Field(ge=100, le=100_000_000)] = 50_000
    max_paths: Annotated[int, Field(ge=16, le=100_000_000)] = 500_000
    specular: bool = True
    diffraction: bool = True
    refraction: bool = False
    scattering: Annotated[float, Field(ge=0, le=1)] = 0.3


class BandOfCarrier(BandParams):
    """A channel array: a carrier, two antenna arrays and a grid of subcarriers.

    Attributes
    ----------
    carrier_hz : float
        Carrier frequency in Hz. Materials follow it.
    bs, ue : ArrayParams
        Transmit and receive array.
    """

    carrier_hz: Annotated[float, Field(ge=1e8, le=3e11)]
    bs: ArrayParams = ArrayParams()
    ue: ArrayParams = ArrayParams()

    @property
    def link(self) -> Carrier:
        """What bands must share to be made from the same rays by one synthesis."""
        return self.carrier_hz, self.bs, self.ue


Carrier = tuple[float, ArrayParams, ArrayParams]


class RtParams(GeneratorParams):
    """Parameters of a ray-traced dataset.

    Attributes
    ----------
    scenes : tuple of SceneParams
        Scenes with their base stations. Blocks of samples go round the base stations, scene by scene.
    users : UserParams
        Where users are and how they move.
    bs_height_m : (float, float)
        Height of placed base stations above the local ground in m, uniform.
    bearing : {"random", "array"}
        Each base station's own bearing, uniform, added to that of its arrays; or that of the arrays alone.
    solver : SolverParams
        Settings of the path solver.
    bands : dict of str to BandOfCarrier
        Channel arrays by name; ``channel`` is the main one, and labels are of its carrier.
    delays : {"first-path", "absolute"}
        Delay reference of the channels.
    time_steps, time_step_s : int, float
        Snapshots per sample and their distance in s: phases turn with the Doppler shift, angles and delays stay.
    site_m : float
        Side in m of the squares of ground that are the interval clusters ``site``.
    store_rays : int
        Store this many of the strongest rays of a link at the main carrier; 0 stores none.
    """

    scenes: Annotated[tuple[SceneParams, ...], Field(min_length=1)]
    users: UserParams = UserParams()
    bs_height_m: Interval = (10.0, 15.0)
    bearing: Literal["random", "array"] = "random"
    solver: SolverParams = SolverParams()
    bands: Annotated[dict[str, BandOfCarrier], Field(min_length=1)]
    delays: Literal["first-path", "absolute"] = "first-path"
    time_steps: Annotated[int, Field(ge=1, le=10_000)] = 1
    time_step_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    site_m: Annotated[float, Field(ge=5)] = 40.0
    store_rays: Annotated[int, Field(ge=0, le=10_000)] = 0

    @model_validator(mode="after")
    def _possible(self) -> RtParams:
        if "channel" not in self.bands:
            raise ValueError("one of the bands must be 'channel'")
        if self.time_steps > 1 and self.time_step_s <= 0:
            raise ValueError("time_step_s must be positive where time_steps > 1")
        if self.users.seen_by == "all" and len({scene.cells for scene in self.scenes}) > 1:
            raise ValueError("seen_by = 'all' needs the same number of base stations in every scene")
        if not (self.solver.specular or self.solver.diffraction or self.solver.refraction or self.solver.scattering):
            raise ValueError("no kind of interaction is on: set max_depth = 0 and leave specular on for LoS alone")
        return self

    @property
    def main(self) -> BandOfCarrier:
        """The band that labels refer to."""
        return self.bands["channel"]

    @property
    def carriers(self) -> tuple[float, ...]:
        """Carrier frequencies in Hz, the main one first, the others as the bands name them."""
        others = dict.fromkeys(band.carrier_hz for band in self.bands.values())
        return (self.main.carrier_hz, *(f for f in others if f != self.main.carrier_hz))

    @property
    def links(self) -> dict[Carrier, list[str]]:
        """Names of the bands by carrier and arrays, the main one first."""
        found: dict[Carrier, list[str]] = {self.main.link: []}
        for name, band in self.bands.items():
            found.setdefault(band.link, []).append(name)
        return found
