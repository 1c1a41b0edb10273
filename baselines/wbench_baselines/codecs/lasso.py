"""LASSO and complex (group) LASSO: compressed-sensing reconstruction of random measurements.

Source: R. Tibshirani, "Regression Shrinkage and Selection via the Lasso", J. R. Stat. Soc. B 58(1), 1996; for CSI
feedback C.-K. Wen, W.-T. Shih, S. Jin, IEEE Wireless Commun. Lett. 7(5), 2018, Table I. The group variant penalises
the modulus of each complex coefficient: M. Yuan, Y. Lin, J. R. Stat. Soc. B 68(1), 2006, eq. 2.1, with pairs as groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import Codec, Decoder, Encoder, ModelInfo, Payload, TrainingData
from wbench.task.batch import ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.codecs import fista
from wbench_baselines.codecs.common import from_reals, needs_reals, stack_reals
from wbench_baselines.codecs.measurement import Measurement, measurement
from wbench_baselines.codecs.tuning import choose

__all__ = ["Lasso", "LassoComplex", "LassoDecoder"]

#: Candidates for λ/λ_max. The best one rises as the measurements get fewer: 0.02 at 1/4, 0.1 at 1/16, 0.5 at 1/64.
WEIGHTS = (0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
TUNING_SAMPLES = 512  # the curve over the weights is flat: more validation samples move the error by less than 0.01 dB


@dataclass(frozen=True, eq=False)
class LassoDecoder:
    """Minimises ½‖y - Ax‖² + λ Ω(x) with λ = weight · λ_max(y) for each payload.

    Attributes
    ----------
    measurement : Measurement
        A.
    shape : tuple of int
        Shape of a channel.
    weight : float
        λ/λ_max, in (0, 1]; it makes the reconstruction scale with the channel.
    penalty : Penalty
        Ω.
    tolerance : float
        Relative duality gap. At 1e-4 the NMSE is within 0.005 dB of the exact minimum's.
    """

    measurement: Measurement
    shape: tuple[int, ...]
    weight: float
    penalty: fista.Penalty
    tolerance: float = 1e-4

    def __call__(self, payloads: Sequence[Payload]) -> npt.NDArray[np.complexfloating[Any, Any]]:
        """Channels complex64 [n, *shape]."""
        y = stack_reals(payloads, len(self.measurement.matrix))
        lam = np.float32(self.weight) * fista.lambda_max(self.measurement.matrix, y, self.penalty)
        found = fista.solve(self.measurement.matrix, y, lam, self.penalty, tolerance=self.tolerance)
        return from_reals(found.x, self.shape)


class Lasso(Codec):
    """LASSO over the real and imaginary parts, as in the CsiNet table; λ/λ_max is the only fitted number."""

    penalty: ClassVar[fista.Penalty] = fista.L1
    info = ModelInfo(
        name="wbench/lasso",
        revision="1",
        kind="classical",
        summary="Random measurement, LASSO over real and imaginary parts by FISTA; λ/λ_max chosen on validation",
        source="Tibshirani 1996; Wen, Shih, Jin 2018, Table I; solver: Beck, Teboulle 2009, eq. 4.1-4.3",
        licence="Apache-2.0",
        trains=True,
        parameters=1,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Serve tasks that limit real numbers."""
        return needs_reals(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Draw the task's measurement."""
        super().setup(spec, meta)
        self.measurement = measurement(spec, meta)
        self.weight: float | None = None

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Choose λ/λ_max: smallest total squared error on the first validation samples."""
        self.weight = choose(self, "lambda/lambda_max", WEIGHTS, self.at, self.measurement, val, TUNING_SAMPLES)

    def at(self, weight: float) -> LassoDecoder:
        """Decoder with a λ/λ_max."""
        return LassoDecoder(self.measurement, self.meta.shape, weight, self.penalty)

    def encoder(self) -> Encoder:
        """Measure."""
        return self.measurement

    def decoder(self) -> Decoder:
        """Reconstruct with the chosen λ/λ_max."""
        if self.weight is None:
            raise ModelError(f"{self.info.name} has no λ yet.", next_step="call fit() first")
        return self.at(self.weight)


class LassoComplex(Lasso):
    """LASSO over complex coefficients: real and imaginary part of a coefficient vanish together."""

    penalty = fista.GROUP
    info = ModelInfo(
        name="wbench/lasso-complex",
        revision="1",
        kind="classical",
        summary="Random measurement, group LASSO over complex coefficients by FISTA; λ/λ_max chosen on validation",
        source="Yuan, Lin 2006, eq. 2.1, groups are (real, imaginary) pairs; solver: Beck, Teboulle 2009, eq. 4.1-4.3",
        licence="Apache-2.0",
        trains=True,
        parameters=1,
    )
