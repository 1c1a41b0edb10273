"""LoS against NLoS from eight statistics of the channel: what the models on them share, and logistic regression."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.channel.statistics import LOS_STATISTICS, los_statistics
from wbench.errors import ModelError
from wbench.metric.catalogue import get_metric
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench.tuning import Search

__all__ = ["LogisticStatistics", "StatisticsModel", "statistics"]

#: Inverse regularisation strengths that validation chooses from (the protocol allows 32 configurations).
STRENGTHS = tuple(float(c) for c in np.logspace(-3, 3, 13))

#: Statistics without an upper bound enter as log(1 + x).
OPEN_ENDED = [LOS_STATISTICS.index(name) for name in ("k_factor", "delay_spread")]

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def statistics(batch: Batch) -> Floats:
    """The statistics of :func:`wbench.channel.statistics.los_statistics`, unbounded ones as log(1 + x): [n, 8]."""
    values = los_statistics(batch.x["H"], batch.meta.tx.rows, batch.meta.tx.cols)
    values[:, OPEN_ENDED] = np.log1p(values[:, OPEN_ENDED])
    return values


class StatisticsModel(Predictor):
    """A classifier of LoS on features of the frequency response; by default the eight :func:`statistics`."""

    def supports(self, spec: TaskSpec) -> str | None:
        """LoS against NLoS."""
        if spec.family == "los-nlos" and spec.kind == "classify":
            return None
        return f"answers los-nlos; the task is {spec.family}, {spec.kind}"

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Check the dimensions.

        Raises
        ------
        ModelError
            The channel is no frequency response over time, receive and transmit ports.
        """
        super().setup(spec, meta)
        if meta.dims != ("time", "rx", "tx", "subcarrier"):
            raise ModelError("The statistics are for a frequency response.", where=self.info.name, why=f"{meta.dims}")

    def features(self, batch: Batch) -> Floats:
        """Features float64 [n, d], a sample's own whatever the batch."""
        return statistics(batch)

    def gather(self, data: TrainingData) -> tuple[Floats, Labels]:
        """Features float64 [n, d] and labels int64 [n] of a part; it may be empty."""
        parts = [(self.features(batch), truth["label"].astype(np.int64)) for batch, truth in data.batches()]
        if not parts:
            return np.zeros((0, len(LOS_STATISTICS))), np.zeros(0, dtype=np.int64)
        return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])

    def gather_train(self, data: TrainingData) -> tuple[Floats, Labels]:
        """The same of a part that must not be empty (:class:`~wbench.errors.ModelError`)."""
        x, label = self.gather(data)
        if not len(label):
            raise ModelError("The training part is empty.", where=self.info.name)
        return x, label

    def score(self, scores: Floats, label: Labels) -> float:
        """The task's primary metric, its threshold chosen on these samples as the harness does."""
        metric, truth = get_metric(self.spec.primary), {"label": label}
        table = metric.per_sample(scores, truth, metric.calibrate(scores, truth))
        return metric.reduce(table, np.ones(len(label)))


class LogisticStatistics(StatisticsModel):
    """Logistic regression on z-scored channel statistics (eigenvalue ratio, peak fractions, K factor, delay spread …).

    Mean and deviation come from the training part only. The strength of the quadratic regulariser is the one of 13
    whose score on validation, by the task's primary metric, is best (the stronger regulariser on ties); if validation
    has one class only, no choice is possible and C = 1 is used. A training part of one class gives that class as the
    answer.
    """

    info = ModelInfo(
        name="wbench/logistic",
        revision="1",
        kind="classical",
        summary="Logistic regression on eight channel statistics",
        source="D. R. Cox, J. R. Stat. Soc. B 20(2), 1958; statistics as in wbench.channel.statistics.los_statistics",
        licence="Apache-2.0",
        trains=True,
    )

    mean: Floats
    deviation: Floats
    weight: Floats
    bias: float

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Standardise, then fit one regression per strength and keep the best on ``val``.

        Raises
        ------
        ModelError
            The training part is empty.
        """
        x, label = self.gather_train(train)
        self.mean = x.mean(axis=0)
        deviation = x.std(axis=0)
        self.deviation = np.where(deviation > 0, deviation, 1.0)
        if len(np.unique(label)) < 2:
            self.weight, self.bias = np.zeros(x.shape[1]), 1.0 if label[0] else -1.0
            return
        held, answer = self.gather(val)
        if len(np.unique(answer)) < 2:
            self.strength = 1.0
            self.weight, self.bias = _regress(self._standard(x), label, self.strength)
            return
        search = Search.by_metric(self.info.name, self.spec.primary)
        for strength in STRENGTHS:
            weight, bias = _regress(self._standard(x), label, strength)
            score = self.score(_probabilities(self._standard(held), weight, bias), answer)
            if search.add(score, {"C": strength}):
                self.strength, self.weight, self.bias = strength, weight, bias
        self.searches = (search,)

    def predict(self, batch: Batch) -> Floats:
        """Probabilities of NLoS and LoS: float64 [n, 2]."""
        return _probabilities(self._standard(self.features(batch)), self.weight, self.bias)

    def count_parameters(self) -> int:
        """Weights and bias."""
        return len(self.weight) + 1

    def _standard(self, x: Floats) -> Floats:
        return (x - self.mean) / self.deviation


def _regress(x: Floats, label: Labels, strength: float) -> tuple[Floats, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, solver="lbfgs", tol=1e-8, max_iter=10_000).fit(x, label)
    return model.coef_[0].astype(np.float64), float(model.intercept_[0])


def _probabilities(x: Floats, weight: Floats, bias: float) -> Floats:
    from scipy.special import expit

    log_odds: Floats = (x * weight).sum(axis=1) + bias  # a sum per row: the same bits in whatever batch a sample comes
    return np.asarray(expit(np.stack([-log_odds, log_odds], axis=1)), dtype=np.float64)
