"""COST 2100 for tests: its own channel from its own function, recorded components, and a playback in place of Octave.

``python -m tests.helpers_cost2100 GOLDEN`` makes the two files in ``tests/data`` anew, with Octave and COST 2100.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from wbench.errors import MissingError
from wbench.generator import Block
from wbench_generators.cost2100 import CostParams
from wbench_generators.cost2100.installed import octave, require_copy
from wbench_generators.cost2100.session import CANDIDATES, CostSession

DATA = Path(__file__).parent / "data"
RECORDED = DATA / "cost2100_components.npz"
GOLDEN = DATA / "cost2100_golden.npz"
#: Own channel functions are compared on these frequencies: 64 steps over the band, both edges.
STEPS = 64
BASE = {"carrier_hz": 5.3e9, "network": "IndoorHall_5GHz", "square_m": 20.0}
OUTDOOR = {"carrier_hz": 285e6, "network": "SemiUrban_300MHz", "square_m": 400.0}


def live() -> bool:
    """Whether Octave and the known copy of COST 2100 are on this machine."""
    try:
        return bool(octave() and require_copy())
    except MissingError:
        return False


needs_cost2100 = pytest.mark.skipif(not live(), reason="needs GNU Octave and a copy of COST 2100")


def own_channel(components: npt.NDArray[Any], carrier_hz: float) -> npt.NDArray[np.complex128]:
    """COST 2100's own 2 × 2 channel of one link, by its ``create_IR_omni_MIMO``: [frequency, Rx, Tx]."""
    from scipy.io import loadmat, savemat

    with tempfile.TemporaryDirectory() as scratch:
        file, answer = f"{scratch}/in.mat", f"{scratch}/out.mat"
        savemat(file, {"h": components, "edges": carrier_hz + np.array([[-10e6, 10e6]])})
        code = (
            f"addpath('{require_copy()}'); load('{file}'); "
            "link.channel{1}.h = h; link.channel{1}.h_los = zeros(1, 6); "
            f"H = fft(create_IR_omni_MIMO(link, edges, 20e6 / {STEPS}, 'Wideband'), [], 2); "
            f"save('-v7', '{answer}', 'H');"
        )
        subprocess.run([octave(), "--quiet", "--no-gui", "--eval", code], check=True, capture_output=True, timeout=120)
        return np.asarray(loadmat(answer)["H"][0])


def components_of(params: CostParams, block: Block, take: int) -> list[npt.NDArray[Any]]:
    """COST 2100's components of the first users of a block, as Octave gives them."""
    from wbench_generators.cost2100 import session as module

    asked = module.request(params, block, range(1))
    found = module.call_octave("wb_run", asked, require_copy())
    count = found["count"][:, 0].astype(int)
    return np.split(found["rays"], np.cumsum(count)[:-1])[:take]


class Playback:
    """Answers requests with recorded components: another link and another phase for each position."""

    def __init__(self) -> None:
        with np.load(RECORDED) as file:
            rows, self.own = file["rows"], file["own"]
            self.links = np.split(rows, np.cumsum(file["count"])[:-1])
            self.carrier_hz = file["carrier_hz"]
        self.calls = 0

    def __call__(self, function: str, request: dict[str, Any], place: Path) -> dict[str, npt.NDArray[Any]]:
        self.calls += 1
        users, _, candidates, environments = request["users"].shape
        assert (function, candidates) == ("wb_run", CANDIDATES)
        assert request["seeds"].shape == (8, 3, environments)
        rows, count = [], np.zeros((users, environments))
        for e in range(environments):
            for u in range(users):
                x, y = request["users"][u, :, 0, e]
                link = self.links[int(request["seeds"][0, 0, e] + u) % len(self.links)].copy()
                link[:, 5] *= np.exp(1j * x * np.arange(1, len(link) + 1) + 1j * y)
                rows.append(link)
                count[u, e] = len(link)
        ones = np.ones_like(count)
        return {"rays": np.concatenate(rows), "count": count, "los": ones, "chosen": ones, "clusters": 3 * ones}


def play(monkeypatch: pytest.MonkeyPatch) -> Playback:
    """Put a playback in place of Octave in sessions of this process."""
    player = Playback()
    monkeypatch.setattr("wbench_generators.cost2100.session.call_octave", player)
    return player


def session(**params: Any) -> CostSession:
    """A session of the indoor hall, four users per environment."""
    table = {**BASE, "users_per_environment": 4, "subcarriers": 64, **params}
    return CostSession(CostParams.model_validate(table), Path("nowhere"))


def statistics_of(images: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.float64]]:
    """What a truncated channel looks like, per sample: energy, concentration, mean delay row, strongest angle."""
    power = np.abs(images.astype(np.complex128)) ** 2
    energy = power.sum(axis=(1, 2))
    share = power / energy[:, None, None]
    return {
        "energy_db": 10 * np.log10(energy),
        "effective_entries": 1 / (share**2).sum(axis=(1, 2)),
        "first_row": share[:, 0].sum(axis=1),
        "mean_row": (share.sum(axis=2) * np.arange(share.shape[1])).sum(axis=1),
        "strongest_angle": share.sum(axis=1).max(axis=1),
    }


def record(golden: str) -> None:
    """Make the files of ``tests/data`` anew."""
    links, own, carriers = [], [], []
    for table, take in ((BASE, 4), (OUTDOOR, 1)):
        params = CostParams.model_validate({**table, "users_per_environment": 4})
        for rows in components_of(params, Block(0, range(4), 7), take):
            links.append(rows)
            own.append(own_channel(rows, params.carrier_hz))
            carriers.append(params.carrier_hz)
    count = [len(rows) for rows in links]
    np.savez_compressed(RECORDED, rows=np.concatenate(links), count=count, own=own, carrier_hz=carriers)
    images = np.load(golden)["channel_angle_delay"]
    numbers = {name: values.astype(np.float32) for name, values in statistics_of(images).items()}
    np.savez_compressed(GOLDEN, images=images[:40], **numbers)


if __name__ == "__main__":
    record(sys.argv[1])
