"""Karhunen–Loève transform codec: the first principal components of the training channels.

Source: I. T. Jolliffe, "Principal Component Analysis", 2nd ed., Springer 2002, Sec. 2.1 property A5 (no linear map to K
numbers and back has a smaller mean squared error); snapshots: L. Sirovich, Q. Appl. Math. 45(3), 1987.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import Codec, Decoder, Encoder, ModelInfo, Payload, TrainingData
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec
from wbench_baselines.codecs.common import from_reals, needs_reals, rowwise, stack_reals, to_reals

__all__ = ["Klt", "KltDecoder", "KltEncoder", "principal_basis"]

FIT_BATCH = 1024


@dataclass(frozen=True, eq=False)
class KltEncoder:
    """K complex coefficients per sample, as 2K float32 numbers; ``basis`` is complex64 [N, K]."""

    basis: npt.NDArray[np.complex64]

    def __call__(self, batch: Batch) -> list[Payload]:
        """Project each channel on the basis."""
        rows = batch.x["H"].reshape(len(batch), -1).astype(np.complex64, copy=False)
        return [Payload.of_reals(reals) for reals in to_reals(rowwise(rows, self.basis))]


@dataclass(frozen=True, eq=False)
class KltDecoder:
    """Expand K complex coefficients; ``synthesis`` is the conjugate transpose of the basis, complex64 [K, N]."""

    synthesis: npt.NDArray[np.complex64]
    shape: tuple[int, ...]

    def __call__(self, payloads: Sequence[Payload]) -> npt.NDArray[np.complexfloating[Any, Any]]:
        """Channels complex64 [n, *shape]."""
        rank = len(self.synthesis)
        coefficients = from_reals(stack_reals(payloads, 2 * rank), (rank,))
        return rowwise(coefficients, self.synthesis).reshape(len(payloads), *self.shape)


class Klt(Codec):
    """Projection on the dominant eigenvectors of the training covariance, as complex vectors and about zero.

    Complex, because the task turns every sample by a uniform phase: the channel is then a proper complex vector, the
    covariance of its 2N real parts is the real form of the N × N complex one, and its eigenvectors come in pairs h, jh.
    A real transform of 2K numbers spans the same space, but would estimate it from half the structure. About zero,
    because the same phase makes the mean zero; an estimated one would be noise.
    """

    info = ModelInfo(
        name="wbench/klt",
        revision="1",
        kind="classical",
        summary="Karhunen–Loève transform: dominant eigenvectors of the complex training covariance",
        source="Jolliffe 2002, Sec. 2.1, property A5",
        licence="Apache-2.0",
        trains=True,
    )
    basis: npt.NDArray[np.complex64] | None = None

    def supports(self, spec: TaskSpec) -> str | None:
        """Serve tasks that limit real numbers to two (one complex coefficient) or more."""
        return needs_reals(spec, least=2)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Eigenvectors of the covariance of the training channels."""
        size = math.prod(self.meta.shape)
        rank = min((self.spec.limit.reals or 0) // 2 if self.spec.limit else 0, size)
        basis, self.eigenvalues = principal_basis(train, size, rank)
        self.basis = basis.astype(np.complex64)

    def count_parameters(self) -> int:
        """Real numbers of the basis."""
        return 0 if self.basis is None else 2 * self.basis.size

    def encoder(self) -> Encoder:
        """Project."""
        return KltEncoder(self._fitted())

    def decoder(self) -> Decoder:
        """Expand."""
        return KltDecoder(np.ascontiguousarray(self._fitted().conj().T), self.meta.shape)

    def _fitted(self) -> npt.NDArray[np.complex64]:
        if self.basis is None:
            raise ModelError(f"{self.info.name} has no basis yet.", next_step="call fit() first")
        return self.basis


def principal_basis(
    train: TrainingData, size: int, rank: int
) -> tuple[npt.NDArray[np.complex128], npt.NDArray[np.float64]]:
    """Dominant eigenvectors of X^H X / n, X [n, size] the flattened training channels as rows.

    Parameters
    ----------
    train : TrainingData
        Channels; with fewer samples than ``size`` the n × n Gram matrix is decomposed instead (same eigenvalues).
    size, rank : int
        Length of a channel; number of eigenvectors.

    Returns
    -------
    basis : complex128 ndarray [size, k]
        Orthonormal columns; a row h is approximated by (h @ basis) @ basis^H. k ≤ rank, fewer if X has lower rank.
    eigenvalues : float64 ndarray [min(n, size)]
        All of them, descending; the sum of those beyond k is the mean squared error on the training channels.

    Raises
    ------
    ModelError
        There is no training sample, or all are zero.
    """
    few = len(train) < size
    parts: list[npt.NDArray[np.complex128]] = []
    covariance = np.zeros((size, size), dtype=np.complex128)
    for _, truth in train.batches(FIT_BATCH):
        rows = truth["H"].reshape(len(truth["H"]), -1)
        if few:
            parts.append(rows.astype(np.complex128))
        else:
            covariance += rows.conj().T @ rows
    samples = np.concatenate(parts) if parts else np.zeros((0, size), np.complex128)
    moments = (samples @ samples.conj().T if few else covariance) / max(len(train), 1)
    values, vectors = np.linalg.eigh(moments)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    # Below this the Gram route would divide rounding errors by rounding errors.
    kept = min(rank, int(np.sum(values > values[:1].sum() * size * np.finfo(np.float64).eps)))
    if not kept:
        raise ModelError("The KLT has nothing to learn from.", why=f"{len(train)} training samples, all zero")
    basis = vectors[:, :kept]
    if few:
        basis = samples.conj().T @ basis / np.sqrt(len(train) * values[:kept])
    return basis, values
