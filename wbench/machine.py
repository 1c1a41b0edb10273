"""What a model runs on: the device that it gets and its name, memory that runs out, and the most that was used."""

from __future__ import annotations

import logging
import os
import platform
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import UsageError
from wbench.task.batch import Batch

__all__ = [
    "answer_in_parts",
    "asked_device",
    "device_name",
    "out_of_memory",
    "peak_device_bytes",
    "peak_host_bytes",
    "release_memory",
    "reset_peaks",
    "resolve_device",
]

_log = logging.getLogger(__name__)
_DEVICE = re.compile(r"cpu|cuda(:\d+)?")
#: What PyTorch's CPU allocator, ONNX Runtime and TensorFlow say in exceptions that have no class of their own.
_NO_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|out of memory|failed to allocate memory|OOM when allocating",
    re.IGNORECASE,
)
_NO_MEMORY_CLASSES = {"OutOfMemoryError", "ResourceExhaustedError"}

# ------------------------------------------------------------------------------------------------------- the device


def asked_device() -> str:
    """The device that ``$WBENCH_DEVICE`` names: ``cpu`` (the default), ``cuda`` or ``cuda:1``.

    Raises
    ------
    UsageError
        It names something else.
    """
    asked = os.environ.get("WBENCH_DEVICE", "").strip().lower() or "cpu"
    if not _DEVICE.fullmatch(asked):
        raise UsageError(f"There is no device {asked!r}.", where="$WBENCH_DEVICE", next_step="cpu, cuda or cuda:1")
    return asked


def resolve_device(asked: str) -> tuple[str, str]:
    """The device to use, and a note if it is not the one that was asked for: without a GPU, the CPU does the work."""
    if asked == "cpu":
        return "cpu", ""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(asked.partition(":")[2] or 0) < count:
        return asked, ""
    found = f"{count} GPU{'s' * (count != 1)}" if count else "no GPU that PyTorch can use"
    return "cpu", f"{asked} was asked for, there is {found}: the model runs on the CPU"


def device_name(device: str = "cpu") -> str:
    """What the device is: ``cuda: NVIDIA H200``, ``cpu: Intel(R) Xeon(R) …``."""
    if device == "cpu":
        return f"cpu: {_processor()}"
    import torch

    return f"{device}: {torch.cuda.get_device_name(device)}"


@cache
def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return " ".join((found[1] if found else platform.processor() or platform.machine()).split())


# ------------------------------------------------------------------------------------------------------- its memory


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, of whatever library it is."""
    if isinstance(error, MemoryError) or type(error).__name__ in _NO_MEMORY_CLASSES:
        return True
    return isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None


def answer_in_parts(answer: Callable[[Batch], npt.NDArray[Any]], batch: Batch) -> npt.NDArray[Any]:
    """``answer(batch)``; if memory runs out, of its halves, down to single samples.

    An answer hangs on the sample alone, so smaller batches give the same. What a single sample cannot be answered
    for raises as it did.
    """
    try:
        return np.asarray(answer(batch))
    except Exception as error:
        if len(batch) < 2 or not out_of_memory(error):
            raise
        half = len(batch) // 2
        _log.warning("Memory ran out with %d samples; they are answered %d at a time.", len(batch), half)
        release_memory()
    rows = np.arange(len(batch))
    parts = [answer_in_parts(answer, batch.rows(some)) for some in (rows[:half], rows[half:])]
    return np.concatenate(parts)


def release_memory() -> None:
    """Give back what PyTorch keeps of a GPU's memory for itself."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def reset_peaks() -> None:
    """Begin to measure the peaks anew, as far as the system can."""
    try:  # Linux: 5 resets the peak of the resident set, of this process
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        _log.debug("The peak of the resident set cannot be reset here.")
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(index)


def peak_host_bytes() -> int | None:
    """Largest resident memory of this process since :func:`reset_peaks`; None where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
    return 1024 * int(found[1]) if found else None


def peak_device_bytes(device: str) -> int | None:
    """Largest memory that PyTorch took of a GPU since :func:`reset_peaks`; None on the CPU."""
    if device == "cpu":
        return None
    import torch

    return int(torch.cuda.max_memory_allocated(device))
