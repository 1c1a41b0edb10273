"""The one training loop: heads, fine-tuning, task networks and pre-training share it. See :mod:`wbench.training.loop`.

``train`` and ``seeded`` need PyTorch and are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wbench.training.settings import TrainingSettings

if TYPE_CHECKING:
    from wbench.training.loop import EpochRecord, Progress, TrainingLog, seeded, train

__all__ = ["EpochRecord", "Progress", "TrainingLog", "TrainingSettings", "seeded", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'wbench.training' has no attribute {name!r}")
    return getattr(import_module("wbench.training.loop"), name)
