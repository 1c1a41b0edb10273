"""Every speed claim of the project, measured side by side in one run: ``make bench``.

Each ``bench_*.py`` beside this file has a function ``section() -> str``. The sections are printed, kept in
``sections/`` and put together, with the machine they were measured on, in docs/performance.md. ``python
benchmarks/run.py sionna`` measures one of them only and leaves the others as they were.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
from pathlib import Path

from wbench.provenance import package_versions

KEPT = Path(__file__).parent / "sections"
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
SECTIONS = (
    *("sionna", "rt", "deepmimo", "cost2100", "quadriga", "loading"),
    *("scale", "evaluate", "start", "prediction", "baselines", "board"),
)

HEAD = """# Performance

Measured by `make bench`, which rewrites this page. Ratios are taken side by side in one run, so that a busy machine
slows both sides; absolute figures are for orientation. One thread per process. No test asserts a time.

Machine: {cores} cores, {machine}, {system}; Python {python}; {packages}.
"""


def head() -> str:
    """Title and machine."""
    return HEAD.format(
        cores=os.cpu_count(),
        machine=platform.machine(),
        system=platform.system(),
        python=platform.python_version(),
        packages=", ".join(f"{name} {version}" for name, version in package_versions().items()),
    )


def main() -> None:
    """Measure the named sections, or all of them, and put the page together from the newest of each."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)} [all]")
    names = parser.parse_args().names
    if unknown := [name for name in names if name not in SECTIONS]:
        parser.error(f"there is no section {unknown[0]}; there are {', '.join(SECTIONS)}")
    sys.path.insert(0, str(Path(__file__).parent))
    KEPT.mkdir(exist_ok=True)
    for name in names or SECTIONS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        section = importlib.import_module(f"bench_{name}").section().strip() + "\n"
        (KEPT / f"{name}.md").write_text(section, encoding="utf-8")
        print(section)
        kept = [path for name in SECTIONS if (path := KEPT / f"{name}.md").exists()]
        PAGE.write_text("\n".join([head(), *(path.read_text(encoding="utf-8") for path in kept)]), encoding="utf-8")


if __name__ == "__main__":
    main()
