"""Random streams: pinned values, and independence of batch, order and purpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wbench.generator import Block
from wbench.seeding import KeyedStream, keyed_permutation, rng, seed_sequence

GOLDEN_RNG = [3941497617, 2001848531, 2491444313, 4067220841]
GOLDEN_NORMAL = [-0.4712688042475088, 0.7330862557860846, 1.3547331525631563]
GOLDEN_PERMUTATION = [8, 6, 9, 1, 4, 7, 2, 3, 0, 5]
GOLDEN_UNIFORM = [0.3163027322683778, 0.42204363775609055, 0.34316261660608327]
GOLDEN_INTEGERS = [728, 647, 532]
GOLDEN_COMPLEX = [(-0.598267674446106 - 0.33809396624565125j), (-0.1030503511428833 + 0.5006681680679321j)]


def test_golden_streams():
    """Datasets, splits and noise hang on these numbers: a change here changes every published result."""
    assert rng(2026, "waves", 3).integers(0, 2**32, 4).tolist() == GOLDEN_RNG
    np.testing.assert_array_equal(rng(2026, "waves", 3).standard_normal(3), GOLDEN_NORMAL)
    assert keyed_permutation(10, "sha256:abc", "split").tolist() == GOLDEN_PERMUTATION
    stream = KeyedStream("sha256:abc", "noise")
    np.testing.assert_array_equal(stream.uniform([0, 7, 2**40]), GOLDEN_UNIFORM)
    assert stream.integers([0, 7, 2**40], 1000).tolist() == GOLDEN_INTEGERS
    np.testing.assert_array_equal(stream.complex_normal([7], (2,))[0], np.array(GOLDEN_COMPLEX, np.complex64))


def test_seed_sequence_is_numpys_own():
    """The documented formula, written out: SeedSequence(root, spawn_key=(crc32(purpose), *key))."""
    expected = np.random.SeedSequence(5, spawn_key=(0x8FB0F022, 2, 9))  # crc32(b"waves")
    assert seed_sequence(5, "waves", 2, 9).generate_state(4).tolist() == expected.generate_state(4).tolist()


def test_block_streams_depend_on_the_block_unless_a_key_is_given():
    first, second = Block(0, range(0, 4), 1), Block(1, range(4, 8), 1)
    assert first.rng("x").random() != second.rng("x").random()
    assert first.rng("x").random() != first.rng("y").random()
    assert first.rng("site", 3).random() == second.rng("site", 3).random()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=12), st.randoms())
def test_keyed_stream_depends_on_the_sample_only(ids, shuffler):
    stream = KeyedStream("spec", "noise")
    alone = {i: KeyedStream("spec", "noise").complex_normal([i], (3, 2))[0] for i in ids}
    shuffler.shuffle(ids)
    for i, row in zip(ids, stream.complex_normal(ids, (3, 2)), strict=True):
        np.testing.assert_array_equal(row, alone[i])
    np.testing.assert_array_equal(stream.uniform(ids), [KeyedStream("spec", "noise").uniform([i])[0] for i in ids])


def test_keyed_stream_has_the_right_moments():
    noise = KeyedStream("spec", "noise").complex_normal(range(4000), (16,))
    assert noise.dtype == np.complex64
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(1.0, abs=0.02)
    assert abs(np.mean(noise**2)) < 0.02  # circular
    first, second = noise[:, 0], noise[:, 1]
    assert abs(np.mean(first * second.conj())) < 0.06
    assert abs(np.mean(noise[:-1, 0] * noise[1:, 0].conj())) < 0.06  # neighbouring samples


@given(st.integers(0, 300), st.text(max_size=8))
@settings(max_examples=40, deadline=None)
def test_keyed_permutation_is_a_permutation(n, key):
    order = keyed_permutation(n, key)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))
    assert np.array_equal(order, keyed_permutation(n, key))


def test_keyed_permutation_depends_on_every_part_of_the_key():
    orders = [keyed_permutation(50, *key).tolist() for key in (("a",), ("b",), ("a", "b"), ("ab",), ("b", "a"))]
    assert len({tuple(order) for order in orders}) == len(orders)


def test_no_global_random_state_is_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the thing that must not change
    rng(1, "x").random()
    KeyedStream("x").uniform([1])
    keyed_permutation(5, "x")
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
