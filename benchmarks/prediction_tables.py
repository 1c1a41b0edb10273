"""Tables of docs/baselines-prediction.md: every predictor on the prediction tasks, with the genie beside them.

    wbench generate mob-uma; wbench generate mob-uma-30khz; wbench generate mob-3gpp
    python benchmarks/prediction_tables.py [--data FOLDER] [--size SIZE] [--out RESULTS] [TASK …]

The numbers are those of ``wbench evaluate``; results that are there already are read, not made again. The genie knows
the true speed, which no model may: its rows come from here only and are never ranked.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import wbench
from wbench.result import Score
from wbench.run.plan import load_task
from wbench.run.score import score_predictions
from wbench_baselines.prediction.genie import genie_wiener

PAGE = Path(__file__).parent.parent / "docs" / "baselines-prediction.md"
OVER_TIME = "linear ar-element wiener-pooled wiener kalman pad pad-published doppler-extrapolation ar-pooled"
TASKS = {
    "channel-prediction-time": f"zeros hold {OVER_TIME}",
    "channel-prediction-time-16-4": f"zeros hold {OVER_TIME}",
    "channel-prediction-frequency": "zeros hold linear ar-element ar-pooled wiener-pooled wiener delay-extrapolation",
    "channel-prediction-3gpp": f"hold {OVER_TIME}",
}
GENIE = "*J0-Wiener, true speed (genie)*"


def genie(name: str, size: str, data: Path | None) -> tuple[Score, ...]:
    """Scores of the Wiener predictor that knows the speed."""
    task = load_task(name, size=size, data=data)
    ids = task.ids("test")
    speed = task.columns("test", ids)["speed_kmh"] / 3.6
    parts, start = [], 0
    for batch in task.batches("test", ids):
        answer = genie_wiener(batch, speed[start : start + len(batch)])
        parts.append(answer[:, ~batch.x["observed"]])
        start += len(batch)
    return score_predictions(task, ids, np.concatenate(parts), {})[0]


def row(name: str, scores: tuple[Score, ...], slices: list[str], metrics: list[str], seconds: str) -> str:
    """One line of a table."""
    found = {(score.metric, score.slice): score for score in scores}
    main = found[metrics[0], "ranked"]
    digits = 1 if main.unit == "dB" else 3
    half = "" if main.interval is None else f" ± {(main.interval.high - main.interval.low) / 2:.{digits}f}"
    cells = [f"{main.value:.{digits}f}{half}"]
    cells += [f"{found[metric, 'ranked'].value:.{1 if metric.endswith('db') else 3}f}" for metric in metrics[1:]]
    cells += [f"{found[metrics[0], part].value:.{digits}f}" if (metrics[0], part) in found else "–" for part in slices]
    return f"| {name} | {' | '.join(cells)} | {seconds} |".replace("-0.0 ", "0.0 ").replace("| -", "| −")


def table(name: str, size: str, data: Path | None, out: Path) -> str:
    """Markdown table of one task."""
    names = [f"wbench/{model}" for model in TASKS[name].split()]
    report = wbench.evaluate(names, [name], size=size, data=data, out=out, show_progress=True)
    latest = {result.model.name: result for result in report.results}
    task = load_task(name, size=size, data=data)
    metrics = list(task.spec.metrics)
    slices = [s.slice for s in next(iter(latest.values())).scores if "=" in s.slice and s.metric == metrics[0]]
    slices.sort(
        key=lambda text: (
            (text.split("=")[0] == "los", float(text.split("=")[1].split("-")[0]))
            if text[-1].isdigit()
            else (True, 0.0)
        )
    )
    lines = []
    for model, result in latest.items():
        seconds = f"{result.cost.fit_s:.0f}, {1e3 * result.cost.predict_s / result.cost.predict_samples:.2f}"
        lines.append((model, row(f"`{model.removeprefix('wbench/')}`", result.scores, slices, metrics, seconds)))
    if task.meta.dims[0] == "time" and task.spec.params.get("axis", "time") == "time":
        lines.append(("genie", row(GENIE, genie(name, size, data), slices, metrics, "")))
    head = [
        "model",
        *metrics,
        *(part.replace("speed_kmh=", "").replace("_", " ") for part in slices),
        "fit s, ms/sample",
    ]
    body = "\n".join(line for _, line in lines)
    for cell in report.failures:
        print(f"{cell.cell.model} failed: {cell.error or cell.reason}")
    return f"| {' | '.join(head)} |\n{'|---' * len(head)}|\n{body}\n"


def main() -> None:
    """Measure and rewrite the page between its marks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--size", default="standard")
    parser.add_argument("--out", type=Path, default=Path("results"))
    args = parser.parse_args()
    for name in args.tasks:
        text = table(name, args.size, args.data, args.out)
        print(text)
        begin, end = (f"<!-- prediction_tables.py {name}: {what} -->" for what in ("begin", "end"))
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(begin)
        page = f"{before}{begin}\n{text}{end}{rest.split(end)[1]}"
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
