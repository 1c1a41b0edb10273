"""Synthesis of ray-traced records: few paths a link, padding behind them."""

from __future__ import annotations

import numpy as np
import pytest

from wbench.channel.array import Array
from wbench.channel.rays import Rays
from wbench.channel.synthesis import Grid, synthesize, synthesize_bands

GRIDS = {"a": Grid.centred(12, 120e3), "b": Grid(5, 2e6, 1e6)}
TX, RX = Array.upa(2, 3), Array.ula(2)


def record(links: int = 90, rays: int = 11, seed: int = 0) -> Rays:
    """0 to 11 paths a link, some with a hole among them."""
    rng = np.random.default_rng(seed)
    shape = (links, rays)
    live = np.arange(rays) < rng.integers(0, rays + 1, links)[:, None]
    live[::7, 1] = False
    angle = {name: rng.uniform(-np.pi, np.pi, shape) for name in ("aod", "aoa")}
    angle |= {name: rng.uniform(0.1, 3.0, shape) for name in ("zod", "zoa")}
    g = rng.normal(size=(2, 2, *shape)) + 1j * rng.normal(size=(2, 2, *shape))
    single = {name: np.where(live, value, 0).astype(np.float32) for name, value in angle.items()}
    tau = np.where(live, rng.uniform(0, 2e-6, shape), 0)
    nu = np.where(live, rng.normal(0, 100, shape), 0).astype(np.float32)
    return Rays(3.5e9, tau, (1,) * rays, **single, g=np.where(live, g, 0).astype(np.complex64), nu=nu)


def one_by_one(rays: Rays, grid: Grid, steps: int) -> np.ndarray:
    """Sum over rays in complex128: [B, T, Rx, Tx, K]."""
    a_tx, a_rx = TX.steering(rays.aod, rays.zod), RX.steering(rays.aoa, rays.zoa)
    tones = np.exp(-2j * np.pi * grid.frequencies() * rays.tau[..., None])
    time = np.exp(2j * np.pi * rays.nu[..., None].astype(np.float64) * 1e-3 * np.arange(steps))
    return np.einsum("bp,bpt,bpr,bps,bpk->btrsk", rays.g[0, 0].astype(complex), time, a_rx, a_tx, tones)


@pytest.mark.parametrize("steps", [1, 3])
def test_is_the_sum_over_the_paths(steps: int) -> None:
    rays = record()
    found = synthesize_bands(rays, TX, RX, GRIDS, steps, 1e-3)
    for name, grid in GRIDS.items():
        truth = one_by_one(rays, grid, steps)
        there = rays.power().any(axis=1)
        assert not found[name][~there].any()
        error = (abs(found[name] - truth) ** 2).sum((1, 2, 3, 4))[there] / (abs(truth) ** 2).sum((1, 2, 3, 4))[there]
        assert 10 * np.log10(error.max()) < -100


def test_other_links_change_no_bit() -> None:
    rays = record()
    turn = np.random.default_rng(1).uniform(-1, 1, (90, 3)).astype(np.float32)
    whole = synthesize(rays, TX, RX, GRIDS["a"], 2, 1e-3, tx_orientation=turn)
    for some in (slice(0, 1), slice(3, 40), np.arange(89, -1, -3)):
        part = synthesize(rays.select(some), TX, RX, GRIDS["a"], 2, 1e-3, tx_orientation=turn[some])
        np.testing.assert_array_equal(part, whole[some])
