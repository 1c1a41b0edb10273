"""Type I codebook against its defining properties and a Kronecker construction; exact bit packing."""

from __future__ import annotations

import numpy as np
import pytest

from wbench.channel.bits import bit_width, pack_bits, unpack_bits
from wbench.channel.pmi_type1 import CONFIGURATIONS, Type1Codebook
from wbench.errors import SpecError

SMALL = [(2, 1), (2, 2), (4, 1), (3, 2), (4, 2)]


def kron_beam(book: Type1Codebook, l: int, m: int) -> np.ndarray:  # noqa: E741
    o1, o2 = book.oversampling
    column = np.exp(2j * np.pi * l * np.arange(book.n1) / (o1 * book.n1))
    row = np.exp(2j * np.pi * m * np.arange(book.n2) / (o2 * book.n2))
    return np.kron(column, row)


@pytest.mark.parametrize("ports", SMALL)
@pytest.mark.parametrize("mode", [1, 2])
def test_rank_1_is_a_beam_and_its_co_phased_copy(ports: tuple[int, int], mode: int) -> None:
    book = Type1Codebook(*ports, rank=1, mode=mode)
    w = book.precoders()
    assert w.dtype == np.complex64
    np.testing.assert_allclose(np.linalg.norm(w, axis=(-2, -1)), 1.0, rtol=1e-6)
    for index in np.ndindex(*book.index_shape):
        l, m, n = book.beam_index(index[0], index[1], index[3])  # noqa: E741
        beam = kron_beam(book, l, m)
        expected = np.concatenate([beam, np.exp(1j * np.pi * n / 2) * beam]) / np.sqrt(book.ports)
        np.testing.assert_allclose(w[index][:, 0], expected, atol=1e-6)


@pytest.mark.parametrize("ports", SMALL)
@pytest.mark.parametrize("mode", [1, 2])
def test_rank_2_layers_are_orthogonal_and_of_equal_power(ports: tuple[int, int], mode: int) -> None:
    w = Type1Codebook(*ports, rank=2, mode=mode).precoders()
    gram = np.swapaxes(w.conj(), -1, -2) @ w
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(2) / 2, gram.shape), atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("ports", SMALL)
def test_mode_2_groups_the_precoders_of_mode_1(ports: tuple[int, int], rank: int) -> None:
    def rows(mode: int) -> np.ndarray:
        book = Type1Codebook(*ports, rank=rank, mode=mode)
        return book.precoders().reshape(-1, book.ports * rank)

    one, two = rows(1), rows(2)
    assert one.shape == two.shape
    for w in two[:: max(1, len(two) // 50)]:
        assert np.abs(one - w).max(axis=1).min() < 1e-6


def test_rank_1_set_is_closed_under_conjugation_and_axis_reversal() -> None:
    book = Type1Codebook(4, 2)
    w = book.precoders().reshape(-1, book.ports)
    grid = w.reshape(-1, 2, 4, 2)
    for image in (w.conj(), grid[:, :, ::-1].reshape(w.shape), grid[..., ::-1].reshape(w.shape)):
        overlap = np.abs(image.conj() @ w.T)
        np.testing.assert_allclose(overlap.max(axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize(("arguments", "bits"), [
    ({"n1": 8, "n2": 2, "subbands": 13}, 5 + 3 + 13 * 2),
    ({"n1": 16, "n2": 1, "subbands": 13}, 6 + 0 + 13 * 2),
    ({"n1": 8, "n2": 2, "rank": 2, "subbands": 13}, 5 + 3 + 2 + 13),
    ({"n1": 2, "n2": 1, "rank": 2}, 3 + 0 + 1 + 1),
    ({"n1": 8, "n2": 2, "mode": 2, "subbands": 13}, 4 + 2 + 13 * 4),
    ({"n1": 8, "n2": 1, "mode": 2, "subbands": 13}, 4 + 0 + 13 * 3),
    ({"n1": 8, "n2": 2, "rank": 2, "mode": 2, "subbands": 2}, 4 + 2 + 2 + 2 * 3),
])  # fmt: skip
def test_bits(arguments: dict[str, int], bits: int) -> None:
    assert Type1Codebook(**arguments).bits == bits


def test_every_configuration_has_its_table_of_offsets() -> None:
    for n1, n2 in CONFIGURATIONS:
        book = Type1Codebook(n1, n2, rank=2)
        assert len(set(book.offsets)) == len(book.offsets) == (2 if (n1, n2) == (2, 1) else 4)
        v = book.beams
        for k1, k2 in book.offsets[1:]:  # the second beam is orthogonal to the first
            assert abs(np.vdot(v[0, 0], v[k1 % v.shape[0], k2 % v.shape[1]])) < 1e-5 * n1 * n2


def test_pmi_round_trip() -> None:
    book = Type1Codebook(8, 2, rank=2, subbands=13)
    pmi = (31, 5, 2, tuple(int(i) for i in np.random.default_rng(0).integers(0, 2, 13)))
    payload = book.pack(*pmi)
    assert len(payload) == 3  # 23 bits
    assert book.unpack(payload) == pmi
    single = Type1Codebook(8, 2, subbands=2)
    assert single.unpack(single.pack(1, 2, 0, [3, 0])) == (1, 2, 0, (3, 0))
    assert single.pack(1, 2, 0, [3, 0]) == bytes([0b00001010, 0b11000000])


def test_bits_are_exact_and_most_significant_first() -> None:
    rng = np.random.default_rng(0)
    widths = [int(w) for w in rng.integers(0, 20, 40)]
    values = [int(rng.integers(0, 1 << w)) for w in widths]
    payload = pack_bits(values, widths)
    text = "".join(f"{v:0{w}b}" for v, w in zip(values, widths, strict=True) if w)
    assert len(payload) == -(-len(text) // 8)
    assert "".join(f"{byte:08b}" for byte in payload)[: len(text)] == text
    assert unpack_bits(payload, widths) == values
    assert pack_bits([], []) == b""
    assert [bit_width(n) for n in (1, 2, 3, 4, 5, 32, 33)] == [0, 1, 2, 2, 3, 5, 6]


@pytest.mark.parametrize("call", [
    lambda: pack_bits([4], [2]), lambda: pack_bits([-1], [2]), lambda: pack_bits([1], [0]),
    lambda: pack_bits([1], [1, 1]),
    lambda: unpack_bits(b"\x00\x00", [3]), lambda: unpack_bits(b"", [3]), lambda: unpack_bits(b"\x01", [3]),
    lambda: bit_width(0), lambda: Type1Codebook(5, 1), lambda: Type1Codebook(4, 1, rank=3),
    lambda: Type1Codebook(4, 1, mode=0), lambda: Type1Codebook(4, 1, subbands=0),
    lambda: Type1Codebook(4, 1).precoder(16, 0, 0, 0), lambda: Type1Codebook(4, 1).precoder(0, 0, 1, 0),
    lambda: Type1Codebook(4, 1, subbands=2).pack(0, 0, 0, [1]), lambda: Type1Codebook(4, 1).pack(0, 0, 1, [1]),
])  # fmt: skip
def test_refuses(call) -> None:
    with pytest.raises(SpecError):
        call()
