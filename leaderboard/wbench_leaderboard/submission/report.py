"""What a check found, and how it is told: text, Markdown and JSON that nothing in a submission can break out of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from wbench.errors import WBenchError
from wbench_leaderboard.submission.limits import MAX_FINDINGS

__all__ = ["Finding", "Report", "shown"]

Level = Literal["error", "warning", "note"]
LONGEST = 160
#: Places that one and the same finding is told of.
ALIKE = 3


def shown(value: object) -> str:
    """A stranger's text as printable ASCII on one line, cut to a bearable length."""
    text = value if isinstance(value, str) else str(value)
    text = text[: LONGEST + 1].encode("ascii", "backslashreplace").decode("ascii")
    text = "".join(c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in text)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


@dataclass(frozen=True)
class Finding:
    """One line of a report. An ``error`` refuses the submission, a ``warning`` asks a person to look."""

    level: Level
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.level}: {self.where}: {self.what}"


@dataclass
class Report:
    """Findings in the order they were made, and what was counted on the way."""

    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing refuses the submissions."""
        return not self.errors

    @property
    def errors(self) -> list[Finding]:
        """What refuses them."""
        return [finding for finding in self.findings if finding.level == "error"]

    def add(self, level: Level, where: str, what: str) -> None:
        """One finding; both texts are made printable."""
        self.findings.append(Finding(level, shown(where), shown(what)))

    def error(self, where: str, what: str) -> None:
        """Something that refuses the submission."""
        self.add("error", where, what)

    def count(self, what: str, by: int = 1) -> None:
        """Count something that was done."""
        self.counts[what] = self.counts.get(what, 0) + by

    @contextmanager
    def guarding(self, where: str) -> Iterator[None]:
        """Turn whatever goes wrong inside into an error line: a file that breaks a check is no valid submission."""
        try:
            yield
        except WBenchError as error:
            self.error(where, error.what + (f" ({error.why})" if error.why else ""))
        except Exception as error:  # the last net: what is not foreseen refuses, it does not crash
            self.error(where, f"the check failed on it: {type(error).__name__}: {error}")

    def lines(self) -> list[str]:
        """The report as lines: errors first; what is found in many places is told of the first few."""
        order = ("error", "warning", "note")
        ordered = sorted(self.findings, key=lambda finding: order.index(finding.level))
        alike: dict[tuple[Level, str], list[Finding]] = {}
        for finding in ordered:
            alike.setdefault((finding.level, finding.what), []).append(finding)
        lines = []
        for (level, what), same in alike.items():
            lines += [str(finding) for finding in same[:ALIKE]]
            if len(same) > ALIKE:
                lines.append(f"{level}: {len(same) - ALIKE} more place{'s' if len(same) > ALIKE + 1 else ''}: {what}")
        if len(lines) > MAX_FINDINGS:
            lines[MAX_FINDINGS:] = [f"and {len(lines) - MAX_FINDINGS} more lines"]
        return [*lines, self.summary()]

    def summary(self) -> str:
        """One line: the verdict and the counts."""
        done = ", ".join(f"{what}: {count}" for what, count in self.counts.items())
        errors = len(self.errors)
        verdict = "accepted" if self.ok else f"refused: {errors} error{'' if errors == 1 else 's'}"
        return f"{verdict} ({done})" if done else verdict

    def text(self) -> str:
        """For a terminal."""
        return "\n".join(self.lines()) + "\n"

    def markdown(self) -> str:
        """For a comment: all of it stands in one code block, which no line can end."""
        body = "\n".join(line.replace("`", "'") for line in self.lines())
        return f"**Submission check: {'accepted' if self.ok else 'refused'}**\n\n```text\n{body}\n```\n"

    def json(self) -> str:
        """For a program."""
        table: dict[str, Any] = {
            "ok": self.ok,
            "counts": self.counts,
            "findings": [vars(finding) for finding in self.findings],
        }
        return json.dumps(table, indent=1, ensure_ascii=True) + "\n"
