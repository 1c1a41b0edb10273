"""Type II codebook: precoders and bits against an independent calculator, bits against the closed formula."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers_pmi import golden, random_type2, same
from wbench.channel.pmi_type2 import Type2Codebook, Type2Pmi
from wbench.errors import SpecError

#: n1, n2, L, sub-bands, N_PSK, sub-band amplitude, rank
BOOKS = [
    (8, 2, 2, 13, 8, False, 1), (8, 2, 4, 13, 8, True, 2), (4, 2, 3, 7, 8, True, 1), (16, 1, 4, 5, 4, True, 1),
    (2, 1, 2, 1, 4, False, 2), (4, 1, 4, 18, 8, True, 1), (2, 2, 3, 2, 4, False, 2),
]  # fmt: skip


def test_precoders_and_bits_of_an_independent_calculator() -> None:
    count = 0
    for (n1, n2, beams, phases, amplitude, subbands, rank), data in golden("type2"):
        book = Type2Codebook(n1, n2, beams, subbands, phases, bool(amplitude), rank)
        names = ("group", "beams", "strongest", "k1", "k2", "c")
        pmi = Type2Pmi(*(data[name].astype(np.int64)[None] for name in names))
        np.testing.assert_allclose(book.precoders(pmi)[0], data["W"], atol=2e-7)
        payloads, bits = book.encode(pmi)
        text = f"{int.from_bytes(payloads[0], 'big'):0{8 * len(payloads[0])}b}"[: bits[0]]
        width = math.ceil(math.log2(2 * beams))
        indicators = "".join(f"{m - 1:0{width}b}" for m in pmi.coefficients[0])
        assert text == indicators + str(data["x1"]) + str(data["x2"])
        count += 1
    assert count == 7


@pytest.mark.parametrize("numbers", BOOKS)
def test_payload_is_as_long_as_the_formula_says_and_decodes_to_the_same_pmi(numbers: tuple[int, ...]) -> None:
    book = Type2Codebook(*numbers)
    pmi = random_type2(book, np.random.default_rng(1), 200)
    payloads, bits = book.encode(pmi)
    n1, n2, L, K, psk, amplitude, v = numbers
    o1o2 = 4 if n2 == 1 else 16
    b, strong = int(math.log2(psk)), {2: 4, 3: 4, 4: 6}[L]
    for row, payload in enumerate(payloads):
        closed = math.ceil(math.log2(o1o2)) + math.ceil(math.log2(math.comb(n1 * n2, L)))
        closed += v * (2 * math.ceil(math.log2(2 * L)) + 3 * (2 * L - 1))
        for m in pmi.coefficients[row].tolist():
            if amplitude:
                closed += K * ((min(m, strong) - 1) * (b + 1) + 2 * (m - min(m, strong)))
            else:
                closed += K * (m - 1) * b
        assert bits[row] == closed == book.payload_bits(pmi.coefficients[row].tolist()) <= book.max_bits
        assert len(payload) == -(-closed // 8)
    assert same(book.decode(payloads), pmi)
    assert len(book.decode([])) == 0
    assert book.encode(book.decode([]))[0] == []


@pytest.mark.parametrize("numbers", BOOKS)
def test_precoders_by_the_sums_of_the_standard(numbers: tuple[int, ...]) -> None:
    n1, n2, L, subbands, psk, amplitude, v = numbers
    book = Type2Codebook(*numbers)
    pmi = random_type2(book, np.random.default_rng(2), 4)
    w = book.precoders(pmi)
    np.testing.assert_allclose(np.linalg.norm(w, axis=2), 1 / math.sqrt(v), rtol=1e-5)
    o1, o2 = 4, 4 if n2 > 1 else 1
    for row in range(4):
        q1, q2 = divmod(int(pmi.group[row]), o2)
        t = row % subbands
        for layer in range(v):
            k1, top = pmi.k1[row, layer], int(pmi.strongest[row, layer])
            # The strongest are found one after the other: a larger amplitude, or the same one and a smaller index.
            left = [i for i in range(2 * L) if i != top and k1[i] > 0]
            full = set()
            while left and len(full) < ({2: 4, 3: 4, 4: 6}[L] if amplitude else 2 * L) - 1:
                best = max(left, key=lambda i: (k1[i], -i))
                left.remove(best)
                full.add(best)
            column = np.zeros(book.ports, complex)
            for i in range(2 * L):
                b2, b1 = divmod(int(pmi.beams[row, i % L]), n1)
                x = [np.exp(2j * np.pi * (o1 * b1 + q1) * a / (o1 * n1)) for a in range(n1)]
                u = [np.exp(2j * np.pi * (o2 * b2 + q2) * a / (o2 * n2)) for a in range(n2)]
                p1 = [0, 1 / 8, math.sqrt(1 / 32), 1 / 4, math.sqrt(1 / 8), 1 / 2, math.sqrt(1 / 2), 1][k1[i]]
                p2 = [math.sqrt(1 / 2), 1][pmi.k2[row, layer, i, t]]
                phase = np.exp(2j * np.pi * pmi.c[row, layer, i, t] / (psk if i in full else 4))
                column[i // L * n1 * n2 : (i // L + 1) * n1 * n2] += p1 * p2 * phase * np.kron(x, u)
            column /= np.linalg.norm(column) * math.sqrt(v)
            np.testing.assert_allclose(w[row, t, :, layer], column, atol=2e-6)


def test_wrong_codebooks_pmis_and_payloads_are_refused() -> None:
    for numbers in [
        (5, 1, 2, 13),
        (2, 1, 3, 13),
        (8, 2, 5, 13),
        (8, 2, 2, 0),
        (8, 2, 2, 13, 16),
        (8, 2, 2, 13, 8, True, 3),
    ]:
        with pytest.raises(SpecError):
            Type2Codebook(*numbers)
    book = Type2Codebook(4, 2, 3, 4, 8, True)
    pmi = random_type2(book, np.random.default_rng(3), 5)
    for change in (
        {"group": pmi.group + 16}, {"beams": pmi.beams[:, ::-1]}, {"strongest": pmi.strongest + 6},
        {"k1": pmi.k1 * 0}, {"k2": pmi.k2 * 0}, {"c": pmi.c + 8}, {"c": pmi.c[..., :3]},
    ):  # fmt: skip
        with pytest.raises(SpecError):
            book.encode(replace(pmi, **change))
    payload = book.encode(pmi)[0][0]
    for wrong in (payload[:-1], payload + b"\0", b"", bytes([payload[0] ^ 0x40]) + payload[1:]):
        with pytest.raises(SpecError):
            book.decode([wrong])
    with pytest.raises(SpecError):
        book.payload_bits([7])
