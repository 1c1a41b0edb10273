"""Tables of docs/pretraining.md from the results of ``wbench evaluate``; the commands are on the page.

    python benchmarks/pretraining_tables.py RESULTS [--reference FOLDER] [--write]

``RESULTS`` is searched with all its folders. ``--reference`` holds the published numbers as CSV. Without ``--write``
the tables are printed. What has not been run has no row, or a dash.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from wbench.result import Result, read_result
from wbench.task.spec import load_suite

PAGE = Path(__file__).parent.parent / "docs" / "pretraining.md"
CONTROL = "wbench/vit-random"
MODELS = ("wbench/raw", CONTROL, "wbench/lwm-style-small", "wbench/contrawimae-style-small")
OURS = MODELS[2:]
HEADS = ("linear", "resnet1d-slim")
BUDGETS = (1.0, 10.0, 100.0)
PROBES = {
    "los-nlos-umi": ("f1_macro", "f1_binary", "balanced_accuracy", "auroc"),
    "beam-prediction-b": ("within_1db", "top1", "top3"),
}
#: The other ranked instances of a question: its budget in percent, and what stands beside the linear heads.
BESIDE_LOS = ("wbench/angle-delay", "wbench/knn", "wbench/logistic", "wbench/cnn")
ELSEWHERE = {
    "los-nlos elsewhere": ("los-nlos", 10.0, BESIDE_LOS),
    "los-nlos elsewhere, 1 %": ("los-nlos", 1.0, BESIDE_LOS),
    "beam-prediction-a elsewhere": (
        "beam-prediction-a", 100.0, ("wbench/angle-delay", "wbench/1-nn", "wbench/angle-map", "wbench/cnn"),
    ),
}  # fmt: skip
SETS = (1, 3, 4, 8, 17, 18)
PREDICTORS = ("wbench/hold", "wbench/pad", "wbench/ar-pooled", "wbench/wifo-style-small")
PAPER = ("WiFo-Base", "Transformer", "LSTM", "3D ResNet", "PAD")
UNSEEN = {("time", 17): 0.305, ("time", 18): 0.420, ("frequency", 17): 0.229, ("frequency", 18): 0.280}
FEATURES = (
    "rank", "spectral-efficiency", "delay-centre", "delay-length", "doppler-width", "frequency-correlation",
    "time-correlation", "time-covariance", "noise-covariance", "precoder",
)  # fmt: skip
FORECASTERS = tuple(
    f"wbench/{name}"
    for name in (
        "feature-persistence",
        "feature-ar",
        "feature-ridge",
        "slot-tokens-untrained",
        "slot-tokens-small",
        "slot-tokens-alone",
    )
)


def found(folder: Path) -> list[Result]:
    return [read_result(path) for path in sorted(folder.rglob("result.json"))]


def value(result: Result, metric: str) -> float:
    score = result.score(metric, "ranked")
    return float("nan") if score is None else score.value


def short(name: str) -> str:
    return f"`{name.removeprefix('wbench/')}`"


def deviation(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def spread(runs: list[Result]) -> float:
    """Standard deviation over draws and seeds; of a single run half of its 95 % interval."""
    if len(runs) > 1:
        return deviation([run.primary().value for run in runs])
    interval = runs[0].primary().interval
    return 0.0 if interval is None else (interval.high - interval.low) / 2


def mean_of(values: list[float]) -> str:
    """Mean and, of several, the standard deviation."""
    if not values:
        return "–"
    spread = f" ± {deviation(values):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def probe_table(results: Iterable[Result], task: str) -> list[str]:
    """One row per head, model and budget; means over draws and seeds. Then what beats the control."""
    metrics = PROBES[task]
    cells: dict[tuple[str, str, float], list[Result]] = defaultdict(list)
    for result in results:
        if result.task.name == task and result.regime == "head" and result.shots is None:
            cells[str(result.head), result.model.name, result.budget_percent].append(result)
    rows = [f"| head | model | budget | runs | {' | '.join(metrics)} |", "|---" * (len(metrics) + 4) + "|"]
    verdicts: dict[str, list[str]] = defaultdict(list)
    for head in HEADS:
        for model in MODELS:
            for budget in BUDGETS:
                runs = cells[head, model, budget]
                if not runs:
                    continue
                scores = [mean_of([value(run, metric) for run in runs]) for metric in metrics]
                rows.append(f"| {head} | {short(model)} | {budget:g} % | {len(runs)} | {' | '.join(scores)} |")
                control = cells[head, CONTROL, budget]
                if model in OURS and control:
                    mine, theirs = ([value(run, metrics[0]) for run in group] for group in (runs, control))
                    gap, noise = np.mean(mine) - np.mean(theirs), max(spread(runs), spread(control))
                    what = "beats" if gap > noise else "does not beat" if gap < 0 else "is level with"
                    verdicts[model].append(f"{what} the control under {head} at {budget:g} % ({gap:+.3f})")
    said = [f"- {short(model)} {'; '.join(lines)}." for model, lines in verdicts.items()]
    return [*rows, "", *(said or ["No verdict yet: results are missing."])]


def elsewhere_table(results: list[Result], family: str, budget: float, others: tuple[str, ...]) -> list[str]:
    """Primary metric on every ranked instance of a question: encoders under a linear head, other models as they are."""
    models = (*MODELS, *others)
    heads = {result.task.name for result in results if result.head == "linear" and result.model.name in OURS}
    tasks = [name for name in load_suite("2026.1").tasks if name.startswith(family) and name in heads]
    cells: dict[tuple[str, str], dict[tuple[int, int, str], float]] = defaultdict(dict)
    for result in results:
        frozen_or_whole = result.head is None or (result.head, result.regime) == ("linear", "head")
        if result.budget_percent == budget and frozen_or_whole and result.shots is None:
            run = result.draw, result.seed, result.model.revision  # one file of a run that was copied beside others
            cells[result.task.name, result.model.name][run] = result.primary().value
    shown = [model for model in models if any(cells[task, model] for task in tasks)]
    rows = [f"| instance | {' | '.join(map(short, shown))} |", "|---" * (len(shown) + 1) + "|"]
    for task in tasks:
        means = [float(np.mean(list(cells[task, model].values()) or [np.nan])) for model in shown]
        best = np.nanmax([*means, -np.inf])
        printed = ["–" if np.isnan(m) else f"**{m:.3f}**" if m == best else f"{m:.3f}" for m in means]
        rows.append(f"| `{task}` | {' | '.join(printed)} |")
    return rows


def regimes_table(results: list[Result], task: str) -> list[str]:
    """Primary metric of the encoders under a linear head: frozen, tuned with the head, and drawn anew."""
    cells: dict[tuple[str, str, float], list[float]] = defaultdict(list)
    for result in results:
        if result.task.name == task and result.head == "linear" and result.model.name in OURS and result.shots is None:
            cells[result.model.name, result.regime, result.budget_percent].append(result.primary().value)
    tuned = {(model, budget) for model, regime, budget in cells if regime != "head"}
    rows = ["| model | budget | frozen | fine-tuned | from random weights |", "|---|---|---|---|---|"]
    for model in OURS:
        for budget in BUDGETS:
            if (model, budget) in tuned:
                printed = [mean_of(cells[model, regime, budget]) for regime in ("head", "fine-tune", "full")]
                rows.append(f"| {short(model)} | {budget:g} % | {' | '.join(printed)} |")
    return rows


def pretrainings_table(results: list[Result]) -> list[str]:
    """Primary metric of each pre-training (of the control: of each drawing of its weights), means over draws."""
    models = (CONTROL, *OURS)
    cells: dict[tuple[str, str, float, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        if result.task.name in PROBES and result.regime == "head" and result.shots is None:
            key = (result.task.name, str(result.head), result.budget_percent, result.model.name)
            cells[key][result.model.revision].append(result.primary().value)
    rows = [f"| task | head | budget | {' | '.join(map(short, models))} |", "|---" * (len(models) + 3) + "|"]
    for task in PROBES:
        for head in HEADS:
            for budget in BUDGETS:
                means = {m: sorted(map(float, map(np.mean, cells[task, head, budget, m].values()))) for m in models}
                if max(map(len, means.values())) > 1:
                    printed = [", ".join(f"{mean:.3f}" for mean in means[model]) or "–" for model in models]
                    rows.append(f"| `{task}` | {head} | {budget:g} % | {' | '.join(printed)} |")
    return rows


def published(folder: Path | None, axis: str) -> dict[str, dict[str, str]]:
    path = None if folder is None else folder / f"wifo_{axis}_prediction_nmse.csv"
    if path is None or not path.exists():
        return {}
    with path.open(encoding="utf-8") as stream:
        return {row["dataset"]: row for row in csv.DictReader(stream)}


def prediction_table(results: list[Result], family: str, axis: str, reference: Path | None) -> list[str]:
    """NMSE, linear, mean of per-sample ratios as in the paper, beside the paper's own columns."""
    paper = published(reference, axis)
    columns = [column for column in PAPER if axis == "time" or column != "PAD"]
    models = [model for model in PREDICTORS if axis == "time" or model != "wbench/pad"]
    head = ["set", *(f"paper: {column}" for column in columns), *map(short, models)]
    rows = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for number in SETS:
        task = f"{family}-{axis}-qd-d{number}" if family == "channel-prediction" else f"{family}-{axis}-d{number}"
        printed = [paper.get(f"D{number}", {}).get(column, "–") for column in columns]
        if (axis, number) in UNSEEN:
            printed[0] = f"{UNSEEN[axis, number]:.3f}"  # type: ignore[index]
        ours = []
        for model in models:
            here = [value(r, "nmse_mor_db") for r in results if (r.task.name, r.model.name) == (task, model)]
            ours.append(f"{10 ** (np.mean(here) / 10):.3f}" if here else "–")
        label = f"D{number}" + (" (unseen)" if number > 16 else "")
        rows.append("| " + " | ".join([label, *printed, *ours]) + " |")
    return rows


def slots_table(results: list[Result]) -> list[str]:
    """Primary metric of every feature task."""
    columns: dict[tuple[str, str], set[str]] = defaultdict(set)
    scores: dict[tuple[str, str, str], str] = {}
    for result in results:
        if result.model.name in FORECASTERS and result.budget_percent == 100:
            key = (result.model.name, result.head or "")
            columns[key].add(result.task.name)
            score = result.primary().value
            scores[(*key, result.task.name)] = f"{score:.3f}" if score >= 0.01 else f"{score:.4f}"
    keys = sorted(columns, key=lambda key: (FORECASTERS.index(key[0]), key[1]))
    head = ["task", "metric", *(short(name) + (f" + {head}" if head else "") for name, head in keys)]
    rows = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    metric = {result.task.name: result.primary().metric for result in results}
    for feature in FEATURES:
        for mode in ("forecast", "interpolate"):
            task = f"feature-{feature}-{mode}"
            cells = [scores.get((*key, task), "–") for key in keys]
            rows.append("| " + " | ".join([f"`{task}`", metric.get(task, "–"), *cells]) + " |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    results = found(asked.results)
    tables = {task: probe_table(results, task) for task in PROBES}
    for family in ("channel-prediction", "wifo-compat"):
        for axis in ("time", "frequency"):
            tables[f"{family} {axis}"] = prediction_table(results, family, axis, asked.reference)
    tables |= {name: elsewhere_table(results, *asked_for) for name, asked_for in ELSEWHERE.items()}
    tables["regimes"] = regimes_table(results, "los-nlos-umi")
    tables["pre-trainings"] = pretrainings_table(results)
    tables["slots"] = slots_table(results)
    page = PAGE.read_text(encoding="utf-8")
    for name, lines in tables.items():
        first, last = (f"<!-- pretraining_tables.py {name}: {end} -->" for end in ("begin", "end"))
        if asked.write:
            before, _, rest = page.partition(first)
            _, _, after = rest.partition(last)
            page = "\n".join([before + first, *lines, last]) + after
        else:
            print(f"\n{name}\n", *lines, sep="\n")
    if asked.write:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
