"""38.901 samples/s on one thread: wbench's path against a plain Sionna loop at its own best batch size.

    python benchmarks/bench_sionna.py

Ours is what ``wbench generate`` does per block: ``session.simulate`` (Sionna's rays) and ``synthesize``. The plain loop
is the user's way: ``set_topology``, the model call, ``cir_to_ofdm_channel``. Repetitions of the two alternate in one
process, so a busy machine slows both; the ratio is the median over repetitions.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from wbench.channel.synthesis import synthesize
from wbench.generator import Block
from wbench_generators.sionna_38901 import Sionna38901, SionnaParams

CARRIER, SUBCARRIERS, SPACING, STEP = 3.5e9, 32, 30e3, 0.5e-3
BLOCK = 256
BATCHES = (16, 64, 256)

#: Case, arrays, snapshots and the target ratio of the issue.
CASES: tuple[tuple[str, dict[str, Any], dict[str, Any], int, float], ...] = (
    ("T = 1, ULA 1x32", {"cols": 32}, {}, 1, 10.0),
    ("T = 16, UPA 4x8", {"rows": 4, "cols": 8, "pattern": "38.901"}, {}, 16, 15.0),
    (
        "T = 1, 64 ports x 4 Rx",
        {"rows": 4, "cols": 8, "polarisation": "cross", "pattern": "38.901"},
        {"cols": 2, "polarisation": "VH"},
        1,
        25.0,
    ),
)


def run(repetitions: int = 5, progress: Callable[[str], None] | None = None) -> list[dict[str, Any]]:
    """Measure all cases.

    Parameters
    ----------
    repetitions : int
        Alternating repetitions per case.
    progress : callable, optional
        Called with one line per case.

    Returns
    -------
    list of dict
        ``case``, ``ours_us`` and ``sionna_us`` (median per sample, one thread), ``sionna_batch`` (its best), ``ratio``,
        ``target``.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            rows = []
            for case in CASES:
                rows.append(_measure(*case, repetitions))
                if progress:
                    progress(f"{rows[-1]['case']}: {rows[-1]['ratio']:.1f} x")
            return rows
    finally:
        torch.set_num_threads(threads)


def _measure(
    name: str, bs: dict[str, Any], ue: dict[str, Any], steps: int, target: float, repetitions: int
) -> dict[str, Any]:
    generator = Sionna38901()
    params = SionnaParams.model_validate(
        {
            "scenario": "umi",
            "carrier_hz": CARRIER,
            "distance_m": (20.0, 150.0),
            "bs": bs,
            "ue": ue,
            "bands": {"channel": {"subcarriers": SUBCARRIERS, "spacing_hz": SPACING}},
            "speed_kmh": (3.0, 60.0),
            "time_steps": steps,
            "time_step_s": STEP,
        }
    )
    plan = generator.layout(params).synthesis
    if plan is None:
        raise RuntimeError("the generator has no synthesis")
    ours: list[float] = []
    theirs: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    loops = {batch: _plain_loop(params, batch) for batch in BATCHES}
    with generator.open(params) as session:

        def block(index: int) -> None:
            rays = session.simulate(Block(index, range(BLOCK), root=1))[0]
            if rays is None:
                raise RuntimeError("the session returned no rays")
            synthesize(rays, plan.tx, plan.rx, plan.bands["channel"], plan.time_steps, plan.time_step_s)

        block(0)
        for loop in loops.values():
            loop()
        for repetition in range(repetitions):
            # Before and after theirs, so that a load that comes or goes in between counts for both.
            before = _seconds(partial(block, repetition), 2)
            for batch, loop in loops.items():
                theirs[batch].append(_seconds(loop, max(1, 64 // batch)) / batch)
            ours.append((before + _seconds(partial(block, repetition), 2)) / 2 / BLOCK)
    best = min(BATCHES, key=lambda batch: statistics.median(theirs[batch]))
    return {
        "case": name,
        "ours_us": 1e6 * statistics.median(ours),
        "sionna_us": 1e6 * statistics.median(theirs[best]),
        "sionna_batch": best,
        "ratio": statistics.median(b / a for a, b in zip(ours, theirs[best], strict=True)),
        "target": target,
    }


def _seconds(call: Callable[[], Any], rounds: int) -> float:
    """Mean time of one call in s."""
    start = time.perf_counter()
    for _ in range(rounds):
        call()
    return (time.perf_counter() - start) / rounds


def _plain_loop(params: Any, batch: int) -> Callable[[], Any]:
    """One batch of new drops through Sionna's own model and CFR."""
    import torch
    from sionna.phy.channel import cir_to_ofdm_channel, subcarrier_frequencies
    from sionna.phy.channel.tr38901 import PanelArray, UMi

    def panel(array: Any) -> Any:
        return PanelArray(
            num_rows_per_panel=array.rows,
            num_cols_per_panel=array.cols,
            polarization="dual" if array.polarisation in ("VH", "cross") else "single",
            polarization_type=array.polarisation,
            antenna_pattern=array.pattern,
            carrier_frequency=CARRIER,
            device="cpu",
        )

    model = UMi(CARRIER, "low", panel(params.ue), panel(params.bs), "downlink", device="cpu")
    tones = subcarrier_frequencies(SUBCARRIERS, SPACING, device="cpu")
    rng = np.random.default_rng(0)
    outdoor = torch.zeros(batch, 1, dtype=torch.bool)
    still = torch.zeros(batch, 1, 3)
    base = torch.tensor([0.0, 0.0, 10.0]).repeat(batch, 1, 1)

    def loop() -> Any:
        distance, azimuth = rng.uniform(20, 150, batch), rng.uniform(-np.pi / 3, np.pi / 3, batch)
        heading, speed = rng.uniform(-np.pi, np.pi, batch), rng.uniform(3, 60, batch) / 3.6
        place = np.stack([distance * np.cos(azimuth), distance * np.sin(azimuth), np.full(batch, 1.5)], -1)
        move = np.stack([speed * np.cos(heading), speed * np.sin(heading), np.zeros(batch)], -1)
        ue, velocity = (torch.from_numpy(x.astype(np.float32))[:, None] for x in (place, move))
        with torch.no_grad():
            model.set_topology(ue, base, still, still, velocity, outdoor, los="random")
            a, tau = model(params.time_steps, 1 / STEP)
            return cir_to_ofdm_channel(tones, a, tau).numpy()

    return loop


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown table of :func:`run`'s rows."""
    head = "| UMi, 32 subcarriers, one thread | wbench us/sample | Sionna us/sample (batch) | ratio | target |"
    lines = [head, "|---|---|---|---|---|"]
    for row in rows:
        lines.append(
            f"| {row['case']} | {row['ours_us']:.0f} | {row['sionna_us']:.0f} ({row['sionna_batch']}) "
            f"| {row['ratio']:.1f} | {row['target']:.0f} |"
        )
    return "\n".join(lines)


def section() -> str:
    """Section of the performance page."""
    return "\n".join(
        [
            "## 38.901 channels: wbench against a plain Sionna loop",
            "",
            "Ours: one block of 256 samples through `Session.simulate` (Sionna's own large-scale parameters and",
            "rays) and `synthesize`. The plain loop: `set_topology`, the model call, `cir_to_ofdm_channel`, at the",
            "best of its batch sizes 16, 64 and 256. On the same rays the channels agree to −100 dB or better",
            "(`tests/test_sionna_parity.py`).",
            "",
            table(run(progress=lambda line: print(line, file=sys.stderr))),
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(table(run(progress=lambda line: print(line, file=sys.stderr))) + "\n")
