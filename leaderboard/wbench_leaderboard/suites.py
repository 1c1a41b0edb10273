"""A suite as the site shows it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SuiteInfo"]


@dataclass(frozen=True)
class SuiteInfo:
    """A dated list of tasks that are ranked together, as the page of the suite says it."""

    name: str
    title: str
    status: str
    summary: str
    tasks: tuple[str, ...]
