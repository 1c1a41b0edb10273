"""Predictors on the 18 QuaDRiGa configurations, over time and frequency: the tables of docs/baselines-prediction.md.

    for N in 1 … 18: wbench generate qd-dN
    python benchmarks/prediction_quadriga.py [--data FOLDER] [--size SIZE] [--test N] [--budget PERCENT]
    python benchmarks/prediction_quadriga.py zero-shot --results FILE [--budget PERCENT] [--seeds N]

``zero-shot`` trains one network on all of D1 … D16 with as many snapshots as the held-out set, D17 or D18 (no sample of
which is seen), and writes docs/task-networks.md; every score is kept in the file as soon as it is there.

The scores are those of ``wbench evaluate``, on the whole test part or on its first N samples; with a budget the methods
that choose or learn see a share of training and validation.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wbench.dataset.spec import SIZES
from wbench.model import Predictor, TrainingData, load_model
from wbench.result import Score
from wbench.run.plan import load_task
from wbench.run.score import score_predictions
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.part import TaskData, concatenate

PAGE = Path(__file__).parent.parent / "docs" / "baselines-prediction.md"
NETWORK_PAGE = PAGE.with_name("task-networks.md")
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


#: Held-out sets, the sets with as many snapshots, and WiFo-Base's zero-shot score there (its Tables 6 and 7).
ZERO_SHOT = {17: ((3, 4, 7, 8, 11, 12, 15, 16), 0.305), 18: ((1, 2, 5, 6, 9, 10, 13, 14), 0.420)}
NETWORKS = ("lstm-prediction", "transformer-prediction", "resnet3d-prediction")


class KeptData:
    """Batches of a part in memory, without its task: the task would keep room for all samples of all its parts."""

    def __init__(self, data: TaskData) -> None:
        self.meta: ChannelMeta = data.meta
        self.ids = data.ids
        self._batches = list(data.batches())

    def __len__(self) -> int:
        return len(self.ids)

    def batches(self, size: int = 256, rng: np.random.Generator | None = None) -> Iterator[tuple[Batch, Truth]]:
        """Observations and targets as they were read, in one order."""
        return iter(self._batches)

    def load(self) -> tuple[Batch, Truth]:
        """All at once."""
        return concatenate(self._batches)


def kept_data(name: str, size: str, data: Path | None, budget: float) -> tuple[TrainingData, TrainingData]:
    """Training and validation part of a task."""
    task = load_task(name, size=size, data=data)
    return KeptData(TaskData(task, "train", budget)), KeptData(TaskData(task, "val", budget))


def zero_shot(size: str, data: Path | None, held_out: list[int], budget: float, seeds: int, results: Path) -> str:
    """Scores of networks that never saw the set, as a table; what the file has is not measured again."""
    kept: dict[str, list[float]] = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    for held, (sets, _) in ((held, ZERO_SHOT[held]) for held in ZERO_SHOT if held in held_out):
        task = load_task(f"channel-prediction-time-qd-d{held}", size=size, data=data)
        parts: list[tuple[TrainingData, TrainingData]] = []
        for seed, name in ((seed, name) for seed in range(seeds) for name in NETWORKS):
            if f"D{held} {name} {seed}" in kept:
                continue
            if not parts:
                parts = [kept_data(f"channel-prediction-time-qd-d{n}", size, data, budget) for n in sets]
            network: Any = load_model(f"wbench/{name}")
            network.setup(task.spec, task.meta)
            network.fit_many(parts, seed)
            ids = task.ids("test")
            answers = [network.predict(batch)[:, ~batch.x["observed"]] for batch in task.batches("test", ids)]
            scores = score_predictions(task, ids, np.concatenate(answers), {})[0]
            found = {s.metric: s.value for s in scores if s.slice == "ranked"}
            kept[f"D{held} {name} {seed}"] = [found["nmse_ros_db"], found["nmse_mor_db"]]
            results.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
            print(f"D{held} {name} {seed} {found}", flush=True)
    lines = [
        "| network | D17, dB | linear, mean of ratios | D18, dB | linear, mean of ratios |",
        "|---|--:|--:|--:|--:|",
    ]
    for name in NETWORKS:
        cells = []
        for held in ZERO_SHOT:
            values = np.array([v for k, v in kept.items() if k.startswith(f"D{held} {name} ")])
            if not len(values):
                cells += ["–", "–"]
                continue
            spread = f" ± {values[:, 0].std(ddof=1):.1f}" if len(values) > 1 else ""
            cells += [f"{values[:, 0].mean():.1f}{spread}", f"{np.mean(10 ** (values[:, 1] / 10)):.3f}"]
        lines.append(f"| `{name}` | {' | '.join(cells)} |".replace("-", "−").replace("−prediction", "-prediction"))
    lines.append(f"| *paper: WiFo-Base* | | {ZERO_SHOT[17][1]:.3f} | | {ZERO_SHOT[18][1]:.3f} |")
    many = f"{seeds} seeds" if seeds > 1 else "one seed"
    return "\n".join([f"`{size}`, all test samples, trained on {budget:g} % of eight sets, {many}.", "", *lines, ""])


def cell(score: Score) -> str:
    """Value and half of its interval."""
    half = "" if score.interval is None else f" ± {(score.interval.high - score.interval.low) / 2:.1f}"
    return f"{score.value:.1f}{half}".replace("-", "−")


def main() -> None:
    """Measure and rewrite the page between its marks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("axes", nargs="*", default=list(MODELS), choices=[*MODELS, "zero-shot"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--size", choices=SIZES, default="standard")
    parser.add_argument("--sets", type=int, nargs="*", default=list(range(1, 19)))
    parser.add_argument("--test", type=int, help="first so many test samples instead of all")
    parser.add_argument("--budget", type=float, default=100.0, help="percentage of training and validation")
    parser.add_argument("--seeds", type=int, default=1, help="of zero-shot")
    parser.add_argument("--results", type=Path, help="of zero-shot: where scores are kept")
    args = parser.parse_args()
    for axis in args.axes:
        if axis == "zero-shot":
            if args.results is None:
                parser.error("zero-shot needs --results FILE")
            put(NETWORK_PAGE, axis, zero_shot(args.size, args.data, args.sets, args.budget, args.seeds, args.results))
            continue
        head = ["set", "scenario", "carrier", *(f"`{name}`" for name in MODELS[axis])]
        lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for number in args.sets:
            lines.append(row(axis, number, args.size, args.data, args.test, args.budget))
            print(lines[-1], flush=True)
        tested = "all test samples" if args.test is None else f"the first {args.test} test samples"
        share = "" if args.budget == 100 else f", fitted on {args.budget:g} % of training and validation"
        text = "\n".join([f"`{args.size}`, {tested}{share}.", "", *lines, ""])
        put(PAGE, axis, text)


def put(page: Path, name: str, text: str) -> None:
    """Write a table between its marks."""
    begin, end = MARK.format(name, "begin"), MARK.format(name, "end")
    before, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(f"{before}{begin}\n{text}{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
