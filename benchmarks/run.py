"""Every speed claim of the project, measured side by side in one run: ``make bench``.

Prints the tables and writes them, with the machine they were measured on, to docs/performance.md.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bench_sionna

from wbench.provenance import package_versions

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
COMMANDS = (
    (("--help",), 0.200),
    (("list", "recipes"), 0.400),
    (("list", "tasks"), 0.400),
    (("list", "models"), 0.400),
)


def cpu_seconds(arguments: tuple[str, ...], repetitions: int = 9) -> float:
    """Median user + system CPU seconds of one ``wbench`` command as a whole process."""
    program = str(Path(sys.executable).with_name("wbench"))
    times = []
    for _ in range(repetitions + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([program, *arguments], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times[1:])  # the first one fills the page cache


def start_table() -> str:
    """CPU time of commands that only look."""
    lines = ["| command | CPU ms | aim |", "| --- | ---: | ---: |"]
    for arguments, aim in COMMANDS:
        lines.append(f"| `wbench {' '.join(arguments)}` | {1e3 * cpu_seconds(arguments):.0f} | < {1e3 * aim:.0f} |")
    return "\n".join(lines)


def page(sionna: str, start: str) -> str:
    """The page docs/performance.md."""
    versions = ", ".join(f"{name} {version}" for name, version in package_versions().items())
    return f"""# Performance

Measured by `make bench`, which rewrites this page. Ratios are taken side by side in one run, so that a busy machine slows
both sides; absolute figures are for orientation. One thread per process. No test asserts a time.

Machine: {os.cpu_count()} cores, {platform.machine()}, {platform.system()}; Python {platform.python_version()}; {versions}.

## 38.901 channels: wbench against a plain Sionna loop

Ours: one block of 256 samples through `Session.simulate` (Sionna's own large-scale parameters and rays) and `synthesize`. The
plain loop: `set_topology`, the model call, `cir_to_ofdm_channel`, at the best of its batch sizes 16, 64 and 256. The channels
agree to −100 dB or better on the same rays (`tests/test_sionna_parity.py`).

{sionna}

## Start-up

{start}

User plus system time of the whole process, median of nine. These commands import no torch, pandas or simulator, which
`tests/test_packaging.py` checks.
"""


def main() -> None:
    rows = bench_sionna.run(progress=print)
    sionna, start = bench_sionna.table(rows), start_table()
    print(sionna, start, sep="\n\n")
    PAGE.write_text(page(sionna, start), encoding="utf-8")
    print(f"\nwritten to {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")


if __name__ == "__main__":
    main()
