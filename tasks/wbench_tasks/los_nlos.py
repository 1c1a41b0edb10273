"""LoS/NLoS identification: one channel snapshot → whether there is a line of sight."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from wbench.task.base import Radio, Task
from wbench.task.batch import ChannelMeta, Truth

__all__ = ["LosNlos"]


class LosNlos(Task):
    """H [time, rx, tx, subcarrier] → label 1 (LoS) or 0 (NLoS), as the dataset's generator defines it.

    The observation is scaled to unit rms: path gain alone would tell LoS.
    """

    label_arrays: ClassVar[tuple[str, ...]] = ("los",)

    def describe(self, radio: Radio) -> ChannelMeta:
        """CFR as it is."""
        return radio.observed(
            (radio.time_steps, radio.rx.ports, radio.tx.ports, radio.subcarriers),
            ("time", "rx", "tx", "subcarrier"),
            classes=2,
        )

    def targets(
        self,
        channel: npt.NDArray[np.complex64],
        clean: npt.NDArray[np.complex64],
        rms: npt.NDArray[np.float32],
        labels: Truth,
    ) -> Truth:
        """``label`` int64 [n]."""
        return {"label": labels["los"].astype(np.int64)}
