"""Principal components with scalar quantisers: Lloyd–Max, bit allocation, bases and the codec."""

from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest
from scipy.stats import norm

from tests.helpers_models import (
    FakePart,
    complex_normal,
    make_batch,
    make_meta,
    make_spec,
    ready,
    same_whatever_the_batch,
)
from tests.helpers_pmi import uma_precoders
from wbench.channel.quantise import allocate, lloyd_max
from wbench.errors import ModelError, SpecError
from wbench.model import Payload
from wbench.task.batch import ArrayMeta
from wbench.task.spec import Limit
from wbench_baselines.codecs.pca_quantised import PcaQuantised, align, joint_basis, separable_basis, train_transform

META = make_meta((13, 32), ArrayMeta(2, 8, polarisations=2), dims=("subband", "port"))


def spec_of(bits: int):
    return make_spec("csi-feedback-bits", "compress", {"subbands": 13}, Limit(bits=bits))


def part_of(v: np.ndarray) -> FakePart:
    return FakePart(make_batch(v, META), {"H": v})


def sgcs(v: np.ndarray, w: np.ndarray) -> float:
    norms = np.linalg.norm(v, axis=-1) * np.linalg.norm(w, axis=-1)
    return float(((np.abs(np.sum(v.conj() * w, axis=-1)) / norms) ** 2).mean())


def test_lloyd_max_on_a_gaussian_is_the_published_quantiser() -> None:
    # J. Max, "Quantizing for minimum distortion", 1960, table I
    samples = norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    for levels, positive, distortion in [
        (1, [], 1.0), (2, [0.7980], 0.3634), (4, [0.4528, 1.510], 0.1175), (8, [0.2451, 0.7560, 1.344, 2.152], 0.03454),
    ]:  # fmt: skip
        found, error = lloyd_max(samples, levels, iterations=300)
        np.testing.assert_allclose(found[levels // 2 :][: len(positive)], positive, atol=2e-3)
        np.testing.assert_allclose(found, -found[::-1], atol=2e-3)
        assert error == pytest.approx(distortion, abs=3e-4)
    with pytest.raises(ModelError):
        lloyd_max(np.zeros(0), 2)


def test_allocation_is_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    distortion = np.array([1.0, 0.3634, 0.1175, 0.03454])
    for bits in (0, 1, 4, 7, 12, 20):
        weights = rng.exponential(size=4)
        shares = allocate(weights, np.broadcast_to(distortion, (4, 4)), bits)
        assert shares.sum() == min(bits, 12)
        every = [each for each in itertools.product(range(4), repeat=4) if sum(each) == min(bits, 12)]
        best = min(float(np.sum(weights * distortion[list(each)])) for each in every)
        assert np.sum(weights * distortion[shares]) == pytest.approx(best)


def test_bases_are_the_singular_vectors() -> None:
    rng = np.random.default_rng(1)
    x = (complex_normal(rng, 300, 5, 8) @ complex_normal(rng, 8, 8)).astype(np.complex64)
    x = (x.swapaxes(1, 2) @ complex_normal(rng, 5, 5)).swapaxes(1, 2).astype(np.complex64)
    _, values, vectors = np.linalg.svd(x.reshape(300, -1))
    basis = joint_basis(x)
    np.testing.assert_allclose(np.abs(np.sum(basis[:, :6] * vectors[:6].T.conj(), axis=0)), 1, atol=1e-3)
    energy = np.sum(np.abs(x.reshape(300, -1) @ basis.conj()) ** 2, axis=0)
    np.testing.assert_allclose(energy, values**2, rtol=1e-3, atol=1e-3 * values[0] ** 2)
    both = separable_basis(x)
    np.testing.assert_allclose(both.conj().T @ both, np.eye(40), atol=1e-5)
    # Its covariance over sub-bands and over ports is diagonal.
    found = (x.reshape(300, -1) @ both.conj()).reshape(300, 5, 8)
    over_ports = np.einsum("nsp,nsq->pq", found, found.conj())
    np.testing.assert_allclose(over_ports - np.diag(np.diag(over_ports)), 0, atol=1e-3 * np.abs(over_ports).max())


def test_alignment_makes_neighbours_agree() -> None:
    v = uma_precoders() * np.exp(2j * np.pi * np.random.default_rng(2).random((48, 13, 1)))
    x = align(v)
    inner = np.sum(x[:, :-1].conj() * x[:, 1:], axis=-1)
    np.testing.assert_allclose(inner.imag, 0, atol=1e-5)
    assert inner.real.min() > -1e-6
    np.testing.assert_allclose(np.abs(x), np.abs(v), atol=1e-6)


def test_payload_has_exactly_the_bits_of_the_limit_and_more_bits_are_better() -> None:
    v = uma_precoders()
    scores = []
    for bits in (1, 17, 48, 96, 256, 3000):
        model = ready(PcaQuantised(), spec_of(bits), part_of(v[:40]), part_of(v[40:]))
        encoder, decoder = (pickle.loads(pickle.dumps(half)) for half in (model.encoder(), model.decoder()))
        payloads = encoder(make_batch(v, META))
        assert {(payload.bits, len(payload.data)) for payload in payloads} == {(bits, math.ceil(bits / 8))}
        scores.append(sgcs(v, decoder(payloads)))
        assert model.count_parameters() > 0
        (search,) = model.searches
        assert search.trials[search.best].score == max(trial.score for trial in search.trials)
    assert scores == sorted(scores)
    assert scores[3] > 0.6
    assert scores[-1] > 0.98  # all 416 complex components with 3 or 4 bits each part


def test_codec_depends_on_the_sample_alone_and_not_on_phases() -> None:
    v, rng = uma_precoders(), np.random.default_rng(3)
    model = ready(PcaQuantised(), spec_of(96), part_of(v))
    encoder, decoder = model.encoder(), model.decoder()
    same_whatever_the_batch(lambda batch: decoder(encoder(batch)), make_batch(v, META))
    turned = (v * np.exp(2j * np.pi * rng.random((48, 13, 1)))).astype(np.complex64)
    # The same precoder but for its phase; a component on the edge of two levels may fall to the other side.
    again = decoder(encoder(make_batch(turned, META)))
    assert sgcs(turned, again) == pytest.approx(sgcs(v, decoder(encoder(make_batch(v, META)))), abs=2e-3)
    assert encoder(make_batch(v[:0], META)) == []
    assert decoder([]).shape == (0, 13, 32)


def test_alignment_in_training_pays() -> None:
    v = uma_precoders()
    turned = (v * np.exp(2j * np.pi * np.random.default_rng(4).random((48, 13, 1)))).astype(np.complex64)
    trained = train_transform(turned, 96, joint=False)
    assert trained.bits.sum() == 96
    aligned = sgcs(turned, trained.restore(trained.quantise(trained.project(turned))))
    basis = separable_basis(turned)[:, ::-1][:, :24]
    plain = turned.reshape(48, -1) @ basis.conj() @ basis.T  # not quantised, phases as they come
    assert aligned > sgcs(turned, plain.reshape(turned.shape)) + 0.05


def test_what_the_codec_cannot_do() -> None:
    model = PcaQuantised()
    assert "csi-feedback-bits" in str(
        model.supports(make_spec("csi-feedback-ratio", "compress", limit=Limit(reals=128)))
    )
    with pytest.raises(ModelError, match="ports"):
        model.setup(spec_of(96), make_meta((32, 32), ArrayMeta(1, 8)))
    model.setup(spec_of(96), META)
    with pytest.raises(ModelError, match="fit"):
        model.encoder()
    with pytest.raises(ModelError, match="learn"):
        model.fit(part_of(uma_precoders()[:0]), part_of(uma_precoders()), 0)
    model.fit(part_of(uma_precoders()), part_of(uma_precoders()[:0]), 0)
    with pytest.raises(SpecError):
        model.decoder()([Payload(b"\0", 8)])
