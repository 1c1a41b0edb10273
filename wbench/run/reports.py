"""What became of the cells of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from wbench.errors import MissingError, WBenchError
from wbench.result import Result
from wbench.run.cell import Cell

__all__ = ["CellReport", "EvaluationReport", "Status"]

Status = Literal["done", "kept", "not applicable", "failed"]


@dataclass(frozen=True)
class CellReport:
    """What became of one cell: its result, or the reason why there is none, or to doubt one that was kept."""

    task: str
    cell: Cell
    status: Status
    result: Result | None = None
    path: Path | None = None
    reason: str = ""
    error: WBenchError | None = None

    @classmethod
    def failed(cls, task: str, cell: Cell, error: WBenchError) -> CellReport:
        """A cell that failed."""
        return cls(task, cell, "failed", reason=str(error), error=error)


@dataclass
class EvaluationReport:
    """All cells of an evaluation, in order."""

    cells: list[CellReport] = field(default_factory=list)

    @property
    def results(self) -> list[Result]:
        """Results that are there now, new or kept."""
        return [cell.result for cell in self.cells if cell.result is not None]

    @property
    def exit_code(self) -> int:
        """0 done; 1 some cells failed; 3 there is no result, because something is missing on this machine."""
        missing = all(isinstance(cell.error, MissingError) for cell in self.failures)
        return 0 if not self.failures else 3 if missing and not self.results else 1

    @property
    def failures(self) -> list[CellReport]:
        """Cells that failed."""
        return [cell for cell in self.cells if cell.status == "failed"]
