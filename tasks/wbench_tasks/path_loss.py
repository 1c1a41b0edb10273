"""Path loss across bands: gain and channel at one carrier, and both positions → path gain at another carrier."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.task.base import FamilyParams, Ids, Radio, Task
from wbench.task.batch import ChannelMeta, Truth
from wbench.task.spec import Part
from wbench_tasks.slicing import by_distance, by_los, distance_2d

__all__ = ["PathLoss", "PathLossParams"]


class PathLossParams(FamilyParams):
    """The two gains.

    Attributes
    ----------
    known, target : str
        Dataset arrays of the path gain in dB that is seen and of the one that is asked for.
    """

    known: str = "path_gain_db"
    target: str = "path_gain_db_28ghz"


class PathLoss(Task):
    """H and path gain at one carrier, positions of user and base station → path gain in dB at the other.

    Beside ``"H"`` (scaled) a batch holds ``"path_gain_db"`` float32 [n], ``"ue_position"`` and ``"bs_position"``
    float32 [n, 3] in m. Users in outage (no path in one of the bands) are left out and counted by the audit.
    """

    Params = PathLossParams

    @property
    def label_arrays(self) -> tuple[str, ...]:
        """The gain that is asked for."""
        return (self.params.target,)

    def describe(self, radio: Radio) -> ChannelMeta:
        """CFR of the known band; one output."""
        return radio.observed(radio.shape, ("time", "rx", "tx", "subcarrier"), outputs=1)

    def usable(self, part: Part, ids: Ids) -> npt.NDArray[np.bool_]:
        """Samples with a path in both bands."""
        gains = [self.read(part, name, ids) for name in (self.params.known, self.params.target)]
        return super().usable(part, ids) & np.isfinite(gains).all(axis=0)

    def side_inputs(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[Any]]:
        """Gain at the known carrier and the positions."""
        seen = {"path_gain_db": self.params.known, "ue_position": "ue_position", "bs_position": "bs_position"}
        return {name: self.read(part, array, ids).astype(np.float32) for name, array in seen.items()}

    def targets(
        self,
        channel: npt.NDArray[np.complex64],
        clean: npt.NDArray[np.complex64],
        rms: npt.NDArray[np.float32],
        labels: Truth,
    ) -> Truth:
        """``target`` float64 [n, 1]: path gain in dB."""
        return {"target": labels[self.params.target].astype(np.float64)[:, None]}

    def slices(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.str_]]:
        """By line of sight and distance."""
        distance = distance_2d(self.read(part, "ue_position", ids), self.read(part, "bs_position", ids))
        own = {"los": by_los(self.read(part, "los", ids)), "distance": by_distance(distance)}
        return super().slices(part, ids) | own
