"""What the page that compares two models needs: scores and replicates of every model, as small classic scripts.

A page that was opened from a file may not fetch JSON; it may load a script. Each model has a file of its own, which the
page loads when the model is chosen. Replicates are kept as whole numbers, in steps of 1/20000 of the largest deviation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from wbench_leaderboard.entries import Entry
from wbench_leaderboard.glossary import FAMILIES
from wbench_leaderboard.links import Links
from wbench_leaderboard.rank import Board
from wbench_leaderboard.views import group_id, group_label

__all__ = ["index_script", "model_script"]

STEPS = 20_000


def _script(call: str, data: Any) -> str:
    # In a classic script of its own: nothing closes it, and the two line separators that JSON allows are escaped.
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return f"window.wbench=window.wbench||{{}};\n{call}({text});\n"


def index_script(pages: Iterable[tuple[str, str, str, str]], models: Sequence[tuple[str, str]]) -> str:
    """What can be found by its name: pages as (kind, title, address, text), and models as (name, address of data)."""
    data = {"pages": [list(page) for page in pages], "models": [list(model) for model in models]}
    return _script("window.wbench.index=(function(d){return d})", data)


def model_script(name: str, entries: Sequence[tuple[Board, Entry]], links: Links) -> str:
    """Everything of one model that can be compared: one record for each of its current results."""
    records = [_record(board, entry, links) for board, entry in entries]
    return _script("window.wbench.add", {"model": name, "rows": records})


def _record(board: Board, entry: Entry, links: Links) -> list[Any]:
    primary, edition = entry.primary, entry.edition
    deviations = [r - primary.value for r in primary.estimate.replicates]
    step = max(map(abs, deviations), default=0.0) / STEPS
    return [
        edition.task,
        edition.size,
        FAMILIES.get(entry.task.family, entry.task.family),
        group_id(entry.group),
        group_label(entry.group),
        links.task(edition.task, edition.size),
        primary.metric,
        primary.unit,
        1 if primary.higher_is_better else 0,
        entry.model.revision,
        primary.value,
        primary.estimate.seed_variance,
        step,
        [round(d / step) for d in deviations] if step else [0] * len(deviations),
        1 if board.ranked else 0,
    ]
