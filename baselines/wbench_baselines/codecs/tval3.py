"""TVAL3: total-variation reconstruction of random measurements, isotropic, anisotropic and complex.

Source: C. Li, W. Yin, H. Jiang, Y. Zhang, Comput. Optim. Appl. 56(3), 2013 (the TV/L2 model of TVAL3); for CSI feedback
C.-K. Wen, W.-T. Shih, S. Jin, IEEE Wireless Commun. Lett. 7(5), 2018, Table I. TV: L. I. Rudin, S. Osher, E. Fatemi,
Physica D 60, 1992 (isotropic). The complex form joins the differences of the real and the imaginary part in one norm,
the total variation of a vector-valued image: P. Blomgren, T. F. Chan, IEEE Trans. Image Process. 7(3), 1998.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import Codec, Decoder, Encoder, ModelInfo, Payload, TrainingData
from wbench.task.batch import ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.codecs.common import from_reals, needs_reals, stack_reals
from wbench_baselines.codecs.measurement import measurement
from wbench_baselines.codecs.tuning import choose
from wbench_baselines.codecs.tv_solver import Coupling, TvSolver, tv_solver

__all__ = ["MUS", "Tval3", "Tval3Aniso", "Tval3Complex", "Tval3Decoder"]

#: Candidates for μ at ‖y‖ = 1. Without noise a large one is right at 1/4; at 1/64 all do badly.
MUS = (16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0)
TUNING_SAMPLES = 128
ITERATIONS = 60  # the NMSE is within 0.1 dB of the minimiser's where it is below -1 dB


@dataclass(frozen=True, eq=False)
class Tval3Decoder:
    """Minimises TV(u) + μ/2 ‖A u - y/‖y‖‖² and scales back by ‖y‖.

    ‖y‖ stands for the norm of the channel, which it equals in the mean: no side value is sent, and the answer scales
    with the channel.

    Attributes
    ----------
    solver : TvSolver
        Factors of A.
    coupling : {"anisotropic", "isotropic", "complex"}
        Which differences share one norm.
    mu : float
        Weight of the normalised measurements.
    iterations : int
        Fixed, the same for every sample.
    """

    solver: TvSolver
    coupling: Coupling
    mu: float
    iterations: int = ITERATIONS

    def __call__(self, payloads: Sequence[Payload]) -> npt.NDArray[np.complexfloating[Any, Any]]:
        """Channels complex64 [n, delay, angle]."""
        y = stack_reals(payloads, len(self.solver.matrix))
        norm = np.maximum(np.linalg.norm(y, axis=1, keepdims=True), np.finfo(y.dtype).tiny)
        u = self.solver.solve(y / norm, self.mu, self.coupling, self.iterations)
        return from_reals(u.reshape(len(y), self.solver.matrix.shape[1]) * norm, self.solver.shape[1:])


class Tval3(Codec):
    """Isotropic TV of the real and the imaginary image, as in the CsiNet table; μ is the only fitted number."""

    coupling: ClassVar[Coupling] = "isotropic"
    info = ModelInfo(
        name="wbench/tval3",
        revision="1",
        kind="classical",
        summary="Random measurement, isotropic total variation (TVAL3's TV/L2 model) by ADMM; μ chosen on validation",
        source="Li, Yin, Jiang, Zhang 2013, Sec. 1; Wen, Shih, Jin 2018, Table I; ADMM: Boyd et al. 2011, eq. 3.5-3.7",
        licence="Apache-2.0",
        trains=True,
        parameters=1,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Serve tasks that limit real numbers."""
        return needs_reals(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Draw the task's measurement and factorise."""
        super().setup(spec, meta)
        if len(meta.shape) != 2:
            raise ModelError(
                "Total variation needs images.", where=f"task {spec.name}", why=f"samples are {meta.shape}"
            )
        self.measurement = measurement(spec, meta)
        self.solver = tv_solver(self.measurement.matrix, (2, *meta.shape))
        self.mu: float | None = None

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Choose μ: smallest total squared error on the first validation samples."""
        start = Tval3Decoder(self.solver, self.coupling, MUS[0])
        self.mu = choose(self, "mu", MUS, lambda mu: replace(start, mu=mu), self.measurement, val, TUNING_SAMPLES)

    def encoder(self) -> Encoder:
        """Measure."""
        return self.measurement

    def decoder(self) -> Decoder:
        """Reconstruct with the chosen μ."""
        if self.mu is None:
            raise ModelError(f"{self.info.name} has no μ yet.", next_step="call fit() first")
        return Tval3Decoder(self.solver, self.coupling, self.mu)


class Tval3Aniso(Tval3):
    """Anisotropic TV: the absolute values of both differences are added."""

    coupling = "anisotropic"
    info = replace(
        Tval3.info,
        name="wbench/tval3-aniso",
        summary="Random measurement, anisotropic total variation by ADMM; μ chosen on validation",
    )


class Tval3Complex(Tval3):
    """TV of the complex image: the four differences of a coefficient share one norm."""

    coupling = "complex"
    info = replace(
        Tval3.info,
        name="wbench/tval3-complex",
        summary="Random measurement, total variation of the complex image by ADMM; μ chosen on validation",
        source="Li, Yin, Jiang, Zhang 2013, Sec. 1; Blomgren, Chan 1998 (vector-valued); ADMM: Boyd et al. 2011",
    )
