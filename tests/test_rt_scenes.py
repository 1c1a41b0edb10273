"""Scenes, base stations and users of ``sionna-rt``."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from tests.helpers_rt import block, need_sionna_rt, rt_params
from wbench.errors import SimulationError, SpecError
from wbench_generators.sionna_rt import RtParams, SionnaRt
from wbench_generators.sionna_rt.params import StreetGrid
from wbench_generators.sionna_rt.placement import base_stations
from wbench_generators.sionna_rt.scenes import Scenes, scene_digest
from wbench_generators.sionna_rt.session import RtSession
from wbench_generators.sionna_rt.street_grid import City, draw_city, write_scene

GRID = {"street_grid": {"count": 3, "blocks": (2, 2)}, "base_stations": 1}


def city(seed: int = 1) -> City:
    return draw_city(np.random.default_rng(seed), StreetGrid(blocks=(4, 3)))


def test_street_grid_keeps_to_its_limits() -> None:
    c = city()
    boxes = np.array([(b.x0, b.y0, b.x1, b.y1) for b in c.buildings])
    heights = np.array([b.height for b in c.buildings])
    assert 12 <= len(c.buildings) <= 48
    assert (heights >= 10).all()
    assert (heights <= 40).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= 5).all()
    assert (boxes[:, 2:] - boxes[:, :2] <= 120).all()
    # A street of 12 m and more lies between the buildings and the edge of the ground.
    assert (np.abs(boxes[:, [0, 2]]) <= c.half_x - 12 + 1e-9).all()
    assert (np.abs(boxes[:, [1, 3]]) <= c.half_y - 12 + 1e-9).all()
    # No two buildings touch: at least a passage lies between them along one axis.
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            gap = max(b[0] - a[2], a[0] - b[2], b[1] - a[3], a[1] - b[3])
            assert gap >= 4 - 1e-9


def test_street_grid_is_a_function_of_the_seed(tmp_path: Path) -> None:
    texts = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        path = write_scene(city(seed), tmp_path / name)
        texts.append(b"".join(p.read_bytes() for p in sorted(path.parent.iterdir())))
    assert texts[0] == texts[1] != texts[2]


def test_ground_and_outdoors_agree_with_the_boxes() -> None:
    need_sionna_rt()
    p = rt_params(scenes=[GRID])
    place, c = Scenes(p).get(1, block(0)), draw_city(block(0).rng("street grid", 1), p.scenes[0].street_grid)
    rng = np.random.default_rng(0)
    xy = rng.uniform([-c.half_x, -c.half_y], [c.half_x, c.half_y], (4000, 2))
    inside = np.zeros(len(xy), bool)
    for b in c.buildings:
        inside |= (xy[:, 0] > b.x0) & (xy[:, 0] < b.x1) & (xy[:, 1] > b.y0) & (xy[:, 1] < b.y1)
    height, outdoors = place.ground(xy)
    np.testing.assert_array_equal(outdoors, ~inside)
    np.testing.assert_allclose(height[outdoors], 0, atol=1e-6)
    np.testing.assert_array_equal(height[inside] > 9.9, True)


@pytest.mark.parametrize("placement", ["random", "grid", "trajectory"])
def test_users_are_outdoors_and_in_reach(placement: str) -> None:
    need_sionna_rt()
    users = {"placement": placement, "distance_m": (10.0, 60.0), "track_points": 4, "speed_kmh": (3.0, 30.0)}
    p = rt_params(users=users)
    session = RtSession(p)
    every = [session.links(block(i)) for i in range(6)]
    for links in every:
        place, bs = links.place, links.bs[links.cell][:, :2].astype(np.float64)
        xy = links.users.position[:, :2].astype(np.float64)
        height, outdoors = place.ground(xy)
        assert outdoors.all()
        np.testing.assert_allclose(links.users.position[:, 2], height + 1.5, atol=1e-5)
        distance = np.hypot(*(xy - bs).T)
        assert ((distance > 9.99) & (distance < 60.01)).all()
        speed = np.linalg.norm(links.users.velocity, axis=1) * 3.6
        assert ((speed > 2.9) & (speed < 30.1)).all()
    assert {int(links.cell[0]) for links in every} == {0, 1}
    points = np.concatenate([links.users.position[:, :2] for links in every if links.cell[0] == 0])
    if placement == "grid":
        assert len(np.unique(points, axis=0)) == len(points)
        np.testing.assert_allclose(points % 2.0 % 2.0, 0, atol=1e-5)
    if placement == "trajectory":
        links = every[0]
        np.testing.assert_array_equal(links.ue_id, [0, 0, 0, 0, 4, 4, 4, 4])
        steps = np.linalg.norm(np.diff(links.users.position, axis=0), axis=1)
        np.testing.assert_allclose(steps[[0, 1, 2, 4, 5, 6]], 0.5, atol=1e-4)


def test_base_stations_are_a_function_of_seed_and_scene() -> None:
    need_sionna_rt()
    p = rt_params(bs_height_m=(10.0, 15.0))
    place = Scenes(p).get(0, block(0))
    (first, bearing), (again, _), (other, _) = (
        base_stations(place, p, b) for b in (block(0), block(5), block(0, 8, 9))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert place.ground(first[:, :2].astype(np.float64))[1].all()
    assert ((first[:, 2] > 10 - 1e-3) & (first[:, 2] < 15 + 1e-3)).all()
    assert len(set(bearing)) == 2


def test_too_fine_a_wish_is_refused() -> None:
    need_sionna_rt()
    session = RtSession(rt_params(users={"placement": "grid", "grid_m": 30.0, "distance_m": (10.0, 60.0)}))
    with pytest.raises(SimulationError, match="too few outdoor points"):
        session.links(block(0, 500))


def test_users_seen_by_all_need_whole_blocks() -> None:
    need_sionna_rt()
    session = RtSession(rt_params(users={"seen_by": "all"}))
    with pytest.raises(SpecError, match="multiples of 2"):
        session.links(block(0, 9))


def test_own_scene_needs_its_digest(tmp_path: Path) -> None:
    path = write_scene(city(), tmp_path)
    digest = scene_digest(path)
    assert digest != hashlib.sha256(path.read_bytes()).hexdigest()  # meshes count
    scene = {"file": str(path), "sha256": digest, "positions": [(0.0, 0.0, 50.0)]}
    SionnaRt().layout(rt_params(scenes=[scene]))
    with pytest.raises(SpecError, match=digest):
        SionnaRt().layout(rt_params(scenes=[{**scene, "sha256": "0" * 64}]))
    (tmp_path / "ground.ply").write_bytes((tmp_path / "ground.ply").read_bytes() + b"\n")
    with pytest.raises(SpecError, match="not the one"):
        SionnaRt().layout(rt_params(scenes=[scene]))


def test_own_scene_is_simulated(tmp_path: Path) -> None:
    need_sionna_rt()
    path = write_scene(city(), tmp_path)
    scene = {"file": str(path), "sha256": scene_digest(path), "positions": [(0.0, 0.0, 60.0)]}
    generator, p = SionnaRt(), rt_params(scenes=[scene])
    with generator.open(p) as session:
        _, arrays = session.simulate(block(0))
    np.testing.assert_array_equal(arrays["bs_position"], np.tile(np.float32([0, 0, 60]), (8, 1)))
    assert (arrays["los"] >= 0).any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"scenes": []},
        {"scenes": [{"name": "atlantis"}]},
        {"scenes": [{"name": "munich", "file": "x.xml"}]},
        {"scenes": [{"name": "munich", "area": (0.0, 0.0, -1.0, 1.0)}]},
        {"bands": {"other": {"carrier_hz": 3.5e9, "subcarriers": 4, "spacing_hz": 1e5}}},
        {"time_steps": 4},
        {"scenes": [{"name": "munich", "base_stations": 2}, {"name": "etoile"}], "users": {"seen_by": "all"}},
        {"scenes": [{"street_grid": {"block_m": (10.0, 20.0)}}]},
        {"solver": {"depth": 3}},
    ],
)
def test_impossible_parameters(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        rt_params(**wrong)


def test_defaults_are_the_protocols() -> None:
    solver = RtParams.model_fields["solver"].default
    assert (solver.max_depth, solver.diffraction, solver.scattering) == (5, True, 0.3)
    assert rt_params().bs_height_m == (10.0, 15.0)
