"""The random linear measurement that all compressed-sensing codecs of a task share.

Source: C.-K. Wen, W.-T. Shih, S. Jin, "Deep Learning for Massive MIMO CSI Feedback", IEEE Wireless Commun. Lett. 7(5),
2018, Sec. III: y = A x, x the 2048 real numbers of the truncated angular-delay channel, M = γ·2048. There x is an image
with background 0.5; here the background is 0, so no offset has to be removed before a sparse reconstruction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wbench.digest import array_digest
from wbench.errors import UsageError
from wbench.model import Payload
from wbench.seeding import KeyedStream
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.codecs.common import rowwise, to_reals

__all__ = ["Measurement", "measurement"]


@dataclass(frozen=True, eq=False)
class Measurement:
    """Linear encoder y = A x; A has i.i.d. entries N(0, 1/M).

    Attributes
    ----------
    matrix : float32 ndarray [M, N]
        A.
    """

    matrix: npt.NDArray[np.float32]

    @property
    def digest(self) -> str:
        """Digest of A: two codecs with the same digest measure the same."""
        return array_digest(self.matrix)

    def __call__(self, batch: Batch) -> list[Payload]:
        """M float32 numbers per sample."""
        return [Payload.of_reals(y) for y in self.measure(to_reals(batch.x["H"]))]

    def measure(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Measurements float32 [n, M] of real vectors [n, N]."""
        return np.asarray(rowwise(x, self.matrix.T), dtype=np.float32)


def measurement(spec: TaskSpec, meta: ChannelMeta) -> Measurement:
    """Measurement of a task: M = the task's limit, N = 2 × the size of the channel, drawn from the task's digest.

    Raises
    ------
    UsageError
        The task does not limit real numbers, or allows as many as there are.
    """
    size = 2 * math.prod(meta.shape)
    reals = spec.limit.reals if spec.limit is not None else None
    if reals is None or reals > size:
        raise UsageError(
            "A random measurement needs a task that limits real numbers.",
            where=f"task {spec.name}",
            why=f"the limit is {reals} of {size} real numbers",
        )
    draw = KeyedStream(spec.digest, "measurement matrix").at(0).standard_normal((reals, size), dtype=np.float32)
    return Measurement(draw / np.float32(math.sqrt(reals)))
