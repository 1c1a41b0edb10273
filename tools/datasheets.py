"""Write the tables of ``docs/datasheets.md`` from the recipes, tasks and fingerprints that ship with wbench.

A test runs the same over the page and expects no change: ``python tools/datasheets.py`` after every change of a recipe.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

from wbench import registry
from wbench.run.plan import build_spec
from wbench.task.spec import TaskSpec, load_spec

__all__ = ["PAGE", "filled"]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "datasheets.md"
BEGIN, END = "<!-- datasheets: begin -->", "<!-- datasheets: end -->"
#: Recipes that differ in a row of parameters only share one sheet, named by the first of them.
FAMILIES = {"qd-d": "qd-d1 … qd-d19", "wifo-d": "wifo-d1 … wifo-d19"}


def users() -> dict[str, list[TaskSpec]]:
    """Task instances by recipe."""
    found: dict[str, list[TaskSpec]] = defaultdict(list)
    for name in registry.registry().names("task"):
        spec = load_spec(name)
        for recipe in spec.recipes:
            found[recipe].append(spec)
    return found


def flat(table: dict[str, Any], prefix: str = "") -> list[str]:
    """``a.b = value`` of a nested table, as the recipe has it."""
    lines = []
    for key, value in table.items():
        if isinstance(value, dict):
            lines += flat(value, f"{prefix}{key}.")
        else:
            lines.append(f"{prefix}{key} = {str(value).lower() if isinstance(value, bool) else value}")
    return lines


def tasks_of(specs: list[TaskSpec]) -> str:
    """Names of the tasks on a dataset, by family."""
    families: dict[str, list[str]] = defaultdict(list)
    for spec in specs:
        families[spec.family].append(spec.name)
    shown = []
    for family, names in families.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        shown.append(f"{family}: " + ", ".join(f"`{name}`" for name in names[:3]) + more)
    return "; ".join(shown) or "none of its own"


def sheet(name: str, title: str, table: dict[str, Any], specs: list[TaskSpec]) -> list[str]:
    """One dataset's section."""
    sizes = {size: values["samples"] for size, values in table["sizes"].items()}
    digest = build_spec(name, "standard", ready=False)[0].digest if "standard" in sizes else "–"
    rows = [
        ("what", table["summary"]),
        ("simulator", f"`{table['generator']}`, recipe version {table['version']}, seed {table['seed']}"),
        ("samples", ", ".join(f"{size} {count:,}" for size, count in sizes.items())),
        ("licence of the data", table["licence"]),
        ("tasks", tasks_of(specs)),
        ("spec digest, standard", f"`{digest}`"),
        ("make it", f"`wbench generate {name}`"),
    ]
    lines = [f"### {title}", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in rows]
    return [*lines, "", "```toml", *flat(table["params"]), "```", ""]


def filled(page: str) -> str:
    """Return the page with today's sheets in it."""
    found, specs = registry.registry(), users()
    groups: dict[str, list[str]] = defaultdict(list)
    done: set[str] = set()
    for name in found.names("recipe"):
        entry = found.entries["recipe"][name]
        if entry.path is None or entry.provider != "wbench_generators":
            continue
        family = next((f for f in FAMILIES if name.startswith(f) and name[len(f) :].isdigit()), None)
        if family in done:
            continue
        table = tomllib.loads(entry.path.read_text(encoding="utf-8"))
        title = FAMILIES[family] if family else name
        if family:
            done.add(family)
            name = f"{family}1"
            table = tomllib.loads(found.entries["recipe"][name].path.read_text(encoding="utf-8"))  # type: ignore[union-attr]
        groups[table["generator"]] += sheet(name, title, table, specs[name])
    lines = [line for generator in sorted(groups) for line in (f"## {generator}", "", *groups[generator])]
    before, rest = page.split(BEGIN)
    return before + BEGIN + "\n\n" + "\n".join(lines) + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
