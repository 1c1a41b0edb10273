"""The task family: from a noisy channel, is there a reflection on the floor?"""

from __future__ import annotations

import numpy as np

from wbench.task.base import Radio, Task
from wbench.task.batch import ChannelMeta, Truth


class Reflection(Task):
    """H [time, rx, tx, subcarrier] → label 1 (reflection) or 0.

    Splits, phase, scaling to unit rms and noise are done by the base class, the same for all families; a family says
    what is seen and what is asked.
    """

    #: Dataset arrays that ``targets`` gets as ``labels``. Models never see them.
    label_arrays = ("reflection",)

    def describe(self, radio: Radio) -> ChannelMeta:
        """The channel as it is, two classes."""
        return radio.observed(radio.shape, ("time", "rx", "tx", "subcarrier"), classes=2)

    def targets(self, channel, clean, rms, labels: Truth) -> Truth:
        """``label`` int64 [n]."""
        return {"label": labels["reflection"].astype(np.int64)}

    def slices(self, part, ids):
        """By SNR (the base class), and by distance on the ground."""
        metres = np.linalg.norm(self.read(part, "ue_position", ids)[:, :2], axis=1)
        return {**super().slices(part, ids), "distance": np.where(metres < 20, "below 20 m", "from 20 m on")}
