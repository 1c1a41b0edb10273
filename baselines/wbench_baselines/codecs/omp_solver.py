"""Batched orthogonal matching pursuit over blocks of columns, by incremental QR.

Sources: Y. C. Pati, R. Rezaiifar, P. S. Krishnaprasad, Asilomar 1993; with blocks Y. C. Eldar, P. Kuppinger, H.
Bölcskei, IEEE Trans. Signal Process. 58(6), 2010, Sec. V; QR form: B. L. Sturm, M. G. Christensen, "Comparison of
Orthogonal Matching Pursuit Implementations", EUSIPCO 2012.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError

__all__ = ["BLOCK", "Omp", "Path"]

Floats = npt.NDArray[np.floating[Any]]
BLOCK = 32  # rows pursued together, always as many: what a row gives must not depend on the rows beside it
DEPENDENT = 1e-5  # a unit column with no more than this outside the span of the others lies in it


@dataclass(frozen=True, eq=False)
class Path:
    """What a pursuit picked, in order. A shorter pursuit is the beginning of a longer one.

    Attributes
    ----------
    support : int64 ndarray [n, atoms]
        Blocks.
    triangle : float ndarray [n, atoms·size, atoms·size]
        R of the picked (orthonormal) columns = QR.
    image : float ndarray [n, atoms·size]
        Qᵀy.
    mixing : float ndarray [n, atoms, size, size]
        Takes the coefficients of the orthonormal columns of a block to those of its own columns.
    """

    support: npt.NDArray[np.int64]
    triangle: Floats
    image: Floats
    mixing: Floats

    def coefficients(self, atoms: int) -> Floats:
        """Least-squares coefficients on the first ``atoms`` blocks: [n, atoms, size]."""
        n, size = len(self.support), self.mixing.shape[-1]
        width = min(atoms, self.support.shape[1]) * size
        if not n:
            return np.zeros((0, width // size, size), self.image.dtype)
        solved = np.linalg.solve(self.triangle[:, :width, :width], self.image[:, :width, None])
        return np.asarray(self.mixing[:, : width // size] @ solved.reshape(n, -1, size, 1))[..., 0]


@dataclass(frozen=True, eq=False)
class Omp:
    """Dictionary of blocks of columns; made by :meth:`of_blocks`.

    Attributes
    ----------
    columns : float32 ndarray [M, size·blocks]
        Orthonormal columns of every block: first those with number 0, then those with number 1 …
    mixing : float32 ndarray [blocks, size, size]
        See :class:`Path`.
    """

    columns: Floats
    mixing: Floats

    @classmethod
    def of_blocks(cls, blocks: Floats, dtype: npt.DTypeLike = np.float32) -> Omp:
        """Dictionary of blocks [blocks, size, M], each of linearly independent columns, computed in float64.

        Each block is made orthonormal, so the energy that it takes from a residual is the norm of a product.

        Raises
        ------
        ModelError
            A block's columns are linearly dependent.
        """
        q, r = np.linalg.qr(np.asarray(blocks, np.float64).swapaxes(1, 2))
        diagonal = np.abs(np.diagonal(r, axis1=1, axis2=2))
        if np.any(diagonal.min(axis=1) <= 1e-9 * diagonal.max(axis=1)):
            raise ModelError("OMP needs independent columns in a block.", why="the measurement cannot tell them apart")
        columns = np.concatenate([q[:, :, k] for k in range(q.shape[2])]).T
        return cls(np.ascontiguousarray(columns, dtype), np.linalg.inv(r).astype(dtype))

    @property
    def measurements(self) -> int:
        """M."""
        return len(self.columns)

    def solve(self, y: Floats, atoms: int) -> Path:
        """Pick ``atoms`` blocks for every row of y [n, M], greedily by the energy of the residual that they explain.

        A row whose residual is zero goes on with blocks of coefficient zero.

        Raises
        ------
        ModelError
            More unknowns than measurements, or a measurement that is not finite.
        """
        size = self.mixing.shape[-1]
        if atoms * size > self.measurements or atoms > len(self.mixing):
            why = f"{atoms} blocks of {size}, {self.measurements} measurements, {len(self.mixing)} blocks in all"
            raise ModelError("OMP cannot pick so many atoms.", why=why)
        if not np.isfinite(y).all():
            raise ModelError("OMP needs finite measurements.", why=f"{np.sum(~np.isfinite(y))} of {y.size} are not")
        n, width, dtype = len(y), atoms * size, self.columns.dtype
        support = np.empty((n, atoms), np.int64)
        triangle, image = np.empty((n, width, width), dtype), np.empty((n, width), dtype)
        for start in range(0, n, BLOCK):
            rows = y[start : start + BLOCK].astype(dtype, copy=False)
            padded = np.concatenate([rows, np.zeros((BLOCK - len(rows), rows.shape[1]), dtype)])
            part, count = slice(start, start + len(rows)), len(rows)
            found = self._block(padded, atoms)
            support[part], triangle[part], image[part] = (one[:count] for one in found)
        return Path(support, triangle, image, self.mixing[support])

    def _block(self, y: Floats, atoms: int) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
        n, m = y.shape
        blocks, size = self.mixing.shape[:2]
        basis = np.zeros((n, atoms * size, m), y.dtype)  # rows are the columns of Q
        triangle = np.tile(np.eye(atoms * size, dtype=y.dtype), (n, 1, 1))
        support, image = np.empty((n, atoms), np.int64), np.zeros((n, atoms * size), y.dtype)
        residual, taken = y.copy(), np.zeros((n, blocks), bool)
        every = np.arange(n)
        for atom in range(atoms):
            energy = (residual @ self.columns).reshape(n, size, blocks)
            gain = np.einsum("nsb,nsb->nb", energy, energy)
            gain[taken] = -1
            picked = gain.argmax(axis=1)
            support[:, atom], taken[every, picked] = picked, True
            for k in range(size):
                at = atom * size + k
                column = self.columns[:, picked + k * blocks].T
                column, along, length = _orthogonalise(column, basis[:, :at])
                basis[:, at], triangle[:, :at, at], triangle[:, at, at] = column, along, length
                image[:, at] = np.einsum("nm,nm->n", column, residual)
                residual -= image[:, at, None] * column
        return support, triangle, image


def _orthogonalise(column: Floats, basis: Floats) -> tuple[Floats, Floats, Floats]:
    """Remove the basis [n, k, M] from columns [n, M], twice for float32; what is left, the parts, the length.

    A column inside the span (only picked where the residual is zero) becomes zero with length 1: its coefficient is 0.
    """
    total = np.zeros(basis.shape[:2], column.dtype)
    for _ in range(2):
        along = np.matmul(basis, column[..., None])[..., 0]
        column = column - np.matmul(along[:, None], basis)[:, 0]
        total += along
    length = np.linalg.norm(column, axis=1)
    inside = length < DEPENDENT
    length[inside] = 1
    column[inside] = 0
    return column / length[:, None], total, length
