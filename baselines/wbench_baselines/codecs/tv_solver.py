"""Batched total-variation minimisation from linear measurements, by ADMM with an exact quadratic step.

The problem is the TV/L2 model of TVAL3 (C. Li, W. Yin, H. Jiang, Y. Zhang, "An Efficient Augmented Lagrangian Method
with Applications to Total Variation Minimization", Comput. Optim. Appl. 56(3), 2013, Sec. 1):

    minimise TV(u) + μ/2 ‖A u - b‖²,   TV(u) = Σ_i ‖D_i u‖,   D: forward differences, periodic.

TVAL3 splits w = Du as here, and takes one Barzilai–Borwein step in u per shrinkage. Here the step in u is exact. With
periodic D the matrix P = (DᵀD + ρI)⁻¹ is diagonal under the 2-D Fourier transform, and A enters by the matrix inversion
lemma. Splitting and scaled dual variable: S. Boyd et al., "Distributed Optimization and Statistical Learning via the
Alternating Direction Method of Multipliers", Found. Trends Mach. Learn. 3(1), 2011, eq. 3.5-3.7 and Sec. 6.4.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft2, rfft2
from scipy.linalg import cholesky, solve_triangular

from wbench.errors import ModelError

__all__ = ["BLOCK", "Coupling", "TvSolver", "adjoint", "differences", "total_variation", "tv_solver"]

Floats = npt.NDArray[np.floating[Any]]
#: What one norm ‖D_i u‖ joins: nothing (anisotropic), the two directions (isotropic), and also the planes (complex).
Coupling = Literal["anisotropic", "isotropic", "complex"]

BLOCK = 32  # rows solved together, always as many: what a row gives must not depend on the rows beside it
FIDELITY = 16.0  # μ/β, β the penalty of w = Du: it sets the speed of convergence, not the minimum
PROXIMAL = 0.02  # ρ: D is blind to constants, and P needs an inverse; ρ u_k on the right keeps the fixed point exact


def differences(u: Floats, out: Floats | None = None) -> Floats:
    """Forward differences down and right, periodic: [..., d1, d2] → [2, ..., d1, d2]."""
    out = np.empty((2, *u.shape), u.dtype) if out is None else out
    down, right = out
    np.subtract(u[..., 1:, :], u[..., :-1, :], out=down[..., :-1, :])
    np.subtract(u[..., 0, :], u[..., -1, :], out=down[..., -1, :])
    np.subtract(u[..., 1:], u[..., :-1], out=right[..., :-1])
    np.subtract(u[..., 0], u[..., -1], out=right[..., -1])
    return out


def adjoint(w: Floats, out: Floats | None = None) -> Floats:
    """Transpose of :func:`differences`: [2, ..., d1, d2] → [..., d1, d2]."""
    down, right = w
    out = np.empty_like(down) if out is None else out
    np.add(down, right, out=out)
    np.negative(out, out=out)
    out[..., 1:, :] += down[..., :-1, :]
    out[..., 0, :] += down[..., -1, :]
    out[..., 1:] += right[..., :-1]
    out[..., 0] += right[..., -1]
    return out


def _modulus(w: Floats, coupling: Coupling) -> Floats:
    """Norms ‖D_i u‖ of w [2, n, planes, d1, d2]; a joined axis keeps length 1."""
    if coupling == "anisotropic":
        return np.abs(w)
    power = np.einsum("knpij,knpij->npij" if coupling == "isotropic" else "knpij,knpij->nij", w, w)
    power = power[None] if coupling == "isotropic" else power[None, :, None]
    return np.asarray(np.sqrt(power, out=power))


def total_variation(u: Floats, coupling: Coupling) -> Floats:
    """TV of each row of u [n, planes, d1, d2], [n]."""
    return np.asarray(_modulus(differences(u), coupling).sum(axis=(0, 2, 3, 4)))


@dataclass(frozen=True, eq=False)
class TvSolver:
    """Factors of one A: they serve every coupling and every μ. Made by :func:`tv_solver`.

    Attributes
    ----------
    matrix : float ndarray [M, N]
        A; its dtype is that of the computation (float32 for bulk, float64 to check).
    shape : (planes, d1, d2)
        Shape of u, N = planes·d1·d2.
    spectrum : float ndarray [d1, d2 // 2 + 1]
        P under the real 2-D Fourier transform.
    factor : float ndarray [N, M]
        Q of (μ/β AᵀA + P⁻¹)⁻¹ = P - QQᵀ.
    """

    matrix: Floats
    shape: tuple[int, int, int]
    spectrum: Floats
    factor: Floats

    def objective(self, u: Floats, b: Floats, mu: float, coupling: Coupling) -> Floats:
        """TV(u) + μ/2 ‖A u - b‖² of rows u [n, planes, d1, d2] and b [n, M], [n]."""
        rest = u.reshape(len(u), -1) @ self.matrix.T - b
        return np.asarray(total_variation(u, coupling) + mu / 2 * np.einsum("ij,ij->i", rest, rest))

    def solve(self, b: Floats, mu: float, coupling: Coupling, iterations: int = 60) -> Floats:
        """Minimise TV(u) + μ/2 ‖A u - b‖² for every row b.

        Parameters
        ----------
        b : float ndarray [n, M]
            Measurements. μ has their scale: doubling b asks for half of it.
        mu : float
            Weight of the measurements.
        coupling : {"anisotropic", "isotropic", "complex"}
            Which differences share one norm.
        iterations : int
            A fixed number, the same for every row, so that a row's result depends on the row alone.

        Returns
        -------
        float ndarray [n, planes, d1, d2]

        Raises
        ------
        ModelError
            A measurement is not finite.
        """
        if not np.isfinite(b).all():
            raise ModelError("TV minimisation needs finite measurements.", why=f"{np.sum(~np.isfinite(b))} are not")
        out = np.empty((len(b), *self.shape), self.matrix.dtype)
        for start in range(0, len(b), BLOCK):
            rows = b[start : start + BLOCK].astype(self.matrix.dtype, copy=False)
            padded = np.concatenate([rows, np.zeros((BLOCK - len(rows), rows.shape[1]), rows.dtype)])
            out[start : start + BLOCK] = self._block(padded, FIDELITY / mu, coupling, iterations)[: len(rows)]
        return out

    def _block(self, b: Floats, threshold: float, coupling: Coupling, iterations: int) -> Floats:
        """ADMM in scaled form: v = Du + c; c ← projection of v on the dual ball; w = v - c; w - c enters the u step."""
        constant = (b @ self.matrix) * self.matrix.dtype.type(FIDELITY)
        u: Floats = np.zeros((len(b), *self.shape), b.dtype)
        rest = constant.reshape(u.shape).copy()  # right-hand side of the u step
        c, v = np.zeros((2, *u.shape), b.dtype), np.empty((2, *u.shape), b.dtype)
        level = b.dtype.type(threshold)
        for _ in range(iterations):
            u = self._quadratic(rest)
            differences(u, out=v)
            v += c
            _project(v, level, coupling, out=c)
            v -= c
            v -= c
            adjoint(v, out=rest)
            rest += constant.reshape(u.shape)
            rest += u * b.dtype.type(PROXIMAL)
        return u

    def _quadratic(self, right: Floats) -> Floats:
        """(P - QQᵀ) right."""
        flat = right.reshape(len(right), -1)
        u = irfft2(rfft2(right) * self.spectrum, s=self.shape[1:], overwrite_x=True)
        u -= ((flat @ self.factor) @ self.factor.T).reshape(right.shape)
        return np.asarray(u)


def _project(v: Floats, level: np.floating[Any], coupling: Coupling, out: Floats) -> None:
    """Scale every D_i to a norm of at most ``level``."""
    if coupling == "anisotropic":
        np.clip(v, -level, level, out=out)
        return
    scale = _modulus(v, coupling)
    np.maximum(scale, level, out=scale)
    np.divide(level, scale, out=scale)
    np.multiply(v, scale, out=out)


def tv_solver(matrix: Floats, shape: tuple[int, int, int]) -> TvSolver:
    """Factorise once for a matrix A [M, N] and images [planes, d1, d2], in float64.

    With LLᵀ = (β/μ) I + A P Aᵀ the matrix inversion lemma gives (μ/β AᵀA + P⁻¹)⁻¹ = P - QQᵀ, Q = P Aᵀ L⁻ᵀ.

    Raises
    ------
    ModelError
        The images do not have N pixels.
    """
    if math.prod(shape) != matrix.shape[1]:
        raise ModelError("The measurement is not made for these images.", why=f"{matrix.shape[1]} columns, {shape}")
    _, rows, columns = shape
    power = [2 - 2 * np.cos(2 * np.pi * np.arange(d) / d) for d in (rows, columns)]
    spectrum = 1 / (power[0][:, None] + power[1][None, : columns // 2 + 1] + PROXIMAL)
    a = matrix.astype(np.float64)
    filtered = irfft2(rfft2(a.reshape(-1, *shape)) * spectrum, s=shape[1:]).reshape(a.shape)  # AP = (PAᵀ)ᵀ
    lower = cholesky(np.eye(len(a)) / FIDELITY + a @ filtered.T, lower=True)
    factor = solve_triangular(lower, filtered, lower=True).T
    return TvSolver(matrix, shape, spectrum.astype(matrix.dtype), np.ascontiguousarray(factor, matrix.dtype))
