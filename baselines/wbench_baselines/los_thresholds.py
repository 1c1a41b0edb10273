"""LoS against NLoS by a threshold on one number."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from wbench.channel.statistics import LOS_STATISTICS
from wbench.model import ModelInfo, ModelKind, TrainingData
from wbench.task.batch import Batch
from wbench.tuning import Search
from wbench_baselines.los import Floats, Labels, StatisticsModel

__all__ = [
    "AngularConcentration",
    "DelaySpread",
    "EigenvalueRatio",
    "FirstTapFraction",
    "GainThreshold",
    "KFactor",
    "MaxTapFraction",
    "PeakAngleDelayFraction",
    "PeakAngularFraction",
    "Threshold",
]


def _info(name: str, what: str, kind: ModelKind = "classical") -> ModelInfo:
    return ModelInfo(
        name=f"wbench/{name}",
        revision="1",
        kind=kind,
        summary=f"Threshold on {what}",
        source="J. Neyman and E. S. Pearson, Phil. Trans. R. Soc. A 231, 1933 (a test on one statistic)",
        licence="Apache-2.0",
        trains=True,
    )


class Threshold(StatisticsModel):
    """One statistic against one threshold.

    Of the eight statistics the one with the best score on validation, by the task's primary metric, is kept (the first
    on ties; by its score on training if validation has one class only). Which side of it is LoS comes from training, by
    the area under the ROC curve. The threshold itself is the harness's, chosen on validation as for every model.
    """

    info = _info("threshold", "the best of eight channel statistics")
    #: Statistics to choose from, names of :data:`wbench.channel.statistics.LOS_STATISTICS`.
    candidates: ClassVar[tuple[str, ...]] = LOS_STATISTICS

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Choose statistic and direction.

        Raises
        ------
        ModelError
            The training part is empty.
        """
        x, label = self.gather_train(train)
        self.column, self._only = 0, None if len(np.unique(label)) > 1 else int(label[0])
        if self._only is not None:
            return
        self.sign = np.array([_direction(column, label) for column in x.T])
        self.mean, deviation = x.mean(axis=0), x.std(axis=0)
        self.deviation = np.where(deviation > 0, deviation, 1.0)
        if len(self.candidates) > 1:
            held, answer = self.gather(val)
            judge = (held, answer) if len(np.unique(answer)) > 1 else (x, label)
            search = Search.by_metric(self.info.name, self.spec.primary)
            for column, name in enumerate(self.candidates):
                search.add(self.score(self._scores(judge[0], column), judge[1]), {"statistic": name})
            self.column = search.best
            self.searches = (search,) if judge[0] is held else ()

    def features(self, batch: Batch) -> Floats:
        """The candidate statistics: float64 [n, candidates]."""
        return super().features(batch)[:, [LOS_STATISTICS.index(name) for name in self.candidates]]

    def predict(self, batch: Batch) -> Floats:
        """The standardised statistic as the margin of LoS over NLoS: float64 [n, 2]."""
        if self._only is not None:
            return np.tile(np.eye(2)[self._only], (len(batch), 1))
        return self._scores(self.features(batch), self.column)

    def count_parameters(self) -> int:
        """The threshold."""
        return 1

    def _scores(self, x: Floats, column: int) -> Floats:
        half = 0.5 * self.sign[column] * (x[:, column] - self.mean[column]) / self.deviation[column]
        return np.stack([-half, half], axis=1)


def _direction(values: Floats, label: Labels) -> float:
    """+1 if LoS samples tend to have the larger values (Mann–Whitney statistic at least one half), else −1."""
    from scipy.stats import rankdata

    positives = int(label.sum())
    surplus = rankdata(values)[label == 1].sum() - positives * (positives + 1) / 2
    return 1.0 if surplus >= 0.5 * positives * (len(label) - positives) else -1.0


class EigenvalueRatio(Threshold):
    """Second over first eigenvalue of the transmit covariance."""

    info, candidates = _info("threshold-eigenvalue-ratio", "the eigenvalue ratio"), ("eigenvalue_ratio",)


class PeakAngularFraction(Threshold):
    """Power in the strongest angle bin over the sum."""

    info, candidates = _info("threshold-peak-angle", "the peak angular fraction"), ("peak_angular_fraction",)


class AngularConcentration(Threshold):
    """Sum of squares of the angular power over its squared sum."""

    info, candidates = _info("threshold-concentration", "the angular concentration"), ("angular_concentration",)


class PeakAngleDelayFraction(Threshold):
    """Power in the strongest angle-delay bin over the sum."""

    info = _info("threshold-peak-angle-delay", "the peak angle-delay fraction")
    candidates = ("peak_angle_delay_fraction",)


class MaxTapFraction(Threshold):
    """Power in the strongest delay row over the sum."""

    info, candidates = _info("threshold-max-tap", "the max-tap fraction"), ("max_tap_fraction",)


class KFactor(Threshold):
    """Rician K factor by moments."""

    info, candidates = _info("threshold-k-factor", "the K factor by moments"), ("k_factor",)


class DelaySpread(Threshold):
    """Rms delay spread."""

    info, candidates = _info("threshold-delay-spread", "the delay spread"), ("delay_spread",)


class FirstTapFraction(Threshold):
    """Power in delay row 0 over the sum."""

    info, candidates = _info("threshold-first-tap", "the first-tap fraction"), ("first_tap_fraction",)


class GainThreshold(Threshold):
    """Mean power of the observation in dB: a control.

    Where absolute gain is withheld it must not do better than chance; with it, path gain alone tells LoS.
    """

    info, candidates = _info("threshold-gain", "the absolute gain (a control)", "control"), ("gain",)

    def features(self, batch: Batch) -> Floats:
        """Mean power in dB: float64 [n, 1]."""
        h = batch.x["H"].reshape(len(batch), -1)
        power = np.mean(h.real.astype(np.float64) ** 2 + h.imag.astype(np.float64) ** 2, axis=1)
        return np.asarray(10.0 * np.log10(np.maximum(power, np.finfo(np.float64).tiny)))[:, None]
