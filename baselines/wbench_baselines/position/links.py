"""What each link tells about the user's place: a range, a direction and how much it looks like line of sight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wbench.task.batch import Batch
from wbench_baselines.position.angle import axis_cosine
from wbench_baselines.position.delay import first_path

__all__ = ["Links", "candidates", "expected", "measure"]

F64 = npt.NDArray[np.float64]
SPEED_OF_LIGHT = 299_792_458.0
#: Height of an outdoor user in m, TR 38.901 Table 7.2-1.
USER_HEIGHT_M = 1.5
#: RSRP at or below which a base station has no path to the user (the task reports −200 dB).
NOT_HEARD_DB = -200.0


@dataclass(frozen=True, slots=True)
class Links:
    """Measurements of n users at b base stations.

    Attributes
    ----------
    range_m : float64 ndarray [n, b]
        Speed of light times the first path's delay; the base station's clock error is in it.
    cosine : float64 ndarray [n, b]
        Cosine between that path and the array's axis (local +y).
    excess_db : float64 ndarray [n, b]
        Loss beyond that of free space over ``range_m``: about 0 in line of sight.
    heard : bool ndarray [n, b]
        Whether there is a path.
    station : float64 ndarray [n, b, 3]
        Positions of the base stations in m.
    bearing : float64 ndarray [n, b]
        Their boresights in rad.
    """

    range_m: F64
    cosine: F64
    excess_db: F64
    heard: npt.NDArray[np.bool_]
    station: F64
    bearing: F64

    def __len__(self) -> int:
        return len(self.range_m)


def measure(batch: Batch) -> Links:
    """Measure a batch of a positioning task: H [n, bs, time, rx, tx, subcarrier] of a horizontal ULA."""
    h, meta = batch.x["H"], batch.meta
    flat = h.reshape(*h.shape[:2], -1, h.shape[-1])
    noise = None if batch.noise_power is None else batch.noise_power[:, None]
    found = first_path(flat, meta.subcarrier_spacing_hz, noise)
    # Time and receive antennas have the same direction at the array: their snapshots are one by one no more than noise
    # apart, so the strongest of them is asked.
    snapshot = found.snapshot.reshape(*h.shape[:2], -1, meta.tx.ports)
    strongest = (np.abs(snapshot) ** 2).sum(axis=-1).argmax(axis=-1)
    one = np.take_along_axis(snapshot, strongest[..., None, None], axis=2)[:, :, 0]
    rsrp = batch.x["rsrp_db"].astype(np.float64)
    range_m = SPEED_OF_LIGHT * found.delay_s
    free = 20 * np.log10(4 * np.pi * np.maximum(range_m, 1.0) * meta.carrier_hz / SPEED_OF_LIGHT)
    return Links(
        range_m,
        axis_cosine(one, meta.tx.dh),
        -rsrp - free,
        rsrp > NOT_HEARD_DB,
        batch.x["bs_position"].astype(np.float64),
        batch.x["bs_bearing"].astype(np.float64),
    )


def expected(place: F64, station: F64, bearing: F64) -> tuple[F64, F64]:
    """Range in m and axis cosine of users in line of sight; broadcasts.

    Parameters
    ----------
    place : float64 ndarray [..., 2]
        Users, 1.5 m high.
    station : float64 ndarray [..., 3]
        Base stations.
    bearing : float64 ndarray [...]
        Their boresights in rad.
    """
    dx, dy = place[..., 0] - station[..., 0], place[..., 1] - station[..., 1]
    distance = np.sqrt(dx**2 + dy**2 + (station[..., 2] - USER_HEIGHT_M) ** 2)
    return distance, (dy * np.cos(bearing) - dx * np.sin(bearing)) / distance


def candidates(range_m: F64, cosine: F64, station: F64, bearing: F64) -> F64:
    """The two places that a range and an axis cosine leave: in front of the array and behind it.

    A range shorter than the base station is high, or a cosine that leaves nothing for the other axis, is read as the
    nearest possible one.

    Returns
    -------
    float64 ndarray [..., 2, 2]
        Side (0 front, 1 back), then x and y in m.
    """
    drop = station[..., 2] - USER_HEIGHT_M
    reach = np.maximum(range_m, np.abs(drop))
    ground = np.sqrt(np.maximum(reach**2 - drop**2, 0.0))
    along = np.clip(reach * cosine, -ground, ground)
    ahead = np.sqrt(np.maximum(ground**2 - along**2, 0.0))
    c, s = np.cos(bearing), np.sin(bearing)
    sides = [
        np.stack([station[..., 0] + a * c - along * s, station[..., 1] + a * s + along * c], axis=-1)
        for a in (ahead, -ahead)
    ]
    return np.stack(sides, axis=-2)
