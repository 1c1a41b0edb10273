"""D-AMP codecs: random measurements, reconstruction by approximate message passing with an image denoiser.

Source: C. A. Metzler, A. Maleki, R. G. Baraniuk, IEEE Trans. Inf. Theory 62(9), 2016; for CSI feedback C.-K. Wen, W.-T.
Shih, S. Jin, IEEE Wireless Commun. Lett. 7(5), 2018, Table I, whose "BM3D-AMP" is this iteration with the BM3D of its
authors. The denoisers here are our own (:mod:`wbench_baselines.codecs.denoise`), so these codecs have names of their
own; who has the ``bm3d`` package can plug it in (:class:`UserBm3dAmp`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.errors import MissingDependencyError, ModelError
from wbench.model import Codec, Decoder, Encoder, ModelInfo, Payload, TrainingData
from wbench.seeding import KeyedStream
from wbench.task.batch import ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.codecs.amp import Amp
from wbench_baselines.codecs.common import from_reals, needs_reals, stack_reals
from wbench_baselines.codecs.denoise import BlockMatching, Denoiser, Floats, SlidingDct
from wbench_baselines.codecs.measurement import Measurement, measurement
from wbench_baselines.codecs.tuning import choose

__all__ = ["AmpDecoder", "Bm3dLiteAmp", "Bm3dLiteAmpUndamped", "DctAmp", "UserBm3d", "UserBm3dAmp", "divergence_probes"]


@dataclass(frozen=True)
class UserBm3d:
    """The ``bm3d`` package of the user, as a denoiser.

    Attributes
    ----------
    factor : float
        Multiplies the noise level that the package is told.

    Notes
    -----
    ``bm3d`` is by Tampere University and for non-commercial use only; wbench neither contains nor installs it. It
    compares patches on a scale of 0 … 1, so an image is mapped into that range and back.
    """

    factor: float = 1.0

    def __call__(self, images: Floats, sigma: Floats) -> Floats:
        """Denoise images [n, d1, d2] of noise sigma [n], one by one.

        Raises
        ------
        MissingDependencyError
            The package is not installed.
        """
        try:
            bm3d: Any = import_module("bm3d")
        except ImportError as error:
            raise MissingDependencyError(
                "This model needs the bm3d package.",
                why="wbench cannot ship or install it: its licence allows non-commercial use only",
                next_step="read its licence, then: pip install bm3d; or use wbench/bm3dlite-amp",
            ) from error
        out = np.zeros_like(images)
        for image, noise, estimate in zip(images, sigma, out, strict=True):
            scale = 2 * float(np.max(np.abs(image)))
            if scale > 0 and noise > 0:
                unit = image.astype(np.float64) / scale + 0.5
                estimate[:] = (bm3d.bm3d(unit, self.factor * float(noise) / scale) - 0.5) * scale
        return out


def divergence_probes(owner: Measurement, iterations: int) -> npt.NDArray[np.float32]:
    """Random signs of the divergence estimates, float32 [iterations, N]; they belong to the measurement."""
    stream = KeyedStream(owner.digest, "divergence probes").at(0)
    return stream.integers(0, 2, (iterations, owner.matrix.shape[1])).astype(np.float32) * 2 - 1


@dataclass(frozen=True, eq=False)
class AmpDecoder:
    """Payloads → channels by :class:`~wbench_baselines.codecs.amp.Amp`. The answer scales with the channel."""

    amp: Amp

    def __call__(self, payloads: Sequence[Payload]) -> npt.NDArray[np.complexfloating[Any, Any]]:
        """Channels complex64 [n, delay, angle]."""
        y = stack_reals(payloads, len(self.amp.matrix))
        return from_reals(self.amp.solve(y).x.reshape(len(y), self.amp.matrix.shape[1]), self.amp.shape[1:])


class DctAmp(Codec):
    """D-AMP with a translation-invariant DCT threshold, damped and safe; the threshold is the only fitted number.

    Subclasses change the denoiser, the numbers that are tried for its threshold, and the mode of the iteration.
    """

    denoiser: ClassVar[Callable[[float], Denoiser]] = SlidingDct
    thresholds: ClassVar[tuple[float, ...]] = (2.0, 2.4, 2.7, 3.0, 3.3, 3.7, 4.2)
    tuning_samples: ClassVar[int] = 64
    iterations: ClassVar[int] = 30
    damping: ClassVar[float] = 0.5
    safe: ClassVar[bool] = True
    info = ModelInfo(
        name="wbench/dct-amp",
        revision="1",
        kind="classical",
        summary="Random measurement, damped D-AMP with a translation-invariant DCT; threshold chosen on validation",
        source="Metzler, Maleki, Baraniuk 2016, eq. 6-8; denoiser: Coifman, Donoho 1995; damping: Rangan et al. 2014",
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
        if len(meta.shape) != 2:
            raise ModelError("D-AMP denoises images.", where=f"task {spec.name}", why=f"samples are {meta.shape}")
        self.measurement = measurement(spec, meta)
        self.probes = divergence_probes(self.measurement, self.iterations)
        self.threshold: float | None = None

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Choose the threshold: smallest total squared error on the first validation samples."""
        self.threshold = choose(self, "threshold", self.thresholds, self.at, self.measurement, val, self.tuning_samples)

    def at(self, threshold: float) -> AmpDecoder:
        """Decoder with a threshold, in standard deviations of the noise."""
        rows, columns = self.meta.shape
        denoiser = type(self).denoiser(threshold)
        matrix = self.measurement.matrix
        return AmpDecoder(Amp(matrix, self.probes, (2, rows, columns), denoiser, self.damping, self.safe))

    def encoder(self) -> Encoder:
        """Measure."""
        return self.measurement

    def decoder(self) -> Decoder:
        """Reconstruct with the chosen threshold."""
        if self.threshold is None:
            raise ModelError(f"{self.info.name} has no threshold yet.", next_step="call fit() first")
        return self.at(self.threshold)


class Bm3dLiteAmp(DctAmp):
    """D-AMP with block matching and collaborative hard thresholding, damped and safe."""

    denoiser: ClassVar[Callable[[float], Denoiser]] = BlockMatching
    thresholds: ClassVar[tuple[float, ...]] = (2.0, 2.7, 3.4)
    tuning_samples = 16  # a sample costs as much as twenty of the DCT
    iterations = 15
    info = replace(
        DctAmp.info,
        name="wbench/bm3dlite-amp",
        summary="Random measurement, damped D-AMP with own block matching (one stage); threshold chosen on validation",
        source="Metzler, Maleki, Baraniuk 2016, eq. 6-8; denoiser: Dabov et al. 2007, Sec. III-A; Rangan et al. 2014",
    )


class Bm3dLiteAmpUndamped(Bm3dLiteAmp):
    """The same without damping, clipping and the safe answer: diverges at low ratios, as published for BM3D-AMP."""

    thresholds = (2.7,)  # the published value: choosing one that happens not to diverge would be a kind of safety
    tuning_samples = 1
    damping = 1.0
    safe = False
    info = replace(
        Bm3dLiteAmp.info,
        name="wbench/bm3dlite-amp-undamped",
        summary="Random measurement, plain D-AMP with own block matching (one stage); diverges at low ratios",
        source="Metzler, Maleki, Baraniuk 2016, eq. 6-8; denoiser: Dabov et al. 2007, Sec. III-A, λ_3D = 2.7",
    )


class UserBm3dAmp(Bm3dLiteAmp):
    """D-AMP, damped and safe, with the user's own ``bm3d`` package: 20 s a sample, for small subsets."""

    denoiser = UserBm3d
    thresholds = (1.0,)
    tuning_samples = 1
    info = replace(
        Bm3dLiteAmp.info,
        name="wbench/user-bm3d-amp",
        summary="Random measurement, damped D-AMP with the user's own bm3d package (non-commercial licence)",
        source="Metzler, Maleki, Baraniuk 2016, eq. 6-8; denoiser: bm3d by Tampere University, Dabov et al. 2007",
        licence="Apache-2.0; the bm3d package: Tampere University, non-commercial use only",
    )
