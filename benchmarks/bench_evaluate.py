"""What the harness adds to a model's own inference, and what keeping embeddings saves; side by side in one run.

python benchmarks/bench_evaluate.py
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wbench import generate
from wbench.run.answering import Answering
from wbench.run.cell import Cell, answer_cell, fit_cell, prepare
from wbench.run.embeddings import EmbeddingCache
from wbench.run.executors import one_thread
from wbench.run.features import BATCH
from wbench.run.plan import dataset_path, load_task
from wbench.run.score import score_predictions
from wbench.task.base import Task

SAMPLES = 4000
RECIPE = """
name = "bench-evaluate"
version = 1
generator = "plane-wave"
summary = "benchmark"
licence = "CC0-1.0"
seed = 1
block = 100
[sizes]
tiny = {{samples = {samples}, shard_blocks = 10}}
[params]
paths = 4
bs = {{rows = 1, cols = 32, polarisation = "V"}}
bands.channel = {{subcarriers = 32, spacing_hz = 120e3}}
"""
TASK = """
name = "bench-{family}"
version = 1
family = "{family}"
kind = "{kind}"
summary = "benchmark"
primary = "{metric}"
metrics = ["{metric}"]
trivial = []
views.train = {{recipe = "{recipe}", side = "train"}}
views.val = {{recipe = "{recipe}", side = "val"}}
views.test = {{recipe = "{recipe}", side = "test"}}
split = {{rule = "S2"}}
{more}
"""
#: model, task, further lines of the task
MODELS = (
    ("wbench/vit-random", "los-nlos", "classify", "f1_macro", "noise = {snr_db = [0]}"),
    ("wbench/knn", "los-nlos", "classify", "f1_macro", "noise = {snr_db = [0]}"),
)


def build(folder: Path, samples: int) -> dict[str, Task]:
    """The tasks on their dataset."""
    recipe = folder / "bench-evaluate.toml"
    recipe.write_text(RECIPE.format(samples=samples), encoding="utf-8")
    report = generate(recipe, size="tiny", out=dataset_path("bench-evaluate", "tiny", data=folder))
    if report.failures:
        raise RuntimeError(f"the benchmark's dataset could not be made: {report.failures}")
    tasks = {}
    for _, family, kind, metric, more in MODELS:
        path = folder / f"{family}-task.toml"
        path.write_text(
            TASK.format(family=family, kind=kind, metric=metric, more=more, recipe=recipe), encoding="utf-8"
        )
        tasks[family] = load_task(path, size="tiny", data=folder)
    return tasks


def cpu(run: Callable[[], Any]) -> float:
    """CPU seconds of a call: other work on the machine does not count."""
    began = time.process_time()
    run()
    return time.process_time() - began


def overhead(task: Task, reference: str, repetitions: int) -> tuple[int, float, float]:
    """Test samples, median CPU seconds of a bare loop over batches, and of the harness's prediction pass.

    The two take turns. Observations were made before: every model of a task after the first finds them so.
    """
    cell = Cell(reference, "linear" if reference == "wbench/vit-random" else None)
    model: Any = prepare(cell, task)[0]
    fit_cell(model, cell, task)
    ids = task.ids("test")
    batches = list(task.batches("test", ids, BATCH))
    answering = Answering(model, task, reference)
    bare, harness = [], []
    for _ in range(repetitions):
        bare.append(cpu(lambda: [model.predict(batch) for batch in batches]))
        harness.append(cpu(lambda: answering.predict("test", ids)))
    return len(ids), statistics.median(bare), statistics.median(harness)


def heads(task: Task, folder: Path) -> list[tuple[str, float]]:
    """CPU seconds of whole cells, with the features of the first one kept for the others."""
    rows = []
    cache = EmbeddingCache(folder / "embeddings")
    for name, head, budget, kept in (
        ("linear head, nothing kept", "linear", 100.0, None),
        ("linear head, the first", "linear", 100.0, cache),
        ("knn head, features kept", "knn", 100.0, cache),
        ("linear head on 10 %, features kept", "linear", 10.0, cache),
    ):
        cell = Cell("wbench/vit-random", head, budget=budget)
        model = prepare(cell, task)[0]
        rows.append((name, cpu(lambda c=cell, m=model, k=kept: answer_cell(m, c, task, k))))  # type: ignore[misc]
    return rows


def scoring(task: Task, folder: Path) -> float:
    """CPU seconds of scoring one cell with its intervals."""
    cell = Cell("wbench/vit-random", "linear")
    answer = answer_cell(prepare(cell, task)[0], cell, task, EmbeddingCache(folder / "embeddings"))
    return cpu(lambda: score_predictions(task, answer.ids, answer.predictions, answer.calibration))


def section(samples: int = SAMPLES, repetitions: int = 5) -> str:
    """Section of the performance page."""
    with tempfile.TemporaryDirectory() as folder, one_thread():
        tasks = build(Path(folder), samples)
        lines = []
        for reference, family, *_ in MODELS:
            count, bare, harness = overhead(tasks[family], reference, repetitions)
            per = 1e6 / count
            lines.append(
                f"| {reference} | {bare * per:.1f} | {harness * per:.1f} | {(harness - bare) * per:.2f} "
                f"| {100 * (harness / bare - 1):+.1f} % |"
            )
        task = tasks["los-nlos"]
        cells = [f"| {name} | {seconds:.2f} |" for name, seconds in heads(task, Path(folder))]
        scored = scoring(task, Path(folder))
    return "\n".join(
        [
            "## Evaluation",
            "",
            f"Snapshots of 32 × 32 ({samples:,} in all, a fifth of them the test part), CPU time, one thread.",
            "The bare loop calls `predict` on batches in memory; the harness takes them from the task's store,",
            "as copies that a model may spoil, times and checks every answer. Aim: at most 5 % for a network.",
            "",
            "| model | bare, µs a sample | harness, µs a sample | added, µs | overhead |",
            "| --- | ---: | ---: | ---: | ---: |",
            *lines,
            "",
            "Whole cells of the untrained transformer, fitting and calibration included:",
            "",
            "| cell | CPU s |",
            "| --- | ---: |",
            *cells,
            "",
            f"Scoring a cell with all slices and intervals takes {scored:.2f} s beside that.",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(section() + "\n")
