"""Path loss across bands by boosted trees on positions, gain and channel statistics."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.channel.statistics import los_statistics
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec
from wbench_baselines.path_loss import distances, only_path_loss
from wbench_baselines.position.tuning import choose, everything

__all__ = ["PathLossTrees", "features"]

F64 = npt.NDArray[np.float64]
LEAVES = (7, 15, 31)
RATES = (0.05, 0.1)


def features(batch: Batch) -> F64:
    """Gain, both positions, distances and eight channel statistics: float64 [n, 17]."""
    ground, space = distances(batch)
    gain = batch.x["path_gain_db"].astype(np.float64)
    free = gain + 20 * np.log10(np.maximum(space, 1.0))
    own = [gain, free, np.log10(np.maximum(ground, 1.0))]
    places = [batch.x["ue_position"], batch.x["bs_position"]]
    statistics = los_statistics(batch.x["H"], batch.meta.tx.rows, batch.meta.tx.cols)
    return np.asarray(np.concatenate([np.stack(own, axis=1), *places, statistics], axis=1), dtype=np.float64)


class PathLossTrees(Predictor):
    """Gradient-boosted trees for the difference of the two bands' gains.

    Histogram-based boosting of squared error, 200 trees, at least 20 users per leaf. Leaves per tree and learning rate
    are chosen on validation from 6 pairs.
    """

    trees: ClassVar[int] = 200

    info = ModelInfo(
        name="wbench/path-loss-trees",
        revision="1",
        kind="classical",
        summary="Boosted trees on gain, positions and channel statistics",
        source="Friedman, Ann. Stat. 29(5), 2001; scikit-learn's HistGradientBoostingRegressor",
        licence="Apache-2.0",
        trains=True,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Path loss."""
        return only_path_loss(spec)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """One ensemble per pair; keep the best on ``val``.

        Raises
        ------
        ModelError
            The training part is empty.
        """
        from sklearn.ensemble import HistGradientBoostingRegressor

        batch, truth = everything(train, self.info.name)
        x, y = features(batch), truth["target"][:, 0] - batch.x["path_gain_db"]
        held, answer = val.load()
        models: dict[tuple[int, float], Any] = {}
        for leaves, rate in itertools.product(LEAVES, RATES):
            model = HistGradientBoostingRegressor(
                max_iter=self.trees, max_leaf_nodes=leaves, learning_rate=rate, early_stopping=False, random_state=0
            )
            models[leaves, rate] = model.fit(x, y)
        chosen = choose(self, ("leaves", "rate"), models, lambda one: _answer(models[one], held), answer)
        self.chosen, self.model = chosen, models[chosen]

    def predict(self, batch: Batch) -> F64:
        """Gain in dB: float64 [n, 1]."""
        return _answer(self.model, batch)

    def count_parameters(self) -> int:
        """Leaves of all trees, at most."""
        return self.trees * self.chosen[0]


def _answer(model: Any, batch: Batch) -> F64:
    return np.asarray(batch.x["path_gain_db"] + model.predict(features(batch)), dtype=np.float64)[:, None]
