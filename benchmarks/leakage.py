"""How much a leaking split flatters: the same models on random users (S0), held-out squares (S1), held-out scenes (S3).

    python benchmarks/leakage.py --data data --out results-leakage

Needs ``city-rt`` and the ``loc-rt`` recipes in ``standard``. Finished results are kept, so it can be run again. Writes
the tables of ``docs/leakage.md`` and ``docs/images/leakage.svg``. S3 is the mean over the held-out scenes, each a model
of its own; a method whose two numbers do not differ by more than their intervals has nothing to leak.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wbench import evaluate, load_task
from wbench.result import Result
from wbench.task.audit import audit

BEGIN, END = "<!-- leakage: begin -->", "<!-- leakage: end -->"
SCENES = ("munich", "etoile", "florence", "san-francisco", "canyon")


@dataclass(frozen=True)
class Row:
    """A family of instances: name, S3 instances, models, the metric's name, unit, and whether more is better."""

    title: str
    task: str
    scenes: tuple[str, ...]
    models: tuple[str, ...]
    unit: str
    more_is_better: bool


ROWS = (
    Row(
        "LoS/NLoS, 0 dB (macro F1)",
        "los-nlos-city",
        tuple(f"los-nlos-city-{scene}" for scene in SCENES),
        ("wbench/1-nn", "wbench/knn", "wbench/angle-delay", "wbench/logistic", "wbench/boosted-trees"),
        "",
        True,
    ),
    Row(
        "28 GHz beam from 3.5 GHz (top-1 of 64)",
        "beam-prediction-a",
        tuple(f"beam-prediction-a-{scene}" for scene in SCENES),
        ("wbench/1-nn", "wbench/knn", "wbench/angle-map"),
        "",
        True,
    ),
    Row(
        "path gain at 28 GHz (rmse, dB)",
        "path-loss",
        tuple(f"path-loss-{scene}" for scene in SCENES),
        ("wbench/position-knn", "wbench/path-loss-trees", "wbench/band-affine", "wbench/log-distance"),
        "dB",
        False,
    ),
    Row(
        "positioning with six base stations (90 % error, m)",
        "positioning-munich",
        (),
        ("wbench/position-fingerprints", "wbench/position-mlp", "wbench/multilateration"),
        "m",
        False,
    ),
)


def value_of(results: Sequence[Result], model: str, task: str) -> tuple[float, float] | None:
    """Primary metric on the ranked slice and the half width of its interval (NaN without one)."""
    for result in results:
        if result.model.name == model and result.task.name == task:
            score = next(s for s in result.scores if s.metric == result.task.primary and s.slice == "ranked")
            half = float("nan") if score.interval is None else (score.interval.high - score.interval.low) / 2
            return score.value, half
    return None


def measure(row: Row, args: argparse.Namespace) -> dict[str, dict[str, tuple[float, float] | None]]:
    """Value of each model under each split."""
    tasks = [f"{row.task}-s0", row.task, *row.scenes]
    results = evaluate(row.models, tasks, data=args.data, out=args.out, show_progress=True).results
    found: dict[str, dict[str, tuple[float, float] | None]] = {}
    for model in row.models:
        folds = [value for task in row.scenes if (value := value_of(results, model, task)) is not None]
        mean = (sum(v for v, _ in folds) / len(folds), float("nan")) if len(folds) == len(row.scenes) > 0 else None
        s0, s1 = (value_of(results, model, task) for task in tasks[:2])
        found[model] = {"S0": s0, "S1": s1, "S3": mean}
    return found


def nearest(task: str, data: str) -> str:
    """Median and least distance of a test user to a training user."""
    quantiles = audit(load_task(task, data=data)).nearest_m
    return f"{quantiles[50]:.1f} ({quantiles[0]:.1f})" if quantiles else "another scene"


def shown(value: tuple[float, float] | None, unit: str) -> str:
    """A cell of the table."""
    if value is None:
        return "–"
    digits = 1 if unit else 3
    spread = "" if value[1] != value[1] else f" ± {value[1]:.{digits}f}"
    return f"{value[0]:.{digits}f}{spread}{' ' + unit if unit else ''}"


def table(row: Row, found: dict[str, dict[str, tuple[float, float] | None]], data: str) -> str:
    """The family's table in Markdown."""
    lines = [
        f"### {row.title}",
        "",
        "| model | random users (S0) | held-out squares (S1) | held-out scenes (S3) |",
        "|---|--:|--:|--:|",
    ]
    for model, values in found.items():
        lines.append(f"| `{model}` | " + " | ".join(shown(values[split], row.unit) for split in values) + " |")
    gaps = [
        nearest(f"{row.task}-s0", data),
        nearest(row.task, data),
        nearest(row.scenes[0], data) if row.scenes else "–",
    ]
    lines.append("| *test user to nearest training user, median (least), m* | " + " | ".join(gaps) + " |")
    return "\n".join(lines)


def draw(measured: dict[str, dict[str, dict[str, tuple[float, float] | None]]], file: Path) -> None:
    """One panel for each family: a line per model from S0 over S1 to S3."""
    import matplotlib
    from matplotlib.figure import Figure

    colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
    marks = "os^Dv"
    with matplotlib.rc_context(
        {"font.size": 8, "svg.hashsalt": "wbench", "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure = Figure(figsize=(11, 3.1), layout="constrained")
        axes = figure.subplots(1, len(ROWS))
        for ax, row in zip(axes, ROWS, strict=True):
            for index, (model, values) in enumerate(measured[row.title].items()):
                points = [(i, *value) for i, value in enumerate(values.values()) if value is not None]
                x, y, half = zip(*points, strict=True)
                error = [0 if h != h else h for h in half]
                ax.errorbar(
                    x, y, error, color=colours[index], marker=marks[index], ms=4, lw=1.3, capsize=2, label=model[7:]
                )
            ax.set_xticks(range(3), ["S0\nrandom", "S1\nsquares", "S3\nscenes"])
            ax.set_title(row.title.replace(" (", "\n("), fontsize=8, fontweight="bold", loc="left")
            ax.grid(axis="y", color="#e5e7eb")
            ax.legend(frameon=False, fontsize=6.5)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Measure, write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--out", default="results-leakage")
    args = parser.parse_args()
    docs = Path(__file__).parent.parent / "docs"
    measured = {row.title: measure(row, args) for row in ROWS}
    text = "\n\n".join(table(row, measured[row.title], args.data) for row in ROWS)
    page = docs / "leakage.md"
    head, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    page.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    draw(measured, docs / "images" / "leakage.svg")


if __name__ == "__main__":
    main()
