"""CPU time of the commands that only look, as whole processes."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

COMMANDS = (
    (("--help",), 0.200),
    (("list", "recipes"), 0.400),
    (("list", "tasks"), 0.400),
    (("list", "models"), 0.400),
)


def cpu_seconds(arguments: tuple[str, ...], repetitions: int = 9) -> float:
    """Median user + system CPU seconds of one ``wbench`` command."""
    program = str(Path(sys.executable).with_name("wbench"))
    times = []
    for _ in range(repetitions + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([program, *arguments], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times[1:])  # the first one fills the page cache


def section() -> str:
    """Section of the performance page."""
    lines = [
        "## Start-up",
        "",
        "| command | CPU ms | aim |",
        "| --- | ---: | ---: |",
    ]
    for arguments, aim in COMMANDS:
        lines.append(f"| `wbench {' '.join(arguments)}` | {1e3 * cpu_seconds(arguments):.0f} | < {1e3 * aim:.0f} |")
    lines += [
        "",
        "User plus system time of the whole process, median of nine. These commands import no torch, pandas or",
        "simulator, which `tests/test_packaging.py` checks.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(section())
