"""Hold the shape of the tree: no file beyond 400 lines, no ``__init__.py`` directly in a source root.

Run by ``make lint``; prints one line for each finding and exits with 1 if there is any. A file that outgrows the
limit has more than one subject: split it by subject, not by length.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

MAX_LINES = 400
SUFFIXES = frozenset({".py", ".html", ".j2", ".css", ".js"})
SOURCE_ROOTS = ("generators", "tasks", "baselines", "leaderboard")
CHECKED = ("wbench", *SOURCE_ROOTS, "tests", "tools", "benchmarks")


def checked_files(root: Path) -> Iterator[Path]:
    """Yield the source files under the checked folders of `root`, in sorted order, without caches and dot folders."""
    for folder in CHECKED:
        for path in sorted((root / folder).rglob("*")):
            parts = path.relative_to(root).parts
            if (
                path.suffix in SUFFIXES
                and path.is_file()
                and not any(p.startswith((".", "__pycache__")) for p in parts)
            ):
                yield path


def too_long(root: Path) -> list[str]:
    """Return one finding for each checked file with more than `MAX_LINES` lines."""
    findings = []
    for path in checked_files(root):
        with path.open(encoding="utf-8") as stream:
            lines = sum(1 for _ in stream)
        if lines > MAX_LINES:
            findings.append(f"{path.relative_to(root)}: {lines} lines, the limit is {MAX_LINES}: split it by subject")
    return findings


def packaged_roots(root: Path) -> list[str]:
    """Return one finding for each source root that was made a package by an ``__init__.py`` directly in it."""
    return [
        f"{folder}/__init__.py: a source root must not be a package, the package is {folder}/wbench_{folder}/"
        for folder in SOURCE_ROOTS
        if (root / folder / "__init__.py").exists()
    ]


def main(root: Path) -> int:
    """Print the findings for the tree at `root`; return the exit code."""
    findings = too_long(root) + packaged_roots(root)
    for finding in findings:
        print(finding)
    if not findings:
        print(f"check_files: {sum(1 for _ in checked_files(root))} files, none beyond {MAX_LINES} lines")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent))
