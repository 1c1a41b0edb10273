"""QuaDRiGa samples/s on one core: wbench against the public way, one layout per sample.

    python benchmarks/bench_quadriga.py

Both draw with QuaDRiGa's own builder in 3GPP baseline mode and end with the channel of a WiFo dataset (D1, D4). The
public way makes a layout per sample and takes QuaDRiGa's coefficients and frequency response; ours is what ``wbench
generate`` does per block. Processor time of Python and Octave together is compared, so that other work on the machine
counts little; rounds alternate. End to end means ``wbench generate``: start of Octave, checks and writing included.
"""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from wbench.dataset.spec import load_recipe
from wbench.errors import MissingDependencyError, SpecError
from wbench.generator import Block
from wbench.run.executors import one_thread
from wbench.run.generate import generate, simulate_block
from wbench_generators.quadriga import Quadriga, QuadrigaParams
from wbench_generators.quadriga.bridge import FUNCTIONS, Octave
from wbench_generators.quadriga.installed import require_copy
from wbench_generators.quadriga.params import CONFIGURATIONS
from wbench_generators.quadriga.session import QuadrigaSession
from wbench_generators.sionna_38901.topology import draw_drops

OURS = Path(__file__).parent / "octave"
BLOCK, PUBLIC, ROUNDS = 100, 5, 4


def _cpu(octave: Octave) -> float:
    return time.process_time() + float(octave.call("wbench_qd_clock", {"x": 0.0})["cpu"])


def _public(session: QuadrigaSession, p: QuadrigaParams, part: Block) -> float:
    """Processor seconds per sample of the public way."""
    drops, rows = draw_drops(p, part), np.arange(PUBLIC)
    band = p.bands["channel"]
    request = session.request(part, drops, rows, CONFIGURATIONS[p.scenario][0 if p.los == "los" else 1])
    answer = session.octave.call(
        "wbench_qd_public",
        request
        | {
            "velocity": drops.velocity[rows].T.astype(np.float64),
            "steps": float(p.time_steps),
            "step": p.time_step_s,
            "carriers": float(band.subcarriers),
            "spacing": band.spacing_hz,
            "rows": float(p.bs.rows),
            "columns": float(p.bs.cols),
        },
    )
    return float(answer["cpu"]) / PUBLIC


def measure(name: str) -> dict[str, float]:
    """Samples/s of the recipes ``qd-NAME`` and ``wifo-NAME`` and of the public way; medians over the rounds."""
    generator, rates = Quadriga(), {"qd": [], "wifo": [], "public": []}  # type: dict[str, list[float]]
    octave = Octave(require_copy(), (FUNCTIONS, OURS))
    try:
        with one_thread():
            for i in range(ROUNDS + 1):
                part = Block(i, range(i * BLOCK, (i + 1) * BLOCK), root=1)
                found = {}
                for kind in ("qd", "wifo"):
                    p = QuadrigaParams.model_validate(load_recipe(f"{kind}-{name}").params)
                    session = QuadrigaSession(p)
                    session.octave = octave
                    before = _cpu(octave)
                    simulate_block(generator.layout(p), session, part)
                    found[kind] = BLOCK / (_cpu(octave) - before)
                found["public"] = 1 / _public(session, p, part)
                if i:  # the first round reads configurations
                    for key, value in found.items():
                        rates[key].append(value)
    finally:
        octave.close()
    result = {key: statistics.median(values) for key, values in rates.items()}
    result["ratio"] = statistics.median(a / b for a, b in zip(rates["qd"], rates["public"], strict=True))
    return result


def end_to_end(name: str) -> float:
    """Samples/s of ``wbench generate`` with 3000 samples, processor time of this process and its Octave."""

    def spent() -> float:
        children: Any = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    with tempfile.TemporaryDirectory() as folder:
        before = spent()
        report = generate(name, size="standard", out=Path(folder) / "data.zarr")
        return report.spec.samples / (spent() - before)


def section() -> str:
    """Section of the performance page."""
    lines = [
        "## QuaDRiGa: wbench against one layout per sample",
        "",
        "QuaDRiGa 2.8.1 in Octave, 3GPP baseline mode. The public way makes a `qd_layout` per sample and calls",
        f"`get_channels` and `fr`; wbench asks one builder for {BLOCK} users and synthesises their rays. Processor",
        "time of Python and Octave together. End to end is `wbench generate --size standard`, start and writing",
        "included.",
        "",
    ]
    try:
        found = {name: measure(name) for name in ("d1", "d4")}
        whole = {name: end_to_end(f"qd-{name}") for name in found}
    except (MissingDependencyError, SpecError) as error:
        return "\n".join([*lines, f"Not measured on this machine: {error.what} {error.next_step}"])
    lines += [
        "| dataset | wbench samples/s | public way samples/s | ratio | with track normalisation | end to end |",
        "|---|---|---|---|---|---|",
    ]
    for name, rate in found.items():
        lines.append(
            f"| {name.upper()} | {rate['qd']:.0f} | {rate['public']:.1f} | {rate['ratio']:.0f} | {rate['wifo']:.0f} "
            f"| {whole[name]:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(section())
