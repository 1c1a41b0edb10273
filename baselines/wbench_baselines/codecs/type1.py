"""Precoder feedback with the Type I single-panel codebook, rank 1, codebook mode 1.

Source: 3GPP TS 38.214 §5.2.2.2.1 (the codebook, :mod:`wbench.channel.pmi_type1`). The standard leaves the choice of the
PMI to the UE; here it is the one with the largest beamforming gain, i.e. the largest SGCS that the codebook allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.pmi_type1 import CONFIGURATIONS, Type1Codebook
from wbench.errors import ModelError
from wbench.model import Codec, Decoder, Encoder, ModelInfo, Payload
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.codecs.common import check_ports, needs_precoders

__all__ = ["Type1", "Type1Decoder", "Type1Encoder", "select"]

Integers = npt.NDArray[np.int64]
CHUNK = 256  # samples whose gains on all beams are held at a time: 256 × 13 × 256 complex numbers


def select(
    codebook: Type1Codebook, v: npt.NDArray[np.complexfloating[Any, Any]]
) -> tuple[Integers, Integers, Integers]:
    """Choose beam and co-phasing: argmax over (l, m) of Σ_s max_n |v_s^H w_{l,m,n}|², then n per sub-band.

    Parameters
    ----------
    codebook : Type1Codebook
        Rank 1, mode 1.
    v : complex ndarray [n, subband, P]
        Target precoders.

    Returns
    -------
    i11, i12 : int64 ndarray [n]
    i2 : int64 ndarray [n, subband]

    Notes
    -----
    With a = v_1^H b and c = v_2^H b, the gains of beam b on the two polarisations, the gain of [b; φ_n b] is
    |a|² + |c|² + 2 Re(φ_n a* c), φ_n = jⁿ: one product with all beams instead of one with all precoders.
    """
    beams = codebook.beams.reshape(-1, codebook.ports // 2)
    chosen, phases = [], []
    for start in range(0, len(v), CHUNK):
        part = v[start : start + CHUNK]
        n, subbands, _ = part.shape
        gains = (part.conj().reshape(n, 2 * subbands, -1) @ beams.T).reshape(n, subbands, 2, -1)
        a, c = gains[:, :, 0], gains[:, :, 1]
        power = np.abs(a) ** 2 + np.abs(c) ** 2
        cross = a.conj() * c
        best = np.argmax(np.sum(power + 2 * np.maximum(np.abs(cross.real), np.abs(cross.imag)), axis=1), axis=-1)
        of_best = np.take_along_axis(cross, best[:, None, None], axis=2)[..., 0]
        # Re(jⁿ x) for n = 0 … 3
        phases.append(np.argmax([of_best.real, -of_best.imag, -of_best.real, of_best.imag], axis=0))
        chosen.append(best)
    if not chosen:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, np.zeros(v.shape[:2], dtype=np.int64)
    i11, i12 = np.divmod(np.concatenate(chosen), codebook.beams.shape[1])
    return i11, i12, np.concatenate(phases)


@dataclass(frozen=True)
class Type1Encoder:
    """Target precoders → i1,1, i1,2 and one i2 per sub-band, in ``codebook.bits`` bits."""

    codebook: Type1Codebook

    def __call__(self, batch: Batch) -> list[Payload]:
        """Select and pack."""
        every = zip(*select(self.codebook, batch.x["H"]), strict=True)
        return [Payload(self.codebook.pack(i11, i12, 0, i2), self.codebook.bits) for i11, i12, i2 in every]


@dataclass(frozen=True, eq=False)
class Type1Decoder:
    """Payloads → precoders of the codebook; ``table`` is its :meth:`~Type1Codebook.precoders`."""

    codebook: Type1Codebook
    table: npt.NDArray[np.complex64]

    def __call__(self, payloads: Sequence[Payload]) -> npt.NDArray[np.complexfloating[Any, Any]]:
        """Unpack and look up: complex64 [n, subband, P], each vector of norm 1."""
        out = np.empty((len(payloads), self.codebook.subbands, self.codebook.ports), dtype=np.complex64)
        for row, payload in zip(out, payloads, strict=True):
            i11, i12, i13, i2 = self.codebook.unpack(payload.data)
            row[:] = self.table[i11, i12, i13, list(i2), :, 0]
        return out


class Type1(Codec):
    """What a 5G UE reports at least: one beam for the band, one co-phasing of the polarisations per sub-band."""

    info = ModelInfo(
        name="wbench/type1",
        revision="1",
        kind="classical",
        summary="3GPP Type I single-panel PMI, rank 1, mode 1: one beam, co-phasing per sub-band",
        source="3GPP TS 38.214 §5.2.2.2.1; bits: TS 38.212 §6.3.1.1.2",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Serve tasks that feed precoders back if the limit holds the PMI of the largest antenna configuration."""
        subbands = int(spec.params.get("subbands", 1))
        return needs_precoders(spec, max(Type1Codebook(*shape, subbands=subbands).bits for shape in CONFIGURATIONS))

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Take the codebook of the transmit array: N1 columns, N2 rows, two polarisations."""
        super().setup(spec, meta)
        check_ports(spec, meta)
        if meta.tx.polarisations != 2:
            raise ModelError(
                "The Type I codebook is made for two polarisations.",
                where=f"task {spec.name}",
                why=f"the array has {meta.tx.polarisations}",
            )
        # No port is permuted: pol·16 + col·rows + row is pol·N1·N2 + n1·N2 + n2.
        self.codebook = Type1Codebook(meta.tx.cols, meta.tx.rows, subbands=meta.shape[0])

    def encoder(self) -> Encoder:
        """Select the PMI."""
        return Type1Encoder(self.codebook)

    def decoder(self) -> Decoder:
        """Look the PMI up."""
        return Type1Decoder(self.codebook, self.codebook.precoders())
