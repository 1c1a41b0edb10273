"""In front of the array or behind it? A linear array cannot tell; where training users stood can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench_baselines.position.links import Links, candidates

__all__ = ["Sides"]

F64 = npt.NDArray[np.float64]
VOTERS = 15


@dataclass(frozen=True, slots=True)
class Sides:
    """Votes of training users on the side, one tree of measurements for each base station.

    A link is looked up by the place in front that its range and cosine leave; the 15 training users nearest to it there
    vote by the side on which they were. Every side has one vote to begin with (Laplace).
    """

    trees: tuple[Any, ...]
    front: tuple[npt.NDArray[np.bool_], ...]

    @classmethod
    def learn(cls, links: Links, place: F64) -> Sides:
        """Learn from training users at ``place``, float64 [n, 2] in m."""
        from scipy.spatial import cKDTree

        both = candidates(links.range_m, links.cosine, links.station, links.bearing)
        ahead = _ahead(place[:, None], links) > 0
        trees, front = [], []
        for b in range(links.heard.shape[1]):
            heard = links.heard[:, b]
            trees.append(cKDTree(both[heard, b, 0]) if heard.any() else None)
            front.append(ahead[heard, b])
        return cls(tuple(trees), tuple(front))

    def shares(self, links: Links) -> F64:
        """Share of the votes for front and back: float64 [n, b, 2], positive, sums to 1."""
        both = candidates(links.range_m, links.cosine, links.station, links.bearing)
        out = np.full((*links.range_m.shape, 2), 0.5)
        for b, (tree, front) in enumerate(zip(self.trees, self.front, strict=True)):
            if tree is None:
                continue
            k = min(VOTERS, len(front))
            index = tree.query(both[:, b, 0], k=k)[1].reshape(len(links), k)
            share = (1 + front[index].sum(axis=1)) / (2 + k)
            out[:, b] = np.stack([share, 1 - share], axis=1)
        return out

    def log_odds(self, links: Links, place: F64) -> F64:
        """Logarithm of the votes for the sides of all heard base stations that places lie on.

        Parameters
        ----------
        links : Links
            n users.
        place : float64 ndarray [n, s, 2]
            Places in m.

        Returns
        -------
        float64 ndarray [n, s]
        """
        votes = np.log(self.shares(links))[:, None]
        ahead = np.stack([_ahead(place[:, s, None], links) > 0 for s in range(place.shape[1])], axis=1)
        chosen = np.where(ahead, votes[..., 0], votes[..., 1])
        return np.asarray((chosen * links.heard[:, None]).sum(axis=-1))


def _ahead(place: F64, links: Links) -> F64:
    """Distance of places [n, 1, 2] in front of each base station's array: float64 [n, b]."""
    step = place - links.station[..., :2]
    return np.asarray(step[..., 0] * np.cos(links.bearing) + step[..., 1] * np.sin(links.bearing))
