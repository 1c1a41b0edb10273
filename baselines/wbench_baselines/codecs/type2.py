"""Precoder feedback with the Type II codebook (Rel-15), rank 1.

Source: 3GPP TS 38.214 §5.2.2.2.3 (codebook) and TS 38.212 §6.3.2.1.2 (bits), in :mod:`wbench.channel.pmi_type2`. The
standard leaves the choice of the PMI to the UE; here beams are chosen by energy
(:mod:`wbench_baselines.codecs.pmi_search`), amplitudes and phases are the nearest levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.pmi_type1 import CONFIGURATIONS
from wbench.channel.pmi_type2 import P1, P2, Type2Codebook, Type2Pmi
from wbench.errors import ModelError, SpecError
from wbench.model import Codec, Decoder, Encoder, ModelInfo, Payload
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.codecs.common import needs_precoders
from wbench_baselines.codecs.pmi_search import align_to_strongest, check_panel, choose_beams

__all__ = ["Type2", "Type2Decoder", "Type2Encoder", "largest_that_fits", "select"]

CHUNK = 256  # samples searched at a time
Complex = npt.NDArray[np.complexfloating[Any, Any]]
P1_EDGES = (P1[:-1] + P1[1:]) / 2
#: (L, N_PSK, sub-band amplitude) by growing report. The five others of the standard, all with QPSK, are left out: for
#: (8, 2) and (4, 2) a shorter report has a higher SGCS than any of them.
SETTINGS = (
    (2, 4, False), (2, 8, False), (2, 8, True), (3, 8, False), (3, 8, True), (4, 8, False), (4, 8, True),
)  # fmt: skip
#: Wideband over rms amplitude where sub-bands can say √½: the rms of the two levels is √¾.
SUBBAND_GAIN = 2 / math.sqrt(3)


def select(book: Type2Codebook, v: Complex) -> Type2Pmi:
    """Choose the PMI of precoders.

    Parameters
    ----------
    book : Type2Codebook
    v : complex ndarray [n, sub-band, P] or, for rank 2, [n, sub-band, P, 2]
        Target precoders.

    Returns
    -------
    Type2Pmi
    """
    targets = v[:, None] if v.ndim == 3 else np.moveaxis(v, -1, 1)
    found = choose_beams(book.panel, targets, book.beams)
    aligned, strongest = align_to_strongest(found.spectrum)
    top = np.arange(2 * book.beams) == strongest[..., None]
    rms = np.sqrt(np.mean(aligned.real**2 + aligned.imag**2, axis=-1))
    scale = np.take_along_axis(rms, strongest[..., None], axis=-1)
    relative = rms / scale
    k1 = np.where(top, 7, np.searchsorted(P1_EDGES, relative * (SUBBAND_GAIN if book.subband_amplitude else 1)))
    full, coarse = book.sets(k1, strongest)
    alphabet = np.where(full, book.phases, np.where(coarse, 4, 1))[..., None]
    c = np.round(np.angle(aligned) * (alphabet / (2 * np.pi))).astype(np.int64) % alphabet
    k2 = np.ones(c.shape, dtype=np.int64)
    if book.subband_amplitude:
        here = np.abs(np.take_along_axis(aligned, strongest[..., None, None], axis=2))
        small = np.abs(aligned) < P2.mean() * P1[k1][..., None] * here
        k2[small & full[..., None]] = 0
    return Type2Pmi(found.group, found.beams, strongest, k1, k2, c)


def largest_that_fits(n1: int, n2: int, subbands: int, limit: int) -> Type2Codebook | None:
    """Rank-1 codebook with the longest report, at worst, of those that always fit ``limit`` bits; None if none."""
    books = []
    for setting in SETTINGS:
        with suppress(SpecError):  # not allowed for this panel
            books.append(Type2Codebook(n1, n2, setting[0], subbands, *setting[1:]))
    fitting = [book for book in books if book.max_bits <= limit]
    return max(fitting, key=lambda book: book.max_bits, default=None)


@dataclass(frozen=True)
class Type2Encoder:
    """Target precoders → payloads of the codebook."""

    book: Type2Codebook

    def __call__(self, batch: Batch) -> list[Payload]:
        """Select and pack, a chunk at a time."""
        payloads: list[Payload] = []
        for start in range(0, len(batch), CHUNK):
            data, bits = self.book.encode(select(self.book, batch.x["H"][start : start + CHUNK]))
            payloads += [Payload(each, size) for each, size in zip(data, bits.tolist(), strict=True)]
        return payloads


@dataclass(frozen=True)
class Type2Decoder:
    """Payloads → precoders of the codebook."""

    book: Type2Codebook

    def __call__(self, payloads: Sequence[Payload]) -> Complex:
        """Unpack and combine: complex64 [n, sub-band, P], each vector of norm 1."""
        out = np.empty((len(payloads), self.book.subbands, self.book.ports), dtype=np.complex64)
        for start in range(0, len(payloads), CHUNK):
            part = [payload.data for payload in payloads[start : start + CHUNK]]
            out[start : start + CHUNK] = self.book.precoders(self.book.decode(part))[..., 0]
        return out


class Type2(Codec):
    """A few beams, their phases reported per sub-band: two to four times the bits of the enhanced codebook.

    Takes the longest configuration (L, phase alphabet, sub-band amplitudes) that always fits the limit. The indicators
    of M_l, which the standard puts into CSI part 1, count.
    """

    info = ModelInfo(
        name="wbench/type2",
        revision="1",
        kind="classical",
        summary="3GPP Type II PMI (Rel-15), rank 1, largest configuration that fits the limit",
        source="3GPP TS 38.214 §5.2.2.2.3; bits: TS 38.212 §6.3.2.1.2",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Serve tasks that feed precoders back if the limit holds L = 2 with QPSK on every panel."""
        subbands = int(spec.params.get("subbands", 1))
        return needs_precoders(spec, max(Type2Codebook(*shape, 2, subbands, 4).max_bits for shape in CONFIGURATIONS))

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Take the codebook of the transmit array: N1 columns, N2 rows, two polarisations."""
        super().setup(spec, meta)
        check_panel(spec, meta)
        limit = spec.limit.max_bits if spec.limit else 0
        book = largest_that_fits(meta.tx.cols, meta.tx.rows, meta.shape[0], limit)
        if book is None:
            why = f"limit {limit} bits, panel ({meta.tx.cols}, {meta.tx.rows}), {meta.shape[0]} sub-bands"
            raise ModelError("No Type II codebook fits.", where=f"task {spec.name}", why=why)
        self.book = book

    def encoder(self) -> Encoder:
        """Select the PMI."""
        return Type2Encoder(self.book)

    def decoder(self) -> Decoder:
        """Combine beams."""
        return Type2Decoder(self.book)
