"""The model card of a submission: what the results say of the model, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wbench.result import Result
from wbench_leaderboard.text import count

__all__ = ["model_card"]


def model_card(results: Sequence[Result]) -> str:
    """Markdown with what the model declared and what it was scored on; the same results give the same text."""
    model = max((result.model for result in results), key=lambda one: one.parameters)
    rows = [
        ("Revision", model.revision),
        ("Kind", model.kind),
        ("Source", model.source or "not given"),
        ("Licence", model.licence or "not given"),
        ("Parameters", count(model.parameters) if model.parameters else "none"),
        ("Pre-training", ", ".join(model.pretraining) or "none declared"),
        ("Overlap with the benchmark", model.overlap),
    ]
    tasks = sorted({(r.task.name, r.task.version, r.task.size, _how(r)) for r in results})
    lines = [f"# {_plain(model.name)}", "", _plain(model.summary or "No summary."), ""]
    lines += ["| | |", "|---|---|", *(f"| {label} | {_plain(text)} |" for label, text in rows), ""]
    lines += ["| task | version | size | trained |", "|---|---|---|---|"]
    lines += [f"| {_plain(task)} | {version} | {size} | {_plain(how)} |" for task, version, size, how in tasks]
    return "\n".join(lines) + "\n"


def _how(result: Result) -> str:
    part = f"{result.budget_percent:g} %" if result.shots is None else f"{result.shots} of each class"
    return (
        result.regime if result.regime == "none" else f"{result.regime} {result.head or ''} {part}".replace("  ", " ")
    )


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|#~&!])", r"\\\1", text)
