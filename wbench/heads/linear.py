"""The linear head: logistic or ridge regression on standardised, pooled features (scikit-learn)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.heads.base import Features, Head
from wbench.task.batch import Truth
from wbench.tuning import Search

__all__ = ["LOGISTIC_C", "RIDGE_ALPHA", "LinearHead", "standardiser"]

LOGISTIC_C = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
RIDGE_ALPHA = (1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)


def standardiser(features: Features) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each feature over all other axes, float64 [d].

    A feature that does not vary in training says nothing; divided by rounding noise it would drown the others. Its
    deviation is infinite, so that it becomes 0.
    """
    axes = tuple(range(features.ndim - 1))
    mean = features.mean(axis=axes, dtype=np.float64)
    deviation = features.std(axis=axes, dtype=np.float64)
    # Rounding noise is that of the features' own type: tokens come in single precision.
    noise = 1e-7 if features.dtype == np.float64 else 1e-5
    constant = deviation <= noise * np.abs(mean) + np.finfo(np.float64).tiny
    return mean, np.where(constant, np.inf, deviation)


class LinearHead(Head):
    """Multinomial logistic regression, or ridge regression, on standardised features.

    The inverse regularisation C (of :data:`LOGISTIC_C`) is chosen on validation by cross-entropy; of ``regress`` tasks
    the α (of :data:`RIDGE_ALPHA`) by squared error.
    """

    name: ClassVar[str] = "linear"
    summary: ClassVar[str] = "logistic or ridge regression, regulariser chosen on validation"

    def fit(self, train: tuple[Features, Truth], val: tuple[Features, Truth], classes: int | None, seed: int) -> None:
        """Standardise, then fit one model per regulariser and keep the best on validation."""
        features, truth = train
        self._mean, self._deviation = standardiser(features)
        self._classes = classes
        if classes is not None:
            self._fit_logistic(self._standard(features), truth["label"], self._standard(val[0]), val[1]["label"])
        else:
            self._fit_ridge(self._standard(features), truth["target"], self._standard(val[0]), val[1]["target"])

    def _standard(self, features: Features) -> npt.NDArray[np.float64]:
        return np.asarray((features - self._mean) / self._deviation)

    def _fit_logistic(self, x: Features, label: Any, x_val: Features, label_val: Any) -> None:
        from sklearn.linear_model import LogisticRegression

        if len(np.unique(label)) < 2:
            raise ModelError("The linear head needs at least two classes in the training part.", why="budget too small")
        search = Search(f"{self.name} head", "cross-entropy")
        for c in LOGISTIC_C:
            model = LogisticRegression(C=c, max_iter=2000)
            model.fit(x, label)
            if search.add(self._cross_entropy(model, x_val, label_val), {"C": c}):
                self._model = model
        self.searches = (search,)

    def _cross_entropy(self, model: Any, x: Features, label: npt.NDArray[np.int64]) -> float:
        # A class that training has not seen gets a floor instead of an infinite loss.
        column = {int(c): i for i, c in enumerate(model.classes_)}
        probability = model.predict_proba(x)
        hit = [probability[i, column[int(c)]] if int(c) in column else 0.0 for i, c in enumerate(label)]
        return float(-np.mean(np.log(np.maximum(hit, 1e-12))))

    def _fit_ridge(self, x: Features, y: Any, x_val: Features, y_val: Any) -> None:
        from sklearn.linear_model import Ridge

        search = Search(f"{self.name} head", "mean squared error")
        for alpha in RIDGE_ALPHA:
            model = Ridge(alpha=alpha).fit(x, y)
            if search.add(float(np.mean((_outputs(model, x_val) - y_val) ** 2)), {"alpha": alpha}):
                self._model = model
        self.searches = (search,)

    def predict(self, features: Features) -> npt.NDArray[np.float64]:
        """Log-probabilities [n, classes] (classes unseen in training get the least), or outputs [n, m]."""
        x = self._standard(features)
        if self._classes is None:
            return _outputs(self._model, x)
        # From the decision function: a probability that rounds to 0 or 1 has lost the order that AUROC asks for.
        logits = self._model.decision_function(x)
        logits = logits if logits.ndim == 2 else np.column_stack([np.zeros(len(x)), logits])
        logits = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        scores = np.full((len(x), self._classes), -1e3)
        scores[:, self._model.classes_] = np.maximum(logits, -999.0)
        return scores

    def count_parameters(self) -> int:
        """Weights and intercepts."""
        return int(self._model.coef_.size + np.size(self._model.intercept_))


def _outputs(model: Any, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Outputs [n, m]: scikit-learn answers [n] where there is one."""
    return np.asarray(model.predict(x), dtype=np.float64).reshape(len(x), -1)
