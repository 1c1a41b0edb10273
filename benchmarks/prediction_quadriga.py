"""Predictors on the 18 QuaDRiGa configurations, over time and frequency: the tables of docs/baselines-prediction.md.

    for N in 1 … 18: wbench generate qd-dN
    python benchmarks/prediction_quadriga.py [--data FOLDER] [--size SIZE] [--test N] [--budget PERCENT]

The scores are those of ``wbench evaluate``, on the whole test part or on its first N samples; with a budget the methods
that choose or learn see a share of training and validation.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from wbench.dataset.spec import SIZES
from wbench.model import Predictor, load_model
from wbench.result import Score
from wbench.run.plan import load_task
from wbench.run.score import score_predictions
from wbench.task.part import TaskData

PAGE = Path(__file__).parent.parent / "docs" / "baselines-prediction.md"
MARK = "<!-- prediction_quadriga.py {}: {} -->"
MODELS = {
    "time": ("hold", "linear", "ar-pooled", "doppler-extrapolation", "pad"),
    "frequency": ("hold", "wiener-pooled", "delay-extrapolation"),
}


def row(axis: str, number: int, size: str, data: Path | None, test: int | None, budget: float) -> str:
    """One configuration: NMSE in dB with half its 95 % interval, by model."""
    task = load_task(f"channel-prediction-{axis}-qd-d{number}", size=size, data=data)
    ids = task.ids("test")[:test]
    cells = []
    for name in MODELS[axis]:
        model = load_model(f"wbench/{name}")
        assert isinstance(model, Predictor)
        model.setup(task.spec, task.meta)
        if model.info.trains:
            model.fit(TaskData(task, "train", budget), TaskData(task, "val", budget), 0)
        answers = [model.predict(batch)[:, ~batch.x["observed"]] for batch in task.batches("test", ids)]
        scores = score_predictions(task, ids, np.concatenate(answers), {})[0]
        cells.append(cell(next(s for s in scores if s.metric == task.spec.primary and s.slice == "ranked")))
    about = task.spec.summary.split(", ")
    return f"| D{number} | {about[2]} | {about[3]} | {' | '.join(cells)} |"


def cell(score: Score) -> str:
    """Value and half of its interval."""
    half = "" if score.interval is None else f" ± {(score.interval.high - score.interval.low) / 2:.1f}"
    return f"{score.value:.1f}{half}".replace("-", "−")


def main() -> None:
    """Measure and rewrite the page between its marks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("axes", nargs="*", default=list(MODELS))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--size", choices=SIZES, default="standard")
    parser.add_argument("--sets", type=int, nargs="*", default=list(range(1, 19)))
    parser.add_argument("--test", type=int, help="first so many test samples instead of all")
    parser.add_argument("--budget", type=float, default=100.0, help="percentage of training and validation")
    args = parser.parse_args()
    for axis in args.axes:
        head = ["set", "scenario", "carrier", *(f"`{name}`" for name in MODELS[axis])]
        lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for number in args.sets:
            lines.append(row(axis, number, args.size, args.data, args.test, args.budget))
            print(lines[-1], flush=True)
        tested = "all test samples" if args.test is None else f"the first {args.test} test samples"
        share = "" if args.budget == 100 else f", fitted on {args.budget:g} % of training and validation"
        text = "\n".join([f"`{args.size}`, {tested}{share}.", "", *lines, ""])
        begin, end = MARK.format(axis, "begin"), MARK.format(axis, "end")
        before, rest = PAGE.read_text(encoding="utf-8").split(begin)
        PAGE.write_text(f"{before}{begin}\n{text}{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
