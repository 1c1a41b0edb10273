"""Records, arrays and patterns against closed forms and the anchors of TR 38.901."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from wbench.channel import pattern
from wbench.channel.array import Array, rotation
from wbench.channel.rays import Rays
from wbench.errors import SimulationError, SpecError, UnknownNameError


def rays(links: int = 3, seg: tuple[int, ...] = (1, 2)) -> Rays:
    rng = np.random.default_rng(0)
    shape = (links, sum(seg))
    angles = {name: rng.uniform(0, 3, shape).astype(np.float32) for name in ("aod", "zod", "aoa", "zoa")}
    g = (rng.standard_normal((2, 2, *shape)) + 1j * rng.standard_normal((2, 2, *shape))).astype(np.complex64)
    return Rays(2e9, rng.uniform(0, 1e-6, (links, len(seg))), seg, **angles, g=g, nu=np.ones(shape, np.float32))


def test_rotation_is_the_intrinsic_zyx_rotation() -> None:
    angles = np.random.default_rng(0).uniform(-3, 3, (5, 3))
    np.testing.assert_allclose(rotation(angles), Rotation.from_euler("ZYX", angles).as_matrix(), atol=1e-14)


def test_steering_of_a_plane_wave() -> None:
    array = Array.upa(2, 4, dh=0.5, dv=0.7)
    azimuth, zenith = 0.3, 1.1
    expected = [
        np.exp(2j * np.pi * (0.5 * (col - 1.5) * np.sin(zenith) * np.sin(azimuth) - 0.7 * (row - 0.5) * np.cos(zenith)))
        for col in range(4)
        for row in range(2)
    ]
    np.testing.assert_allclose(array.steering(azimuth, zenith), expected, atol=1e-14)
    turned = dataclasses.replace(array, orient=(0.25, 0.0, 0.0))
    np.testing.assert_allclose(turned.steering(azimuth + 0.25, zenith), expected, atol=1e-14)
    # Downtilt: a wave from below the horizon arrives at boresight, in phase at all elements.
    tilted = dataclasses.replace(array, orient=(0.0, 0.2, 0.0))
    np.testing.assert_allclose(tilted.steering(0.0, np.pi / 2 + 0.2), np.ones(8), atol=1e-14)


def test_row_zero_is_on_top_and_ports_count_rows_first() -> None:
    array = Array.dual_polarised(2, 3, "VH")
    assert (array.elements, array.polarisations, array.ports) == (6, 2, 12)
    positions = array.positions()
    assert positions[0].tolist() == [-0.5, 0.25]
    assert positions[1].tolist() == [-0.5, -0.25]
    assert positions[2].tolist() == [0.0, 0.25]


@pytest.mark.parametrize(("elevation", "azimuth", "gain"), [
    (0, 0, 8.0),
    (0, 32.5, 5.0),  # half of the 65° beamwidth: −3 dB
    (32.5, 0, 5.0),
    (32.5, -32.5, 2.0),
    (0, 180, -22.0),  # front-to-back 30 dB
    (90, 180, -22.0),
    (90, 0, 8 - 12 * (90 / 65) ** 2),
])  # fmt: skip
def test_pattern_of_table_7_3_1(elevation: float, azimuth: float, gain: float) -> None:
    angles = np.radians([[elevation], [azimuth]])
    np.testing.assert_allclose(pattern.tr38901(*angles), gain, atol=1e-9)
    np.testing.assert_allclose(pattern.amplitude("38.901", *angles), 10 ** (gain / 20), rtol=1e-9)
    assert pattern.amplitude("38.901", *angles.astype(np.float32)).dtype == np.float32
    assert pattern.amplitude("omni", *angles) == 1.0


def test_unknown_pattern_suggests() -> None:
    with pytest.raises(UnknownNameError, match=r"38\.901"):
        Array(1, 1, pattern="38901")


@pytest.mark.parametrize("arguments", [
    {"rows": 0}, {"cols": 0}, {"dv": 0.0}, {"dh": -1.0}, {"slants": ()}, {"slants": (0.0, 1.0, 2.0)},
    {"orient": (0.0, 0.0)}, {"orient": (0.0, float("nan"), 0.0)},
])  # fmt: skip
def test_array_refuses(arguments: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        Array(**{"rows": 1, "cols": 1, **arguments})  # type: ignore[arg-type]


def test_power_sums_the_polarisations() -> None:
    record = rays()
    np.testing.assert_allclose(record.power(), (np.abs(record.g) ** 2).sum(axis=(0, 1)), rtol=1e-6)
    assert (record.links, record.taps, record.rays) == (3, 2, 3)
    assert np.array_equal(record.ray_tau(), record.tau[:, [0, 1, 1]])


def test_reverse_twice_is_the_same_record() -> None:
    record = rays()
    once, twice = record.reverse(), record.reverse().reverse()
    assert np.array_equal(once.aod, record.aoa)
    assert np.array_equal(once.g[0, 1], record.g[1, 0])
    assert np.array_equal(twice.g, record.g)


def test_arrays_round_trip() -> None:
    record = rays()
    arrays = record.to_arrays()
    assert all(len(array) == record.links for array in arrays.values())
    back = Rays.from_arrays(arrays, record.carrier_hz)
    for field in dataclasses.fields(Rays):
        assert np.array_equal(getattr(back, field.name), getattr(record, field.name)), field.name
    arrays["ray_seg"][1] = [2, 1]
    with pytest.raises(SimulationError):
        Rays.from_arrays(arrays, record.carrier_hz)


@pytest.mark.parametrize(("name", "change"), [
    ("tau", lambda a: a.astype(np.float32)),
    ("tau", lambda a: a[:, :1]),
    ("aod", lambda a: a.astype(np.float64)),
    ("zoa", lambda a: a[:2]),
    ("g", lambda a: a.astype(np.complex128)),
    ("g", lambda a: a[:1]),
    ("nu", lambda a: a[0]),
    ("seg", lambda a: (3,)),
    ("seg", lambda a: (0, 3)),
])  # fmt: skip
def test_wrong_shape_or_dtype_is_refused(name: str, change: object) -> None:
    record = rays()
    with pytest.raises(SimulationError):
        dataclasses.replace(record, **{name: change(getattr(record, name))})  # type: ignore[operator]
    with pytest.raises(SpecError):
        dataclasses.replace(record, carrier_hz=0.0)


@pytest.mark.parametrize(
    ("name", "value"), [("tau", np.nan), ("tau", -1e-9), ("zod", 3.2), ("g", np.inf), ("aoa", np.nan)]
)
def test_check_names_array_and_link(name: str, value: float) -> None:
    record = rays()
    record.check()
    array = getattr(record, name).copy()
    array[..., 2, 1] = value
    with pytest.raises(SimulationError, match=rf"Rays\.{name}.*\n.*link 2"):
        dataclasses.replace(record, **{name: array}).check()
