"""Markdown tables of results for the docs, a table per task, best model first.

    python benchmarks/task_tables.py results positioning-munich path-loss --slices

A row is a model, a regime with its head, and a training budget; its number is the mean over draws and seeds of the
primary metric on the ranked slice. The interval is that of the single result, or ± the spread of draws and seeds.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from pathlib import Path

from wbench.result import Result, Score, read_result


def scores_of(result: Result) -> dict[str, Score]:
    """Primary metric by slice."""
    return {score.slice: score for score in result.scores if score.metric == result.task.primary}


def number(results: list[Result], part: str) -> str:
    """Mean over the results, with what is known of its spread."""
    found = [scores_of(result)[part] for result in results if part in scores_of(result)]
    if not found:
        return "–"
    mean = statistics.fmean(score.value for score in found)
    digits = 3 if abs(mean) < 2 and found[0].unit not in ("dB", "m") else 2
    if len(found) > 1:
        return f"{mean:.{digits}f} ± {statistics.stdev(s.value for s in found):.{digits}f} ({len(found)} runs)"
    interval = found[0].interval
    return f"{mean:.{digits}f}" + (f" [{interval.low:.{digits}f}, {interval.high:.{digits}f}]" if interval else "")


def table(results: list[Result], with_slices: bool) -> str:
    """One task's table."""
    rows: dict[tuple[str, str, float], list[Result]] = defaultdict(list)
    for result in results:
        regime = result.regime + (f", {result.head}" if result.head else "")
        rows[result.model.name, regime, result.budget_percent].append(result)
    first = scores_of(results[0])["ranked"]
    names = {part for result in results for part in scores_of(result)} - {"ranked", "all"} if with_slices else set()
    slices = sorted(names)
    unit = f" ({first.unit})" if first.unit else ""
    lines = [
        f"| model | regime | budget | {results[0].task.primary}{unit} |" + "".join(f" {name} |" for name in slices),
        "|---|---|--:|--:|" + "--:|" * len(slices),
    ]
    key = {k: statistics.fmean(scores_of(r)["ranked"].value for r in v) for k, v in rows.items()}
    for row in sorted(rows, key=lambda k: -key[k] if first.higher_is_better else key[k]):
        cells = [number(rows[row], part) for part in ("ranked", *slices)]
        lines.append(f"| `{row[0]}` | {row[1]} | {row[2]:g} % | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--size", default="standard")
    parser.add_argument("--slices", action="store_true", help="columns for the slices of the test part")
    args = parser.parse_args()
    for task in args.tasks:
        files = sorted(args.results.glob(f"{task}-v*/{args.size}/*/*/result.json"))
        print(f"### {task}\n")
        print(table([read_result(file) for file in files], args.slices) if files else "no results")
        print()


if __name__ == "__main__":
    main()
