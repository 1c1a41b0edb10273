"""Nearest users on the map: what a place alone tells, before any channel is looked at."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec
from wbench_baselines.position.search import Neighbours, inverse_distance
from wbench_baselines.position.tuning import choose, everything

__all__ = ["PositionKnn"]

F64 = npt.NDArray[np.float64]
NEIGHBOURS = (1, 2, 3, 5, 8, 12, 20, 40)
#: Metres of distance between users that a metre between their base stations counts for; validation chooses.
STATION_FACTORS = (1.0, 10.0)


class PositionKnn(Predictor):
    """Training users nearest on the map, weights 1/distance: their mean answer, or their votes.

    Where the task shows the base station's place, users of other base stations are farther away by it. The number of
    neighbours, and what the base station's place counts, are chosen on validation from at most 16 pairs.
    """

    info = ModelInfo(
        name="wbench/position-knn",
        revision="1",
        kind="classical",
        summary="Weighted k-NN on the user's position",
        source="Cover and Hart, IEEE Trans. Inf. Theory 13(1), 1967; weights: Dudani, IEEE Trans. SMC 6(4), 1976",
        licence="Apache-2.0",
        trains=True,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Tasks that show the user's position: path loss, and beam prediction from it."""
        if spec.family == "path-loss" or (spec.family == "beam-crossband" and spec.params.get("inputs") == "position"):
            return None
        return "needs the user's position, which the task does not show"

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Keep the training places; choose on ``val``.

        Raises
        ------
        ModelError
            The training part is empty.
        """
        batch, truth = everything(train, self.info.name)
        classes = batch.meta.classes
        self.answer = np.eye(classes)[truth["label"]] if classes else truth["target"].astype(np.float64)
        held, held_truth = val.load()
        factors = STATION_FACTORS if "bs_position" in batch.x else (0.0,)
        searches = {factor: Neighbours(_places(batch, factor)) for factor in factors}
        found = {f: search.nearest(_places(held, f), max(NEIGHBOURS)) for f, search in searches.items()}

        def answers(one: tuple[int, float]) -> F64:
            index, distance = found[one[1]]
            return self._mean(index[:, : one[0]], distance[:, : one[0]])

        pairs = itertools.product(NEIGHBOURS, factors)
        self.k, self.factor = choose(self, ("k", "station factor"), pairs, answers, held_truth)
        self.neighbours = searches[self.factor]

    def _mean(self, index: npt.NDArray[np.int64], distance: F64) -> F64:
        return np.asarray((self.answer[index] * inverse_distance(distance)[..., None]).sum(axis=1))

    def predict(self, batch: Batch) -> F64:
        """Mean target float64 [n, outputs], or share of the votes [n, classes]."""
        return self._mean(*self.neighbours.nearest(_places(batch, self.factor), self.k))


def _places(batch: Batch, factor: float) -> F64:
    place = batch.x["ue_position"].astype(np.float64)
    return np.concatenate([place, factor * batch.x["bs_position"]], axis=1) if factor else place
