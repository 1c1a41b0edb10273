"""OMP: the pursuit against scikit-learn and a plain loop, the dictionary against a synthesised path, the contract."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tests.helpers_models import FakePart, make_batch, make_meta, make_spec, ready, same_whatever_the_batch
from wbench.channel.angular_delay import antenna_to_angle, subcarrier_to_delay
from wbench.errors import ModelError
from wbench.model import Payload
from wbench.task.batch import ArrayMeta
from wbench.task.spec import Limit
from wbench_baselines.codecs.common import stack_reals, to_reals
from wbench_baselines.codecs.omp import OmpCodec, OmpDecoder, path_dictionary, tap_response
from wbench_baselines.codecs.omp_solver import Omp

SHAPE = (10, 8)
META = make_meta(SHAPE, ArrayMeta(1, 8), dims=("delay", "angle"))
SPEC = make_spec("csi-feedback-ratio", "compress", limit=Limit(reals=64))


def on_atoms(n: int, seed: int) -> np.ndarray:
    """Complex images of three atoms each, unit rms, complex64 [n, *SHAPE]."""
    rng = np.random.default_rng(seed)
    delay, angle = path_dictionary(SHAPE)
    h = np.zeros((n, *SHAPE), np.complex128)
    for image in h:
        for _ in range(3):
            p, q = rng.integers(4, delay.shape[1] - 4), rng.integers(angle.shape[1])
            image += np.exp(2j * np.pi * rng.random()) * rng.uniform(0.5, 1.5) * np.outer(delay[:, p], angle[:, q])
    return (h / np.sqrt((np.abs(h) ** 2).mean((1, 2), keepdims=True))).astype(np.complex64)


@pytest.mark.parametrize("atoms", [1, 4, 12])
def test_real_pursuit_equals_scikit_learn(atoms: int) -> None:
    from sklearn.linear_model import OrthogonalMatchingPursuit

    rng = np.random.default_rng(atoms)
    matrix = rng.standard_normal((40, 90))
    matrix /= np.linalg.norm(matrix, axis=0)  # scikit-learn compares products with the columns as they are
    y = (rng.standard_normal((5, 90)) * (rng.random((5, 90)) < 0.1)) @ matrix.T + 0.05 * rng.standard_normal((5, 40))
    path = Omp.of_blocks(matrix.T[:, None, :], np.float64).solve(y, atoms)
    for row, support, ours in zip(y, path.support, path.coefficients(atoms), strict=True):
        reference = OrthogonalMatchingPursuit(n_nonzero_coefs=atoms, fit_intercept=False).fit(matrix, row)
        dense = np.zeros(90)
        dense[support] = ours[:, 0]
        np.testing.assert_allclose(dense, reference.coef_, atol=1e-10)


def test_block_pursuit_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    blocks = rng.standard_normal((30, 2, 24))
    y = rng.standard_normal((4, 24))
    path = Omp.of_blocks(blocks, np.float64).solve(y, 6)
    for row, support, ours in zip(y, path.support, path.coefficients(6), strict=True):
        chosen: list[int] = []
        residual = row
        for _ in range(6):
            fits = [residual @ pair.T @ np.linalg.lstsq(pair.T, residual)[0] for pair in blocks]
            chosen.append(int(np.argmax([-np.inf if k in chosen else fit for k, fit in enumerate(fits)])))
            columns = np.concatenate([blocks[k] for k in chosen]).T
            solution = np.linalg.lstsq(columns, row)[0]
            residual = row - columns @ solution
        assert support.tolist() == chosen
        np.testing.assert_allclose(ours.ravel(), solution, atol=1e-9)


def test_shorter_pursuit_is_the_beginning_of_a_longer_one() -> None:
    rng = np.random.default_rng(1)
    omp, y = Omp.of_blocks(rng.standard_normal((30, 2, 24)), np.float64), rng.standard_normal((3, 24))
    long, short = omp.solve(y, 8), omp.solve(y, 3)
    np.testing.assert_array_equal(long.support[:, :3], short.support)
    np.testing.assert_allclose(long.coefficients(3), short.coefficients(3), atol=1e-12)
    single = Omp(omp.columns.astype("f4"), omp.mixing.astype("f4")).solve(y.astype("f4"), 8)
    np.testing.assert_array_equal(single.support, long.support)
    np.testing.assert_allclose(single.coefficients(8), long.coefficients(8), atol=1e-4)


def test_tap_responses_are_those_of_a_path() -> None:
    # One path through the task's own transforms; the limit N → ∞ of the delay DFT is near with 1024 subcarriers.
    subcarriers, antennas = 1024, 8
    delay, angle = path_dictionary(SHAPE)
    for p, q in ((7, 3), (12, 15), (4, 0)):
        tone = np.exp(-2j * np.pi * (p / 2) * np.arange(subcarriers) / subcarriers)
        wave = np.exp(2j * np.pi * (q / 2) * np.arange(antennas) / antennas)
        rows = subcarrier_to_delay(wave[:, None] * tone, range(SHAPE[0]))
        image = antenna_to_angle(rows, axis=-2).T
        atom = np.outer(delay[:, p], angle[:, q])
        match = abs(np.vdot(atom, image)) / np.linalg.norm(image)
        assert match > 1 - 1e-5
    assert tap_response(6, 1, 6, -1) == pytest.approx(np.eye(6), abs=1e-12)
    assert tap_response(6, 1, None, 1) == pytest.approx(np.eye(6), abs=1e-12)


def test_channels_made_of_atoms_come_back_exactly() -> None:
    h = on_atoms(20, 2)
    model = ready(OmpCodec(), SPEC, FakePart(make_batch(h, META), {"H": h}))
    found = OmpDecoder(model.solver, *model.factors, 4)(model.encoder()(make_batch(h, META)))
    exact = np.sum(np.abs(found - h) ** 2, axis=(1, 2)) < 1e-6 * np.sum(np.abs(h) ** 2, axis=(1, 2))
    assert exact.mean() > 0.7  # greedy: two atoms beside each other may be taken for a third one


def test_measured_atom_is_the_measurement_of_the_atom() -> None:
    model = OmpCodec()
    model.setup(SPEC, META)
    delay, angle = path_dictionary(SHAPE)
    gain = 0.7 - 1.2j
    atom = np.outer(delay[:, 5], angle[:, 9])
    y = model.measurement.measure(to_reals((gain * atom)[None].astype(np.complex64)))
    index = 5 * angle.shape[1] + 9
    path = model.solver.solve(y, 1)
    assert path.support.item() == index
    np.testing.assert_allclose(path.coefficients(1).ravel(), [gain.real, gain.imag], rtol=1e-4)


def test_failures_are_explained() -> None:
    rng = np.random.default_rng(3)
    omp = Omp.of_blocks(rng.standard_normal((30, 2, 24)))
    with pytest.raises(ModelError, match="so many atoms"):
        omp.solve(np.zeros((1, 24), "f4"), 13)
    with pytest.raises(ModelError, match="finite"):
        omp.solve(np.full((1, 24), np.nan, "f4"), 2)
    with pytest.raises(ModelError, match="independent"):
        Omp.of_blocks(np.ones((3, 2, 24)))
    with pytest.raises(ModelError, match="images"):
        OmpCodec().setup(SPEC, make_meta((2, 10, 8), ArrayMeta(1, 8), dims=("rx", "delay", "angle")))
    model = OmpCodec()
    model.setup(SPEC, META)
    with pytest.raises(ModelError, match="fit"):
        model.decoder()
    assert model.supports(make_spec("csi-feedback-ratio", "compress", limit=Limit(reals=3))) is not None


def test_codec_through_pickle_in_any_order_and_batch() -> None:
    h = on_atoms(70, 0) + 0.05 * on_atoms(70, 1)
    model = ready(OmpCodec(), SPEC, FakePart(make_batch(h, META), {"H": h}))
    assert model.atoms in model.candidates()
    assert len(model.candidates()) <= 32
    decoder, encoder = (pickle.loads(pickle.dumps(half)) for half in (model.decoder(), model.encoder()))
    payloads = encoder(make_batch(h, META))
    assert {payload.bits for payload in payloads} == {64 * 32}
    found = same_whatever_the_batch(lambda batch: decoder(encoder(batch)), make_batch(h, META))
    assert found.dtype == np.complex64
    assert np.sum(np.abs(found - h) ** 2) < 0.05 * np.sum(np.abs(h) ** 2)
    assert decoder([]).shape == (0, *SHAPE)
    assert not decoder([Payload.of_reals(np.zeros(64))]).any()


def test_number_of_atoms_is_the_best_of_the_grid() -> None:
    h = on_atoms(30, 5) + 0.1 * on_atoms(30, 6)
    model = ready(OmpCodec(), SPEC, FakePart(make_batch(h, META), {"H": h}))
    sent = model.encoder()(make_batch(h, META))
    grid = model.candidates()
    errors = [np.linalg.norm(OmpDecoder(model.solver, *model.factors, k)(sent) - h) for k in grid]
    assert model.atoms == grid[int(np.argmin(errors))]
    assert len(stack_reals(sent, 64)) == 30
