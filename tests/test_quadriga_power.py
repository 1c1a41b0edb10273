"""power_norm: against sums written out in double precision, and what depends on the future."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers_quadriga import Golden, quadriga_params, worst_nmse_db
from wbench.channel.array import Array
from wbench.channel.rays import Rays
from wbench.channel.synthesis import Grid, synthesize
from wbench.errors import SpecError
from wbench.run.generate import array_specs
from wbench_generators.quadriga import Quadriga
from wbench_generators.quadriga.power import normalised_channels

GRID, STEPS, STEP_S = Grid(8, 360e3, -1e6), 6, 1e-3


def few_rays(links: int = 3) -> Rays:
    """Five taps of uneven size, dual polarisation, a tap without power."""
    rng = np.random.default_rng(3)
    seg = (1, 4, 2, 3, 2)
    total = sum(seg)
    g = rng.standard_normal((2, 2, links, total)) + 1j * rng.standard_normal((2, 2, links, total))
    g[..., 7:10] = 0

    def angle(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, (links, total)).astype(np.float32)

    return Rays(
        2e9, np.sort(rng.uniform(0, 1e-6, (links, 5))), seg, angle(-3, 3), angle(0.3, 2.8), angle(-3, 3),
        angle(0.3, 2.8), g.astype(np.complex64), angle(-100, 100),
    )  # fmt: skip


def written_out(rays: Rays, tx: Array, rx: Array, window: int) -> np.ndarray:
    """The definition, ray by ray, for untilted isotropic elements: complex128 [n, T, Rx, Tx, K]."""
    out = np.zeros((rays.links, STEPS, rx.ports, tx.ports, GRID.subcarriers), complex)
    time, frequency = STEP_S * np.arange(STEPS), GRID.frequencies()
    for b in range(rays.links):
        a_rx, a_tx = rx.steering(rays.aoa[b], rays.zoa[b]), tx.steering(rays.aod[b], rays.zod[b])
        start = 0
        for tap, size in enumerate(rays.seg):
            part = range(start, start + size)
            start += size
            for r in range(rx.ports):
                f = np.array([np.cos(rx.slants[r // rx.elements]), np.sin(rx.slants[r // rx.elements])])
                for s in range(tx.ports):
                    h = np.array([np.cos(tx.slants[s // tx.elements]), np.sin(tx.slants[s // tx.elements])])
                    each = [f @ rays.g[:, :, b, p].astype(complex) @ h for p in part]
                    series = sum(
                        c * a_rx[p, r % rx.elements] * a_tx[p, s % tx.elements]
                        * np.exp(2j * np.pi * float(rays.nu[b, p]) * time)
                        for p, c in zip(part, each, strict=True)
                    )  # fmt: skip
                    nominal, found = sum(abs(c) ** 2 for c in each), (abs(series[:window]) ** 2).mean()
                    scale = np.sqrt(nominal / found) if found else 0.0
                    out[b, :, r, s] += scale * np.outer(series, np.exp(-2j * np.pi * frequency * rays.tau[b, tap]))
    return out


@pytest.mark.parametrize("window", [STEPS, 3, 1])
def test_against_sums_written_out(window: int) -> None:
    rays, tx, rx = few_rays(), Array.dual_polarised(2, 2), Array.dual_polarised(1, 1, "VH")
    ours = normalised_channels(rays, tx, rx, {"h": GRID}, STEPS, STEP_S, window)["h"]
    assert ours.dtype == np.complex64
    assert worst_nmse_db(ours, written_out(rays, tx, rx, window)) < -110


def test_directive_tilted_elements_have_their_nominal_power() -> None:
    """One tap, many snapshots: the mean power is that of the rays seen through the elements."""
    rays = few_rays()
    one = Rays(
        rays.carrier_hz, np.zeros((3, 1)), (4,), *(getattr(rays, k)[:, 1:5] for k in ("aod", "zod", "aoa", "zoa")),
        rays.g[..., 1:5], rays.nu[:, 1:5],
    )  # fmt: skip
    tx, rx = Array(1, 2, slants=(0.4, -1.0), pattern="38.901", orient=(0.3, 0.2, 0.1)), Array(1, 1)
    ours = normalised_channels(one, tx, rx, {"h": Grid(1, 1.0)}, STEPS, STEP_S, STEPS)["h"]
    alone = [  # each ray alone through the core's synthesis
        synthesize(Rays(2e9, one.tau, (1,), *(getattr(one, k)[:, p : p + 1] for k in ("aod", "zod", "aoa", "zoa")),
                        one.g[..., p : p + 1], one.nu[:, p : p + 1]), tx, rx, Grid(1, 1.0))
        for p in range(4)
    ]  # fmt: skip
    nominal = sum((np.abs(h[:, 0]) ** 2) for h in alone)
    np.testing.assert_allclose((np.abs(ours) ** 2).mean(axis=1), nominal, rtol=1e-5)


def channels(golden: Golden, norm: str, steps: int) -> np.ndarray:
    """Golden rays under a power normalisation, ``steps`` snapshots."""
    rays = golden.rays()
    if norm == "none":
        return synthesize(rays, golden.tx, golden.rx, golden.grid, steps, golden.step_s)
    window = golden.steps // 2 if norm == "causal" else steps
    plan = {"h": golden.grid}, steps, golden.step_s
    return normalised_channels(rays, golden.tx, golden.rx, *plan, window=window)["h"]


@pytest.mark.parametrize("name", ["d1", "d4"])
@pytest.mark.parametrize("norm", ["none", "causal", "track"])
def test_the_first_half_does_not_depend_on_the_second_but_with_track(name: str, norm: str) -> None:
    golden = Golden(name)
    half = golden.steps // 2
    change = worst_nmse_db(channels(golden, norm, golden.steps)[:, :half], channels(golden, norm, half))
    if norm == "track":
        assert change > -30
    else:
        assert change < -130


def test_both_halves_of_the_effect_are_there() -> None:
    """Track to causal: what the future adds. Causal to none: what the distribution changes."""
    golden = Golden("d1")
    track, causal, none = (channels(golden, norm, golden.steps) for norm in ("track", "causal", "none"))
    assert worst_nmse_db(causal, track) > -25
    assert worst_nmse_db(causal, none) > -15


def test_layouts_of_the_three() -> None:
    generator = Quadriga()
    layouts = {norm: generator.layout(quadriga_params(power_norm=norm)) for norm in ("none", "causal", "track")}
    names = [{spec.name for spec in array_specs(layout)} for layout in layouts.values()]
    assert names[0] == names[1] == names[2]
    assert [layout.synthesis is None for layout in layouts.values()] == [False, True, True]
    assert layouts["causal"].attributes["radio"] == layouts["track"].attributes["radio"]
    assert "first 3 of 6" in layouts["causal"].attributes["power_normalisation"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"scenario": "umx"}, "Input should be 'umi', 'uma'"),
        ({"scenario": "inf-dh", "bs_height_m": 8.0, "los": "model"}, "in a factory los is"),
        ({"scenario": "inf-dh"}, "bs_height_m has to be given"),
        ({"store_rays": True}, "store_rays is not offered"),
        ({"norm_steps": 2}, "norm_steps belongs to"),
        ({"power_norm": "causal", "norm_steps": 7}, "beyond time_steps"),
    ],
)
def test_impossible_parameters_are_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises((SpecError, ValueError), match=why):
        quadriga_params(**changes)
