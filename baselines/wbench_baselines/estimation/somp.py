"""Simultaneous orthogonal matching pursuit in a dictionary that is a product of two factors.

Sources: J. A. Tropp, A. C. Gilbert, M. J. Strauss, "Algorithms for simultaneous sparse approximation, part I", Signal
Process. 86(3), 2006; QR form as in B. L. Sturm, M. G. Christensen, EUSIPCO 2012. In
:mod:`wbench_baselines.codecs.omp_solver` the dictionary is any matrix; here the product is never formed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Pursuit", "pursue"]

Complex = npt.NDArray[np.complex64]
Floats = npt.NDArray[np.float64]
ROWS = 64  # samples pursued together, to bound memory
DEPENDENT = 1e-5  # a unit column with no more than this outside the span of the others lies in it


class Pursuit(NamedTuple):
    """What was picked, in order. A shorter pursuit is the beginning of a longer one.

    Attributes
    ----------
    support : int64 ndarray [n, atoms]
        Atoms; q + Q · p is column p of the first factor with column q of the second.
    triangle : complex64 ndarray [n, atoms, atoms]
        R of the picked columns = QR.
    image : complex64 ndarray [n, atoms, snapshot]
        Q^H y.
    residual : float64 ndarray [n, atoms]
        Energy of y that is left after each atom.
    """

    support: npt.NDArray[np.int64]
    triangle: Complex
    image: Complex
    residual: Floats

    def gains(self, counts: npt.NDArray[np.int64]) -> Complex:
        """Least-squares gains on the first ``counts`` [n] atoms, 0 on the others: complex64 [n, atoms, snapshot]."""
        atoms = self.support.shape[1]
        used = np.arange(atoms) < counts[:, None]
        # With the rows and columns of the others replaced by those of the identity, one size of system serves all.
        triangle = np.where(used[:, :, None] & used[:, None, :], self.triangle, np.eye(atoms, dtype=np.complex64))
        return np.asarray(np.linalg.solve(triangle, np.where(used[:, :, None], self.image, 0)), dtype=np.complex64)


def pursue(y: npt.NDArray[np.complexfloating], left: Complex, right: Complex, most: int, enough: Floats) -> Pursuit:
    """Pick atoms for every sample, greedily by the energy of the residual that they explain over all snapshots.

    Parameters
    ----------
    y : complex ndarray [n, snapshot, A, B]
        Observations.
    left, right : complex64 ndarray [A, P], [B, Q]
        Factors of the dictionary, with columns of norm one: atom (p, q) is left[:, p] right[:, q]^T.
    most : int
        Atoms per sample, at most A · B.
    enough : float64 ndarray [n]
        Residual energy at which a sample needs no further atom. Where others go on, its first atoms stay the same.

    Returns
    -------
    Pursuit
    """
    parts = [
        _pursue(np.array(y[at : at + ROWS], np.complex64, order="C"), left, right, most, enough[at : at + ROWS])
        for at in range(0, max(len(y), 1), ROWS)
    ]
    return Pursuit(*map(np.concatenate, zip(*parts, strict=True)))


def _pursue(residual: Complex, left: Complex, right: Complex, most: int, enough: Floats) -> Pursuit:
    n, snapshots, a, b = residual.shape
    every, atoms = np.arange(n), left.shape[1] * right.shape[1]
    support, taken = np.zeros((n, most), np.int64), np.zeros((n, atoms), bool)
    triangle = np.tile(np.eye(most, dtype=np.complex64), (n, 1, 1))
    image, energy = np.zeros((n, most, snapshots), np.complex64), np.zeros((n, most))
    basis = np.zeros((n, most, a * b), np.complex64)
    to_left, to_right = left.conj().T, right.conj()
    for atom in range(most):
        # One product of fixed size per sample and snapshot, so that its bits do not hang on the others.
        found = to_left @ (residual @ to_right)
        gain = (found.real**2 + found.imag**2).sum(axis=1).reshape(n, atoms)
        gain[taken] = -1
        picked = gain.argmax(axis=1)
        support[:, atom], taken[every, picked] = picked, True
        p, q = np.divmod(picked, right.shape[1])
        whole = (left.T[p][:, :, None] * right.T[q][:, None, :]).reshape(n, -1)
        column, triangle[:, :atom, atom], triangle[:, atom, atom] = _orthogonalise(whole, basis[:, :atom])
        basis[:, atom] = column
        flat = residual.reshape(n, snapshots, -1)
        image[:, atom] = (flat @ column.conj()[:, :, None])[:, :, 0]
        flat -= image[:, atom, :, None] * column[:, None]  # of the residual itself
        energy[:, atom] = np.sum(flat.real.astype(np.float64) ** 2 + flat.imag.astype(np.float64) ** 2, axis=(1, 2))
        if (energy[:, atom] <= enough).all():
            break
    return Pursuit(support, triangle, image, energy)


def _orthogonalise(column: Complex, basis: Complex) -> tuple[Complex, Complex, npt.NDArray[np.float32]]:
    """Remove the basis [n, k, M] from unit columns [n, M], twice for complex64; what is left, the parts, the length.

    A column inside the span (only picked where the residual is zero) becomes zero with length 1: its gain is 0.
    """
    total = np.zeros(basis.shape[:2], np.complex64)
    for _ in range(2):
        along = (basis.conj() @ column[:, :, None])[:, :, 0]
        column = np.asarray(column - (along[:, None] @ basis)[:, 0], np.complex64)
        total += along
    length = np.linalg.norm(column, axis=1)
    inside = length < DEPENDENT
    length[inside] = 1
    column[inside] = 0
    return np.asarray(column / length[:, None], np.complex64), total, length
