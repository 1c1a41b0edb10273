"""Fitted forecasts: autoregression, ridge regression on all features, gradient-boosted trees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.model import ModelInfo, TrainingData
from wbench.task.batch import Batch, Truth
from wbench.tuning import Search
from wbench_baselines.link.common import FeatureModel, columns

__all__ = ["FeatureAr", "FeatureRidge", "FeatureTrees"]

F64 = npt.NDArray[np.float64]

#: Relative strength of the regulariser that keeps nearly equal slots from cancelling in huge coefficients.
AR_STRENGTH = 1e-6
#: Strengths of the ridge per training sample and unit variance; the last is next to no correction at all.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 1e2, 1e4)
#: Rounds and leaves of the trees; 0 rounds is the autoregression alone.
ROUNDS, LEAVES = (0, 30, 100), (6, 16)
RATE, LEAF_SAMPLES, COMPONENTS = 0.08, 40, 4


class FeatureAr(FeatureModel):
    """Linear combination of the feature's own visible slots, the same for all its entries, with an intercept.

    Coefficients are least squares over the training part's valid entries: the autoregression that is best for this
    target, which is the true feature and not the next estimate.
    """

    info = ModelInfo(
        name="wbench/feature-ar",
        revision="1",
        kind="classical",
        summary="Autoregression of the feature over the visible slots",
        source="G. U. Yule, Phil. Trans. R. Soc. A 226, 1927; least squares on the task's target",
        licence="Apache-2.0",
        trains=True,
    )

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Solve for the coefficients."""
        self._fit_ar(*self.gather(train))

    def _fit_ar(self, batch: Batch, truth: Truth) -> None:
        valid = truth["target_mask"]
        rows = np.moveaxis(self.history(batch)[:, self.visible], 1, 2)[valid]
        goal = truth["target"][valid]
        # Features are as small as 1e-9: everything is solved at a scale of order one.
        self.unit = float(np.sqrt(np.mean(goal**2))) or 1.0
        scale = float(np.sqrt(np.mean(rows**2))) or 1.0
        design = np.column_stack([rows / scale, np.ones(len(rows))])
        normal = design.T @ design
        normal[:-1, :-1] += AR_STRENGTH * len(rows) * np.eye(rows.shape[1])  # the intercept is free
        weights = np.linalg.solve(normal, design.T @ goal)
        self.weights, self.intercept = weights[:-1] / scale, weights[-1]

    def _ar(self, batch: Batch) -> F64:
        seen = self.history(batch)[:, self.visible]
        return np.asarray(np.einsum("nso,s->no", seen, self.weights) + self.intercept)

    def predict(self, batch: Batch) -> F64:
        """The combination: float64 [n, outputs]."""
        return self._ar(batch)

    def count_parameters(self) -> int:
        """One coefficient for each visible slot, and the intercept."""
        return int(self.visible.sum()) + 1


class FeatureRidge(FeatureAr):
    """What all features of the visible slots and the numerology add to the autoregression, by ridge regression.

    The strength of the regulariser is chosen on validation by the task's primary metric.
    """

    info = ModelInfo(
        name="wbench/feature-ridge",
        revision="1",
        kind="classical",
        summary="Ridge regression on all features of the visible slots, on top of the autoregression",
        source="Hoerl and Kennard, Technometrics 12(1), 1970",
        licence="Apache-2.0",
        trains=True,
    )

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Fit all strengths at once, keep the best on ``val``."""
        (batch, truth), (held, answer) = self.gather(train), self.gather(val)
        self._fit_ar(batch, truth)
        x = columns(batch, self.visible)
        self.mean, deviation = x.mean(axis=0), x.std(axis=0)
        varies = deviation > 1e-9 * np.maximum(np.abs(self.mean), 1e-9)
        self.gain = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies)
        x = (x - self.mean) * self.gain
        rest = np.where(truth["target_mask"], truth["target"] - self._ar(batch), 0.0) / self.unit
        queries, base = (columns(held, self.visible) - self.mean) * self.gain, self._ar(held)
        search = Search(self.info.name, self.spec.primary)
        for strength, slope in zip(STRENGTHS, _ridge_slopes(x, rest), strict=True):
            if search.add(self.score(base + self.unit * (queries @ slope), answer), {"strength": strength}):
                self.slope = slope
        self.searches = (search,)

    def predict(self, batch: Batch) -> F64:
        """The autoregression and the correction: float64 [n, outputs]."""
        x = (columns(batch, self.visible) - self.mean) * self.gain
        return np.asarray(self._ar(batch) + self.unit * (x @ self.slope))

    def count_parameters(self) -> int:
        """Slopes of the columns that vary, and the autoregression."""
        return super().count_parameters() + int(np.count_nonzero(self.gain)) * int(self.slope.shape[1])


def _ridge_slopes(x: F64, rest: F64) -> Iterator[F64]:
    """Slopes [p, outputs] of each strength, from one eigendecomposition of the smaller Gram matrix."""
    n, p = x.shape
    if n < p:
        values, vectors = np.linalg.eigh(x @ x.T / n)
        turned, back = vectors.T @ rest / n, x.T @ vectors
    else:
        values, back = np.linalg.eigh(x.T @ x / n)
        turned = back.T @ (x.T @ rest / n)
    for strength in STRENGTHS:
        yield back @ (turned / (np.maximum(values, 0.0) + strength)[:, None])


class FeatureTrees(FeatureAr):
    """What gradient-boosted trees add to the autoregression: on its main components where there are many outputs.

    The trees see the scalar features, the numerology and the feature's own entries projected on the main components of
    its history; numbers of rounds and leaves are chosen on validation.
    """

    info = ModelInfo(
        name="wbench/feature-trees",
        revision="1",
        kind="classical",
        summary="Gradient-boosted trees on top of the autoregression",
        source="J. H. Friedman, Ann. Stat. 29(5), 2001; G. Ke et al., NeurIPS 2017 (histograms)",
        licence="Apache-2.0",
        trains=True,
    )

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Fit all configurations, keep the best on ``val``."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        (batch, truth), (held, answer) = self.gather(train), self.gather(val)
        self._fit_ar(batch, truth)
        base = self._ar(held)
        rest = np.where(truth["target_mask"], truth["target"] - self._ar(batch), 0.0) / self.unit
        self.axes = _main_axes(rest)
        own = self.history(batch)[:, self.visible].mean(axis=1) / self.unit
        self.views = _main_axes(own - own.mean(axis=0))
        x, queries, goals = self._columns(batch), self._columns(held), rest @ self.axes.T
        few = int(np.clip(len(x) // LEAF_SAMPLES, 1, LEAF_SAMPLES))
        search = Search(self.info.name, self.spec.primary)
        for rounds in ROUNDS:
            for leaves in LEAVES if rounds else LEAVES[:1]:
                models: list[Any] = [
                    HistGradientBoostingRegressor(
                        learning_rate=RATE, max_iter=rounds, max_leaf_nodes=leaves, min_samples_leaf=few,
                        early_stopping=False, random_state=0,
                    ).fit(x, goal)
                    for goal in (goals.T if rounds else ())
                ]  # fmt: skip
                error = self.score(base + self._correction(models, queries), answer)
                if search.add(error, {"rounds": rounds, "leaves": leaves}):
                    self.models, self.shape = models, (rounds, leaves)
        self.searches = (search,)

    def _columns(self, batch: Batch) -> F64:
        own = self.history(batch)[:, self.visible] / self.unit @ self.views.T
        return np.concatenate([columns(batch, self.visible, ()), own.reshape(len(batch), -1)], axis=1)

    def _correction(self, models: list[Any], x: F64) -> F64:
        if not models:
            return np.zeros((len(x), self.axes.shape[1]))
        return np.asarray(self.unit * (np.stack([model.predict(x) for model in models], axis=1) @ self.axes))

    def predict(self, batch: Batch) -> F64:
        """The autoregression and the trees: float64 [n, outputs]."""
        return self._ar(batch) + self._correction(self.models, self._columns(batch))

    def count_parameters(self) -> int:
        """Feature and threshold of every inner node and value of every leaf, if all trees are full; axes included."""
        rounds, leaves = self.shape
        trees = len(self.models) * rounds * (3 * leaves - 2)
        return super().count_parameters() + trees + (int(self.axes.size + self.views.size) if self.models else 0)


def _main_axes(rows: F64) -> F64:
    """Orthonormal directions of the largest second moments, four at most: [components, outputs]."""
    if rows.shape[1] == 1:
        return np.ones((1, 1))
    _, vectors = np.linalg.eigh(rows.T @ rows)
    axes = vectors[:, ::-1][:, :COMPONENTS].T
    # An eigenvector's sign is free: the same everywhere, so that trees on it are too.
    largest = np.argmax(np.abs(axes), axis=1)
    return np.asarray(axes * np.sign(axes[np.arange(len(axes)), largest])[:, None])
