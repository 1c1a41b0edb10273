"""The trivial codec of precoder feedback: no bits, one precoder for everybody."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import Codec, Decoder, Encoder, ModelInfo, TrainingData
from wbench.task.batch import ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.codecs.common import check_ports, needs_precoders
from wbench_baselines.codecs.trivial import Constant, SendNothing

__all__ = ["FixedPrecoder"]


class FixedPrecoder(Codec):
    """Dominant eigenvector of the mean of v v^H over training samples and sub-bands, the same for every sample.

    Among all constant answers w it has the largest mean |v^H w|² over the training part (Rayleigh quotient), whatever
    the phases of the eigenvectors v. Sub-bands are pooled: their statistics are alike, and the mean is over more.
    """

    info = ModelInfo(
        name="wbench/fixed-precoder",
        revision="1",
        kind="trivial",
        summary="No feedback: the wideband precoder with the largest mean SGCS on the training part",
        source="Rayleigh quotient: Horn, Johnson, Matrix Analysis, 2nd ed., theorem 4.2.2",
        licence="Apache-2.0",
        trains=True,
    )
    precoder: npt.NDArray[np.complex64] | None = None

    def supports(self, spec: TaskSpec) -> str | None:
        """Serve tasks that feed precoders back."""
        return needs_precoders(spec, 0)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Check that the last axis holds the ports."""
        super().setup(spec, meta)
        check_ports(spec, meta)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Average v v^H and take its dominant eigenvector."""
        ports = self.meta.shape[-1]
        total = np.zeros((ports, ports), dtype=np.complex128)
        for _, truth in train.batches():
            v = truth["H"].reshape(-1, ports).astype(np.complex128)
            total += v.T @ v.conj()
        if not total.any():
            raise ModelError("The fixed precoder has nothing to learn from.", why=f"{len(train)} training samples")
        dominant = np.linalg.eigh(total)[1][:, -1]
        largest = dominant[np.argmax(np.abs(dominant))]
        self.precoder = (dominant * largest.conj() / np.abs(largest)).astype(np.complex64)

    def count_parameters(self) -> int:
        """Real numbers of the precoder."""
        return 0 if self.precoder is None else 2 * self.precoder.size

    def encoder(self) -> Encoder:
        """Send nothing."""
        return SendNothing()

    def decoder(self) -> Decoder:
        """The precoder, in all sub-bands."""
        if self.precoder is None:
            raise ModelError(f"{self.info.name} has no precoder yet.", next_step="call fit() first")
        return Constant(np.tile(self.precoder, (self.meta.shape[0], 1)))
