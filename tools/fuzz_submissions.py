"""Fuzz the submission check: random mutations of a valid submission, every one refused with a line or truly harmless.

    python tools/fuzz_submissions.py --mutations 10000 [--seed 0]

The tests run a thousand with seed 0. Prints the counts, and what only the last net caught; exits with 1 then.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the mutations live beside the tests


def main() -> int:
    """Run as many mutations as were asked for; return the exit code."""
    from tests.hostile_mutations import fuzz

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("error")  # a warning is something that nobody foresaw either
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="wbench-fuzz-") as folder:
        tally = fuzz(Path(folder), given.mutations, given.seed)
    print(f"{given.mutations} mutations in {time.monotonic() - began:.0f} s, slowest check {tally.slowest_s:.2f} s:")
    print(f"{tally.refused} refused, {len(tally.accepted)} accepted and harmless, {len(tally.unforeseen)} unforeseen")
    for line in tally.unforeseen:
        print(line)
    return 1 if tally.unforeseen else 0


if __name__ == "__main__":
    sys.exit(main())
