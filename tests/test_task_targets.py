"""Targets of every family against brute force on the raw arrays of the dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.helpers_lab import Lab
from wbench.task.base import Task
from wbench.task.batch import Batch, Truth

Complex = npt.NDArray[np.complex128]


def everything(task: Task, part: Any = "test") -> tuple[Batch, Truth, Complex]:
    """Observation, target and raw channel of a whole part."""
    ids = task.ids(part)
    (pair,) = task.pairs(part, ids, len(ids))
    return *pair, task.dataset(part).read("channel", ids).astype(np.complex128)


def correlation(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Complex ratio of two arrays per sample, for arrays that differ by one factor per sample."""
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    ratio = np.sum(a * b.conj(), axis=1) / np.sum(np.abs(b) ** 2, axis=1)
    np.testing.assert_allclose(a, ratio[:, None] * b, atol=2e-5 * np.abs(a).max())
    return ratio


def test_los_label_is_the_datasets(lab: Lab) -> None:
    task = lab.task("los")
    ids = task.ids("test")
    np.testing.assert_array_equal(task.truth("test", ids)["label"], task.dataset("test").read("los", ids))
    assert task.truth("test", ids)["label"].dtype == np.int64
    assert task.meta.classes == 2


def test_best_beam_by_explicit_sums(lab: Lab) -> None:
    task = lab.task("beam")
    _, truth, raw = everything(task)
    beams, elements = 16, 8
    rsrp = np.zeros((len(raw), beams))
    for b in range(beams):
        sine = 2 * b / beams - (2 if 2 * b / beams >= 1 else 0)
        for k in range(raw.shape[-1]):
            sums = np.zeros(len(raw), dtype=complex)
            for n in range(elements):
                # Transmitting along the conjugate of the steering vector e^{jπ n sin φ}.
                sums += raw[:, 0, 0, n, k] * np.exp(-1j * np.pi * n * sine)
            rsrp[:, b] += np.abs(sums) ** 2
    ratio = truth["rsrp"] / rsrp
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-4)
    np.testing.assert_array_equal(truth["label"], rsrp.argmax(axis=1))
    assert len(np.unique(truth["label"])) > 4


def test_beam_sees_only_its_antennas(lab: Lab) -> None:
    task = lab.task("beam")
    quiet = type(task)(task.spec.model_copy(update={"noise": None}), task.datasets)
    batch, _, raw = everything(quiet)
    correlation(batch.x["H"], raw[:, :, :, 2:6])
    assert quiet.meta.tx.ports == quiet.meta.tx.cols == 4
    with pytest.raises(AssertionError):
        correlation(batch.x["H"], raw[:, :, :, 3:7])


def test_angular_delay_image_by_explicit_dft_matrices(lab: Lab) -> None:
    task = lab.task("ratio")
    batch, truth, raw = everything(task)
    subcarriers, antennas, rows, first = 16, 8, 8, -2
    k, n = np.arange(subcarriers), np.arange(antennas)
    to_delay = np.exp(2j * np.pi * np.outer(k, k) / subcarriers) / np.sqrt(subcarriers)
    to_angle = np.exp(-2j * np.pi * np.outer(n, n) / antennas) / np.sqrt(antennas)
    full = np.einsum("dk,mn,bnk->bdm", to_delay, to_angle, raw[:, 0, 0])
    kept = [row % subcarriers for row in range(first, first + rows)]
    factor = correlation(truth["H"], full[:, kept])
    np.testing.assert_allclose(np.mean(np.abs(truth["H"]) ** 2, axis=(1, 2)), 1.0, rtol=1e-5)
    dropped = [row for row in range(subcarriers) if row not in kept]
    outside = np.sum(np.abs(full[:, dropped]) ** 2, axis=(1, 2)) * np.abs(factor) ** 2
    inside = rows * antennas
    np.testing.assert_allclose(truth["outside"], outside, atol=2e-6 * inside, rtol=1e-3)
    assert truth["outside"].max() > 1e-3 * inside  # there is something to measure
    np.testing.assert_array_equal(batch.x["H"], truth["H"])
    assert batch.noise_power is None


def test_precoders_by_eigendecomposition(lab: Lab) -> None:
    task = lab.task("bits")
    _, truth, raw = everything(task)
    width = 4
    for s in range(3):
        gram = np.zeros((len(raw), 8, 8), dtype=complex)
        for k in range(s * width, (s + 1) * width):
            h = raw[:, 0, :, :, k]
            gram += h.conj().swapaxes(-1, -2) @ h
        values, vectors = np.linalg.eigh(gram)
        gain = np.abs(np.sum(vectors[..., -1].conj() * truth["H"][:, s], axis=1))
        np.testing.assert_allclose(gain, 1.0, atol=1e-5)
        received = np.einsum("bi,bij,bj->b", truth["H"][:, s].conj(), gram, truth["H"][:, s]).real
        np.testing.assert_allclose(received, values[:, -1], rtol=1e-5)
    largest = np.take_along_axis(truth["H"], np.abs(truth["H"]).argmax(-1)[..., None], -1)
    np.testing.assert_allclose(largest.imag, 0, atol=1e-6)
    assert (largest.real > 0).all()
    np.testing.assert_allclose(np.linalg.norm(truth["H"], axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("subbands", [1, 2, 3, 6])
def test_precoders_of_tall_and_wide_subbands(lab: Lab, subbands: int) -> None:
    # 24, 12, 8 and 4 rows against 8 ports: both branches of the decomposition.
    task = lab.task("bits", lab.root, name="lab-wide", params={"subbands": subbands})
    _, truth, raw = everything(task)
    rows = raw[:, 0].transpose(0, 3, 1, 2).reshape(len(raw), subbands, -1, 8)
    vector = np.linalg.svd(rows)[2][:, :, 0].conj()
    np.testing.assert_allclose(np.abs(np.sum(vector.conj() * truth["H"], axis=-1)), 1, atol=1e-5)


def test_prediction_target_is_the_clean_channel(lab: Lab) -> None:
    task = lab.task("time")
    batch, truth, raw = everything(task)
    correlation(truth["H"], raw)
    np.testing.assert_allclose(np.mean(np.abs(truth["H"][:, :4]) ** 2, axis=(1, 2, 3, 4)), 1, rtol=1e-5)
    mask = batch.x["observed"]
    assert mask.shape == task.meta.shape
    assert mask[:4].all()
    assert not mask[4:].any()
    assert (batch.x["H"][:, ~mask] == 0).all()


def test_prediction_columns(lab: Lab) -> None:
    task = lab.task("time")
    ids = task.ids("test")
    columns = task.columns("test", ids)
    velocity = task.dataset("test").read("ue_velocity", ids)
    speed = np.sqrt((velocity.astype(np.float64) ** 2).sum(axis=1))
    np.testing.assert_allclose(columns["speed_kmh"], speed * 3.6)
    np.testing.assert_allclose(columns["fd_dt_h"], speed * 3.5e9 / 299792458 * 2 * 0.5e-3)
    names = task.slices("test", ids)["speed_kmh"]
    for name, value in zip(names, columns["speed_kmh"], strict=True):
        low, high = map(float, name.split("-"))
        assert low <= value < high
