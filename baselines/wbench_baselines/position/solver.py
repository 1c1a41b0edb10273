"""Robust least squares for a place from ranges and axis cosines of several base stations, many users at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wbench_baselines.position.links import USER_HEIGHT_M

__all__ = ["Fix", "solve"]

F64 = npt.NDArray[np.float64]
STEPS = 40
#: Damping of the first step, and what it is multiplied by after a good and a bad step (Marquardt, 1963).
DAMPING, BETTER, WORSE = 1e-2, 0.3, 8.0


@dataclass(frozen=True, slots=True)
class Fix:
    """What is known of n users: measurements of b base stations and where users are at all.

    Attributes
    ----------
    range_m, early_m, late_m : float64 ndarray [n, b]
        Ranges, and their spreads for places that are farther away and nearer than that; infinite ones leave a base
        station out.
    cosine, cosine_spread : float64 ndarray [n, b]
        Axis cosines and their spreads.
    station : float64 ndarray [n, b, 3]
        Base stations in m.
    bearing : float64 ndarray [n, b]
        Their boresights in rad.
    centre, extent : float64 ndarray [2]
        Mean and standard deviation of the training users' x and y in m: where there is too little to go by.
    turn : float
        Residual, in spreads, where Cauchy's loss turns from quadratic to logarithmic.
    """

    range_m: F64
    early_m: F64
    late_m: F64
    cosine: F64
    cosine_spread: F64
    station: F64
    bearing: F64
    centre: F64
    extent: F64
    turn: float

    def residuals(self, place: F64) -> tuple[F64, F64]:
        """Residuals over their spreads, and their slopes.

        Parameters
        ----------
        place : float64 ndarray [n, s, 2]
            s places to try for each user.

        Returns
        -------
        residual : float64 ndarray [n, s, 2b + 2]
            Ranges, cosines, and place against the centre.
        slope : float64 ndarray [n, s, 2b + 2, 2]
        """
        station, bearing = self.station[:, None], self.bearing[:, None]
        step = place[:, :, None] - station[..., :2]
        distance = np.sqrt((step**2).sum(axis=-1) + (station[..., 2] - USER_HEIGHT_M) ** 2)
        axis = np.stack([-np.sin(bearing), np.cos(bearing)], axis=-1)
        cosine = (step * axis).sum(axis=-1) / distance
        unit = step / distance[..., None]
        late = distance < self.range_m[:, None]
        over_range = 1 / np.where(late, self.late_m[:, None], self.early_m[:, None])
        over_cosine = 1 / self.cosine_spread[:, None]
        here = (place - self.centre) / self.extent
        residual = [
            (distance - self.range_m[:, None]) * over_range,
            (cosine - self.cosine[:, None]) * over_cosine,
            here,
        ]
        own = np.broadcast_to(np.diag(1 / self.extent), (*place.shape, 2))
        turned = (axis - cosine[..., None] * unit) / distance[..., None]
        slope = [unit * over_range[..., None], turned * over_cosine[..., None], own]
        return np.concatenate(residual, axis=-1), np.concatenate(slope, axis=-2)

    def cost(self, residual: F64) -> F64:
        """Half the sum of Cauchy's losses turn²·ln(1 + (r/turn)²); the last two residuals count as squares."""
        robust, plain = residual[..., :-2], residual[..., -2:]
        log = np.log1p((robust / self.turn) ** 2).sum(axis=-1)
        return np.asarray(0.5 * (self.turn**2 * log + (plain**2).sum(axis=-1)))

    def weights(self, residual: F64) -> F64:
        """Weights of the squares with the same slope: 1/(1 + (r/turn)²)."""
        weight = 1 / (1 + (residual / self.turn) ** 2)
        weight[..., -2:] = 1.0
        return weight


def solve(fix: Fix, start: F64, steps: int = STEPS) -> tuple[F64, F64]:
    """Least cost from several starts, by iteratively reweighted Levenberg-Marquardt steps.

    Parameters
    ----------
    fix : Fix
        Measurements of n users.
    start : float64 ndarray [n, s, 2]
        Starts in m.
    steps : int
        Steps of each start.

    Returns
    -------
    place : float64 ndarray [n, s, 2]
        Where each start led to; its cost is never above that of the start.
    cost : float64 ndarray [n, s]
        Cost there.

    References
    ----------
    Holland and Welsch, Commun. Stat. A6(9), 1977 (reweighting); Marquardt, J. SIAM 11(2), 1963.
    """
    place = start.astype(np.float64).copy()
    damping = np.full(place.shape[:2], DAMPING)
    residual, slope = fix.residuals(place)
    cost = fix.cost(residual)
    for _ in range(steps):
        weighted = fix.weights(residual)[..., None] * slope
        gradient = (weighted * residual[..., None]).sum(axis=-2)
        a, b, d = ((weighted[..., i] * slope[..., j]).sum(axis=-1) for i, j in ((0, 0), (0, 1), (1, 1)))
        a, d = a * (1 + damping), d * (1 + damping)
        determinant = a * d - b * b
        trial = (
            place
            - np.stack(
                [d * gradient[..., 0] - b * gradient[..., 1], a * gradient[..., 1] - b * gradient[..., 0]], axis=-1
            )
            / np.maximum(determinant, np.finfo(np.float64).tiny)[..., None]
        )
        new_residual, new_slope = fix.residuals(trial)
        new_cost = fix.cost(new_residual)
        better = new_cost < cost
        place = np.where(better[..., None], trial, place)
        residual = np.where(better[..., None], new_residual, residual)
        slope = np.where(better[..., None, None], new_slope, slope)
        cost = np.where(better, new_cost, cost)
        damping = np.clip(damping * np.where(better, BETTER, WORSE), 1e-9, 1e9)
    return place, cost
