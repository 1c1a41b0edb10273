"""What the suites share: running their tests without pytest, and saying what failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CheckResult", "Suite", "require", "same"]


@dataclass(frozen=True)
class CheckResult:
    """One test of a suite: its name, what it checks, and the reason if it failed."""

    name: str
    checks: str
    failure: str | None


class Suite:
    """Base of the suites."""

    def run(self) -> list[CheckResult]:
        """Run all ``test_…`` methods, each to its end, whatever the others did."""
        results = []
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            test = getattr(self, name)
            failure: str | None = None
            try:
                test()
            except Exception as error:
                failure = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            first = (test.__doc__ or "").strip().splitlines()
            results.append(CheckResult(name.removeprefix("test_"), first[0] if first else "", failure))
        return results


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
