"""What the suites share: running their tests without pytest, and saying what failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from unittest import SkipTest  # pytest knows it too, for suites that are subclassed in tests

import numpy as np
import numpy.typing as npt

from wbench.errors import WBenchError

__all__ = ["CheckResult", "Suite", "require", "same"]


@dataclass(frozen=True)
class CheckResult:
    """One test of a suite: its name, what it checks, and the reason if it failed or does not apply."""

    name: str
    checks: str
    failure: str | None
    skipped: str | None = None

    @property
    def state(self) -> str:
        """``ok``, ``failed`` or ``n/a``."""
        return "failed" if self.failure else "n/a" if self.skipped else "ok"


class Suite:
    """Base of the suites."""

    def run(self) -> list[CheckResult]:
        """Run all ``test_…`` methods, each to its end, whatever the others did."""
        results = []
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            test = getattr(self, name)
            failure = skipped = None
            try:
                test()
            except SkipTest as reason:
                skipped = str(reason)
            except Exception as error:
                failure = _reason(error)
            first = (test.__doc__ or "").strip().splitlines()
            results.append(CheckResult(name.removeprefix("test_"), first[0] if first else "", failure, skipped))
        return results


def _reason(error: Exception) -> str:
    """In one line, as a table has it."""
    if isinstance(error, WBenchError):
        return f"{error.what} {error.why or ''}".strip()
    text = " ".join(str(error).split())
    return text if isinstance(error, AssertionError) else f"{type(error).__name__}: {text}"


def require(condition: bool, explanation: str) -> None:
    """Fail a test with an explanation; ``assert`` would be lost under ``python -O``."""
    if not condition:
        raise AssertionError(explanation)


def same(a: npt.NDArray[Any], b: npt.NDArray[Any], tolerance: float = 0.0) -> bool:
    """Equal shape and values; with a tolerance, relative to the largest magnitude. NaN equals NaN."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if tolerance == 0 or a.dtype == bool:
        return bool(np.array_equal(a, b, equal_nan=np.issubdtype(a.dtype, np.inexact)))
    scale = float(np.max(np.abs(a), initial=0.0))
    return bool(np.all(np.abs(a - b) <= tolerance * max(scale, 1e-30)))
