"""Freeze a suite: write the digests of its tasks and standard datasets, ``python tools/freeze_suite.py 2026.1``.

A frozen suite never changes: run this on a draft, or on a suite that nobody has results of yet. Afterwards a change of
a task is a new task version in a suite of a new name, and a test holds the tree to that.
"""

from __future__ import annotations

import sys

from wbench import registry
from wbench.run.plan import build_spec
from wbench.task.spec import load_spec, load_suite


def frozen(name: str) -> str:
    """Text of the suite's file with its digests."""
    path = registry.registry().get("suite", name).path
    if path is None:
        raise SystemExit(f"the suite {name} has no file")
    head = path.read_text(encoding="utf-8").partition("\n[digests]")[0].rstrip()
    head = head.replace('status = "draft"', 'status = "frozen"')
    tasks = load_suite(name).tasks
    specs = {task: load_spec(task) for task in tasks}
    recipes = sorted({recipe for spec in specs.values() for recipe in spec.recipes})
    datasets = {recipe: build_spec(recipe, "standard", ready=False)[0].digest for recipe in recipes}
    lines = [head, "", "[digests]", *(f'{task} = "{spec.digest}"' for task, spec in specs.items())]
    lines += ["", "[datasets]  # standard", *(f'{recipe} = "{digest}"' for recipe, digest in datasets.items())]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the file in place."""
    for name in sys.argv[1:]:
        text = frozen(name)
        path = registry.registry().get("suite", name).path
        if path is not None:
            path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
