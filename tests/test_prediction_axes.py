"""Prediction over frequency, eigenvector metrics, WiFo's conditions; the models of one axis against closed forms."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests.helpers_lab import Lab
from tests.helpers_models import FakePart, complex_normal, make_batch, make_spec, ready, same_whatever_the_batch
from wbench.channel.eigenvectors import dominant_eigenvectors
from wbench.errors import ResultError, SpecError
from wbench.metric.catalogue import get_metric
from wbench_baselines.prediction.ar import ArPooled
from wbench_baselines.prediction.bank import WienerBank
from wbench_baselines.prediction.spectrum import DelayExtrapolation, line_filters, sparse_spectrum
from wbench_baselines.prediction.trivial import Hold, Linear
from wbench_baselines.prediction.wiener import WienerPooled

ROOT = Path(__file__).resolve().parent.parent
SPEC = make_spec("channel-prediction", "reconstruct", {"axis": "frequency"})
K, SEEN = 24, 12
MODELS = [Hold, Linear, ArPooled, WienerPooled, WienerBank, DelayExtrapolation]


def two_paths(rng, n) -> np.ndarray:
    """Channels [n, 2, 1, 6, K] of two delays per sample, and gains of their own at every antenna and snapshot."""
    delay = rng.uniform(0, 0.8, (n, 2, 1))
    gains = complex_normal(rng, n, 2, 1, 6, 2)
    return np.einsum("ntrap,npk->ntrak", gains, np.exp(-1j * delay * np.arange(K))) / np.sqrt(2)


def part(rng, clean, noise) -> FakePart:
    observed = np.zeros(clean.shape[1:], dtype=bool)
    observed[..., :SEEN] = True
    noisy = np.where(observed, clean + np.sqrt(noise) * complex_normal(rng, *clean.shape), 0)
    return FakePart(make_batch(noisy, noise_power=noise, observed=observed), {"H": clean.astype(np.complex64)})


def nmse(model, data) -> float:
    error = (model.predict(data.batch) - data.truth["H"])[..., SEEN:]
    return float((np.abs(error) ** 2).sum() / (np.abs(data.truth["H"][..., SEEN:]) ** 2).sum())


@pytest.mark.parametrize("model", MODELS)
def test_every_model_over_frequency(model) -> None:
    rng = np.random.default_rng(0)
    data = part(rng, two_paths(rng, 20), 0.01)
    fitted = ready(model(), SPEC, data)
    answer = same_whatever_the_batch(fitted.predict, data.batch, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(answer[..., :SEEN], data.batch.x["H"][..., :SEEN])
    if model is Hold:
        np.testing.assert_array_equal(answer[..., SEEN:], np.repeat(answer[..., SEEN - 1 : SEEN], K - SEEN, axis=-1))


def test_time_and_frequency_are_the_same_problem() -> None:
    """The same numbers with the axes swapped give the same answer."""
    rng = np.random.default_rng(1)
    data = part(rng, two_paths(rng, 6), 0.01)
    turned_h = np.moveaxis(data.batch.x["H"], -1, 1)
    batch = make_batch(turned_h, noise_power=0.01, observed=np.moveaxis(data.batch.x["observed"], -1, 0))
    turned = FakePart(batch, {"H": np.moveaxis(data.truth["H"], -1, 1)})
    over_time = make_spec("channel-prediction", "reconstruct")
    for model in (Hold, Linear, ArPooled, WienerPooled, WienerBank):
        a, b = ready(model(), SPEC, data).predict(data.batch), ready(model(), over_time, turned).predict(batch)
        np.testing.assert_allclose(np.moveaxis(a, -1, 1), b, rtol=1e-3, atol=1e-3)


def test_few_paths_are_extrapolated() -> None:
    rng = np.random.default_rng(2)
    clean, loud = two_paths(rng, 40), two_paths(rng, 40)
    for noise, bound in ((0.0, 0.03), (0.01, 0.12), (1.0, 0.9)):
        data = part(rng, loud if noise == 1 else clean, noise)
        scores = {m.__name__: nmse(ready(m(), SPEC, data), data) for m in (DelayExtrapolation, ArPooled, Hold)}
        assert scores["DelayExtrapolation"] < bound, (noise, scores)
        assert scores["DelayExtrapolation"] < scores["Hold"], (noise, scores)


def test_spectrum_update_and_filters_by_explicit_matrices() -> None:
    rng = np.random.default_rng(3)
    y, noise, grid = complex_normal(rng, 3, 5, 40), np.array([0.1, 0.5, 1.0]), 40
    covariance = y @ y.conj().swapaxes(1, 2) / 40
    found = sparse_spectrum(covariance, noise, 3)
    a = np.exp(2j * np.pi * np.outer(np.arange(5), np.arange(grid)) / grid)
    for i in range(3):
        power = np.trace(covariance[i]).real / 5
        lines = np.full(grid, max(power - noise[i], 1e-6 * power) / grid)
        for _ in range(3):
            inverse = np.linalg.inv((a * lines) @ a.conj().T + noise[i] * np.eye(5))
            for g in range(grid):
                v = inverse @ a[:, g]
                ratio = (v.conj() @ covariance[i] @ v).real / (a[:, g].conj() @ v).real
                lines[g] *= np.sqrt(ratio)
        np.testing.assert_allclose(found[i], lines, rtol=1e-6)
        b = np.exp(2j * np.pi * np.outer([6, 9], np.arange(grid)) / grid)
        wanted = (b * lines) @ a.conj().T @ np.linalg.inv((a * lines) @ a.conj().T + noise[i] * np.eye(5))
        got = line_filters(found, noise, 5, np.array([2, 5]))[i]
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-9)


def test_frequency_task_shows_the_lower_subcarriers(lab: Lab) -> None:
    params = {"axis": "frequency", "past": 5, "future": 3, "snapshots": 4}
    task = lab.task("time", lab.root, name="lab-frequency", params=params)
    ids = task.ids("test")
    batch, truth = next(task.pairs("test", ids, len(ids)))
    assert task.meta.shape == (4, 1, 4, 8)
    assert batch.x["observed"][..., :5].all()
    assert not batch.x["observed"][..., 5:].any()
    raw = task.dataset("test").read("channel", ids)[:, :4]
    ratio = truth["H"] / raw
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1, :1, :1, :1], ratio.shape), rtol=1e-3)
    np.testing.assert_allclose(np.mean(np.abs(truth["H"][..., :5]) ** 2, axis=(1, 2, 3, 4)), 1, rtol=1e-5)
    spread = task.dataset("test").read("delay_spread_s", ids)
    np.testing.assert_allclose(task.columns("test", ids)["ds_bw"], spread * 3 * 180e3, rtol=1e-6)
    assert set(task.slices("test", ids)) == {"delay_spread_ns", "los"}
    for wrong in ({"axis": "frequency", "past": 5, "future": 4}, {"past": 2, "future": 2, "snapshots": 2}):
        with pytest.raises(SpecError):
            _ = lab.task("time", lab.root, name="lab-wrong", params=wrong).meta


def test_wifo_conditions_scale_the_part_and_put_noise_on_the_target(lab: Lab) -> None:
    params = {"past": 4, "future": 2}
    plain = lab.task("time", lab.root, name="lab-plain", params=params)
    compat = lab.task("time", lab.root, name="lab-wifo", params={**params, "scaling": "part", "noisy_target": True})
    clean = lab.task("time", lab.root, name="lab-part", params={**params, "scaling": "part"})
    ids = plain.ids("test")
    raw = plain.dataset("test").read("channel", ids)
    level = np.mean(np.abs(raw[:, :4]) ** 2)
    target = clean.truth("test", ids)["H"]
    np.testing.assert_allclose(np.abs(target) ** 2, np.abs(raw) ** 2 / level, rtol=1e-3, atol=1e-9)
    error = compat.truth("test", ids)["H"] * 1.0
    batch, truth = next(compat.pairs("test", ids[3:5], 2))
    np.testing.assert_array_equal(truth["H"], error[3:5])
    np.testing.assert_allclose(batch.noise_power, 0.01)
    seen = np.abs(error) ** 2
    np.testing.assert_allclose(seen.mean(), np.mean(np.abs(target) ** 2) + 0.01, rtol=0.05)
    np.testing.assert_array_equal(
        get_metric("nmse_ros_db").per_sample(truth["H"], truth, {})[:, 0], 0
    )  # the target is one draw, not a new one each time
    assert not np.allclose(truth["H"][:, :4], batch.x["H"][:, :4])  # and not the noise of the input


def test_eigenvectors_and_spectral_efficiency_by_loops() -> None:
    rng = np.random.default_rng(4)
    truth_h, answer = complex_normal(rng, 3, 2, 3, 4, 6), complex_normal(rng, 3, 2, 3, 4, 6)
    w = dominant_eigenvectors(truth_h, 2)
    truth = {"H": truth_h.reshape(3, -1), "open": truth_h, "w": w}
    flat = answer.reshape(3, -1)
    sgcs = get_metric("sgcs").per_sample(flat, truth, {})
    ratio = get_metric("se_ratio").per_sample(flat, truth, {})
    for i in range(3):
        cosines, se = [], 0.0
        for t in range(2):
            for band in range(2):
                tones = range(3 * band, 3 * band + 3)
                gram = [sum(x[i, t, :, :, k].conj().T @ x[i, t, :, :, k] for k in tones) for x in (truth_h, answer)]
                v, guess = (np.linalg.eigh(g)[1][:, -1] for g in gram)
                np.testing.assert_allclose(abs(v.conj() @ w[i, t, band]), 1, rtol=1e-5)
                cosines.append(abs(v.conj() @ guess) ** 2)
            for k in range(6):
                guess = np.linalg.svd(answer[i, t, :, :, k])[2][0].conj()
                h = truth_h[i, t, :, :, k]
                se += np.log2(1 + 10 * np.linalg.norm(h @ guess) ** 2 / np.linalg.norm(h, 2) ** 2)
        np.testing.assert_allclose(sgcs[i, 0], np.mean(cosines), rtol=1e-5)
        np.testing.assert_allclose(ratio[i], [se, 12 * np.log2(11)], rtol=1e-6)
    # One receive antenna: the protocol's own formula |hᴴŵ|²/(‖h‖²‖ŵ‖²).
    h, guess = truth_h[:, :, :1], answer[:, :, :1]
    cosine = (
        np.abs((h.conj() * guess).sum(axis=3)) ** 2 / (np.abs(h) ** 2).sum(axis=3) / (np.abs(guess) ** 2).sum(axis=3)
    )
    table = get_metric("se_ratio").per_sample(guess.reshape(3, -1), {"H": h, "open": h}, {})
    np.testing.assert_allclose(table[:, 0], np.log2(1 + 10 * cosine[:, :, 0]).sum(axis=(1, 2)), rtol=1e-6)
    perfect = get_metric("se_ratio")
    assert perfect.reduce(perfect.per_sample(h.reshape(3, -1), {"H": h, "open": h}, {}), np.ones(3)) == pytest.approx(1)
    zero = perfect.per_sample(0 * h.reshape(3, -1), {"H": h, "open": h}, {})
    assert perfect.reduce(zero, np.ones(3)) == 0
    with pytest.raises(ResultError, match="precode"):
        perfect.per_sample(flat, {"H": flat}, {})


def test_precoder_task_gives_what_its_metrics_need(lab: Lab) -> None:
    params = {"past": 4, "future": 2, "subbands": 4}
    task = lab.task("time", lab.root, name="lab-sub", params=params, metrics=["sgcs", "se_ratio"], primary="sgcs")
    ids = task.ids("test")
    truth = task.truth("test", ids)
    assert truth["w"].shape == (len(ids), 2, 4, 4)
    flat = truth["H"][:, 4:].reshape(len(ids), -1)
    for name in ("sgcs", "se_ratio"):
        metric = get_metric(name)
        assert metric.reduce(metric.per_sample(flat, truth, {}), np.ones(len(ids))) == pytest.approx(1, abs=1e-5)


def test_instances_of_the_wifo_datasets_are_the_table_s() -> None:
    spec = importlib.util.spec_from_file_location("prediction_instances", ROOT / "tools" / "prediction_instances.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    texts = module.instances()
    assert len(texts) == 72
    for name, text in texts.items():
        assert (module.INSTANCES / f"{name}.toml").read_text(encoding="utf-8") == text
