"""Enhanced Type II codebook: precoders against an independent calculator, bits against the closed formula."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers_pmi import golden, random_etype2, same
from wbench.channel.pmi_etype2 import EType2Codebook, EType2Pmi, combine
from wbench.channel.pmi_etype2_bits import decode, encode
from wbench.errors import SpecError

#: n1, n2, paramCombination, N3, rank, R
BOOKS = [
    (8, 2, 2, 13, 1, 1), (8, 2, 4, 13, 2, 1), (4, 2, 5, 13, 1, 1), (16, 1, 7, 13, 1, 1), (4, 4, 8, 10, 2, 1),
    (2, 1, 1, 3, 1, 1), (2, 1, 2, 1, 2, 1), (2, 2, 3, 19, 1, 1), (4, 1, 6, 18, 2, 2), (4, 2, 4, 26, 1, 2),
    (8, 2, 6, 37, 2, 2), (12, 1, 3, 20, 1, 2),
]  # fmt: skip


def golden_pmi(numbers: list[int], data: dict[str, np.ndarray]) -> tuple[EType2Codebook, EType2Pmi]:
    book = EType2Codebook(*numbers)
    index, v = data["index"].astype(np.int64), book.rank
    start = index[1:2] - 2 * book.taps if index[1] else np.zeros(1, np.int64)
    one = {name: data[name].astype(np.int64)[None] for name in ("beams", "taps", "k2", "c")}
    nonzero = data["nonzero"][None]
    top = index[None, -2 * v : -v], index[None, -v:]
    pmi = EType2Pmi(index[:1], one["beams"], start, one["taps"], nonzero, *top, one["k2"], one["c"])
    return book, pmi


def test_precoders_and_bits_of_an_independent_calculator() -> None:
    count = 0
    for numbers, data in golden("etype2"):
        book, pmi = golden_pmi(numbers, data)
        np.testing.assert_allclose(book.precoders(pmi)[0], data["W"], atol=2e-7)
        payloads, bits = encode(book, pmi)
        assert bits[0] - book.widths["K"] == data["pmi_bits"]
        # The calculator has the bitmap, amplitudes and phases as whole strings in order of priority; the report cuts
        # each in two, the more important half first.
        text, total, w = (
            f"{int.from_bytes(payloads[0], 'big'):0{8 * len(payloads[0])}b}",
            int(pmi.coefficients[0]),
            book.widths,
        )
        at = w["K"]
        for name, place in (("i11", 2), ("i12", 3)):
            if w[name]:
                assert int(text[at : at + w[name]], 2) == data["index"][place], name
            at += w[name]
        at += math.ceil(math.log2(total)) if book.rank == 1 else 2 * w["i18"]
        assert int(text[at : at + w["i15"]] or "0", 2) == data["index"][1]
        at += w["i15"]
        for layer in range(book.rank):
            assert int(text[at : at + w["i16"]] or "0", 2) == data["index"][4 + layer]
            at += w["i16"]
        first = max(math.ceil(total / 2) - book.rank, 0)
        rest = total - book.rank - first
        pieces = []
        for size in (w["i17"] - total // 2, 4 * book.rank, 3 * first, 4 * first, total // 2, 3 * rest, 4 * rest):
            pieces.append(text[at : at + size])
            at += size
        assert pieces[0] + pieces[4] == str(data["i17"])
        assert pieces[2] + pieces[5] == str(data["i24"])
        assert pieces[3] + pieces[6] == str(data["i25"])
        assert int(pieces[1][:4], 2) == pmi.k1[0, 0]
        count += 1
    assert count == 10


@pytest.mark.parametrize("numbers", BOOKS)
def test_payload_is_as_long_as_the_formula_says_and_decodes_to_the_same_pmi(numbers: tuple[int, ...]) -> None:
    book = EType2Codebook(*numbers)
    pmi = random_etype2(book, np.random.default_rng(3), 200)
    payloads, bits = encode(book, pmi)
    total = pmi.coefficients
    v, size, L, M = book.rank, book.panel.elements, book.beams, book.taps
    i16 = math.comb(2 * M - 1, M - 1) if book.windowed else math.comb(book.subbands - 1, M - 1)
    for row, payload in enumerate(payloads):
        k = int(total[row])
        i18 = math.ceil(math.log2(k)) if v == 1 else 2 * math.ceil(math.log2(2 * L))
        closed = (
            math.ceil(math.log2(v * book.most)) + math.ceil(math.log2(book.panel.groups))
            + math.ceil(math.log2(math.comb(size, L))) + (math.ceil(math.log2(2 * M)) if book.windowed else 0)
            + v * math.ceil(math.log2(i16)) + 2 * L * M * v + i18 + 4 * v + 7 * (k - v)
        )  # fmt: skip
        assert bits[row] == closed == book.payload_bits(k) <= book.max_bits
        assert len(payload) == -(-closed // 8)
    assert same(decode(book, payloads), pmi)
    assert encode(book, decode(book, payloads))[0] == payloads
    assert len(decode(book, [])) == 0


def test_bit_counts_of_the_protocol() -> None:
    # (8, 2), 13 sub-bands: 62 and 168 bits of PMI as in the protocol, and 2 and 4 bits that say how many coefficients.
    books = [EType2Codebook(8, 2, number, 13) for number in range(1, 9)]
    assert [book.max_bits for book in books] == [64, 94, 114, 172, 230, 284, 248, 334]
    assert [book.widths["K"] for book in books] == [2, 3, 3, 4, 5, 5, 5, 6]


@pytest.mark.parametrize("numbers", BOOKS)
def test_precoders_by_the_sums_of_the_standard(numbers: tuple[int, ...]) -> None:
    book = EType2Codebook(*numbers)
    pmi = random_etype2(book, np.random.default_rng(4), 3)
    w = book.precoders(pmi)
    assert w.shape == (3, book.subbands, book.ports, book.rank)
    np.testing.assert_allclose(np.linalg.norm(w, axis=2), 1 / math.sqrt(book.rank), rtol=1e-5)
    n1, n2, L = book.n1, book.n2, book.beams
    o1, o2 = 4, 4 if n2 > 1 else 1
    for row in range(3):
        q1, q2 = divmod(int(pmi.group[row]), o2)
        t = int(np.random.default_rng(row).integers(book.subbands))
        for layer in range(book.rank):
            column = np.zeros(book.ports, complex)
            for i in range(2 * L):
                b2, b1 = divmod(int(pmi.beams[row, i % L]), n1)
                x = [np.exp(2j * np.pi * (o1 * b1 + q1) * a / (o1 * n1)) for a in range(n1)]
                u = [np.exp(2j * np.pi * (o2 * b2 + q2) * a / (o2 * n2)) for a in range(n2)]
                weaker = i // L != pmi.strongest[row, layer] // L
                p1 = 2.0 ** ((int(pmi.k1[row, layer]) - 15) / 4) if weaker else 1.0
                for f in range(book.taps):
                    if pmi.nonzero[row, layer, i, f]:
                        level = 2.0 ** ((int(pmi.k2[row, layer, i, f]) - 7) / 2)
                        delay = t * int(pmi.taps[row, layer, f]) / book.subbands + int(pmi.c[row, layer, i, f]) / 16
                        half = slice(i // L * n1 * n2, (i // L + 1) * n1 * n2)
                        column[half] += p1 * level * np.exp(2j * np.pi * delay) * np.kron(x, u)
            column /= np.linalg.norm(column) * math.sqrt(book.rank)
            np.testing.assert_allclose(w[row, t, :, layer], column, atol=2e-6)


def test_taps_that_cancel_leave_the_strongest_beam() -> None:
    # Two equal taps of one beam, 0 and 2 of 4: 1 + e^{jπt} is 0 in every odd sub-band.
    panel, one = EType2Codebook(2, 1, 1, 4).panel, np.zeros(1, np.int64)
    amplitudes = np.zeros((1, 1, 4, 2))
    amplitudes[0, 0, 1] = 1
    w = combine(panel, one, np.array([[0, 1]]), amplitudes, np.array([[[0, 2]]]), np.array([[1]]), 4)
    expected = np.concatenate([panel.beams()[0, 1], [0, 0]]) / math.sqrt(2)
    np.testing.assert_allclose(w[0, :, :, 0], np.broadcast_to(expected, (4, 4)), atol=1e-6)


@pytest.mark.parametrize("numbers", [
    (5, 1, 1, 13), (2, 1, 3, 13), (4, 2, 7, 13), (8, 2, 7, 13, 1, 2), (8, 2, 9, 13), (8, 2, 1, 20), (8, 2, 1, 0),
    (8, 2, 1, 38, 1, 2), (8, 2, 1, 13, 3), (8, 2, 1, 13, 1, 3),
])  # fmt: skip
def test_configurations_that_the_standard_does_not_allow(numbers: tuple[int, ...]) -> None:
    with pytest.raises(SpecError):
        EType2Codebook(*numbers)


def test_wrong_pmis_and_payloads_are_refused() -> None:
    book = EType2Codebook(4, 2, 4, 26, 1, 2)
    pmi = random_etype2(book, np.random.default_rng(5), 4)
    for change in (
        {"group": pmi.group + 16}, {"beams": pmi.beams[:, ::-1]}, {"start": pmi.start + 1 + 2 * book.taps},
        {"taps": pmi.taps + 1}, {"strongest": pmi.strongest + 8}, {"k1": pmi.k1 * 0}, {"k2": pmi.k2 + 1},
        {"c": pmi.c + 16}, {"nonzero": np.ones_like(pmi.nonzero)}, {"nonzero": np.zeros_like(pmi.nonzero)},
        {"taps": pmi.taps[:, :, :2]}, {"c": pmi.c + 1},
    ):  # fmt: skip
        with pytest.raises(SpecError):
            encode(book, replace(pmi, **change))
    payload = encode(book, pmi)[0][0]
    for wrong in (payload[:-1], payload + b"\0", b"", bytes(len(payload))):
        with pytest.raises(SpecError):
            decode(book, [wrong])
    with pytest.raises(SpecError):
        book.payload_bits(book.most + 1)
    outside = np.array([[[0, 1, 2, 13]]])  # 13 is in no window that holds 0, 1 and 2
    with pytest.raises(SpecError, match="window"):
        book.check(replace(random_etype2(book, np.random.default_rng(6), 1), taps=outside, start=np.zeros(1, np.int64)))


def test_random_bytes_never_make_a_precoder_unnoticed() -> None:
    # A payload either is refused or is exactly what the encoder makes of what the decoder read.
    book, rng = EType2Codebook(4, 2, 2, 13), np.random.default_rng(7)
    accepted = 0
    for _ in range(300):
        payload = rng.bytes(int(rng.integers(6, 13)))
        try:
            pmi = decode(book, [payload])
        except SpecError:
            continue
        accepted += 1
        assert encode(book, pmi)[0] == [payload]
    assert accepted < 100
