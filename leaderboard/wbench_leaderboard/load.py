"""What the command reads before it builds: result files, and the installed tasks' own descriptions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wbench.errors import WBenchError
from wbench.registry import registry
from wbench.result import RESULT_SCHEMA_VERSION, Result, read_result, read_results
from wbench.task.spec import TaskSpec, load_spec, load_suite
from wbench_leaderboard.glossary import COLUMNS
from wbench_leaderboard.suites import SuiteInfo

__all__ = ["find_results", "installed_suites", "installed_task_docs", "load_results"]

#: What the demonstration scores; it is never ranked, and its page is on no other site.
_DEMONSTRATION = frozenset({"demo"})


def load_results(paths: Sequence[Path]) -> list[Result]:
    """Results of files and folders; a file that is reached twice is read once.

    Raises
    ------
    ResultError
        If a path does not exist or a result is not valid.
    """
    return list(find_results(paths).values())


def find_results(paths: Sequence[Path]) -> dict[Path, Result]:
    """Results of files and folders by the file they stand in, in its order.

    Raises
    ------
    ResultError
        If a path does not exist or a result is not valid.
    """
    files: dict[Path, Result] = {}
    for path in paths:
        if path.is_file():
            files[path.resolve()] = _read(path)
            continue
        if path.is_dir():
            found = [one for one in sorted(path.rglob("result.json")) if one.resolve() not in files]
            files.update({one.resolve(): _read(one) for one in found})
        else:
            read_results(path)
    return {path: files[path] for path in sorted(files)}


def _read(path: Path) -> Result:
    """One result; the slow way round where something is wrong, since it says what."""
    try:
        result = Result.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return read_result(path)
    return result if result.schema_version <= RESULT_SCHEMA_VERSION else read_result(path)


def installed_suites(names: Iterable[str], *, demonstration: bool = False) -> list[SuiteInfo]:
    """Suites that hold one of these tasks, the newest first. A suite that cannot be read is left out.

    The suite of the demonstration is there if asked for, and then alone.
    """
    wanted, found = set(names), []
    for name in reversed(registry().names("suite")):
        if (name in _DEMONSTRATION) != demonstration:
            continue
        try:
            suite = load_suite(name)
        except WBenchError:
            continue
        if wanted & set(suite.tasks):
            summary = suite.summary.replace("`", "")
            found.append(SuiteInfo(name, f"Suite {name}", suite.status, summary[:1].upper() + summary[1:], suite.tasks))
    return found


def installed_task_docs(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Summary, views, split, noise and limit of those tasks that are installed here.

    The other tasks are described by their results alone.

    Raises
    ------
    SpecError
        If an installed task's file is not valid.
    """
    installed = set(registry().names("task"))
    return {name: _describe(load_spec(name)) for name in sorted(set(names) & installed)}


_SPLITS = {
    "S0": "S0: samples at random, a diagnostic",
    "S1": "S1: whole squares of the map are held out",
    "S2": "S2: whole drops are held out",
    "S3": "S3: a whole scenario or scene is held out",
}


def _describe(spec: TaskSpec) -> dict[str, Any]:
    facts = {"Split rule": _SPLITS.get(spec.split.rule, spec.split.rule)}
    if spec.noise is not None:
        levels = ", ".join(f"{level:g}" for level in spec.noise.snr_db)
        facts["SNR of the input"] = f"{levels} dB" if len(spec.noise.snr_db) == 1 else f"one of {levels} dB per sample"
    if spec.ranked_slice:
        ranges = [
            f"{COLUMNS.get(column) or column} {f'= {low:g}' if low == high else f'from {low:g} to {high:g}'}"
            for column, (low, high) in spec.ranked_slice.items()
        ]
        facts["Ranked samples"] = ", ".join(ranges)
    if spec.limit is not None:
        facts["Payload limit"] = f"{spec.limit.max_bits} bits per sample"
    facts["Trivial baselines"] = ", ".join(spec.trivial)
    views = {part: f"{view.recipe}, {view.side} side" for part, view in spec.views.items()}
    # A summary may begin with the name of another task, which stays as it is.
    named = spec.summary.split(" ", 1)[0].rstrip(",:;") in registry().names("task")
    summary = spec.summary if named else spec.summary[:1].upper() + spec.summary[1:]
    return {"summary": summary, "views": views, "facts": facts}
