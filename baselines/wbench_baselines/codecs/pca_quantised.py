"""Precoder feedback with principal components and scalar quantisers: what a linear transform can do with real bits.

Sources: transform coding after Gersho and Gray, "Vector Quantization and Signal Compression", Springer 1992, ch. 8;
quantisers and bits: :mod:`wbench.channel.quantise`. The phases of the sub-bands, which mean nothing, are turned
by alternating projections (generalised Procrustes analysis: Gower, Psychometrika 40(1), 1975), in training and in use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.channel.pmi_fields import RowReader, pack_rows
from wbench.channel.quantise import allocate, lloyd_max
from wbench.errors import ModelError
from wbench.model import Codec, Decoder, Encoder, ModelInfo, Payload, TrainingData
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench.tuning import Search
from wbench_baselines.codecs.common import check_ports, needs_precoders, rowwise

__all__ = ["PcaQuantised", "Transform", "align", "joint_basis", "separable_basis"]

Complex = npt.NDArray[np.complexfloating[Any, Any]]
C64 = npt.NDArray[np.complex64]
Integers = npt.NDArray[np.int64]

MOST_BITS = 8  # per real component
ALTERNATIONS = 4
TRAINING = 20_000  # samples that are learnt from
POOL = 200_000  # numbers that a quantiser is trained on
CHUNK = 512


def align(v: Complex) -> Complex:
    """Turn each sub-band to the one before: ⟨v_s−1, v_s⟩ real and positive. Complex [n, sub-band, P]."""
    inner = np.sum(v[:, :-1].conj() * v[:, 1:], axis=-1)
    turn = np.cumsum(np.angle(inner), axis=1)
    turned = np.concatenate([v[:, :1], v[:, 1:] * np.exp(-1j * turn)[..., None]], axis=1)
    return np.asarray(turned, dtype=np.complex64)


def joint_basis(x: C64) -> Complex:
    """Eigenvectors of the covariance of whole samples [n, sub-band, P]: unitary [sub-band·P, sub-band·P]."""
    rows = x.reshape(len(x), -1)
    return np.asarray(np.linalg.eigh(rows.T @ rows.conj() / len(x))[1][:, ::-1])


def separable_basis(x: C64) -> Complex:
    """Kronecker product of the eigenvectors over sub-bands and over ports: far fewer numbers to estimate."""
    over_ports = x.reshape(-1, x.shape[-1])
    over_bands = x.swapaxes(1, 2).reshape(-1, x.shape[1])
    bands, ports = (np.linalg.eigh(rows.T @ rows.conj() / len(rows))[1] for rows in (over_bands, over_ports))
    return np.asarray(np.kron(bands, ports))


@dataclass(frozen=True, eq=False)
class Transform:
    """A trained transform code: basis, and levels of each real component.

    Attributes
    ----------
    basis : complex64 ndarray [sub-band·P, k]
        Orthonormal columns.
    bits : int64 ndarray [2k − 1]
        Of the real parts of all components and the imaginary parts of all but the first, whose phase is the sample's.
    levels : tuple of float64 ndarray
        One per real component, 2^bits increasing levels.
    shape : tuple of int
        (sub-band, P).
    """

    basis: C64
    bits: Integers
    levels: tuple[npt.NDArray[np.float64], ...]
    shape: tuple[int, int]

    def project(self, v: Complex) -> Complex:
        """Components complex64 [n, k] of targets [n, sub-band, P] whose sub-bands are free to turn."""
        analysis, synthesis = self.basis.conj(), np.ascontiguousarray(self.basis.T)
        x = align(v)
        for _ in range(ALTERNATIONS):
            near = rowwise(rowwise(x.reshape(len(x), -1), analysis), synthesis).reshape(x.shape)
            x = turn_to(x, near)
        found = rowwise(x.reshape(len(x), -1), analysis)
        first = found[:, :1]
        return found * np.exp(-1j * np.angle(first)).astype(np.complex64)

    def quantise(self, components: Complex) -> Integers:
        """Number of the nearest level of each real component, int64 [n, 2k − 1]."""
        reals = as_reals(components)
        columns = [np.searchsorted((c[:-1] + c[1:]) / 2, reals[:, i]) for i, c in enumerate(self.levels)]
        return np.stack(columns, axis=1).astype(np.int64)

    def restore(self, numbers: Integers) -> C64:
        """Precoders complex64 [n, sub-band, P] of level numbers."""
        reals = np.stack([levels[numbers[:, i]] for i, levels in enumerate(self.levels)], axis=1)
        k = self.basis.shape[1]
        imaginary = np.concatenate([np.zeros((len(reals), 1)), reals[:, k:]], axis=1)
        components = (reals[:, :k] + 1j * imaginary).astype(np.complex64)
        return rowwise(components, np.ascontiguousarray(self.basis.T)).reshape(-1, *self.shape).astype(np.complex64)


def as_reals(components: Complex) -> npt.NDArray[np.floating[Any]]:
    """Real parts of all components, then imaginary parts of all but the first: [n, 2k − 1]."""
    return np.concatenate([components.real, components.imag[:, 1:]], axis=1)


def turn_to(x: Complex, near: Complex) -> C64:
    """Turn each sub-band of ``x`` to the phase that is nearest to ``near``."""
    inner = np.sum(x.conj() * near, axis=-1, keepdims=True)
    return np.asarray(x * np.exp(1j * np.angle(inner)), dtype=np.complex64)


def train_transform(v: Complex, bits: int, *, joint: bool) -> Transform:
    """Train basis, bit allocation and quantisers on precoders.

    Parameters
    ----------
    v : complex ndarray [n, sub-band, P]
        Training precoders.
    bits : int
        Bits of a payload, all used.
    joint : bool
        Whether the basis is that of whole samples or a Kronecker product.
    """
    x, few = align(v), max(1, bits // 4)
    for _ in range(ALTERNATIONS):
        basis = _sorted_basis(x, joint)[:, :few]
        rows = x.reshape(len(x), -1)
        x = turn_to(x, ((rows @ basis.conj()) @ basis.T).reshape(x.shape))
    # Bits go to at most as many components as there are bits: the first has one real, the others have two.
    basis = _sorted_basis(x, joint)[:, : 1 + bits // 2]
    draft = Transform(basis, np.zeros(0, dtype=np.int64), (), (v.shape[1], v.shape[2]))
    chunks = [as_reals(draft.project(v[i : i + CHUNK])) for i in range(0, len(v), CHUNK)]
    reals = np.concatenate(chunks).astype(np.float64)
    variance = np.mean(reals**2, axis=0)
    scale = np.sqrt(np.maximum(variance, np.finfo(np.float64).tiny))
    shapes = [_family(reals[:, :1] / scale[:1]), _family(reals[:, 1:] / scale[1:] if reals.shape[1] > 1 else reals)]
    kinds = np.minimum(np.arange(len(scale)), 1)
    errors = np.array([[distortion for _, distortion in shape] for shape in shapes])
    shares = allocate(variance, errors[kinds], bits)
    k = basis.shape[1]
    used = 1 + max(np.flatnonzero(shares[:k]).max(initial=0), np.flatnonzero(shares[k:]).max(initial=-1) + 1)
    keep = np.concatenate([np.arange(used), k + np.arange(used - 1)])
    levels = tuple(scale[i] * shapes[kinds[i]][shares[i]][0] for i in keep)
    return Transform(np.ascontiguousarray(basis[:, :used]), shares[keep], levels, draft.shape)


def _sorted_basis(x: C64, joint: bool) -> C64:
    basis = (joint_basis if joint else separable_basis)(x).astype(np.complex64)
    energy = sum(np.sum(np.abs(part @ basis.conj()) ** 2, axis=0) for part in np.array_split(x.reshape(len(x), -1), 8))
    return np.ascontiguousarray(basis[:, np.argsort(-np.asarray(energy), kind="stable")])


def _family(pool: npt.NDArray[np.floating[Any]]) -> list[tuple[npt.NDArray[np.float64], float]]:
    """Quantisers of 0 … MOST_BITS bits of pooled numbers, with their distortions."""
    numbers = pool.ravel()[:: max(1, pool.size // POOL)]
    return [lloyd_max(numbers, 1 << bits) for bits in range(MOST_BITS + 1)]


@dataclass(frozen=True)
class PcaEncoder:
    """Project, quantise, pack."""

    transform: Transform

    def __call__(self, batch: Batch) -> list[Payload]:
        """One payload of ``transform.bits.sum()`` bits per sample."""
        payloads: list[Payload] = []
        for start in range(0, len(batch), CHUNK):
            numbers = self.transform.quantise(self.transform.project(batch.x["H"][start : start + CHUNK]))
            data, sizes = pack_rows([(numbers, self.transform.bits[None])])
            payloads += [Payload(each, size) for each, size in zip(data, sizes.tolist(), strict=True)]
        return payloads


@dataclass(frozen=True)
class PcaDecoder:
    """Unpack, restore."""

    transform: Transform

    def __call__(self, payloads: Sequence[Payload]) -> Complex:
        """Precoders complex64 [n, sub-band, P]."""
        reader = RowReader([payload.data for payload in payloads])
        numbers = reader.read(self.transform.bits[None], len(self.transform.bits))
        reader.finish()
        return self.transform.restore(numbers)


class PcaQuantised(Codec):
    """Principal components of phase-aligned precoders, with Lloyd–Max quantisers and all bits of the limit.

    The basis is the better one on the validation part of two: eigenvectors of whole samples, or the Kronecker product
    of eigenvectors over sub-bands and over ports, which needs fewer samples.
    """

    info = ModelInfo(
        name="wbench/pca-quantised",
        revision="1",
        kind="classical",
        summary="principal components of phase-aligned precoders, Lloyd-Max quantisers, greedy bit allocation",
        source="Gersho, Gray 1992, ch. 8; Lloyd 1982",
        licence="Apache-2.0",
        trains=True,
    )
    transform: Transform | None = None

    def supports(self, spec: TaskSpec) -> str | None:
        """Serve tasks that feed precoders back."""
        return needs_precoders(spec, 1)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Check that a sample is one vector over the ports per sub-band."""
        super().setup(spec, meta)
        check_ports(spec, meta)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Train both transforms, keep the one with the larger SGCS on validation."""
        learn, check = _targets(train), _targets(val)
        if not len(learn):
            raise ModelError("The transform has nothing to learn from.", where=self.info.name, why="no training sample")
        limit = self.spec.limit.max_bits if self.spec.limit else 0
        candidates = [train_transform(learn, limit, joint=joint) for joint in (False, True)]
        search = Search(self.info.name, "sgcs", larger=True)
        for basis, candidate in zip(("separable", "joint"), candidates, strict=True):
            search.add(_sgcs(check if len(check) else learn, candidate), {"basis": basis})
        self.searches = (search,)
        self.transform = candidates[search.best]

    def count_parameters(self) -> int:
        """Real numbers of the basis and of the levels."""
        if self.transform is None:
            return 0
        return 2 * self.transform.basis.size + sum(map(len, self.transform.levels))

    def encoder(self) -> Encoder:
        """Project, quantise, pack."""
        return PcaEncoder(self._fitted())

    def decoder(self) -> Decoder:
        """Unpack, restore."""
        return PcaDecoder(self._fitted())

    def _fitted(self) -> Transform:
        if self.transform is None:
            raise ModelError(f"{self.info.name} has no transform yet.", next_step="call fit() first")
        return self.transform


def _targets(data: TrainingData) -> C64:
    parts: list[C64] = [np.zeros((0, *data.meta.shape), dtype=np.complex64)]
    for _, truth in data.batches(CHUNK):
        parts.append(truth["H"].astype(np.complex64, copy=False))
        if sum(map(len, parts)) >= TRAINING:
            break
    return np.concatenate(parts)[:TRAINING]


def _sgcs(v: C64, transform: Transform) -> float:
    total = 0.0
    for start in range(0, len(v), CHUNK):
        part = v[start : start + CHUNK]
        w = transform.restore(transform.quantise(transform.project(part)))
        norms = np.linalg.norm(w, axis=-1) * np.linalg.norm(part, axis=-1)
        cosine = np.abs(np.sum(part.conj() * w, axis=-1)) / np.where(norms > 0, norms, math.inf)
        total += float(np.sum(np.mean(cosine.astype(np.float64) ** 2, axis=1)))
    return total / len(v)
