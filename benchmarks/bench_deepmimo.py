"""Channels/s from a DeepMIMO scenario on one thread: wbench's reader against the package's ``compute_channels``.

    python benchmarks/bench_deepmimo.py

Both start from the loaded path matrices of the same 12 000 users (the golden scenario of the tests, repeated) and end
with [users, 32 antennas, 32 subcarriers]. Ours is what ``wbench generate`` does per block: ``session.simulate``, which
also returns all labels, and ``synthesize``. Processor time is measured, side by side: the two take turns, and the ratio
is the median over the turns. Other work on the machine still takes the shared cache from both.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from wbench.channel.synthesis import synthesize
from wbench.generator import Block
from wbench_generators.deepmimo import DeepMimo
from wbench_generators.deepmimo.scenario import VARIABLE

GOLDEN = Path(__file__).parent.parent / "tests" / "data" / "deepmimo_munich"
COPIES, BLOCK, TARGET = 20, 1000, 3.0
USERS = 600 * COPIES
SUBCARRIERS, SPACING = 32, 30e3


def big_scenario(folder: Path) -> str:
    """The golden scenario with every user repeated, in ``folder``."""
    target = folder / "many"
    target.mkdir()
    shutil.copy(GOLDEN / "params.json", target)
    for file in GOLDEN.glob("*.npz"):
        with np.load(file) as archive:
            (key,) = archive.files
            array = archive[key]
        array = array if key == "tx_pos" else np.concatenate([array] * COPIES)
        np.savez(target / file.name, **{key: array})
    text = (target / "params.json").read_text(encoding="utf-8").replace('"num_points": 600', f'"num_points": {USERS}')
    (target / "params.json").write_text(text, encoding="utf-8")
    return target.name


def package(folder: Path, name: str) -> Callable[[], Any]:
    """The package's own way, on a data set that has just been loaded: a second call would reuse its array responses."""
    import deepmimo as dm

    with quiet():
        dm.config.set("scenarios_folder", str(folder))
        dataset = dm.load(name, max_paths=25)
    params = dm.ChannelParameters()
    params.bs_antenna.shape, params.ue_antenna.shape = np.array([32, 1]), np.array([1, 1])
    params.ofdm.subcarriers, params.ofdm.bandwidth = SUBCARRIERS, SUBCARRIERS * SPACING
    params.ofdm.selected_subcarriers = np.arange(SUBCARRIERS)
    params.num_paths = 25

    def once() -> Any:
        with quiet():
            return dataset.compute_channels(params)

    return once


def ours(name: str, convention: str, stack: contextlib.ExitStack, read: list[float]) -> Callable[[int], Any]:
    """Our way: a function that makes one block, and notes the seconds that rays and labels took in ``read``."""
    generator = DeepMimo()
    params = generator.Params.model_validate(
        {
            "scenario": name,
            "carrier_hz": 3.5e9,
            "bs": {"cols": 32},
            "bands": {"channel": {"subcarriers": SUBCARRIERS, "spacing_hz": SPACING}},
            "order": "stored",
            "convention": convention,
        }
    )
    plan = generator.layout(params).synthesis
    session = stack.enter_context(generator.open(params))

    def block(index: int) -> Any:
        start = time.process_time()
        rays, _ = session.simulate(Block(index, range(index * BLOCK, (index + 1) * BLOCK), 1))
        read.append(time.process_time() - start)
        return synthesize(rays, plan.tx, plan.rx, plan.bands["channel"])

    return block


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def run(repetitions: int = 9) -> dict[str, float]:
    """Measure both sides.

    Returns
    -------
    dict
        ``ours_us``, ``package_us`` and ``again_us`` (the package's third call with the same parameters) per channel,
        ``read_us`` (what rays and labels take of ours), ``ratio`` of the first two, medians; ``nmse_db`` between the
        two results.
    """
    times: dict[str, list[float]] = {"ours": [], "package": [], "again": [], "read": []}
    seconds: list[float] = []
    before = os.environ.get(VARIABLE)
    with contextlib.ExitStack() as stack, threadpool_limits(1):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-deepmimo-")))
        name = big_scenario(folder)
        os.environ[VARIABLE] = str(folder)
        try:
            mine, same = (ours(name, convention, stack, seconds) for convention in ("wbench", "deepmimo"))
        finally:
            os.environ.pop(VARIABLE) if before is None else os.environ.update({VARIABLE: before})
        blocks = range(USERS // BLOCK)

        def all_blocks() -> None:  # each is handed on, as to the writer; the package makes one array of them all
            for index in blocks:
                mine(index)

        all_blocks()
        for _ in range(repetitions):
            theirs = package(folder, name)
            channels = timed(theirs, times["package"])
            seconds.clear()
            timed(all_blocks, times["ours"])
            times["read"].append(sum(seconds) / USERS * 1e6)
        theirs()
        timed(theirs, times["again"])
        found = np.concatenate([same(index) for index in blocks])[:, 0].astype(np.complex128)
        nmse = 10 * np.log10(
            (np.abs(found - channels) ** 2).sum() / (np.abs(channels.astype(np.complex128)) ** 2).sum()
        )
    ratios = [theirs_us / ours_us for ours_us, theirs_us in zip(times["ours"], times["package"], strict=True)]
    medians = {f"{side}_us": statistics.median(values) for side, values in times.items()}
    return {**medians, "ratio": statistics.median(ratios), "nmse_db": float(nmse)}


def timed(way: Callable[[], Any], times: list[float]) -> Any:
    """Call it and note the time per channel in µs."""
    start = time.process_time()
    result = way()
    times.append((time.process_time() - start) / USERS * 1e6)
    return result


def section() -> str:
    """Section of docs/performance.md."""
    head = "## DeepMIMO scenarios: channels/s on one thread\n"
    if find_spec("deepmimo") is None:
        return f"{head}\nNot measured: the package is not installed (`pip install 'wbench[deepmimo]'`).\n"
    found = run()
    synthesis_us = found["ours_us"] - found["read_us"]
    speed = {
        side: f"{1e6 / found[f'{side}_us']:,.0f} /s ({found[f'{side}_us']:.1f} µs)" for side in ("ours", "package")
    }
    return "\n".join(
        [
            head,
            f"Processor time from loaded path matrices to [users, 32 antennas, 32 subcarriers], {USERS} users of the",
            "tests' Munich scenario, of whom 51 % have no path. Ours: `Session.simulate` (rays and all labels,",
            f"{found['read_us']:.1f} µs) and `synthesize` ({synthesis_us:.1f} µs), block by block.",
            "Theirs: `compute_channels` on a data set that has just been loaded; called again with the same parameters",
            f"it reuses its array responses and takes {found['again_us']:.0f} µs. In DeepMIMO's convention the two",
            f"differ by {found['nmse_db']:.0f} dB.",
            "",
            "| wbench | `compute_channels` | ratio | target |",
            "|---|---|---|---|",
            f"| {speed['ours']} | {speed['package']} | {found['ratio']:.1f} × | ≥ {TARGET:.0f} × |",
            "",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(section())
