"""Plain features for the harness's heads: the channel as it is, and the magnitudes of its angular-delay domain."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.model import Embedder, ModelInfo
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.neighbours import check_angular_delay, features, needs_channel

__all__ = ["AngleDelay", "Raw"]


class _Plain(Embedder):
    def supports(self, spec: TaskSpec) -> str | None:
        """Tasks with a channel that a head on features can answer."""
        if spec.kind not in ("classify", "regress"):
            return f"gives features for a head; the task's kind is {spec.kind}"
        return needs_channel(spec)


class Raw(_Plain):
    """Real and imaginary parts as served.

    With the linear head this is the control that has to fail where every sample has its own random phase: a turn of the
    phase by 180° negates all features, so no linear function of them tells anything about a label that stays.
    """

    info = ModelInfo(
        name="wbench/raw",
        revision="1",
        kind="control",
        summary="The channel itself, real and imaginary parts, for a head",
        source="No method; what a head alone makes of the input",
        licence="Apache-2.0",
    )

    def embed(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Real parts, then imaginary parts, in one token: float32 [n, 1, 2 · entries]."""
        h = batch.x["H"].reshape(len(batch), 1, -1)
        return np.asarray(np.concatenate([h.real, h.imag], axis=-1), dtype=np.float32)


class AngleDelay(_Plain):
    """Magnitudes of the angular-delay domain as a unit vector: blind to phase and gain, not to the sample's geometry.

    With the linear head this is the simplest baseline that a learned feature must beat.
    """

    info = ModelInfo(
        name="wbench/angle-delay",
        revision="1",
        kind="classical",
        summary="|angular-delay| of the channel, for a head",
        source="A. M. Sayeed, IEEE Trans. Signal Process. 50(10), 2002 (virtual channel representation)",
        licence="Apache-2.0",
    )

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Check the dimensions.

        Raises
        ------
        ModelError
            The channel does not end in transmit ports and subcarriers.
        """
        super().setup(spec, meta)
        check_angular_delay(meta, self.info.name)

    def embed(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Magnitudes in one token: float32 [n, 1, entries]."""
        return features(batch.x["H"], batch.meta)[:, None]
