"""What an evaluation will need, said before it starts: runs, time and disk."""

from __future__ import annotations

import json
import math
import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from wbench.model import Model
from wbench.run.cell import Cell, head_of, regime_of
from wbench.run.score import counted
from wbench.task.base import Task

__all__ = ["Forecast", "PastCosts", "duration", "free_bytes", "prediction_bytes"]

#: Share of the runs that an earlier one must tell the time of, for the sum to mean anything.
ENOUGH = 0.5


@dataclass(frozen=True)
class Forecast:
    """What is to be done.

    Attributes
    ----------
    runs, kept, not_applicable : int
        Cells to be run, those with a finished result, and those whose model does not serve the task.
    failed : int
        Cells whose model cannot be loaded.
    seconds : float or None
        Work of all runs together, from what earlier ones took; None where they do not tell.
    known : int
        Runs of which an earlier result tells the time.
    workers : int or None
        Worker processes; None for a cluster.
    predictions_bytes, embeddings_bytes : int
        Disk for the results, and the most that embeddings take.
    free_bytes : int
        Free disk at the results.
    """

    runs: int
    kept: int
    not_applicable: int
    failed: int
    seconds: float | None
    known: int
    workers: int | None
    predictions_bytes: int
    embeddings_bytes: int
    free_bytes: int

    def __str__(self) -> str:
        others = {"kept": self.kept, "not applicable": self.not_applicable, "failed": self.failed}
        beside = ", ".join(f"{count:,} {what}" for what, count in others.items() if count)
        count = self.runs + sum(others.values())
        cells = f"{count:,} cell{'s' * (count != 1)}: {beside}"
        if not self.runs:
            return f"{cells}; nothing to run"
        disk = f"{_size(self.predictions_bytes)} of predictions"
        if self.embeddings_bytes:
            disk += f"; embeddings are kept up to {_size(self.embeddings_bytes)}, and may be deleted"
        short = "  NOT ENOUGH" if self.free_bytes < self.predictions_bytes else ""
        runs = f"{self.runs:,} run{'s' * (self.runs != 1)}" + (f" ({cells})" if beside else "")
        return f"{runs}\ntime  {self._time()}\ndisk  {disk}; {_size(self.free_bytes)} are free{short}"

    def _time(self) -> str:
        if self.seconds is None:
            return "unknown until the first cells are done: there are too few earlier results"
        who = "of one worker, on a cluster" if self.workers is None else f"on {self.workers} workers"
        share = self.seconds / (self.workers or 1)
        how = f"from earlier results of {self.known:,} runs"
        return f"about {duration(share)}" + (f" {who}" if self.workers != 1 else "") + f" ({how})"


def duration(seconds: float) -> str:
    """A time to wait in words: days, hours, minutes or seconds."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{max(1, round(seconds))} s"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


class PastCosts:
    """What earlier results took, by what they have in common with a cell.

    Parameters
    ----------
    out : Path
        Folder of the results.
    size : str
        Only those of this size.
    """

    def __init__(self, out: Path, size: str) -> None:
        self._found: dict[tuple[object, ...], list[float]] = defaultdict(list)
        for path in out.glob(f"*/{size}/*/*/result.json"):
            try:
                self._add(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, KeyError, TypeError):
                continue  # a damaged result tells nothing; it is made again

    def _add(self, result: dict[str, Any]) -> None:
        cost = result["cost"]
        seconds = cost.get("wall_s")
        if seconds is None:
            seconds = cost["fit_s"] + cost["predict_s"]
        how = (result["model"]["name"], result["regime"], result["head"])
        part = None if result.get("shots") else round(float(result["budget_percent"]), 6), result.get("shots")
        for key in _keys(result["task"]["name"], how, part):
            self._found[key].append(float(seconds))

    def seconds(self, task: Task, model: Model, cell: Cell) -> float | None:
        """Mean of the results that are most alike: same task and training part, then same task, then any task."""
        how = (model.info.name, regime_of(model), head_of(model)[0])
        part = None if cell.shots else round(cell.budget, 6), cell.shots
        for key in _keys(task.spec.name, how, part):
            if key in self._found:
                return fmean(self._found[key])
        return None

    @staticmethod
    def total(found: Iterable[float | None]) -> tuple[float | None, int]:
        """Sum over all runs, with the mean for those that are unknown; and how many are known."""
        every = list(found)
        known = [seconds for seconds in every if seconds is not None]
        if not known or len(known) < ENOUGH * len(every):
            return None, len(known)
        return math.fsum(known) * len(every) / len(known), len(known)


def _keys(task: str, how: tuple[object, ...], part: tuple[object, ...]) -> tuple[tuple[object, ...], ...]:
    return (task, how, part), (task, how), (how,)


def prediction_bytes(task: Task) -> int:
    """Size of the predictions of one cell in bytes; 0 where the task does not say how many outputs it has."""
    ids, meta = task.ids("test"), task.meta
    if task.spec.kind in ("classify", "regress"):
        return 4 * len(ids) * (meta.classes or meta.outputs or 0)
    entries = math.prod(meta.shape)
    if task.spec.kind == "reconstruct":
        batch, truth = next(task.pairs("test", ids[:1], 1))
        entries = counted(task, truth["H"], batch.x.get("observed")).size
    return 8 * len(ids) * entries


def free_bytes(out: Path) -> int:
    """Free disk where results will lie."""
    place = out.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
