"""LMMSE channel estimation with the covariance of the training part."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch
from wbench.task.spec import TaskSpec
from wbench.tuning import Search, choose, nmse_db
from wbench_baselines.estimation.common import noise_powers, only_estimation, pilots
from wbench_baselines.estimation.kronecker import Kronecker, estimate, grams, of_grams

__all__ = ["Lmmse"]

#: Shrinkage of time and frequency, and of space, that validation chooses from; 1 takes antennas one by one.
GRID_SHRINKAGE = (0.0, 1e-3, 1e-2, 1e-1)
SPACE_SHRINKAGE = (0.0, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
TUNING_SAMPLES = 512


class Lmmse(Predictor):
    """ĥ = R_hy (R_yy + σ² I)⁻¹ y with R = R_time ⊗ R_space ⊗ R_frequency from the clean channels of the training part.

    Each factor is shrunk towards identity, R → (1 − γ) R + γ I (O. Ledoit and M. Wolf, J. Multivar. Anal. 88(2), 2004,
    with γ from validation instead of their closed form: it also has to make up for a channel that is no Kronecker
    product). The noise power of the sample at hand comes on top, so a task may mix signal-to-noise ratios.
    """

    info = ModelInfo(
        name="wbench/lmmse",
        revision="1",
        kind="classical",
        summary="LMMSE with the training part's covariance, a Kronecker product of time, space and frequency, shrunk",
        source="S. M. Kay, Estimation Theory, 1993, theorem 12.1; O. Edfors et al., IEEE Trans. Commun. 46(7), 1998",
        licence="Apache-2.0",
        trains=True,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel estimation."""
        return only_estimation(spec)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Sum covariances over ``train``, choose both shrinkages on ``val`` by NMSE.

        Raises
        ------
        ModelError
            A part is empty.
        """
        if not len(train) or not len(val):
            why = f"{len(train)} training and {len(val)} validation samples"
            raise ModelError("LMMSE needs both parts.", where=self.info.name, why=why)
        parts = [[r.sum(axis=0, keepdims=True) for r in grams(truth["H"])] for _, truth in train.batches()]
        time, space, frequency = (np.sum(one, axis=0) for one in zip(*parts, strict=True))
        self.sampled = of_grams(time, space, frequency, len(train))
        batch, truth = next(iter(val.batches(TUNING_SAMPLES)))
        power = float(np.sum(np.abs(truth["H"]) ** 2, dtype=np.float64))

        def score(one: tuple[float, float]) -> float:
            wrong = self._estimate(batch, self.sampled.shrunk(*one)) - truth["H"]
            return nmse_db(float(np.sum(np.abs(wrong) ** 2, dtype=np.float64)), power)

        search = Search(self.info.name, "nmse_ros_db", samples=TUNING_SAMPLES)
        names = ("shrinkage of time and frequency", "shrinkage of space")
        self.shrinkage = choose(search, names, product(GRID_SHRINKAGE, SPACE_SHRINKAGE), score)
        self.searches = (search,)
        self.covariance = self.sampled.shrunk(*self.shrinkage)

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Estimates complex64 [n, time, rx, tx, subcarrier]."""
        return self._estimate(batch, self.covariance)

    def count_parameters(self) -> int:
        """Real numbers of the three Hermitian factors, and two shrinkages."""
        return sum(n**2 for n in (self.meta.shape[0], self.meta.rx.ports * self.meta.tx.ports, self.meta.shape[-1])) + 2

    def _estimate(self, batch: Batch, covariance: Kronecker) -> npt.NDArray[np.complex64]:
        grid, y = pilots(batch, self.info.name)
        found = estimate(covariance, grid, y, noise_powers(batch))
        return found.astype(np.complex64).reshape(len(batch), *batch.meta.shape)
