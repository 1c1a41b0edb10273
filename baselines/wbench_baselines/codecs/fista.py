"""Batched LASSO and group LASSO by FISTA with backtracking, adaptive restart and a duality-gap certificate.

Sources: A. Beck, M. Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse Problems", SIAM J.
Imaging Sci. 2(1), 2009 (the iteration, eq. 4.1-4.3, and its backtracking rule); B. O'Donoghue, E. Candès, "Adaptive
Restart for Accelerated Gradient Schemes", Found. Comput. Math. 15, 2015, eq. 13 (gradient restart); S.-J. Kim et al.,
"An Interior-Point Method for Large-Scale l1-Regularized Least Squares", IEEE JSTSP 1(4), 2007, eq. 11-13 (dual point).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench_baselines.codecs.common import rowwise

__all__ = ["GROUP", "L1", "L1Norm", "PairNorm", "Penalty", "Solution", "lambda_max", "objective", "solve"]

Floats = npt.NDArray[np.floating[Any]]

BLOCK = 64  # rows solved together: a smaller batch costs as much; more rows would leave the second-level cache
CHECK_EVERY = 5
FIRST_CURVATURE = 0.2  # of the largest eigenvalue of AAᵀ: on a few columns A bends much less than on all of them
STEP_GROWTH = 0.95  # the curvature estimate relaxes by this factor after every accepted step …
CURVATURE_GROWTH = 1.6  # … and rises by this one after every rejected step


class Penalty(Protocol):
    """A sparsity norm Ω with its dual norm and proximal operator, over the last axis of [n, N]."""

    def norm(self, x: Floats) -> Floats:
        """Ω(x), [n]."""
        ...

    def dual_norm(self, x: Floats) -> Floats:
        """Dual norm of Ω, [n]."""
        ...

    def shrink(self, x: Floats, threshold: Floats) -> Floats:
        """Proximal operator of threshold·Ω; threshold is [n, 1]."""
        ...


@dataclass(frozen=True)
class L1Norm:
    """Ω(x) = Σ|x_i|: the LASSO."""

    def norm(self, x: Floats) -> Floats:
        """Sum of absolute values, [n]."""
        return np.asarray(np.abs(x).sum(axis=1))

    def dual_norm(self, x: Floats) -> Floats:
        """Largest absolute value, [n]."""
        return np.asarray(np.maximum(x.max(axis=1), -x.min(axis=1)))

    def shrink(self, x: Floats, threshold: Floats) -> Floats:
        """Soft threshold x - clip(x, -t, t)."""
        clipped = np.minimum(x, threshold)
        np.maximum(clipped, -threshold, out=clipped)
        np.subtract(x, clipped, out=clipped)
        return clipped


@dataclass(frozen=True)
class PairNorm:
    """Ω(x) = Σ √(x_i² + x_{i+N/2}²): group LASSO over (real, imaginary) pairs, i.e. l1 of a complex vector."""

    def norm(self, x: Floats) -> Floats:
        """Sum of moduli, [n]."""
        return np.asarray(self._modulus(x).sum(axis=1))

    def dual_norm(self, x: Floats) -> Floats:
        """Largest modulus, [n]."""
        return np.asarray(self._modulus(x).max(axis=1))

    def shrink(self, x: Floats, threshold: Floats) -> Floats:
        """Complex soft threshold z·max(0, 1 - t/|z|)."""
        modulus = self._modulus(x)
        factor = np.maximum(modulus - threshold, 0)
        factor /= np.maximum(modulus, np.finfo(x.dtype).tiny, out=modulus)
        half = factor.shape[1]
        out = np.empty_like(x)
        np.multiply(x[:, :half], factor, out=out[:, :half])
        np.multiply(x[:, half:], factor, out=out[:, half:])
        return out

    @staticmethod
    def _modulus(x: Floats) -> Floats:
        half = x.shape[1] // 2
        power = x[:, :half] ** 2
        power += x[:, half:] ** 2
        return np.asarray(np.sqrt(power, out=power))


L1: Penalty = L1Norm()
GROUP: Penalty = PairNorm()


@dataclass(frozen=True)
class Solution:
    """Result of :func:`solve`.

    Attributes
    ----------
    x : ndarray [n, N]
        Minimisers, dtype of ``y``.
    gap : float64 ndarray [n]
        Duality gap over ‖y‖²: the objective exceeds its minimum by at most gap·‖y‖². 0 where y = 0.
    iterations : int64 ndarray [n]
        Iterations until the gap was reached.
    """

    x: Floats
    gap: npt.NDArray[np.float64]
    iterations: npt.NDArray[np.int64]


def lambda_max(matrix: Floats, y: Floats, penalty: Penalty = L1) -> Floats:
    """Smallest λ with solution 0, the dual norm of Aᵀy, [n]."""
    return penalty.dual_norm(rowwise(y, matrix))


def objective(matrix: Floats, y: Floats, x: Floats, lam: Floats, penalty: Penalty = L1) -> Floats:
    """½‖y - Ax‖² + λ Ω(x) per row, [n]."""
    residual = y - x @ matrix.T
    return np.asarray(0.5 * (residual**2).sum(axis=1) + lam * penalty.norm(x))


def solve(
    matrix: Floats,
    y: Floats,
    lam: Floats,
    penalty: Penalty = L1,
    *,
    tolerance: float = 1e-4,
    max_iterations: int = 5000,
) -> Solution:
    """Minimise ½‖y_i - A x_i‖² + λ_i Ω(x_i) for every row i.

    scikit-learn's ``Lasso(alpha, fit_intercept=False)`` minimises the same with alpha = λ/M, and stops by the same
    rule.

    Parameters
    ----------
    matrix : float ndarray [M, N]
        A.
    y : float ndarray [n, M]
        Measurements; their dtype is that of the computation (float32 for bulk, float64 to check).
    lam : float ndarray [n]
        Regularisation weight per row, ≥ 0.
    penalty : Penalty
        :data:`L1` or :data:`GROUP`.
    tolerance : float
        A row is done when its duality gap is ≤ tolerance·‖y‖².
    max_iterations : int
        Rows that are not done by then are an error.

    Returns
    -------
    Solution

    Raises
    ------
    ModelError
        A measurement is not finite, or a row has not reached the tolerance.

    Notes
    -----
    The curvature L of each row may fall again after it rose: the support shrinks on the way, and A bends less on fewer
    columns (half the iterations of a fixed step at 1/16). The rate proof of FISTA does not cover that; the restart
    keeps it well behaved and the duality gap certifies every row that is returned.

    A block always has the same number of rows: a row that is done makes place for the next one, and the rest is zeros.
    So the matrix products always have the same shape, and a row's result does not depend on the rows beside it.
    """
    if not np.isfinite(y).all():
        raise ModelError("LASSO needs finite measurements.", why=f"{np.sum(~np.isfinite(y))} of {y.size} are not")
    x = np.zeros((len(y), matrix.shape[1]), dtype=y.dtype)
    gap = np.zeros(len(y))
    iterations = np.zeros(len(y), dtype=np.int64)
    block = _Block(matrix.astype(y.dtype), penalty)
    waiting = iter(range(len(y)))
    block.refill(np.arange(BLOCK), waiting, y, lam)
    while block.busy:
        for _ in range(CHECK_EVERY - 1):
            block.step(block.correlate()[1])
        residual, correlation = block.correlate()
        dual = block.dual(residual, correlation)
        block.step(correlation)
        found = block.gap(dual)
        _check_progress(block, found, tolerance, max_iterations)
        done = np.flatnonzero((block.rows >= 0) & (found <= tolerance))
        rows = block.rows[done]
        x[rows], gap[rows], iterations[rows] = block.x[done], found[done], block.age[done]
        block.refill(done, waiting, y, lam)
    return Solution(x, gap, iterations)


class _Block:
    """Rows in work: iterates x, extrapolated points z and their images under A, momentum t, curvature L, per row."""

    def __init__(self, matrix: Floats, penalty: Penalty) -> None:
        self.matrix, self.penalty = np.ascontiguousarray(matrix), penalty
        double = matrix.astype(np.float64)
        self.ceiling = float(np.linalg.eigvalsh(double @ double.T)[-1])  # no step needs a curvature beyond it
        self.rows = np.full(BLOCK, -1)  # row of the problem in each place; -1: nobody's
        self.age = np.zeros(BLOCK, dtype=np.int64)
        (m, n), dtype = matrix.shape, matrix.dtype
        self.y, self.ax, self.az = (_filled(m, 0, dtype) for _ in range(3))
        self.x, self.z = (_filled(n, 0, dtype) for _ in range(2))
        self.lam, self.t, self.curvature = (_filled(1, 1, dtype) for _ in range(3))

    @property
    def busy(self) -> bool:
        """Whether a row is still in work."""
        return bool((self.rows >= 0).any())

    def refill(self, places: npt.NDArray[np.int64], waiting: Iterator[int], y: Floats, lam: Floats) -> None:
        """Start the next waiting rows, or zeros, in these places."""
        self.rows[places] = [next(waiting, -1) for _ in places]
        rows = self.rows[places]
        self.y[places] = np.where(rows[:, None] >= 0, y[rows], 0) if len(y) else 0
        self.lam[places, 0] = np.where(rows >= 0, lam[rows], 1) if len(y) else 1
        for state in (self.x, self.z, self.ax, self.az, self.age):
            state[places] = 0
        self.t[places] = 1
        self.curvature[places] = self.ceiling * FIRST_CURVATURE

    def correlate(self) -> tuple[Floats, Floats]:
        """Residual y - Az at the extrapolated points, and Aᵀ of it: the negative gradient."""
        residual = self.y - self.az
        return residual, np.asarray(residual @ self.matrix)

    def dual(self, residual: Floats, correlation: Floats) -> Floats:
        """Dual objective of the residual, scaled into the feasible set as well as possible."""
        power, along, lam = _dot(residual, residual), _dot(residual, self.y), self.lam[:, 0]
        kind = np.finfo(self.y.dtype)
        limit = lam / (np.maximum(self.penalty.dual_norm(correlation), lam * kind.eps) + kind.tiny)
        scale = np.clip(along / np.maximum(power, kind.tiny), -limit, limit)
        return np.asarray(scale * along - 0.5 * scale**2 * power)

    def gap(self, dual: Floats) -> npt.NDArray[np.float64]:
        """Duality gap at x over ‖y‖²."""
        rest = self.y - self.ax
        primal = 0.5 * _dot(rest, rest) + self.lam[:, 0] * self.penalty.norm(self.x)
        power = np.maximum(_dot(self.y, self.y), np.finfo(self.y.dtype).tiny)
        return np.asarray((primal - dual) / power, dtype=np.float64)

    def step(self, correlation: Floats) -> None:
        """One proximal gradient step from z, accepted where the quadratic model at curvature L bounds the objective."""
        np.divide(correlation, self.curvature, out=correlation)
        correlation += self.z
        x = self.penalty.shrink(correlation, self.lam / self.curvature)
        ax = x @ self.matrix.T
        moved, image = np.subtract(x, self.z, out=correlation), ax - self.az
        length = _dot(moved, moved)
        reject = (_dot(image, image) > self.curvature[:, 0] * length) & (self.curvature[:, 0] < self.ceiling)
        at = np.flatnonzero(reject)
        kept = tuple(part[at].copy() for part in (self.x, self.ax, self.z, self.az, self.t, self.curvature))
        np.subtract(x, self.x, out=self.x)
        np.subtract(ax, self.ax, out=self.ax)
        restart = _dot(moved, self.x) < 0
        t = 0.5 * (1 + np.sqrt(1 + 4 * self.t**2))
        weight = np.where(restart[:, None], 0, (self.t - 1) / t).astype(x.dtype)
        self.t = np.where(restart[:, None], 1, t).astype(x.dtype)
        np.multiply(self.x, weight, out=self.z)
        self.z += x
        self.az = ax + weight * self.ax
        self.x, self.ax = x, ax
        self.age += 1
        self.curvature = self.curvature * np.asarray(STEP_GROWTH, x.dtype)
        if len(at):
            self.x[at], self.ax[at], self.z[at], self.az[at], self.t[at] = kept[:5]
            self.curvature[at] = np.minimum(kept[5] * CURVATURE_GROWTH, self.ceiling)


def _filled(width: int, value: float, dtype: npt.DTypeLike) -> Floats:
    return np.full((BLOCK, width), value, dtype=dtype)


def _dot(a: Floats, b: Floats) -> Floats:
    """Inner product of each pair of rows, [n]."""
    return np.asarray(np.einsum("ij,ij->i", a, b))


def _check_progress(block: _Block, gap: npt.NDArray[np.float64], tolerance: float, max_iterations: int) -> None:
    late = (block.rows >= 0) & (gap > tolerance) & (block.age >= max_iterations)
    if late.any():
        raise ModelError(
            f"LASSO has not converged in {max_iterations} iterations.",
            why=f"relative duality gap {gap[late].max():.1e}, tolerance {tolerance:.1e}",
            next_step="raise max_iterations or tolerance, or compute in float64",
        )
