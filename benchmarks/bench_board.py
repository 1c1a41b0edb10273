"""The board with a thousand submissions: time of the build, and size of the largest page.

The submissions are copies of real ones, the demo's results under other names: every number of a page is there as often
as it would be. ``wbench leaderboard build`` reads them from the disk as it reads any.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wbench.result import Result
from wbench_leaderboard.load import load_results

SUBMISSIONS = 1000
#: Aims of the project.
SECONDS, PAGE_BYTES = 30.0, 300_000
TASKS = ("los-nlos-umi", "beam-prediction-b", "csi-feedback-ratio", "csi-feedback-bits", "channel-prediction-time")


def demo_results(folder: Path) -> list[Result]:
    """Results of ``wbench demo``, made anew where ``folder`` has none."""
    results = folder / "results"
    if not results.is_dir():
        program = str(Path(sys.executable).with_name("wbench"))
        subprocess.run([program, "demo", "--out", str(folder)], check=True, capture_output=True)
    return [result for result in load_results([results]) if result.task.name in TASKS]


def copies(results: Sequence[Result], count: int) -> list[list[Result]]:
    """So many made-up submissions of one model each, with a result on every task, at the size that is ranked.

    Scores and replicates of a copy are moved together, by less than the spread of the models: ties and clear
    differences both occur.
    """
    by_task: dict[str, list[Result]] = {}
    for result in results:
        if result.model.kind != "trivial":
            by_task.setdefault(result.task.name, []).append(result)
    return [[_copy(found[index % len(found)], index) for found in by_task.values()] for index in range(count)]


def _copy(result: Result, index: int) -> Result:
    shift = float(np.random.default_rng(index).uniform(-0.02, 0.02))
    scores = []
    for score in result.scores:
        step = shift * (20 if score.unit == "dB" else 1)
        moved = {"value": score.value + step, "replicates": tuple(r + step for r in score.replicates)}
        if score.interval is not None:
            ends = {"low": score.interval.low + step, "high": score.interval.high + step}
            moved["interval"] = score.interval.model_copy(update=ends)
        scores.append(score.model_copy(update=moved))
    model = result.model.model_copy(
        update={
            "name": f"lab-{index % 97}/model-{index}",
            "kind": "user",
            "summary": f"Copy {index} of {result.model.name}",
            "licence": ("Apache-2.0", "MIT", "CC-BY-4.0")[index % 3],
            "overlap": ("none", "generator", "scenario")[index % 3],
            "parameters": 1000 * index,
        }
    )
    task = result.task.model_copy(update={"size": "standard"})
    # One regime for all: the largest tables and the most comparisons that a thousand models can make.
    alike = {"regime": "full", "head": None, "budget_percent": 100.0, "shots": None, "layers": None}
    return result.model_copy(update={"model": model, "task": task, "scores": tuple(scores), **alike})


def write(root: Path, results: Sequence[Result], submissions: Sequence[Sequence[Result]]) -> int:
    """Write everything as files; the number of results."""
    ranked = [r.model_copy(update={"task": r.task.model_copy(update={"size": "standard"})}) for r in results]
    trivial = [r for r in ranked if r.model.kind in ("trivial", "classical")]
    everything = [*trivial, *(result for submission in submissions for result in submission)]
    for index, result in enumerate(everything):
        folder = root / f"{index // 500}" / f"{index}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(result.model_dump_json(), encoding="utf-8")
    return len(everything)


def build(root: Path, out: Path) -> tuple[float, float]:
    """CPU seconds and memory in GB of ``wbench leaderboard build`` as a process of its own."""
    program = str(Path(sys.executable).with_name("wbench"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, "leaderboard", "build", str(root), "--out", str(out)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, after.ru_maxrss / 1e6


def section(demo: Path | None = None) -> str:
    """Section of the performance page."""
    work = Path(tempfile.mkdtemp(prefix="bench-board-"))
    try:
        results = demo_results(demo or work / "demo")
        count = write(work / "results", results, copies(results, SUBMISSIONS))
        spent, memory = build(work / "results", work / "site")
        pages = sorted((work / "site").rglob("*.html"), key=lambda page: page.stat().st_size)
        largest, total = pages[-1], sum(p.stat().st_size for p in (work / "site").rglob("*") if p.is_file())
        lines = [
            "## The board",
            "",
            f"| {SUBMISSIONS} submissions, {count} results | measured | aim |",
            "| --- | ---: | ---: |",
            f"| CPU seconds of `wbench leaderboard build` | {spent:.1f} | ≤ {SECONDS:.0f} |",
            f"| largest of {len(pages)} pages, kB | {largest.stat().st_size / 1e3:.0f} | ≤ {PAGE_BYTES / 1e3:.0f} |",
            f"| peak memory, GB | {memory:.2f} | |",
            f"| whole site, MB | {total / 1e6:.0f} | |",
            "",
            "Copies of the demo's results under a thousand names, moved by less than models differ: every table has a",
            "thousand rows to rank, half a million pairs each. Pages show as many rows as fit, the data files all.",
        ]
        return "\n".join(lines)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    print(section(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
