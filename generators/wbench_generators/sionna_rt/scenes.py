"""Scenes in Sionna RT: built-in ones, street grids and the user's own, and what is outdoors in them."""

from __future__ import annotations

import hashlib
import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from wbench.errors import SpecError
from wbench.generator import Block
from wbench_generators.sionna_rt.params import RtParams, SceneParams
from wbench_generators.sionna_rt.street_grid import draw_city, write_scene

__all__ = ["Place", "Scenes", "catalogue", "check_file", "scene_digest"]

Points = npt.NDArray[np.float64]
#: Two surfaces closer than this in m are one, the ground: some scenes have a thin slab for it.
GROUND_TOLERANCE_M = 0.05


def catalogue(params: RtParams) -> list[tuple[SceneParams, int]]:
    """Entry and number within the entry of each scene: position in the list is the array ``scene``."""
    return [(entry, i) for entry in params.scenes for i in range(entry.count)]


def scene_digest(path: Path) -> str:
    """SHA-256 of a Mitsuba scene file and of all files that it names, in order.

    Raises
    ------
    SpecError
        A file is missing, or the scene is not XML.
    """
    digest = hashlib.sha256()
    try:
        text = path.read_bytes()
        digest.update(text)
        for element in ElementTree.fromstring(text).iter("string"):
            if element.get("name") == "filename":
                digest.update((path.parent / str(element.get("value"))).read_bytes())
    except (OSError, ElementTree.ParseError) as error:
        raise SpecError("The scene file cannot be read.", where=str(path), why=str(error)) from error
    return digest.hexdigest()


def check_file(entry: SceneParams) -> None:
    """Refuse a user's scene file whose content is not what the recipe says.

    Raises
    ------
    SpecError
        Names the right digest.
    """
    if entry.file is None:
        return
    found = scene_digest(Path(entry.file).expanduser())
    if found != entry.sha256:
        raise SpecError(
            "The scene file is not the one that the recipe names.",
            where=entry.file,
            why=f"sha256 is {entry.sha256 or 'not given'}, the file and its meshes have {found}",
            next_step=f'if this is the scene you mean, write sha256 = "{found}" beside file in the recipe',
        )


@dataclass(frozen=True, eq=False)
class Place:
    """A loaded scene.

    Attributes
    ----------
    number : int
        The array ``scene``.
    entry : SceneParams
        Its entry in the recipe.
    scene : sionna.rt.Scene
        The scene with its materials set.
    area : (float, float, float, float)
        x0, y0, x1, y1 in m: where users and base stations may be.
    top : float
        Height above all that there is, in m.
    """

    number: int
    entry: SceneParams
    scene: Any
    area: tuple[float, float, float, float]
    top: float
    bottom: float

    def ground(self, xy: Points) -> tuple[Points, npt.NDArray[np.bool_]]:
        """Height of the ground and whether a place is outdoors.

        Parameters
        ----------
        xy : float64 ndarray [n, 2]
            Places in m.

        Returns
        -------
        height : float64 ndarray [n]
            z of the highest surface in m, which is the ground outdoors; 0 where there is none.
        outdoors : bool ndarray [n]
            The lowest surface is also the highest: no roof, tree or bridge above, and not outside of the area.
        """
        high, there = self._first_hit(xy, self.top, -1.0)
        low, _ = self._first_hit(xy, self.bottom, 1.0)
        outdoors = there & self.contains(xy) & (np.abs(high - low) <= GROUND_TOLERANCE_M)
        return np.where(there, high, 0.0), outdoors

    def contains(self, xy: Points) -> npt.NDArray[np.bool_]:
        """Whether places [n, 2] are in the area: bool [n]."""
        x0, y0, x1, y1 = self.area
        return np.asarray((xy[:, 0] >= x0) & (xy[:, 0] <= x1) & (xy[:, 1] >= y0) & (xy[:, 1] <= y1))

    def _first_hit(self, xy: Points, z: float, direction: float) -> tuple[Points, npt.NDArray[np.bool_]]:
        import mitsuba as mi

        origin = np.column_stack([xy, np.full(len(xy), z)]).astype(np.float32)
        hit = self.scene.mi_scene.ray_intersect(mi.Ray3f(mi.Point3f(*origin.T), mi.Vector3f(0.0, 0.0, direction)))
        return np.array(hit.p.z, dtype=np.float64), np.array(hit.is_valid())


class Scenes:
    """Loads scenes when a block needs them and keeps the last few.

    Parameters
    ----------
    params : RtParams
        The dataset's parameters.
    """

    #: A city of Sionna RT takes 10 to 60 MB and up to seconds to load, a street grid next to nothing.
    KEPT = 64

    def __init__(self, params: RtParams) -> None:
        self._params = params
        self.entries = catalogue(params)
        self._loaded: OrderedDict[tuple[int, int], Place] = OrderedDict()
        for entry in params.scenes:
            check_file(entry)

    def get(self, number: int, block: Block) -> Place:
        """The scene of that number; a street grid depends on the dataset's root seed as well."""
        key = (number, block.root)
        if key not in self._loaded:
            self._loaded[key] = self._load(number, block)
            if len(self._loaded) > self.KEPT:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def _load(self, number: int, block: Block) -> Place:
        import sionna.rt as rt

        entry, _ = self.entries[number]
        if entry.street_grid is not None:
            city = draw_city(block.rng("street grid", number), entry.street_grid)
            with tempfile.TemporaryDirectory(prefix="wbench-street-grid-") as folder:
                scene = rt.load_scene(str(write_scene(city, Path(folder))))
        elif entry.file is not None:
            try:
                scene = rt.load_scene(str(Path(entry.file).expanduser()))
            except Exception as error:  # Mitsuba's own errors are of many kinds
                why = f"{type(error).__name__}: {error}"
                raise SpecError("Sionna RT cannot load the scene.", where=entry.file, why=why) from error
        else:
            scene = rt.load_scene(getattr(rt.scene, str(entry.name)))
        for material in scene.radio_materials.values():
            material.scattering_coefficient = self._params.solver.scattering
        box = scene.mi_scene.bbox()
        low, high = (np.array(corner, dtype=np.float64).reshape(-1) for corner in (box.min, box.max))
        area = entry.area or (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        return Place(number, entry, scene, area, float(high[2]) + 10.0, float(low[2]) - 10.0)
