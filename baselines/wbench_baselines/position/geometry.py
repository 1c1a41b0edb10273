"""ToA + AoA: a place from the first path of one base station, or of all of them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.position.errors import LinkErrors
from wbench_baselines.position.fingerprints import only_positioning
from wbench_baselines.position.links import Links, candidates, measure
from wbench_baselines.position.sides import Sides
from wbench_baselines.position.solver import Fix, solve
from wbench_baselines.position.tuning import choose, everything

__all__ = ["LeastSquares", "ToaAoa"]

F64 = npt.NDArray[np.float64]
#: Where Cauchy's loss turns, in spreads; chosen on validation.
TURNS = (1.0, 2.0, 4.0)
#: Spread that stands for "not heard".
NOTHING = 1e9


class _Geometric(Predictor):
    """What both methods share: they need the geometry of a horizontal ULA, and what training tells about errors."""

    def supports(self, spec: TaskSpec) -> str | None:
        """Positioning."""
        return only_positioning(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Check the array.

        Raises
        ------
        ModelError
            Base stations have no horizontal array of vertical elements.
        """
        super().setup(spec, meta)
        if meta.dims[0] != "bs" or meta.tx.ports != meta.tx.cols or meta.tx.cols < 2:
            raise ModelError("No horizontal linear array.", where=self.info.name, why=f"{meta.dims}, {meta.tx}")

    def _learn(self, train: TrainingData) -> None:
        batch, truth = everything(train, self.info.name)
        links, place = measure(batch), truth["target"].astype(np.float64)
        self.centre, self.extent = place.mean(axis=0), np.maximum(place.std(axis=0), 1.0)
        self.errors = LinkErrors.learn(links, place)
        self.sides = Sides.learn(links, place)

    def _fix(self, links: Links, turn: float) -> Fix:
        bias, early, late, spread_cosine = self.errors.of(links)
        return Fix(
            links.range_m - bias,
            np.where(links.heard, early, NOTHING),
            np.where(links.heard, late, NOTHING),
            links.cosine,
            np.where(links.heard, spread_cosine, NOTHING),
            links.station,
            links.bearing,
            self.centre,
            self.extent,
            turn,
        )

    def count_parameters(self) -> int:
        """Numbers of the error model and of where users are; training users that vote for a side do not count."""
        return 5 * len(self.errors.excess_db) + 4


class ToaAoa(_Geometric):
    """Range and direction of the base station that looks most like line of sight.

    That is the one whose range is the most certain by what training tells of links with its loss beyond free space. Its
    range and axis cosine leave a place in front of the array and one behind it; the others' ranges and cosines decide,
    with the vote of the nearest training users on which side they were. The answer is the likelier place, or hedged
    (validation chooses): the mean of both by their likelihood, drawn to the centroid of training by the variance of the
    place over that of the users, as the posterior mean of normal distributions is.
    """

    info = ModelInfo(
        name="wbench/toa-aoa",
        revision="1",
        kind="classical",
        summary="First-path delay and angle of the base station that looks most like line of sight",
        source="Dardari, Closas, Djuric, IEEE Trans. Veh. Technol. 64(4), 2015",
        licence="Apache-2.0",
        trains=True,
    )

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Learn errors by excess loss, and sides; choose the loss's turn, and whether to hedge, on ``val``."""
        self._learn(train)
        held, answer = val.load()
        links = measure(held)
        tried = itertools.product(TURNS, (False, True))
        self.turn, self.hedge = choose(self, ("turn", "hedge"), tried, lambda one: self._answer(links, *one), answer)

    def predict(self, batch: Batch) -> F64:
        """Places in m: float64 [n, 2]; the centroid of training where nothing is heard."""
        return self._answer(measure(batch), self.turn, self.hedge)

    def _answer(self, links: Links, turn: float, hedge: bool) -> F64:
        fix = self._fix(links, turn)
        rows = np.arange(len(links))
        # The place that a link leaves is as uncertain as its range along, and its cosine times the range across.
        uncertain = np.hypot((fix.early_m + fix.late_m) / 2, fix.cosine_spread * np.maximum(links.range_m, 1.0))
        best = uncertain.argmin(axis=1)
        both = candidates(fix.range_m, fix.cosine, links.station, links.bearing)[rows, best]
        cost = fix.cost(fix.residuals(both)[0]) - np.log(self.sides.shares(links)[rows, best])
        if hedge:
            share = np.exp(cost.min(axis=1, keepdims=True) - cost)
            middle = (both * (share / share.sum(axis=1, keepdims=True))[..., None]).sum(axis=1)
            trust = 1 / (1 + (uncertain[rows, best][:, None] / self.extent) ** 2)
            place = self.centre + trust * (middle - self.centre)
        else:
            place = both[rows, cost.argmin(axis=1)]
        heard = np.asarray(links.heard.any(axis=1))
        return np.where(heard[:, None], place, self.centre)


class LeastSquares(_Geometric):
    """Robust least squares over the ranges and axis cosines of all base stations.

    Residuals are over the spreads that training shows for links with their loss beyond free space, of ranges that are
    corrected by its median; Cauchy's loss keeps first paths that came round corners from deciding. Each base station's
    places in front and behind are starts, and so is the centroid of training. The least cost of all wins, or what the
    starts lead to is averaged by likelihood (validation chooses).
    """

    info = ModelInfo(
        name="wbench/multilateration",
        revision="1",
        kind="classical",
        summary="Robust least squares over first-path delays and angles of all base stations",
        source="Guvenc and Chong, IEEE Commun. Surveys Tuts. 11(3), 2009 (weighted and robust least squares)",
        licence="Apache-2.0",
        trains=True,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Positioning with several base stations."""
        if spec.family == "positioning" and int(spec.params.get("base_stations", 6)) < 2:
            return "needs several base stations; the task has one"
        return only_positioning(spec)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Learn errors by excess loss; choose the loss's turn, whether sides are voted on and to hedge, on ``val``."""
        self._learn(train)
        held, answer = val.load()
        links = measure(held)
        # Steps do not hang on votes and hedging: each turn is solved once.
        solved = {turn: self._minima(links, turn) for turn in TURNS}
        tried = itertools.product(TURNS, (False, True), (False, True))
        self.turn, self.votes, self.hedge = choose(
            self,
            ("turn", "votes", "hedge"),
            tried,
            lambda one: self._answer(links, *solved[one[0]], *one[1:]),
            answer,
        )

    def predict(self, batch: Batch) -> F64:
        """Places in m: float64 [n, 2]; the centroid of training where nothing is heard."""
        links = measure(batch)
        return self._answer(links, *self._minima(links, self.turn), self.votes, self.hedge)

    def _minima(self, links: Links, turn: float) -> tuple[F64, F64]:
        """Minima [n, 2b + 1, 2] that the starts lead to, and their costs."""
        parts = [self._some(part, turn) for part in _chunks(links)]
        place, cost = zip(*parts, strict=True)
        return np.concatenate(place), np.concatenate(cost)

    def _some(self, links: Links, turn: float) -> tuple[F64, F64]:
        fix = self._fix(links, turn)
        both = candidates(fix.range_m, fix.cosine, links.station, links.bearing)
        centre = np.broadcast_to(self.centre, (len(links), 1, 2))
        start = np.concatenate([centre, both.reshape(len(links), -1, 2)], axis=1)
        start[:, 1:] = np.where(np.repeat(links.heard, 2, axis=1)[..., None], start[:, 1:], self.centre)
        return solve(fix, start)

    def _answer(self, links: Links, place: F64, cost: F64, votes: bool, hedge: bool) -> F64:
        if votes:
            cost = cost - self.sides.log_odds(links, place)
        if not hedge:
            return np.asarray(place[np.arange(len(links)), cost.argmin(axis=1)])
        share = np.exp(cost.min(axis=1, keepdims=True) - cost)
        return np.asarray((place * (share / share.sum(axis=1, keepdims=True))[..., None]).sum(axis=1))


def _chunks(links: Links, size: int = 256) -> list[Links]:
    fields: Any = [getattr(links, name) for name in Links.__slots__]
    return [Links(*(f[start : start + size] for f in fields)) for start in range(0, len(links), size)]
