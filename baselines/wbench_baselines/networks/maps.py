"""What the networks of LoS detection, beams and positioning see: angle-delay maps (needs NumPy only)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.channel.angular_delay import angular_delay
from wbench.channel.array import Array
from wbench.task.batch import Batch
from wbench_baselines.position.fingerprints import clipped, fingerprints

__all__ = ["channel_maps", "link_maps", "maps", "scalars"]

F32 = npt.NDArray[np.float32]
#: Positioning: delay rows that are added up, and depth of a map below its strongest entry.
MERGED, DEPTH_DB = 2, 60.0


def maps(batch: Batch, family: str) -> F32:
    """Maps of a batch: float32 [n, map, angle, delay].

    Parameters
    ----------
    batch : Batch
        Of LoS detection, beam prediction or positioning.
    family : str
        ``positioning`` gets :func:`link_maps`, the others :func:`channel_maps`.
    """
    return link_maps(batch) if family == "positioning" else channel_maps(batch)


def channel_maps(batch: Batch) -> F32:
    """Magnitude, real and imaginary part of the angular-delay domain at unit rms: float32 [n, 3 · links, angle, delay].

    The common phase, which is random, is that of the strongest entry; angles and delays are in rising order with 0
    inside, as in :func:`~wbench_baselines.networks.grid.to_grid`. Magnitudes are not compressed: with asinh(|x|) in
    units of the noise the MLP had 0.87 instead of 0.92 of macro-F1 on validation of ``los-nlos-umi`` (10 %, one seed),
    for there are a thousand entries of noise to a few of paths.
    """
    meta = batch.meta
    array = Array(meta.tx.rows, meta.tx.cols, slants=(0.0,) * meta.tx.polarisations)
    x = angular_delay(batch.x["H"], array).swapaxes(-1, -2)  # [n, …, angle, delay]
    n, delays = len(x), x.shape[-1]
    x = x.reshape(n, -1, meta.tx.cols, meta.tx.rows, delays)
    x = np.roll(x, (meta.tx.cols // 2, meta.tx.rows // 2, delays // 4), (-3, -2, -1)).reshape(n, -1, delays)
    magnitude = np.abs(x).reshape(n, -1)
    strongest = x.reshape(n, -1)[np.arange(n), magnitude.argmax(axis=1)]
    rms = np.sqrt((magnitude.astype(np.float64) ** 2).mean(axis=1))
    turn = np.conj(strongest) / np.maximum(np.abs(strongest) * rms, np.finfo(np.float32).tiny)
    x = x * turn[:, None, None]
    links = x.shape[1] // meta.tx.ports * meta.tx.polarisations
    parts = [part.reshape(n, links, -1, delays) for part in (np.abs(x), x.real, x.imag)]
    return np.ascontiguousarray(np.concatenate(parts, axis=1), dtype=np.float32)


def link_maps(batch: Batch) -> F32:
    """Received power in steps of 20 dB by base station, direction and delay: float32 [n, bs, tx, delay].

    Phases are left out: every link has a clock error.
    """
    stations, tx = batch.x["H"].shape[1], batch.x["H"].shape[-2]
    power = clipped(fingerprints(batch, MERGED), DEPTH_DB)
    return power.reshape(len(batch), stations, tx, -1) / np.float32(20)


def scalars(batch: Batch, family: str) -> F32:
    """Numbers beside the maps: float32 [n, s].

    Of positioning the RSRP of the links in steps of 20 dB; else the noise power in dB over 10, where noise is added.
    """
    if family == "positioning":
        return (batch.x["rsrp_db"] / 20).astype(np.float32)
    if batch.noise_power is None:
        return np.zeros((len(batch), 0), dtype=np.float32)
    return np.asarray(np.log10(np.maximum(batch.noise_power, 1e-6))[:, None], dtype=np.float32)
