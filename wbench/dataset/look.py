"""Looking at a dataset without reading all of it: whole chunks, spread evenly, the same ones every time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.channel import tr38901
from wbench.channel.array import rotation
from wbench.dataset.reader import Dataset
from wbench.errors import DatasetError

__all__ = ["BUDGET_BYTES", "LIMIT", "Look", "Model", "take_look"]

F64 = npt.NDArray[np.float64]

#: Samples that are looked at, and bytes of one channel array.
LIMIT: Final = 2000
BUDGET_BYTES: Final = 128 << 20


@dataclass(frozen=True)
class Model:
    """The TR 38.901 model behind a dataset, where there is one.

    Attributes
    ----------
    scenario : str
        One of :data:`wbench.channel.tr38901.SCENARIOS`.
    carrier_hz, ue_height : float
        Carrier in Hz, height of the UE in m.
    los : str or float
        ``"model"``, or how the LoS state was set instead.
    """

    scenario: str
    carrier_hz: float
    ue_height: float
    los: str | float

    @property
    def title(self) -> str:
        """How people call it."""
        names = {"umi": "UMi", "uma": "UMa", "rma": "RMa", "inh-open": "InH open", "inh-mixed": "InH mixed"}
        return f"TR 38.901 {names[self.scenario]}"


@dataclass(frozen=True)
class Look:
    """Some samples of a dataset.

    Attributes
    ----------
    dataset : Dataset
        The dataset.
    chunks : tuple of range
        Sample ids that are looked at, one range for each chunk.
    """

    dataset: Dataset
    chunks: tuple[range, ...]

    @cached_property
    def ids(self) -> npt.NDArray[np.int64]:
        """Sample ids: int64 [n]."""
        return np.concatenate([np.asarray(chunk, dtype=np.int64) for chunk in self.chunks])

    @property
    def bands(self) -> dict[str, dict[str, Any]]:
        """Subcarrier grids by channel array; the first one is drawn where there is room for one."""
        return dict(self.radio.get("bands", {}))

    @property
    def radio(self) -> dict[str, Any]:
        """Arrays and numerology."""
        return dict(self.dataset.attributes.get("radio", {}))

    @cached_property
    def model(self) -> Model | None:
        """The TR 38.901 model, or None."""
        params, attributes = self.dataset.spec.params, self.dataset.attributes
        scenario, carrier = params.get("scenario"), attributes.get("carrier_hz")
        if "38.901" not in str(attributes.get("channel_model")) or scenario not in tr38901.SCENARIOS or not carrier:
            return None
        return Model(str(scenario), float(carrier), float(params.get("ue_height_m", 1.5)), params.get("los", "model"))

    def values(self, name: str) -> npt.NDArray[Any] | None:
        """Rows of a small array, or None where the dataset has none of that name."""
        if name not in self.dataset.array_names:
            return None
        source = self.dataset.array(name)
        return np.asarray(np.concatenate([np.asarray(source[chunk.start : chunk.stop]) for chunk in self.chunks]))

    def finite(self, name: str, where: npt.NDArray[np.bool_] | None = None) -> F64:
        """Finite values of a scalar array, empty where there is none; ``where`` is a mask of the look's samples."""
        values = self.values(name)
        if values is None:
            return np.empty(0)
        chosen = values.astype(np.float64)[slice(None) if where is None else where]
        return np.asarray(chosen[np.isfinite(chosen)])

    def channel_chunks(
        self, name: str
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.complexfloating[Any, Any]]]]:
        """Channels chunk by chunk as (positions in :attr:`ids`, array), as many as :data:`BUDGET_BYTES` allows."""
        source = self.dataset.array(name)
        each = source.nbytes // max(1, source.shape[0])
        starts = np.cumsum([0, *map(len, self.chunks)])
        count = int(np.clip(BUDGET_BYTES // max(1, each * len(self.chunks[0])), 1, len(self.chunks)))
        for i in np.unique(np.linspace(0, len(self.chunks) - 1, count).astype(int)):
            chunk = self.chunks[i]
            rows = max(1, min(len(chunk), BUDGET_BYTES // max(1, each)))
            yield starts[i] + np.arange(rows), np.asarray(source[chunk.start : chunk.start + rows])

    @cached_property
    def distance(self) -> F64 | None:
        """Horizontal distance of the two ends in m: float64 [n]."""
        link = self._link
        return None if link is None else np.asarray(np.hypot(link[:, 0], link[:, 1]))

    @cached_property
    def _link(self) -> F64 | None:
        ue, bs = self.values("ue_position"), self.values("bs_position")
        return None if ue is None or bs is None else ue.astype(np.float64) - bs

    @cached_property
    def direction(self) -> F64 | None:
        """Direction cosines of the UE along the Tx array's local x, y and z: float64 [n, 3]."""
        if self._link is None:
            return None
        turn = self.values("tx_orientation")
        if turn is None:
            bs = self.dataset.spec.params.get("bs")
            degrees = (
                [bs.get("bearing_deg", 0.0), bs.get("downtilt_deg", 0.0), 0.0] if isinstance(bs, dict) else [0.0] * 3
            )
            turn = np.tile(np.radians(degrees), (len(self._link), 1))
        unit = self._link / np.linalg.norm(self._link, axis=1, keepdims=True)
        return np.asarray(np.einsum("nx,nxl->nl", unit, rotation(turn)))


def take_look(dataset: Dataset, limit: int = LIMIT) -> Look:
    """Choose whole chunks, evenly spread over the shards that exist.

    Parameters
    ----------
    dataset : Dataset
        Complete or not.
    limit : int
        Samples at most, unless one chunk alone holds more: then its first ones.

    Raises
    ------
    DatasetError
        If no shard has been written yet.
    """
    spec = dataset.spec
    missing = set(dataset.missing_shards)
    chunks = [ids for shard in range(spec.shards) if shard not in missing for _, ids in spec.blocks_of(shard)]
    if not chunks:
        raise DatasetError(
            "The dataset holds no shard yet.",
            where=str(dataset.path),
            next_step=f"wbench generate {spec.recipe} --size {spec.size} --out {dataset.path}",
        )
    count = min(len(chunks), max(1, limit // spec.block))
    chosen = [chunks[i] for i in np.unique(np.linspace(0, len(chunks) - 1, count).astype(int))]
    return Look(dataset, tuple(chunk[:limit] for chunk in chosen))
