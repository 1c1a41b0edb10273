"""Published numbers that stand beside our results: context from papers, marked so, never ranked."""

from __future__ import annotations

import csv
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from wbench.errors import ResultError

__all__ = ["Paper", "PaperRow", "bibtex", "paper_rows", "papers"]


@dataclass(frozen=True)
class Paper:
    """Where published numbers come from, and whether what they measured is our setting."""

    key: str
    authors: tuple[str, ...]
    title: str
    venue: str
    year: int
    comparable: bool
    note: str

    @property
    def cited(self) -> str:
        """Short form for a table: ``Wen et al. 2018``."""
        first = self.authors[0].split(" ")[-1]
        return f"{first} et al. {self.year}" if len(self.authors) > 1 else f"{first} {self.year}"

    @property
    def full(self) -> str:
        """Authors, title, venue and year in one line."""
        authors = ", ".join("et al." if name == "others" else name for name in self.authors)
        return ", ".join(part for part in (authors, f"“{self.title}”", self.venue, str(self.year)) if part)


@dataclass(frozen=True)
class PaperRow:
    """One published model in one setting: its numbers by metric, as (value, unit)."""

    task: str
    model: str
    setting: str
    table: str
    paper: Paper
    values: Mapping[str, tuple[float, str]]

    def in_unit(self, metric: str) -> float | None:
        """The number of one of our metrics, None if the paper has none; a published ratio counts in dB."""
        if metric in self.values:
            value, unit = self.values[metric]
            return value / 100 if unit == "%" else value
        if metric == "nmse_mor_db" and "nmse" in self.values:
            return 10 * math.log10(self.values["nmse"][0])
        return None


@cache
def papers() -> dict[str, Paper]:
    """Papers of the package by key.

    Raises
    ------
    ResultError
        If the package's own file is not valid.
    """
    root = files("wbench_leaderboard").joinpath("reference")
    try:
        table = tomllib.loads(root.joinpath("sources.toml").read_text(encoding="utf-8"))
        return {key: Paper(key=key, **{**entry, "authors": tuple(entry["authors"])}) for key, entry in table.items()}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ResultError("The list of papers is not valid.", where=str(root), why=str(error)) from error


@cache
def _rows() -> dict[str, tuple[PaperRow, ...]]:
    root = files("wbench_leaderboard").joinpath("reference")
    found: dict[str, dict[tuple[str, ...], dict[str, tuple[float, str]]]] = {}
    for key in papers():
        with root.joinpath(f"{key}.csv").open(encoding="utf-8") as stream:
            for line in csv.DictReader(stream):
                row = (key, line["model"], line["setting"], line["table"])
                values = found.setdefault(line["task"], {}).setdefault(row, {})
                values[line["metric"]] = (float(line["value"]), line["unit"])
    return {
        task: tuple(
            PaperRow(task, model, setting, table, papers()[key], values)
            for (key, model, setting, table), values in rows.items()
        )
        for task, rows in found.items()
    }


def paper_rows(task: str) -> tuple[PaperRow, ...]:
    """Published rows that belong to a task's page, none for most."""
    return _rows().get(task, ())


def bibtex(entries: Sequence[Paper]) -> str:
    """BibTeX of papers."""
    return "\n".join(_bibtex(paper) for paper in entries)


def _bibtex(paper: Paper) -> str:
    fields = [("author", " and ".join(paper.authors)), ("title", f"{{{paper.title}}}")]
    fields += [("journal", paper.venue)] if paper.venue else []
    fields.append(("year", str(paper.year)))
    kind = "article" if paper.venue else "misc"
    lines = [f"  {name} = {{{text}}}," for name, text in fields]
    return "\n".join([f"@{kind}{{{paper.key},", *lines, "}", ""])
