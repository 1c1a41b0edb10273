"""Path loss across bands: fits on the other band's gain, on distance, and on the models of TR 38.901."""

from __future__ import annotations

import re
from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from wbench.channel.path_loss import SHADOW_DB, path_loss_db
from wbench.channel.tr38901 import los_probability
from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec

__all__ = ["BandAffine", "BandOffset", "LogDistance", "Umi38901", "distances", "target_carrier_hz"]

F64 = npt.NDArray[np.float64]


def only_path_loss(spec: TaskSpec) -> str | None:
    """Why a path-loss method cannot do a task; None if it can."""
    return None if spec.family == "path-loss" else f"answers path-loss; the task is {spec.family}"


def distances(batch: Batch) -> tuple[F64, F64]:
    """Distance in m on the ground and in space, float64 [n] each."""
    step = batch.x["ue_position"].astype(np.float64) - batch.x["bs_position"]
    return np.hypot(step[:, 0], step[:, 1]), np.sqrt((step**2).sum(axis=1))


class _Fit(Predictor):
    """Least squares of the gain in dB on a few columns."""

    def supports(self, spec: TaskSpec) -> str | None:
        """Path loss."""
        return only_path_loss(spec)

    @abstractmethod
    def columns(self, batch: Batch) -> tuple[F64, F64]:
        """Columns float64 [n, m], the constant among them, and what is known without a fit, float64 [n]."""

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Least squares over the training part; the one of least norm where it leaves a choice.

        Raises
        ------
        ModelError
            The training part is empty.
        """
        parts = [(*self.columns(batch), truth["target"][:, 0]) for batch, truth in train.batches()]
        if not parts:
            raise ModelError("The training part is empty.", where=self.info.name)
        x, known, y = (np.concatenate(column) for column in zip(*parts, strict=True))
        self.weight = np.linalg.lstsq(x, y - known, rcond=None)[0]

    def predict(self, batch: Batch) -> F64:
        """Gain in dB: float64 [n, 1]."""
        x, known = self.columns(batch)
        return np.asarray(known + (x * self.weight).sum(axis=1))[:, None]

    def count_parameters(self) -> int:
        """One per column."""
        return len(self.weight)


class BandAffine(_Fit):
    """a + b · gain of the known band. In line of sight, and nothing else, b = 1 and a is the bands' 20·log10 ratio."""

    info = ModelInfo(
        name="wbench/band-affine",
        revision="1",
        kind="classical",
        summary="Straight line in the other band's gain",
        source="Legendre, 1805 (least squares); Friis, Proc. IRE 34(5), 1946 (18.06 dB from 3.5 to 28 GHz)",
        licence="Apache-2.0",
        trains=True,
    )

    def columns(self, batch: Batch) -> tuple[F64, F64]:
        """Constant and gain."""
        gain = batch.x["path_gain_db"].astype(np.float64)
        return np.stack([np.ones_like(gain), gain], axis=1), np.zeros_like(gain)


class BandOffset(_Fit):
    """The known band's gain and one offset: the fit that a single training user allows."""

    info = ModelInfo(
        name="wbench/band-offset",
        revision="1",
        kind="classical",
        summary="The other band's gain and a constant",
        source="Friis, Proc. IRE 34(5), 1946: free space differs by 20·log10 of the carriers' ratio",
        licence="Apache-2.0",
        trains=True,
    )

    def columns(self, batch: Batch) -> tuple[F64, F64]:
        """A constant beside the gain."""
        gain = batch.x["path_gain_db"].astype(np.float64)
        return np.ones((len(gain), 1)), gain


class LogDistance(_Fit):
    """a + b·log10 of the distance in space: the path-loss exponent is −b/10. The other band is not looked at."""

    info = ModelInfo(
        name="wbench/log-distance",
        revision="1",
        kind="classical",
        summary="Straight line in the logarithm of the distance",
        source="Rappaport, Wireless Communications, 2nd ed., 2002, chapter 4",
        licence="Apache-2.0",
        trains=True,
    )

    def columns(self, batch: Batch) -> tuple[F64, F64]:
        """Constant and log10 distance."""
        lg = np.log10(np.maximum(distances(batch)[1], 1.0))
        return np.stack([np.ones_like(lg), lg], axis=1), np.zeros_like(lg)


class Umi38901(_Fit):
    """Street canyon of TR 38.901: line of sight judged by the known band, its shadow fading taken over in part.

    The known band's gain is held against the model's median of both link states. Prior P(LoS) by distance and normal
    shadow fading give the states' probabilities; the answer is the expected median at the other carrier, plus a
    constant and a share of the expected shadow fading. Those two are fitted.
    """

    info = ModelInfo(
        name="wbench/umi-38901",
        revision="1",
        kind="classical",
        summary="UMi path loss of TR 38.901, link state and shadow fading from the other band",
        source="3GPP TR 38.901 V19.2, Tables 7.4.1-1 and 7.4.2-1",
        licence="Apache-2.0",
        trains=True,
    )

    def columns(self, batch: Batch) -> tuple[F64, F64]:
        """Constant and expected shadow fading; the expected median gain."""
        ground, _ = distances(batch)
        heights = [batch.x[name][:, 2].astype(np.float64) for name in ("bs_position", "ue_position")]
        gain = batch.x["path_gain_db"].astype(np.float64)
        there = target_carrier_hz(self.spec)
        prior = np.clip(los_probability("umi", ground), 1e-6, 1 - 1e-6)
        score, fading, median = [], [], []
        for los, share in ((True, prior), (False, 1 - prior)):
            deviation = SHADOW_DB["umi", los]
            shadow = gain + path_loss_db("umi", los, ground, batch.meta.carrier_hz, *heights)
            score.append(np.log(share / deviation) - 0.5 * (shadow / deviation) ** 2)
            fading.append(shadow)
            median.append(-path_loss_db("umi", los, ground, there, *heights))
        p = 1 / (1 + np.exp(np.clip(score[1] - score[0], -500, 500)))
        expected = [p * seen + (1 - p) * hidden for seen, hidden in (fading, median)]
        return np.stack([np.ones_like(gain), expected[0]], axis=1), expected[1]


def target_carrier_hz(spec: TaskSpec) -> float:
    """Carrier that is asked for, from the name of its gain's array: ``path_gain_db_28ghz``.

    Raises
    ------
    ModelError
        The name does not say.
    """
    name = str(spec.params.get("target", "path_gain_db_28ghz"))
    found = re.search(r"_(\d+(?:p\d+)?)ghz$", name)
    if found is None:
        raise ModelError("The target's name does not tell its carrier.", where=spec.name, why=f"{name!r}")
    return float(found[1].replace("p", ".")) * 1e9
