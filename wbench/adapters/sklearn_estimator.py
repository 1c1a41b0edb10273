"""scikit-learn estimators as models, fitted here on the training part; classifiers and regressors, pipelines too."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.adapters.base import Adapter
from wbench.model import Predictor, TrainingData
from wbench.task.batch import Batch
from wbench.task.spec import Kind

__all__ = ["SklearnPredictor"]

#: What estimators call what they have learned: linear models, multi-layer perceptrons.
_LEARNED = ("coef_", "intercept_", "coefs_", "intercepts_")


class SklearnPredictor(Adapter, Predictor):
    """An estimator on one vector per sample; declare ``trains=True``.

    A subclass writes :meth:`estimator`, and :meth:`features` if magnitudes are not what it wants. Every
    ``random_state`` of it, inside pipelines as well, is the run's seed. Fitted estimators are not read from files:
    those are pickles, which can run any code when they are opened; export them to ONNX instead.
    """

    kinds: Sequence[Kind] = ("classify", "regress")

    @abstractmethod
    def estimator(self) -> Any:
        """A new, unfitted estimator: a classifier for ``classify`` tasks, a regressor for ``regress`` tasks."""

    def features(self, batch: Batch) -> npt.NDArray[Any]:
        """One vector per sample, [n, d]. Default: magnitudes of the channel."""
        return np.abs(self.channel(batch)).reshape(len(batch), -1)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Fit a new estimator to the training part; ``val`` is not used."""
        name = "label" if self.meta.classes is not None else "target"
        x, y = [], []
        for batch, truth in train.batches():
            x.append(np.asarray(self.features(batch)))
            y.append(truth[name])
        found = self.estimator()
        states = [key for key in found.get_params() if key.split("__")[-1] == "random_state"]
        if states:
            found.set_params(**dict.fromkeys(states, seed))
        wanted = np.concatenate(y)
        # One target is [n, 1] here; many regressors want [n].
        self.fitted = found.fit(
            np.concatenate(x), wanted[:, 0] if wanted.ndim == 2 and wanted.shape[1] == 1 else wanted
        )

    def predict(self, batch: Batch) -> npt.NDArray[Any]:
        """Scores [n, classes] or outputs [n, m].

        Scores are probabilities where the estimator gives them, else its decision function. Classes that the training
        part did not show get 1 less than the lowest of the sample.
        """
        x = np.asarray(self.features(batch))
        if self.meta.classes is None:
            return np.asarray(self.fitted.predict(x), dtype=np.float64).reshape(len(x), -1)
        scores = self._scores(x)
        out = np.repeat(scores.min(axis=1, keepdims=True) - 1.0, self.meta.classes, axis=1)
        out[:, np.asarray(self.fitted.classes_, dtype=np.int64)] = scores
        return out

    def _scores(self, x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Scores of the classes that were seen, in the order of ``classes_``."""
        if hasattr(self.fitted, "predict_proba"):
            return np.asarray(self.fitted.predict_proba(x), dtype=np.float64)
        if hasattr(self.fitted, "decision_function"):
            found = np.asarray(self.fitted.decision_function(x), dtype=np.float64)
            return np.stack([-found, found], axis=1) if found.ndim == 1 else found
        seen = np.asarray(self.fitted.classes_)
        return np.asarray(self.fitted.predict(x)[:, None] == seen[None], dtype=np.float64)

    def count_parameters(self) -> int:
        """Numbers that linear models and perceptrons have learned; else ``info.parameters``."""
        count = sum(_size(getattr(one, name)) for one in _steps(self.fitted) for name in _LEARNED if name in vars(one))
        return count or self.info.parameters


def _steps(estimator: Any) -> Iterator[Any]:
    yield estimator
    for _, step in getattr(estimator, "steps", ()):
        if hasattr(step, "get_params"):
            yield from _steps(step)


def _size(learned: Any) -> int:
    return sum(map(np.size, learned)) if isinstance(learned, list) else int(np.size(learned))
