"""Markdown tables of results for the docs, a table per task, best model first.

    python benchmarks/task_tables.py results positioning-munich path-loss --slices

A row is a model, a regime with its head, and a training budget; its number is the mean over draws and seeds of the
primary metric on the ranked slice. The interval is that of the single result, or ± the spread of draws and seeds.

    python benchmarks/task_tables.py results wifo-compat-time-d1 wifo-compat-time-d3 --across --published TABLE.csv

With ``--across`` there is one table, a row per task and a column per model; ``--linear`` shows ratios of dB.
``--published`` puts a paper's numbers beside it, from a CSV whose column ``dataset`` names D1, D2 …, the end of a
task's name. ``--write PAGE#NAME`` puts the tables between the marks of that name.
"""

from __future__ import annotations

import argparse
import csv
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


def across(results: dict[str, list[Result]], metric: str | None, linear: bool, published: Path | None) -> str:
    """One table with a row per task and a column per model, and those of a paper."""
    paper: dict[str, dict[str, str]] = {}
    if published is not None:
        with published.open(encoding="utf-8") as file:
            paper = {row.pop("dataset"): row for row in csv.DictReader(file)}
    models = list(dict.fromkeys(result.model.name for found in results.values() for result in found))
    columns = list(next(iter(paper.values()), {}))
    lines = [
        "| task | " + " | ".join([*(f"`{m.removeprefix('wbench/')}`" for m in models), *(f"*{c}*" for c in columns)])
    ]
    lines = [f"{lines[0]} |", "|---" + "|--:" * (len(models) + len(columns)) + "|"]
    for task, found in results.items():
        cells = []
        for model in models:
            values = []
            for result in found:
                score = result.score(metric or result.task.primary, "ranked")
                if result.model.name == model and score is not None:
                    values.append(10 ** (score.value / 10) if linear else score.value)
            digits = 3 if linear or not (found and "db" in (metric or found[0].task.primary)) else 1
            spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.{digits}f}{spread}".replace("-", "−") if values else "–")
        row = paper.get(task.rsplit("-", 1)[-1].upper(), {})
        lines.append(f"| `{task}` | " + " | ".join([*cells, *(row.get(c, "–") for c in columns)]) + " |")
    return "\n".join(lines)


def written(where: str, text: str) -> None:
    """Put a text between the marks of a page."""
    page, name = where.split("#")
    begin, end = (f"<!-- task_tables.py {name}: {side} -->" for side in ("begin", "end"))
    before, rest = Path(page).read_text(encoding="utf-8").split(begin)
    Path(page).write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--size", default="standard")
    parser.add_argument("--slices", action="store_true", help="columns for the slices of the test part")
    parser.add_argument("--across", action="store_true", help="one table, a row per task")
    parser.add_argument("--metric", help="of --across, instead of the primary one")
    parser.add_argument("--linear", action="store_true", help="of --across: ratios of dB")
    parser.add_argument("--published", type=Path, help="of --across: a paper's numbers")
    parser.add_argument("--write", metavar="PAGE#NAME", help="between the marks of a page")
    args = parser.parse_args()
    found = {}
    for task in args.tasks:
        files = sorted(args.results.glob(f"{task}-v*/{args.size}/*/*/result.json"))
        found[task] = [read_result(file) for file in files]
    if args.across:
        text = across(found, args.metric, args.linear, args.published)
    else:
        tables = {task: table(results, args.slices) if results else "no results" for task, results in found.items()}
        text = "\n\n".join(f"### {task}\n\n{one}" for task, one in tables.items())
    print(text)
    if args.write:
        written(args.write, text)


if __name__ == "__main__":
    main()
