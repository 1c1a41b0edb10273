"""Precoder feedback with the enhanced Type II codebook (Rel-16), rank 1.

Source: 3GPP TS 38.214 §5.2.2.2.5 (codebook) and TS 38.212 §6.3.2.1.2 (bits), in
:mod:`wbench.channel.pmi_etype2`. The standard leaves the choice of the PMI to the UE; here it is
:mod:`wbench_baselines.codecs.pmi_search`, then the nearest levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.channel.pmi_etype2 import COMBINATIONS, P1, P2, EType2Codebook, EType2Pmi
from wbench.channel.pmi_etype2_bits import decode, encode
from wbench.channel.pmi_type1 import CONFIGURATIONS
from wbench.errors import ModelError, SpecError
from wbench.model import Codec, Decoder, Encoder, ModelInfo, Payload
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.codecs.common import needs_precoders
from wbench_baselines.codecs.pmi_search import Taps, check_panel, choose_beams, choose_taps

__all__ = ["EType2", "EType2Decoder", "EType2Encoder", "allowed", "largest_that_fits", "quantise", "select"]

CHUNK = 256  # samples searched at a time
Complex = npt.NDArray[np.complexfloating[Any, Any]]

# Halfway between neighbouring levels; below half of the smallest one a coefficient is better left out.
P1_EDGES = (P1[1:-1] + P1[2:]) / 2
P2_EDGES = np.concatenate([[P2[0] / 2], (P2[:-1] + P2[1:]) / 2])


def quantise(group: npt.NDArray[np.int64], beams: npt.NDArray[np.int64], taps: Taps) -> EType2Pmi:
    """Nearest levels of reference amplitudes, differential amplitudes and phases, relative to the strongest.

    Parameters
    ----------
    group, beams : int64 ndarray [n], [n, L]
    taps : Taps
        Coefficients that may be reported.

    Returns
    -------
    EType2Pmi
        Coefficients below half of the smallest level are left out.
    """
    rows = taps.amplitudes.shape[2]
    beam = np.arange(rows)
    strongest = taps.strongest[..., None]
    at_zero = np.take_along_axis(taps.amplitudes[..., 0], strongest, axis=2)
    relative = taps.amplitudes / np.where(at_zero == 0, 1, at_zero)[..., None]
    size = np.abs(relative)
    other = (beam >= rows // 2) != (strongest >= rows // 2)
    k1 = 1 + np.searchsorted(P1_EDGES, np.max(np.where(other[..., None], size, 0), axis=(2, 3)))
    reference = np.where(other, P1[k1][..., None], 1.0)[..., None]
    level = np.searchsorted(P2_EDGES, size / reference)
    top = (beam[:, None] == strongest[..., None]) & (np.arange(size.shape[-1]) == 0)
    nonzero = (level > 0) | top
    phase = np.round(np.angle(relative) * (16 / (2 * np.pi))).astype(np.int64) % 16
    k2 = np.where(top, 7, np.maximum(level - 1, 0))
    c = np.where(nonzero & ~top, phase, 0)
    return EType2Pmi(group, beams, taps.start, taps.taps, nonzero, taps.strongest, k1, k2, c)


def select(book: EType2Codebook, v: Complex) -> EType2Pmi:
    """Choose the PMI of precoders.

    Parameters
    ----------
    book : EType2Codebook
    v : complex ndarray [n, N3, P] or, for rank 2, [n, N3, P, 2]
        Target precoders.

    Returns
    -------
    EType2Pmi
    """
    targets = v[:, None] if v.ndim == 3 else np.moveaxis(v, -1, 1)
    found = choose_beams(book.panel, targets, book.beams)
    taps = choose_taps(found.spectrum, book.taps, book.most, windowed=book.windowed)
    return quantise(found.group, found.beams, taps)


def allowed(n1: int, n2: int, subbands: int) -> dict[int, EType2Codebook]:
    """Rank-1 codebooks, R = 1, that the standard allows for a panel, by ``paramCombination``."""
    books = {}
    for combination in COMBINATIONS:
        with suppress(SpecError):
            books[combination] = EType2Codebook(n1, n2, combination, subbands)
    return books


def largest_that_fits(n1: int, n2: int, subbands: int, limit: int) -> int | None:
    """``paramCombination`` with the longest report, at worst, of those that always fit ``limit`` bits; None if none."""
    sizes = {number: book.max_bits for number, book in allowed(n1, n2, subbands).items() if book.max_bits <= limit}
    return max(sizes, key=lambda number: (sizes[number], number), default=None)


@dataclass(frozen=True)
class EType2Encoder:
    """Target precoders → payloads of the codebook."""

    book: EType2Codebook

    def __call__(self, batch: Batch) -> list[Payload]:
        """Select and pack, a chunk at a time."""
        payloads: list[Payload] = []
        for start in range(0, len(batch), CHUNK):
            data, bits = encode(self.book, select(self.book, batch.x["H"][start : start + CHUNK]))
            payloads += [Payload(each, size) for each, size in zip(data, bits.tolist(), strict=True)]
        return payloads


@dataclass(frozen=True)
class EType2Decoder:
    """Payloads → precoders of the codebook."""

    book: EType2Codebook

    def __call__(self, payloads: Sequence[Payload]) -> Complex:
        """Unpack and combine: complex64 [n, sub-band, P], each vector of norm 1."""
        out = np.empty((len(payloads), self.book.subbands, self.book.ports), dtype=np.complex64)
        for start in range(0, len(payloads), CHUNK):
            part = [payload.data for payload in payloads[start : start + CHUNK]]
            out[start : start + CHUNK] = self.book.precoders(decode(self.book, part))[..., 0]
        return out


def _info(combination: int | None) -> ModelInfo:
    what = "largest paramCombination that fits the limit" if combination is None else f"paramCombination {combination}"
    return ModelInfo(
        name="wbench/etype2" if combination is None else f"wbench/etype2-pc{combination}",
        revision="1",
        kind="classical",
        summary=f"3GPP enhanced Type II PMI (Rel-16), rank 1, {what}",
        source="3GPP TS 38.214 §5.2.2.2.5; bits: TS 38.212 §6.3.2.1.2",
        licence="Apache-2.0",
    )


class EType2(Codec):
    """A few beams with a few delay taps each: the codebook that learned codecs are measured against.

    The indicator of K^NZ, which the standard puts into CSI part 1, counts. Each sub-band of the task is a PMI sub-band
    (R = 1).
    """

    info = _info(None)
    combination: ClassVar[int | None] = None

    def supports(self, spec: TaskSpec) -> str | None:
        """Serve tasks that feed precoders back if the limit holds the longest report of every panel."""
        subbands = int(spec.params.get("subbands", 1))
        bits = _most_bits(self.combination or 1, subbands)
        return f"no codebook has {subbands} sub-bands with R = 1" if bits is None else needs_precoders(spec, bits)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Take the codebook of the transmit array: N1 columns, N2 rows, two polarisations."""
        super().setup(spec, meta)
        check_panel(spec, meta)
        limit = spec.limit.max_bits if spec.limit else 0
        tx, subbands = meta.tx, meta.shape[0]
        combination = self.combination or largest_that_fits(tx.cols, tx.rows, subbands, limit)
        if combination is None:
            why = f"limit {limit} bits, panel ({tx.cols}, {tx.rows}), {subbands} sub-bands"
            raise ModelError("No enhanced Type II codebook fits.", where=f"task {spec.name}", why=why)
        self.book = EType2Codebook(tx.cols, tx.rows, combination, subbands)

    def encoder(self) -> Encoder:
        """Select the PMI."""
        return EType2Encoder(self.book)

    def decoder(self) -> Decoder:
        """Combine beams and taps."""
        return EType2Decoder(self.book)


def _most_bits(combination: int, subbands: int) -> int | None:
    """Longest report of a ``paramCombination`` over all panels that allow it; None if none does."""
    books = [allowed(n1, n2, subbands).get(combination) for n1, n2 in CONFIGURATIONS]
    return max((book.max_bits for book in books if book is not None), default=None)


class EType2Pc1(EType2):
    """``paramCombination`` 1: L = 2, p = 1/4, β = 1/4."""

    info, combination = _info(1), 1


class EType2Pc2(EType2):
    """``paramCombination`` 2: L = 2, p = 1/4, β = 1/2."""

    info, combination = _info(2), 2


class EType2Pc3(EType2):
    """``paramCombination`` 3: L = 4, p = 1/4, β = 1/4."""

    info, combination = _info(3), 3


class EType2Pc4(EType2):
    """``paramCombination`` 4: L = 4, p = 1/4, β = 1/2."""

    info, combination = _info(4), 4


class EType2Pc5(EType2):
    """``paramCombination`` 5: L = 4, p = 1/4, β = 3/4."""

    info, combination = _info(5), 5


class EType2Pc6(EType2):
    """``paramCombination`` 6: L = 4, p = 1/2, β = 1/2."""

    info, combination = _info(6), 6


class EType2Pc7(EType2):
    """``paramCombination`` 7: L = 6, p = 1/4, β = 1/2; 32 ports."""

    info, combination = _info(7), 7


class EType2Pc8(EType2):
    """``paramCombination`` 8: L = 6, p = 1/4, β = 3/4; 32 ports."""

    info, combination = _info(8), 8
