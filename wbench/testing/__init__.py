"""Conformance suites that a third party subclasses, and that ``wbench check`` runs.

Each suite is a plain class whose ``test_…`` methods raise :class:`AssertionError` with an explanation::

    from wbench.testing import GeneratorSuite

    class TestMyGenerator(GeneratorSuite):
        generator = MyGenerator
        params = {"users": 4}
"""

from __future__ import annotations

from wbench.testing.generator import GeneratorSuite
from wbench.testing.model import ModelSuite
from wbench.testing.suite import CheckResult, Suite
from wbench.testing.task import TaskSuite

__all__ = ["CheckResult", "GeneratorSuite", "ModelSuite", "Suite", "TaskSuite"]
