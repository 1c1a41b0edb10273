"""Where trainings keep their checkpoints when they name none: so that any model's ``fit`` can be carried on.

A model trains inside of ``fit``, which knows of no folder. Whoever calls it says once where checkpoints go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Kept", "checkpoints_in", "next_checkpoint"]


@dataclass
class Kept:
    """A folder, what makes its trainings these ones, and how many there were so far."""

    folder: Path
    identity: Mapping[str, Any]
    every_s: float
    count: int = 0

    @property
    def path(self) -> Path:
        """Checkpoint of the latest training."""
        return self.folder / f"training-{self.count}.safetensors"


_KEPT: ContextVar[Kept | None] = ContextVar("wbench_checkpoints", default=None)


@contextmanager
def checkpoints_in(folder: Path, identity: Mapping[str, Any], every_s: float = 180.0) -> Iterator[None]:
    """Keep the checkpoints of all trainings inside, in their order; they go when all ended well.

    So does the folder, if nothing else is in it: whoever names a folder may have files of his own there.

    Parameters
    ----------
    folder : Path
        Made when the first checkpoint is written. If it has checkpoints, the trainings carry on from them.
    identity : mapping
        What the trainings are of (model, task, budget, seed …), as plain JSON values; others' checkpoints are refused.
    every_s : float
        Seconds between checkpoints.
    """
    kept = Kept(folder, dict(identity), every_s)
    token = _KEPT.set(kept)
    try:
        yield
    finally:
        _KEPT.reset(token)
    _remove(kept)


def _remove(kept: Kept) -> None:
    """Remove what these trainings wrote, and what a killed process left of it."""
    folder = kept.folder
    for number in range(1, kept.count + 1):
        name = f"training-{number}.safetensors"
        for path in (folder / name, *folder.glob(f".{name}.*.tmp")):
            with suppress(OSError):
                path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def next_checkpoint() -> Kept | None:
    """Where the next training that names no checkpoint keeps its own; None outside of :func:`checkpoints_in`."""
    kept = _KEPT.get()
    if kept is not None:
        kept.count += 1
    return kept
