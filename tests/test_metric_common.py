"""What every metric of the catalogue must do."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from wbench.errors import ResultError, UnknownNameError
from wbench.metric import get_metric, metric_names

NMSE = ("nmse_ros_db", "nmse_mor_db", "nmse_median_db", "nmse_full_db", "nmse_abs_db")
DETECTION = ("f1_macro", "f1_binary", "balanced_accuracy", "auroc", "auprc")
BEAM = ("top1", "top3", "top5", "top1_of_3", "top1_of_5", "within_1db", "rsrp_loss_db", "dba")
COSINE = ("rho", "sgcs", "se_ratio")
POSITION = ("mean_m", "cdf50_m", "cdf67_m", "cdf90_m", "cdf95_m")
LEVEL = ("rmse_db", "mae_db")
FEATURE = ("feature_nse", "precoder_chordal", "rank_error")


def case(name: str, n: int = 60, seed: int = 0):
    """A plausible answer with ties and its truth."""
    g = np.random.default_rng(seed)
    if name in DETECTION:
        label = g.integers(2, size=n)
        scores = np.round(g.normal(size=(n, 2)) + np.eye(2)[label], 1).astype(np.float32)
        return scores, {"label": label}
    if name in BEAM:
        rsrp = g.exponential(size=(n, 16))
        scores = np.round(np.sqrt(rsrp) + 0.3 * g.normal(size=rsrp.shape), 1).astype(np.float32)
        return scores, {"rsrp": rsrp, "label": rsrp.argmax(axis=1)}
    if name in POSITION + LEVEL:
        target = 50 * g.normal(size=(n, 2 if name in POSITION else 1))
        return (target + np.round(g.normal(size=target.shape), 1)).astype(np.float32), {"target": target}
    if name in FEATURE:
        return feature_case(name, n, g)
    shape = (n, 32, 8)
    target = (g.normal(size=shape) + 1j * g.normal(size=shape)).astype(np.complex64)
    noise = (g.normal(size=shape) + 1j * g.normal(size=shape)).astype(np.complex64)
    if name == "se_ratio":  # [n, step, rx, tx, subcarrier]
        return target + 0.3 * noise, {"H": target, "open": target.reshape(n, 1, 2, 16, 8)}
    return target + 0.3 * noise, {"H": target, "outside": g.exponential(size=n), "rms": g.exponential(size=n)}


def feature_case(name: str, n: int, g: np.random.Generator):
    """A link feature's answer and truth: ranks, precoders of 1 to 4 layers, or entries with a mask."""
    if name == "rank_error":
        target = g.integers(1, 5, size=(n, 1)).astype(float)
    elif name == "precoder_chordal":
        w = np.linalg.qr(g.normal(size=(n, 8, 4)) + 1j * g.normal(size=(n, 8, 4)))[0]
        w *= np.arange(4) < g.integers(1, 5, size=(n, 1, 1))
        target = np.concatenate([w.real.reshape(n, -1), w.imag.reshape(n, -1)], axis=1)
    else:
        target = g.normal(size=(n, 6))
    mask = np.ones(target.shape, dtype=bool)
    mask[::3, 4:] = False
    truth = {"target": target, "target_mask": mask, "step": np.full(n, 0.1)}
    answer = (target + 0.5 * g.normal(size=target.shape)).astype(np.float32)
    return answer, truth | ({"precoder": w} if name == "precoder_chordal" else {})


def perfect(name: str, truth):
    if name in FEATURE:
        return truth["target"]
    if name in DETECTION:
        return np.eye(2)[truth["label"]]
    if name in POSITION + LEVEL:
        return truth["target"]
    return truth["rsrp"] if name in BEAM else truth["H"]


def test_every_metric_is_tested_here():
    assert set(metric_names()) == {*NMSE, *DETECTION, *BEAM, *COSINE, *POSITION, *LEVEL, *FEATURE}


def test_unknown_metric_suggests_near_names():
    with pytest.raises(UnknownNameError, match="nmse_ros_db"):
        get_metric("nmse_ros")


def test_looking_up_names_imports_no_metric_and_no_heavy_library():
    code = (
        "import sys; from wbench.metric import metric_names; metric_names();"
        "from wbench.metric import get_metric;"
        "heavy = {'numpy'} & set(sys.modules); assert not heavy, heavy;"
        "get_metric('f1_macro');"
        "heavy = {'sklearn', 'scipy', 'torch', 'pandas'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", metric_names())
class TestEveryMetric:
    def table(self, name, **kwargs):
        metric = get_metric(name)
        pred, truth = case(name, **kwargs)
        return metric, metric.per_sample(pred, truth, metric.calibrate(pred, truth))

    def test_declaration(self, name):
        metric, table = self.table(name)
        assert metric.name == name
        assert metric.version >= 1
        assert table.dtype == np.float64
        assert table.ndim == 2
        value = metric.reduce(table, np.ones(len(table)))
        assert isinstance(value, float)
        assert metric.bounds[0] <= value <= metric.bounds[1]

    def test_perfect_answer_has_no_error_and_a_worse_answer_has_more(self, name):
        metric = get_metric(name)
        pred, truth = case(name)
        if name == "nmse_full_db":
            truth["outside"] = np.zeros(len(pred))  # else the crop alone is an error
        best = perfect(name, truth)
        ones = np.ones(len(best))
        value = metric.reduce(metric.per_sample(best, truth, metric.calibrate(best, truth)), ones)
        worse = metric.reduce(metric.per_sample(pred, truth, metric.calibrate(pred, truth)), ones)
        assert np.isfinite(value)
        assert metric.error(value) == pytest.approx(0, abs=1e-12)
        assert metric.error(worse) > metric.error(value) + 1e-3
        assert (worse < value) == metric.higher_is_better

    def test_weight_is_repetition(self, name):
        metric, table = self.table(name)
        for seed in range(10):
            counts = np.random.default_rng(seed).integers(0, 4, size=len(table))
            repeated = np.repeat(table, counts, axis=0)
            expected = metric.reduce(repeated, np.ones(len(repeated)))
            assert metric.reduce(table, counts.astype(float)) == pytest.approx(expected, rel=1e-12)
            assert metric.reduce(table, 0.37 * counts) == pytest.approx(expected, rel=1e-12)

    def test_order_does_not_matter(self, name):
        metric, table = self.table(name)
        weight = np.random.default_rng(1).exponential(size=len(table))
        order = np.random.default_rng(2).permutation(len(table))
        assert metric.reduce(table[order], weight[order]) == pytest.approx(metric.reduce(table, weight), rel=1e-12)

    def test_batch_size_and_order_change_no_bit_of_the_table(self, name):
        metric = get_metric(name)
        pred, truth = case(name, n=37)
        calibration = metric.calibrate(pred, truth)
        whole = metric.per_sample(pred, truth, calibration)
        order = np.random.default_rng(3).permutation(37)
        for size in (1, 5, 36):
            for start in range(0, 37, size):
                rows = order[start : start + size]
                part = metric.per_sample(pred[rows], {k: v[rows] for k, v in truth.items()}, calibration)
                np.testing.assert_array_equal(part, whole[rows])

    def test_inputs_are_left_alone(self, name):
        metric = get_metric(name)
        pred, truth = case(name)
        before = pred.copy(), {k: v.copy() for k, v in truth.items()}
        table = metric.per_sample(pred, truth, metric.calibrate(pred, truth))
        kept = table.copy()
        metric.reduce(table, np.ones(len(table)))
        np.testing.assert_array_equal(pred, before[0])
        np.testing.assert_array_equal(table, kept)
        for key, value in truth.items():
            np.testing.assert_array_equal(value, before[1][key])

    def test_empty_slice_is_an_error(self, name):
        metric, table = self.table(name)
        with pytest.raises(ResultError, match="empty slice"):
            metric.reduce(table, np.zeros(len(table)))
        with pytest.raises(ResultError, match="empty slice"):
            metric.reduce(table[:0], np.zeros(0))

    def test_bad_weights_are_an_error(self, name):
        metric, table = self.table(name)
        for bad in (-1.0, np.nan, np.inf):
            weight = np.ones(len(table))
            weight[3] = bad
            with pytest.raises(ResultError, match="non-negative"):
                metric.reduce(table, weight)
        with pytest.raises(ResultError, match="one weight per row"):
            metric.reduce(table, np.ones(len(table) - 1))

    def test_non_finite_answer_is_an_error(self, name):
        metric = get_metric(name)
        pred, truth = case(name)
        for bad in (np.nan, np.inf):
            broken = pred.copy()
            broken[4].flat[0] = bad
            with pytest.raises(ResultError, match="finite"):
                metric.per_sample(broken, truth, {})

    def test_wrong_shape_is_an_error(self, name):
        metric = get_metric(name)
        pred, truth = case(name)
        with pytest.raises(ResultError, match=name):
            metric.per_sample(pred[:-1], truth, {})
