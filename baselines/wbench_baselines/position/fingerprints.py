"""Fingerprints: the mean place of the training users whose channels are most alike."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.position.links import measure
from wbench_baselines.position.search import Neighbours, inverse_distance
from wbench_baselines.position.tuning import choose, everything

__all__ = ["WeightedKnn", "fingerprints", "only_positioning"]

F32 = npt.NDArray[np.float32]
#: Neighbours that validation chooses from.
NEIGHBOURS = (1, 2, 3, 5, 8, 12, 20, 50)
#: Kinds of fingerprint that it chooses from: all of the power down to so many dB, or first paths.
DEPTHS_DB = {"power-20": 20.0, "power-40": 40.0, "power-60": 60.0}
KINDS = (*DEPTHS_DB, "first-paths")
#: Where a first path is taken to be that does not exist, in m; and metres that a decibel of RSRP counts for.
UNHEARD_M, METRES_PER_DB = 500.0, 1.0
#: Delay rows that are added up: a row is 1/(K·Δf), and a clock error of 10 ns moves a path by one of 100 MHz.
MERGED = 2


def only_positioning(spec: TaskSpec) -> str | None:
    """Why a positioning method cannot do a task; None if it can."""
    return None if spec.family == "positioning" else f"answers positioning; the task is {spec.family}"


def fingerprints(batch: Batch, merged: int = MERGED) -> F32:
    """Received power in dB by base station, direction and delay: float32 [n, bs · tx · delay].

    Each link's channel, which the task scales to unit power, gets its RSRP back; the directions are the array's DFT
    beams, a Hann window over frequency keeps the delay's side lobes low, and ``merged`` delay rows each are added up.
    """
    h = batch.x["H"]
    n, stations = h.shape[:2]
    tones = h.shape[-1]
    window = np.hanning(tones + 2)[1:-1].astype(np.float32)
    out = np.empty((n, stations, h.shape[-2], tones // merged), dtype=np.float32)
    for start in range(0, n, 256):
        rows = slice(start, start + 256)
        taps = np.fft.ifft(np.fft.fft(h[rows] * window, axis=-2), axis=-1)
        power = (taps.real**2 + taps.imag**2).sum(axis=(2, 3))  # [n, bs, tx, delay]
        power = power[..., : tones // merged * merged].reshape(*power.shape[:3], -1, merged).sum(axis=-1)
        total = power.sum(axis=(2, 3), keepdims=True)
        gain = 10.0 ** (batch.x["rsrp_db"][rows].astype(np.float64) / 10)
        absolute = power / np.maximum(total, np.finfo(np.float32).tiny) * gain[..., None, None]
        out[rows] = 10 * np.log10(np.maximum(absolute, 1e-30))
    return np.asarray(out.reshape(n, -1))


def clipped(prints: F32, depth_db: float) -> F32:
    """Height in dB over a floor that lies ``depth_db`` below the strongest point of each fingerprint; 0 below it."""
    floor = prints.max(axis=1, keepdims=True) - np.float32(depth_db)
    return np.asarray(np.maximum(prints - floor, 0), dtype=np.float32)


def first_paths(batch: Batch) -> F32:
    """Range, its part along the array and RSRP of each link, all counted in metres: float32 [n, 3 · bs].

    Few numbers that vary smoothly with the place: what is left to go by where no training user is near.
    """
    links = measure(batch)
    rsrp = METRES_PER_DB * batch.x["rsrp_db"].astype(np.float64)
    own = [np.where(links.heard, links.range_m, UNHEARD_M), np.where(links.heard, links.range_m * links.cosine, 0.0)]
    return np.asarray(np.concatenate([*own, rsrp], axis=1), dtype=np.float32)


class WeightedKnn(Predictor):
    """Mean place of the k nearest fingerprints in Euclidean distance, weights 1/distance.

    Fingerprints are clipped decibels of power by base station, direction and delay, or first paths. The kind and k are
    chosen on validation from 32 pairs.
    """

    info = ModelInfo(
        name="wbench/position-fingerprints",
        revision="1",
        kind="classical",
        summary="Weighted k-NN on power by base station, direction and delay, or on first paths",
        source="Bahl and Padmanabhan (RADAR), INFOCOM 2000; weights: Dudani, IEEE Trans. SMC 6(4), 1976",
        licence="Apache-2.0",
        trains=True,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Positioning."""
        return only_positioning(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Check the dimensions.

        Raises
        ------
        ModelError
            The channel is no frequency response of base stations.
        """
        super().setup(spec, meta)
        if meta.dims != ("bs", "time", "rx", "tx", "subcarrier"):
            raise ModelError("No links of base stations.", where=self.info.name, why=f"dimensions {meta.dims}")

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Keep the training fingerprints; choose their kind and k on ``val``.

        Raises
        ------
        ModelError
            The training part is empty.
        """
        batch, truth = everything(train, self.info.name)
        self.place = truth["target"].astype(np.float64)
        held, answer = val.load()
        # The power is the same for all depths, so it is computed once.
        known, query = fingerprints(batch), fingerprints(held)
        found: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]] = {}
        for kind in KINDS:
            search = Neighbours(self.of_kind(kind, batch, known))
            found[kind] = search.nearest(self.of_kind(kind, held, query), max(NEIGHBOURS))

        def places(one: tuple[int, str]) -> npt.NDArray[np.float64]:
            index, distance = found[one[1]]
            return self._mean(index[:, : one[0]], distance[:, : one[0]])

        pairs = itertools.product(NEIGHBOURS, KINDS)
        self.k, self.kind = choose(self, ("k", "kind"), pairs, places, answer)
        self.neighbours = Neighbours(self.of_kind(self.kind, batch, known))

    @staticmethod
    def of_kind(kind: str, batch: Batch, prints: F32 | None = None) -> F32:
        """Fingerprints of a kind, float32 [n, d]; ``prints`` are those of :func:`fingerprints`, if there already."""
        if kind == "first-paths":
            return first_paths(batch)
        return clipped(fingerprints(batch) if prints is None else prints, DEPTHS_DB[kind])

    def _mean(self, index: npt.NDArray[np.int64], distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray((self.place[index] * inverse_distance(distance)[..., None]).sum(axis=1))

    def predict(self, batch: Batch) -> npt.NDArray[np.float64]:
        """Places in m: float64 [n, 2]."""
        return self._mean(*self.neighbours.nearest(self.of_kind(self.kind, batch), self.k))
