"""Slices that several families share: by line of sight and by distance."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

__all__ = ["DISTANCE_EDGES_M", "by_distance", "by_los", "distance_2d"]

#: Edges of the distance slices in m (2-D, base station to user).
DISTANCE_EDGES_M = (0.0, 50.0, 100.0, 150.0, 250.0, 500.0)


def by_los(los: npt.NDArray[np.int8]) -> npt.NDArray[np.str_]:
    """``LoS`` or ``NLoS`` for each sample [n]; empty without a path."""
    return np.array(["LoS" if value == 1 else "NLoS" if value == 0 else "" for value in los])


def by_distance(distance_m: npt.NDArray[np.float64]) -> npt.NDArray[np.str_]:
    """``50-100 m`` and so on for each 2-D distance [n] in m; empty beyond the last edge."""
    names = [f"{low:g}-{high:g} m" for low, high in itertools.pairwise(DISTANCE_EDGES_M)]
    return np.array([*names, ""])[np.searchsorted(DISTANCE_EDGES_M[1:], distance_m, side="right")]


def distance_2d(ue: npt.NDArray[np.float32], bs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Horizontal distance in m of positions [..., 3]: float64 [...]."""
    return np.asarray(np.linalg.norm(ue[..., :2].astype(np.float64) - bs[..., :2], axis=-1))
