"""What the Type II codebooks share: packing in rows against packing one by one, combinatorial indices, beams."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from wbench.channel.bits import pack_bits, unpack_bits
from wbench.channel.pmi_fields import Panel, RowReader, combination_index, combination_of, pack_rows
from wbench.channel.pmi_type1 import CONFIGURATIONS, Type1Codebook
from wbench.errors import SpecError


def test_rows_are_packed_like_one_payload_at_a_time() -> None:
    rng = np.random.default_rng(0)
    for fields in (1, 7, 40):
        widths = rng.integers(0, 17, (30, fields))
        widths[0] = 0
        values = rng.integers(0, 1 << 17, widths.shape) % (1 << widths)
        cut = fields // 2
        payloads, bits = pack_rows([(values[:, :cut], widths[:, :cut]), (values[:, cut:], widths[:, cut:])])
        np.testing.assert_array_equal(bits, widths.sum(axis=1))
        for row, payload in enumerate(payloads):
            assert payload == pack_bits(values[row].tolist(), widths[row].tolist())
        reader = RowReader(payloads)
        found = np.concatenate([reader.read(widths[:, :cut], cut), reader.read(widths[:, cut:], fields - cut)], axis=1)
        reader.finish()
        np.testing.assert_array_equal(found, values)
        assert found[-1].tolist() == unpack_bits(payloads[-1], widths[-1].tolist())


def test_scalars_and_columns_stand_for_rows() -> None:
    payloads, bits = pack_rows([([1, 2], 2), ([[3, 1], [0, 1]], [[2, 1]]), ([5, 6], np.array([3, 3]))])
    assert payloads == [pack_bits([1, 3, 1, 5], [2, 2, 1, 3]), pack_bits([2, 0, 1, 6], [2, 2, 1, 3])]
    assert bits.tolist() == [8, 8]
    assert pack_rows([(np.zeros(0), 3)])[0] == []
    assert RowReader([]).read(3, 2).shape == (0, 2)


@pytest.mark.parametrize("call", [
    lambda: pack_rows([([4], 2)]), lambda: pack_rows([([-1], 2)]), lambda: pack_rows([([1], 0)]),
    lambda: RowReader([b"\xff"]).read(9), lambda: RowReader([b"\x01"]).finish(),
    lambda: RowReader([b"\0\0"]).finish(), lambda: RowReader([b""]).read(1),
    lambda: combination_index([1, 1], 4), lambda: combination_index([2, 1], 4), lambda: combination_index([0, 4], 4),
    lambda: combination_of(6, 4, 2), lambda: combination_of(-1, 4, 2), lambda: Panel(5, 1),
])  # fmt: skip
def test_refuses(call) -> None:
    with pytest.raises(SpecError):
        call()


@pytest.mark.parametrize(("size", "chosen"), [(4, 2), (8, 3), (9, 1), (5, 5), (7, 0), (16, 4)])
def test_combinatorial_index_counts_all_choices(size: int, chosen: int) -> None:
    every = np.array(list(itertools.combinations(range(size), chosen))).reshape(math.comb(size, chosen), chosen)
    index = combination_index(every, size)
    # Lexicographic order, backwards: the sum of C(size − 1 − n, L − i) of the standard is largest for 0, 1, 2 …
    np.testing.assert_array_equal(index, np.arange(math.comb(size, chosen))[::-1])
    np.testing.assert_array_equal(combination_of(index, size, chosen), every)


def test_index_written_out_by_hand() -> None:
    # (N1, N2) = (4, 2), L = 2, beams 3 and 6: C(8−1−3, 2) + C(8−1−6, 1) = 6 + 1
    assert combination_index([3, 6], 8) == 7


@pytest.mark.parametrize("shape", CONFIGURATIONS)
def test_beams_are_orthogonal_in_their_group_and_those_of_type_1(shape: tuple[int, int]) -> None:
    panel = Panel(*shape)
    beams = panel.beams().astype(np.complex128)
    gram = beams @ beams.conj().swapaxes(1, 2)
    np.testing.assert_allclose(gram, np.broadcast_to(panel.elements * np.eye(panel.elements), gram.shape), atol=1e-5)
    (n1, n2), (o1, o2) = shape, CONFIGURATIONS[shape]
    for group, beam in [(0, 0), (panel.groups - 1, panel.elements - 1), (panel.groups // 2, 1)]:
        (q1, q2), (b2, b1) = divmod(group, o2), divmod(beam, n1)
        np.testing.assert_array_equal(
            panel.beams()[group, beam], Type1Codebook(n1, n2).beams[o1 * b1 + q1, o2 * b2 + q2]
        )
