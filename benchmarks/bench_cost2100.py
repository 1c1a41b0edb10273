"""Samples per processor second of COST 2100: users that share an environment against one environment per sample.

    python benchmarks/bench_cost2100.py

The public way calls COST 2100's own ``cost2100`` for every sample, with one user; calls that end with "No active
cluster" are made again. Both ways run in Octave and end with multipath components; ours ends with the truncated
channel. Processor time of Octave and Python together is measured, start-up included in ours only.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

from threadpoolctl import threadpool_limits

from wbench.errors import MissingError
from wbench.generator import Block
from wbench.run.plan import build_spec
from wbench_generators.cost2100.installed import octave, require_copy
from wbench_generators.cost2100.octave_run import DRIVER
from wbench_generators.cost2100.session import CostSession

KEPT = Path(__file__).parent / "sections" / "cost2100.md"
#: Recipe, samples of the public way, samples of ours, target.
CASES = (("csinet-in", 12, 200, 10.0), ("csinet-out", 1, 40, None))

PUBLIC = """
warning('off', 'all'); addpath('{copy}'); addpath('{driver}');
rand('twister', 1); randn('twister', 2);
before = cputime(); done = 0;
while done < {samples}
  try
    position = [(rand(1, 2) - 0.5) * {square}, 0];
    [external, stochastic, link] = cost2100('{network}', '{scenario}', [{low} {high}], 1, 1, [0 0 0], [0 0 0], 1, ...
                                            position, [0 0 0]);
    done += 1;
  catch fault
    if isempty(strfind(fault.message, 'No active cluster')) rethrow(fault); end
  end
end
printf('%g', cputime() - before);
"""


def public(params, samples: int) -> float:
    """Processor seconds per sample of the public way."""
    low, high = params.band_hz
    code = PUBLIC.format(
        copy=require_copy(), driver=DRIVER, samples=samples, square=params.square_m, network=params.network,
        scenario=params.scenario, low=low, high=high,
    )  # fmt: skip
    done = subprocess.run([octave(), "--quiet", "--no-gui", "--eval", code], capture_output=True, text=True, check=True)
    return float(done.stdout) / samples


def ours(params, samples: int) -> float:
    """Processor seconds per sample of a block, children included."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    session = CostSession(params, require_copy())
    before = used()
    session.simulate(Block(0, range(samples), 1))
    return (used() - before) / samples


def section() -> str:
    """Markdown for docs/performance.md; where COST 2100 is absent the section of the last machine that had it."""
    try:
        octave(), require_copy()
    except MissingError as error:
        if not KEPT.exists():
            raise
        print(f"kept as it was: {error}", file=sys.stderr)
        return KEPT.read_text(encoding="utf-8")
    rows = []
    with threadpool_limits(1):
        for recipe, few, many, target in CASES:
            _, _, params, _ = build_spec(recipe, "tiny")
            one, shared = public(params, few), ours(params, many)
            aim = "–" if target is None else f"{target:g}"
            rows.append(f"| `{recipe}` | {1 / shared:.1f} | {1 / one:.3g} | {one / shared:.0f} | {aim} |")
    return f"""## COST 2100: environments that users share

Ours: a block of `csinet-in` or `csinet-out` from its positions to its truncated 32 × 32 channels, 20 users per
environment, clusters that no user sees left out, Octave's start included. The public way: one call of COST 2100's own
main function per sample, up to its multipath components. Processor time of one core, Octave and Python together.

| recipe | wbench samples/s | one environment per sample, samples/s | ratio | target |
|---|---|---|---|---|
{chr(10).join(rows)}
"""


if __name__ == "__main__":
    print(section())
