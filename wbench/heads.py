"""Heads: the harness trains them on frozen features, so that features are compared, not heads.

``linear``: features are averaged over tokens, standardised with training statistics, and classified by multinomial
logistic regression (scikit-learn, L-BFGS). Its inverse regularisation C is chosen on validation by cross-entropy from
:data:`LOGISTIC_C`; ``regress`` tasks use ridge regression with α from :data:`RIDGE_ALPHA` by squared error.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError, UnknownNameError
from wbench.model import Embedder, ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.spec import TaskSpec

__all__ = ["HEADS", "Head", "LinearHead", "Probe", "build_head"]

LOGISTIC_C = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
RIDGE_ALPHA = (1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)
Features = npt.NDArray[np.float64]


class Head(ABC):
    """A predictor on feature vectors float64 [n, d]."""

    name: str

    @abstractmethod
    def fit(self, train: tuple[Features, Truth], val: tuple[Features, Truth], classes: int | None, seed: int) -> None:
        """Fit; ``classes`` is None for regression."""

    @abstractmethod
    def predict(self, features: Features) -> npt.NDArray[np.float64]:
        """Scores [n, classes] or outputs [n, m]."""

    @abstractmethod
    def count_parameters(self) -> int:
        """Number of fitted parameters."""


class LinearHead(Head):
    """Multinomial logistic regression, or ridge regression."""

    name = "linear"

    def fit(self, train: tuple[Features, Truth], val: tuple[Features, Truth], classes: int | None, seed: int) -> None:
        """Standardise, then fit one model per regulariser and keep the best on validation."""
        features, truth = train
        self._mean = features.mean(axis=0)
        deviation = features.std(axis=0)
        # A feature that does not vary in training says nothing; divided by rounding noise it would drown the others.
        constant = deviation <= 1e-7 * np.abs(self._mean) + np.finfo(np.float64).tiny
        self._deviation = np.where(constant, np.inf, deviation)
        self._classes = classes
        if classes is not None:
            self._fit_logistic(self._standard(features), truth["label"], self._standard(val[0]), val[1]["label"])
        else:
            self._fit_ridge(self._standard(features), truth["target"], self._standard(val[0]), val[1]["target"])

    def _standard(self, features: Features) -> Features:
        return np.asarray((features - self._mean) / self._deviation)

    def _fit_logistic(self, x: Features, label: Any, x_val: Features, label_val: Any) -> None:
        from sklearn.linear_model import LogisticRegression

        if len(np.unique(label)) < 2:
            raise ModelError("The linear head needs at least two classes in the training part.", why="budget too small")
        best = np.inf
        for c in LOGISTIC_C:
            model = LogisticRegression(C=c, max_iter=2000)
            model.fit(x, label)
            loss = self._cross_entropy(model, x_val, label_val)
            if loss < best:
                best, self._model = loss, model

    def _cross_entropy(self, model: Any, x: Features, label: npt.NDArray[np.int64]) -> float:
        # A class that training has not seen gets a floor instead of an infinite loss.
        column = {int(c): i for i, c in enumerate(model.classes_)}
        probability = model.predict_proba(x)
        hit = [probability[i, column[int(c)]] if int(c) in column else 0.0 for i, c in enumerate(label)]
        return float(-np.mean(np.log(np.maximum(hit, 1e-12))))

    def _fit_ridge(self, x: Features, y: Any, x_val: Features, y_val: Any) -> None:
        from sklearn.linear_model import Ridge

        best = np.inf
        for alpha in RIDGE_ALPHA:
            model = Ridge(alpha=alpha).fit(x, y)
            loss = float(np.mean((model.predict(x_val) - y_val) ** 2))
            if loss < best:
                best, self._model = loss, model

    def predict(self, features: Features) -> npt.NDArray[np.float64]:
        """Log-probabilities [n, classes] (classes unseen in training get the least), or outputs [n, m]."""
        x = self._standard(features)
        if self._classes is None:
            return np.asarray(self._model.predict(x), dtype=np.float64)
        scores = np.full((len(x), self._classes), -1e3)
        scores[:, self._model.classes_] = np.maximum(self._model.predict_log_proba(x), -999.0)
        return scores

    def count_parameters(self) -> int:
        """Weights and intercepts."""
        return int(self._model.coef_.size + np.size(self._model.intercept_))


HEADS: dict[str, type[Head]] = {"linear": LinearHead}


def build_head(name: str) -> Head:
    """Construct a head by name."""
    if name not in HEADS:
        raise UnknownNameError("head", name, HEADS, next_step=f"--head {'|'.join(HEADS)}")
    return HEADS[name]()


class Probe(Predictor):
    """An embedder with a trained head: a predictor.

    Parameters
    ----------
    embedder : Embedder
        The frozen features.
    head : Head
        What is trained on them.
    """

    def __init__(self, embedder: Embedder, head: Head) -> None:
        self.embedder = embedder
        self.head = head
        self.info: ModelInfo = replace(embedder.info, trains=True)  # type: ignore[misc]

    def supports(self, spec: TaskSpec) -> str | None:
        """Heads serve ``classify`` and ``regress``; then it is up to the embedder."""
        if spec.kind not in ("classify", "regress"):
            return f"the {self.head.name} head serves classify and regress tasks, not {spec.kind}"
        return self.embedder.supports(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Set up the embedder."""
        super().setup(spec, meta)
        self.embedder.setup(spec, meta)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Fit the embedder if it declares training, then the head."""
        if self.embedder.info.trains:
            self.embedder.fit(train, val, seed)
        self.head.fit(self._features_of(train), self._features_of(val), self.meta.classes, seed)

    def _features_of(self, data: TrainingData) -> tuple[Features, Truth]:
        features, truths = [], []
        for batch, truth in data.batches():
            features.append(self._features(batch))
            truths.append(truth)
        return np.concatenate(features), {k: np.concatenate([t[k] for t in truths]) for k in truths[0]}

    def _features(self, batch: Batch) -> Features:
        tokens = np.asarray(self.embedder.embed(batch))
        if tokens.ndim != 3 or len(tokens) != len(batch) or 0 in tokens.shape or tokens.dtype.kind not in "iuf":
            why = f"it returned {tokens.dtype} {tokens.shape} for {len(batch)} samples"
            raise ModelError("embed() must return real numbers [n, token, d].", where=self.info.name, why=why)
        features = tokens.astype(np.float64).mean(axis=1)
        if not np.isfinite(features).all():
            raise ModelError("embed() returned NaN or infinity.", where=self.info.name)
        return np.asarray(features)

    def predict(self, batch: Batch) -> npt.NDArray[Any]:
        """Head on the pooled features."""
        return self.head.predict(self._features(batch))

    def count_parameters(self) -> int:
        """Parameters of embedder and head."""
        return self.embedder.count_parameters() + self.head.count_parameters()
