"""``wbench list``: what is there, read from manifests without importing any of it."""

from __future__ import annotations

import tomllib
from typing import Any

import click

from wbench import registry
from wbench.cli.tables import format_option, show_table
from wbench.registry import Entry

__all__ = ["list_"]


@click.command("list")
@click.argument("what", type=click.Choice(["generators", "recipes", "tasks", "models", "heads", "presets", "suites"]))
@format_option
def list_(what: str, format_: str) -> None:
    """List WHAT is installed, from all providers."""
    found = registry.registry()
    tables = {
        "generators": _generators,
        "recipes": _recipes,
        "tasks": _tasks,
        "models": _models,
        "heads": _heads,
        "presets": _presets,
        "suites": _suites,
    }
    show_table(tables[what](found), format_)
    for problem in found.problems:
        click.secho(f"warning: {problem}", fg="yellow", err=True)


def _entries(found: registry.Registry, kind: registry.Kind) -> list[Entry]:
    return [found.entries[kind][name] for name in found.names(kind)]


def _table(entry: Entry) -> dict[str, Any]:
    # A file that cannot be parsed is listed with the reason; the other entries stay usable.
    try:
        return tomllib.loads(entry.path.read_text(encoding="utf-8")) if entry.path else {}
    except (OSError, ValueError) as error:
        return {"summary": f"cannot be read: {error}"}


def _generators(found: registry.Registry) -> list[dict[str, Any]]:
    return [
        {"generator": e.name, "needs": ", ".join(e.requires) or "–", "provider": e.provider, "summary": e.summary}
        for e in _entries(found, "generator")
    ]


def _recipes(found: registry.Registry) -> list[dict[str, Any]]:
    rows = []
    for entry in _entries(found, "recipe"):
        table = _table(entry)
        columns = {size: _samples(table.get("sizes"), size) for size in ("tiny", "standard", "large")}
        head = {"recipe": entry.name, "generator": table.get("generator", "")}
        rows.append({**head, **columns, "summary": table.get("summary", "")})
    return rows


def _samples(sizes: Any, size: str) -> str:
    value = sizes.get(size) if isinstance(sizes, dict) else None
    samples = value.get("samples") if isinstance(value, dict) else None
    return f"{samples:,}" if isinstance(samples, int) else "–"


def _tasks(found: registry.Registry) -> list[dict[str, Any]]:
    from wbench.errors import WBenchError
    from wbench.task.spec import load_spec

    rows: list[dict[str, Any]] = []
    suites = {entry.name: _table(entry).get("tasks") for entry in _entries(found, "suite")}
    for entry in _entries(found, "task"):
        try:
            spec = load_spec(entry.name)
        except WBenchError as error:
            rows.append(dict.fromkeys(_TASK_COLUMNS, "") | {"task": entry.name, "summary": error.why or error.what})
            continue
        rows.append(
            {
                "task": entry.name,
                "v": spec.version,
                "kind": spec.kind,
                "datasets": ", ".join(spec.recipes),
                "split": spec.split.rule,
                "metric": spec.primary,
                "digest": spec.digest[7:15],
                "suites": ", ".join(name for name, tasks in suites.items() if entry.name in (tasks or ())),
                "summary": spec.summary,
            }
        )
    return rows


_TASK_COLUMNS = ("task", "v", "kind", "datasets", "split", "metric", "digest", "suites", "summary")


def _models(found: registry.Registry) -> list[dict[str, Any]]:
    return [
        {
            "model": e.name,
            "tasks": _names(e.extra.get("tasks")),
            "needs": ", ".join(e.requires) or "–",
            "summary": e.summary,
        }
        for e in _entries(found, "model")
    ]


def _heads(found: registry.Registry) -> list[dict[str, Any]]:
    from wbench.heads import HEADS, TUNED_HEADS

    return [
        {
            "head": name,
            "v": head.version,
            "sees": "one vector" if head.pools else "tokens",
            "seeds": "yes" if head.stochastic else "–",
            "fine-tune": "yes" if name in TUNED_HEADS else "–",
            "summary": head.summary,
        }
        for name, head in HEADS.items()
    ]


def _suites(found: registry.Registry) -> list[dict[str, Any]]:
    rows = []
    for entry in _entries(found, "suite"):
        table = _table(entry)
        row = {"suite": entry.name, "status": table.get("status", ""), "tasks": _names(table.get("tasks"))}
        rows.append({**row, "summary": table.get("summary", "")})
    return rows


def _names(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _presets(found: registry.Registry) -> list[dict[str, Any]]:
    rows = []
    for entry in _entries(found, "preset"):
        table = _table(entry)
        objective = str(table.get("pretext", "")).rpartition(":")[2]
        sources = len(table["sources"]) if isinstance(table.get("sources"), list) else "–"
        row = {"preset": entry.name, "objective": objective, "sources": sources}
        rows.append({**row, "summary": table.get("summary", "")})
    return rows
