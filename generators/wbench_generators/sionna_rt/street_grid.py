"""Procedural street grids: our own geometry, written as a Mitsuba scene. A pure function of seed and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wbench_generators.sionna_rt.params import StreetGrid

__all__ = ["GROUND", "MATERIALS", "Building", "City", "draw_city", "write_scene"]

#: Materials of the buildings (Rec. ITU-R P.2040) and how often each is drawn. All are defined from 1 to 40 GHz.
MATERIALS: dict[str, float] = {"concrete": 0.4, "brick": 0.3, "marble": 0.15, "glass": 0.15}
GROUND = "concrete"
#: Thickness of walls in m; glass is a facade.
THICKNESS_M: dict[str, float] = {"concrete": 0.3, "brick": 0.3, "marble": 0.2, "glass": 0.02}


@dataclass(frozen=True)
class Building:
    """A box on the ground: corners (x0, y0) and (x1, y1) and height in m, material."""

    x0: float
    y0: float
    x1: float
    y1: float
    height: float
    material: str


@dataclass(frozen=True)
class City:
    """Buildings, and the half sides of the ground in m; the origin is the centre."""

    buildings: tuple[Building, ...]
    half_x: float
    half_y: float


def draw_city(rng: np.random.Generator, p: StreetGrid) -> City:
    """Draw a street grid.

    Buildings of a block stand apart: where two boxes touched, the seam in a flat facade would diffract like a corner.
    """
    columns, half_x = _spans(rng, p.blocks[0], p)
    rows, half_y = _spans(rng, p.blocks[1], p)
    names, weights = list(MATERIALS), list(MATERIALS.values())
    buildings = []
    for x0, x1 in columns:
        for y0, y1 in rows:
            for u0, u1 in _split(rng, x0, x1, p):
                for v0, v1 in _split(rng, y0, y1, p):
                    height = float(rng.uniform(*p.height_m))
                    buildings.append(Building(u0, v0, u1, v1, height, names[rng.choice(len(names), p=weights)]))
    return City(tuple(buildings), half_x, half_y)


def _spans(rng: np.random.Generator, count: int, p: StreetGrid) -> tuple[list[tuple[float, float]], float]:
    """Intervals of the blocks along one axis, with a street on either side, and half of the whole length."""
    sides, streets = rng.uniform(*p.block_m, count), rng.uniform(*p.street_m, count + 1)
    half = float(sides.sum() + streets.sum()) / 2
    start = np.cumsum(streets[:-1]) + np.concatenate([[0.0], np.cumsum(sides[:-1])]) - half
    return [(float(a), float(a + b)) for a, b in zip(start, sides, strict=True)], half


def _split(rng: np.random.Generator, low: float, high: float, p: StreetGrid) -> list[tuple[float, float]]:
    """One or, with probability 1/2, two buildings with a passage somewhere in the middle half."""
    if rng.random() < 0.5:
        return [(low, high)]
    gap = float(rng.uniform(*p.passage_m))
    centre = float(rng.uniform(low + (high - low) / 4, high - (high - low) / 4))
    return [(low, centre - gap / 2), (centre + gap / 2, high)]


def write_scene(city: City, folder: Path) -> Path:
    """Write the city as Mitsuba XML with one PLY mesh per building; returns the XML's path."""
    lines = ['<scene version="2.1.0">']
    for name in sorted({GROUND, *(b.material for b in city.buildings)}):
        lines.append(f'<bsdf type="itu-radio-material" id="{name}"><string name="type" value="{name}"/>')
        lines.append(f'<float name="thickness" value="{THICKNESS_M[name]}"/></bsdf>')
    shapes = [("ground", GROUND, *_ground(city))]
    shapes += [(f"building_{i}", b.material, *_box(b)) for i, b in enumerate(city.buildings)]
    for name, material, vertices, faces in shapes:
        _write_ply(folder / f"{name}.ply", vertices, faces)
        lines.append(f'<shape type="ply" id="mesh-{name}"><string name="filename" value="{name}.ply"/>')
        lines.append(f'<boolean name="face_normals" value="true"/><ref id="{material}" name="bsdf"/></shape>')
    path = folder / "scene.xml"
    path.write_text("\n".join([*lines, "</scene>\n"]), encoding="utf-8")
    return path


Floats = npt.NDArray[np.float64]
Faces = npt.NDArray[np.int64]
_QUADS = ((4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))


def _box(b: Building) -> tuple[Floats, Faces]:
    """Eight shared vertices: edges with two faces are what diffracts. Faces look outwards.

    There is no floor: it would make the foot of each wall an edge that diffracts.
    """
    foot = [(b.x0, b.y0), (b.x1, b.y0), (b.x1, b.y1), (b.x0, b.y1)]
    vertices = [(x, y, z) for z in (0.0, b.height) for x, y in foot]
    faces = [face for q in _QUADS for face in ((q[0], q[1], q[2]), (q[0], q[2], q[3]))]
    return np.array(vertices), np.array(faces)


def _ground(city: City) -> tuple[Floats, Faces]:
    x, y = city.half_x, city.half_y
    return np.array([(-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0)], dtype=float), np.array([(0, 1, 2), (0, 2, 3)])


def _write_ply(path: Path, vertices: Floats, faces: Faces) -> None:
    head = [
        "ply", "format ascii 1.0", f"element vertex {len(vertices)}",
        "property float x", "property float y", "property float z",
        f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header",
    ]  # fmt: skip
    body = [" ".join(f"{value:.6f}" for value in vertex) for vertex in vertices]
    body += ["3 " + " ".join(map(str, face)) for face in faces]
    path.write_text("\n".join([*head, *body, ""]), encoding="ascii")
