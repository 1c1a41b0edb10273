"""Linear prediction of complex series by autoregression, batched over many series at once, in complex128."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["ArSetting", "coefficients", "contracted", "extrapolate", "pooled_coefficients"]

Complex = npt.NDArray[np.complex128]


class ArSetting(NamedTuple):
    """How an autoregression is fitted.

    Attributes
    ----------
    order : int
        Coefficients p; at most the number of snapshots less one.
    ridge : float
        Diagonal loading relative to the mean of the normal matrix's diagonal.
    radius : float
        Poles farther out are moved to this radius, at their angle. With 1 no prediction grows; any finite radius keeps
        the answer finite.
    """

    order: int
    ridge: float
    radius: float


def coefficients(y: Complex, setting: ArSetting) -> Complex:
    """Least-squares coefficients a of y_t ≈ Σ_i a_i y_{t-i}, i = 1 … p, one set per element (the covariance method).

    Parameters
    ----------
    y : complex128 ndarray [n, seen, elements]
        Evenly spaced snapshots.
    setting : ArSetting
        Order, ridge and pole policy.

    Returns
    -------
    complex128 ndarray [n, p, elements]
        Coefficients.

    Notes
    -----
    J. Makhoul, "Linear prediction: a tutorial review", Proc. IEEE 63(4), 1975, equations (14) to (16).
    """
    n, seen, elements = y.shape
    if seen < 2:  # nothing to fit: hold
        return np.ones((n, 1, elements), dtype=np.complex128)
    p = max(1, min(setting.order, seen - 1))
    lagged = [y[:, p - i : seen - i] for i in range(p + 1)]  # lagged[i] is y_{t-i} for t = p … seen-1
    products = np.empty((n, elements, p + 1, p + 1), dtype=np.complex128)
    for i in range(p + 1):
        for j in range(i, p + 1):
            products[..., i, j] = (lagged[i].conj() * lagged[j]).sum(axis=1)
            products[..., j, i] = products[..., i, j].conj()
    return np.asarray(np.swapaxes(_solved(products, setting), 1, 2))


def pooled_coefficients(y: Complex, setting: ArSetting) -> Complex:
    """Coefficients that all elements of a sample share, fitted forwards and backwards.

    Undamped lines obey y*_t ≈ Σ_i a_i y*_{t+i} as well, which doubles the equations.

    Parameters
    ----------
    y : complex128 ndarray [n, seen, elements]
        Evenly spaced snapshots.
    setting : ArSetting
        Order, ridge and pole policy.

    Returns
    -------
    complex128 ndarray [n, p, 1]
        Coefficients.

    Notes
    -----
    The modified covariance method: S. L. Marple, IEEE Trans. Acoust. Speech Signal Process. 28(4), 1980, section II.
    """
    n, seen, _ = y.shape
    if seen < 2:
        return np.ones((n, 1, 1), dtype=np.complex128)
    p = max(1, min(setting.order, seen - 1))
    forward = y @ y.conj().swapaxes(1, 2)
    both = forward + forward[:, ::-1, ::-1].conj()
    products = np.zeros((n, p + 1, p + 1), dtype=np.complex128)
    for t in range(p, seen):
        at = t - np.arange(p + 1)
        products += both[:, at[None, :], at[:, None]]  # [i, j] is Σ y*_{t-i} y_{t-j}
    return np.asarray(_solved(products, setting)[..., None])


def _solved(products: Complex, setting: ArSetting) -> Complex:
    """Solution of the normal equations in Σ_t y*_{t-i} y_{t-j}: [..., p+1, p+1] → [..., p], poles contracted."""
    p = products.shape[-1] - 1
    normal, right = products[..., 1:, 1:].copy(), products[..., 1:, :1]
    power = np.trace(normal, axis1=-2, axis2=-1).real / p
    loading = np.where(power > 0, setting.ridge * power, 1.0)  # a series of zeros gets zero coefficients
    normal += loading[..., None, None] * np.eye(p)
    return contracted(np.linalg.solve(normal, right)[..., 0].astype(np.complex128), setting.radius)


def contracted(a: Complex, radius: float) -> Complex:
    """Coefficients whose poles beyond ``radius`` are moved onto it, at their angle: [..., p] → same shape.

    The poles are the roots of z^p - a_1 z^{p-1} - … - a_p, the eigenvalues of the companion matrix.
    """
    p = a.shape[-1]
    if p == 1:
        return np.asarray(a * np.minimum(1.0, radius / np.maximum(np.abs(a), 1e-300)))
    flat = a.reshape(-1, p)
    # Where Σ|a_i| radius^{-i} ≤ 1 no pole lies beyond (Rouché), and most series need no eigenvalues.
    rows = np.flatnonzero((np.abs(flat) * radius ** -np.arange(1.0, p + 1)).sum(axis=1) > 1)
    companion = np.zeros((len(rows), p, p), dtype=np.complex128)
    companion[:, 0] = flat[rows]
    companion[:, np.arange(1, p), np.arange(p - 1)] = 1
    poles = np.linalg.eigvals(companion)
    beyond = (np.abs(poles) > radius).any(axis=1)
    poles = poles[beyond] * np.minimum(1.0, radius / np.maximum(np.abs(poles[beyond]), 1e-300))
    polynomial = np.zeros((len(poles), p + 1), dtype=np.complex128)
    polynomial[:, 0] = 1
    for k in range(p):  # multiply by (z - pole): the right side is made before anything is written
        polynomial[:, 1:] = polynomial[:, 1:] - poles[:, k, None] * polynomial[:, :-1]
    out = flat.copy()
    out[rows[beyond]] = -polynomial[:, 1:]
    return out.reshape(a.shape)


def extrapolate(y: Complex, a: Complex, count: int) -> Complex:
    """Continue series by feeding predictions back.

    Parameters
    ----------
    y : complex128 ndarray [n, seen, elements]
        Seen steps.
    a : complex128 ndarray [n, p, elements] or [n, p, 1]
        Coefficients.
    count : int
        Steps to predict.

    Returns
    -------
    complex128 ndarray [n, count, elements]
        The steps after the seen ones.
    """
    p = a.shape[1]
    values = np.empty((y.shape[0], p + count, y.shape[2]), dtype=np.complex128)
    values[:, :p] = y[:, -p:]
    for t in range(p, p + count):
        values[:, t] = (a * values[:, t - p : t][:, ::-1]).sum(axis=1)
    return np.asarray(values[:, p:])
