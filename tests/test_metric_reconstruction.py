"""NMSE, SGCS and rho against NumPy, closed forms and the papers' definitions written out."""

from __future__ import annotations

import numpy as np
import pytest

from wbench.errors import ResultError
from wbench.metric import get_metric

NMSE = ("nmse_ros_db", "nmse_mor_db", "nmse_median_db", "nmse_full_db")


def gaussian(seed: int, *shape: int):
    g = np.random.default_rng(seed)
    return g.normal(size=shape) + 1j * g.normal(size=shape)


def value(name, pred, truth, weight=None):
    metric = get_metric(name)
    table = metric.per_sample(pred, truth, {})
    return metric.reduce(table, np.ones(len(pred)) if weight is None else weight)


def scaled(seed: int = 0, n: int = 41):
    """Targets of very different power, answers of very different quality."""
    g = np.random.default_rng(seed)
    target = gaussian(seed, n, 6, 5) * g.exponential(size=(n, 1, 1))
    return target + gaussian(seed + 1, n, 6, 5) * g.exponential(size=(n, 1, 1)) * 0.3, target


@pytest.mark.parametrize("n", [40, 41])
def test_three_forms_equal_numpy(n):
    pred, target = scaled(n=n)
    e = np.linalg.norm((pred - target).reshape(n, -1), axis=1) ** 2
    r = np.linalg.norm(target.reshape(n, -1), axis=1) ** 2
    truth = {"H": target}
    assert value("nmse_ros_db", pred, truth) == pytest.approx(10 * np.log10(e.sum() / r.sum()))
    assert value("nmse_mor_db", pred, truth) == pytest.approx(10 * np.log10(np.mean(e / r)))
    assert value("nmse_median_db", pred, truth) == pytest.approx(10 * np.log10(np.median(e / r)))
    w = np.random.default_rng(0).exponential(size=n)
    assert value("nmse_ros_db", pred, truth, w) == pytest.approx(10 * np.log10((w @ e) / (w @ r)))
    assert value("nmse_mor_db", pred, truth, w) == pytest.approx(10 * np.log10(np.average(e / r, weights=w)))
    # NumPy's inverted CDF is the lower weighted median; with real weights no sum hits one half exactly.
    lower = np.quantile(e / r, 0.5, weights=w, method="inverted_cdf")
    assert value("nmse_median_db", pred, truth, w) == pytest.approx(10 * np.log10(lower))


@pytest.mark.parametrize("name", NMSE[:3])
def test_zeros_score_exactly_0_db(name):
    _, target = scaled()
    assert value(name, np.zeros_like(target), {"H": target}) == 0.0


@pytest.mark.parametrize("name", NMSE)
def test_perfect_is_clipped_at_minus_300_db_and_nonsense_stays_finite(name):
    _, target = scaled()
    truth = {"H": target, "outside": np.zeros(len(target))}
    assert value(name, target, truth) == -300.0
    assert get_metric(name).error(-300.0) == pytest.approx(1e-30)
    assert value(name, np.full_like(target, 1e150), truth) == pytest.approx(300.0)


def test_small_errors_in_single_precision_do_not_cancel():
    """A difference of one unit in the last place: -140 dB, where ‖h‖² + ‖p‖² - 2 Re(h·p) in float32 gives rubbish."""
    target = np.ones((4, 256), dtype=np.complex64)
    pred = target * np.float32(1 + 2**-23)
    assert value("nmse_ros_db", pred, {"H": target}) == pytest.approx(20 * np.log10(2**-23), abs=1e-9)


def test_noise_at_known_snr():
    target = gaussian(0, 400, 512).astype(np.complex64)
    pred = target + np.float32(0.1) * gaussian(1, 400, 512).astype(np.complex64)
    for name in NMSE[:3]:
        assert value(name, pred, {"H": target}) == pytest.approx(-20.0, abs=0.1)


def test_full_band_counts_the_crop_as_error_and_reference():
    """Against the error in the domain before the crop."""
    full = gaussian(0, 30, 64, 8)
    rows = full.copy()
    rows[:, 32:] = 0
    estimate = rows + 0.1 * np.where(rows != 0, gaussian(1, 30, 64, 8), 0)
    expected = value("nmse_ros_db", estimate, {"H": full})
    outside = np.sum(np.abs(full[:, 32:]) ** 2, axis=(1, 2))
    got = value("nmse_full_db", estimate[:, :32], {"H": full[:, :32], "outside": outside})
    assert got == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ResultError, match="non-negative"):
        value("nmse_full_db", estimate, {"H": full, "outside": -outside})
    with pytest.raises(ResultError, match="outside"):
        value("nmse_full_db", estimate, {"H": full, "outside": outside[:-1]})


def test_zero_channels():
    pred, target = scaled()
    target[7] = 0
    for name in ("nmse_mor_db", "nmse_median_db"):
        with pytest.raises(ResultError, match="row 7"):
            value(name, pred, {"H": target})
    others = np.ones(len(pred))
    others[7] = 0
    for name in NMSE[:3]:
        assert np.isfinite(value(name, pred, {"H": target}, others))
        with pytest.raises(ResultError, match="zero channel"):
            value(name, pred, {"H": target}, 1 - others)
    for name in ("sgcs", "rho"):
        with pytest.raises(ResultError, match="zero target"):
            value(name, pred, {"H": target})


def test_sgcs_written_out():
    pred, target = gaussian(0, 20, 13, 2, 8), gaussian(1, 20, 13, 2, 8)
    expected = []
    for p, t in zip(pred.reshape(-1, 8), target.reshape(-1, 8), strict=True):
        expected.append(abs(np.vdot(t, p)) ** 2 / (np.vdot(t, t).real * np.vdot(p, p).real))
    assert value("sgcs", pred, {"H": target}) == pytest.approx(np.mean(expected))


def test_sgcs_ignores_phase_and_scale_per_sub_band_but_is_not_flattened():
    target = gaussian(0, 20, 13, 8)
    turned = target * gaussian(1, 20, 13, 1)
    assert value("sgcs", turned, {"H": target}) == pytest.approx(1.0)
    assert value("sgcs", turned.reshape(20, -1), {"H": target.reshape(20, -1)}) < 0.5


def test_sgcs_of_random_vectors_is_one_over_the_ports():
    """The squared cosine of isotropic vectors is Beta(1, N - 1) distributed: mean 1/N."""
    assert value("sgcs", gaussian(0, 4000, 1, 32), {"H": gaussian(1, 4000, 1, 32)}) == pytest.approx(1 / 32, rel=0.05)


@pytest.mark.parametrize("name", ["sgcs", "rho"])
def test_a_zero_answer_counts_0_and_tiny_ones_do_not(name):
    target = gaussian(0, 4, 32, 32)
    pred = target.copy()
    pred[:2] = 0
    assert value(name, pred, {"H": target}) == pytest.approx(0.5)
    assert value(name, target * 1e-200, {"H": target}) == pytest.approx(1.0)
    assert value(name, target * 1e200, {"H": target}) == pytest.approx(1.0)
    assert value(name, target, {"H": target}) <= 1.0


def csinet_rho(pred, target):
    """The definition of the paper as published code computes it: pad, FFT, crop, cosine per subcarrier."""
    f, g = (np.fft.fft(x, n=257, axis=1)[:, :125] for x in (pred, target))
    inner = np.abs(np.sum(np.conj(f) * g, axis=2))
    return np.mean(inner / (np.linalg.norm(f, axis=2) * np.linalg.norm(g, axis=2)))


def test_rho_equals_the_definition():
    target = gaussian(0, 300, 32, 32) * np.exp(-np.arange(32) / 5)[:, None]
    pred = target + 0.5 * gaussian(1, 300, 32, 32)
    assert value("rho", pred, {"H": target}) == pytest.approx(csinet_rho(pred, target), abs=1e-12)
    single = value("rho", pred.astype(np.complex64), {"H": target.astype(np.complex64)})
    assert single == pytest.approx(csinet_rho(pred, target), abs=1e-6)


def test_rho_is_the_same_in_angle_and_antenna_domain_and_for_shifted_delay_rows():
    target, pred = gaussian(0, 50, 32, 32), gaussian(0, 50, 32, 32) + gaussian(1, 50, 32, 32)
    angle = value("rho", pred, {"H": target})
    antenna = value("rho", np.fft.ifft(pred, axis=2), {"H": np.fft.ifft(target, axis=2)})
    assert antenna == pytest.approx(angle, abs=1e-12)
    shift = ((0, 0), (4, 0), (0, 0))
    assert value("rho", np.pad(pred, shift), {"H": np.pad(target, shift)}) == pytest.approx(angle, abs=1e-12)


def test_rho_needs_delay_and_angle():
    x = gaussian(0, 4, 32)
    with pytest.raises(ResultError, match="delay, angle"):
        value("rho", x, {"H": x})
