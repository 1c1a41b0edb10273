"""Synthesis against a complex128 brute force of the same formula, written without any of its shortcuts."""

from __future__ import annotations

import numpy as np
import pytest

from wbench.channel import ragged, synthesis
from wbench.channel.array import Array
from wbench.channel.rays import Rays
from wbench.channel.synthesis import Grid, synthesize, synthesize_bands
from wbench.errors import SpecError

CLUSTERED = (1, 5, 5, 3, 3, 2, 2, 7, 7)
FLAT = (1,) * 13


def random_rays(links: int, seg: tuple[int, ...], seed: int = 0) -> Rays:
    rng = np.random.default_rng(seed)
    shape = (links, sum(seg))

    def angles(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, shape).astype(np.float32)

    return Rays(
        carrier_hz=3.5e9,
        tau=rng.exponential(3e-7, (links, len(seg))),
        seg=seg,
        aod=angles(-np.pi, np.pi),
        zod=angles(0.1, 3.0),
        aoa=angles(-np.pi, np.pi),
        zoa=angles(0.1, 3.0),
        g=(1e-5 * (rng.standard_normal((2, 2, *shape)) + 1j * rng.standard_normal((2, 2, *shape)))).astype(
            np.complex64
        ),
        nu=angles(-400.0, 400.0),
    )


def axis_rotation(axis: int, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = c
    matrix[j, i], matrix[i, j] = s, -s
    return matrix


def ports_towards(array: Array, azimuth: float, zenith: float, orient: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """Response [ports, (theta, phi)] of every port in one direction, in plain loops."""
    alpha, beta, gamma = (float(angle) for angle in orient)
    turn = axis_rotation(2, alpha) @ axis_rotation(1, beta) @ axis_rotation(0, gamma)
    st, ct, sp, cp = np.sin(zenith), np.cos(zenith), np.sin(azimuth), np.cos(azimuth)
    local = turn.T @ np.array([st * cp, st * sp, ct])
    e_theta, e_phi = np.array([ct * cp, ct * sp, -st]), np.array([-sp, cp, 0.0])
    psi = np.arctan2(-e_phi @ turn[:, 2], -e_theta @ turn[:, 2])
    gain_db = 0.0
    if array.pattern == "38.901":
        theta, phi = np.degrees(np.arccos(local[2])), np.degrees(np.arctan2(local[1], local[0]))
        vertical, horizontal = -min(12 * ((theta - 90) / 65) ** 2, 30.0), -min(12 * (phi / 65) ** 2, 30.0)
        gain_db = 8.0 - min(-(vertical + horizontal), 30.0)
    out = []
    for slant in array.slants:
        field = 10 ** (gain_db / 20) * np.exp(1j * (psi + slant))
        for col in range(array.cols):
            for row in range(array.rows):
                y = array.dh * (col - (array.cols - 1) / 2)
                z = -array.dv * (row - (array.rows - 1) / 2)
                out.append(np.exp(2j * np.pi * (y * local[1] + z * local[2])) * np.array([field.real, field.imag]))
    return np.array(out)


def brute_force(
    rays: Rays, tx: Array, rx: Array, grid: Grid, steps: int, step_s: float,
    tx_orient: np.ndarray | None = None, rx_orient: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    channel = np.zeros((rays.links, steps, rx.ports, tx.ports, grid.subcarriers), dtype=np.complex128)
    tap_of_ray = [tap for tap, size in enumerate(rays.seg) for _ in range(size)]
    frequencies = [grid.first_hz + k * grid.spacing_hz for k in range(grid.subcarriers)]
    for b in range(rays.links):
        for p, tap in enumerate(tap_of_ray):
            send = ports_towards(
                tx, float(rays.aod[b, p]), float(rays.zod[b, p]), tx.orient if tx_orient is None else tx_orient[b]
            )
            receive = ports_towards(
                rx, float(rays.aoa[b, p]), float(rays.zoa[b, p]), rx.orient if rx_orient is None else rx_orient[b]
            )
            ports = receive @ rays.g[:, :, b, p].astype(np.complex128) @ send.T
            doppler = np.exp(2j * np.pi * float(rays.nu[b, p]) * step_s * np.arange(steps))
            delay = np.exp(-2j * np.pi * np.array([f * rays.tau[b, tap] for f in frequencies]))
            channel[b] += doppler[:, None, None, None] * ports[None, :, :, None] * delay
    return channel


def worst_nmse_db(channel: np.ndarray, reference: np.ndarray) -> float:
    error = (np.abs(channel - reference) ** 2).reshape(len(channel), -1).sum(axis=1)
    return float(10 * np.log10((error / (np.abs(reference) ** 2).reshape(len(channel), -1).sum(axis=1)).max()))


SINGLE, VH = Array.ula(1), Array.dual_polarised(1, 2, "VH")
TILTED = Array.upa(4, 3, pattern="38.901", dh=0.7, dv=0.8, orient=(0.4, 0.2, -0.1))
CROSS = Array.dual_polarised(2, 4, pattern="38.901", orient=(-1.0, 0.0, 0.0))
SLANTED = Array.upa(3, 1, slants=(0.6,))
CASES = {
    "ula-omni": (Array.ula(8), SINGLE, 1, -122.0),
    "ula-of-32": (Array.ula(32), SINGLE, 1, -115.0),  # single-precision direction cosines times 15.5 wavelengths
    "ula-prime": (Array.ula(7), SINGLE, 3, -122.0),
    "upa-38.901": (Array.upa(4, 8, pattern="38.901"), SINGLE, 1, -122.0),
    "upa-tilted": (TILTED, SINGLE, 5, -120.0),
    "vertical": (Array.upa(6, 1), SLANTED, 2, -122.0),
    "cross-vh": (CROSS, VH, 1, -122.0),
    "cross-vh-time": (CROSS, VH, 4, -122.0),
    "uplink": (SINGLE, Array.ula(8), 2, -122.0),
    "uplink-vh": (Array.dual_polarised(1, 1, "VH"), TILTED, 1, -120.0),
    "single-single": (SINGLE, SLANTED, 16, -122.0),
    "patch-only": (Array(1, 1, pattern="38.901", orient=(0.1, 0.2, 0.3)), SINGLE, 1, -120.0),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seg", [CLUSTERED, FLAT], ids=["clustered", "flat"])
def test_matches_brute_force(case: str, seg: tuple[int, ...]) -> None:
    tx, rx, steps, limit = CASES[case]
    rays, grid = random_rays(2, seg), Grid.centred(12, 120e3)
    channel = synthesize(rays, tx, rx, grid, steps, 1e-3)
    assert channel.dtype == np.complex64
    assert channel.shape == (2, steps, rx.ports, tx.ports, 12)
    assert worst_nmse_db(channel, brute_force(rays, tx, rx, grid, steps, 1e-3)) < limit


def test_orientation_per_link_matches_brute_force() -> None:
    rays, grid = random_rays(3, CLUSTERED, seed=1), Grid(9, 60e3, first_hz=-1e6)
    turn = np.random.default_rng(3).uniform(-np.pi, np.pi, (2, 3, 3)).astype(np.float32)
    channel = synthesize(rays, CROSS, VH, grid, 2, 5e-4, tx_orientation=turn[0], rx_orientation=turn[1])
    assert worst_nmse_db(channel, brute_force(rays, CROSS, VH, grid, 2, 5e-4, *turn)) < -120


def test_several_grids_share_one_pass() -> None:
    rays = random_rays(4, CLUSTERED)
    grids = {"narrow": Grid.centred(32, 30e3), "wide": Grid.centred(33, 480e3), "offset": Grid(7, 15e3, 2e6)}
    bands = synthesize_bands(rays, CROSS, SINGLE, grids, 2, 1e-3)
    for name, grid in grids.items():
        assert np.array_equal(bands[name], synthesize(rays, CROSS, SINGLE, grid, 2, 1e-3))
        assert worst_nmse_db(bands[name], brute_force(rays, CROSS, SINGLE, grid, 2, 1e-3)) < -122


@pytest.mark.parametrize("seg", [CLUSTERED, FLAT], ids=["clustered", "flat"])
@pytest.mark.parametrize(("tx", "rx", "steps"), [(TILTED, SINGLE, 1), (CROSS, VH, 4), (Array.ula(16), SINGLE, 1)])
def test_chunks_and_other_links_change_no_bit(
    tx: Array, rx: Array, steps: int, seg: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rays, grid = random_rays(11, seg), Grid.centred(16, 60e3)
    turn = np.random.default_rng(3).uniform(-1, 1, (11, 3)).astype(np.float32)
    whole = synthesize(rays, tx, rx, grid, steps, 1e-3, rx_orientation=turn)
    for size in (1, 3, 8):
        monkeypatch.setattr(synthesis, "CHUNK_LINKS", size)
        assert np.array_equal(synthesize(rays, tx, rx, grid, steps, 1e-3, rx_orientation=turn), whole)
    some = np.array([7, 2, 9])
    assert np.array_equal(
        synthesize(rays.select(some), tx, rx, grid, steps, 1e-3, rx_orientation=turn[some]), whole[some]
    )


@pytest.mark.parametrize(("tx", "rx", "steps"), [(Array.ula(32), SINGLE, 1), (TILTED, VH, 3), (SINGLE, SINGLE, 2)])
def test_links_of_few_rays_are_the_same_in_any_company(
    tx: Array, rx: Array, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rays, count = random_rays(14, (1,) * 12), np.array([0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 3, 0, 12])
    rays.g[:, :, np.arange(12) >= count[:, None]] = 0
    rays.g[:, :, 9, 4] = 0  # a hole is not padding
    grids = {"wide": Grid.centred(16, 60e3), "one": Grid(1, 30e3)}
    turn = np.random.default_rng(3).uniform(-1, 1, (14, 3)).astype(np.float32)
    whole = synthesize_bands(rays, tx, rx, grids, steps, 1e-3, tx_orientation=turn)
    reference = brute_force(rays, tx, rx, grids["wide"], steps, 1e-3, turn)
    assert worst_nmse_db(whole["wide"][count > 0], reference[count > 0]) < -112
    assert not whole["wide"][count == 0].any()
    monkeypatch.setattr(ragged, "ROW_RAYS", 9)
    monkeypatch.setattr(synthesis, "PRODUCT_BYTES", 1)
    for link in ([0], [1], [6], [8, 3], [*range(14)]):
        alone = synthesize_bands(rays.select(np.array(link)), tx, rx, grids, steps, 1e-3, tx_orientation=turn[link])
        for name, channel in alone.items():
            assert np.array_equal(channel, whole[name][link])


def test_long_delays_and_late_snapshots_keep_their_phase() -> None:
    rays = random_rays(2, (2, 2), seed=5)
    far = Rays(rays.carrier_hz, rays.tau + 1e-4, rays.seg, rays.aod, rays.zod, rays.aoa, rays.zoa, rays.g, rays.nu * 5)
    grid = Grid(5, 15e3, first_hz=80e6)
    channel = synthesize(far, SINGLE, SINGLE, grid, 200, 5e-3)
    assert worst_nmse_db(channel, brute_force(far, SINGLE, SINGLE, grid, 200, 5e-3)) < -122


def test_reverse_link_is_the_transpose() -> None:
    rays, grid = random_rays(3, CLUSTERED), Grid.centred(8, 60e3)
    forward = synthesize(rays, TILTED, VH, grid, 2, 1e-3)
    backward = synthesize(rays.reverse(), VH, TILTED, grid, 2, 1e-3)
    assert worst_nmse_db(backward, np.swapaxes(forward, 2, 3)) < -120


def test_padding_rays_add_nothing_and_poles_are_finite() -> None:
    rays = random_rays(2, CLUSTERED)
    zod = rays.zod.copy()
    zod[0, :3], zod[0, 3:6] = 0.0, np.float32(np.pi)
    g = rays.g.copy()
    g[:, :, 1] = 0
    empty = Rays(rays.carrier_hz, rays.tau, rays.seg, rays.aod, zod, rays.aoa, rays.zoa, g, rays.nu)
    channel = synthesize(empty, TILTED, VH, Grid.centred(4, 30e3), tx_orientation=np.zeros((2, 3), np.float32))
    assert np.isfinite(channel).all()
    assert not channel[1].any()


def test_no_links() -> None:
    rays = random_rays(2, CLUSTERED).select(slice(0, 0))
    assert synthesize(rays, CROSS, SINGLE, Grid.centred(4, 30e3)).shape == (0, 1, 1, 16, 4)


def test_centred_grid_is_even_and_odd() -> None:
    assert Grid.centred(4, 10.0).frequencies().tolist() == [-20, -10, 0, 10]
    assert Grid.centred(5, 10.0).frequencies().tolist() == [-20, -10, 0, 10, 20]


@pytest.mark.parametrize("call", [
    lambda: Grid(0, 1.0),
    lambda: Grid(4, 0.0),
    lambda: Grid(4, 1.0, float("nan")),
    lambda: synthesize(random_rays(2, FLAT), SINGLE, SINGLE, Grid(1, 1.0), 0),
    lambda: synthesize(random_rays(2, FLAT), SINGLE, SINGLE, Grid(1, 1.0), rx_orientation=np.zeros((1, 3), np.float32)),
])  # fmt: skip
def test_refuses(call: object) -> None:
    with pytest.raises(SpecError):
        call()  # type: ignore[operator]
