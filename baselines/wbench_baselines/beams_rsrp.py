"""Best beam of Set A from the RSRP of Set B: the strongest measured beam, ridge regression, nearest neighbours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.metric.catalogue import get_metric
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.spec import TaskSpec
from wbench.tuning import Search

__all__ = ["BestInB", "RsrpModel", "RsrpNeighbours", "RsrpRidge"]

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

#: Targets in dB below the best beam are cut here: how weak a weak beam is does not matter.
CUT_DB = -30.0
#: Strengths of the ridge that validation chooses from, for two kinds of targets: 18 configurations.
STRENGTHS = tuple(float(a) for a in np.logspace(-2, 6, 9))
#: Numbers of neighbours that validation chooses from, for two kinds of answers: 16 configurations.
NEIGHBOURS = (1, 3, 10, 20, 40, 80, 160, 320)
#: Queries per distance matrix: 128 × 280 000 training samples are 0.3 GB.
CHUNK = 128


class RsrpModel(Predictor):
    """What they share: reports of Set B in, scores of Set A out."""

    def supports(self, spec: TaskSpec) -> str | None:
        """Tasks that show the RSRP of some beams."""
        if spec.family == "beam-rsrp" and spec.kind == "classify" and "set_b" in spec.params:
            return None
        return f"needs the RSRP of some beams; the task is {spec.family}, {spec.kind}"

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Learn the two sets.

        Raises
        ------
        ModelError
            Set B has another size than the reports.
        """
        super().setup(spec, meta)
        self.set_b = np.array(spec.params["set_b"], dtype=np.int64)
        self.beams = meta.classes or 0
        if meta.shape != (len(self.set_b),) or not self.beams:
            why = f"{len(self.set_b)} beams of {meta.classes}, reports {meta.shape}"
            raise ModelError("The reports do not fit Set B.", where=self.info.name, why=why)

    def features(self, batch: Batch) -> Floats:
        """Reports and noise power in whole dB: float64 [n, |B| + 1]; the noise counts where the SNR varies."""
        power = np.ones(len(batch)) if batch.noise_power is None else batch.noise_power.astype(np.float64)
        noise = np.round(10.0 * np.log10(np.maximum(power, 1e-10)))
        return np.column_stack([batch.x["rsrp"].astype(np.float64), noise])

    def gather(self, data: TrainingData) -> tuple[Floats, Truth]:
        """Features and targets of a part (:class:`~wbench.errors.ModelError` if it is empty)."""
        parts = [(self.features(batch), truth) for batch, truth in data.batches()]
        if not parts:
            raise ModelError("The training or validation part is empty.", where=self.info.name)
        truth = {name: np.concatenate([t[name] for _, t in parts]) for name in parts[0][1]}
        return np.concatenate([x for x, _ in parts]), truth

    def score(self, scores: Floats, truth: Truth) -> float:
        """The task's primary metric on some samples."""
        metric = get_metric(self.spec.primary)
        return metric.reduce(metric.per_sample(scores, truth, {}), np.ones(len(scores)))

    def search(self) -> Search:
        """Begin a choice by :meth:`score`, and record it."""
        search = Search.by_metric(self.info.name, self.spec.primary)
        self.searches = (search,)
        return search


def relative(truth: Truth) -> Floats:
    """RSRP of every beam over that of the best one, linear: float64 [n, beams]."""
    rsrp = np.asarray(truth["rsrp"], dtype=np.float64)
    return np.asarray(rsrp / rsrp.max(axis=1, keepdims=True))


def relative_db(truth: Truth) -> Floats:
    """The same in dB, cut at −30 dB."""
    return np.asarray(10.0 * np.log10(np.maximum(relative(truth), 10.0 ** (CUT_DB / 10.0))))


class BestInB(RsrpModel):
    """The strongest measured beam; of equal reports the one with the lowest number. Beams of Set A outside B come last.

    It cannot be right where the best beam is not measured: what prediction has to beat.
    """

    info = ModelInfo(
        name="wbench/best-in-b",
        revision="1",
        kind="trivial",
        summary="The strongest of the measured beams",
        source="No method; 'best beam in Set B', the non-AI baseline of 3GPP TR 38.843 (beam management)",
        licence="Apache-2.0",
    )

    def predict(self, batch: Batch) -> Floats:
        """Reports of Set B in dB, less for the rest: float64 [n, beams]."""
        report = batch.x["rsrp"].astype(np.float64)
        scores = np.tile(report.min(axis=1, keepdims=True) - 1.0, (1, self.beams))
        # Reports are whole decibels: a step this small decides between equal ones only.
        scores[:, self.set_b] = report - 1e-3 * np.arange(len(self.set_b))
        return scores


class RsrpRidge(RsrpModel):
    """Ridge regression of the RSRP of all beams on the reports.

    The targets are relative to the sample's best beam, in dB (cut at −30) or linear; that choice and the strength of
    the regulariser are those with the best score on validation by the task's primary metric.
    """

    info = ModelInfo(
        name="wbench/rsrp-ridge",
        revision="1",
        kind="classical",
        summary="Ridge regression from the RSRP of Set B to that of Set A",
        source="Hoerl and Kennard, Technometrics 12(1), 1970",
        licence="Apache-2.0",
        trains=True,
    )

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Fit all configurations and keep the best on ``val``.

        Raises
        ------
        ModelError
            A part is empty.
        """
        from sklearn.linear_model import Ridge

        (x, truth), (held, answer) = self.gather(train), self.gather(val)
        search = self.search()
        for name, target in (("dB", relative_db(truth)), ("linear", relative(truth))):
            for strength in STRENGTHS:
                model = Ridge(alpha=strength).fit(x, target)
                weight, bias = np.asarray(model.coef_, dtype=np.float64), np.asarray(model.intercept_, dtype=np.float64)
                score = self.score(_affine(held, weight, bias), answer)
                if search.add(score, {"target": name, "alpha": strength}):
                    self.chosen, self.weight, self.bias = (name, strength), weight, bias

    def predict(self, batch: Batch) -> Floats:
        """Predicted RSRP of every beam: float64 [n, beams]."""
        return _affine(self.features(batch), self.weight, self.bias)

    def count_parameters(self) -> int:
        """Weights and biases."""
        return int(self.weight.size + self.bias.size)


def _affine(x: Floats, weight: Floats, bias: Floats) -> Floats:
    return np.asarray((x[:, None] * weight).sum(axis=-1) + bias)  # a sum per row: the same bits in every batch


class RsrpNeighbours(RsrpModel):
    """The k training samples whose reports are nearest (Euclidean, in dB) answer.

    They answer with the mean of their relative RSRP per beam, or with a vote for their best beams; that choice and k (1
    to 320) are those with the best score on validation by the task's primary metric. Of equal distances the earlier
    training sample is nearer; whole decibels make many equal ones.
    """

    info = ModelInfo(
        name="wbench/rsrp-knn",
        revision="1",
        kind="classical",
        summary="k-NN on the RSRP of Set B, mean relative RSRP or vote of the neighbours",
        source="Cover and Hart, IEEE Trans. Inf. Theory 13(1), 1967",
        licence="Apache-2.0",
        trains=True,
    )

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Keep the training part; choose k and the kind of answer on ``val``.

        Raises
        ------
        ModelError
            A part is empty.
        """
        (self.known, truth), (held, answer) = self.gather(train), self.gather(val)
        votes = np.zeros((len(self.known), self.beams), dtype=np.float32)
        votes[np.arange(len(votes)), truth["label"]] = 1.0
        answers = {"mean": relative(truth).astype(np.float32), "vote": votes}
        counts = sorted({min(k, len(self.known)) for k in NEIGHBOURS})
        search, index = self.search(), self._nearest(held, counts[-1])
        for name, values in answers.items():
            for k in counts:
                score = self.score(_pooled(values, index[:, :k]), answer)
                if search.add(score, {"answer": name, "k": k}):
                    self.chosen, self.k, self.values = (name, k), k, values

    def predict(self, batch: Batch) -> Floats:
        """Mean answer of the neighbours: float64 [n, beams]."""
        return _pooled(self.values, self._nearest(self.features(batch), self.k))

    def _nearest(self, query: Floats, k: int) -> Ids:
        """Numbers of the k nearest training samples, nearest first: int64 [q, k]."""
        found: list[Ids] = [np.zeros((0, k), dtype=np.int64)]
        known = self.known.astype(np.float32)
        norm = (known**2).sum(axis=1)
        for start in range(0, len(query), CHUNK):
            asked = query[start : start + CHUNK].astype(np.float32)
            # Without |q|², which is the same for all. Of whole decibels these sums are exact, also in single precision
            # and whatever the size of the product, so equal distances are equal.
            found.append(_smallest(norm - 2.0 * (asked @ known.T), k))
        return np.concatenate(found)


def _smallest(square: npt.NDArray[np.float32], k: int) -> Ids:
    """Columns of the k smallest values of each row, smallest first; of equal ones the earlier columns: int64 [q, k]."""
    last = np.partition(square, k - 1, axis=1)[:, k - 1 : k]
    below, equal = square < last, square == last
    kept = below | (equal & (np.cumsum(equal, axis=1, dtype=np.int32) <= k - below.sum(axis=1, keepdims=True)))
    columns = np.nonzero(kept)[1].reshape(len(square), k)
    order = np.argsort(np.take_along_axis(square, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1).astype(np.int64)


def _pooled(values: npt.NDArray[np.float32], index: Ids) -> Floats:
    """Mean of the rows of each index set [q, k]: float64 [q, beams]."""
    out = np.zeros((len(index), values.shape[1]))
    for start in range(0, len(index), CHUNK):
        out[start : start + CHUNK] = values[index[start : start + CHUNK]].mean(axis=1, dtype=np.float64)
    return out
