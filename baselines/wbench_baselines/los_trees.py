"""LoS against NLoS by boosted trees on the eight statistics of the channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from wbench.model import ModelInfo, TrainingData
from wbench.task.batch import Batch
from wbench.tuning import Search
from wbench_baselines.los import Floats, Labels, StatisticsModel

__all__ = ["BoostedStatistics"]

#: Leaves per tree and numbers of trees that validation chooses from: 16 configurations.
LEAVES = (3, 6, 12, 24)
TREES = (25, 50, 100, 200)
RATE = 0.1
#: Training samples per leaf, at least; fewer (one in twenty) where training has less than 400.
LEAF_SAMPLES = 20


class BoostedStatistics(StatisticsModel):
    """Gradient-boosted trees on the channel statistics, logistic loss, learning rate 0.1.

    Leaves per tree (3 to 24) and number of trees (25 to 200) are those with the best score on validation by the task's
    primary metric (on ties the smaller trees, then the fewer); if validation has one class only, 6 leaves and 50 trees.
    Nothing is random: no subsampling, no early stopping. A training part of one class gives that class as the answer.
    """

    info = ModelInfo(
        name="wbench/boosted-trees",
        revision="1",
        kind="classical",
        summary="Gradient-boosted trees on eight channel statistics",
        source="J. H. Friedman, Ann. Stat. 29(5), 2001, Algorithm 5 (L2-TreeBoost); scikit-learn's histogram version",
        licence="Apache-2.0",
        trains=True,
    )

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Boost once per size of tree, look at validation along the way, and keep the best.

        Raises
        ------
        ModelError
            The training part is empty.
        """
        x, label = self.gather_train(train)
        self._model: Any = None
        self._only = int(label[0])
        if len(np.unique(label)) < 2:
            return
        self.leaves, self.trees = self._choose(x, label, *self.gather(val))
        self._model = _boost(x, label, self.leaves, self.trees)

    def _choose(self, x: Floats, label: Labels, held: Floats, answer: Labels) -> tuple[int, int]:
        if len(np.unique(answer)) < 2:
            return LEAVES[1], TREES[1]
        search, chosen = Search.by_metric(self.info.name, self.spec.primary), (LEAVES[0], TREES[0])
        for leaves in LEAVES:
            # The first trees of a longer run are those of a shorter one.
            stages = _boost(x, label, leaves, TREES[-1]).staged_predict_proba(held)
            for trees, scores in enumerate(stages, start=1):
                if trees in TREES and search.add(self.score(scores, answer), {"leaves": leaves, "trees": trees}):
                    chosen = leaves, trees
        self.searches = (search,)
        return chosen

    def predict(self, batch: Batch) -> Floats:
        """Probabilities of NLoS and LoS: float64 [n, 2]."""
        if self._model is None:
            return np.tile(np.eye(2)[self._only], (len(batch), 1))
        return np.asarray(self._model.predict_proba(self.features(batch)), dtype=np.float64)

    def count_parameters(self) -> int:
        """Split feature and threshold of every inner node and value of every leaf, if all trees are full."""
        return 0 if self._model is None else self.trees * (3 * self.leaves - 2)


def _boost(x: Floats, label: Labels, leaves: int, trees: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    few = int(np.clip(len(x) // LEAF_SAMPLES, 1, LEAF_SAMPLES))
    model = HistGradientBoostingClassifier(
        learning_rate=RATE,
        max_iter=trees,
        max_leaf_nodes=leaves,
        min_samples_leaf=few,
        early_stopping=False,
        random_state=0,
    )
    return model.fit(x, label)
