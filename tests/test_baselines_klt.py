"""KLT codec against scikit-learn's truncated SVD and PCA, the eigenvalue identity, and the codecs' contract."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tests.helpers_models import FakePart, make_batch, make_meta, make_spec, ready, same_whatever_the_batch
from wbench.errors import ModelError
from wbench.task.batch import ArrayMeta
from wbench.task.spec import Limit
from wbench_baselines.codecs.klt import Klt, principal_basis

SHAPE = (8, 6)
SIZE = 48
FAMILY = "csi-feedback-ratio"
META = make_meta(SHAPE, ArrayMeta(1, 6), dims=("delay", "angle"))


def correlated(n: int, seed: int) -> np.ndarray:
    """Complex Gaussian channels with a decaying spectrum in a fixed random basis, complex64 [n, *SHAPE]."""
    fixed = np.random.default_rng(99)
    mixing = np.linalg.qr(fixed.standard_normal((SIZE, SIZE)) + 1j * fixed.standard_normal((SIZE, SIZE)))[0]
    rng = np.random.default_rng(seed)
    white = rng.standard_normal((n, SIZE)) + 1j * rng.standard_normal((n, SIZE))
    return ((white * 0.8 ** np.arange(SIZE)) @ mixing).astype(np.complex64).reshape(n, *SHAPE)


def part(h: np.ndarray) -> FakePart:
    return FakePart(make_batch(h, META), {"H": h})


def fitted(h: np.ndarray, reals: int) -> Klt:
    return ready(Klt(), make_spec(FAMILY, "compress", limit=Limit(reals=reals)), part(h))


def through(model: Klt, h: np.ndarray) -> np.ndarray:
    return model.decoder()(model.encoder()(make_batch(h, META)))


@pytest.mark.parametrize("n", [20, 47, 48, 400, 2500])
def test_training_error_is_the_sum_of_the_discarded_eigenvalues(n: int) -> None:
    h = correlated(n, 1)
    model = fitted(h, 16)
    answer = through(model, h)
    error = np.mean(np.sum(np.abs(answer - h) ** 2, axis=(1, 2)))
    assert error == pytest.approx(model.eigenvalues[8:].sum(), rel=1e-4)
    total = np.mean(np.sum(np.abs(h) ** 2, axis=(1, 2)))
    assert model.eigenvalues.sum() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("n", [30, 500])
def test_subspace_equals_the_truncated_svd_of_the_real_form(n: int) -> None:
    # A proper complex basis of K vectors spans 2K real dimensions: {h, jh}. scikit-learn is given both rows.
    from sklearn.decomposition import TruncatedSVD

    h = correlated(n, 2).reshape(n, -1).astype(np.complex128)
    real = np.concatenate([np.hstack([g.real, g.imag]) for g in (h, 1j * h)])
    reference = TruncatedSVD(n_components=10, algorithm="arpack").fit(real).components_
    basis, values = principal_basis(part(h.astype(np.complex64).reshape(n, *SHAPE)), SIZE, 5)
    rows = basis.conj().T  # reconstruction (h @ basis) @ basis^H lies in the span of these rows
    ours = np.concatenate([np.hstack([g.real, g.imag]) for g in (rows, 1j * rows)])
    np.testing.assert_allclose(ours.T @ ours, reference.T @ reference, atol=1e-4)
    np.testing.assert_allclose(basis.conj().T @ basis, np.eye(5), atol=1e-10)
    squares = np.linalg.svd(h, compute_uv=False) ** 2 / n
    np.testing.assert_allclose(values, squares[: len(values)], rtol=1e-4, atol=1e-5)


def test_real_pca_of_the_same_budget_spans_the_same_space_in_the_limit() -> None:
    from sklearn.decomposition import PCA

    h, new = correlated(40_000, 3), correlated(500, 4)
    flat = np.hstack([h.reshape(len(h), -1).real, h.reshape(len(h), -1).imag])
    other = np.hstack([new.reshape(len(new), -1).real, new.reshape(len(new), -1).imag])
    pca = PCA(n_components=12).fit(flat)
    theirs = np.sum((pca.inverse_transform(pca.transform(other)) - other) ** 2)
    model = fitted(h, 12)
    ours = np.sum(np.abs(through(model, new) - new) ** 2)
    assert ours == pytest.approx(theirs, rel=5e-3)
    # With few samples, half as many numbers to estimate: the complex transform is the better one.
    pca = PCA(n_components=12).fit(flat[:40])
    theirs = np.sum((pca.inverse_transform(pca.transform(other)) - other) ** 2)
    model = fitted(h[:40], 12)
    ours = np.sum(np.abs(through(model, new) - new) ** 2)
    assert ours < 0.95 * theirs


def test_codec_through_pickle_in_any_order_and_batch() -> None:
    model = fitted(correlated(300, 5), 13)  # an odd limit: six complex coefficients
    decoder, encoder = pickle.loads(pickle.dumps(model.decoder())), pickle.loads(pickle.dumps(model.encoder()))
    h = correlated(50, 6)
    payloads = encoder(make_batch(h, META))
    assert {payload.bits for payload in payloads} == {12 * 32}
    assert [payload for row in h for payload in encoder(make_batch(row[None], META))] == payloads
    found = same_whatever_the_batch(lambda batch: decoder(encoder(batch)), make_batch(h, META))
    assert found.dtype == np.complex64
    assert decoder([]).shape == (0, *SHAPE)
    assert model.count_parameters() == 2 * SIZE * 6


def test_fewer_samples_than_coefficients_and_none() -> None:
    h = correlated(3, 7)
    model = fitted(np.concatenate([h, h]), 32)
    payloads = model.encoder()(make_batch(h, META))
    assert {payload.bits for payload in payloads} == {6 * 32}
    np.testing.assert_allclose(model.decoder()(payloads), h, atol=1e-4)
    for empty in (h[:0], 0 * h):
        with pytest.raises(ModelError, match="nothing to learn"):
            fitted(empty, 32)


def test_supports() -> None:
    assert Klt().supports(make_spec(FAMILY, "compress", limit=Limit(reals=128))) is None
    assert Klt().supports(make_spec(FAMILY, "compress", limit=Limit(reals=1))) == "needs 2 numbers; the limit is 1"
    assert "bits" in str(Klt().supports(make_spec(FAMILY, "compress", limit=Limit(bits=96))))
    model = Klt()
    model.setup(make_spec(FAMILY, "compress", limit=Limit(reals=128)), META)
    with pytest.raises(ModelError, match="fit"):
        model.encoder()
