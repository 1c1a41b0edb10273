"""Type II and enhanced Type II feedback as codecs: limits, payloads, batches, the protocol's anchors."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

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
from wbench.channel.pmi_etype2 import EType2Codebook
from wbench.errors import ModelError, SpecError
from wbench.model import Codec, Payload, load_model
from wbench.task.batch import ArrayMeta, ChannelMeta
from wbench.task.spec import Limit, TaskSpec, load_spec
from wbench_baselines.codecs.etype2 import EType2, EType2Pc1, EType2Pc4, EType2Pc7, largest_that_fits
from wbench_baselines.codecs.type2 import Type2


def spec_of(bits: int = 96, subbands: int = 13) -> TaskSpec:
    return make_spec("csi-feedback-bits", "compress", {"subbands": subbands}, Limit(bits=bits))


def meta_of(cols: int = 8, rows: int = 2, subbands: int = 13) -> ChannelMeta:
    tx = ArrayMeta(rows, cols, polarisations=2)
    return make_meta((subbands, tx.ports), tx, dims=("subband", "port"))


def sgcs(v: np.ndarray, w: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(v, axis=-1) * np.linalg.norm(w, axis=-1)
    return (np.abs(np.sum(v.conj() * w, axis=-1)) / norms) ** 2


def run(model: Codec, bits: int, v: np.ndarray, meta: ChannelMeta) -> tuple[np.ndarray, np.ndarray]:
    """SGCS and payload bits of every sample, through pickled halves."""
    batch = make_batch(v, meta)
    part = FakePart(batch, {"H": v})
    ready(model, spec_of(bits, meta.shape[0]), part)
    encoder, decoder = (pickle.loads(pickle.dumps(half)) for half in (model.encoder(), model.decoder()))
    payloads = encoder(batch)
    assert all(payload.bits <= bits and len(payload.data) == -(-payload.bits // 8) for payload in payloads)
    # The decoder does not know the order in which samples were encoded.
    answer = decoder(payloads[::-1])[::-1]
    return sgcs(v, answer).mean(axis=1), np.array([payload.bits for payload in payloads])


def test_anchors_of_the_protocol() -> None:
    # UMa (8, 2): Type I .68 at 34 bits, pc1 .80 at 62, pc4 .90 at 168 (± .04); pc4 > pc3 > pc1 > Type I.
    v, meta = uma_precoders(), meta_of()
    found = {}
    for name in ("type1", "etype2-pc1", "etype2-pc3", "etype2-pc4"):
        score, bits = run(load_model(f"wbench/{name}"), 400, v, meta)
        found[name] = score.mean(), bits.mean(), bits.max()
    scores = [score for score, _, _ in found.values()]
    assert scores == sorted(scores)
    assert scores[0] == pytest.approx(0.68, abs=0.04)
    assert scores[1] == pytest.approx(0.80, abs=0.04)
    assert scores[3] == pytest.approx(0.90, abs=0.04)
    # The indicator of K^NZ is in CSI part 1 and counts here: 62 + 2 and 168 + 4 bits at most.
    assert [most for _, _, most in found.values()] == [34, 64, 114, 172]


def test_the_ranked_instance_takes_pc2() -> None:
    spec = load_spec("csi-feedback-bits")
    model = EType2()
    assert model.supports(spec) is None
    model.setup(spec, meta_of())
    assert (model.book.combination, model.book.max_bits) == (2, 94)
    assert Type2().supports(spec) == "needs 102 bits; the limit is 96"
    assert EType2Pc4().supports(spec) == "needs 172 bits; the limit is 96"


@pytest.mark.parametrize(
    ("limit", "expected"), [(63, None), (64, 1), (93, 1), (94, 2), (144, 3), (256, 7), (284, 6), (400, 8)]
)
def test_largest_combination_that_fits(limit: int, expected: int | None) -> None:
    assert largest_that_fits(8, 2, 13, limit) == expected
    assert largest_that_fits(2, 1, 13, 10_000) == 2  # no other is allowed with 4 ports
    assert largest_that_fits(8, 2, 20, 10_000) is None  # 19 sub-bands at most with R = 1


@pytest.mark.parametrize(("cols", "rows"), [(8, 2), (4, 2), (16, 1)])
def test_curves_over_limits_and_panels(cols: int, rows: int) -> None:
    # More bits are never worse, on every panel of the task's curves; (8, 2) has real precoders, the others random ones.
    meta = meta_of(cols, rows)
    real = uma_precoders()
    v = real if (cols, rows) == (8, 2) else complex_normal(np.random.default_rng(0), 40, 13, meta.tx.ports)
    for model, limits in ((EType2, (64, 96, 144, 256)), (Type2, (112, 144, 256, 400))):
        scores = []
        for limit in limits:
            score, bits = run(model(), limit, v, meta)
            scores.append(score.mean())
            assert bits.max() > 0.5 * limit
        assert scores == sorted(scores)


@pytest.mark.parametrize("model", [EType2(), EType2Pc4(), Type2()])
def test_codec_depends_on_the_sample_alone(model: Codec) -> None:
    rng, meta = np.random.default_rng(1), meta_of()
    v = np.concatenate([uma_precoders()] * 6)  # more than one chunk
    v = (v + 0.05 * complex_normal(rng, *v.shape)).astype(np.complex64)
    v /= np.linalg.norm(v, axis=-1, keepdims=True)
    ready(model, spec_of(400), FakePart(make_batch(v, meta), {}))
    encoder, decoder = model.encoder(), model.decoder()
    same_whatever_the_batch(lambda batch: decoder(encoder(batch)), make_batch(v, meta))
    # The phase of a target carries nothing: a sign per sub-band, exact in floating point, changes no payload.
    turned = v * rng.choice([-1, 1], (len(v), 13, 1)).astype(np.float32)
    assert encoder(make_batch(turned, meta)) == encoder(make_batch(v, meta))
    assert encoder(make_batch(v[:0], meta)) == []
    assert decoder([]).shape == (0, 13, 32)


def test_port_order_matches_the_array() -> None:
    from wbench.channel.array import Array

    array, rng = Array(2, 8, slants=(np.pi / 4, -np.pi / 4)), np.random.default_rng(2)
    place = np.array([[col, row] for col in range(array.cols) for row in range(array.rows)])
    wave = np.exp(2j * np.pi * rng.uniform(-0.5, 0.5, (200, 2)) @ place.T)
    v = (np.concatenate([wave, 1j * wave], axis=1)[:, None, :].repeat(13, axis=1) / np.sqrt(32)).astype(np.complex64)
    swapped = v.reshape(200, 13, 2, 8, 2).swapaxes(-1, -2).reshape(200, 13, 32)
    # Two beams each: one wave needs no more, in the right order of the ports.
    for model in (EType2Pc1(), Type2()):
        score, _ = run(model, 112, v, meta_of())
        lost, _ = run(model, 112, swapped, meta_of())
        assert score.mean() > 0.95
        assert lost.mean() < score.mean() - 0.05


def test_what_the_codecs_cannot_do() -> None:
    ratio = make_spec("csi-feedback-ratio", "compress", limit=Limit(reals=128))
    for model in (EType2(), Type2()):
        assert "csi-feedback-bits" in str(model.supports(ratio))
        with pytest.raises(ModelError, match="polarisations"):
            model.setup(spec_of(), make_meta((13, 16), ArrayMeta(2, 8)))
        with pytest.raises(ModelError, match="ports"):
            model.setup(spec_of(), make_meta((13, 30), ArrayMeta(2, 8, polarisations=2)))
        with pytest.raises(ModelError, match="fits"):
            model.setup(spec_of(40), meta_of())
    assert EType2().supports(spec_of(63)) == "needs 64 bits; the limit is 63"
    assert EType2Pc1().supports(spec_of(64)) is None
    assert "R = 1" in str(EType2().supports(spec_of(400, 20)))
    with pytest.raises(SpecError, match="paramCombination 7 with 16 ports"):
        EType2Pc7().setup(spec_of(400), meta_of(4, 2))
    model = EType2Pc1()
    model.setup(spec_of(), meta_of())
    with pytest.raises(SpecError):
        model.decoder()([Payload(b"\0\0", 16)])
    assert model.book == EType2Codebook(8, 2, 1, 13)


def test_registered_names_are_those_of_the_models() -> None:
    for name in ("type2", "etype2", *(f"etype2-pc{number}" for number in range(1, 9)), "pca-quantised"):
        assert load_model(f"wbench/{name}").info.name == f"wbench/{name}"
