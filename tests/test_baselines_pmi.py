"""Type I feedback: selection against exhaustive search, bits, ports, physics; the fixed precoder."""

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
from wbench.channel.pmi_type1 import Type1Codebook
from wbench.errors import ModelError, SpecError
from wbench.model import Payload
from wbench.task.batch import ArrayMeta, ChannelMeta
from wbench.task.spec import Limit, TaskSpec
from wbench_baselines.codecs.precoder import FixedPrecoder
from wbench_baselines.codecs.type1 import Type1, select


def spec_of(bits: int = 96, subbands: int = 13) -> TaskSpec:
    return make_spec("csi-feedback-bits", "compress", {"subbands": subbands}, Limit(bits=bits))


def meta_of(cols: int = 8, rows: int = 2, subbands: int = 13) -> ChannelMeta:
    tx = ArrayMeta(rows, cols, polarisations=2)
    return make_meta((subbands, tx.ports), tx, dims=("subband", "port"))


def targets(n: int, meta: ChannelMeta, seed: int = 0) -> np.ndarray:
    """Unit vectors of a few plane waves per sample with delays, so that sub-bands are alike: [n, subband, port]."""
    rng = np.random.default_rng(seed)
    subbands, tx, paths = meta.shape[0], meta.tx, 4
    col, row = np.meshgrid(np.arange(tx.cols), np.arange(tx.rows), indexing="ij")
    y, z = rng.uniform(-0.5, 0.5, (2, n, paths, 1))
    steering = np.exp(2j * np.pi * (y * col.ravel() + 0.3 * z * row.ravel()))
    jones = complex_normal(rng, n, paths, 2) * (0.5 ** np.arange(paths))[:, None]
    spectrum = np.exp(-2j * np.pi * rng.uniform(0, 0.2, (n, paths, 1)) * np.arange(subbands))
    h = np.einsum("nlc,nlp,nls->nspc", jones, steering, spectrum).transpose(0, 1, 3, 2).reshape(n, subbands, -1)
    return (h / np.linalg.norm(h, axis=-1, keepdims=True)).astype(np.complex64)


def sgcs(v: np.ndarray, w: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(v, axis=-1) * np.linalg.norm(w, axis=-1)
    return (np.abs(np.sum(v.conj() * w, axis=-1)) / norms) ** 2


@pytest.mark.parametrize(("cols", "rows"), [(8, 2), (4, 2), (16, 1), (2, 1), (4, 3)])
@pytest.mark.parametrize("structured", [True, False])
def test_fast_selection_equals_exhaustive_search(cols: int, rows: int, structured: bool) -> None:
    meta = meta_of(cols, rows, 5)
    v = targets(12, meta) if structured else complex_normal(np.random.default_rng(1), 12, 5, meta.tx.ports)
    codebook = Type1Codebook(cols, rows, subbands=5)
    every = codebook.precoders()[:, :, 0, :, :, 0].astype(np.complex128)  # [l, m, n, port]
    gain = np.abs(np.einsum("bsp,lmnp->bslmn", v.conj().astype(np.complex128), every)) ** 2
    wideband = gain.max(axis=-1).sum(axis=1)
    best = np.array([np.unravel_index(np.argmax(each), each.shape) for each in wideband])
    i11, i12, i2 = select(codebook, v)
    np.testing.assert_array_equal(np.stack([i11, i12], axis=1), best)
    of_best = gain[np.arange(12)[:, None], np.arange(5), i11[:, None], i12[:, None]]
    np.testing.assert_array_equal(i2, of_best.argmax(axis=-1))


def test_payload_is_34_bits_and_decodes_to_the_selected_precoders() -> None:
    meta = meta_of()
    model = ready(Type1(), spec_of(), FakePart(make_batch(targets(1, meta), meta), {}))
    decoder, encoder = (pickle.loads(pickle.dumps(half)) for half in (model.decoder(), model.encoder()))
    v = targets(40, meta, 3)
    payloads = encoder(make_batch(v, meta))
    assert {(payload.bits, len(payload.data)) for payload in payloads} == {(34, 5)}
    # 5 + 3 + 13 × 2 bits, most significant first, written out by hand
    i11, i12, i2 = select(model.codebook, v)
    text = f"{i11[0]:05b}{i12[0]:03b}" + "".join(f"{i:02b}" for i in i2[0]) + "0" * 6
    assert payloads[0].data == int(text, 2).to_bytes(5, "big")
    decoded = decoder(payloads)
    for sample in range(40):
        for band in range(13):
            expected = model.codebook.precoder(i11[sample], i12[sample], 0, i2[sample, band])[:, 0]
            np.testing.assert_array_equal(decoded[sample, band], expected)
    assert decoder([]).shape == (0, 13, 32)
    assert not encoder(make_batch(v[:0], meta))


def test_codec_depends_on_the_sample_alone() -> None:
    meta = meta_of()
    v = targets(300, meta, 4)  # more than one chunk
    model = ready(Type1(), spec_of(), FakePart(make_batch(v, meta), {}))
    encoder, decoder = model.encoder(), model.decoder()
    found = same_whatever_the_batch(lambda batch: decoder(encoder(batch)), make_batch(v, meta))
    assert 0.6 < sgcs(v, found).mean() < 0.95
    # The phase of a target carries nothing: a common phase per sub-band changes no payload.
    turned = v * np.exp(2j * np.pi * np.random.default_rng(0).random((300, 13, 1))).astype(np.complex64)
    assert encoder(make_batch(turned, meta)) == encoder(make_batch(v, meta))


def test_every_precoder_of_the_codebook_is_found_again() -> None:
    meta = meta_of()
    model = ready(Type1(), spec_of(), FakePart(make_batch(targets(1, meta), meta), {}))
    every = model.codebook.precoders().reshape(-1, 1, 32).repeat(13, axis=1)
    found = model.decoder()(model.encoder()(make_batch(every, meta)))
    np.testing.assert_allclose(sgcs(every, found), 1, atol=1e-5)


def test_port_order_matches_the_array() -> None:
    # One wave on our Array: its matched precoder a* must be reached up to the scalloping of an oversampled DFT grid
    # ((≤ 0.23 dB + 0.23 dB) for O = 4), which fails for any other order of columns, rows and polarisations.
    from wbench.channel.array import Array

    array, rng = Array(2, 8, slants=(np.pi / 4, -np.pi / 4)), np.random.default_rng(5)
    place = np.array([[col, row] for col in range(array.cols) for row in range(array.rows)])
    angles = rng.uniform([-0.5, -0.5], [0.5, 0.5], (200, 2))
    wave = np.exp(2j * np.pi * angles @ place.T)
    v = np.concatenate([wave, 1j * wave], axis=1)[:, None, :].repeat(13, axis=1) / np.sqrt(32)
    meta = meta_of()
    model = ready(Type1(), spec_of(), FakePart(make_batch(v, meta), {}))
    found = model.decoder()(model.encoder()(make_batch(v, meta)))
    assert sgcs(v, found).min() > 0.89
    swapped = v.reshape(200, 13, 2, 8, 2).swapaxes(-1, -2).reshape(200, 13, 32)
    lost = model.decoder()(model.encoder()(make_batch(swapped, meta)))
    assert sgcs(swapped, lost).mean() < 0.8


def test_type1_says_what_it_cannot_do() -> None:
    assert Type1().supports(spec_of(34)) is None
    assert Type1().supports(spec_of(33)) == "needs 34 bits; the limit is 33"
    ratio = make_spec("csi-feedback-ratio", "compress", limit=Limit(reals=128))
    assert "csi-feedback-bits" in str(Type1().supports(ratio))
    with pytest.raises(ModelError, match="polarisations"):
        Type1().setup(spec_of(), make_meta((13, 16), ArrayMeta(2, 8)))
    with pytest.raises(ModelError, match="ports"):
        Type1().setup(spec_of(), make_meta((13, 30), ArrayMeta(2, 8, polarisations=2)))
    with pytest.raises(SpecError, match="configuration"):
        Type1().setup(spec_of(), meta_of(5, 2))
    model = Type1()
    model.setup(spec_of(), meta_of())
    with pytest.raises(SpecError, match="length"):
        model.decoder()([Payload(b"\0\0\0\0", 32)])


def test_fixed_precoder_is_the_best_constant() -> None:
    meta = meta_of(4, 2, 6)
    rng = np.random.default_rng(6)
    v = targets(200, meta, 7) + 0.5 * targets(1, meta, 8)
    v = (v / np.linalg.norm(v, axis=-1, keepdims=True)).astype(np.complex64)
    v *= np.exp(2j * np.pi * rng.random((200, 6, 1))).astype(np.complex64)  # phases must not matter
    batch = make_batch(v, meta)
    model = ready(FixedPrecoder(), spec_of(subbands=6), FakePart(batch, {"H": v}))
    decoder, encoder = (pickle.loads(pickle.dumps(half)) for half in (model.decoder(), model.encoder()))
    payloads = encoder(batch)
    assert {(payload.bits, payload.data) for payload in payloads} == {(0, b"")}
    found = same_whatever_the_batch(lambda each: decoder(encoder(each)), batch)
    assert found.shape == v.shape
    np.testing.assert_array_equal(found, np.broadcast_to(found[:1, :1], v.shape))
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, rtol=1e-6)
    # The mean SGCS is the largest singular value squared of the stacked targets, over their number …
    score = sgcs(v, found).mean()
    assert score == pytest.approx(np.linalg.svd(v.reshape(-1, 16), compute_uv=False)[0] ** 2 / 1200, rel=1e-5)
    # … and no other constant reaches it.
    others = complex_normal(rng, 500, 16) * 0.3 + found[0, 0]
    assert max(sgcs(v, np.broadcast_to(w, v.shape)).mean() for w in others) < score
    assert model.count_parameters() == 32


def test_fixed_precoder_says_what_it_cannot_do() -> None:
    model = FixedPrecoder()
    assert model.supports(make_spec("csi-feedback-ratio", "compress", limit=Limit(reals=128)))
    with pytest.raises(ModelError, match="ports"):
        model.setup(spec_of(), make_meta((32, 32), ArrayMeta(1, 8)))
    meta = meta_of()
    model.setup(spec_of(), meta)
    with pytest.raises(ModelError, match="fit"):
        model.decoder()
    none = FakePart(make_batch(targets(1, meta)[:0], meta), {"H": targets(1, meta)[:0]})
    with pytest.raises(ModelError, match="nothing to learn"):
        model.fit(none, none, 0)
