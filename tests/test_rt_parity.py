"""Channels of ``sionna-rt`` against Sionna RT's own antenna arrays, delays and Doppler shifts.

The reference is an untouched scene and ``PathSolver`` with the real arrays on both ends: its ``a`` and ``tau`` are
summed in double precision. Ours is one VH element on both ends, the record of rays, and wbench's synthesis.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.helpers_rt import block, need_sionna_rt, rt_params, worst_nmse_db
from wbench.run.executors import one_thread
from wbench.run.generate import simulate_block
from wbench_generators.sionna_rt import SionnaRt

TONES, SPACING, STEPS, STEP = 16, 480e3, 3, 1e-3
ULA = {"cols": 32}
PANEL = {"rows": 4, "cols": 8, "pattern": "38.901", "downtilt_deg": 8.0, "polarisation": "cross"}
UE = {"cols": 2, "polarisation": "VH", "bearing_deg": 30.0, "downtilt_deg": -10.0}


def reference(p: Any, band: Any, session: Any, part: Any, summed: bool) -> np.ndarray:
    """Sionna RT's own channels of a block: [n, T, Rx, Tx, K]."""
    import mitsuba as mi
    import sionna.rt as rt

    links, s = session.links(part), p.solver
    scene = rt.load_scene(rt.scene.simple_street_canyon)  # not the session's, which wbench has its hands in
    for material in scene.radio_materials.values():
        material.scattering_coefficient = s.scattering
    arrays = []
    for array in (band.bs, band.ue):
        pattern = {"omni": "iso", "38.901": "tr38901"}[array.pattern]
        shape = {"num_rows": array.rows, "num_cols": array.cols}
        spacing = {"vertical_spacing": array.vertical_spacing, "horizontal_spacing": array.horizontal_spacing}
        arrays.append(rt.PlanarArray(**shape, **spacing, pattern=pattern, polarization=array.polarisation))
    scene.tx_array, scene.rx_array = arrays
    cell = int(links.cell[0])
    pose = np.radians([band.bs.bearing_deg, band.bs.downtilt_deg, 0.0])
    pose[0] += links.bearing[cell]
    scene.add(rt.Transmitter("bs", mi.Point3f(links.bs[cell].tolist()), mi.Point3f(pose.tolist())))
    pose = np.radians([band.ue.bearing_deg, band.ue.downtilt_deg, 0.0])
    for i, (place, speed) in enumerate(zip(links.users.position.tolist(), links.users.velocity.tolist(), strict=True)):
        scene.add(rt.Receiver(f"ue{i}", mi.Point3f(place), mi.Point3f(pose.tolist()), velocity=mi.Vector3f(speed)))
    scene.frequency = band.carrier_hz
    kinds = {"specular_reflection": s.specular, "diffuse_reflection": s.scattering > 0, "diffraction": s.diffraction}
    seed = int(part.seed("paths").generate_state(1)[0])
    buffer = {"max_num_paths_per_src": s.max_paths, "samples_per_src": s.samples}
    paths = rt.PathSolver()(scene, max_depth=s.max_depth, refraction=s.refraction, seed=seed, **buffer, **kinds)
    tones = (np.arange(TONES) - TONES // 2) * SPACING
    if summed:
        a = np.moveaxis(paths.a[0].numpy().astype(np.float64) + 1j * paths.a[1].numpy(), 2, 0)[0]  # [n, Rx, Tx, P]
        tau, nu = paths.tau.numpy()[:, 0].astype(np.float64), paths.doppler.numpy()[:, 0].astype(np.float64)
        a = np.where(paths.valid.numpy()[:, 0][:, None, None], a, 0)
        delay = np.exp(-2j * math.pi * tau[:, :, None] * (band.carrier_hz + tones))
        time = np.exp(2j * math.pi * nu[:, :, None] * STEP * np.arange(STEPS))
        h = np.einsum("nrsp,npt,npk->ntrsk", a, time, delay)
    else:
        h = paths.cfr(
            frequencies=mi.Float(tones.tolist()), sampling_frequency=1 / STEP, num_time_steps=STEPS,
            normalize_delays=False, out_type="numpy",
        )[:, :, 0]  # fmt: skip
        h = np.moveaxis(h, 3, 1)
    return h


def compare(carrier: float, bs: dict[str, Any], ue: dict[str, Any], *, summed: bool = True, **changes: Any) -> float:
    grid = {"subcarriers": TONES, "spacing_hz": SPACING}
    bands = {"channel": {"carrier_hz": 3.5e9, "bs": bs, "ue": ue, **grid}}
    name = "channel"
    if carrier != 3.5e9:
        name, bands["channel_high"] = "channel_high", {"carrier_hz": carrier, "bs": bs, "ue": ue, **grid}
    users = {"distance_m": (10.0, 60.0), "speed_kmh": (30.0, 30.0)}
    p = rt_params(bands=bands, users=users, delays="absolute", time_steps=STEPS, time_step_s=STEP, **changes)
    generator, part = SionnaRt(), block(0)
    with generator.open(p) as session, one_thread():
        ours = simulate_block(generator.layout(p), session, part)
        theirs = reference(p, p.bands[name], session, part, summed)
        assert (ours["los"] == 1).any()
        assert (ours["los"] == 0).any()
        return worst_nmse_db(ours[name], theirs)


@pytest.mark.parametrize(
    ("bs", "ue", "scattering"), [(ULA, {}, 0.3), (PANEL, UE, 0.0)], ids=["ula-1x32-scattering", "cross-64x4-tilted"]
)
def test_channel_equals_the_solvers_paths(bs: dict[str, Any], ue: dict[str, Any], scattering: float) -> None:
    # Sionna RT's scattered field is no linear function of the incident one (its strength depends on the polarisation
    # of the sum), so slanted elements on scattered paths are not the sum of a vertical and a horizontal one there.
    need_sionna_rt()
    assert compare(3.5e9, bs, ue, solver={"scattering": scattering}) <= -90.0


def test_second_carrier_equals_a_solve_at_that_carrier() -> None:
    # Without scattering the candidates are the same at any carrier, so a solve of its own is the reference.
    need_sionna_rt()
    assert compare(28e9, ULA, {}, solver={"scattering": 0.0}) <= -90.0


def test_refraction_and_no_diffraction() -> None:
    need_sionna_rt()
    assert compare(3.5e9, PANEL, {}, solver={"refraction": True, "diffraction": False, "scattering": 0.0}) <= -90.0


def test_cfr_up_to_its_single_precision_phase() -> None:
    # Sionna RT forms 2 pi f tau in single precision: some 1e3 rad, so the phase is off by 1e-4 and more.
    need_sionna_rt()
    assert compare(3.5e9, ULA, {}, summed=False) <= -60.0
